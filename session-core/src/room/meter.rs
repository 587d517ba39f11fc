//! Who pays for this second.

use super::RoomPolicy;
use super::seat::{Seat, Threshold, ThresholdKind};
use crate::outage::{Outages, Span};
use crate::types::{Seconds, Timestamp};

/// A seat after metering, and what the metering takes from its wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metered {
    /// The seat, accounted for up to the instant asked.
    pub seat: Seat,
    /// Seconds to charge: presence, clamped to what is left.
    pub debited: Seconds,
    /// Credit left after the charge.
    pub remaining: Seconds,
}

/// Up to which instant a seat is charged when its own client did not just speak: to the end of the
/// last lease, or to the last call where that is later, and never beyond `now`
/// (`spec/README.md`, "Who pays for silence").
#[must_use]
pub fn charge_until(seat: &Seat, now: Timestamp) -> Timestamp {
    now.min(seat.lease_until.max(seat.last_seen_at))
}

/// Accounts for a seat's presence up to `until`.
///
/// This is the only place in which presence becomes a charge. A second is charged at most once,
/// because `metered_to` only moves forward and the seat's version guards the write; outages are
/// not charged; what the wallet does not hold is not charged. A threshold is raised at most once
/// in a stay and kept on the seat until a heartbeat or renewal delivers it.
#[must_use]
pub fn meter(
    seat: &Seat,
    until: Timestamp,
    available: Seconds,
    outages: &Outages,
    policy: &RoomPolicy,
) -> Metered {
    let until = until.max(seat.metered_to);
    let owed = outages.alive_within(Span {
        from: seat.metered_to,
        to: until,
    });
    let debited = owed.min(available);
    let remaining = available.saturating_sub(debited);

    let mut seat = seat.clone();
    seat.metered_to = until;
    seat.charged = seat.charged.saturating_add(debited);
    raise_thresholds(&mut seat, remaining, until, policy);
    Metered {
        seat,
        debited,
        remaining,
    }
}

fn raise_thresholds(seat: &mut Seat, remaining: Seconds, at: Timestamp, policy: &RoomPolicy) {
    if remaining <= policy.credit_low_seconds && !seat.low_raised {
        seat.low_raised = true;
        seat.undelivered.push(Threshold {
            kind: ThresholdKind::CreditsLow,
            remaining,
            at,
        });
    }
    if remaining == Seconds::ZERO && seat.exhausted_at.is_none() {
        seat.exhausted_at = Some(at);
        seat.undelivered.push(Threshold {
            kind: ThresholdKind::CreditsExhausted,
            remaining,
            at,
        });
    }
}
