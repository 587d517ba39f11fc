//! Building a token.

use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::credentials::{AppCertificate, AppId};
use super::payload::{PAYLOAD_MAX_BYTES, Writer};
use super::service::Service;
use super::zlib;
use crate::crypto::hmac_sha256;

/// What the text of every token of this version starts with.
pub(super) const VERSION: &str = "007";

/// A token that the format cannot express.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A token for no service at all.
    #[error("token names no service")]
    NoServices,
    /// More than 64 KiB, which no reader of ours takes.
    #[error("token payload is longer than 65536 bytes")]
    PayloadTooLong,
    /// A text of more than 65 535 bytes.
    #[error("text in token is longer than 65535 bytes")]
    TextTooLong,
    /// More than 65 535 services, privileges, permissions or names.
    #[error("token holds more than 65535 of a kind")]
    TooMany,
}

/// How the payload is packed. Any packing is a valid token; texts of different packings differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Compression {
    /// Ordinary deflate, which is what the vendor's own builders write.
    #[default]
    Deflated,
    /// One stored block: longer and cheaper. The vendor's published readers take it; whether its
    /// servers do has not been tested.
    Stored,
}

/// A token of version 007, as the format has it: nothing here stops a caller from granting too
/// much. Servers use [`AgoraIssuer`](super::AgoraIssuer).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "the format knows no other field")]
pub struct AccessToken007 {
    /// The project.
    pub app_id: AppId,
    /// When the token was issued, Unix seconds.
    pub issue_ts: u32,
    /// Seconds *after* `issue_ts` for which it lasts. The vendor counts 0, and anything above
    /// 86 400, as a day.
    pub expire: u32,
    /// Drawn at random, so that two tokens of one second differ.
    pub salt: u32,
    /// What is granted, in any order.
    pub services: Vec<Service>,
}

impl AccessToken007 {
    /// The bytes that the signature covers. Services are put into the order of their types; those
    /// of equal type keep theirs.
    ///
    /// # Errors
    /// [`BuildError`] where there is no service, or the format has no room.
    pub fn signing_info(&self) -> Result<Vec<u8>, BuildError> {
        if self.services.is_empty() {
            return Err(BuildError::NoServices);
        }
        let mut services: Vec<&Service> = self.services.iter().collect();
        services.sort_by_key(|service| service.body.type_number());

        let mut out = Writer::default();
        out.text(self.app_id.as_str())?;
        out.u32(self.issue_ts);
        out.u32(self.expire);
        out.u32(self.salt);
        out.count(services.len())?;
        for service in services {
            service.write(&mut out)?;
        }
        let info = out.into_bytes();
        if info.len() <= SIGNING_INFO_MAX_BYTES {
            Ok(info)
        } else {
            Err(BuildError::PayloadTooLong)
        }
    }

    /// The key that signs this token.
    #[must_use]
    pub fn signing_key(&self, certificate: &AppCertificate) -> Zeroizing<[u8; 32]> {
        signing_key(certificate, self.issue_ts, self.salt)
    }

    /// The signature of this token.
    ///
    /// # Errors
    /// As [`signing_info`](Self::signing_info).
    pub fn signature(&self, certificate: &AppCertificate) -> Result<[u8; 32], BuildError> {
        let info = self.signing_info()?;
        Ok(hmac_sha256(&*self.signing_key(certificate), &info))
    }

    /// The whole payload, signature first, before it is packed. Two tokens are compared by it and
    /// never by their text, which depends on the encoder.
    ///
    /// # Errors
    /// As [`signing_info`](Self::signing_info).
    pub fn payload(&self, certificate: &AppCertificate) -> Result<Vec<u8>, BuildError> {
        let info = self.signing_info()?;
        let signature = hmac_sha256(&*self.signing_key(certificate), &info);
        let mut out = Writer::default();
        out.bytes(&signature)?;
        let mut payload = out.into_bytes();
        payload.extend_from_slice(&info);
        Ok(payload)
    }

