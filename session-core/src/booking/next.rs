//! What each party may do next, and until when (`settlement.md` sections 2.6 and 3).

use alloc::vec::Vec;

use super::{BookedSession, BookingPolicy};
use crate::escrow::{BookingStatus, Capabilities, Side};
use crate::types::{Seconds, Timestamp};

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "the contract and we know these")]
pub enum StepKind {
    /// Come to the session.
    Join,
    /// Cancel: the guest gets everything back.
    Cancel,
    /// Cancel: the penalty of the terms is kept.
    CancelLate,
    /// Sign an outcome.
    StateOutcome,
    /// Take back what nobody attested.
    ClaimUnattested,
    /// Challenge the outcome.
    Challenge,
    /// Have the money credited.
    Finalize,
    /// End a dispute that nobody decided.
    FinalizeDispute,
    /// Take the credited money out.
    Withdraw,
}

impl StepKind {
    /// The word in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Cancel => "cancel",
            Self::CancelLate => "cancel_late",
            Self::StateOutcome => "state_outcome",
            Self::ClaimUnattested => "claim_unattested",
            Self::Challenge => "challenge",
            Self::Finalize => "finalize",
            Self::FinalizeDispute => "finalize_dispute",
            Self::Withdraw => "withdraw",
        }
    }
}

/// Something that can be done, from when on and up to when; the last second is included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a step has these three")]
pub struct Step {
    /// What.
    pub kind: StepKind,
    /// From when on; of what is on the chain, in its time.
    pub from: Option<Timestamp>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// What a party may do from now on, soonest first. What has passed is left out.
#[must_use]
pub fn next_steps(
    session: &BookedSession,
    party: Side,
    capabilities: Capabilities,
    policy: &BookingPolicy,
    now: Timestamp,
) -> Vec<Step> {
    let (agreement, slot) = (&session.agreement, &session.agreement.slot);
    let (start, end) = (slot.start_time, slot.end());
    let second = Seconds::new(1);
    let step = |kind, from, until| Step { kind, from, until };
    let mut steps = Vec::new();
    match session.status {
        BookingStatus::Booked => {
            let cutoff = Seconds::new(u64::from(slot.cancel_cutoff_mins).saturating_mul(60));
            let free_until = match party {
                Side::Host => start.before(second),
                Side::Guest => start.before(cutoff).min(start.before(second)),
            };
            steps.push(step(StepKind::Cancel, None, Some(free_until)));
            if party == Side::Guest {
                let until = Some(start.before(second));
                let from = Some(free_until.after(second));
                steps.push(step(StepKind::CancelLate, from, until));
            }
            let opens_at = start.before(policy.join_before_seconds);
            steps.push(step(StepKind::Join, Some(opens_at), Some(end)));
            let refund_from = agreement.refund_from();
            if capabilities.mutual_outcome && session.decision.is_none() {
                let until = Some(refund_from.before(second));
                steps.push(step(StepKind::StateOutcome, None, until));
            }
            steps.push(step(StepKind::ClaimUnattested, Some(refund_from), None));
        }
        BookingStatus::Attested => {
            let at = session.finalizable_at;
            let until = at.map(|at| at.before(second));
            steps.push(step(StepKind::Challenge, None, until));
            steps.push(step(StepKind::Finalize, at, None));
        }
        BookingStatus::Disputed => {
            let timeout = agreement.terms.dispute_timeout;
            let at = session.disputed_at.map(|at| at.after(timeout));
            steps.push(step(StepKind::FinalizeDispute, at, None));
        }
        BookingStatus::Resolved => {
            steps.push(step(StepKind::Finalize, session.finalizable_at, None))
        }
        BookingStatus::Cancelled | BookingStatus::Finalized => {
            steps.push(step(StepKind::Withdraw, None, None));
        }
        BookingStatus::None => {}
    }
    let is_open = |step: &Step| {
        let ends_before = step
            .until
            .zip(step.from)
            .is_some_and(|(until, from)| until < from);
        step.until.is_none_or(|until| now <= until) && !ends_before
    };
    steps.retain(is_open);
    steps
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, session};
    use super::*;

    fn kinds(party: Side, now: u64, change: impl Fn(&mut BookedSession)) -> Vec<&'static str> {
        let mut session = session();
        change(&mut session);
        let steps = next_steps(
            &session,
            party,
            Capabilities::default(),
            &BookingPolicy::default(),
            at(now),
        );
        steps.iter().map(|step| step.kind.name()).collect()
    }

    #[test]
    fn what_can_be_done_follows_the_clock() {
        let early_guest = ["cancel", "cancel_late", "join", "claim_unattested"];
        let late = |session: &mut BookedSession| session.agreement.slot.cancel_cutoff_mins = 10;
        assert_eq!(kinds(Side::Guest, 0, late), early_guest);
        assert_eq!(
            kinds(Side::Host, 0, late),
            ["cancel", "join", "claim_unattested"]
        );
        // The session begins at 10,000 and lasts 1,800 seconds.
        let before_cutoff = kinds(Side::Guest, 9_400, late);
        assert_eq!(before_cutoff, early_guest);
        assert_eq!(
            kinds(Side::Guest, 9_401, late),
            ["cancel_late", "join", "claim_unattested"]
        );
        assert_eq!(
            kinds(Side::Guest, 10_000, late),
            ["join", "claim_unattested"]
        );
        assert_eq!(kinds(Side::Host, 11_801, late), ["claim_unattested"]);
    }

    #[test]
    fn a_challenge_ends_where_finalising_begins() {
        let attested = |session: &mut BookedSession| {
            session.status = BookingStatus::Attested;
            session.finalizable_at = Some(at(20_000));
        };
        assert_eq!(
            kinds(Side::Guest, 19_999, attested),
            ["challenge", "finalize"]
        );
        assert_eq!(kinds(Side::Guest, 20_000, attested), ["finalize"]);
    }
}
