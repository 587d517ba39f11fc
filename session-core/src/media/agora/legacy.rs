//! Tokens of version 006 ("AccessToken"), for clients that know no other.
//!
//! Here `ts` and the values of privileges are **instants**, where version 007 has spans. Nothing is
//! packed, so equal tokens are equal texts. Channel and account are not in the token: whoever
//! verifies one has to be told them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::build::BuildError;
use super::crc32::crc32;
use super::credentials::{AppCertificate, AppId, is_credential};
use super::parse::{Duplicates, ENCODED_MAX_BYTES, ReadError};
use super::payload::{Reader, Writer};
use super::privileges_of;
use super::service::Privileges;
use super::verify::VerifyError;
use crate::crypto::{constant_time_eq, hmac_sha256};
use crate::media::{MediaEndpoint, MediaGrant, MediaTokenError, MediaTokenIssuer, MediaVendor};
use crate::types::Timestamp;

/// What the text of every token of this version starts with.
const VERSION: &str = "006";

/// How long the name of a project is, which stands before the base64 as it is.
const APP_ID_BYTES: usize = 32;

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

/// A token of version 006 as it was read. Nothing in it is to be believed before it has been
/// [verified](Self::verify).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadToken006 {
    /// The project, which may be any text.
    pub app_id: String,
    /// Drawn at random.
    pub salt: u32,
    /// The instant at which the token ends, Unix seconds.
    pub ts: u32,
    /// Privilege to the instant at which it ends, Unix seconds; 0 ends with the token.
    pub privileges: Privileges,
    /// The checksum of the channel, which is all that the token tells of it.
    pub channel_crc32: u32,
    /// The checksum of the account.
    pub account_crc32: u32,
    /// Bytes after the last privilege, which the signature covers like all others.
    pub trailing_bytes: usize,
    /// The signature, which a good token has 32 bytes of.
    signature: Vec<u8>,
    /// All that the signature covers of the token, exactly as it stood.
    message: Vec<u8>,
}

impl ReadToken006 {
    /// Reads a token's text. Neither the work nor the memory exceeds a fixed bound, whatever the
    /// text.
    ///
    /// # Errors
    /// [`ReadError`] for text that is not such a token.
    pub fn parse(text: &str, duplicates: Duplicates) -> Result<Self, ReadError> {
        let rest = text.strip_prefix(VERSION).ok_or(ReadError::Prefix)?;
        let (app_id, encoded) = rest
            .split_at_checked(APP_ID_BYTES)
            .ok_or(ReadError::Incomplete)?;
        if encoded.len() > ENCODED_MAX_BYTES {
            return Err(ReadError::TooLong);
        }
        let content = STANDARD.decode(encoded).map_err(|_| ReadError::Base64)?;
        let mut reader = Reader::new(&content);
        let signature = reader.bytes()?.to_vec();
        let [channel_crc32, account_crc32] = [reader.u32()?, reader.u32()?];
        let message = reader.bytes()?;
        // No signature covers what follows: two texts would be one token.
        if !reader.rest().is_empty() {
            return Err(ReadError::Trailing);
        }
        let mut reader = Reader::new(message);
        let [salt, ts] = [reader.u32()?, reader.u32()?];
        let mut privileges = Privileges::new();
        for _ in 0..reader.u16()? {
            let privilege = reader.u16()?;
            let ends_at = reader.u32()?;
            duplicates.insert(&mut privileges, privilege, ends_at)?;
        }
        Ok(Self {
            app_id: app_id.to_string(),
            salt,
            ts,
            privileges,
            channel_crc32,
            account_crc32,
            trailing_bytes: reader.rest().len(),
            signature,
            message: message.to_vec(),
        })
    }

    /// Verifies that the token lets this account into this channel, was signed with a certificate
    /// and has not ended. What it lets do there, [`is_granted`](Self::is_granted) says.
    ///
    /// # Errors
    /// [`VerifyError`], the signature first: nothing else in a forged token means anything.
    pub fn verify(
        &self,
        certificate: &AppCertificate,
        admission: &Admission,
        now: Timestamp,
    ) -> Result<(), VerifyError> {
        self.verify_signature(certificate, admission)?;
        if now.unix() < u64::from(self.ts) {
            Ok(())
        } else {
            Err(VerifyError::Ended)
        }
    }

