//! Numbers of 256 bits, as contracts count: identifiers and amounts that fit nothing smaller.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

pub use ruint::aliases::U256;
use serde::{Deserialize, Serialize};

/// Digits of the greatest number of 256 bits.
pub const U256_DIGITS_MAX: usize = 78;

/// Text that is not a number of 256 bits in its one canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is not a decimal number below 2^256 without leading zeros")]
pub struct InvalidU256;

/// Reads decimal digits. Another spelling of a number (a sign, a leading zero, white space) is none:
/// what is hashed, keyed and compared as text must have one form.
///
/// # Errors
/// [`InvalidU256`].
pub fn parse_u256(text: &str) -> Result<U256, InvalidU256> {
    let is_canonical = (1..=U256_DIGITS_MAX).contains(&text.len())
        && text.bytes().all(|digit| digit.is_ascii_digit())
        && (text.len() == 1 || !text.starts_with('0'));
    if !is_canonical {
        return Err(InvalidU256);
    }
    U256::from_str_radix(text, 10).map_err(|_| InvalidU256)
}

/// A number of a contract, written in decimal digits.
macro_rules! contract_number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(U256);

        impl $name {
            /// The value of this number.
            #[must_use]
            pub const fn new(number: U256) -> Self {
                Self(number)
            }

            /// The bare number.
            #[must_use]
            pub const fn get(self) -> U256 {
                self.0
            }

            /// The number as a contract's word.
            #[must_use]
            pub const fn to_word(self) -> [u8; 32] {
                self.0.to_be_bytes()
            }

            /// The value in a contract's word.
            #[must_use]
            pub const fn from_word(word: [u8; 32]) -> Self {
                Self(U256::from_be_bytes(word))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = InvalidU256;

            fn from_str(text: &str) -> Result<Self, InvalidU256> {
                parse_u256(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidU256;

            fn try_from(text: String) -> Result<Self, InvalidU256> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

contract_number!(
    /// A sum of a token, in its smallest unit. Which token, the contract says.
    TokenAmount
);
contract_number!(
    /// A booking of an escrow contract. Unique within the contract alone: identifiers begin at 1 in
    /// each.
    BookingId
);
contract_number!(
    /// A slot of an escrow contract.
    SlotId
);
contract_number!(
    /// A guest's request for a session, in an escrow contract.
    RequestId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_digits_name_a_booking() {
        let most = U256::MAX.to_string();
        assert_eq!(most.len(), U256_DIGITS_MAX);
        for text in ["0", "7", "9007199254740993", &most] {
            let id: BookingId = text.parse().unwrap();
            assert_eq!(id.to_string(), text);
            assert_eq!(BookingId::from_word(id.to_word()), id);
        }
        let beyond =
            "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        for wrong in [
            "", "007", "00", "+7", "-7", " 7", "7 ", "0x7", "1_000", "٣", beyond,
        ] {
            assert_eq!(wrong.parse::<BookingId>(), Err(InvalidU256), "{wrong}");
        }
    }
}
