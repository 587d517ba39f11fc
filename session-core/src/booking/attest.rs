//! Sending an attestation, and what came of it.
//!
//! What the sender ran into is never decided on: after every attempt the booking is read again,
//! and its status, the chain's clock and the contract's oracle say what came of it
//! (`settlement.md` section 6.3). So it does not matter whether it timed out after having done it.

use alloc::string::{String, ToString};

use super::consider::{attempt, intent_key, pause_before, recheck_at, window_of};
use super::decision::DecidedBy;
use super::view::CHAIN_AHEAD_MAX;
use super::{AttemptClass, BookedSession, Settlement};
use crate::attestation::{Class, Done, Reread, classify, last_chance};
use crate::changeset::{Draft, Fact, Fence, Key, Loaded};
use crate::escrow::{BookingKey, BookingStatus, EscrowReading};
use crate::outage::{Service, shared_now};
use crate::outbox::{Effect, Intent, IntentState, shortened};
use crate::ports::{Attestation, Read, Sent, Snapshot, StoreError};
use crate::service::{
    Answers, Command, Context, Decision, Deliver, ExecuteError, Never, Ports, Verdict, execute,
};
use crate::types::{IntentKey, Seconds, Timestamp};

/// How long before the last second at which anything can be attested the policy takes over from two
/// signatures that the contract does not take, for a reason that we cannot see. Until then they are
/// sent: what was broadcast may still be included.
pub const MUTUAL_GIVEN_UP_BEFORE: Seconds = Seconds::new(600);

/// The longest pause between two attempts.
const PAUSE_MAX: u64 = 60;

/// Sends an attestation or, where that was done before, asks the chain what came of it, and writes
/// it down. The intent afterwards; `None` where it is settled already.
///
/// # Errors
/// [`ExecuteError`]. What could not be written is found again when the lease ends.
pub async fn deliver_attestation(
    ports: &Ports,
    intent: &Intent,
    fence: Option<Fence>,
) -> Result<Option<Intent>, ExecuteError> {
    let Effect::Attest(attestation) = &intent.effect else {
        return Ok(None);
    };
    let mut sent = None;
    // What was sent before is looked at first: nothing is sent to a contract that takes another
    // account's word, or holds an answer already.
    let is_wanted = if intent.attempts == 0 {
        true
    } else {
        let reading = ports.escrows.read(&attestation.booking).await;
        reading.is_ok_and(|reading| is_wanted(attestation, &reading))
    };
    if intent.state == IntentState::Pending && is_wanted {
        let submit = Deliver {
            key: intent.key,
            fence,
            outcome: None,
        };
        match execute(ports, &submit).await? {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(None),
            Err(never) => match never {},
        }
        sent = Some(ports.escrows.attest(attestation).await);
    }
    let reading = ports.escrows.read(&attestation.booking).await;
    let conclude = ConcludeAttestation {
        key: intent.key,
        booking: attestation.booking,
        fence,
        sent,
        unread: reading.as_ref().err().map(ToString::to_string),
        reading: reading.ok(),
    };
    match execute(ports, &conclude).await? {
        Ok(intent) => Ok(intent),
        Err(never) => match never {},
    }
}

/// Whether the contract may take an attestation of ours, as far as who we are.
fn is_wanted(attestation: &Attestation, reading: &EscrowReading) -> bool {
    let may_send = attestation.mutual.is_some() || reading.attester == Some(reading.oracle);
    may_send && reading.booking.status == BookingStatus::Booked
}

/// Writes down what came of an attempt to attest, in the intent and in the session together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these are an attempt's end")]
pub struct ConcludeAttestation {
    /// The intent.
    pub key: IntentKey,
    /// The booking that it attests.
    pub booking: BookingKey,
    /// The claim under which it is performed; `None` for the request that wrote it down.
    pub fence: Option<Fence>,
    /// What the sender says; `None` where nothing was sent this time.
    pub sent: Option<Sent>,
    /// What the chain says now; `None` where it could not be read.
    pub reading: Option<EscrowReading>,
    /// Why not.
    pub unread: Option<String>,
}

/// The rows that the end of an attempt writes.
#[derive(Debug)]
pub struct AttestationView {
    intent: Loaded<Intent>,
    session: Loaded<BookedSession>,
    service: Option<Service>,
}

#[cfg(test)]
impl AttestationView {
    pub(super) const fn of(intent: Loaded<Intent>, session: Loaded<BookedSession>) -> Self {
        Self {
            intent,
            session,
            service: None,
        }
    }
}

impl Command for ConcludeAttestation {
    type View = AttestationView;
    /// The intent afterwards; `None` where somebody else has settled it.
    type Reply = Option<Intent>;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let (intent, session) = (Key::Intent(self.key), Key::BookedSession(self.booking));
        let service = Key::Service(());
        let reads = [&intent, &session, &service].map(|key| Read::Row(key.clone()));
        let snapshot = Snapshot::load(ports.store(), &reads).await?;
        Ok(AttestationView {
            intent: snapshot.row(intent),
            session: snapshot.row(session),
            service: snapshot.row::<Service>(service).value().cloned(),
        })
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let live = view.intent.value().filter(|intent| !intent.is_settled());
        let (Some(intent), Some(session)) = (live, view.session.value()) else {
            return Verdict::Done(Decision::granted(draft, None));
        };
        draft.expect_claimed(Key::Intent(self.key), self.fence.unwrap_or_default());
        let at = shared_now(view.service.as_ref(), cx);
        let mut next = intent.clone();
        next.attempts = next.attempts.saturating_add(1);
        next.note = self.note();
        let mut after = session.clone();
        let is_ours = intent_key(&session.key, session.round) == self.key;
        match (&intent.effect, session.decision.as_ref()) {
            (Effect::Attest(attestation), Some(_)) if is_ours => {
                self.conclude(attestation, &mut after, &mut next, at, cx, &mut draft);
                draft.update(&view.session, after);
            }
            // A later round is on its way: this one is over, whatever came of it.
            _ => next.state = IntentState::Failed,
        }
        draft.update(&view.intent, next.clone());
        Verdict::Done(Decision::granted(draft, Some(next)))
    }
}

