//! Media tokens: what lets a participant into a voice channel, and for how long.
//!
//! A [`MediaGrant`] is plain data that can be stored; an issuer makes the token of it, always the
//! same one for the same grant. The types leave out what a vendor would read as *anybody*, *any
//! channel* or *for ever*: there is no uid 0, no `*` in a channel and no life of zero seconds.
//!
//! | module | holds |
//! | --- | --- |
//! | [`agora`] | tokens of Agora, version 007 and the older 006: building, reading, verifying |
//! | [`livekit`] | tokens of LiveKit: building, reading, verifying |

use alloc::string::String;
use core::fmt;
use core::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::types::{ConnectionId, Timestamp};

pub mod agora;
mod channel;
pub mod livekit;
mod ttl;
mod uid;

pub use channel::{Channel, InvalidChannel};
pub use ttl::{InvalidTtl, Ttl};
pub use uid::{MediaUid, raw_uid_of};

/// What a participant may do in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "every issuer maps both")]
pub enum Role {
    /// Speaks and listens.
    Publisher,
    /// Only listens.
    Subscriber,
}

/// Everything a media token is made of, but for the issuer's own credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the caller decides every part of a grant"
)]
pub struct MediaGrant {
    /// Where the token lets in.
    pub channel: Channel,
    /// Under which number, and no other.
    pub uid: MediaUid,
    /// For which stay; `None` in grants that were kept for repeats before they said so. Where a
    /// vendor knows participants by name, whoever comes back is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What the holder may do in the channel.
    pub role: Role,
    /// From when on it is valid.
    pub issued_at: Timestamp,
    /// For how long.
    pub ttl: Ttl,
    /// Drawn at random by the caller, so that two tokens of one second differ.
    pub salt: NonZeroU32,
}

impl MediaGrant {
    /// The first instant at which the token no longer lets in.
    #[must_use]
    pub const fn ends_at(&self) -> Timestamp {
        self.issued_at.after(self.ttl.seconds())
    }
}

/// A grant that no token can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaTokenError {
    /// The format of the vendor has no room for the instant of issue.
    #[error("media token cannot carry the instant of issue {0}")]
    IssuedAt(Timestamp),
    /// The format of the vendor has no room for something else.
    #[error("media token cannot carry the grant")]
    Unencodable,
}

/// Whose media servers a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(
    clippy::exhaustive_enums,
    reason = "whoever ends stays has to know each vendor's way"
)]
pub enum MediaVendor {
    /// Agora, a service.
    Agora,
    /// LiveKit, a service or a server of one's own.
    LiveKit,
}

impl MediaVendor {
    /// The name in settings and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agora => "agora",
            Self::LiveKit => "livekit",
        }
    }

    /// Whether whoever holds a token is put out of the channel when it ends.
    ///
    /// Agora puts out, at once, whose privilege to join has ended: to cut somebody off it is enough
    /// to refuse the next token. LiveKit looks at a token when its holder connects. It then sends
    /// fresh ones by itself, at connect and every 5 minutes, each valid for 10 minutes or for what
    /// is left of the first, whichever is longer: who is connected stays, and only `RemoveParticipant`
    /// or `DeleteRoom` ends the stay. It also lets in for up to 60 seconds after the end.
    #[must_use]
    pub const fn expiry_ejects(self) -> bool {
        match self {
            Self::Agora => true,
            Self::LiveKit => false,
        }
    }
}

impl fmt::Display for MediaVendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a client brings its token, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the wire knows exactly these members"
)]
pub struct MediaEndpoint {
    /// The media server.
    pub url: String,
    /// The participant that the token names.
    pub identity: String,
}

/// Makes media tokens: a pure function of the grant and the issuer's credentials.
pub trait MediaTokenIssuer: Send + Sync + fmt::Debug {
    /// Whose tokens these are.
    fn vendor(&self) -> MediaVendor;

    /// The token of a grant. The same grant gives the same token, so a caller who stored the grant
    /// need not store the token.
    ///
    /// # Errors
    /// [`MediaTokenError`] where the vendor's format cannot express the grant.
    fn issue(&self, grant: &MediaGrant) -> Result<String, MediaTokenError>;

    /// Where the holder of the token of a grant connects; `None` where the vendor's own client
    /// knows. The same grant gives the same endpoint.
    fn endpoint(&self, grant: &MediaGrant) -> Option<MediaEndpoint>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Seconds;
    use alloc::boxed::Box;
    use alloc::format;
    use alloc::string::ToString;

    fn grant() -> MediaGrant {
        MediaGrant {
            channel: Channel::parse("room-1").unwrap(),
            uid: MediaUid::new(42).unwrap(),
            connection: None,
            role: Role::Subscriber,
            issued_at: Timestamp::from_unix(1_700_000_000),
            ttl: Ttl::new(Seconds::new(90)).unwrap(),
            salt: NonZeroU32::MIN,
        }
    }

    #[test]
    fn a_stored_grant_comes_back_as_it_was() {
        let stored = serde_json::to_string(&grant()).unwrap();
        assert_eq!(
            stored,
            r#"{"channel":"room-1","uid":42,"role":"subscriber","issued_at":1700000000,"ttl":90,"salt":1}"#
        );
        assert_eq!(
            serde_json::from_str::<MediaGrant>(&stored).unwrap(),
            grant()
        );
    }

    #[test]
    fn a_stored_grant_that_lets_in_anybody_or_for_ever_is_refused() {
        let stored = serde_json::to_string(&grant()).unwrap();
        for (part, wrong) in [
            (r#""uid":42"#, r#""uid":0"#),
            (r#""ttl":90"#, r#""ttl":0"#),
            (r#""ttl":90"#, r#""ttl":1700000090"#),
            (r#""salt":1"#, r#""salt":0"#),
            (r#""room-1""#, r#""*""#),
            (r#""subscriber""#, r#""admin""#),
        ] {
            let altered = stored.replace(part, wrong);
            assert_ne!(altered, stored);
            assert!(
                serde_json::from_str::<MediaGrant>(&altered).is_err(),
                "{altered}"
            );
        }
    }

    #[test]
    fn a_vendor_has_one_name_in_settings_and_in_json() {
        for vendor in [MediaVendor::Agora, MediaVendor::LiveKit] {
            let stored = serde_json::to_string(&vendor).unwrap();
            assert_eq!(stored, format!("\"{}\"", vendor.name()));
            assert_eq!(vendor.to_string(), vendor.name());
        }
        assert!(MediaVendor::Agora.expiry_ejects());
        assert!(!MediaVendor::LiveKit.expiry_ejects());
    }

    #[test]
    fn a_grant_ends_its_ttl_after_it_was_issued() {
        assert_eq!(grant().ends_at(), Timestamp::from_unix(1_700_000_090));
    }

    #[test]
    fn an_issuer_can_be_held_behind_a_pointer() {
        #[derive(Debug)]
        struct Fake;
        impl MediaTokenIssuer for Fake {
            fn vendor(&self) -> MediaVendor {
                MediaVendor::Agora
            }

            fn issue(&self, grant: &MediaGrant) -> Result<String, MediaTokenError> {
                Ok(format!("{}/{}", grant.channel, grant.uid))
            }

            fn endpoint(&self, _: &MediaGrant) -> Option<MediaEndpoint> {
                None
            }
        }
        let issuer: Box<dyn MediaTokenIssuer> = Box::new(Fake);
        assert_eq!(issuer.issue(&grant()).as_deref(), Ok("room-1/42"));
    }
}
