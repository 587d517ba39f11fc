//! `windows`: the chain takes an attestation within the contract's window alone, nobody sends one
//! outside of it by the chain's clock as it was last read, and a window that is said to be missed
//! has closed.

use std::collections::{BTreeMap, BTreeSet};

use session_core::booking::{BookedSession, DecidedBy, Settlement};
use session_core::changeset::{Changeset, Row, Write};
use session_core::escrow::{BookingKey, Outcome};
use session_core::outbox::{Effect, IntentState};
use session_core::ports::Attestation;
use session_core::types::Timestamp;

use super::{By, Invariant, Seen, Truth};
use crate::sim::chain::Booked;

/// For so long after the end the contract takes that a session was completed.
const COMPLETED_AFTER_END: u64 = 7_200;

/// For so long after the end it takes what both parties signed.
const REFUND_AFTER_END: u64 = 86_400;

/// Nothing is attested outside of the contract's windows.
#[derive(Debug, Default)]
pub struct Windows {
    /// What each task was told last, in block time.
    told: BTreeMap<(u32, BookingKey), Timestamp>,
    /// The latest block time that anybody was told of.
    latest: BTreeMap<BookingKey, Timestamp>,
    /// The block time on which the state of the attestation rests that is on record.
    on_record: BTreeMap<BookingKey, Timestamp>,
    /// The same, as it was when a task wrote down that the attestation leaves.
    resting: BTreeMap<(u32, BookingKey), Timestamp>,
    /// Bookings of which an outcome was forced.
    forced: BTreeSet<BookingKey>,
    /// How far each settlement was.
    missed: BTreeMap<BookingKey, bool>,
}

/// The first and the last second, in the words of the rule book and not in those of the core.
fn window(booked: &Booked, attested: Outcome, deadline: Option<u64>) -> (u64, u64) {
    let slot = &booked.slot;
    let minutes = |minutes: u32| u64::from(minutes) * 60;
    let start = slot.start_time.unix();
    let end = start + minutes(slot.duration_mins);
    let grace = minutes(slot.grace_mins);
    match (deadline, attested) {
        (Some(deadline), _) => (start, deadline.min(end + REFUND_AFTER_END - 1)),
        (None, Outcome::Completed) => (
            start + minutes(slot.min_overlap_mins),
            end + COMPLETED_AFTER_END,
        ),
        (None, Outcome::NoShowHost | Outcome::NoShowGuest) => (start + grace, end + grace),
    }
}

fn window_of(attestation: &Attestation, truth: Truth<'_>) -> Option<(u64, u64)> {
    let booked = truth.chains?.booked(&attestation.booking)?;
    let deadline = attestation.mutual.as_ref().map(|mutual| mutual.deadline);
    Some(window(booked, attestation.outcome, deadline))
}

impl Windows {
    fn wrote(&mut self, by: By, changeset: &Changeset, truth: Truth<'_>) -> Result<(), String> {
        let mut has_intent = !changeset.intents.is_empty();
        for write in &changeset.rows {
            let Write::Update(Row::Intent(intent)) = write else {
                continue;
            };
            has_intent = true;
            let Effect::Attest(attestation) = &intent.effect else {
                continue;
            };
            let key = attestation.booking;
            if intent.state == IntentState::Submitted
                && let Some(at) = self.on_record.get(&key)
            {
                self.resting.insert((by.task, key), *at);
            }
        }
        for write in &changeset.rows {
            let (Write::Insert(Row::BookedSession(session))
            | Write::Update(Row::BookedSession(session))) = write
            else {
                continue;
            };
            let key = session.key;
            let decision = session.decision.as_ref();
            if decision.is_some_and(|decision| decision.by == DecidedBy::Force) {
                self.forced.insert(key);
            }
            if has_intent && let Some(at) = self.told.remove(&(by.task, key)) {
                self.on_record.insert(key, at);
            }
            self.settled(session, truth)?;
        }
        Ok(())
    }

    fn settled(&mut self, session: &BookedSession, truth: Truth<'_>) -> Result<(), String> {
        let key = session.key;
        let Settlement::WindowMissed { outcome, .. } = session.settlement else {
            self.missed.remove(&key);
            return Ok(());
        };
        let Some(chains) = truth.chains else {
            return Ok(());
        };
        let Some(booked) = chains.booked(&key) else {
            return Ok(());
        };
        let (_, last) = window(booked, outcome, None);
        let now = chains.block_time(truth.now);
        if self.missed.insert(key, true).is_none() && now.unix() <= last {
            return Err(format!(
                "{outcome} of {key} is given up at {now}, taken until {last}"
            ));
        }
        Ok(())
    }

    fn sent(&self, by: By, attestation: &Attestation, truth: Truth<'_>) -> Result<(), String> {
        let Some((first, last)) = window_of(attestation, truth) else {
            return Ok(());
        };
        let key = attestation.booking;
        // A developer may force what the contract then refuses.
        if self.forced.contains(&key) {
            return Ok(());
        }
        let (outcome, task) = (attestation.outcome, by.task);
        let Some(rests_on) = self.resting.get(&(task, key)) else {
            return Err(format!(
                "{outcome} of {key} leaves, which rests on no reading"
            ));
        };
        if rests_on.unix() > last {
            return Err(format!(
                "{outcome} of {key} leaves at {rests_on}, after {last}"
            ));
        }
        let latest = self.latest.get(&key).copied().unwrap_or_default();
        if latest.unix() < first {
            return Err(format!(
                "{outcome} of {key} leaves at {latest}, before {first}"
            ));
        }
        Ok(())
    }
}

impl Invariant for Windows {
    fn name(&self) -> &'static str {
        "windows"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: Truth<'_>) -> Result<(), String> {
        match seen {
            Seen::Attested(accepted) => {
                let at = accepted.at.unix();
                let attestation = &accepted.attestation;
                match window_of(attestation, truth) {
                    Some((first, last)) if at < first || at > last => Err(format!(
                        "{} of {} was taken at {at}, and may be from {first} to {last}",
                        attestation.outcome, attestation.booking
                    )),
                    _ => Ok(()),
                }
            }
            Seen::ChainRead { by, key, reading } => {
                self.told.insert((by.task, *key), reading.chain_now);
                let latest = self.latest.entry(*key).or_default();
                *latest = reading.chain_now.max(*latest);
                Ok(())
            }
            Seen::Committed { by, changeset, .. } => self.wrote(*by, changeset, truth),
            Seen::Sending { by, attestation } => self.sent(*by, attestation, truth),
            _ => Ok(()),
        }
    }
}
