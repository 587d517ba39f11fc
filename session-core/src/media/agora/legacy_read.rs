//! Reading and verifying tokens of version 006. Channel and account are not in the token: whoever
//! verifies one has to be told them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::crc32::crc32;
use super::credentials::{AppCertificate, is_credential};
use super::legacy::{Admission, VERSION, signature};
use super::parse::{Duplicates, ENCODED_MAX_BYTES, ReadError};
use super::payload::Reader;
use super::service::Privileges;
use super::verify::VerifyError;
use crate::crypto::constant_time_eq;
use crate::types::Timestamp;

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

/// How long the name of a project is, which stands before the base64 as it is.
const APP_ID_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::agora::payload::Writer;
    use crate::media::agora::{AccessToken006, AppId};
    use alloc::format;

    const CERTIFICATE: &str = "5cfd2fd1755d40ecb72977518be15d3b";

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

    /// For account 23 in room-1, until second 1000.
    fn token(privileges: &[(u16, u32)]) -> AccessToken006 {
        AccessToken006 {
            app_id: app_id(),
            admission: admission("room-1", "23"),
            salt: 1,
            ts: 1000,
            privileges: privileges.iter().copied().collect(),
        }
    }

    /// A token that was built with these, and read.
    fn built(privileges: &[(u16, u32)]) -> ReadToken006 {
        read(&token(privileges).to_text(&certificate()).unwrap())
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
    fn a_token_is_valid_until_before_its_end() {
        let read = built(&[(1, 0)]);
        for (now, expected) in [(0, Ok(())), (999, Ok(())), (1000, Err(VerifyError::Ended))] {
            let now = Timestamp::from_unix(now);
            let verified = read.verify(&certificate(), &admission("room-1", "23"), now);
            assert_eq!(verified, expected, "{now}");
        }
    }

    #[test]
    fn a_token_is_for_one_channel_and_one_account() {
        let read = built(&[(1, 0)]);
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
            built(&[(1, 0)]).verify_signature(&upper, &admission("room-1", "23")),
            Err(VerifyError::Signature)
        );
    }

    #[test]
    fn a_malformed_app_id_is_refused_though_the_arithmetic_is_right() {
        let mut read = built(&[]);
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
        let read = built(&[(1, 0), (2, 500), (3, 2000)]);
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
}
