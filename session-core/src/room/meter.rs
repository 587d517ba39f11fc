//! Who pays for this second.

use alloc::vec::Vec;

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
    /// Thresholds that were passed with it, at most one of each kind.
    pub raised: Vec<Threshold>,
}

impl Metered {
    /// A seat that is not metered now.
    #[must_use]
    pub fn unchanged(seat: &Seat, available: Seconds) -> Self {
        Self {
            seat: seat.clone(),
            debited: Seconds::ZERO,
            remaining: available,
            raised: Vec::new(),
        }
    }
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
    let raised = thresholds(&seat, remaining, until, policy);
    for threshold in &raised {
        match threshold.kind {
            ThresholdKind::CreditsExhausted => seat.exhausted_at = Some(threshold.at),
            ThresholdKind::CreditsLow => seat.low_raised = true,
        }
    }
    seat.undelivered.extend(&raised);
    Metered {
        seat,
        debited,
        remaining,
        raised,
    }
}

/// What a seat passes now and has not passed before.
fn thresholds(
    seat: &Seat,
    remaining: Seconds,
    at: Timestamp,
    policy: &RoomPolicy,
) -> Vec<Threshold> {
    let is_low = remaining <= policy.credit_low_seconds && !seat.low_raised;
    let is_exhausted = remaining == Seconds::ZERO && seat.exhausted_at.is_none();
    let low = is_low.then_some(ThresholdKind::CreditsLow);
    let exhausted = is_exhausted.then_some(ThresholdKind::CreditsExhausted);
    let passed = low.into_iter().chain(exhausted);
    passed
        .map(|kind| Threshold {
            kind,
            remaining,
            at,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::super::testing::{at, seat};
    use super::*;
    use crate::outage::{OutagePolicy, Service};

    fn metered(seat: &Seat, until: u64, available: u64) -> Metered {
        let policy = RoomPolicy::default();
        meter(
            seat,
            at(until),
            Seconds::new(available),
            &Outages::default(),
            &policy,
        )
    }

    fn kinds(seat: &Seat) -> Vec<(ThresholdKind, u64)> {
        seat.undelivered
            .iter()
            .map(|t| (t.kind, t.remaining.get()))
            .collect()
    }

    #[test]
    fn presence_is_charged_to_the_second_and_once() {
        let first = metered(&seat(2), 30, 1800);
        assert_eq!((first.debited.get(), first.remaining.get()), (30, 1770));
        let again = metered(&first.seat, 30, 1770);
        assert_eq!((again.debited.get(), again.remaining.get()), (0, 1770));
        let rest = metered(&first.seat, 31, 1770);
        assert_eq!(rest.debited.get(), 1);
        assert_eq!(rest.seat.charged.get(), 31);
    }

    #[test]
    fn a_clock_that_went_back_charges_nothing_and_loses_nothing() {
        let ahead = metered(&seat(2), 30, 1800).seat;
        let back = metered(&ahead, 10, 1770);
        assert_eq!(back.debited, Seconds::ZERO);
        assert_eq!(back.seat.metered_to, at(30));
    }

    #[test]
    fn no_more_is_charged_than_is_left() {
        let all = metered(&seat(2), 30, 12);
        assert_eq!((all.debited.get(), all.remaining.get()), (12, 0));
        assert_eq!(all.seat.metered_to, at(30), "the rest is not owed later");
    }

    #[test]
    fn thresholds_are_raised_at_their_number_and_once_in_a_stay() {
        use ThresholdKind::{CreditsExhausted, CreditsLow};
        assert_eq!(kinds(&metered(&seat(2), 1, 302).seat), vec![]);
        assert_eq!(
            kinds(&metered(&seat(2), 1, 301).seat),
            vec![(CreditsLow, 300)]
        );
        let both = metered(&seat(2), 10, 10).seat;
        assert_eq!(kinds(&both), vec![(CreditsLow, 0), (CreditsExhausted, 0)]);
        assert_eq!(both.exhausted_at, Some(at(10)));
        let told = Seat {
            undelivered: Vec::new(),
            ..both
        };
        assert_eq!(kinds(&metered(&told, 20, 0).seat), vec![]);
    }

    #[test]
    fn our_outage_is_not_charged() {
        let service = Service {
            last_beat_at: at(20),
            outages: Vec::new(),
        };
        let outages = Outages::known_at(at(80), Some(&service), None, &OutagePolicy::default());
        let policy = RoomPolicy::default();
        let metered = meter(&seat(2), at(80), Seconds::new(1800), &outages, &policy);
        assert_eq!(metered.debited.get(), 20);
    }

    #[test]
    fn who_did_not_speak_is_charged_to_the_end_of_the_last_lease_and_never_beyond_now() {
        let silent = seat(2);
        assert_eq!(charge_until(&silent, at(60)), at(60));
        assert_eq!(charge_until(&silent, at(500)), at(90));
        let spoke = Seat {
            last_seen_at: at(100),
            ..silent
        };
        assert_eq!(charge_until(&spoke, at(500)), at(100));
    }
}
