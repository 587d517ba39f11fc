//! The one door through which state changes.
//!
//! A decision returns a [`Changeset`]: plain data that says what it relied on and what is to be
//! written. A store commits it whole or not at all. [`apply`] is the rule of what that means;
//! the memory store is nothing else, and SQL stores run it on the rows that a changeset names.
//! See `docs/adr/0001-write-door.md`.

mod apply;
mod draft;
mod row;
#[cfg(test)]
mod tests;
mod world;

pub use crate::journal::{Entry, Fact};
pub use apply::{Delta, Put, Rejection, apply};
pub use draft::{Draft, Loaded};
pub use row::{Due, InvalidKey, Key, Lane, Record, Row, Unique};
pub use world::{Work, World};

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::idempotency::IdempotencyRecord;
use crate::ledger::Order;
use crate::outbox::Intent;
use crate::types::TransferId;

/// How often a row was written: 1 after its insertion, one more with every update.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// Of a row just inserted.
    pub const FIRST: Self = Self(1);

    /// A version from storage.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version after one more write.
    #[must_use]
    pub const fn next(self) -> Self {
        // A row written once a nanosecond takes five hundred years to get here.
        Self(self.0.saturating_add(1))
    }
}

/// How often a due row was claimed: whoever claimed it later holds a greater one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Fence(u64);

impl Fence {
    /// A fence from storage.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The fence of the next claim.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Something a decision relied on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "stores check every expectation")]
pub enum Expect {
    /// There is no such row.
    Absent(Key),
    /// The row is at this version.
    At(Key, Version),
    /// The row's work is still claimed under this fence.
    Claimed(Key, Fence),
}

/// A row to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "stores do every write")]
pub enum Write {
    /// The row goes away. Its version must be expected.
    Delete(Key),
    /// A new row. Its absence must be expected.
    Insert(Row),
    /// Another state of a row. Its version must be expected.
    Update(Row),
}

/// Everything one decision changes, and everything it relied on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changeset {
    /// What must still hold.
    pub expect: Vec<Expect>,
    /// Rows to write; never accounts, which only transfers change.
    pub rows: Vec<Write>,
    /// Moves of value.
    pub transfers: Vec<Order>,
    /// Facts for the journal. Each transfer that moves adds its own.
    pub journal: Vec<Entry>,
    /// What is to leave the process. An intent that exists with the same effect stays as it is.
    pub intents: Vec<Intent>,
    /// The answer to keep for a repeat of the request.
    pub idempotency: Option<IdempotencyRecord>,
}

impl Changeset {
    /// Whether there is nothing to write. What such a decision relied on need not be checked: its
    /// reply was right at the instant of its reading.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
            && self.transfers.is_empty()
            && self.journal.is_empty()
            && self.intents.is_empty()
            && self.idempotency.is_none()
    }

    /// Every row that [`apply`] needs to see, sorted: stores lock in this order.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<Key> {
        let expected = self.expect.iter().map(|expect| match expect {
            Expect::Absent(key) | Expect::At(key, _) | Expect::Claimed(key, _) => key.clone(),
        });
        let mut keys = self.written();
        keys.extend(expected);
        keys
    }

    /// The rows among [`keys`](Self::keys) that may be written; the others are only relied on.
    #[must_use]
    pub fn written(&self) -> BTreeSet<Key> {
        let rows = self.rows.iter().map(|write| match write {
            Write::Delete(key) => key.clone(),
            Write::Insert(row) | Write::Update(row) => row.key(),
        });
        let accounts = self
            .transfers
            .iter()
            .flat_map(|order| [order.transfer.debit, order.transfer.credit])
            .filter(|account| !account.kind.is_derived())
            .map(Key::Account);
        let intents = self.intents.iter().map(Record::key);
        let idempotency = self.idempotency.iter().map(Record::key);
        rows.chain(accounts)
            .chain(intents)
            .chain(idempotency)
            .collect()
    }

    /// Every transfer that [`apply`] needs to see: those asked for, and the reservations they
    /// resolve.
    #[must_use]
    pub fn transfer_ids(&self) -> BTreeSet<TransferId> {
        use crate::ledger::Action;
        self.transfers
            .iter()
            .flat_map(|order| {
                let of = match order.transfer.action {
                    Action::Post { of } | Action::Void { of } => Some(of),
                    Action::Posted | Action::Pending { .. } => None,
                };
                core::iter::once(order.transfer.id).chain(of)
            })
            .collect()
    }
}

/// What a commit did that the decision could not know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// For each transfer asked for, how much moved under its identifier: now, or when it was first
    /// asked for. Zero where a guard let nothing through.
    pub moved: BTreeMap<TransferId, u64>,
}
