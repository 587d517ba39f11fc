//! Tokens of version 006 ("AccessToken"), for clients that know no other.
//!
//! Here `ts` and the values of privileges are **instants**, where version 007 has spans. Nothing is
//! packed, so equal tokens are equal texts.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::build::BuildError;
use super::crc32::crc32;
use super::credentials::{AppCertificate, AppId};
use super::payload::Writer;
use super::privileges_of;
use super::service::Privileges;
use crate::crypto::hmac_sha256;
use crate::media::{MediaEndpoint, MediaGrant, MediaTokenError, MediaTokenIssuer, MediaVendor};

/// What the text of every token of this version starts with.
pub(super) const VERSION: &str = "006";

/// Where a token lets in, and whom.
///
/// The signature covers both texts one after the other, without a mark between them: a token for
/// channel `room-1` and account `23` is, with other checksums, one for `room-12` and `3`. Channels
/// of one fixed length, as ours are, leave no such room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the format knows no other part of it"
)]
pub struct Admission {
    /// The channel; the user where the token is for messages.
    pub channel: String,
    /// A uid as decimal text or a name; the empty one is anybody.
    pub account: String,
}

/// A token of version 006, as the format has it: nothing here stops a caller from granting too
/// much. Servers use [`LegacyAgoraIssuer`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "the format knows no other field")]
pub struct AccessToken006 {
    /// The project.
    pub app_id: AppId,
    /// Where it lets in, and whom.
    pub admission: Admission,
    /// Drawn at random, so that two tokens of one second differ.
    pub salt: u32,
    /// The instant at which the token ends, Unix seconds.
    pub ts: u32,
    /// Privilege to the instant at which it ends, Unix seconds; 0 ends with the token. 1 to 4 are
    /// those of a voice channel, 1000 is the login to messages.
    pub privileges: Privileges,
}

impl AccessToken006 {
    /// The part of the token that the signature covers.
    ///
    /// # Errors
    /// [`BuildError::TooMany`] for more than 65 535 privileges.
    pub fn message(&self) -> Result<Vec<u8>, BuildError> {
        let mut out = Writer::default();
        out.u32(self.salt);
        out.u32(self.ts);
        out.count(self.privileges.len())?;
        for (&privilege, &ends_at) in &self.privileges {
            out.u16(privilege);
            out.u32(ends_at);
        }
        Ok(out.into_bytes())
    }

    /// The signature of this token.
    ///
    /// # Errors
    /// As [`message`](Self::message).
    pub fn signature(&self, certificate: &AppCertificate) -> Result<[u8; 32], BuildError> {
        let message = self.message()?;
        Ok(signature(
            certificate,
            self.app_id.as_str(),
            &self.admission,
            &message,
        ))
    }

    /// The token as clients take it. It holds `+`, `/` and `=`, so it must be escaped in a URL.
    ///
    /// # Errors
    /// As [`message`](Self::message), and [`BuildError::TextTooLong`] for privileges that take more
    /// than 65 535 bytes.
    pub fn to_text(&self, certificate: &AppCertificate) -> Result<String, BuildError> {
        let message = self.message()?;
        let app_id = self.app_id.as_str();
        let mut out = Writer::default();
        out.bytes(&signature(certificate, app_id, &self.admission, &message))?;
        out.u32(crc32(self.admission.channel.as_bytes()));
        out.u32(crc32(self.admission.account.as_bytes()));
        out.bytes(&message)?;
        let mut text = String::from(VERSION);
        text.push_str(app_id);
        STANDARD.encode_string(out.into_bytes(), &mut text);
        Ok(text)
    }
}

/// Makes tokens of version 006 for voice channels of one Agora project, for old clients only.
///
/// The token and every privilege in it end at the instant at which the grant ends. The vendor's own
/// builders let the token last a day whatever its privileges say, so that who was cut off could
/// come back for the rest of it; ours does not.
#[derive(Debug, Clone)]
pub struct LegacyAgoraIssuer {
    app_id: AppId,
    certificate: AppCertificate,
}

impl LegacyAgoraIssuer {
    /// The issuer of a project.
    #[must_use]
    pub const fn new(app_id: AppId, certificate: AppCertificate) -> Self {
        Self {
            app_id,
            certificate,
        }
    }

