//! Texts for logs: errors with what brought them about, and names of rows, without the parts that
//! nobody may read there.

use std::error::Error;
use std::fmt::{Display, Write};

/// Hex digits of a wallet.
const WALLET_DIGITS: usize = 40;

/// Hex digits from which on a text may be a nonce, a hash or a part of a signature. Identifiers of
/// rooms and stays have fewer.
const UNTOLD_DIGITS_MIN: usize = 64;

/// What may be told of something: wallets are shortened, and whatever is as long as a nonce.
pub(crate) fn shown(what: impl Display) -> String {
    redacted(&what.to_string())
}

/// What may be told of an error, with its sources.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a text does not fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    redacted(&text)
}

fn redacted(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let plain = rest.find(|c: char| c.is_ascii_hexdigit());
        let (before, from_digits) = rest.split_at(plain.unwrap_or(rest.len()));
        told.push_str(before);
        let end = from_digits.find(|c: char| !c.is_ascii_hexdigit());
        let (digits, after) = from_digits.split_at(end.unwrap_or(from_digits.len()));
        match digits.len() {
            WALLET_DIGITS => {
                told.push_str(&digits[..4]);
                told.push('…');
                told.push_str(&digits[WALLET_DIGITS - 4..]);
            }
            UNTOLD_DIGITS_MIN.. => {
                told.push_str(&digits[..4]);
                told.push('…');
            }
            _ => told.push_str(digits),
        }
        rest = after;
    }
    told
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use session_core::auth::ChallengeKey;
    use session_core::changeset::{Key, Rejection};
    use session_core::service::ExecuteError;
    use session_core::types::{RoomId, Wallet};

    use super::*;

    #[test]
    fn names_of_rows_tell_neither_a_wallet_nor_a_nonce() {
        let key = Key::Challenge(ChallengeKey {
            wallet: Wallet::from_bytes([0xab; 20]),
            nonce: [0xcd; 32],
        });
        let text = shown(&key);
        assert!(text.contains("0xabab…abab"), "{text}");
        assert!(!text.contains(&"ab".repeat(20)), "{text}");
        assert!(!text.contains(&"cd".repeat(32)), "{text}");
        let rejected = ExecuteError::Rejected(Rejection::Conflict(key));
        assert!(!in_full(&rejected).contains(&"cd".repeat(32)));
    }

    #[test]
    fn what_ties_lines_together_stays() {
        let room = RoomId::from_random([0xee; 16]);
        assert_eq!(shown(room), room.to_string());
        assert_eq!(shown("table seat: é 0xfeed"), "table seat: é 0xfeed");
    }

    #[test]
    fn sources_are_told_to_the_last() {
        #[derive(Debug)]
        struct Nested(Option<Box<Self>>);
        impl Display for Nested {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(if self.0.is_some() { "outer" } else { "inner" })
            }
        }
        impl Error for Nested {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                self.0.as_deref().map(|inner| inner as &dyn Error)
            }
        }
        let error = Nested(Some(Box::new(Nested(None))));
        assert_eq!(in_full(&error), "outer: inner");
    }
}
