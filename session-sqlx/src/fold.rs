//! What a group of changesets comes to: a verdict for each, and one set of writes for all.

use std::collections::{BTreeMap, BTreeSet};

use session_core::changeset::{
    Changeset, Delta, Expect, Key, Lane, Receipt, Rejection, Row, Unique, Version, World, apply,
};
use session_core::ports::StoreErrorKind;

use crate::error::store_error;
use crate::rows::{self, Kind, seat};
use crate::session::{Session, Trouble};
use crate::statement::Statement;
use crate::value::{Tuple, Values};
use crate::{journal, ledger, work};

/// The verdict on one changeset.
pub(crate) type Verdict = Result<Receipt, Rejection>;

/// Changesets applied one after another, each to the world that those before it leave.
#[derive(Debug)]
pub(crate) struct Fold {
    world: World,
    pub(crate) verdicts: Vec<Verdict>,
    /// What the rows that are written were before.
    before: BTreeMap<Key, Option<Before>>,
    /// Whether the places in queues that are written were there before.
    queued: BTreeMap<Key, bool>,
    transfers: Vec<Tuple>,
    journal: Vec<Tuple>,
    /// Entries that get into blocks.
    sealed: Vec<Tuple>,
    /// Absences that were relied on.
    absent: Vec<Key>,
}

#[derive(Debug)]
struct Before {
    version: Version,
    uniques: Vec<Unique>,
}

impl Fold {
    /// Lets the core decide. `world` must hold every row that the changesets name.
    pub(crate) fn of(world: World, changesets: &[&Changeset]) -> Result<Self, Trouble> {
        let mut fold = Self::over(world);
        for changeset in changesets {
            let verdict = match apply(&fold.world, changeset) {
                Ok(delta) => {
                    fold.take(&delta)?;
                    fold.absent.extend(absences(changeset));
                    Ok(delta.receipt)
                }
                Err(rejection) => {
                    // A refusal for ever must not come from rows of several instants; one that
                    // is decided anew may.
                    if !rejection.is_conflict() {
                        fold.absent.extend(absences_before(changeset, &rejection));
                    }
                    Err(rejection)
                }
            };
            fold.verdicts.push(verdict);
        }
        Ok(fold)
    }

    pub(crate) fn over(world: World) -> Self {
        Self {
            world,
            verdicts: Vec::new(),
            before: BTreeMap::new(),
            queued: BTreeMap::new(),
            transfers: Vec::new(),
            journal: Vec::new(),
            sealed: Vec::new(),
            absent: Vec::new(),
        }
    }

    /// Whether a row is to be written, at the version that it was found at.
    pub(crate) fn is_written(&self, key: &Key) -> bool {
        self.before.contains_key(key)
    }

    pub(crate) const fn world(&self) -> &World {
        &self.world
    }

    pub(crate) const fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    /// Takes over what one changeset does.
    pub(crate) fn take(&mut self, delta: &Delta) -> Result<(), Trouble> {
        for key in delta.puts.keys().chain(&delta.deletes) {
            if !self.before.contains_key(key) {
                let found = self.world.row(key).map(|(version, row)| Before {
                    version: *version,
                    uniques: row.uniques(),
                });
                self.before.insert(key.clone(), found);
            }
        }
        for key in delta.work.keys() {
            if !self.queued.contains_key(key) {
                let was_there = self.world.work(key).is_some();
                self.queued.insert(key.clone(), was_there);
            }
        }
        for put in delta.puts.values() {
            if let Row::Block(block) = &put.row {
                for entry in &block.entries {
                    self.sealed.push(journal::named(*entry).map_err(poisoned)?);
                }
            }
        }
        for transfer in &delta.transfers {
            self.transfers
                .push(ledger::values(transfer).map_err(poisoned)?);
        }
        for entry in &delta.journal {
            self.journal.push(journal::values(entry).map_err(poisoned)?);
        }
        self.world.absorb(delta);
        Ok(())
    }

    /// Whether some changeset is to be written.
    pub(crate) fn writes(&self) -> bool {
        !(self.before.is_empty()
            && self.queued.is_empty()
            && self.transfers.is_empty()
            && self.journal.is_empty())
    }

