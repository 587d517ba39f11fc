//! The words that contracts are spoken to in: 32 bytes each, numbers at their end.
//!
//! Reading is strict. A length that is not exact, a bit outside a type's width and an offset that
//! no compiler would have written are errors: whoever answers such a thing is not the contract
//! that is described here.

use alloc::vec::Vec;

use super::record::{BookingStatus, ContractOutcome, RequestStatus, SlotStatus};
use super::statement::StatementSignature;
use crate::crypto::eip712;
use crate::types::{BookingId, RequestId, Seconds, SlotId, Timestamp, TokenAmount, U256, Wallet};

/// Bytes of a word.
pub const WORD_BYTES: usize = 32;

/// Bytes that are not what they should encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "there is no other way to be wrong")]
pub enum AbiError {
    /// Too few or too many bytes.
    #[error("abi data is too short or too long")]
    Length,
    /// Dynamic data somewhere else than right after what comes before it.
    #[error("abi data has an offset that is not canonical")]
    Offset,
    /// Bits that the type does not have.
    #[error("abi data has bits set outside of a type")]
    Padding,
    /// A number that an enumeration does not have, or one that does not fit its type.
    #[error("abi data has a number out of range")]
    Range,
    /// No function of an escrow has this selector.
    #[error("no function of an escrow has this selector")]
    Selector,
    /// 65 bytes that are no signature which a contract would take.
    #[error("abi data has an invalid signature")]
    Signature,
}

/// A member of calldata, returndata or a log as it is shown, whatever its name in Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "contracts use these kinds")]
pub enum AbiValue {
    /// `address`.
    Address(Wallet),
    /// `bytes`.
    Bytes(Vec<u8>),
    /// `bytes32`.
    Bytes32([u8; WORD_BYTES]),
    /// `uint` of any width, enumerations too.
    Uint(U256),
}

impl AbiValue {
    /// Adds it to what is written.
    fn put(&self, encoder: &mut Encoder) {
        match self {
            Self::Address(address) => encoder.word(eip712::word_of(*address)),
            Self::Bytes(bytes) => encoder.bytes(bytes),
            Self::Bytes32(word) => encoder.word(*word),
            Self::Uint(number) => encoder.word(number.to_be_bytes()),
        }
    }
}

/// What a contract takes, returns or logs: one member.
pub trait Abi: Sized {
    /// Its type in a signature.
    const TYPE: &'static str;

    /// Takes it from the decoder.
    ///
    /// # Errors
    /// [`AbiError`], with the reason.
    fn take(decoder: &mut Decoder<'_>) -> Result<Self, AbiError>;

    /// As it is shown and written.
    fn value(&self) -> AbiValue;
}

/// Members, one after the other.
#[must_use]
pub fn encode(values: &[AbiValue]) -> Vec<u8> {
    let mut encoder = Encoder::new(values.len());
    for value in values {
        value.put(&mut encoder);
    }
    encoder.finish()
}

impl Abi for Wallet {
    const TYPE: &'static str = "address";

    fn take(decoder: &mut Decoder<'_>) -> Result<Self, AbiError> {
        decoder.tail().map(Self::from_bytes)
    }

    fn value(&self) -> AbiValue {
        AbiValue::Address(*self)
    }
}

impl Abi for [u8; WORD_BYTES] {
    const TYPE: &'static str = "bytes32";

    fn take(decoder: &mut Decoder<'_>) -> Result<Self, AbiError> {
        decoder.word()
    }

    fn value(&self) -> AbiValue {
        AbiValue::Bytes32(*self)
    }
}

impl Abi for StatementSignature {
    const TYPE: &'static str = "bytes";

    fn take(decoder: &mut Decoder<'_>) -> Result<Self, AbiError> {
        Self::from_bytes(decoder.bytes()?).map_err(|_| AbiError::Signature)
    }

    fn value(&self) -> AbiValue {
        AbiValue::Bytes(self.to_bytes().to_vec())
    }
}

impl Abi for U256 {
    const TYPE: &'static str = "uint256";

    fn take(decoder: &mut Decoder<'_>) -> Result<Self, AbiError> {
        decoder.word().map(Self::from_be_bytes)
    }

