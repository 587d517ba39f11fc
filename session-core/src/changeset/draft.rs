//! Building a changeset from what was loaded, so that what a decision read is what it expects.

use super::{Changeset, Entry, Expect, Fact, Fence, Key, Record, Version, Write};
use crate::ledger::{Guard, Order, Transfer};
use crate::outbox::Intent;
use crate::types::Timestamp;

/// A row as it was found: its value at a version, or its absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded<T> {
    key: Key,
    found: Option<(Version, T)>,
}

impl<T> Loaded<T> {
    /// A row that was found.
    #[must_use]
    pub const fn present(key: Key, version: Version, value: T) -> Self {
        Self {
            key,
            found: Some((version, value)),
        }
    }

    /// A row that was looked for and not found.
    #[must_use]
    pub const fn absent(key: Key) -> Self {
        Self { key, found: None }
    }

    /// What names the row.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.key
    }

    /// The row, where there is one.
    #[must_use]
    pub const fn value(&self) -> Option<&T> {
        match &self.found {
            Some((_, value)) => Some(value),
            None => None,
        }
    }

    /// How often the row was written; `None` where there is none.
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        match &self.found {
            Some((version, _)) => Some(*version),
            None => None,
        }
    }

    /// What relying on this reading expects.
    #[must_use]
    pub fn expect(&self) -> Expect {
        match self.version() {
            Some(version) => Expect::At(self.key.clone(), version),
            None => Expect::Absent(self.key.clone()),
        }
    }
}

/// A changeset in the making.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    changeset: Changeset,
}

impl Draft {
    /// Nothing relied on, nothing changed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Relies on a row being as it was found.
    pub fn expect<T>(&mut self, loaded: &Loaded<T>) {
        let expect = loaded.expect();
        if !self.changeset.expect.contains(&expect) {
            self.changeset.expect.push(expect);
        }
    }

    /// Relies on a claim of a due row still being ours.
    pub fn expect_claimed(&mut self, key: Key, fence: Fence) {
        self.changeset.expect.push(Expect::Claimed(key, fence));
    }

    /// Writes a new row and relies on its absence.
    pub fn insert<T: Record>(&mut self, row: T) {
        self.expect(&Loaded::<T>::absent(row.key()));
        self.changeset.rows.push(Write::Insert(row.into()));
    }

    /// Writes another state of a row that was found, or the row where none was.
    pub fn update<T: Record>(&mut self, loaded: &Loaded<T>, row: T) {
        self.expect(loaded);
        let write = match loaded.version() {
            Some(_) => Write::Update(row.into()),
            None => Write::Insert(row.into()),
        };
        self.changeset.rows.push(write);
    }

    /// Removes a row that was found.
    pub fn delete<T>(&mut self, loaded: &Loaded<T>) {
        if loaded.version().is_some() {
            self.expect(loaded);
            self.changeset.rows.push(Write::Delete(loaded.key.clone()));
        }
    }

    /// Moves value; nothing moves where the amount is zero.
    pub fn transfer(&mut self, transfer: Transfer) {
        if transfer.amount > 0 {
            self.changeset.transfers.push(Order {
                transfer,
                guard: None,
            });
        }
    }

    /// Moves value if the debited account allows it at the instant of the commit.
    pub fn guarded_transfer(&mut self, transfer: Transfer, guard: Guard) {
        self.changeset.transfers.push(Order {
            transfer,
            guard: Some(guard),
        });
    }

    /// Records a fact.
    pub fn journal(&mut self, at: Timestamp, fact: Fact) {
        self.changeset.journal.push(Entry::new(at, fact));
    }

    /// Writes down what is to leave the process.
    pub fn intent(&mut self, intent: Intent) {
        self.changeset.intents.push(intent);
    }

    /// The changeset.
    #[must_use]
    pub fn finish(self) -> Changeset {
        self.changeset
    }
}
