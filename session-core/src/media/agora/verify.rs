//! Verifying a token that was read.

use super::build::signing_key;
use super::credentials::{AppCertificate, is_credential};
use super::parse::ReadToken;
use crate::crypto::{constant_time_eq, hmac_sha256};
use crate::types::{Seconds, Timestamp};

/// A token that is not to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "callers map each")]
pub enum VerifyError {
    /// The project's name is not 32 hex digits. The arithmetic of the signature may be right; the
    /// vendor refuses such a token all the same.
    #[error("app id of token is malformed")]
    AppId,
    /// The token has ended.
    #[error("token has ended")]
    Ended,
    /// The token was issued in the future.
    #[error("token is not valid yet")]
    NotYet,
    /// Another certificate, or something was changed.
    #[error("token has a wrong signature")]
    Signature,
}

/// Where an instant lies in the life of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "closed: before, during, after")]
pub enum Validity {
    /// Before it was issued.
    NotYet,
    /// Between its issue and its end.
    Valid,
    /// At its end or later.
    Ended,
}

impl ReadToken {
    /// Verifies that the token was signed with a certificate and that now is within its life.
    ///
    /// It does not say *what* the token grants: the caller compares project, channel and account
    /// with what it expects, and grants nothing on account of services that were not read.
    ///
    /// # Errors
    /// [`VerifyError`], the signature first: nothing else in a forged token means anything.
    pub fn verify(
        &self,
        certificate: &AppCertificate,
        now: Timestamp,
        skew: Seconds,
    ) -> Result<(), VerifyError> {
        self.verify_signature(certificate)?;
        match self.validity(now, skew) {
            Validity::NotYet => Err(VerifyError::NotYet),
            Validity::Valid => Ok(()),
            Validity::Ended => Err(VerifyError::Ended),
        }
    }

    /// Verifies that the token was signed with a certificate, which says nothing about time.
    ///
    /// # Errors
    /// [`VerifyError::Signature`] or [`VerifyError::AppId`].
    pub fn verify_signature(&self, certificate: &AppCertificate) -> Result<(), VerifyError> {
        let key = signing_key(certificate, self.issue_ts, self.salt);
        let expected = hmac_sha256(&*key, self.signing_info());
        // A signature of another length is unequal as well.
        if !constant_time_eq(&expected, self.signature()) {
            return Err(VerifyError::Signature);
        }
        if !is_credential(&self.app_id) {
            return Err(VerifyError::AppId);
        }
        Ok(())
    }

    /// Where now lies in the life that the token itself claims. `skew` is how far the clock of the
    /// issuer may be ahead of ours; it does not lengthen the life.
    #[must_use]
    pub fn validity(&self, now: Timestamp, skew: Seconds) -> Validity {
        // In 64 bits: with absurd numbers the sum passes 32.
        let issued = u64::from(self.issue_ts);
        let end = issued.saturating_add(u64::from(self.expire));
        if issued > now.unix().saturating_add(skew.get()) {
            Validity::NotYet
        } else if now.unix() < end {
            Validity::Valid
        } else {
            Validity::Ended
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        AccessToken007, AppId, Duplicates, Privileges, ReadToken, Service, ServiceBody,
    };
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    const CERTIFICATE: &str = "5cfd2fd1755d40ecb72977518be15d3b";

    fn certificate(text: &str) -> AppCertificate {
        AppCertificate::parse(text).unwrap()
    }

    fn payload(issue_ts: u32, expire: u32) -> Vec<u8> {
        AccessToken007 {
            app_id: AppId::parse("970ca35de60c44645bbae8a215061b33").unwrap(),
            issue_ts,
            expire,
            salt: 1,
            services: vec![Service {
                privileges: Privileges::from([(1, 0)]),
                body: ServiceBody::Fpa,
            }],
        }
        .payload(&certificate(CERTIFICATE))
        .unwrap()
    }

    fn read(payload: &[u8]) -> ReadToken {
        ReadToken::from_payload(payload, Duplicates::Refused).unwrap()
    }

    fn verify(payload: &[u8], now: u64) -> Result<(), VerifyError> {
        let skew = Seconds::new(5);
        read(payload).verify(&certificate(CERTIFICATE), Timestamp::from_unix(now), skew)
    }

    #[test]
    fn a_token_is_valid_from_its_issue_less_the_skew_until_before_its_end() {
        let payload = payload(1000, 90);
        let cases = [
            (0, Err(VerifyError::NotYet)),
            (994, Err(VerifyError::NotYet)),
            (995, Ok(())),
            (1000, Ok(())),
            (1089, Ok(())),
            (1090, Err(VerifyError::Ended)),
        ];
        for (now, expected) in cases {
            assert_eq!(verify(&payload, now), expected, "{now}");
        }
    }

    #[test]
    fn absurd_numbers_do_not_wrap() {
        let payload = payload(u32::MAX, u32::MAX);
        let end = u64::from(u32::MAX) * 2;
        assert_eq!(verify(&payload, end - 1), Ok(()));
        assert_eq!(verify(&payload, end), Err(VerifyError::Ended));
        let skew = Seconds::new(u64::MAX);
        assert_eq!(
            read(&payload).validity(Timestamp::MAX, skew),
            Validity::Ended
        );
        assert_eq!(
            read(&payload).validity(Timestamp::EPOCH, skew),
            Validity::Valid
        );
    }

    #[test]
    fn another_certificate_did_not_sign_and_upper_case_is_another() {
        let payload = payload(1000, 90);
        for other in [
            &CERTIFICATE.to_uppercase(),
            "970ca35de60c44645bbae8a215061b33",
        ] {
            assert_eq!(
                read(&payload).verify_signature(&certificate(other)),
                Err(VerifyError::Signature)
            );
        }
    }

    #[test]
    fn a_signature_of_another_length_is_refused() {
        let good = payload(1000, 90);
        let (signature, info) = good[2..].split_at(32);
        let [short, long] = [&signature[..31], &[signature, &[0]].concat()].map(|signature| {
            let length = u16::try_from(signature.len()).unwrap().to_le_bytes();
            [&length, signature, info].concat()
        });
        let none = [&[0, 0], info].concat();
        for payload in [short, long, none] {
            assert_eq!(verify(&payload, 1000), Err(VerifyError::Signature));
        }
    }

    #[test]
    fn a_malformed_app_id_is_refused_though_the_arithmetic_is_right() {
        let info = [2, 0, b'a', b'b', 1, 0, 0, 0, 90, 0, 0, 0, 1, 0, 0, 0, 0, 0];
        let key = signing_key(&certificate(CERTIFICATE), 1, 1);
        let signature = hmac_sha256(&*key, &info);
        let payload = [&[32, 0], &signature[..], &info].concat();
        assert_eq!(verify(&payload, 1), Err(VerifyError::AppId));
    }
}
