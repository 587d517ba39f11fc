//! `acknowledged`: what a store acknowledged is in the true world from then on, and in what
//! anybody reads.

use std::collections::{BTreeMap, BTreeSet};

use session_core::changeset::{Changeset, Expect, Fact, Key, Record, Row, Version, World, Write};
use session_core::ports::{Read, StoredRow};
use session_core::types::{EntryId, TransferId};

use super::{Invariant, Seen, Truth};

/// How many changes of the world go by between two looks at all of it.
const LOOK_EVERY: u32 = 4;

/// What a store acknowledged is in the true world from then on.
#[derive(Debug, Default)]
pub struct Acknowledged {
    versions: BTreeMap<Key, Version>,
    transfers: BTreeMap<TransferId, u64>,
    entries: BTreeSet<EntryId>,
    changes: u32,
}

impl Acknowledged {
    fn wrote(&mut self, changeset: &Changeset, world: &World) -> Result<(), String> {
        for write in &changeset.rows {
            match write {
                Write::Delete(key) => {
                    self.versions.remove(key);
                    if world.row(key).is_some() {
                        return Err(format!("{key} was removed and is there"));
                    }
                }
                Write::Insert(row) => self.put(row, Version::FIRST, world)?,
                Write::Update(row) => {
                    let key = row.key();
                    let before = changeset.expect.iter().find_map(|expect| match expect {
                        Expect::At(at, version) if *at == key => Some(*version),
                        Expect::Absent(_) | Expect::At(..) | Expect::Claimed(..) => None,
                    });
                    let version = before.map_or(Version::FIRST, Version::next);
                    self.put(row, version, world)?;
                }
            }
        }
        if let Some(record) = &changeset.idempotency {
            self.put(&record.clone().into(), Version::FIRST, world)?;
        }
        for intent in &changeset.intents {
            if world.row(&intent.key()).is_none() {
                return Err(format!(
                    "intent {} was written and is not there",
                    intent.key
                ));
            }
        }
        Ok(())
    }

    fn put(&mut self, row: &Row, version: Version, world: &World) -> Result<(), String> {
        let key = row.key();
        match world.row(&key) {
            Some((at, found)) if *at == version && found == row => {}
            Some((at, _)) if *at != version => {
                let (at, version) = (at.get(), version.get());
                return Err(format!("{key} is at version {at}, written was {version}"));
            }
            Some(_) => return Err(format!("{key} is not as it was written")),
            None => return Err(format!("{key} was written and is not there")),
        }
        self.versions.insert(key, version);
        Ok(())
    }

    fn whole(&self, world: &World) -> Result<(), String> {
        for (key, version) in &self.versions {
            if world.row(key).is_none_or(|(at, _)| at != version) {
                return Err(format!("{key} was written and is lost"));
            }
        }
        let mut moved = self.transfers.clone();
        for transfer in world.transfers() {
            if moved
                .remove(&transfer.id)
                .is_some_and(|amount| amount != transfer.amount)
            {
                return Err(format!("transfer {} is another amount", transfer.id));
            }
        }
        if let Some((id, amount)) = moved.first_key_value() {
            return Err(format!("transfer {id} of {amount} is lost"));
        }
        self.journaled(world)
    }

    /// Entries are there, those of transfers too, and each waits for a block or is in one.
    fn journaled(&self, world: &World) -> Result<(), String> {
        let mut entries = self.entries.clone();
        let mut moved: BTreeSet<&TransferId> = self.transfers.keys().collect();
        let mut placed: BTreeSet<EntryId> = world.unsealed().into_iter().collect();
        for (_, _, row) in world.rows() {
            if let Row::Block(block) = row {
                placed.extend(&block.entries);
            }
        }
        for entry in world.journal() {
            let is_ours = match &entry.fact {
                Fact::Transferred { transfer, .. } => moved.remove(&transfer.id),
                _ => entries.remove(&entry.id),
            };
            if is_ours && !placed.contains(&entry.id) {
                return Err(format!("journal entry {} waits for no block", entry.id));
            }
        }
        if let Some(id) = moved.first() {
            return Err(format!("the journal entry of transfer {id} is lost"));
        }
        match entries.first() {
            Some(id) => Err(format!("journal entry {id} is lost")),
            None => Ok(()),
        }
    }
}

impl Invariant for Acknowledged {
    fn name(&self) -> &'static str {
        "acknowledged"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: Truth<'_>) -> Result<(), String> {
        match seen {
            Seen::Committed {
                changeset, receipt, ..
            } => {
                self.wrote(changeset, truth.world)?;
                let moved = receipt.moved.iter().filter(|(_, amount)| **amount > 0);
                self.transfers
                    .extend(moved.map(|(id, amount)| (*id, *amount)));
                self.entries
                    .extend(changeset.journal.iter().map(|entry| entry.id));
                Ok(())
            }
            Seen::Read { reads, found } => {
                for (read, rows) in reads.iter().zip(found.iter()) {
                    up_to_date(read, rows, truth.world)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn check(&mut self, truth: Truth<'_>) -> Result<(), String> {
        self.changes += 1;
        if self.changes.is_multiple_of(LOOK_EVERY) {
            self.whole(truth.world)
        } else {
            Ok(())
        }
    }
}

/// A read is of an instant that is not before it began.
fn up_to_date(read: &Read, rows: &[StoredRow], world: &World) -> Result<(), String> {
    if let Read::Row(key) = read
        && rows.is_empty()
        && world.row(key).is_some()
    {
        return Err(format!("{key} was there and was not read"));
    }
    for stored in rows {
        let key = stored.row.key();
        if world.row(&key).is_none_or(|(at, _)| *at != stored.version) {
            let version = stored.version.get();
            return Err(format!(
                "{key} was read at version {version}, which it is not at"
            ));
        }
    }
    Ok(())
}