    /// The token as clients take it. It holds `+`, `/` and `=`, so it must be escaped in a URL.
    ///
    /// # Errors
    /// As [`signing_info`](Self::signing_info).
    pub fn to_text(
        &self,
        certificate: &AppCertificate,
        compression: Compression,
    ) -> Result<String, BuildError> {
        let payload = self.payload(certificate)?;
        let packed = zlib::pack(&payload, compression);
        let mut text = String::from(VERSION);
        STANDARD.encode_string(packed, &mut text);
        Ok(text)
    }
}

/// The key that signs every token of one second and one salt. The vendor takes the numbers for the
/// key and the certificate, as text, for the message.
pub(super) fn signing_key(
    certificate: &AppCertificate,
    issue_ts: u32,
    salt: u32,
) -> Zeroizing<[u8; 32]> {
    let of_second = Zeroizing::new(hmac_sha256(&issue_ts.to_le_bytes(), certificate.expose()));
    Zeroizing::new(hmac_sha256(&salt.to_le_bytes(), &*of_second))
}

/// A payload is a signature of 32 bytes with its length, and then this.
const SIGNING_INFO_MAX_BYTES: usize = PAYLOAD_MAX_BYTES - 34;

#[cfg(test)]
mod tests {
    use super::super::{Privileges, ServiceBody};
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn rtm(user_id: &str) -> Service {
        Service {
            privileges: Privileges::from([(1, 60)]),
            body: ServiceBody::Rtm {
                user_id: user_id.to_string(),
            },
        }
    }

    fn token(services: Vec<Service>) -> AccessToken007 {
        AccessToken007 {
            app_id: AppId::parse("970ca35de60c44645bbae8a215061b33").unwrap(),
            issue_ts: 1_700_000_000,
            expire: 60,
            salt: 1,
            services,
        }
    }

    fn certificate() -> AppCertificate {
        AppCertificate::parse("5cfd2fd1755d40ecb72977518be15d3b").unwrap()
    }

    #[test]
    fn a_token_for_nothing_is_refused() {
        let token = token(vec![]);
        assert_eq!(token.signing_info(), Err(BuildError::NoServices));
        assert_eq!(token.signature(&certificate()), Err(BuildError::NoServices));
        assert_eq!(token.payload(&certificate()), Err(BuildError::NoServices));
        assert_eq!(
            token.to_text(&certificate(), Compression::default()),
            Err(BuildError::NoServices)
        );
    }

    #[test]
    fn a_payload_ends_at_64_kib() {
        let fixed = token(vec![rtm("")]).payload(&certificate()).unwrap().len();
        let longest = "u".repeat(PAYLOAD_MAX_BYTES - fixed);
        let payload = token(vec![rtm(&longest)]).payload(&certificate()).unwrap();
        assert_eq!(payload.len(), PAYLOAD_MAX_BYTES);
        let longer = longest + "u";
        assert_eq!(
            token(vec![rtm(&longer)]).payload(&certificate()),
            Err(BuildError::PayloadTooLong)
        );
        assert_eq!(
            token(vec![rtm(&"u".repeat(65_536))]).payload(&certificate()),
            Err(BuildError::TextTooLong)
        );
    }

    #[test]
    fn the_order_of_services_of_different_types_does_not_matter() {
        let stt = Service {
            privileges: Privileges::new(),
            body: ServiceBody::Stt,
        };
        let [a, b] = [rtm("a"), rtm("b")];
        let sorted = token(vec![a.clone(), b.clone(), stt.clone()]);
        let shuffled = token(vec![stt, a.clone(), b.clone()]);
        let swapped = token(vec![b, a]);
        assert_eq!(sorted.signing_info(), shuffled.signing_info());
        assert_ne!(
            swapped.signing_info().unwrap()[46..],
            sorted.signing_info().unwrap()[46..]
        );
    }
}
