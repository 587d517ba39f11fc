//! Why a call failed, as far as the chain tells. For logs only: contracts are deployed without
//! their texts, so no decision may depend on one (`settlement.md` section 1).

use alloc::string::String;
use core::fmt;

use super::abi::Decoder;
use crate::types::{U256, encode_hex};

/// The longest text that is kept, in characters. Those of the contract have up to 20.
pub const REASON_CHARS_MAX: usize = 128;

/// `Error(string)`.
const ERROR: [u8; 4] = 0x08c3_79a0_u32.to_be_bytes();
/// `Panic(uint256)`.
const PANIC: [u8; 4] = 0x4e48_7b71_u32.to_be_bytes();

/// What a failed call returned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whatever else is unreadable")]
pub enum Revert {
    /// Nothing, as contracts without texts do.
    Empty,
    /// `Error(string)`: a text of printable ASCII, cut to [`REASON_CHARS_MAX`]. Other characters
    /// are shown as `?`.
    Message(String),
    /// `Panic(uint256)`: a number of the compiler.
    Panic(U256),
    /// Anything else, by its first bytes, at most four.
    Unreadable(String),
}

impl Revert {
    /// Reads what was returned. There is nothing that it cannot be given.
    #[must_use]
    pub fn of(data: &[u8]) -> Self {
        if data.is_empty() {
            return Self::Empty;
        }
        let read = data.split_first_chunk().and_then(|(selector, rest)| {
            let mut decoder = Decoder::new(rest, 1).ok()?;
            match *selector {
                ERROR => {
                    let message = decoder.bytes().ok()?;
                    decoder.finish().ok()?;
                    Some(Self::Message(printable(message)))
                }
                PANIC => {
                    let code = U256::from_be_bytes(decoder.word().ok()?);
                    decoder.finish().ok()?;
                    Some(Self::Panic(code))
                }
                _ => None,
            }
        });
        let start = || data.iter().copied().take(4).collect::<alloc::vec::Vec<_>>();
        read.unwrap_or_else(|| Self::Unreadable(encode_hex(&start())))
    }

    /// The text, where there is one.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Message(message) => Some(message),
            Self::Empty | Self::Panic(_) | Self::Unreadable(_) => None,
        }
    }
}

impl fmt::Display for Revert {
    /// One short line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no reason given"),
            Self::Message(message) => f.write_str(message),
            Self::Panic(code) => write!(f, "panic {code:#x}"),
            Self::Unreadable(start) => write!(f, "unreadable, begins with 0x{start}"),
        }
    }
}

/// What is safe in a log: whoever wrote the contract chose the text.
fn printable(message: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(message);
    let shown = lossy.chars().take(REASON_CHARS_MAX);
    shown
        .map(|character| match character {
            ' '..='~' => character,
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::keccak256;
    use crate::escrow::abi::Encoder;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    fn error(message: &[u8]) -> Vec<u8> {
        let mut encoder = Encoder::new(1);
        encoder.bytes(message);
        [ERROR.to_vec(), encoder.finish()].concat()
    }

    fn panic(code: u8) -> Vec<u8> {
        let mut word = [0; 32];
        word[31] = code;
        [PANIC.to_vec(), word.to_vec()].concat()
    }

    #[test]
    fn selectors_are_those_of_the_compiler() {
        assert_eq!(keccak256(b"Error(string)")[..4], ERROR);
        assert_eq!(keccak256(b"Panic(uint256)")[..4], PANIC);
    }

    #[test]
    fn what_was_returned_is_told_in_one_line() {
        let cases: [(&[u8], &str); 6] = [
            (b"", "no reason given"),
            (&error(b"NOT_BOOKED"), "NOT_BOOKED"),
            (&error(b""), ""),
            (&panic(0x11), "panic 0x11"),
            (&[0xde, 0xad], "unreadable, begins with 0xdead"),
            (
                &[0xde, 0xad, 0xbe, 0xef, 0],
                "unreadable, begins with 0xdeadbeef",
            ),
        ];
        for (data, expected) in cases {
            assert_eq!(Revert::of(data).to_string(), expected);
        }
        assert_eq!(Revert::of(&error(b"A")).message(), Some("A"));
        assert_eq!(Revert::of(&panic(1)).message(), None);
    }

    #[test]
    fn a_text_is_cut_and_cannot_break_a_line() {
        let hostile = "x\n\u{1b}[31mé\u{202e}".repeat(1000);
        let Revert::Message(shown) = Revert::of(&error(hostile.as_bytes())) else {
            panic!("no message");
        };
        assert_eq!(shown.chars().count(), REASON_CHARS_MAX);
        assert!(shown.starts_with("x??[31m??x"), "{shown}");
        assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        let broken = Revert::of(&error(&[b'a', 0xff, b'b']));
        assert_eq!(broken.message(), Some("a?b"));
    }

    #[test]
    fn no_start_of_an_error_is_read_as_a_whole_one() {
        for whole in [error(b"GRACE_NOT_OVER"), panic(0x32)] {
            for length in 1..whole.len() {
                let cut = Revert::of(&whole[..length]);
                assert!(matches!(cut, Revert::Unreadable(_)), "{length}: {cut}");
            }
            let longer = [whole, alloc::vec![0]].concat();
            assert!(format!("{}", Revert::of(&longer)).starts_with("unreadable"));
        }
    }
}