    /// Whether some changeset relies on an absence that it does not end itself by an insertion,
    /// which the database would refuse if it came too late.
    pub(crate) fn relies_on_absence(&self) -> bool {
        let mut absent = self.absent.iter();
        absent.any(|key| !self.before.contains_key(key))
    }

    /// The rows that are written, as they are afterwards.
    pub(crate) fn after(&self) -> impl Iterator<Item = (Version, &Row)> {
        self.before.keys().filter_map(|key| {
            let (version, row) = self.world.row(key)?;
            Some((*version, row))
        })
    }

    /// The queues in which something is placed.
    pub(crate) fn lanes(&self) -> BTreeSet<Lane> {
        let places = self.queued.keys().filter_map(|key| self.world.work(key));
        places.map(|place| place.due.lane).collect()
    }

    /// Writes everything, inside a transaction in which the world was locked.
    pub(crate) async fn write<S: Session>(&self, session: &mut S) -> Result<(), Trouble> {
        // What only one row may have can change hands, and the database checks each statement:
        // all that release come before any that takes. A row that takes goes away and comes back.
        let mut deletes = Vec::new();
        let mut updates = Vec::new();
        let mut inserts = Vec::new();
        for (key, before) in &self.before {
            let after = self.world.row(key);
            match (before, after) {
                (Some(before), Some((version, row))) if before.is_released_by(row) => {
                    let update = rows::values(row).version(*version).version(before.version);
                    updates.push((Kind::of(key), update));
                }
                (before, after) => {
                    if let Some(before) = before {
                        let delete = rows::name(key).version(before.version);
                        deletes.push((Kind::of(key), delete));
                    }
                    if let Some((version, row)) = after {
                        inserts.push((Kind::of(key), rows::values(row).version(*version)));
                    }
                }
            }
        }
        for (kind, rows) in grouped(deletes)? {
            exactly(session, &kind.table().delete, &rows).await?;
        }
        for (kind, rows) in grouped(updates)? {
            exactly(session, &kind.table().update, &rows).await?;
        }
        for (kind, rows) in grouped(inserts)? {
            exactly(session, &kind.table().insert, &rows).await?;
        }
        if !self.transfers.is_empty() {
            exactly(session, &ledger::INSERT, &self.transfers).await?;
        }
        if !self.journal.is_empty() {
            journal::append(session, &self.journal).await?;
        }
        // After they were appended: one group may do both.
        if !self.sealed.is_empty() {
            exactly(session, &journal::SEAL, &self.sealed).await?;
        }
        self.write_queues(session).await
    }

    async fn write_queues<S: Session>(&self, session: &mut S) -> Result<(), Trouble> {
        let mut gone = Vec::new();
        let mut placed = Vec::new();
        for (key, was_there) in &self.queued {
            match self.world.work(key) {
                Some(place) => placed.push(work::values(key, place).map_err(poisoned)?),
                None if *was_there => {
                    gone.push(Values::new().text(key).finish().map_err(poisoned)?);
                }
                None => {}
            }
        }
        if !gone.is_empty() {
            session.execute(&work::DELETE, &gone).await?;
        }
        if !placed.is_empty() {
            session.execute(&work::UPSERT, &placed).await?;
        }
        Ok(())
    }

    /// A row that is not there cannot be locked. But nobody can insert one that this transaction
    /// has inserted and taken away again until it ends; and if somebody has, this fails.
    pub(crate) async fn hold_absent<S: Session>(&self, session: &mut S) -> Result<(), Trouble> {
        let written = |key: &Key| self.before.contains_key(key);
        let mut keys: Vec<&Key> = self.absent.iter().filter(|key| !written(key)).collect();
        keys.sort();
        keys.dedup();
        let mut inserts = Vec::new();
        let mut deletes = Vec::new();
        for key in keys {
            inserts.push((Kind::of(key), rows::placeholder(key)));
            deletes.push((Kind::of(key), rows::name(key).version(Version::FIRST)));
        }
        for (kind, rows) in grouped(inserts)? {
            exactly(session, &kind.table().insert, &rows).await?;
        }
        for (kind, rows) in grouped(deletes)? {
            exactly(session, &kind.table().delete, &rows).await?;
        }
        Ok(())
    }

