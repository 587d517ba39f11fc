//! What names an escrow, and a booking in it.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::types::{BookingId, Wallet};

/// Text that does not name a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text does not name a booking of an escrow")]
pub struct InvalidBookingKey;

/// A deployed contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "these two name a contract")]
pub struct EscrowId {
    /// The chain, as EIP-155 numbers it.
    pub chain_id: u64,
    /// The contract's address.
    pub address: Wallet,
}

impl fmt::Display for EscrowId {
    /// `chain/address`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.chain_id, self.address)
    }
}

impl FromStr for EscrowId {
    type Err = InvalidBookingKey;

    fn from_str(text: &str) -> Result<Self, InvalidBookingKey> {
        let (chain_id, address) = text.split_once('/').ok_or(InvalidBookingKey)?;
        let escrow = Self {
            chain_id: chain_id.parse().map_err(|_| InvalidBookingKey)?,
            address: address.parse().map_err(|_| InvalidBookingKey)?,
        };
        if escrow.to_string() == text {
            Ok(escrow)
        } else {
            Err(InvalidBookingKey)
        }
    }
}

/// A booking, wherever it is: identifiers begin at 1 in every contract, so a bare one names nothing
/// (`settlement.md` section 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[allow(clippy::exhaustive_structs, reason = "these two name a booking")]
pub struct BookingKey {
    /// Which contract.
    pub escrow: EscrowId,
    /// Which of its bookings.
    pub booking: BookingId,
}

impl fmt::Display for BookingKey {
    /// `chain/address/booking`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.escrow, self.booking)
    }
}

impl FromStr for BookingKey {
    type Err = InvalidBookingKey;

    fn from_str(text: &str) -> Result<Self, InvalidBookingKey> {
        let (escrow, booking) = text.rsplit_once('/').ok_or(InvalidBookingKey)?;
        Ok(Self {
            escrow: escrow.parse()?,
            booking: booking.parse().map_err(|_| InvalidBookingKey)?,
        })
    }
}

impl TryFrom<String> for BookingKey {
    type Error = InvalidBookingKey;

    fn try_from(text: String) -> Result<Self, InvalidBookingKey> {
        text.parse()
    }
}

impl From<BookingKey> for String {
    fn from(key: BookingKey) -> Self {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_names_a_booking() {
        let text = "42431/0xe5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5/7";
        let key: BookingKey = text.parse().unwrap();
        assert_eq!(key.escrow.chain_id, 42431);
        assert_eq!(key.to_string(), text);
        for wrong in [
            "",
            "42431/7",
            "042431/0xe5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5/7",
            "42431/0xE5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5/7",
            "42431/0xe5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5/07",
            "42431/0xe5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5/7/",
        ] {
            assert_eq!(
                wrong.parse::<BookingKey>(),
                Err(InvalidBookingKey),
                "{wrong}"
            );
        }
    }
}
