//! A word of 256 bits as contracts pass it and hashes are written.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{decode_hex_array, encode_hex};

/// Text that is not `0x` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is not 0x and 64 hexadecimal digits")]
pub struct InvalidWord;

/// 32 bytes, written as `0x` and 64 lower-case digits. Digits of either case are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Word([u8; 32]);

impl Word {
    /// The zero word.
    pub const ZERO: Self = Self([0; 32]);

    /// The word of these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", encode_hex(&self.0))
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Word {
    type Err = InvalidWord;

    fn from_str(text: &str) -> Result<Self, InvalidWord> {
        let digits = text.strip_prefix("0x").ok_or(InvalidWord)?;
        decode_hex_array(digits).map(Self).map_err(|_| InvalidWord)
    }
}

impl TryFrom<String> for Word {
    type Error = InvalidWord;

    fn try_from(text: String) -> Result<Self, InvalidWord> {
        text.parse()
    }
}

impl From<Word> for String {
    fn from(word: Word) -> Self {
        word.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_in_either_case_and_written_in_one() {
        let upper = String::from("0x") + &"AB".repeat(32);
        let word: Word = upper.parse().unwrap();
        assert_eq!(word.to_string(), upper.to_lowercase());
        for wrong in [
            "",
            "0x",
            "0xab",
            &upper[2..],
            &(upper.clone() + "00"),
            "0X00",
        ] {
            assert_eq!(wrong.parse::<Word>(), Err(InvalidWord), "{wrong}");
        }
    }
}
