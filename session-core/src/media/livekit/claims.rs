//! What a token says, and making the token of it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::credentials::{ApiKey, ApiSecret};
use crate::crypto::jws::{self, given, object};
use crate::media::Ttl;
use crate::types::Timestamp;

/// The longest token that is built or looked at, in bytes. One of ours has about 350.
pub const TOKEN_MAX_BYTES: usize = 16 * 1024;

/// The life that the vendor's own packages give a token where none is asked for, and also where 0
/// is: six hours. Nothing here takes it by itself.
pub const SDK_DEFAULT_TTL: Ttl = match Ttl::new(crate::types::Seconds::new(6 * 3600)) {
    Ok(ttl) => ttl,
    // Six hours are less than a day.
    Err(_) => Ttl::MAX,
};

/// A token that no server should hand out, or the format cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A token that lets somebody join, and does not say whom.
    #[error("token to join names no participant")]
    NoIdentity,
    /// More than [`TOKEN_MAX_BYTES`].
    #[error("token is longer than 16384 bytes")]
    TooLong,
    /// What JSON cannot express.
    #[error("token cannot be written as json")]
    Unencodable,
}

/// Everything a token says, under the names that the wire has. What is absent here is not written:
/// absent does not mean *no*, see [`VideoGrant`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenClaims {
    /// The key whose secret signed the token.
    pub iss: ApiKey,
    /// The participant, unique in a room: a second one puts out the first.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The first instant at which the token is valid: that of issue, which is also what a server
    /// compares when it revokes older tokens.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<Timestamp>,
    /// The first instant at which the token no longer lets in.
    pub exp: Timestamp,
    /// The participant where [`sub`](Self::sub) is absent; older packages write it so.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// What others see as the participant's name.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for the participant.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// Named texts for the participant. The token can be read by its holder: no secrets.
    #[serde(default, deserialize_with = "unique")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Who the participant is: `standard` where absent, or `agent`, `ingress`, `egress`, `sip`.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// What the participant may do.
    #[serde(default, deserialize_with = "object")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<VideoGrant>,
    /// The hash of the body that came with the token, in standard base64, where the token is a
    /// webhook's.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// What a participant, or a server that calls the media server, may do.
///
/// An absent permission to publish or subscribe is a granted one, and
/// [`can_publish_data`](Self::can_publish_data) follows
/// [`can_publish`](Self::can_publish) where it is absent. Every other absent member is *no*.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct VideoGrant {
    /// The exact name of the room.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// May join the room.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_join: Option<bool>,
    /// May speak or show; absent is *yes*.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// May listen and see; absent is *yes*.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// May send data; absent is as `can_publish`.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish_data: Option<bool>,
    /// What may be published; empty is everything, and is not written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub can_publish_sources: Vec<TrackSource>,
    /// May change its own name, metadata and attributes.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_update_own_metadata: Option<bool>,
    /// Is not shown to others.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    /// Records the room, and is shown as doing so.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorder: Option<bool>,
    /// Administers the room: for servers, never for users, as all that follow.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_admin: Option<bool>,
    /// Makes and ends rooms.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_create: Option<bool>,
    /// Lists rooms.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_list: Option<bool>,
    /// Has rooms recorded.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_record: Option<bool>,
    /// Administers streams from outside.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_admin: Option<bool>,
    /// The room to which participants may be forwarded or moved.
    #[serde(default, deserialize_with = "given")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_room: Option<String>,
}

/// What a track is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TrackSource {
    /// A camera.
    Camera,
    /// A microphone, the only source of a voice room.
    Microphone,
    /// A shared screen.
    ScreenShare,
    /// The sound of a shared screen.
    ScreenShareAudio,
}

impl TokenClaims {
    /// What a token says that grants nothing yet.
    #[must_use]
    pub const fn new(iss: ApiKey, issued_at: Timestamp, ttl: Ttl) -> Self {
        Self {
            iss,
            sub: None,
            nbf: Some(issued_at),
            exp: issued_at.after(ttl.seconds()),
            jti: None,
            name: None,
            metadata: None,
            attributes: BTreeMap::new(),
            kind: None,
            video: None,
            sha256: None,
        }
    }

    /// The participant: `sub`, or else `jti`. An empty text is nobody.
    #[must_use]
    pub fn identity(&self) -> Option<&str> {
        let named = |text: &'_ Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let member = if named(&self.sub) {
            &self.sub
        } else {
            &self.jti
        };
        member.as_deref().filter(|text| !text.is_empty())
    }

    /// The token that says this, signed with the secret of [`iss`](Self::iss). The same claims give
    /// the same token.
    ///
    /// # Errors
    /// [`BuildError`], among others for a token that lets nobody in particular join.
    pub fn sign(&self, secret: &ApiSecret) -> Result<String, BuildError> {
        let video = self.video.as_ref();
        let is_to_join = video.is_some_and(|video| video.room_join == Some(true));
        if is_to_join && self.identity().is_none() {
            return Err(BuildError::NoIdentity);
        }
        let payload = serde_json::to_string(self).map_err(|_| BuildError::Unencodable)?;
        let token = jws::sign(HEADER, &payload, secret.expose());
        if token.len() <= TOKEN_MAX_BYTES {
            Ok(token)
        } else {
            Err(BuildError::TooLong)
        }
    }
}

/// The header that the vendor's JavaScript package writes; the one in Go adds a `typ`.
const HEADER: &str = r#"{"alg":"HS256"}"#;

/// A map in which no name comes twice: two readers could take one each.
fn unique<'de, D: Deserializer<'de>>(value: D) -> Result<BTreeMap<String, String>, D::Error> {
    struct Unique;

    impl<'de> Visitor<'de> for Unique {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("texts under different names")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some((name, text)) = entries.next_entry()? {
                if map.insert(name, text).is_some() {
                    return Err(A::Error::custom("a name is given twice"));
                }
            }
            Ok(map)
        }
    }

    value.deserialize_map(Unique)
}
