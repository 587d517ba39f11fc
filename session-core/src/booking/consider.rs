//! One attempt to settle: read the chain, decide, write down what is to be sent.
//!
//! Two triggers look: a worker that holds a claim, and somebody who asks by hand. Both decide the
//! same, and of two at once one finds the other's decision in the row.

use alloc::boxed::Box;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::decision::{DecidedBy, Decision as Decided};
use super::statement::statements_of;
use super::view::{Missing, SessionView};
use super::{Attempt, AttemptClass, BookedSession, BookingPolicy, BookingRefusal, Settlement};
use crate::attestation::{
    AttestationPolicy, Done, Inputs, Metrics, MetricsSchema, Place, Ruling, Waiting, Window, done,
    judge, last_chance,
};
use crate::changeset::{Draft, Fact, Fence, Key};
use crate::escrow::{BookingKey, BookingStatus, EscrowReading, Outcome};
use crate::outage::Span;
use crate::outbox::{Effect, Intent, IntentClass, shortened};
use crate::ports::{Attestation, StoreError};
use crate::service::{Answers, Command, Context, Decision, Never, Ports, Verdict};
use crate::types::{IntentKey, Seconds, Timestamp};

/// How often a wait is looked at again at most, but where a window is about to close.
const STEP: Seconds = Seconds::new(15);

/// How many looks in a row must find no booking where there was one before it counts as gone.
pub const NOT_FOUND_IN_A_ROW: u32 = 20;

/// What makes us look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "nothing else looks")]
pub enum Trigger {
    /// A worker, under a claim.
    Due(Fence),
    /// Somebody who asks, and may force an outcome in development.
    Manual {
        /// What is to be attested, whoever was there.
        force: Option<Outcome>,
    },
}

/// Looks at a booked session, and decides it where that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these two are an attempt")]
pub struct Consider {
    /// Which booking.
    pub key: BookingKey,
    /// What makes us look.
    pub trigger: Trigger,
}

/// What a look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "a look ends in one of these")]
pub enum Considered {
    /// It is decided, and about to be attested.
    Decided {
        /// What.
        outcome: Outcome,
        /// What is on its way.
        intent: IntentKey,
    },
    /// It is not, for this reason.
    Noted(AttemptClass),
    /// There was nothing to look at.
    Nothing,
}

/// The intent of a round of attesting a booking.
pub(super) fn intent_key(key: &BookingKey, round: u32) -> IntentKey {
    let key = String::from(*key);
    IntentKey::derive("attest 1", &[key.as_bytes(), &round.to_be_bytes()])
}

/// When the contract takes what was decided.
pub(super) fn window_of(session: &BookedSession, decision: &Decided) -> Window {
    let agreement = &session.agreement;
    match &decision.by {
        DecidedBy::Presence | DecidedBy::Force => Window::of(&agreement.slot, decision.outcome),
        DecidedBy::Statements { host, .. } => Window {
            earliest: agreement.slot.start_time,
            latest: Timestamp::from_unix(host.deadline)
                .min(agreement.refund_from().before(Seconds::new(1))),
        },
    }
}

impl Command for Consider {
    type View = SessionView;
    type Reply = Considered;
    type Refusal = BookingRefusal;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        SessionView::load(ports, &self.key).await
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, answers: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let at = view.now(cx);
        let known = view.row.value();
        match self.trigger {
            Trigger::Due(fence) => {
                draft.expect_claimed(Key::BookedSession(self.key), fence);
                let is_due = known
                    .is_some_and(|session| session.look_at.is_some_and(|look_at| look_at <= at));
                if !is_due {
                    return Verdict::Done(Decision::granted(draft, Considered::Nothing));
                }
            }
            Trigger::Manual { .. } => {
                if known.is_some_and(|session| session.settlement == Settlement::Attesting) {
                    return refused(BookingRefusal::Busy);
                }
            }
        }
        let (session, reading) = match view.read_anew(self.key, cx, answers) {
            Ok(found) => found,
            Err(Missing::Question(question)) => return Verdict::Need(question),
            Err(Missing::Refusal(refusal)) => return self.no_sense(view, at, cx, refusal, draft),
        };
        let looking = Looking {
            session,
            reading: *reading,
            at,
            policy: &cx.policy.bookings,
            by_hand: matches!(self.trigger, Trigger::Manual { .. }),
        };
        let force = match self.trigger {
            Trigger::Manual { force } => force,
            Trigger::Due(_) => None,
        };
        let outages = view.outages(cx);
        let span = Span {
            from: looking.session.agreement.slot.start_time,
            to: looking.session.agreement.slot.end(),
        };
        let found = looking.look(force, &outages.touching(span));
        match found {
            Look::Decide(decided) => self.send(view, looking, *decided, cx, draft),
            Look::Leave(_, refusal) if looking.by_hand => refused(refusal),
            Look::Leave(left, _) => {
                let class = left.class;
                let session = looking.noted(left, &mut draft);
                draft.update(&view.row, session);
                Verdict::Done(Decision::granted(draft, Considered::Noted(class)))
            }
        }
    }
}

