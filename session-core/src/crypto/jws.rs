//! Compact JSON web signatures with HMAC-SHA256, the one algorithm that any token here has.
//!
//! What both kinds of token share, those of our own sign-in and those of a media vendor. Which
//! members the payload has, and what they mean, is the business of each.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::mac::{constant_time_eq, hmac_sha256};

/// The token of a header and a payload.
pub(crate) fn sign(header: &str, payload: &str, key: &[u8]) -> String {
    let mut token = URL_SAFE_NO_PAD.encode(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let mac = hmac_sha256(key, token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(mac, &mut token);
    token
}

/// A token in its three parts. Nothing in it is to be believed before a key
/// [has signed](Self::is_signed) it.
#[derive(Debug)]
pub(crate) struct Compact<'a> {
    signed: &'a str,
    header: &'a str,
    payload: &'a str,
    mac: Vec<u8>,
}

/// A header that asks for something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InvalidHeader {
    /// Not base64url.
    Form,
    /// Another algorithm or kind, or members that bring a key or demand to be understood.
    Content,
}

impl<'a> Compact<'a> {
    /// The parts of a token; `None` for other text. A fourth part is found when the payload is
    /// decoded, as it brings a dot, which is no digit.
    pub(crate) fn split(token: &'a str) -> Option<Self> {
        let (signed, mac) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        Some(Self {
            signed,
            header,
            payload,
            mac: decode(mac)?,
        })
    }

    /// Whether this key made the MAC, in a time that does not depend on where they differ.
    pub(crate) fn is_signed(&self, key: &[u8]) -> bool {
        constant_time_eq(&hmac_sha256(key, self.signed.as_bytes()), &self.mac)
    }

    /// Whether the header asks for what is done anyway, and for nothing else.
    pub(crate) fn check_header(&self) -> Result<(), InvalidHeader> {
        let bytes = decode(self.header).ok_or(InvalidHeader::Form)?;
        let header: Header = parse_object(&bytes).ok_or(InvalidHeader::Content)?;
        let is_ours = header.alg == "HS256" && header.typ.is_none_or(|typ| typ == "JWT");
        // Members that would bring a key, or demand an understanding that is not there (RFC 8725).
        let is_foreign = header.crit || header.jku || header.jwk || header.x5u || header.x5c;
        if is_ours && !is_foreign {
            Ok(())
        } else {
            Err(InvalidHeader::Content)
        }
    }

    /// The bytes of the header; `None` where it is not base64url.
    pub(crate) fn header(&self) -> Option<Vec<u8>> {
        decode(self.header)
    }

    /// The bytes of the payload; `None` where it is not base64url.
    pub(crate) fn payload(&self) -> Option<Vec<u8>> {
        decode(self.payload)
    }
}

/// Strict base64url: no padding, no spare bits set.
fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// Reads one JSON object and nothing after it. A member that is known must not come twice: two
/// readers could take one each.
pub(crate) fn parse_object<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let text = core::str::from_utf8(bytes).ok()?;
    // A derived reader would take an array as well, its elements in the order of the members.
    let is_object = text
        .trim_start_matches([' ', '\t', '\r', '\n'])
        .starts_with('{');
    is_object.then(|| serde_json::from_str(text).ok()).flatten()
}

/// A member that may be absent, but not `null`.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// A member that is an object, or absent: as with the whole, a derived reader would take an array.
pub(crate) fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members)).map(Some)
        }
    }

    value.deserialize_map(Object(PhantomData))
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default, deserialize_with = "given")]
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    jku: bool,
    #[serde(default, deserialize_with = "present")]
    jwk: bool,
    #[serde(default, deserialize_with = "present")]
    x5c: bool,
    #[serde(default, deserialize_with = "present")]
    x5u: bool,
}

/// Whether a member is there at all, whatever it holds.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn a_signed_text_is_split_into_what_it_was_made_of() {
        let token = sign(r#"{"alg":"HS256"}"#, r#"{"a":1}"#, b"key");
        let compact = Compact::split(&token).unwrap();
        assert!(compact.is_signed(b"key"));
        assert!(!compact.is_signed(b"another"));
        assert_eq!(compact.check_header(), Ok(()));
        assert_eq!(compact.payload().as_deref(), Some(&br#"{"a":1}"#[..]));
    }

    #[test]
    fn text_of_fewer_parts_is_none_and_a_fourth_part_has_no_payload() {
        for text in ["", "a", "a.b", "YQ.YQ", "YQ.YQ.Y", "YQ.YQ.YQ=", "YQ.YQ.+/"] {
            assert!(Compact::split(text).is_none(), "{text}");
        }
        let four = Compact::split("YQ.YQ.YQ.YQ").unwrap();
        assert_eq!(four.payload(), None);
    }

    #[test]
    fn a_header_is_refused_for_its_form_or_for_what_it_asks() {
        for (header, expected) in [
            ("Y", InvalidHeader::Form),
            ("YQ", InvalidHeader::Content),
            ("", InvalidHeader::Content),
        ] {
            let token = format!("{header}.YQ.YQ");
            let compact = Compact::split(&token).unwrap();
            assert_eq!(compact.check_header(), Err(expected), "{header}");
        }
    }
}
