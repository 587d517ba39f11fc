//! Reading a token.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::build::VERSION;
use super::payload::{PAYLOAD_MAX_BYTES, Reader};
use super::service::Service;
use super::zlib::inflate;

/// Text that is no token of the version that was to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// Not standard base64 with padding.
    #[error("token is not base64")]
    Base64,
    /// Something given twice, where that was to be refused.
    #[error("token gives a privilege or permission twice")]
    Duplicate,
    /// The payload ends in the middle of something.
    #[error("token payload is incomplete")]
    Incomplete,
    /// Not exactly one zlib stream, or one whose checksum is wrong.
    #[error("token is not a zlib stream")]
    Inflate,
    /// A text that is not UTF-8.
    #[error("text in token is not utf-8")]
    NotText,
    /// Another version, or none.
    #[error("token is not of the version that is read")]
    Prefix,
    /// More than any token we would read.
    #[error("token is too long")]
    TooLong,
    /// Something after the end, which no signature covers.
    #[error("token has bytes after its end")]
    Trailing,
}

/// What to do where a privilege, or a permission of a resource, is given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum Duplicates {
    /// The last one counts, as to the vendor's own readers.
    LastCounts,
    /// The token is refused: no builder writes such a thing.
    Refused,
}

/// A token as it was read. Nothing in it is to be believed before it has been
/// [verified](Self::verify).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadToken {
    /// The project, which may be any text.
    pub app_id: String,
    /// When the token was issued, Unix seconds.
    pub issue_ts: u32,
    /// Seconds after `issue_ts` for which it lasts.
    pub expire: u32,
    /// Drawn at random.
    pub salt: u32,
    /// How many services the token says it holds.
    pub service_count: u16,
    /// The services that were read: all of them, or those before the first of an unknown type.
    pub services: Vec<Service>,
    /// The type at which reading stopped, as nobody knows how long such a service is.
    pub unknown_service_type: Option<u16>,
    /// Bytes after the last service, which the signature covers like all others; `None` where
    /// reading stopped before.
    pub trailing_bytes: Option<usize>,
    /// The signature, which a good token has 32 bytes of.
    signature: Vec<u8>,
    /// All that follows the signature, exactly as it stood: packing it again might order it in
    /// another way.
    signing_info: Vec<u8>,
}

impl ReadToken {
    /// Reads a token's text. Neither the work nor the memory exceeds a fixed bound, whatever the
    /// text.
    ///
    /// # Errors
    /// [`ReadError`] for text that is not such a token.
    pub fn parse(text: &str, duplicates: Duplicates) -> Result<Self, ReadError> {
        let encoded = text.strip_prefix(VERSION).ok_or(ReadError::Prefix)?;
        if encoded.len() > ENCODED_MAX_BYTES {
            return Err(ReadError::TooLong);
        }
        let packed = STANDARD.decode(encoded).map_err(|_| ReadError::Base64)?;
        Self::from_payload(&inflate(&packed)?, duplicates)
    }

    /// Reads a payload that has been unpacked already.
    ///
    /// # Errors
    /// [`ReadError`] for bytes that are no payload.
    pub fn from_payload(payload: &[u8], duplicates: Duplicates) -> Result<Self, ReadError> {
        if payload.len() > PAYLOAD_MAX_BYTES {
            return Err(ReadError::TooLong);
        }
        let mut reader = Reader::new(payload);
        let signature = reader.bytes()?.to_vec();
        let signing_info = reader.rest().to_vec();
        let mut token = Self {
            app_id: reader.text()?,
            issue_ts: reader.u32()?,
            expire: reader.u32()?,
            salt: reader.u32()?,
            service_count: reader.u16()?,
            services: Vec::new(),
            unknown_service_type: None,
            trailing_bytes: None,
            signature,
            signing_info,
        };
        token.read_services(&mut reader, duplicates)?;
        Ok(token)
    }

    fn read_services(
        &mut self,
        reader: &mut Reader<'_>,
        duplicates: Duplicates,
    ) -> Result<(), ReadError> {
        for _ in 0..self.service_count {
            let type_number = reader.u16()?;
            let Some(service) = Service::read(type_number, reader, duplicates)? else {
                self.unknown_service_type = Some(type_number);
                return Ok(());
            };
            self.services.push(service);
        }
        self.trailing_bytes = Some(reader.rest().len());
        Ok(())
    }

    /// Whether the token holds services that were not read. Nothing may be granted on account of
    /// those.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.unknown_service_type.is_some()
    }

    /// The signature, which a good token has 32 bytes of.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// The bytes that the signature covers, exactly as they stood.
    #[must_use]
    pub fn signing_info(&self) -> &[u8] {
        &self.signing_info
    }
}

impl Duplicates {
    pub(super) fn insert<V>(
        self,
        map: &mut BTreeMap<u16, V>,
        key: u16,
        value: V,
    ) -> Result<(), ReadError> {
        let is_new = map.insert(key, value).is_none();
        match self {
            Self::Refused if !is_new => Err(ReadError::Duplicate),
            Self::LastCounts | Self::Refused => Ok(()),
        }
    }
}

