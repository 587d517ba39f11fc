//! Tokens of LiveKit: JSON web tokens that say who may do what in a room.
//!
//! Two levels. [`LiveKitIssuer`] is what a server uses: it writes every permission, since an absent
//! one is granted, and it can only be given what [`MediaGrant`] can hold. [`TokenClaims`] is the
//! format itself, for the calls of a server to the media server too; [`ApiKeys`] reads and verifies
//! what anybody signed.
//!
//! ```
//! use core::num::NonZeroU32;
//! use session_core::media::livekit::{
//!     ApiCredentials, ApiKey, ApiKeys, ApiSecret, LiveKitIssuer, ServerUrl,
//! };
//! use session_core::media::{Channel, MediaGrant, MediaTokenIssuer, MediaUid, Role, Ttl};
//! use session_core::types::{Seconds, Timestamp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let credentials = ApiCredentials {
//!     key: ApiKey::parse("APIverify00001")?,
//!     secret: ApiSecret::parse("verify-secret-verify-secret-verify-secret")?,
//! };
//! let issuer = LiveKitIssuer::new(credentials.clone(), ServerUrl::parse("wss://media.example")?);
//! let now = Timestamp::from_unix(1_700_000_000);
//! let token = issuer.issue(&MediaGrant {
//!     connection: None,
//!     channel: Channel::parse("room-1")?,
//!     uid: MediaUid::new(57_005).ok_or("a uid is never 0")?,
//!     role: Role::Publisher,
//!     issued_at: now,
//!     ttl: Ttl::new(Seconds::new(90))?,
//!     salt: NonZeroU32::MIN,
//! })?;
//!
//! let claims = ApiKeys::new(vec![credentials])?.verify(&token, now, Seconds::ZERO)?;
//! assert_eq!(claims.identity(), Some("57005"));
//! # Ok(())
//! # }
//! ```
//!
//! The end of a token does not end a stay: [`MediaVendor::expiry_ejects`].

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::{MediaEndpoint, MediaGrant, MediaTokenError, MediaTokenIssuer, MediaVendor, Role};
use crate::types::Timestamp;

mod claims;
mod credentials;
mod verify;

pub use claims::{
    BuildError, SDK_DEFAULT_TTL, TOKEN_MAX_BYTES, TokenClaims, TrackSource, VideoGrant,
};
pub use credentials::{
    ApiCredentials, ApiKey, ApiSecret, InvalidApiCredential, InvalidServerUrl, ServerUrl,
};
pub use verify::{API_KEYS_MAX, ApiKeys, InvalidApiKeys, VerifyError};

/// Makes tokens for the rooms of one LiveKit server.
///
/// The participant is the stay; where a grant does not say which, the uid in decimal. Publishers may speak, listen and send data, with the
/// microphone alone; subscribers may listen. Tokens of one second, one participant and one room are
/// equal: the format has no place for the salt of a grant.
#[derive(Debug, Clone)]
pub struct LiveKitIssuer {
    credentials: ApiCredentials,
    url: ServerUrl,
}

impl LiveKitIssuer {
    /// The issuer of the server at this address.
    #[must_use]
    pub const fn new(credentials: ApiCredentials, url: ServerUrl) -> Self {
        Self { credentials, url }
    }

    /// What the token of a grant says.
    fn claims_of(&self, grant: &MediaGrant) -> TokenClaims {
        let is_publisher = match grant.role {
            Role::Publisher => true,
            Role::Subscriber => false,
        };
        let key = self.credentials.key.clone();
        let mut claims = TokenClaims::new(key, grant.issued_at, grant.ttl);
        claims.sub = Some(identity(grant));
        claims.video = Some(VideoGrant {
            room: Some(grant.channel.as_str().to_string()),
            room_join: Some(true),
            // Absent means yes, so that no is written as well.
            can_publish: Some(is_publisher),
            can_subscribe: Some(true),
            can_publish_data: Some(is_publisher),
            can_publish_sources: if is_publisher {
                vec![TrackSource::Microphone]
            } else {
                Vec::new()
            },
            ..VideoGrant::default()
        });
        claims
    }
}

