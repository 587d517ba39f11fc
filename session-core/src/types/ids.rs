//! Identifiers of 128 bits.

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::hex::{decode_hex_array, encode_hex};

/// Text that is not an identifier in its one canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is not an identifier")]
pub struct InvalidId;

/// What all identifiers have in common: 16 bytes.
pub trait Id128: Copy + Ord + fmt::Debug {
    /// The bytes, for storage.
    fn to_bytes(self) -> [u8; 16];

    /// An identifier from storage.
    fn from_bytes(bytes: [u8; 16]) -> Self;
}

macro_rules! id_common {
    ($name:ident) => {
        impl Id128 for $name {
            fn to_bytes(self) -> [u8; 16] {
                self.0
            }

            fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
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

/// Drawn at random, written as a UUID of version 4.
macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identifier of 16 random bytes, six bits of which are overwritten as RFC 9562
            /// asks of version 4.
            #[must_use]
            pub const fn from_random(mut bytes: [u8; 16]) -> Self {
                bytes[6] = bytes[6] & 0x0f | 0x40;
                bytes[8] = bytes[8] & 0x3f | 0x80;
                Self(bytes)
            }
        }

        id_common!($name);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let digits = encode_hex(&self.0);
                let (a, rest) = digits.split_at(8);
                let (b, rest) = rest.split_at(4);
                let (c, rest) = rest.split_at(4);
                let (d, e) = rest.split_at(4);
                write!(f, "{a}-{b}-{c}-{d}-{e}")
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Only the canonical form: lower case, with hyphens. Another spelling of an existing
            /// identifier is an unknown one, as it was to the original, which compared text.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let digits: String = text.split('-').collect();
                let id = Self(decode_hex_array(&digits).map_err(|_| InvalidId)?);
                if id.to_string() == text { Ok(id) } else { Err(InvalidId) }
            }
        }
    };
}

/// Derived from the cause, so that the same cause always gives the same identifier. 32 lower-case
/// hex digits.
macro_rules! derived_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identifier of a cause: a domain that no other kind of cause uses, and the
            /// parts that tell one cause of the kind from another.
            #[must_use]
            pub fn derive(domain: &str, parts: &[&[u8]]) -> Self {
                Self(crate::crypto::digest128(domain, parts))
            }
        }

        id_common!($name);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&encode_hex(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let id = Self(decode_hex_array(text).map_err(|_| InvalidId)?);
                if id.to_string() == text { Ok(id) } else { Err(InvalidId) }
            }
        }
    };
}

random_id!(
    /// A chain of sealed blocks: one for each journal.
    ChainId
);
random_id!(
    /// A room.
    RoomId
);
random_id!(
    /// One stay of one wallet in one room: who leaves and comes back has a new connection.
    ConnectionId
);
random_id!(
    /// An access token: its `jti`.
    TokenId
);
derived_id!(
    /// A transfer of the ledger.
    TransferId
);
derived_id!(
    /// An entry of the journal.
    EntryId
);
derived_id!(
    /// An intent: something that will leave the process.
    IntentKey
);
derived_id!(
    /// A piece of evidence that is attached to a booking.
    EvidenceId
);
derived_id!(
    /// What is good no more: the digest of an access token or of a sign-in nonce.
    RevocationId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_id_is_a_version_4_uuid_and_only_its_canonical_text_names_it() {
        let id = RoomId::from_random([0xff; 16]);
        assert_eq!(id.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(id.to_string().parse(), Ok(id));
        for other in [
            "FFFFFFFF-ffff-4fff-bfff-ffffffffffff",
            "ffffffffffff4fffbfffffffffffffff",
            "ffffffff-ffff-4fff-bfff-fffffffffff",
            "other",
            "",
        ] {
            assert_eq!(other.parse::<RoomId>(), Err(InvalidId), "{other}");
        }
    }

    #[test]
    fn parts_of_a_cause_cannot_be_shifted_against_each_other() {
        assert_ne!(
            TransferId::derive("d", &[b"ab", b"c"]),
            TransferId::derive("d", &[b"a", b"bc"])
        );
        assert_ne!(
            TransferId::derive("d", &[b"a"]),
            TransferId::derive("e", &[b"a"])
        );
    }
}
