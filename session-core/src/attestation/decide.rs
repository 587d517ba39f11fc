//! The decision: what came of a session, and whether it can be said now (`settlement.md` 5.3).

use serde::{Deserialize, Serialize};

use super::presence::shared;
use super::{Place, Presence, Stay, Window};
use crate::escrow::{Outcome, Slot};
use crate::outage::Span;
use crate::types::{Seconds, Timestamp};

/// The name of the policy, as the metrics tell it.
pub const POLICY_NAME: &str = "presence-overlap/1";

/// How long the policy waits before it speaks of somebody's absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the policy has these two parameters"
)]
pub struct AttestationPolicy {
    /// How long after the end a no-show is decided at the earliest.
    pub settle_delay_seconds: Seconds,
    /// How long before the last second for a no-show it is decided at the latest.
    pub no_show_margin_seconds: Seconds,
}

impl Default for AttestationPolicy {
    fn default() -> Self {
        Self {
            settle_delay_seconds: Seconds::new(60),
            no_show_margin_seconds: Seconds::new(180),
        }
    }
}

impl AttestationPolicy {
    /// The same for somebody who asks by hand: at the end of the session it is enough.
    #[must_use]
    pub const fn by_hand(self) -> Self {
        Self {
            settle_delay_seconds: Seconds::ZERO,
            ..self
        }
    }

    /// From when on a no-show is decided.
    #[must_use]
    pub fn due(&self, slot: &Slot) -> Timestamp {
        let settled = slot.end().after(self.settle_delay_seconds);
        let closing = Window::of(slot, Outcome::NoShowHost).latest;
        settled.min(closing.before(self.no_show_margin_seconds))
    }
}

/// Everything that a decision is made on. The same inputs always give the same answer.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "nothing else may count")]
pub struct Inputs<'a> {
    /// What was booked.
    pub slot: &'a Slot,
    /// The host's stays.
    pub host: &'a [Stay],
    /// The guest's.
    pub guest: &'a [Stay],
    /// Spans in which no server was alive.
    pub outages: &'a [Span],
    /// The server's clock.
    pub now: Timestamp,
    /// The time of the block at which the booking was read.
    pub chain_now: Timestamp,
}

/// Why nothing is attested yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the policy knows these four")]
pub enum Waiting {
    /// The session has not begun.
    NotStarted,
    /// It is too early to speak of anybody's absence, or the session can still be completed.
    SessionInProgress,
    /// It was completed, before the contract takes that.
    OverlapNotMet,
    /// It is a no-show, before the contract takes that.
    GraceNotOver,
}

impl Waiting {
    /// The word in answers, logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::SessionInProgress => "session_in_progress",
            Self::OverlapNotMet => "overlap_not_met",
            Self::GraceNotOver => "grace_not_over",
        }
    }
}

/// What the policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[allow(
    clippy::exhaustive_enums,
    reason = "the policy knows these three answers"
)]
pub enum Ruling {
    /// This is to be attested, now.
    Attest {
        /// What.
        outcome: Outcome,
    },
    /// Nothing can be attested yet.
    Wait {
        /// Why.
        reason: Waiting,
        /// What it will be, where that is settled.
        outcome: Option<Outcome>,
        /// When it is worth looking again. Block time where the contract's window decides.
        retry_at: Timestamp,
    },
    /// The contract takes it no more. Only the parties can act, from the end and the terms'
    /// buffer on.
    WindowMissed {
        /// What it would have been.
        outcome: Outcome,
    },
}

/// The code of an outcome that came too late.
#[must_use]
pub const fn too_late(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed_too_late",
        Outcome::NoShowHost | Outcome::NoShowGuest => "no_show_too_late",
    }
}

/// What was measured, in seconds within the session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measures {
    /// The host was there.
    pub host_seconds: Seconds,
    /// The guest was there.
    pub guest_seconds: Seconds,
    /// Both were.
    pub overlap_seconds: Seconds,
    /// The host was, without the guest.
    pub host_alone_seconds: Seconds,
    /// The guest was, without the host.
    pub guest_alone_seconds: Seconds,
    /// Stays that were thrown away.
    pub anomalies: u64,
}

/// An answer of the policy with everything that it is made on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Judgement {
    /// When the host was there.
    pub host: Presence,
    /// When the guest was.
    pub guest: Presence,
    /// How long.
    pub measures: Measures,
    /// The row of the table that gave the answer, from 1.
    pub row: u8,
    /// The answer.
    pub ruling: Ruling,
}

