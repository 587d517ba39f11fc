//! `one_decision`: what is decided of a booking stays decided: outcome, text, hash and what it was
//! made on. Only what both parties signed and the contract did not take, and what a developer
//! forced, is decided anew, on presence.

use std::collections::{BTreeMap, BTreeSet};

use session_core::booking::{DecidedBy, Decision};
use session_core::changeset::{Row, Write};
use session_core::escrow::{BookingKey, Outcome};
use session_core::types::Word;

use super::{Invariant, Seen, Truth};

/// What is decided stays decided.
#[derive(Debug, Default)]
pub struct OneDecision {
    decisions: BTreeMap<BookingKey, Decision>,
    /// What left, by booking, of what was decided on presence: at most one thing.
    sent: BTreeMap<BookingKey, BTreeSet<(Outcome, Word)>>,
}

impl Invariant for OneDecision {
    fn name(&self) -> &'static str {
        "one_decision"
    }

    fn see(&mut self, seen: &Seen<'_>, _: Truth<'_>) -> Result<(), String> {
        match seen {
            Seen::Committed { changeset, .. } => {
                for write in &changeset.rows {
                    let (Write::Insert(Row::BookedSession(session))
                    | Write::Update(Row::BookedSession(session))) = write
                    else {
                        continue;
                    };
                    let key = session.key;
                    let before = match &session.decision {
                        Some(decision) => self.decisions.insert(key, decision.clone()),
                        None => self.decisions.remove(&key),
                    };
                    let Some(before) = before else { continue };
                    let may_change = before.by != DecidedBy::Presence;
                    if session.decision.as_ref() != Some(&before) && !may_change {
                        let (was, is) = (before.outcome, session.decision.as_ref());
                        let is = is.map_or("nothing", |decision| decision.outcome.name());
                        return Err(format!("{key} was decided as {was}, and is as {is} now"));
                    }
                }
                Ok(())
            }
            Seen::Sending { attestation, .. } => {
                let key = attestation.booking;
                let is_of_presence = self
                    .decisions
                    .get(&key)
                    .is_some_and(|decision| decision.by == DecidedBy::Presence);
                if attestation.mutual.is_some() || !is_of_presence {
                    return Ok(());
                }
                let sent = self.sent.entry(key).or_default();
                sent.insert((attestation.outcome, attestation.metrics_hash));
                if sent.len() > 1 {
                    return Err(format!("{} things of {key} were sent", sent.len()));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