impl ConcludeAttestation {
    fn conclude(
        &self,
        attestation: &Attestation,
        session: &mut BookedSession,
        intent: &mut Intent,
        at: Timestamp,
        cx: &Context<'_>,
        draft: &mut Draft,
    ) {
        let Some(decision) = session.decision.clone() else {
            return;
        };
        let window = window_of(session, &decision);
        // What the chain says of another booking than the one that was agreed on is nothing.
        let reading = self.reading.filter(|reading| {
            let is_ahead = reading.chain_now.since(at) > CHAIN_AHEAD_MAX;
            !is_ahead && session.agreement.is_that_of(reading)
        });
        let reread = reading.as_ref().map(|reading| Reread {
            booking: &reading.booking,
            chain_now: reading.chain_now,
            oracle: reading.oracle,
        });
        let attested = (attestation.outcome, attestation.metrics_hash);
        let us = reading.as_ref().and_then(|reading| match decision.by {
            // Anybody may bring what both parties signed.
            DecidedBy::Statements { .. } => Some(reading.oracle),
            DecidedBy::Presence | DecidedBy::Force => reading.attester,
        });
        let class = match us {
            Some(us) => classify(reread.as_ref(), attested, &window, us),
            None if reading.is_some() => Class::NotOracle,
            None => Class::ChainUnavailable,
        };
        if let Some(reading) = &reading {
            session.saw(&reading.booking);
        }
        let transaction = self.sent.as_ref().and_then(|sent| sent.transaction);
        session.transaction = transaction.or(session.transaction);
        let mut noted = attempt(at, attempt_class(class, attestation));
        noted.transaction = transaction;
        noted.note.clone_from(&intent.note);
        session.record(noted);
        let policy = &cx.policy.bookings;
        let gives_up = match decision.by {
            DecidedBy::Presence => false,
            // A developer is told at once; only what is decided on presence is pursued.
            DecidedBy::Force => !matches!(class, Class::ChainUnavailable),
            DecidedBy::Statements { .. } => match (class, &reading) {
                (Class::WindowMissed, _) => true,
                (Class::Retry, Some(reading)) => {
                    let last = last_chance(&session.agreement.slot);
                    last.since(reading.chain_now) <= MUTUAL_GIVEN_UP_BEFORE
                }
                _ => false,
            },
        };
        match class {
            Class::Done(done) => {
                session.settlement = Settlement::Settled { done, at };
                session.look_at = recheck_at(session, at, at, policy);
                intent.state = if done == Done::Submitted {
                    IntentState::Confirmed
                } else {
                    IntentState::Failed
                };
                draft.journal(
                    at,
                    Fact::SessionSettled {
                        booking: session.key,
                        done,
                        round: session.round,
                    },
                );
            }
            _ if gives_up => {
                let is_mutual = matches!(decision.by, DecidedBy::Statements { .. });
                session.mutual_failed |= is_mutual;
                session.settlement = Settlement::Open;
                session.decision = None;
                session.look_at = Some(at);
                intent.state = IntentState::Failed;
            }
            Class::WindowMissed => {
                let outcome = decision.outcome;
                session.settlement = Settlement::WindowMissed { outcome, at };
                session.look_at = Some(at.after(policy.recheck_seconds));
                intent.state = IntentState::Failed;
                draft.journal(
                    at,
                    Fact::SessionMissed {
                        booking: session.key,
                        outcome,
                    },
                );
            }
            Class::ChainUnavailable => {
                intent.state = IntentState::Unknown;
                let left = window.latest.since(at);
                intent.due_at = at.after(pause(intent.attempts, Some(left)));
            }
            Class::NotOracle => {
                intent.state = IntentState::Pending;
                let longest = policy.recheck_seconds;
                intent.due_at = at.after(pause_before(session, at, longest));
            }
            Class::Wait(_) | Class::Retry => {
                let left = reading.map(|reading| window.latest.since(reading.chain_now));
                intent.state = IntentState::Pending;
                intent.due_at = at.after(pause(intent.attempts, left));
            }
        }
    }

    /// What went wrong, for people.
    fn note(&self) -> Option<String> {
        let trouble = self.sent.as_ref().and_then(|sent| sent.trouble.as_ref());
        let said = trouble.or(self.unread.as_ref())?;
        Some(shortened(said))
    }
}

/// Pauses double from a second up to a minute, and grow shorter as the window closes.
fn pause(attempts: u32, left: Option<Seconds>) -> Seconds {
    let doubled = 1_u64
        .checked_shl(attempts.saturating_sub(1))
        .unwrap_or(PAUSE_MAX);
    let longest = left.map_or(PAUSE_MAX, |left| (left.get() >> 3).clamp(1, PAUSE_MAX));
    Seconds::new(doubled.min(longest))
}

const fn attempt_class(class: Class, attestation: &Attestation) -> AttemptClass {
    match class {
        Class::Done(done) => AttemptClass::Done(done),
        Class::Wait(_) => AttemptClass::Early,
        Class::WindowMissed => AttemptClass::WindowMissed(attestation.outcome),
        Class::NotOracle => AttemptClass::NotOracle,
        Class::Retry => AttemptClass::Retry,
        Class::ChainUnavailable => AttemptClass::ChainUnavailable,
    }
}