    /// What beats alone write; `None` where there is more to write than that.
    pub(crate) fn beats(&self) -> Result<Option<Beats>, Trouble> {
        let mut beats = Beats::default();
        for (key, before) in &self.before {
            let (Some(before), Some((version, row))) = (before, self.world.row(key)) else {
                return Ok(None);
            };
            let (values, into) = match row {
                Row::Seat(seat) => (seat::metered(seat), &mut beats.seats),
                Row::Account(_) => (rows::values(row), &mut beats.accounts),
                Row::Block(_)
                | Row::BookedSession(_)
                | Row::Chain(_)
                | Row::Challenge(_)
                | Row::Entry(_)
                | Row::Host(_)
                | Row::Idempotency(_)
                | Row::Intent(_)
                | Row::Revocation(_)
                | Row::Room(_)
                | Row::RoomEvent(_)
                | Row::Service(_) => return Ok(None),
            };
            let tuple = values.version(*version).version(before.version).finish();
            into.push(tuple.map_err(poisoned)?);
        }
        if !self.queued.is_empty() || !self.absent.is_empty() {
            return Ok(None);
        }
        beats.transfers.clone_from(&self.transfers);
        beats.journal.clone_from(&self.journal);
        Ok(Some(beats))
    }
}

/// What heartbeats and simple debits write: seats that were metered, the accounts that paid, the
/// transfers between them and what the journal says of it.
#[derive(Debug, Default)]
pub(crate) struct Beats {
    pub(crate) seats: Vec<Tuple>,
    pub(crate) accounts: Vec<Tuple>,
    pub(crate) transfers: Vec<Tuple>,
    pub(crate) journal: Vec<Tuple>,
}

impl Before {
    /// Whether a row, as it is afterwards, holds nothing that it did not hold.
    fn is_released_by(&self, row: &Row) -> bool {
        let mut uniques = row.uniques().into_iter();
        uniques.all(|unique| self.uniques.contains(&unique))
    }
}

fn absences(changeset: &Changeset) -> impl Iterator<Item = Key> {
    changeset.expect.iter().filter_map(absence)
}

fn absence(expect: &Expect) -> Option<Key> {
    match expect {
        // Whoever expects an entry is refused, whether there is one or not.
        Expect::Absent(Key::Entry(_)) | Expect::At(..) | Expect::Claimed(..) => None,
        Expect::Absent(key) => Some(key.clone()),
    }
}

/// The absences that a refusal was found after. A worker that lost its claim never got to the
/// others, and must not be kept from hearing so by what it may not insert and take away again.
fn absences_before(changeset: &Changeset, rejection: &Rejection) -> impl Iterator<Item = Key> {
    let is_lost = move |expect: &&Expect| match (expect, rejection) {
        (Expect::Claimed(key, _), Rejection::Fenced(lost)) => key == lost,
        _ => false,
    };
    let before = changeset
        .expect
        .iter()
        .take_while(move |expect| !is_lost(expect));
    before.filter_map(absence)
}

/// Rows by kind. They come in the order of their keys.
fn grouped(rows: Vec<(Kind, Values)>) -> Result<BTreeMap<Kind, Vec<Tuple>>, Trouble> {
    let mut kinds: BTreeMap<Kind, Vec<Tuple>> = BTreeMap::new();
    for (kind, values) in rows {
        let tuple = values.finish().map_err(poisoned)?;
        kinds.entry(kind).or_default().push(tuple);
    }
    Ok(kinds)
}

/// What was to be written was locked before, so a write that misses can only be a fault of ours;
/// but it must never pass for one that hit.
async fn exactly<S: Session>(
    session: &mut S,
    statement: &'static Statement,
    rows: &[Tuple],
) -> Result<(), Trouble> {
    let written = session.execute(statement, rows).await?;
    if usize::try_from(written) == Ok(rows.len()) {
        Ok(())
    } else {
        tracing::error!(
            written,
            of = rows.len(),
            "a write missed rows that were locked"
        );
        let detail = "a write missed rows that were locked";
        Err(Trouble::Again(store_error(
            StoreErrorKind::Unavailable,
            detail,
        )))
    }
}

fn poisoned(rejection: Rejection) -> Trouble {
    Trouble::Poisoned(rejection.into())
}
