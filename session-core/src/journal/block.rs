//! Blocks: entries in an order, under the hash of everything before them.

use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Entry;
use crate::crypto::digest256;
use crate::types::{ChainId, EntryId, Id128, InvalidId, Timestamp};

/// The version of what a block's hash is made of.
const FORM: u8 = 1;

/// A block's place in its chain, from 1.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct BlockNumber(u64);

impl BlockNumber {
    /// The place of this number.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        // A block a nanosecond takes five hundred years to get to the end.
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for BlockNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for BlockNumber {
    type Err = InvalidId;

    /// Only the canonical form: digits, no zero before them.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let number = Self(text.parse().map_err(|_| InvalidId)?);
        let is_canonical = alloc::string::ToString::to_string(&number) == text;
        is_canonical.then_some(number).ok_or(InvalidId)
    }
}

/// What a block's hash is made of, but for the entries themselves: with it alone anybody can follow
/// the chain, and see nothing of what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the hash covers these")]
pub struct Sealing {
    /// Which chain.
    pub chain: ChainId,
    /// The place in it.
    pub number: BlockNumber,
    /// The hash of the block before; of the first block, zeros.
    pub previous: [u8; 32],
    /// When it was sealed, by the sealing server's clock.
    pub sealed_at: Timestamp,
    /// How many entries it holds.
    pub entries: u64,
    /// The digest of all their digests, in their order.
    pub root: [u8; 32],
}

impl Sealing {
    /// The hash of the block.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        digest256(
            "journal block",
            &[
                &[FORM],
                &self.chain.to_bytes(),
                &self.number.get().to_be_bytes(),
                &self.previous,
                &self.sealed_at.unix().to_be_bytes(),
                &self.entries.to_be_bytes(),
                &self.root,
            ],
        )
    }

    /// The digest of entries' digests.
    #[must_use]
    pub fn root_of(digests: &[[u8; 32]]) -> [u8; 32] {
        let parts: Vec<&[u8]> = digests.iter().map(<[u8; 32]>::as_slice).collect();
        digest256("journal entries", &parts)
    }
}

/// Some entries, in an order that is fixed from here on. Appended, never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "the hash covers all of it")]
pub struct Block {
    /// The place in the chain.
    pub number: BlockNumber,
    /// The hash of the block before; of the first block, zeros.
    pub previous: [u8; 32],
    /// When it was sealed, by the sealing server's clock.
    pub sealed_at: Timestamp,
    /// The entries, in their order.
    pub entries: Vec<EntryId>,
    /// The digest of their digests.
    pub root: [u8; 32],
    /// The hash of all of the above and of the chain's identifier.
    pub hash: [u8; 32],
}

impl Block {
    /// What its hash should be made of.
    #[must_use]
    pub fn sealing(&self, chain: ChainId) -> Sealing {
        Sealing {
            chain,
            number: self.number,
            previous: self.previous,
            sealed_at: self.sealed_at,
            entries: u64::try_from(self.entries.len()).unwrap_or(u64::MAX),
            root: self.root,
        }
    }
}

/// How far the journal is sealed. One row; its version keeps two servers from sealing at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "stores map every field")]
pub struct Chain {
    /// Drawn when the chain begins, so that no block fits into another chain.
    pub id: ChainId,
    /// The place of the last block; 0 before the first.
    pub blocks: BlockNumber,
    /// The hash of the last block; zeros before the first.
    pub head: [u8; 32],
    /// When a worker is to look for entries to seal.
    pub seal_at: Timestamp,
}

impl Chain {
    /// A chain without blocks.
    #[must_use]
    pub const fn new(id: ChainId, seal_at: Timestamp) -> Self {
        Self {
            id,
            blocks: BlockNumber::new(0),
            head: [0; 32],
            seal_at,
        }
    }

    /// The next block, of these entries.
    #[must_use]
    pub fn seal(&self, entries: &[&Entry], sealed_at: Timestamp) -> Block {
        let digests: Vec<[u8; 32]> = entries.iter().map(|entry| entry.digest()).collect();
        let mut block = Block {
            number: self.blocks.next(),
            previous: self.head,
            sealed_at,
            entries: entries.iter().map(|entry| entry.id).collect(),
            root: Sealing::root_of(&digests),
            hash: [0; 32],
        };
        block.hash = block.sealing(self.id).hash();
        block
    }

    /// The chain after its next block.
    #[must_use]
    pub const fn after(&self, block: &Block, seal_at: Timestamp) -> Self {
        Self {
            id: self.id,
            blocks: block.number,
            head: block.hash,
            seal_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Fact;
    use crate::types::encode_hex;

    fn outage(n: u64) -> Entry {
        let fact = Fact::Outage {
            from: Timestamp::from_unix(n),
            to: Timestamp::from_unix(n + 1),
        };
        Entry::new(Timestamp::from_unix(n), fact)
    }

    fn chain() -> Chain {
        Chain::new(ChainId::from_random([7; 16]), Timestamp::from_unix(100))
    }

    #[test]
    fn a_block_covers_its_place_its_entries_and_their_order() {
        let (one, two) = (outage(1), outage(2));
        let at = Timestamp::from_unix(100);
        let block = chain().seal(&[&one, &two], at);
        let hashes = [
            block.hash,
            chain().seal(&[&two, &one], at).hash,
            chain().seal(&[&one], at).hash,
            chain().seal(&[&one, &two], Timestamp::from_unix(101)).hash,
            chain().after(&block, at).seal(&[&one, &two], at).hash,
            Chain::new(ChainId::from_random([8; 16]), at)
                .seal(&[&one, &two], at)
                .hash,
        ];
        for (n, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..n].contains(hash), "{n}");
        }
        assert_eq!(block.sealing(chain().id).hash(), block.hash);
    }

    /// What an implementation in another language has to arrive at.
    #[test]
    fn a_block_has_the_hash_that_is_written_down() {
        let block = chain().seal(&[&outage(1)], Timestamp::from_unix(100));
        assert_eq!(
            encode_hex(&block.root),
            "f408ed58060f87f7ad524929263a9a6a781cc45cf04f4543655ed4f2f39c91c8"
        );
        assert_eq!(
            encode_hex(&block.hash),
            "854429b4d7c06a61f6f4fc4e71e5b1f3a1e98c9ac607a9005a130ca8761a4d1f"
        );
    }

    #[test]
    fn only_the_canonical_text_names_a_place() {
        assert_eq!("12".parse(), Ok(BlockNumber::new(12)));
        for wrong in ["", "012", "+1", "-1", "18446744073709551616", "1 "] {
            assert_eq!(wrong.parse::<BlockNumber>(), Err(InvalidId), "{wrong}");
        }
    }
}
