//! What committing a changeset means.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::world::{Work, World};
use super::{
    Changeset, Entry, Expect, Fact, Fence, Key, Receipt, Record, Row, Unique, Version, Write,
};
use crate::ledger::{Account, AccountKey, Action, Book, LedgerError, Posted, Transfer, post};
use crate::types::TransferId;

/// Why a changeset is refused. Nothing of it is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "drivers map every rejection")]
pub enum Rejection {
    /// A row is not as the decision found it.
    #[error("row {0} has changed")]
    Conflict(Key),
    /// A claim was taken over.
    #[error("claim of row {0} was lost")]
    Fenced(Key),
    /// A transfer cannot happen.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The changeset contradicts itself or the contract of [`Changeset`]: a fault of the program.
    #[error("changeset is malformed: {0}")]
    Malformed(&'static str),
    /// Another row has what only one may have.
    #[error("{0:?} is taken")]
    Taken(Unique),
}

impl Rejection {
    /// Whether loading anew and deciding again may succeed: the world has moved on. Otherwise the
    /// same decision would be refused for ever.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        match self {
            Self::Conflict(_) | Self::Taken(_) => true,
            Self::Ledger(error) => matches!(
                error,
                LedgerError::Insufficient(_)
                    | LedgerError::NotReserved(_)
                    | LedgerError::DeadlinePassed(_)
            ),
            Self::Fenced(_) | Self::Malformed(_) => false,
        }
    }
}

/// A row to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The row's version after the write.
    pub version: Version,
    /// The row as it is to be stored.
    pub row: Row,
}

/// What a store must write for a changeset to be committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// Rows in their final state; [`Version::FIRST`] is an insertion.
    pub puts: BTreeMap<Key, Put>,
    /// Rows that go away.
    pub deletes: BTreeSet<Key>,
    /// Transfers to append.
    pub transfers: Vec<Transfer>,
    /// Entries to append.
    pub journal: Vec<Entry>,
    /// Places in queues: to write, or to take away.
    pub work: BTreeMap<Key, Option<Work>>,
    /// What the commit answers.
    pub receipt: Receipt,
}

/// Checks a changeset against a world and says what is to be written.
///
/// # Errors
/// [`Rejection`]: nothing may be written.
pub fn apply(world: &World, changeset: &Changeset) -> Result<Delta, Rejection> {
    check_expectations(world, changeset)?;
    let mut staged = Staged {
        world,
        delta: Delta::default(),
    };
    for write in &changeset.rows {
        staged.write(write, changeset)?;
    }
    staged.check_sealed()?;
    for order in &changeset.transfers {
        staged.order(order)?;
    }
    for intent in &changeset.intents {
        staged.intend(intent)?;
    }
    if let Some(record) = &changeset.idempotency {
        if world.rows.contains_key(&record.key()) {
            return Err(Rejection::Conflict(record.key()));
        }
        staged.put(Version::FIRST, record.clone().into());
    }
    for entry in &changeset.journal {
        staged.append(entry.clone());
    }
    staged.check_uniques()?;
    staged.queue(changeset);
    Ok(staged.delta)
}

fn check_expectations(world: &World, changeset: &Changeset) -> Result<(), Rejection> {
    for expect in &changeset.expect {
        match expect {
            Expect::Absent(Key::Entry(_))
            | Expect::At(Key::Entry(_), _)
            | Expect::Claimed(Key::Entry(_), _) => {
                return Err(Rejection::Malformed("an entry never changes"));
            }
            Expect::Absent(key) => {
                if world.rows.contains_key(key) {
                    return Err(Rejection::Conflict(key.clone()));
                }
            }
            Expect::At(key, version) => {
                if world.rows.get(key).is_none_or(|(at, _)| at != version) {
                    return Err(Rejection::Conflict(key.clone()));
                }
            }
            Expect::Claimed(key, fence) => {
                if world.work.get(key).is_none_or(|work| work.fence != *fence) {
                    return Err(Rejection::Fenced(key.clone()));
                }
            }
        }
    }
    Ok(())
}

struct Staged<'a> {
    world: &'a World,
    delta: Delta,
}

