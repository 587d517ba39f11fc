//! Rows as they were seen last: what a heartbeat guesses, and the database confirms.
//!
//! A heartbeat changes one seat and one account, both of which its decision has just read. Reading
//! them once more inside the transaction would cost as much as all the rest, so the core decides on
//! the rows as this process saw them last, and the statement that writes compares every version.
//! Where one has moved nothing is written, and the changeset takes the long way.
//!
//! Nothing here is ever trusted: a refusal is never taken from a guess, and what is accepted is
//! written only if it was true. Rows of these kinds are never taken away, so that a version means
//! one state.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use session_core::changeset::{
    Changeset, Expect, Fence, Key, Receipt, Row, Version, Work, World, Write, apply,
};
use session_core::ledger::Action;
use session_core::ports::StoredRow;

use crate::fold::Fold;
use crate::rows::seat;
use crate::session::Trouble;

/// Rows that are remembered at least; at most twice as many. Enough for those that were read by
/// requests which have not committed yet.
const SEEN_MIN: usize = 8192;

/// Seats and accounts by name.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, StoredRow>,
    old: HashMap<Key, StoredRow>,
}

impl Seen {
    /// Remembers a row, unless a later state of it is known.
    pub(crate) fn remember<'a>(&self, rows: impl Iterator<Item = (Version, &'a Row)>) {
        let mut generations = self.lock();
        for (version, row) in rows {
            if !matches!(row, Row::Seat(_) | Row::Account(_)) {
                continue;
            }
            let key = row.key();
            let known = generations.get(&key).map(|stored| stored.version);
            if known.is_none_or(|known| known < version) {
                let row = row.clone();
                generations.put(key, StoredRow { version, row });
            }
        }
    }

    /// Forgets rows that turned out not to be as they were seen.
    pub(crate) fn forget(&self, keys: &BTreeSet<Key>) {
        let mut generations = self.lock();
        for key in keys {
            generations.young.remove(key);
            generations.old.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies changesets to the rows as they were seen last. What comes back: the guess, the
    /// receipts of those changesets that it holds by their place, and nothing of the others.
    pub(crate) fn guess(
        &self,
        changesets: &[&Changeset],
    ) -> Result<(Fold, Vec<Option<Receipt>>), Trouble> {
        let mut fold = Fold::over(World::new());
        let mut receipts = Vec::with_capacity(changesets.len());
        let generations = self.lock();
        for changeset in changesets {
            receipts.push(generations.guess(&mut fold, changeset)?);
        }
        Ok((fold, receipts))
    }
}

impl Generations {
    fn get(&self, key: &Key) -> Option<&StoredRow> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn put(&mut self, key: Key, stored: StoredRow) {
        if self.young.len() >= SEEN_MIN {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, stored);
    }

    fn guess(&self, fold: &mut Fold, changeset: &Changeset) -> Result<Option<Receipt>, Trouble> {
        if !is_simple(changeset) {
            return Ok(None);
        }
        let written = changeset.written();
        let relies_on_more = changeset.expect.iter().any(|expect| match expect {
            Expect::At(key, _) => !written.contains(key),
            Expect::Absent(_) | Expect::Claimed(..) => true,
        });
        if relies_on_more {
            return Ok(None);
        }
        for key in &written {
            if fold.world().row(key).is_some() {
                continue;
            }
            let Some(stored) = self.get(key) else {
                return Ok(None);
            };
            let world = fold.world_mut();
            world.put_row(stored.version, stored.row.clone());
            // The place in its queue follows from a row, but for who has claimed it; and that is
            // of no concern to a row that stays due when it was.
            if let Some(due) = stored.row.due() {
                let work = Work {
                    due,
                    fence: Fence::default(),
                    leased_until: None,
                };
                world.put_work(key.clone(), work);
            }
        }
        let Ok(delta) = apply(fold.world(), changeset) else {
            return Ok(None);
        };
        let only_meters = delta.puts.iter().all(|(key, put)| match &put.row {
            Row::Account(_) => fold.world().row(key).is_some(),
            Row::Seat(after) => match fold.world().row(key) {
                Some((_, Row::Seat(before))) => seat::is_metering(before, after),
                _ => false,
            },
            _ => false,
        });
        // What a guard let nothing through of is not written, and nothing would confirm it.
        let is_confirmed = |key: &Key| delta.puts.contains_key(key) || fold.is_written(key);
        let all_confirmed = written.iter().all(is_confirmed);
        if !only_meters || !all_confirmed || !delta.work.is_empty() || !delta.deletes.is_empty() {
            return Ok(None);
        }
        fold.take(&delta)?;
        Ok(Some(delta.receipt))
    }
}

/// Whether a changeset may be one that only meters and pays.
fn is_simple(changeset: &Changeset) -> bool {
    let updates_seats = |write: &Write| matches!(write, Write::Update(Row::Seat(_)));
    let is_posted = changeset
        .transfers
        .iter()
        .all(|order| order.transfer.action == Action::Posted);
    changeset.intents.is_empty()
        && changeset.idempotency.is_none()
        && changeset.rows.iter().all(updates_seats)
        && is_posted
}