    fn value(&self) -> AbiValue {
        AbiValue::Uint(*self)
    }
}

/// Numbers of the whole word, whatever they count.
macro_rules! whole_words {
    ($($name:ident)*) => { $(
        impl Abi for $name {
            const TYPE: &'static str = U256::TYPE;

            fn take(decoder: &mut Decoder<'_>) -> Result<Self, AbiError> {
                decoder.word().map(Self::from_word)
            }

            fn value(&self) -> AbiValue {
                AbiValue::Uint(self.get())
            }
        }
    )* };
}

whole_words!(BookingId RequestId SlotId TokenAmount);

/// Numbers of a width that Rust has.
macro_rules! machine_words {
    ($($name:ident = $abi:literal)*) => { $(
        impl Abi for $name {
            const TYPE: &'static str = $abi;

            fn take(decoder: &mut Decoder<'_>) -> Result<Self, AbiError> {
                decoder.tail().map(Self::from_be_bytes)
            }

            fn value(&self) -> AbiValue {
                AbiValue::Uint(U256::from(*self))
            }
        }
    )* };
}

machine_words!(u8 = "uint8" u16 = "uint16" u32 = "uint32");

/// Enumerations of the contract.
macro_rules! enumerations {
    ($($name:ident)*) => { $(
        impl Abi for $name {
            const TYPE: &'static str = u8::TYPE;

            fn take(decoder: &mut Decoder<'_>) -> Result<Self, AbiError> {
                Self::from_code(u8::take(decoder)?).ok_or(AbiError::Range)
            }

            fn value(&self) -> AbiValue {
                self.code().value()
            }
        }
    )* };
}

enumerations!(BookingStatus ContractOutcome RequestStatus SlotStatus);

/// Numbers of seconds, of a width that contracts save room with.
macro_rules! contract_seconds {
    ($(#[$doc:meta])* $name:ident $abi:literal $bits:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// The greatest.
            pub const MAX: Self = Self(u64::MAX >> (64 - $bits));

            /// This many seconds; `None` where they do not fit.
            #[must_use]
            pub const fn new(seconds: u64) -> Option<Self> {
                if seconds <= Self::MAX.0 {
                    Some(Self(seconds))
                } else {
                    None
                }
            }

            /// The bare number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// As an instant. One beyond the year 9999 is moved to its end.
            #[must_use]
            pub const fn instant(self) -> Timestamp {
                Timestamp::from_unix(self.0)
            }
        }

        impl Abi for $name {
            const TYPE: &'static str = $abi;

            fn take(decoder: &mut Decoder<'_>) -> Result<Self, AbiError> {
                let number = decoder.tail().map(u64::from_be_bytes)?;
                Self::new(number).ok_or(AbiError::Padding)
            }

            fn value(&self) -> AbiValue {
                AbiValue::Uint(U256::from(self.0))
            }
        }

        impl From<Timestamp> for $name {
            /// The end of the year 9999 fits.
            fn from(at: Timestamp) -> Self {
                Self(at.unix())
            }
        }

        impl From<$name> for Timestamp {
            fn from(seconds: $name) -> Self {
                seconds.instant()
            }
        }

        impl From<$name> for Seconds {
            fn from(seconds: $name) -> Self {
                Self::new(seconds.0)
            }
        }

        impl TryFrom<Seconds> for $name {
            type Error = AbiError;

            fn try_from(span: Seconds) -> Result<Self, AbiError> {
                Self::new(span.get()).ok_or(AbiError::Range)
            }
        }
    };
}

contract_seconds!(
    /// Seconds in 48 bits, as a contract keeps them: an instant or a span. What does not fit a
    /// [`Timestamp`] is kept as it is.
    Uint48 "uint48" 48
);
contract_seconds!(
    /// Seconds in 64 bits, as a contract keeps them: an instant or a span. What does not fit a
    /// [`Timestamp`] is kept as it is, so that what is signed is what was said.
    Uint64 "uint64" 64
);

/// Writes members: one word for each, and behind all of them what took more.
#[derive(Debug)]
pub struct Encoder {
    head: Vec<u8>,
    tail: Vec<u8>,
    head_bytes: usize,
}

impl Encoder {
    /// For this many members.
    #[must_use]
    pub const fn new(members: usize) -> Self {
        Self {
            head: Vec::new(),
            tail: Vec::new(),
            head_bytes: members.saturating_mul(WORD_BYTES),
        }
    }

