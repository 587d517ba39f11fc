//! The name of a voice channel.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::crypto::digest128;
use crate::escrow::BookingKey;
use crate::types::{RoomId, encode_hex};

/// Text that is no name of a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("channel name is not 1 to 63 of the characters that are allowed")]
pub struct InvalidChannel;

/// The name of a voice channel: 1 to 63 bytes of the characters that vendors document.
///
/// A vendor reads an empty name, or one with `*`, as every channel. Such a name is none here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Channel(String);

impl Channel {
    /// The longest name, in bytes.
    pub const LENGTH_MAX_BYTES: usize = 63;

    /// Parses the name of one channel.
    ///
    /// # Errors
    /// [`InvalidChannel`] for another length or another character.
    pub fn parse(name: &str) -> Result<Self, InvalidChannel> {
        let is_fitting = (1..=Self::LENGTH_MAX_BYTES).contains(&name.len());
        if is_fitting && name.bytes().all(is_allowed) {
            Ok(Self(name.to_string()))
        } else {
            Err(InvalidChannel)
        }
    }

    /// The channel of a free room.
    #[must_use]
    pub fn free_room(room: RoomId) -> Self {
        // 12 characters and the 36 of an identifier, all of them allowed.
        let channel = Self(format!("heaven-free-{room}"));
        debug_assert_eq!(Self::parse(&channel.0).as_ref(), Ok(&channel));
        channel
    }

    /// The channel of a booked session: `heaven-<chain>-<booking>` at the primary escrow, with the
    /// first 8 digits of the contract's address before the booking at every other.
    ///
    /// A number of 256 bits can be longer than a channel's name. Contracts count from 1, so none
    /// ever was; such a one is named by its digest.
    #[must_use]
    pub fn booked(key: &BookingKey, is_primary: bool) -> Self {
        let chain = key.escrow.chain_id;
        let contract = encode_hex(&key.escrow.address.to_bytes()[..4]);
        let name = if is_primary {
            format!("heaven-{chain}-{}", key.booking)
        } else {
            format!("heaven-{chain}-{contract}-{}", key.booking)
        };
        Self::parse(&name).unwrap_or_else(|_| {
            let digest = digest128("booked channel 1", &[key.to_string().as_bytes()]);
            Self(format!("heaven-{chain}-x{}", encode_hex(&digest)))
        })
    }

    /// The name as the vendor is told it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Channel {
    type Err = InvalidChannel;

    fn from_str(name: &str) -> Result<Self, InvalidChannel> {
        Self::parse(name)
    }
}

impl TryFrom<String> for Channel {
    type Error = InvalidChannel;

    fn try_from(name: String) -> Result<Self, InvalidChannel> {
        Self::parse(&name)
    }
}

impl From<Channel> for String {
    fn from(channel: Channel) -> Self {
        channel.0
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The characters that Agora documents (`agora-tokens.md`, section 5).
fn is_allowed(character: u8) -> bool {
    character.is_ascii_alphanumeric() || PUNCTUATION.contains(&character)
}

const PUNCTUATION: &[u8] = b" !#$%&()+-:;<=.>?@[]^_{}|~,";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Id128;

    #[test]
    fn every_documented_character_is_allowed() {
        for name in ["a", "abcXYZ019 !#$%&()+-:;<=.>?@[]^_{}|~,", &"a".repeat(63)] {
            assert_eq!(Channel::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn wildcards_long_names_and_other_characters_are_refused() {
        for name in [
            "",
            "*",
            "room-*",
            "комната",
            "a\n",
            "a\0",
            "a/b",
            "a\\b",
            "a\"",
            "a'",
            "a`",
        ] {
            assert_eq!(Channel::parse(name), Err(InvalidChannel), "{name:?}");
        }
        for length in [64, 65_535, 65_536] {
            assert_eq!(Channel::parse(&"a".repeat(length)), Err(InvalidChannel));
        }
    }

    #[test]
    fn the_channel_of_a_booked_session_is_named_after_it() {
        let address = "0xe5e5e5e5a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1";
        let key = |chain: u64, booking: &str| -> BookingKey {
            format!("{chain}/{address}/{booking}").parse().unwrap()
        };
        let named = |chain, booking, is_primary| {
            let channel = Channel::booked(&key(chain, booking), is_primary);
            assert_eq!(channel.to_string().parse().as_ref(), Ok(&channel));
            channel.to_string()
        };
        assert_eq!(named(42431, "7", true), "heaven-42431-7");
        assert_eq!(named(42431, "7", false), "heaven-42431-e5e5e5e5-7");
        let greatest = crate::types::U256::MAX.to_string();
        let less = (crate::types::U256::MAX - crate::types::U256::ONE).to_string();
        let long = named(u64::MAX, &greatest, true);
        assert!(long.starts_with("heaven-18446744073709551615-x"), "{long}");
        assert_ne!(long, named(u64::MAX, &less, true));
    }

    #[test]
    fn the_channel_of_a_free_room_is_named_after_it() {
        let room = RoomId::from_bytes([0x3e; 16]);
        let channel = Channel::free_room(room);
        assert_eq!(channel.to_string(), format!("heaven-free-{room}"));
        assert_eq!(channel.to_string().parse(), Ok(channel));
    }
}
