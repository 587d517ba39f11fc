//! Wallet addresses.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::hex::{decode_hex_array, encode_hex};

/// Text that is not a wallet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "callers map both")]
pub enum InvalidWallet {
    /// Letters of both cases that do not spell the EIP-55 checksum.
    #[error("wallet address has a wrong checksum")]
    Checksum,
    /// Not `0x` and 40 hex digits.
    #[error("wallet address is not 0x and 40 hex digits")]
    Form,
}

/// A 20-byte account address. Compared as bytes; written in lower case unless asked otherwise.
///
/// ```
/// use session_core::types::Wallet;
///
/// let wallet: Wallet = "0xeEA7a1D1fC57f9fa21a83a749aEA5ec824fa0D85".parse()?;
/// assert_eq!(wallet.to_string(), "0xeea7a1d1fc57f9fa21a83a749aea5ec824fa0d85");
/// assert_eq!(wallet.to_eip55(), "0xeEA7a1D1fC57f9fa21a83a749aEA5ec824fa0D85");
/// # Ok::<(), session_core::types::InvalidWallet>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Wallet([u8; 20]);

impl Wallet {
    /// The wallet of these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes of the address.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 20] {
        self.0
    }

    /// Parses an address whose checksum, where letters of both cases claim one, must be right
    /// (`security.md` A6). The recorded routes parse with [`FromStr`] instead, which does not look.
    ///
    /// # Errors
    /// [`InvalidWallet`], with the reason.
    pub fn parse_checked(text: &str) -> Result<Self, InvalidWallet> {
        let wallet: Self = text.parse()?;
        let digits = text.get(2..).unwrap_or_default();
        let has_upper = digits.bytes().any(|digit| digit.is_ascii_uppercase());
        let has_lower = digits.bytes().any(|digit| digit.is_ascii_lowercase());
        if has_upper && has_lower && wallet.to_eip55() != text {
            return Err(InvalidWallet::Checksum);
        }
        Ok(wallet)
    }

    /// The first and the last four digits, for logs: enough to follow one, not enough to take it
    /// elsewhere.
    ///
    /// ```
    /// use session_core::types::Wallet;
    ///
    /// let wallet: Wallet = "0xeEA7a1D1fC57f9fa21a83a749aEA5ec824fa0D85".parse()?;
    /// assert_eq!(wallet.shortened(), "0xeea7…0d85");
    /// # Ok::<(), session_core::types::InvalidWallet>(())
    /// ```
    #[must_use]
    pub fn shortened(self) -> String {
        let [first, second, .., last_but_one, last] = self.0;
        let ends = [[first, second], [last_but_one, last]].map(|end| encode_hex(&end));
        alloc::format!("0x{}…{}", ends[0], ends[1])
    }

    /// The address with the mixed-case checksum of EIP-55.
    #[must_use]
    pub fn to_eip55(self) -> String {
        let lower = encode_hex(&self.0);
        let hash = crate::crypto::keccak256(lower.as_bytes());
        let mut text = String::with_capacity(42);
        text.push_str("0x");
        for (index, digit) in lower.chars().enumerate() {
            let byte = hash[index / 2];
            let nibble = if index % 2 == 0 {
                byte >> 4
            } else {
                byte & 0x0f
            };
            text.push(if nibble >= 8 {
                digit.to_ascii_uppercase()
            } else {
                digit
            });
        }
        text
    }
}

impl fmt::Display for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        f.write_str(&encode_hex(&self.0))
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet({self})")
    }
}

impl FromStr for Wallet {
    type Err = InvalidWallet;

    /// `0x` and 40 hex digits of either case; the checksum is not looked at.
    fn from_str(text: &str) -> Result<Self, InvalidWallet> {
        let digits = text.strip_prefix("0x").ok_or(InvalidWallet::Form)?;
        decode_hex_array(digits)
            .map(Self)
            .map_err(|_| InvalidWallet::Form)
    }
}

impl TryFrom<String> for Wallet {
    type Error = InvalidWallet;

    fn try_from(text: String) -> Result<Self, InvalidWallet> {
        text.parse()
    }
}

impl From<Wallet> for String {
    fn from(wallet: Wallet) -> Self {
        wallet.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of EIP-55.
    const PUBLISHED: [&str; 8] = [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ];

    #[test]
    fn checksums_are_those_of_eip_55() {
        for text in PUBLISHED {
            assert_eq!(
                Wallet::parse_checked(text).map(Wallet::to_eip55).as_deref(),
                Ok(text)
            );
        }
    }

    #[test]
    fn a_wrong_checksum_is_refused_only_where_it_is_claimed_and_looked_at() {
        let wrong = "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        assert_eq!(Wallet::parse_checked(wrong), Err(InvalidWallet::Checksum));
        assert_eq!(wrong.parse::<Wallet>(), PUBLISHED[4].parse());
        assert_eq!(
            Wallet::parse_checked(&wrong.to_lowercase()),
            PUBLISHED[4].parse()
        );
    }

    #[test]
    fn other_lengths_prefixes_and_characters_are_refused() {
        for text in [
            "",
            "0x",
            "hello",
            "52908400098527886E0F7030069857D2E4169EE7",
            "0X52908400098527886E0F7030069857D2E4169EE7",
            "0x52908400098527886E0F7030069857D2E4169EE",
            "0x52908400098527886E0F7030069857D2E4169EE70",
            "0x52908400098527886E0F7030069857D2E4169EEg",
            " 0x52908400098527886E0F7030069857D2E4169EE7",
        ] {
            assert_eq!(text.parse::<Wallet>(), Err(InvalidWallet::Form), "{text}");
        }
    }
}