fn refused(refusal: BookingRefusal) -> Verdict<Consider> {
    Verdict::Done(Decision::refused(Draft::new(), refusal))
}

impl Consider {
    /// The chain says nothing that can be decided on.
    fn no_sense(
        &self,
        view: &SessionView,
        at: Timestamp,
        cx: &Context<'_>,
        refusal: BookingRefusal,
        mut draft: Draft,
    ) -> Verdict<Self> {
        let (Some(session), Trigger::Due(_)) = (view.row.value(), self.trigger) else {
            return refused(refusal);
        };
        let mut session = session.clone();
        // A booking does not go away. One node may lag behind; what many looks in a row do not
        // find is gone with the chain that it was on.
        let class = if refusal == BookingRefusal::BookingNotFound {
            AttemptClass::Done(Done::BookingNotFound)
        } else {
            AttemptClass::Contradiction
        };
        session.record(attempt(at, class));
        let longest = cx.policy.bookings.look_again_seconds;
        session.look_at = Some(at.after(pause_before(&session, at, longest)));
        let in_a_row = session.attempts.last().map_or(0, |last| last.times);
        let done = Done::BookingNotFound;
        if class == AttemptClass::Done(done)
            && in_a_row >= NOT_FOUND_IN_A_ROW
            && session.settlement == Settlement::Open
        {
            session.settlement = Settlement::Settled { done, at };
            session.look_at = recheck_at(&session, at, at, &cx.policy.bookings);
            let (booking, round) = (session.key, session.round);
            draft.journal(
                at,
                Fact::SessionSettled {
                    booking,
                    done,
                    round,
                },
            );
        } else if session.settlement.is_terminal() && in_a_row >= NOT_FOUND_IN_A_ROW {
            session.look_at = None;
        }
        draft.update(&view.row, session);
        Verdict::Done(Decision::granted(draft, Considered::Noted(class)))
    }

    /// Writes down the decision and what is to be sent, together.
    fn send(
        &self,
        view: &SessionView,
        looking: Looking<'_>,
        decided: Decided,
        cx: &Context<'_>,
        mut draft: Draft,
    ) -> Verdict<Self> {
        let Looking {
            mut session, at, ..
        } = looking;
        let outcome = decided.outcome;
        let proof = statements_of(&session).1;
        let attestation = Attestation {
            booking: self.key,
            outcome,
            metrics_hash: decided.metrics_hash,
            mutual: matches!(decided.by, DecidedBy::Statements { .. })
                .then_some(proof)
                .flatten()
                .map(|(_, proof)| proof),
        };
        session.round = session.round.saturating_add(1);
        session.settlement = Settlement::Attesting;
        session.look_at = None;
        session.record(attempt(at, AttemptClass::Decided(outcome)));
        draft.journal(
            at,
            Fact::SessionDecided {
                booking: self.key,
                outcome,
                metrics_hash: decided.metrics_hash,
                round: session.round,
            },
        );
        session.decision = Some(decided);
        let key = intent_key(&self.key, session.round);
        let effect = Effect::Attest(attestation);
        let intent = Intent::new(key, IntentClass::Queryable, effect, cx.now);
        let is_awaited = matches!(self.trigger, Trigger::Manual { .. });
        draft.intent(if is_awaited {
            intent.leased_here(&cx.policy.outbox)
        } else {
            intent
        });
        draft.update(&view.row, session);
        let reply = Considered::Decided {
            outcome,
            intent: key,
        };
        Verdict::Done(Decision {
            awaits: is_awaited.then_some(key),
            ..Decision::granted(draft, reply)
        })
    }
}

/// What a look found: something to attest, or why there is nothing.
enum Look {
    Decide(Box<Decided>),
    Leave(Left, BookingRefusal),
}

/// What a worker writes down that found nothing to attest.
#[derive(Clone, Copy)]
struct Left {
    class: AttemptClass,
    settlement: Settlement,
    look_at: Option<Timestamp>,
}