/// The longest base64 that is decoded. Deflate makes at most 9 bits of 8, base64 4 bytes of 3:
/// every payload that is short enough fits half as much again.
pub(super) const ENCODED_MAX_BYTES: usize = 2 * PAYLOAD_MAX_BYTES;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use miniz_oxide::deflate::compress_to_vec_zlib;

    /// An app id, three numbers and a service count after an empty signature.
    const HEAD: [u8; 19] = [0, 0, 1, 0, b'a', 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 1, 0];

    fn payload(service: &[u8]) -> Vec<u8> {
        [&HEAD, service].concat()
    }

    fn text_of(packed: &[u8]) -> String {
        VERSION.to_string() + &STANDARD.encode(packed)
    }

    fn parse(text: &str) -> Result<ReadToken, ReadError> {
        ReadToken::parse(text, Duplicates::Refused)
    }

    #[test]
    fn a_payload_is_read_to_its_end() {
        let read = ReadToken::from_payload(&payload(&[4, 0, 0, 0]), Duplicates::Refused).unwrap();
        assert_eq!((read.issue_ts, read.expire, read.salt), (1, 2, 3));
        assert_eq!((read.app_id.as_str(), read.service_count), ("a", 1));
        assert_eq!(read.services.len(), 1);
        assert_eq!(
            (read.trailing_bytes, read.is_incomplete()),
            (Some(0), false)
        );
        assert_eq!(read.signature(), b"");
        assert_eq!(read.signing_info(), &payload(&[4, 0, 0, 0])[2..]);
    }

    #[test]
    fn every_shorter_payload_is_incomplete() {
        let whole = payload(&[4, 0, 0, 0]);
        for length in 0..whole.len() {
            assert_eq!(
                ReadToken::from_payload(&whole[..length], Duplicates::Refused),
                Err(ReadError::Incomplete),
                "{length}"
            );
        }
    }

    #[test]
    fn a_token_with_an_unknown_service_is_marked_and_its_rest_is_not_counted() {
        let read = ReadToken::from_payload(&payload(&[11, 0]), Duplicates::Refused).unwrap();
        assert!(read.is_incomplete());
        assert_eq!(read.unknown_service_type, Some(11));
        assert_eq!((read.services.len(), read.trailing_bytes), (0, None));
    }

    #[test]
    fn a_privilege_given_twice_counts_as_its_last_unless_it_is_refused() {
        let twice = payload(&[4, 0, 2, 0, 1, 0, 7, 0, 0, 0, 1, 0, 8, 0, 0, 0]);
        let read = ReadToken::from_payload(&twice, Duplicates::LastCounts).unwrap();
        assert_eq!(read.services[0].privileges, BTreeMap::from([(1, 8)]));
        assert_eq!(
            ReadToken::from_payload(&twice, Duplicates::Refused),
            Err(ReadError::Duplicate)
        );
    }

    #[test]
    fn a_stream_inflates_to_64_kib_and_not_to_a_byte_more() {
        let rest = PAYLOAD_MAX_BYTES - payload(&[4, 0, 0, 0]).len();
        let longest = [payload(&[4, 0, 0, 0]), vec![0; rest]].concat();
        let longer = [longest.as_slice(), &[0]].concat();
        for level in [0, 6] {
            let read = parse(&text_of(&compress_to_vec_zlib(&longest, level))).unwrap();
            assert_eq!(read.trailing_bytes, Some(rest));
            assert_eq!(
                parse(&text_of(&compress_to_vec_zlib(&longer, level))),
                Err(ReadError::TooLong)
            );
        }
        assert_eq!(
            ReadToken::from_payload(&longer, Duplicates::Refused),
            Err(ReadError::TooLong)
        );
    }

    #[test]
    fn a_bomb_and_a_long_text_are_refused() {
        let bomb = compress_to_vec_zlib(&vec![0; 50 << 20], 9);
        assert_eq!(parse(&text_of(&bomb)), Err(ReadError::TooLong));
        let long = "A".repeat(ENCODED_MAX_BYTES + 1);
        assert_eq!(
            parse(&(VERSION.to_string() + &long)),
            Err(ReadError::TooLong)
        );
    }

    #[test]
    fn only_one_whole_stream_is_read() {
        let mut packed = compress_to_vec_zlib(&payload(&[4, 0, 0, 0]), 6);
        assert!(parse(&text_of(&packed)).is_ok());
        let cut = packed.len() - 1;
        assert_eq!(parse(&text_of(&packed[..cut])), Err(ReadError::Inflate));
        // Without its two bytes of header and four of checksum it is raw deflate.
        assert_eq!(
            parse(&text_of(&packed[2..cut - 3])),
            Err(ReadError::Inflate)
        );
        packed[cut] ^= 1;
        assert_eq!(parse(&text_of(&packed)), Err(ReadError::Inflate));
        packed[cut] ^= 1;
        packed.push(0);
        assert_eq!(parse(&text_of(&packed)), Err(ReadError::Inflate));
    }

    #[test]
    fn only_canonical_standard_base64_is_read() {
        let good = text_of(&compress_to_vec_zlib(&payload(&[4, 0, 0, 0]), 6));
        assert!(good.ends_with("4="), "{good}");
        for text in [
            good.trim_end_matches('=').to_string(),
            good.clone() + "=",
            good.clone() + "\n",
            good.replacen("007", "007 ", 1),
            good.replacen("007", "007-", 1),
            // The bits that the last digit has to spare are not zero.
            good.replace("4=", "5="),
        ] {
            assert_ne!(text, good);
            assert_eq!(parse(&text), Err(ReadError::Base64), "{text}");
        }
    }

    #[test]
    fn another_version_is_refused() {
        for text in ["", "0", "00", "006", "008eJw", " 007", "７"] {
            assert_eq!(parse(text), Err(ReadError::Prefix), "{text}");
        }
        assert_eq!(parse("007"), Err(ReadError::Inflate));
    }
}
