//! Tokens of Agora, version 007 ("AccessToken2") and, for old clients, version 006.
//!
//! Two levels. [`AgoraIssuer`] is what a server uses: it follows the policy that a token and each
//! of its privileges end together, and it can only be given what [`MediaGrant`] can hold.
//! [`AccessToken007`] is the format itself, with all that the vendor's own builders can express,
//! mistakes included; [`ReadToken`] reads and verifies what anybody built. The same of version 006
//! are [`LegacyAgoraIssuer`], [`AccessToken006`] and [`ReadToken006`].
//!
//! ```
//! use core::num::NonZeroU32;
//! use session_core::media::agora::{AgoraIssuer, AppCertificate, AppId, Duplicates, ReadToken};
//! use session_core::media::{Channel, MediaGrant, MediaTokenIssuer, MediaUid, Role, Ttl};
//! use session_core::types::{Seconds, Timestamp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let certificate = AppCertificate::parse("5cfd2fd1755d40ecb72977518be15d3b")?;
//! let issuer = AgoraIssuer::new(
//!     AppId::parse("970ca35de60c44645bbae8a215061b33")?,
//!     certificate.clone(),
//! );
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
//! let read = ReadToken::parse(&token, Duplicates::Refused)?;
//! read.verify(&certificate, now, Seconds::ZERO)?;
//! # Ok(())
//! # }
//! ```
//!
//! All numbers on the wire are little-endian. `expire` and the values of privileges are seconds
//! after `issue_ts`, never instants; in version 006 they are instants.

use alloc::string::{String, ToString};
use alloc::vec;

use super::{MediaEndpoint, MediaGrant, MediaTokenError, MediaTokenIssuer, MediaVendor, Role};

mod build;
mod crc32;
mod credentials;
mod legacy;
mod legacy_read;
mod parse;
mod payload;
mod service;
mod verify;
mod zlib;

pub use build::{AccessToken007, BuildError, Compression};
pub use credentials::{AppCertificate, AppId, InvalidCredential};
pub use legacy::{AccessToken006, Admission, LegacyAgoraIssuer};
pub use legacy_read::ReadToken006;
pub use parse::{Duplicates, ReadError, ReadToken};
pub use payload::PAYLOAD_MAX_BYTES;
pub use service::{Permissions, Privileges, Service, ServiceBody};
pub use verify::{Validity, VerifyError};

/// Makes tokens for voice channels of one Agora project.
///
/// The token and every privilege in it last exactly as long as the grant says. If a privilege
/// outlived the token, the vendor would let its holder go on speaking without a word; one that
/// says 0 never ends.
#[derive(Debug, Clone)]
pub struct AgoraIssuer {
    app_id: AppId,
    certificate: AppCertificate,
}

impl AgoraIssuer {
    /// The issuer of a project.
    #[must_use]
    pub const fn new(app_id: AppId, certificate: AppCertificate) -> Self {
        Self {
            app_id,
            certificate,
        }
    }

    /// The token of a grant, before it is signed.
    fn token_of(&self, grant: &MediaGrant) -> Result<AccessToken007, MediaTokenError> {
        let issue_ts = u32::try_from(grant.issued_at.unix())
            .map_err(|_| MediaTokenError::IssuedAt(grant.issued_at))?;
        let expire = grant.ttl.get();
        let privileges: Privileges = privileges_of(grant.role)
            .iter()
            .map(|&privilege| (privilege, expire))
            .collect();
        Ok(AccessToken007 {
            app_id: self.app_id.clone(),
            issue_ts,
            expire,
            salt: grant.salt.get(),
            services: vec![Service {
                privileges,
                body: ServiceBody::Rtc {
                    channel: grant.channel.as_str().to_string(),
                    account: grant.uid.to_string(),
                },
            }],
        })
    }
}

impl MediaTokenIssuer for AgoraIssuer {
    fn vendor(&self) -> MediaVendor {
        MediaVendor::Agora
    }

    fn issue(&self, grant: &MediaGrant) -> Result<String, MediaTokenError> {
        self.token_of(grant)?
            .to_text(&self.certificate, Compression::Deflated)
            .map_err(|_| MediaTokenError::Unencodable)
    }

    /// None: the vendor's client finds its servers by the name of the project.
    fn endpoint(&self, _: &MediaGrant) -> Option<MediaEndpoint> {
        None
    }
}

/// What a role may do. Publishers get all four, as on the recorded wire.
const fn privileges_of(role: Role) -> &'static [u16] {
    match role {
        Role::Publisher => &[JOIN, PUBLISH_AUDIO, PUBLISH_VIDEO, PUBLISH_DATA],
        Role::Subscriber => &[JOIN],
    }
}

const JOIN: u16 = 1;
const PUBLISH_AUDIO: u16 = 2;
const PUBLISH_VIDEO: u16 = 3;
const PUBLISH_DATA: u16 = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Channel, MediaUid, Ttl};
    use crate::types::{Seconds, Timestamp};
    use alloc::format;
    use core::num::NonZeroU32;

    const CERTIFICATE: &str = "5cfd2fd1755d40ecb72977518be15d3b";

    fn issuer() -> AgoraIssuer {
        AgoraIssuer::new(
            AppId::parse("970ca35de60c44645bbae8a215061b33").unwrap(),
            AppCertificate::parse(CERTIFICATE).unwrap(),
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

    fn issued(role: Role) -> ReadToken {
        let token = issuer().issue(&grant(role)).unwrap();
        ReadToken::parse(&token, Duplicates::Refused).unwrap()
    }

    #[test]
    fn a_token_says_exactly_what_was_granted() {
        let read = issued(Role::Publisher);
        assert_eq!(read.app_id, "970ca35de60c44645bbae8a215061b33");
        assert_eq!(
            (read.issue_ts, read.expire, read.salt),
            (1_700_000_000, 90, u32::MAX)
        );
        assert_eq!(
            read.services,
            [Service {
                privileges: Privileges::from([(1, 90), (2, 90), (3, 90), (4, 90)]),
                body: ServiceBody::Rtc {
                    channel: "room-1".to_string(),
                    account: "4294967295".to_string(),
                },
            }]
        );
        assert!(!read.is_incomplete());
        assert_eq!(read.trailing_bytes, Some(0));
    }

    #[test]
    fn a_subscriber_may_only_join() {
        let read = issued(Role::Subscriber);
        assert_eq!(read.services[0].privileges, Privileges::from([(1, 90)]));
    }

    #[test]
    fn the_same_grant_gives_the_same_token() {
        let grant = grant(Role::Publisher);
        assert_eq!(issuer().issue(&grant), issuer().issue(&grant));
    }

    #[test]
    fn an_instant_that_the_format_cannot_hold_is_refused() {
        let mut late = grant(Role::Publisher);
        late.issued_at = Timestamp::from_unix(u64::from(u32::MAX));
        assert!(issuer().issue(&late).is_ok());
        late.issued_at = Timestamp::from_unix(u64::from(u32::MAX) + 1);
        assert_eq!(
            issuer().issue(&late),
            Err(MediaTokenError::IssuedAt(late.issued_at))
        );
    }

    #[test]
    fn debug_output_hides_the_certificate() {
        let shown = format!("{:?}", issuer());
        assert!(shown.contains("970ca35de60c44645bbae8a215061b33"));
        assert!(!shown.contains(CERTIFICATE), "{shown}");
    }
}