    /// The token of a grant, before it is signed.
    fn token_of(&self, grant: &MediaGrant) -> Result<AccessToken006, MediaTokenError> {
        let ends_at = u32::try_from(grant.ends_at().unix())
            .map_err(|_| MediaTokenError::IssuedAt(grant.issued_at))?;
        let privileges = privileges_of(grant.role).iter();
        Ok(AccessToken006 {
            app_id: self.app_id.clone(),
            admission: Admission {
                channel: grant.channel.as_str().to_string(),
                account: grant.uid.to_string(),
            },
            salt: grant.salt.get(),
            ts: ends_at,
            privileges: privileges.map(|&privilege| (privilege, ends_at)).collect(),
        })
    }
}

impl MediaTokenIssuer for LegacyAgoraIssuer {
    fn vendor(&self) -> MediaVendor {
        MediaVendor::Agora
    }

    fn issue(&self, grant: &MediaGrant) -> Result<String, MediaTokenError> {
        self.token_of(grant)?
            .to_text(&self.certificate)
            .map_err(|_| MediaTokenError::Unencodable)
    }

    /// None: the vendor's client finds its servers by the name of the project.
    fn endpoint(&self, _: &MediaGrant) -> Option<MediaEndpoint> {
        None
    }
}

/// The certificate, as text, signs the four parts one after the other.
pub(super) fn signature(
    certificate: &AppCertificate,
    app_id: &str,
    admission: &Admission,
    message: &[u8],
) -> [u8; 32] {
    let Admission { channel, account } = admission;
    let signed = [
        app_id.as_bytes(),
        channel.as_bytes(),
        account.as_bytes(),
        message,
    ]
    .concat();
    hmac_sha256(certificate.expose(), &signed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::agora::{Duplicates, ReadToken006};
    use crate::media::{Channel, MediaUid, Role, Ttl};
    use crate::types::{Seconds, Timestamp};
    use core::num::NonZeroU32;

    const CERTIFICATE: &str = "5cfd2fd1755d40ecb72977518be15d3b";
    const NOW: u64 = 1_700_000_000;

    fn app_id() -> AppId {
        AppId::parse("970ca35de60c44645bbae8a215061b33").unwrap()
    }

    fn certificate() -> AppCertificate {
        AppCertificate::parse(CERTIFICATE).unwrap()
    }

    fn grant(role: Role) -> MediaGrant {
        MediaGrant {
            connection: None,
            channel: Channel::parse("room-1").unwrap(),
            uid: MediaUid::new(23).unwrap(),
            role,
            issued_at: Timestamp::from_unix(NOW),
            ttl: Ttl::new(Seconds::new(90)).unwrap(),
            salt: NonZeroU32::MAX,
        }
    }

    fn issued(role: Role) -> ReadToken006 {
        let issuer = LegacyAgoraIssuer::new(app_id(), certificate());
        let text = issuer.issue(&grant(role)).unwrap();
        ReadToken006::parse(&text, Duplicates::Refused).unwrap()
    }

    fn token(privileges: &[(u16, u32)]) -> AccessToken006 {
        AccessToken006 {
            app_id: app_id(),
            admission: Admission {
                channel: "room-1".to_string(),
                account: "23".to_string(),
            },
            salt: 1,
            ts: 1000,
            privileges: privileges.iter().copied().collect(),
        }
    }

    #[test]
    fn a_token_and_its_privileges_end_with_the_grant() {
        let end = u32::try_from(NOW).unwrap() + 90;
        let read = issued(Role::Publisher);
        assert_eq!((read.ts, read.salt), (end, u32::MAX));
        assert_eq!(
            read.privileges,
            Privileges::from([(1, end), (2, end), (3, end), (4, end)])
        );
        assert_eq!(read.trailing_bytes, 0);
        assert_eq!(
            issued(Role::Subscriber).privileges,
            Privileges::from([(1, end)])
        );
    }

    #[test]
    fn an_end_that_the_format_cannot_hold_is_refused() {
        let issuer = LegacyAgoraIssuer::new(app_id(), certificate());
        let mut late = grant(Role::Publisher);
        late.issued_at = Timestamp::from_unix(u64::from(u32::MAX) - 90);
        assert!(issuer.issue(&late).is_ok());
        late.issued_at = Timestamp::from_unix(u64::from(u32::MAX) - 89);
        assert_eq!(
            issuer.issue(&late),
            Err(MediaTokenError::IssuedAt(late.issued_at))
        );
    }

    #[test]
    fn more_privileges_than_a_text_can_hold_are_refused() {
        let privileges: Vec<_> = (0..10_920).map(|privilege| (privilege, 0)).collect();
        assert!(token(&privileges).to_text(&certificate()).is_ok());
        let more: Vec<_> = (0..10_921).map(|privilege| (privilege, 0)).collect();
        assert_eq!(
            token(&more).to_text(&certificate()),
            Err(BuildError::TextTooLong)
        );
    }
}
