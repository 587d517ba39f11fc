//! `attested_once`: of a booking the chain takes one attestation of ours, unless it took the one
//! before back; and what it takes is what was decided, outcome and hash.

use std::collections::BTreeMap;

use session_core::booking::DecidedBy;
use session_core::changeset::{Row, Write};
use session_core::escrow::{BookingKey, Outcome};
use session_core::types::{Timestamp, Word};

use super::{Invariant, Seen, Truth};

/// Of a booking the chain takes one attestation, the one that was decided.
#[derive(Debug, Default)]
pub struct AttestedOnce {
    /// What is on record; of what was decided otherwise later, only what may be: signed by both
    /// parties, or forced.
    decided: BTreeMap<BookingKey, Vec<Decided>>,
    /// What the chain has, and since which block time.
    standing: BTreeMap<BookingKey, (Timestamp, Decided)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decided {
    outcome: Outcome,
    metrics_hash: Word,
    is_presence: bool,
}

impl AttestedOnce {
    fn wrote(&mut self, write: &Write) {
        let (Write::Insert(Row::BookedSession(session))
        | Write::Update(Row::BookedSession(session))) = write
        else {
            return;
        };
        let Some(decision) = &session.decision else {
            return;
        };
        let decided = Decided {
            outcome: decision.outcome,
            metrics_hash: decision.metrics_hash,
            is_presence: decision.by == DecidedBy::Presence,
        };
        let known = self.decided.entry(session.key).or_default();
        if known.last() != Some(&decided) {
            known.retain(|before| !before.is_presence);
            known.push(decided);
        }
    }

    fn attested(&mut self, accepted: &crate::escrows::Accepted) -> Result<(), String> {
        let attestation = &accepted.attestation;
        let key = attestation.booking;
        let known = self.decided.get(&key).into_iter().flatten();
        let told = (attestation.outcome, attestation.metrics_hash);
        let mut matching = known.filter(|known| (known.outcome, known.metrics_hash) == told);
        let Some(decided) = matching.next() else {
            let outcome = attestation.outcome;
            return Err(format!(
                "{outcome} of {key} was attested, which was not decided"
            ));
        };
        match self.standing.insert(key, (accepted.at, *decided)) {
            Some((before, _)) => Err(format!(
                "{key} was attested at {} and at {before}",
                accepted.at
            )),
            None => Ok(()),
        }
    }
}

impl Invariant for AttestedOnce {
    fn name(&self) -> &'static str {
        "attested_once"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: Truth<'_>) -> Result<(), String> {
        match seen {
            Seen::Attested(accepted) => self.attested(accepted),
            Seen::Calm(_) => {
                for key in self.decided.keys() {
                    let accepted = truth.chains.map(|chains| chains.accepted_of(key));
                    let accepted = accepted.unwrap_or_default();
                    let kept = accepted.iter().filter(|accepted| !accepted.reorganised);
                    let kept = kept.count();
                    if kept > 1 {
                        return Err(format!("the chain holds {kept} attestations of {key}"));
                    }
                }
                Ok(())
            }
            Seen::Committed { changeset, .. } => {
                for write in &changeset.rows {
                    self.wrote(write);
                }
                Ok(())
            }
            Seen::Reorganised(since) => {
                self.standing.retain(|_, (at, _)| *at <= *since);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
