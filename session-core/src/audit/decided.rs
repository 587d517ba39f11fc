//! `decided`: what was decided of booked sessions follows from what is on record, and the journal
//! tells of each time that it was sent.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Invariant;
use crate::booking::{BookedSession, InvalidDecision, Settlement};
use crate::changeset::{Fact, Row};
use crate::escrow::{BookingKey, Outcome};
use crate::ports::Found;
use crate::types::Word;

/// What the journal tells of a booked session.
#[derive(Debug, Default)]
struct Told {
    rounds: BTreeMap<u32, (Outcome, Word)>,
    is_over: bool,
}

#[derive(Debug, Default)]
pub(super) struct Decided {
    sessions: BTreeMap<BookingKey, Told>,
}

impl Decided {
    fn hear(&mut self, fact: &Fact, complaints: &mut Vec<String>) {
        match fact {
            Fact::SessionDecided {
                booking,
                outcome,
                metrics_hash,
                round,
            } => {
                let told = self.sessions.entry(*booking).or_default();
                let again = told.rounds.insert(*round, (*outcome, *metrics_hash));
                if again.is_some() {
                    complaints.push(format!("booking {booking} was decided twice in a round"));
                }
            }
            Fact::SessionMissed { booking, .. } | Fact::SessionSettled { booking, .. } => {
                self.sessions.entry(*booking).or_default().is_over = true;
            }
            _ => {}
        }
    }

    fn compare(&mut self, session: &BookedSession, complaints: &mut Vec<String>) {
        let told = self.sessions.remove(&session.key).unwrap_or_default();
        let mut complain = |what: &str| complaints.push(format!("booking {} {what}", session.key));
        if u32::try_from(told.rounds.len()) != Ok(session.round) {
            complain("was sent as often as the journal does not tell");
        }
        if session.settlement.is_terminal() && !told.is_over {
            complain("is over, which the journal does not tell");
        }
        let Some(decision) = &session.decision else {
            if session.settlement == Settlement::Attesting {
                complain("is being attested without a decision");
            }
            return;
        };
        if told.rounds.get(&session.round) != Some(&(decision.outcome, decision.metrics_hash)) {
            complain("was decided otherwise than the journal tells");
        }
        match decision.verify(&session.key, &session.agreement) {
            // Whoever forces an outcome is a developer, who knows.
            Ok(()) | Err(InvalidDecision::Forced) => {}
            Err(why) => complain(&format!("has a decision that does not follow: {why}")),
        }
    }
}

impl Invariant for Decided {
    const NAME: &'static str = "decided";

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>) {
        match found {
            Found::Row(_, Row::Entry(entry)) => self.hear(&entry.fact, complaints),
            Found::Row(_, Row::BookedSession(session)) => self.compare(session, complaints),
            _ => {}
        }
    }

    fn end(&mut self, complaints: &mut Vec<String>) {
        for booking in core::mem::take(&mut self.sessions).into_keys() {
            complaints.push(format!("booking {booking} is told of and is not there"));
        }
    }
}