/// Whoever comes back is another participant, so that a removal of the last stay leaves the next one
/// alone.
fn identity(grant: &MediaGrant) -> String {
    grant
        .connection
        .map_or_else(|| grant.uid.to_string(), |stay| stay.to_string())
}

impl MediaTokenIssuer for LiveKitIssuer {
    fn vendor(&self) -> MediaVendor {
        MediaVendor::LiveKit
    }

    fn issue(&self, grant: &MediaGrant) -> Result<String, MediaTokenError> {
        // A server that revokes tokens older than some instant takes 0 for one that does not say.
        if grant.issued_at == Timestamp::EPOCH {
            return Err(MediaTokenError::IssuedAt(grant.issued_at));
        }
        self.claims_of(grant)
            .sign(&self.credentials.secret)
            .map_err(|_| MediaTokenError::Unencodable)
    }

    fn endpoint(&self, grant: &MediaGrant) -> Option<MediaEndpoint> {
        Some(MediaEndpoint {
            url: self.url.to_string(),
            identity: identity(grant),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Channel, MediaUid, Ttl};
    use crate::types::Seconds;
    use alloc::format;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use core::num::NonZeroU32;

    fn issuer() -> LiveKitIssuer {
        let credentials = ApiCredentials {
            key: ApiKey::parse("APIkey").unwrap(),
            secret: ApiSecret::parse("canary").unwrap(),
        };
        LiveKitIssuer::new(
            credentials,
            ServerUrl::parse("wss://media.example").unwrap(),
        )
    }

    fn grant(role: Role) -> MediaGrant {
        MediaGrant {
            connection: None,
            channel: Channel::parse("room-1").unwrap(),
            uid: MediaUid::new(u32::MAX).unwrap(),
            role,
            issued_at: Timestamp::from_unix(1_700_000_000),
            ttl: Ttl::new(Seconds::new(90)).unwrap(),
            salt: NonZeroU32::MAX,
        }
    }

    /// The header and the payload of what is issued, as they stand.
    fn parts(role: Role) -> [String; 2] {
        let token = issuer().issue(&grant(role)).unwrap();
        let mut parts = token.split('.').map(|part| {
            let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        [parts.next().unwrap(), parts.next().unwrap()]
    }

    #[test]
    fn every_permission_of_a_publisher_is_written() {
        assert_eq!(
            parts(Role::Publisher),
            [
                r#"{"alg":"HS256"}"#,
                r#"{"iss":"APIkey","sub":"4294967295","nbf":1700000000,"exp":1700000090,"video":{"room":"room-1","roomJoin":true,"canPublish":true,"canSubscribe":true,"canPublishData":true,"canPublishSources":["microphone"]}}"#,
            ]
        );
    }

    #[test]
    fn what_a_subscriber_may_not_is_written_too() {
        assert_eq!(
            parts(Role::Subscriber)[1],
            r#"{"iss":"APIkey","sub":"4294967295","nbf":1700000000,"exp":1700000090,"video":{"room":"room-1","roomJoin":true,"canPublish":false,"canSubscribe":true,"canPublishData":false}}"#
        );
    }

    #[test]
    fn the_endpoint_is_the_server_and_the_participant() {
        assert_eq!(
            issuer().endpoint(&grant(Role::Publisher)),
            Some(MediaEndpoint {
                url: "wss://media.example".to_string(),
                identity: "4294967295".to_string(),
            })
        );
        assert_eq!(issuer().vendor(), MediaVendor::LiveKit);
    }

    #[test]
    fn a_token_that_would_say_that_it_was_never_issued_is_refused() {
        let mut early = grant(Role::Publisher);
        early.issued_at = Timestamp::EPOCH;
        assert_eq!(
            issuer().issue(&early),
            Err(MediaTokenError::IssuedAt(Timestamp::EPOCH))
        );
    }

    #[test]
    fn six_hours_are_six_hours() {
        assert_eq!(SDK_DEFAULT_TTL.get(), 21_600);
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let shown = format!("{:?}", issuer());
        assert!(shown.contains("APIkey"));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