/// A session, what the chain says of it, and what time it is.
struct Looking<'a> {
    session: BookedSession,
    reading: EscrowReading,
    at: Timestamp,
    policy: &'a BookingPolicy,
    by_hand: bool,
}

impl Looking<'_> {
    fn look(&self, force: Option<Outcome>, outages: &[Span]) -> Look {
        let (session, reading) = (&self.session, &self.reading);
        let known = session.decision.as_ref();
        let attested = known.map(|decided| (decided.outcome, decided.metrics_hash));
        if let Some(done) = done(&reading.booking, attested) {
            let at = match session.settlement {
                Settlement::Settled { at, .. } => at,
                _ => self.at,
            };
            let left = Left {
                class: AttemptClass::Done(done),
                settlement: Settlement::Settled { done, at },
                look_at: self.recheck_at(at),
            };
            return Look::Leave(left, BookingRefusal::NotBooked(reading.booking.status));
        }
        if !reading.slot.exists() {
            return self.wait(
                AttemptClass::Contradiction,
                self.at.after(self.policy.look_again_seconds),
                BookingRefusal::SlotNotFound,
            );
        }
        // A window that was missed stays missed, unless the chain's clock had been wrong or both
        // parties have agreed since.
        let decided = match (self.decided(force, outages), session.settlement) {
            (Ok(decided), _) => decided,
            (Err(_), Settlement::WindowMissed { outcome, .. }) => return self.missed(outcome),
            (Err(look), _) => return look,
        };
        let Some(attester) = reading.attester else {
            return self.blocked(AttemptClass::NoKey, BookingRefusal::NoKey);
        };
        let needs_right = !matches!(decided.by, DecidedBy::Statements { .. });
        if needs_right && reading.oracle != attester {
            return self.blocked(AttemptClass::NotOracle, BookingRefusal::NotOracle);
        }
        Look::Decide(Box::new(decided))
    }

    /// What is to be attested: what was decided before, else what is forced, what both parties
    /// signed, what the policy says.
    fn decided(&self, force: Option<Outcome>, outages: &[Span]) -> Result<Decided, Look> {
        let (session, reading) = (&self.session, &self.reading);
        if let Some(decided) = &session.decision {
            // The chain took it back. What was broadcast once is never decided again.
            let window = window_of(session, decided);
            let is_mutual = matches!(decided.by, DecidedBy::Statements { .. });
            match window.place(reading.chain_now) {
                Place::Inside => return Ok(decided.clone()),
                // The contract takes the signatures no more, and still may take the policy's word.
                Place::After if is_mutual => {}
                Place::After => return Err(self.missed(decided.outcome)),
                Place::Before => {
                    let (waiting, until) = (AttemptClass::Early, window.earliest);
                    return Err(self.wait(waiting, until, BookingRefusal::Busy));
                }
            }
        }
        let inputs = Inputs {
            slot: &session.agreement.slot,
            host: &session.host.stays,
            guest: &session.guest.stays,
            outages,
            now: self.at,
            chain_now: reading.chain_now,
        };
        if let Some(outcome) = force {
            return Ok(self.decision(&inputs, outcome, DecidedBy::Force));
        }
        if let Some(decided) = self.agreed_on(&inputs) {
            let window = window_of(session, &decided);
            match window.place(reading.chain_now) {
                Place::Inside => return Ok(decided),
                Place::Before if !self.by_hand => {
                    let (class, until) = (AttemptClass::Early, window.earliest);
                    return Err(self.wait(class, until, BookingRefusal::Busy));
                }
                // They agreed too late, or somebody cannot wait: the policy decides.
                Place::Before | Place::After => {}
            }
        }
        let policy = self.judged_by();
        match judge(&inputs, &policy).ruling {
            Ruling::Attest { outcome } => {
                // Whoever is still in may stay to the end: once it is attested, the contract's
                // booking is no more one that somebody could come back to.
                let end = session.agreement.slot.end();
                let goes_on = self.at < end && session.is_attended();
                if !self.by_hand && goes_on && outcome == Outcome::Completed {
                    let class = AttemptClass::Waiting(Waiting::SessionInProgress);
                    return Err(self.wait(class, end, BookingRefusal::Busy));
                }
                Ok(self.decision(&inputs, outcome, DecidedBy::Presence))
            }
            Ruling::Wait {
                reason, retry_at, ..
            } => Err(self.waiting(reason, retry_at)),
            Ruling::WindowMissed { outcome } => Err(self.missed(outcome)),
        }
    }

    /// What both parties signed, where the contract knows of that.
    fn agreed_on(&self, inputs: &Inputs<'_>) -> Option<Decided> {
        let (session, reading) = (&self.session, &self.reading);
        if !reading.capabilities.mutual_outcome || session.mutual_failed {
            return None;
        }
        let (_, matched) = statements_of(session);
        let (statement, _) = matched?;
        let by = DecidedBy::Statements {
            host: session.host.statement.clone()?,
            guest: session.guest.statement.clone()?,
        };
        let mut decided = self.decision(inputs, statement.outcome, by);
        decided.metrics = None;
        decided.metrics_hash = statement.metrics_hash;
        Some(decided)
    }

    /// Who asks by hand need not wait out what a worker waits for.
    fn judged_by(&self) -> AttestationPolicy {
        if self.by_hand {
            self.policy.attestation.by_hand()
        } else {
            self.policy.attestation
        }
    }

    fn decision(&self, inputs: &Inputs<'_>, outcome: Outcome, by: DecidedBy) -> Decided {
        let session = &self.session;
        let policy = self.judged_by();
        let full = self.policy.full_metrics || self.reading.capabilities.mutual_outcome;
        let schema = if full {
            MetricsSchema::Full
        } else {
            MetricsSchema::Plain
        };
        let evidence = session.evidence_listed();
        let metrics = Metrics::of(
            schema,
            &session.key,
            (session.agreement.slot_id, &session.agreement.slot),
            session.agreement.guest,
            (&judge(inputs, &policy), outcome),
            self.at,
            &evidence,
        );
        Decided {
            outcome,
            by,
            metrics_hash: metrics.hash(),
            metrics: Some(metrics),
            decided_at: self.at,
            chain_now: inputs.chain_now,
            host: inputs.host.to_vec(),
            guest: inputs.guest.to_vec(),
            outages: inputs.outages.to_vec(),
            evidence,
            policy,
        }
    }

    /// The policy says: not yet.
    fn waiting(&self, reason: Waiting, retry_at: Timestamp) -> Look {
        let slot = &self.session.agreement.slot;
        let due = self.policy.attestation.due(slot);
        // Until somebody's absence can be told, only a leave is worth looking at, and that makes
        // itself heard.
        let in_progress = matches!(reason, Waiting::NotStarted | Waiting::SessionInProgress);
        let until = if in_progress && self.at < due {
            due
        } else {
            retry_at
        };
        // Whoever asks by hand knows two reasons (`spec/README.md`, "Manual attestation").
        let grace_is_over = self.at >= slot.start_time.after(slot.grace());
        let asked = match (reason, in_progress && grace_is_over) {
            (_, true) => Waiting::OverlapNotMet,
            (_, false) if in_progress => Waiting::GraceNotOver,
            (reason, false) => reason,
        };
        let refusal = BookingRefusal::Waiting {
            reason: asked,
            retry_at,
        };
        self.wait(AttemptClass::Waiting(reason), until, refusal)
    }

    /// Looks again at an instant, or a little later where that has come already: then it is the
    /// chain's clock that is behind.
    fn wait(&self, class: AttemptClass, until: Timestamp, refusal: BookingRefusal) -> Look {
        let step = pause_before(&self.session, self.at, STEP);
        let left = Left {
            class,
            settlement: Settlement::Open,
            look_at: Some(until.max(self.at.after(step))),
        };
        Look::Leave(left, refusal)
    }

    fn missed(&self, outcome: Outcome) -> Look {
        let at = match self.session.settlement {
            Settlement::WindowMissed { at, .. } => at,
            _ => self.at,
        };
        let recheck_at = at.after(self.policy.recheck_seconds);
        let left = Left {
            class: AttemptClass::WindowMissed(outcome),
            settlement: Settlement::WindowMissed { outcome, at },
            look_at: (self.at < recheck_at).then_some(recheck_at),
        };
        Look::Leave(left, BookingRefusal::TooLate(outcome))
    }

    /// Everything is decided but that we may send it: somebody has to do something about that.
    fn blocked(&self, class: AttemptClass, refusal: BookingRefusal) -> Look {
        let pause = pause_before(&self.session, self.at, self.policy.recheck_seconds);
        let left = Left {
            class,
            settlement: Settlement::Open,
            look_at: Some(self.at.after(pause)),
        };
        Look::Leave(left, refusal)
    }

    /// When to look whether the chain still holds what settled it: soon, and once more when
    /// nothing could be attested anyway.
    fn recheck_at(&self, settled_at: Timestamp) -> Option<Timestamp> {
        recheck_at(&self.session, settled_at, self.at, self.policy)
    }

    /// The row after a look that found nothing to attest.
    fn noted(&self, left: Left, draft: &mut Draft) -> BookedSession {
        let mut session = self.session.clone();
        let (before, key) = (session.settlement, session.key);
        session.settlement = left.settlement;
        session.look_at = left.look_at;
        session.record(attempt(self.at, left.class));
        if before.name() != left.settlement.name() {
            let round = session.round;
            match left.settlement {
                Settlement::Settled { done, .. } => draft.journal(
                    self.at,
                    Fact::SessionSettled {
                        booking: key,
                        done,
                        round,
                    },
                ),
                Settlement::WindowMissed { outcome, .. } => draft.journal(
                    self.at,
                    Fact::SessionMissed {
                        booking: key,
                        outcome,
                    },
                ),
                Settlement::Open | Settlement::Attesting => {}
            }
        }
        session
    }
}