    /// Verifies that the token lets this account into this channel and was signed with a
    /// certificate, which says nothing about time.
    ///
    /// # Errors
    /// [`VerifyError::Signature`], also where the token is for another channel or account, or
    /// [`VerifyError::AppId`].
    pub fn verify_signature(
        &self,
        certificate: &AppCertificate,
        admission: &Admission,
    ) -> Result<(), VerifyError> {
        let expected = signature(certificate, &self.app_id, admission, &self.message);
        // A signature of another length is unequal as well. The checksums are no secret, and not
        // under the signature: they only tell apart what it runs together.
        let is_signed = constant_time_eq(&expected, &self.signature)
            && self.channel_crc32 == crc32(admission.channel.as_bytes())
            && self.account_crc32 == crc32(admission.account.as_bytes());
        if !is_signed {
            return Err(VerifyError::Signature);
        }
        if !is_credential(&self.app_id) {
            return Err(VerifyError::AppId);
        }
        Ok(())
    }

    /// Whether the token, once verified, grants a privilege now. None outlives the token.
    #[must_use]
    pub fn is_granted(&self, privilege: u16, now: Timestamp) -> bool {
        let is_before = |end: u32| now.unix() < u64::from(end);
        self.privileges
            .get(&privilege)
            .is_some_and(|&ends_at| is_before(self.ts) && (ends_at == 0 || is_before(ends_at)))
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
fn signature(
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
    use crate::media::{Channel, MediaUid, Role, Ttl};
    use crate::types::Seconds;
    use alloc::format;
    use core::num::NonZeroU32;

    const CERTIFICATE: &str = "5cfd2fd1755d40ecb72977518be15d3b";
    const NOW: u64 = 1_700_000_000;

    fn app_id() -> AppId {
        AppId::parse("970ca35de60c44645bbae8a215061b33").unwrap()
    }

    fn certificate() -> AppCertificate {
        AppCertificate::parse(CERTIFICATE).unwrap()
    }

    fn admission(channel: &str, account: &str) -> Admission {
        Admission {
            channel: channel.to_string(),
            account: account.to_string(),
        }
    }

    fn grant(role: Role) -> MediaGrant {
        MediaGrant {
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
        read(&issuer.issue(&grant(role)).unwrap())
    }

    fn token(privileges: &[(u16, u32)]) -> AccessToken006 {
        AccessToken006 {
            app_id: app_id(),
            admission: admission("room-1", "23"),
            salt: 1,
            ts: 1000,
            privileges: privileges.iter().copied().collect(),
        }
    }

    fn read(text: &str) -> ReadToken006 {
        ReadToken006::parse(text, Duplicates::Refused).unwrap()
    }

    /// The text of this content.
    fn text_of(content: &[u8]) -> String {
        format!("006{}{}", app_id(), STANDARD.encode(content))
    }

    /// What the text of a token holds.
    fn content_of(text: &str) -> Vec<u8> {
        STANDARD.decode(&text[35..]).unwrap()
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
    fn a_token_is_valid_until_before_its_end() {
        let read = issued(Role::Publisher);
        for (now, expected) in [
            (0, Ok(())),
            (NOW + 89, Ok(())),
            (NOW + 90, Err(VerifyError::Ended)),
        ] {
            let now = Timestamp::from_unix(now);
            let verified = read.verify(&certificate(), &admission("room-1", "23"), now);
            assert_eq!(verified, expected, "{now}");
        }
    }

    #[test]
    fn a_token_is_for_one_channel_and_one_account() {
        let read = issued(Role::Publisher);
        // The last three have the same bytes one after the other.
        for (channel, account) in [
            ("room-2", "23"),
            ("room-1", "24"),
            ("room-1", ""),
            ("", "23"),
            ("room-12", "3"),
            ("room-", "123"),
            ("room-123", ""),
        ] {
            assert_eq!(
                read.verify_signature(&certificate(), &admission(channel, account)),
                Err(VerifyError::Signature),
                "{channel}/{account}"
            );
        }
    }

    #[test]
    fn another_certificate_did_not_sign_and_upper_case_is_another() {
        let upper = AppCertificate::parse(&CERTIFICATE.to_uppercase()).unwrap();
        assert_eq!(
            issued(Role::Publisher).verify_signature(&upper, &admission("room-1", "23")),
            Err(VerifyError::Signature)
        );
    }

    #[test]
    fn a_malformed_app_id_is_refused_though_the_arithmetic_is_right() {
        let mut read = read(&token(&[]).to_text(&certificate()).unwrap());
        read.app_id = "z".repeat(32);
        let here = admission("room-1", "23");
        read.signature = signature(&certificate(), &read.app_id, &here, &read.message).to_vec();
        assert_eq!(
            read.verify_signature(&certificate(), &here),
            Err(VerifyError::AppId)
        );
    }

    #[test]
    fn a_privilege_ends_at_its_instant_and_never_after_the_token() {
        let read = read(
            &token(&[(1, 0), (2, 500), (3, 2000)])
                .to_text(&certificate())
                .unwrap(),
        );
        for (privilege, now, expected) in [
            (1, 999, true),
            (1, 1000, false),
            (2, 499, true),
            (2, 500, false),
            (3, 999, true),
            (3, 1000, false),
            (4, 0, false),
        ] {
            let now = Timestamp::from_unix(now);
            assert_eq!(
                read.is_granted(privilege, now),
                expected,
                "{privilege} {now}"
            );
        }
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
    fn only_one_whole_content_in_canonical_base64_is_read() {
        let good = token(&[(1, 1000)]).to_text(&certificate()).unwrap();
        let content = content_of(&good);
        assert_eq!(read(&text_of(&content)), read(&good));
        for length in 0..content.len() {
            assert_eq!(
                ReadToken006::parse(&text_of(&content[..length]), Duplicates::Refused),
                Err(ReadError::Incomplete),
                "{length}"
            );
        }
        let parse = |text: &str| ReadToken006::parse(text, Duplicates::Refused);
        assert_eq!(
            parse(&text_of(&[&content[..], &[0]].concat())),
            Err(ReadError::Trailing)
        );
        assert_eq!(parse(&(good.clone() + "\n")), Err(ReadError::Base64));
        assert_eq!(parse(&(good.clone() + "=")), Err(ReadError::Base64));
        assert_eq!(parse(&good[..34]), Err(ReadError::Incomplete));
        assert_eq!(
            parse(&good.replacen("006", "007", 1)),
            Err(ReadError::Prefix)
        );
        let long = format!("006{}{}", app_id(), "A".repeat(ENCODED_MAX_BYTES + 1));
        assert_eq!(parse(&long), Err(ReadError::TooLong));
        // A name that ends within a character.
        assert_eq!(
            parse(&format!("006{}é", "a".repeat(31))),
            Err(ReadError::Incomplete)
        );
    }

    #[test]
    fn a_privilege_given_twice_counts_as_its_last_unless_it_is_refused() {
        let message = [
            &[1, 0, 0, 0, 2, 0, 0, 0, 2, 0][..],
            &[1, 0, 7, 0, 0, 0],
            &[1, 0, 8, 0, 0, 0],
        ]
        .concat();
        let mut out = Writer::default();
        out.bytes(&[0; 32]).unwrap();
        out.u32(0);
        out.u32(0);
        out.bytes(&message).unwrap();
        let text = text_of(&out.into_bytes());
        let last = ReadToken006::parse(&text, Duplicates::LastCounts).unwrap();
        assert_eq!(last.privileges, Privileges::from([(1, 8)]));
        assert_eq!(
            ReadToken006::parse(&text, Duplicates::Refused),
            Err(ReadError::Duplicate)
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
