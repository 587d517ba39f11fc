//! `fenced`: a row is in one worker's hands, and whoever lost it writes nothing under its claim.
//!
//! Who writes is judged too, and not only what is named: a worker that was handed rows names a
//! claim of its own whenever it writes one of them, or a command that forgot to would be invisible.

use std::collections::{BTreeMap, BTreeSet};

use session_core::changeset::{Changeset, Due, Expect, Fence, Key, Record, Row, Write};
use session_core::types::Timestamp;

use super::{Invariant, Seen, Truth};

/// Nobody whose claim was taken over has written under it.
#[derive(Debug, Default)]
pub struct Fenced {
    held: BTreeMap<Key, Held>,
    due: BTreeMap<Key, Due>,
    /// By task: the rows that it was ever handed.
    handed: BTreeMap<u32, BTreeSet<Key>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Held {
    fence: Fence,
    /// Until when, by the clock of whoever claimed; `None` where the claim has ended.
    until: Option<Timestamp>,
}

impl Fenced {
    fn put(&mut self, key: &Key, due: Option<Due>, claimed: bool) {
        match due {
            None => {
                self.due.remove(key);
                self.held.remove(key);
            }
            Some(due) => {
                let has_moved = self.due.insert(key.clone(), due) != Some(due);
                if (has_moved || claimed)
                    && let Some(held) = self.held.get_mut(key)
                {
                    held.until = None;
                }
            }
        }
    }
}

/// Whether a worker that writes a row it was handed does so under a claim on one of them: a check
/// of one seat may end others of its room.
fn names_a_claim(handed: &BTreeSet<Key>, changeset: &Changeset) -> Result<(), String> {
    let is_named = changeset.expect.iter().any(|expect| match expect {
        Expect::Claimed(key, _) => handed.contains(key),
        Expect::Absent(_) | Expect::At(..) => false,
    });
    let mut written = changeset.rows.iter().map(|write| match write {
        Write::Delete(key) => key.clone(),
        Write::Insert(row) | Write::Update(row) => row.key(),
    });
    match written.find(|key| handed.contains(key)) {
        Some(key) if !is_named => Err(format!("{key} was handed out and written under no claim")),
        _ => Ok(()),
    }
}

impl Invariant for Fenced {
    fn name(&self) -> &'static str {
        "fenced"
    }

    fn see(&mut self, seen: &Seen<'_>, _: Truth<'_>) -> Result<(), String> {
        match seen {
            Seen::Claimed { by, claim, claimed } => {
                for row in *claimed {
                    let held = self.held.entry(row.key.clone()).or_default();
                    if let Some(until) = held.until.filter(|until| *until > claim.now) {
                        let (key, now) = (&row.key, claim.now);
                        return Err(format!(
                            "{key} is claimed until {until}, and again at {now}"
                        ));
                    }
                    if row.fence <= held.fence {
                        return Err(format!("{} was handed out under an old fence", row.key));
                    }
                    held.fence = row.fence;
                    let handed = self.handed.entry(by.task).or_default();
                    handed.insert(row.key.clone());
                    held.until = Some(claim.now.after(claim.lease));
                }
                Ok(())
            }
            Seen::Committed { by, changeset, .. } => {
                let mut claimed = Vec::new();
                for expect in &changeset.expect {
                    let Expect::Claimed(key, fence) = expect else {
                        continue;
                    };
                    let last = self
                        .held
                        .get(key)
                        .map_or(Fence::default(), |held| held.fence);
                    if *fence != last {
                        let (old, last) = (fence.get(), last.get());
                        return Err(format!("{key} was written under claim {old}, now {last}"));
                    }
                    claimed.push(key);
                }
                if let Some(handed) = self.handed.get(&by.task) {
                    names_a_claim(handed, changeset)?;
                }
                let put = |row: &Row| (row.key(), row.due());
                let puts = changeset.rows.iter().map(|write| match write {
                    Write::Delete(key) => (key.clone(), None),
                    Write::Insert(row) | Write::Update(row) => put(row),
                });
                for (key, due) in puts {
                    let is_claimed = claimed.contains(&&key);
                    self.put(&key, due, is_claimed);
                }
                for intent in &changeset.intents {
                    let key = intent.key();
                    if !self.due.contains_key(&key) {
                        self.put(&key, intent.due(), false);
                    }
                }
                if let Some(record) = &changeset.idempotency {
                    self.put(&record.key(), record.due(), false);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