/// How long to wait before something that could not be done now is tried again: at most so long, and
/// shorter as the next window closes.
pub(super) fn pause_before(session: &BookedSession, now: Timestamp, longest: Seconds) -> Seconds {
    let slot = &session.agreement.slot;
    let closing = Outcome::ALL.map(|outcome| Window::of(slot, outcome).latest);
    let next = closing.into_iter().filter(|latest| *latest > now).min();
    let left = next.map_or(longest.get(), |latest| latest.since(now).get() >> 2);
    Seconds::new(left.clamp(1, longest.get().max(1)))
}

/// When to look whether the chain still holds what settled a session.
pub(super) fn recheck_at(
    session: &BookedSession,
    settled_at: Timestamp,
    now: Timestamp,
    policy: &BookingPolicy,
) -> Option<Timestamp> {
    let soon = settled_at.after(policy.recheck_seconds);
    let last = last_chance(&session.agreement.slot).max(soon);
    [soon, last].into_iter().find(|look_at| *look_at > now)
}

/// A worker found that the chain could not be read: that is no answer about the booking.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these three are what is noted")]
pub struct NoteUnread {
    /// Which booking.
    pub key: BookingKey,
    /// The claim of the worker.
    pub fence: Fence,
    /// Why, for people.
    pub why: String,
}