    /// Adds a member of one word.
    pub fn word(&mut self, word: [u8; WORD_BYTES]) {
        self.head.extend_from_slice(&word);
    }

    /// Adds a member of any length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let offset = self.head_bytes.saturating_add(self.tail.len());
        self.word(U256::from(offset).to_be_bytes());
        let length = U256::from(bytes.len());
        self.tail
            .extend_from_slice(&length.to_be_bytes::<WORD_BYTES>());
        self.tail.extend_from_slice(bytes);
        let padded = self.tail.len().next_multiple_of(WORD_BYTES);
        self.tail.resize(padded, 0);
    }

    /// All of it.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.head.extend_from_slice(&self.tail);
        self.head
    }
}

/// Reads what an [`Encoder`] writes, and nothing else. Whoever is done calls
/// [`finish`](Self::finish).
#[derive(Debug)]
pub struct Decoder<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    tail_offset: usize,
}

impl<'a> Decoder<'a> {
    /// Of this many members.
    ///
    /// # Errors
    /// [`AbiError::Length`] where there are not as many.
    pub fn new(data: &'a [u8], members: usize) -> Result<Self, AbiError> {
        let tail_offset = members.saturating_mul(WORD_BYTES);
        let (head, tail) = data.split_at_checked(tail_offset).ok_or(AbiError::Length)?;
        Ok(Self {
            head,
            tail,
            tail_offset,
        })
    }

    /// The next member, of one word.
    ///
    /// # Errors
    /// [`AbiError::Length`] where there is none.
    pub fn word(&mut self) -> Result<[u8; WORD_BYTES], AbiError> {
        let (word, rest) = self.head.split_first_chunk().ok_or(AbiError::Length)?;
        self.head = rest;
        Ok(*word)
    }

    /// The next member, of one word of which only the last `N` bytes are used.
    ///
    /// # Errors
    /// [`AbiError::Length`] where there is none, [`AbiError::Padding`] where the others are not zero.
    pub fn tail<const N: usize>(&mut self) -> Result<[u8; N], AbiError> {
        let word = self.word()?;
        let (padding, tail) = word.split_last_chunk().ok_or(AbiError::Length)?;
        if padding.iter().all(|byte| *byte == 0) {
            Ok(*tail)
        } else {
            Err(AbiError::Padding)
        }
    }

    /// The next member, of any length.
    ///
    /// # Errors
    /// [`AbiError::Offset`] where it is not right behind what came before it,
    /// [`AbiError::Length`] where the data ends within it, and [`AbiError::Padding`] where it is not
    /// filled up with zeros.
    pub fn bytes(&mut self) -> Result<&'a [u8], AbiError> {
        if U256::from_be_bytes(self.word()?) != U256::from(self.tail_offset) {
            return Err(AbiError::Offset);
        }
        let (length, rest) = self.tail.split_first_chunk().ok_or(AbiError::Length)?;
        let length = usize::try_from(U256::from_be_bytes::<WORD_BYTES>(*length));
        let length = length.map_err(|_| AbiError::Length)?;
        // A length near the end of the address space has no next multiple, and no data either.
        let padded = length.checked_next_multiple_of(WORD_BYTES);
        let (padded, after) = padded
            .and_then(|padded| rest.split_at_checked(padded))
            .ok_or(AbiError::Length)?;
        let (bytes, padding) = padded.split_at_checked(length).ok_or(AbiError::Length)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(AbiError::Padding);
        }
        let taken = self.tail.len().saturating_sub(after.len());
        self.tail_offset = self.tail_offset.saturating_add(taken);
        self.tail = after;
        Ok(bytes)
    }

    /// Refuses what nobody asked for.
    ///
    /// # Errors
    /// [`AbiError::Length`].
    pub const fn finish(&self) -> Result<(), AbiError> {
        if self.head.is_empty() && self.tail.is_empty() {
            Ok(())
        } else {
            Err(AbiError::Length)
        }
    }
}
