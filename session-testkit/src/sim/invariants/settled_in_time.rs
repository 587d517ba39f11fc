//! `settled_in_time`: once nothing fails, within two sweeps, every booking is on record, every one
//! that is due is settled or said to be missed, and what is said of it is what the chain has.

use session_core::attestation::Done;
use session_core::booking::{BookedSession, Settlement};
use session_core::changeset::{Key, Row};

use super::{Invariant, Seen, Truth};
use crate::sim::chain::{Booked, Chains};

/// How often a timer is to look (`settlement.md` section 6.5).
const SWEEP_SECONDS: u64 = 120;

/// The parameters of the policy.
const SETTLE_DELAY: u64 = 60;
const NO_SHOW_MARGIN: u64 = 180;

/// Everything that is due is settled, in two sweeps.
#[derive(Debug, Default)]
pub struct SettledInTime;

/// From when on a session is due whatever came of it, in true time.
fn due(booked: &Booked, chains: &Chains) -> u64 {
    let slot = &booked.slot;
    let minutes = |minutes: u32| u64::from(minutes) * 60;
    let start = slot.start_time.unix();
    let end = start + minutes(slot.duration_mins);
    let absent = (end + SETTLE_DELAY).min((end + minutes(slot.grace_mins)) - NO_SHOW_MARGIN);
    let opens = start + minutes(slot.grace_mins.max(slot.min_overlap_mins));
    let behind = end - chains.block_time(end).unix();
    end.max(absent).max(opens) + behind
}

fn is_wrong(session: &BookedSession, chains: &Chains) -> Option<&'static str> {
    let accepted = chains.accepted_of(&session.key);
    let ours = accepted.iter().rev().find(|accepted| !accepted.reorganised);
    match (session.settlement, ours) {
        (Settlement::Open | Settlement::Attesting, _) => Some("is not settled"),
        (Settlement::Settled { done, .. }, Some(ours)) => {
            let decided = session.decision.as_ref();
            let is_decided = decided.is_some_and(|decided| {
                (decided.outcome, decided.metrics_hash)
                    == (ours.attestation.outcome, ours.attestation.metrics_hash)
            });
            (is_decided != (done == Done::Submitted)).then_some("is not what the chain has")
        }
        (
            Settlement::Settled {
                done: Done::Submitted,
                ..
            },
            None,
        ) => Some("is said to be attested, and is not"),
        (Settlement::Settled { .. }, None) if chains.of(&session.key).is_booked(&session.key) => {
            Some("is said to be settled, and waits")
        }
        (Settlement::Settled { .. } | Settlement::WindowMissed { .. }, _) => None,
    }
}

impl Invariant for SettledInTime {
    fn name(&self) -> &'static str {
        "settled_in_time"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: Truth<'_>) -> Result<(), String> {
        let (Seen::Calm(calm), Some(chains)) = (seen, truth.chains) else {
            return Ok(());
        };
        if *calm < 2 * SWEEP_SECONDS {
            return Ok(());
        }
        for booked in chains.bookings() {
            if truth.now < due(booked, chains) + 2 * SWEEP_SECONDS {
                continue;
            }
            let key = booked.key;
            let Some((_, Row::BookedSession(session))) = truth.world.row(&Key::BookedSession(key))
            else {
                if chains.of(&key).is_booked(&key) {
                    return Err(format!("{key} is not on record"));
                }
                continue;
            };
            if let Some(why) = is_wrong(session, chains) {
                let (is, calm) = (session.settlement, *calm);
                return Err(format!("{key} {why} after {calm} s: {is:?}"));
            }
        }
        Ok(())
    }
}