impl Command for NoteUnread {
    type View = SessionView;
    type Reply = ();
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        SessionView::load(ports, &self.key).await
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        draft.expect_claimed(Key::BookedSession(self.key), self.fence);
        if let Some(session) = view.row.value() {
            let at = view.now(cx);
            let mut session = session.clone();
            session.record(Attempt {
                note: Some(shortened(&self.why)),
                ..attempt(at, AttemptClass::ChainUnavailable)
            });
            let longest = cx.policy.bookings.look_again_seconds;
            session.look_at = Some(at.after(pause_before(&session, at, longest)));
            draft.update(&view.row, session);
        }
        Verdict::Done(Decision::granted(draft, ()))
    }
}

pub(super) const fn attempt(at: Timestamp, class: AttemptClass) -> Attempt {
    Attempt {
        at,
        class,
        times: 1,
        transaction: None,
        note: None,
    }
}

/// Takes a booking on record that nobody has come to: it has to be settled as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "this names a booking")]
pub struct TrackBooking {
    /// Which booking.
    pub key: BookingKey,
}

impl Command for TrackBooking {
    type View = SessionView;
    /// Whether it was not on record.
    type Reply = bool;
    type Refusal = BookingRefusal;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        SessionView::load(ports, &self.key).await
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, answers: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        if view.row.value().is_some() {
            return Verdict::Done(Decision::granted(draft, false));
        }
        let (mut session, reading) = match view.read_anew(self.key, cx, answers) {
            Ok(found) => found,
            Err(Missing::Question(question)) => return Verdict::Need(question),
            Err(Missing::Refusal(refusal)) => {
                return Verdict::Done(Decision::refused(draft, refusal));
            }
        };
        if !reading.slot.exists() {
            return Verdict::Done(Decision::refused(draft, BookingRefusal::SlotNotFound));
        }
        let is_open = session.status == BookingStatus::Booked;
        if is_open {
            session.watch(view.now(cx), &cx.policy.bookings);
            draft.insert(session);
        }
        Verdict::Done(Decision::granted(draft, is_open))
    }
}
