//! Everything that a store holds, for audits and exports.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Debug;

use async_trait::async_trait;

use super::StoreError;
use crate::changeset::{Row, Version};
use crate::ledger::Transfer;
use crate::types::EntryId;

/// One thing that a store holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "whoever checks a store checks all of it"
)]
#[allow(clippy::large_enum_variant, reason = "shown one at a time")]
pub enum Found {
    /// A row; entries of the journal, blocks and the chain among them.
    Row(Version, Row),
    /// A move of value.
    Transfer(Transfer),
    /// The entry of this identifier, shown next if there is one, is in no block.
    Unsealed(EntryId),
    /// What there is, found or not.
    Totals {
        /// Entries in the journal.
        entries: u64,
        /// Their identifiers, as big-endian numbers, added up modulo 2^128: two that changed places
        /// with each other in what was shown are as many as before.
        entry_sum: u128,
        /// Transfers in the ledger.
        transfers: u64,
    },
    /// Something is there that cannot be read.
    Unreadable {
        /// Where.
        table: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

/// Is shown what a store holds.
pub trait Visitor {
    /// The next thing.
    fn visit(&mut self, found: Found);
}

/// A store that can show everything it holds. Apart from [`Store`](super::Store), because serving
/// needs none of it.
#[async_trait]
pub trait Archive: Debug + Send + Sync {
    /// Shows everything, as of one instant between two commits, in this order:
    ///
    /// 1. the chain's row,
    /// 2. blocks by number, each followed by its entries in its order,
    /// 3. entries that are in no block, each after its [`Found::Unsealed`], by instant and
    ///    identifier,
    /// 4. the totals,
    /// 5. all other rows, by key; booked sessions by the text of theirs, as [`Read`](super::Read)
    ///    lists them.
    ///
    /// An entry that tells of a transfer is followed by the transfer of that identifier, if there
    /// is one. What cannot be read is shown as [`Found::Unreadable`] in its place.
    ///
    /// # Errors
    /// [`StoreError`]: what was shown so far is not everything.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    async fn show(&self, visitor: &mut (dyn Visitor + Send)) -> Result<(), StoreError>;
}
