//! Answers kept for repeats.
//!
//! A caller that marks a request with an `Idempotency-Key` gets the first answer again. The record
//! is part of the changeset, so there is no instant at which the effect is stored and the answer
//! is not.

use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use crate::types::{Seconds, Timestamp, Wallet};

/// How long an answer is kept (`security.md` D1).
pub const IDEMPOTENCY_KEPT_SECONDS: Seconds = Seconds::new(24 * 3600);

/// The longest key, in characters (`security.md` D1).
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// Text that is no idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

/// Whose repeat, of which command, by which key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdempotencyKey {
    /// Who called: a key of one caller never answers another.
    pub caller: Wallet,
    /// The stable name of the command.
    pub command: String,
    /// What the caller sent.
    pub key: String,
}

impl IdempotencyKey {
    /// The key of a caller for a command.
    ///
    /// # Errors
    /// [`InvalidIdempotencyKey`] unless it is 1 to 255 visible ASCII characters.
    pub fn parse(caller: Wallet, command: &str, key: &str) -> Result<Self, InvalidIdempotencyKey> {
        let fits = (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len())
            && key.bytes().all(|byte| byte.is_ascii_graphic());
        if fits {
            Ok(Self {
                caller,
                command: command.to_string(),
                key: key.to_string(),
            })
        } else {
            Err(InvalidIdempotencyKey)
        }
    }
}

/// A request that asks to be answered once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// Whose, of what, by which key.
    pub key: IdempotencyKey,
    /// A digest of what was asked: the same key with another is a caller's mistake.
    pub fingerprint: [u8; 16],
}

/// The answer that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    /// Whose, of what, by which key.
    pub key: IdempotencyKey,
    /// A digest of what was asked.
    pub fingerprint: [u8; 16],
    /// The reply or the refusal as JSON. It holds what an answer is made from, never a token.
    pub answer: String,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_of_bounded_length() {
        let parse = |key: &str| IdempotencyKey::parse(Wallet::from_bytes([1; 20]), "join", key);
        assert!(parse("a").is_ok());
        assert!(parse(&"k".repeat(255)).is_ok());
        for wrong in ["", "a b", "é", "a\n", &"k".repeat(256)] {
            assert_eq!(parse(wrong), Err(InvalidIdempotencyKey), "{wrong:?}");
        }
    }
}
