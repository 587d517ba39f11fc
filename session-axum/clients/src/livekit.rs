//! A LiveKit server's rooms: who has to go is put out (`livekit-tokens.md`, section 4).
//!
//! At LiveKit the end of a token ends nothing, so this is what makes credit count there. A removal
//! may be done twice: who is not in the room is out.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use session_core::media::livekit::{ApiCredentials, ServerUrl, TokenClaims, VideoGrant};
use session_core::media::{Channel, Ttl};
use session_core::outbox::{Effect, Intent, Outcome};
use session_core::ports::{Clock, Effects};
use session_core::types::{Seconds, Timestamp};

use crate::http::{Answered, Caller, HttpError, HttpLimits};

const REMOVE_PARTICIPANT: &str = "twirp/livekit.RoomService/RemoveParticipant";

/// The life of a token of ours for one call, in seconds (`livekit-tokens.md`, section 4).
const ADMIN_TOKEN_SECONDS: u64 = 60;

/// Puts participants out of the rooms of one LiveKit server.
#[derive(Debug, Clone)]
pub struct LiveKitRooms {
    caller: Caller,
    credentials: ApiCredentials,
    clock: Arc<dyn Clock>,
}

impl LiveKitRooms {
    /// The rooms of the server at this address.
    ///
    /// # Errors
    /// [`HttpError`] where the address is neither `https` (or `wss`) nor on this machine.
    pub fn new(
        url: &ServerUrl,
        credentials: ApiCredentials,
        clock: Arc<dyn Clock>,
        limits: HttpLimits,
    ) -> Result<Self, HttpError> {
        // Clients reach the same server by web socket.
        let url = url.as_str();
        let base = match url.strip_prefix("ws") {
            Some(rest) => format!("http{rest}"),
            None => url.to_owned(),
        };
        Ok(Self {
            caller: Caller::new(&base, limits)?,
            credentials,
            clock,
        })
    }

    async fn remove(&self, channel: &Channel, identity: &str, since: Timestamp) -> Outcome {
        let Some(token) = self.token(channel) else {
            return Outcome::NotDone("no token for the media server can be made".to_owned());
        };
        let body = json!({
            "room": channel.as_str(),
            "identity": identity,
            // Tokens of the stay that ended are good no more, where the server heeds that; those of
            // the next one are.
            "revoke_token_ts": since.unix(),
        });
        match self.caller.post(REMOVE_PARTICIPANT, &token, &body).await {
            Answered::Status(200, _) => Outcome::Done,
            Answered::Status(404, Some(body)) if body["code"] == "not_found" => Outcome::Done,
            Answered::Status(status, _) => {
                Outcome::NotDone(format!("the media server answered {status}"))
            }
            Answered::Unreached => Outcome::NotDone("the media server is not reached".to_owned()),
            Answered::NoAnswer => Outcome::NoAnswer("the media server did not answer".to_owned()),
        }
    }

    /// A token for one call about one room, never handed out.
    fn token(&self, channel: &Channel) -> Option<String> {
        let ttl = Ttl::new(Seconds::new(ADMIN_TOKEN_SECONDS)).ok()?;
        let key = self.credentials.key.clone();
        let mut claims = TokenClaims::new(key, self.clock.now(), ttl);
        let mut video = VideoGrant::default();
        video.room = Some(channel.as_str().to_owned());
        video.room_admin = Some(true);
        claims.video = Some(video);
        claims.sign(&self.credentials.secret).ok()
    }
}

#[async_trait]
impl Effects for LiveKitRooms {
    async fn perform(&self, intent: &Intent) -> Outcome {
        match &intent.effect {
            Effect::RemoveFromChannel {
                channel,
                uid,
                connection,
            } => {
                let identity = connection.map_or_else(|| uid.to_string(), |stay| stay.to_string());
                self.remove(channel, &identity, intent.created_at).await
            }
            _ => Outcome::NotDone("the media server is not asked for that".to_owned()),
        }
    }

    async fn ask(&self, _: &Intent) -> Outcome {
        // Removals are repeated, not asked about.
        Outcome::NoAnswer("removals are not asked about".to_owned())
    }
}
