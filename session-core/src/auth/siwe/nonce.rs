//! Nonces that are their own proof of who handed them out, and when.

use alloc::string::String;

use super::super::jwt::JwtKeys;
use crate::auth::AuthPolicy;
use crate::crypto::constant_time_eq;
use crate::types::{Seconds, Timestamp, decode_hex_array, encode_hex};

/// Bytes of randomness, then of the time of issue, then of the tag.
const RANDOM_BYTES: usize = 16;
const ISSUED_BYTES: usize = 5;

/// How far ahead the clock of who handed it out may be.
const AHEAD_MAX: Seconds = Seconds::new(60);

/// What the tag is made for, so that no tag of another kind is one of a nonce.
const DOMAIN: &str = "siwe nonce 1";

/// A nonce of this server: 16 random bytes, the time of issue, and a tag of 88 bits; as text 64
/// lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SiweNonce([u8; 32]);

impl core::fmt::Debug for SiweNonce {
    /// Without its bytes: until it is used, whoever reads a log could use it.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SiweNonce(..)")
    }
}

impl SiweNonce {
    /// A new nonce.
    #[must_use]
    pub fn issue(random: [u8; RANDOM_BYTES], now: Timestamp, keys: &JwtKeys) -> Self {
        let mut bytes = [0; 32];
        bytes[..RANDOM_BYTES].copy_from_slice(&random);
        // Instants end with the year 9999, which takes less than 40 bits.
        let issued = now.unix().to_be_bytes();
        bytes[RANDOM_BYTES..RANDOM_BYTES + ISSUED_BYTES]
            .copy_from_slice(&issued[8 - ISSUED_BYTES..]);
        let (told, room) = bytes.split_at_mut(RANDOM_BYTES + ISSUED_BYTES);
        let tag = keys.tag(DOMAIN, told);
        room.copy_from_slice(&tag[..room.len()]);
        Self(bytes)
    }

    /// The nonce that a text is, if this server handed it out. That it may still be used is not
    /// said: see [`is_valid`](Self::is_valid).
    #[must_use]
    pub fn open(text: &str, keys: &JwtKeys) -> Option<Self> {
        let bytes: [u8; 32] = decode_hex_array(text).ok()?;
        // One nonce, one text: another spelling would be another thing to revoke.
        if encode_hex(&bytes) != text {
            return None;
        }
        let (told, tag) = bytes.split_at(RANDOM_BYTES + ISSUED_BYTES);
        let is_ours = keys.tags(DOMAIN, told).fold(false, |is_ours, made| {
            is_ours | constant_time_eq(&made[..tag.len()], tag)
        });
        is_ours.then_some(Self(bytes))
    }

    /// When it was handed out.
    #[must_use]
    pub fn issued_at(&self) -> Timestamp {
        let mut issued = [0; 8];
        issued[8 - ISSUED_BYTES..]
            .copy_from_slice(&self.0[RANDOM_BYTES..RANDOM_BYTES + ISSUED_BYTES]);
        Timestamp::from_unix(u64::from_be_bytes(issued))
    }

    /// The first instant at which it may not be used any more.
    #[must_use]
    pub fn expires_at(&self, policy: &AuthPolicy) -> Timestamp {
        self.issued_at().after(policy.nonce_seconds)
    }

    /// Whether it is young enough to be used.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp, policy: &AuthPolicy) -> bool {
        // One of a server whose clock is far ahead would be good for as much longer.
        let is_begun = self.issued_at() <= now.after(AHEAD_MAX);
        is_begun && now < self.expires_at(policy)
    }

    /// The bytes, for the journal.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The text that a message carries.
    #[must_use]
    pub fn to_text(self) -> String {
        encode_hex(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::crypto::Secret;

    fn keys(text: &str, older: &[&str]) -> JwtKeys {
        let older = older.iter().map(|key| Secret::new(*key)).collect();
        JwtKeys::new(Secret::new(text), older).unwrap()
    }

    #[test]
    fn a_nonce_is_taken_back_by_the_keys_that_made_it_and_by_no_others() {
        let now = Timestamp::from_unix(1_800_000_000);
        let nonce = SiweNonce::issue([7; 16], now, &keys("one", &[]));
        let text = nonce.to_text();
        assert_eq!(text.len(), 64);
        assert_eq!(SiweNonce::open(&text, &keys("one", &[])), Some(nonce));
        assert_eq!(SiweNonce::open(&text, &keys("two", &["one"])), Some(nonce));
        assert_eq!(SiweNonce::open(&text, &keys("two", &["three"])), None);
        assert_eq!(nonce.issued_at(), now);
    }

    #[test]
    fn any_other_text_is_no_nonce() {
        let keys = keys("one", &[]);
        let text = SiweNonce::issue([7; 16], Timestamp::from_unix(9), &keys).to_text();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
            let other = String::from_utf8(bytes).unwrap();
            assert_eq!(SiweNonce::open(&other, &keys), None, "{other}");
        }
        let others = vec![text.to_uppercase(), text[..62].into(), "x".repeat(64)];
        for other in others {
            assert_eq!(SiweNonce::open(&other, &keys), None, "{other}");
        }
    }

    #[test]
    fn it_is_good_up_to_the_instant_at_which_it_expires_and_not_at_it() {
        let policy = AuthPolicy::default();
        let nonce = SiweNonce::issue([7; 16], Timestamp::from_unix(1_000), &keys("one", &[]));
        for (now, is_valid) in [(990, true), (1_299, true), (1_300, false), (1_301, false)] {
            assert_eq!(
                nonce.is_valid(Timestamp::from_unix(now), &policy),
                is_valid,
                "at {now}"
            );
        }
    }
}