impl Staged<'_> {
    fn write(&mut self, write: &Write, changeset: &Changeset) -> Result<(), Rejection> {
        let key = match write {
            Write::Delete(key) => key.clone(),
            Write::Insert(row) | Write::Update(row) => row.key(),
        };
        match (&key, write) {
            (Key::Account(_), _) => {
                return Err(Rejection::Malformed(
                    "an account changes by transfers alone",
                ));
            }
            (Key::Entry(_), _) => {
                return Err(Rejection::Malformed("an entry is appended to the journal"));
            }
            (Key::Block(_), Write::Delete(_) | Write::Update(_)) => {
                return Err(Rejection::Malformed("a block never changes"));
            }
            _ => {}
        }
        if self.delta.puts.contains_key(&key) || self.delta.deletes.contains(&key) {
            return Err(Rejection::Malformed("a row is written twice"));
        }
        // A write that does not say what it saw could undo somebody else's.
        let found = self.world.rows.get(&key).map(|(version, _)| *version);
        match (write, found) {
            (Write::Insert(row), None) if changeset.expects(&Expect::Absent(key.clone())) => {
                self.put(Version::FIRST, row.clone());
            }
            (Write::Update(row), Some(at)) if changeset.expects(&Expect::At(key.clone(), at)) => {
                self.put(at.next(), row.clone());
            }
            (Write::Delete(gone), Some(at)) if changeset.expects(&Expect::At(key.clone(), at)) => {
                self.delta.deletes.insert(gone.clone());
            }
            _ => {
                return Err(Rejection::Malformed(
                    "a write does not expect what it replaces",
                ));
            }
        }
        Ok(())
    }

    fn put(&mut self, version: Version, row: Row) {
        self.delta.puts.insert(row.key(), Put { version, row });
    }

    fn order(&mut self, order: &crate::ledger::Order) -> Result<(), Rejection> {
        let id = order.transfer.id;
        let amount = match post(self, order)? {
            Posted::Nothing => 0,
            Posted::Repeat(transfer) => transfer.amount,
            Posted::Moved {
                transfer,
                debit,
                credit,
            } => {
                self.put_account(debit);
                self.put_account(credit);
                self.delta.transfers.push(transfer);
                let fact = Fact::Transferred {
                    transfer,
                    debit_balance: kept_balance(&debit),
                    credit_balance: kept_balance(&credit),
                };
                self.append(Entry::new(transfer.at, fact));
                transfer.amount
            }
        };
        self.delta.receipt.moved.insert(id, amount);
        Ok(())
    }

    fn put_account(&mut self, account: Account) {
        if account.key.kind.is_derived() {
            return;
        }
        // Several transfers of one changeset are one write of the account.
        let version = match self.world.rows.get(&Key::Account(account.key)) {
            Some((version, _)) => version.next(),
            None => Version::FIRST,
        };
        self.put(version, account.into());
    }

    fn intend(&mut self, intent: &crate::outbox::Intent) -> Result<(), Rejection> {
        match self.world.rows.get(&Key::Intent(intent.key)) {
            None => self.put(Version::FIRST, intent.clone().into()),
            Some((_, Row::Intent(known))) if known.effect == intent.effect => {}
            Some(_) => return Err(Rejection::Malformed("an intent's key has another effect")),
        }
        Ok(())
    }

    /// A block takes its entries from those that are in none, each once.
    fn check_sealed(&self) -> Result<(), Rejection> {
        let mut sealed = BTreeSet::new();
        for (key, put) in &self.delta.puts {
            let Row::Block(block) = &put.row else {
                continue;
            };
            for entry in &block.entries {
                if !self.world.unsealed.contains_key(entry) || !sealed.insert(*entry) {
                    return Err(Rejection::Conflict(key.clone()));
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, entry: Entry) {
        let known = self.world.rows.contains_key(&Key::Entry(entry.id))
            || self.delta.journal.iter().any(|other| other.id == entry.id);
        if !known {
            self.delta.journal.push(entry);
        }
    }

    fn check_uniques(&self) -> Result<(), Rejection> {
        let mut taken = BTreeSet::new();
        for (key, put) in &self.delta.puts {
            for unique in put.row.uniques() {
                let freed = |holder: &Key| {
                    self.delta.puts.contains_key(holder) || self.delta.deletes.contains(holder)
                };
                let held = self
                    .world
                    .uniques
                    .get(&unique)
                    .is_some_and(|holder| holder != key && !freed(holder));
                if held || !taken.insert(unique) {
                    return Err(Rejection::Taken(unique));
                }
            }
        }
        Ok(())
    }

    /// Queues what is due. A due time that did not move leaves the queue alone, except that the
    /// commit of a claim's holder ends the claim.
    fn queue(&mut self, changeset: &Changeset) {
        for key in &self.delta.deletes {
            if self.world.work.contains_key(key) {
                self.delta.work.insert(key.clone(), None);
            }
        }
        for (key, put) in &self.delta.puts {
            let queued = self.world.work.get(key);
            let claimed = changeset
                .expect
                .iter()
                .any(|expect| matches!(expect, Expect::Claimed(held, _) if held == key));
            let fence = queued.map_or(Fence::default(), |work| work.fence);
            match (put.row.due(), queued) {
                (None, None) => {}
                (None, Some(_)) => {
                    self.delta.work.insert(key.clone(), None);
                }
                (Some(due), Some(work)) if work.due == due && !claimed => {}
                (Some(due), _) => {
                    let work = Work {
                        due,
                        fence,
                        leased_until: None,
                    };
                    self.delta.work.insert(key.clone(), Some(work));
                }
            }
        }
    }
}

impl Book for Staged<'_> {
    fn account(&self, key: AccountKey) -> Account {
        let name = Key::Account(key);
        let row = match self.delta.puts.get(&name) {
            Some(put) => Some(&put.row),
            None => self.world.rows.get(&name).map(|(_, row)| row),
        };
        match row {
            Some(Row::Account(account)) => *account,
            _ => Account::empty(key),
        }
    }

    fn transfer(&self, id: TransferId) -> Option<Transfer> {
        let staged = self
            .delta
            .transfers
            .iter()
            .find(|transfer| transfer.id == id);
        staged.or_else(|| self.world.transfers.get(&id)).copied()
    }

    fn resolution(&self, of: TransferId) -> Option<TransferId> {
        let resolves = |transfer: &&Transfer| matches!(transfer.action, Action::Post { of: o } | Action::Void { of: o } if o == of);
        let staged = self
            .delta
            .transfers
            .iter()
            .find(resolves)
            .map(|transfer| transfer.id);
        staged.or_else(|| self.world.resolutions.get(&of).copied())
    }
}

impl Changeset {
    fn expects(&self, expect: &Expect) -> bool {
        self.expect.contains(expect)
    }
}

/// The balance of an account that has a row.
fn kept_balance(account: &Account) -> Option<i64> {
    if account.key.kind.is_derived() {
        None
    } else {
        i64::try_from(account.balance()).ok()
    }
}