/// Judges a session. The first row of the table that applies gives the answer.
#[must_use]
pub fn judge(inputs: &Inputs<'_>, policy: &AttestationPolicy) -> Judgement {
    let session = Span {
        from: inputs.slot.start_time,
        to: inputs.slot.end(),
    };
    let host = Presence::of(inputs.host, session, inputs.outages, inputs.now);
    let guest = Presence::of(inputs.guest, session, inputs.outages, inputs.now);
    let measures = Measures {
        host_seconds: host.seconds(),
        guest_seconds: guest.seconds(),
        overlap_seconds: host.together(&guest),
        host_alone_seconds: host.alone(&guest, session),
        guest_alone_seconds: guest.alone(&host, session),
        anomalies: host.anomalies.saturating_add(guest.anomalies),
    };
    let (row, candidate) = candidate(inputs, policy, session, &host, &guest, &measures);
    let ruling = match candidate {
        Ok(outcome) => at_its_time(inputs, outcome),
        Err(wait) => wait,
    };
    Judgement {
        host,
        guest,
        measures,
        row,
        ruling,
    }
}

/// The table: which row of it applies, and the outcome, or the wait for one.
fn candidate(
    inputs: &Inputs<'_>,
    policy: &AttestationPolicy,
    session: Span,
    host: &Presence,
    guest: &Presence,
    measures: &Measures,
) -> (u8, Result<Outcome, Ruling>) {
    let slot = inputs.slot;
    let (minimum, due) = (slot.min_overlap(), policy.due(slot));
    let both_came = measures.host_seconds > Seconds::ZERO && measures.guest_seconds > Seconds::ZERO;
    if both_came && measures.overlap_seconds >= minimum {
        return (1, Ok(Outcome::Completed));
    }
    // Not before the missing seconds have passed can anything change, but for the wait to be over.
    let missing = minimum.saturating_sub(measures.overlap_seconds);
    let earliest = inputs
        .now
        .max(session.from)
        .after(missing.max(Seconds::new(1)));
    let wait = |reason, until: Timestamp| {
        Err(Ruling::Wait {
            reason,
            outcome: None,
            retry_at: earliest.min(until),
        })
    };
    if inputs.now < due {
        return if inputs.now < session.from {
            (2, wait(Waiting::NotStarted, due))
        } else {
            (3, wait(Waiting::SessionInProgress, due))
        };
    }
    if inputs.now < session.to
        && let Some(slack) = slack(inputs, session, minimum)
    {
        // Where nobody comes, the minimum is out of reach a second after the slack is used up.
        let lost_at = inputs.now.after(slack).after(Seconds::new(1));
        let until = session.to.min(lost_at);
        return (4, wait(Waiting::SessionInProgress, until));
    }
    if measures.host_seconds == Seconds::ZERO {
        return (5, Ok(Outcome::NoShowHost));
    }
    if measures.guest_seconds == Seconds::ZERO {
        return (6, Ok(Outcome::NoShowGuest));
    }
    let after_grace = Span {
        from: session.from.after(slot.grace()),
        to: session.to,
    };
    let let_down = [(7, after_grace), (8, session)]
        .into_iter()
        .find_map(|(row, within)| {
            let (host_alone, guest_alone) = (host.alone(guest, within), guest.alone(host, within));
            match host_alone.cmp(&guest_alone) {
                core::cmp::Ordering::Greater => Some((row, Ok(Outcome::NoShowGuest))),
                core::cmp::Ordering::Less => Some((row, Ok(Outcome::NoShowHost))),
                core::cmp::Ordering::Equal => None,
            }
        });
    let_down.unwrap_or((9, Ok(Outcome::NoShowHost)))
}

/// Row 4: how many seconds more both would be together than they must, if both stayed from now to
/// the end; `None` where that is not enough.
fn slack(inputs: &Inputs<'_>, session: Span, minimum: Seconds) -> Option<Seconds> {
    let at_best = |stays| Presence::at_best(stays, session, inputs.outages, inputs.now);
    let overlap = shared(&at_best(inputs.host), &at_best(inputs.guest));
    overlap.checked_sub(minimum.max(Seconds::new(1)))
}

/// The window of the outcome, by the chain's clock.
fn at_its_time(inputs: &Inputs<'_>, outcome: Outcome) -> Ruling {
    let window = Window::of(inputs.slot, outcome);
    match window.place(inputs.chain_now) {
        Place::Before => Ruling::Wait {
            reason: match outcome {
                Outcome::Completed => Waiting::OverlapNotMet,
                Outcome::NoShowHost | Outcome::NoShowGuest => Waiting::GraceNotOver,
            },
            outcome: Some(outcome),
            retry_at: window.earliest,
        },
        Place::Inside => Ruling::Attest { outcome },
        Place::After => Ruling::WindowMissed { outcome },
    }
}
