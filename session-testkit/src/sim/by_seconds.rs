//! The policy of attestations once more, second by second: slow, and written from the rule book
//! (`settlement.md` section 5) rather than from the core.

use session_core::attestation::Stay;
use session_core::escrow::{Outcome, Slot};
use session_core::outage::Span;

/// How long before the last second for a no-show it is decided at the latest.
const NO_SHOW_MARGIN: u64 = 180;

/// What is decided on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recorded<'a> {
    pub(super) slot: &'a Slot,
    pub(super) host: &'a [Stay],
    pub(super) guest: &'a [Stay],
    pub(super) outages: &'a [Span],
    pub(super) now: u64,
    /// How long after the end a no-show is decided at the earliest.
    pub(super) settle_delay: u64,
}

/// What the seconds of a session come to.
#[derive(Debug, Default)]
struct Sums {
    host: u64,
    guest: u64,
    both: u64,
    host_alone: u64,
    guest_alone: u64,
    host_alone_late: u64,
    guest_alone_late: u64,
}

impl Recorded<'_> {
    /// The outcome; `None` where it is too early to tell.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let minutes = |minutes: u32| u64::from(minutes) * 60;
        let start = self.slot.start_time.unix();
        let end = start + minutes(self.slot.duration_mins);
        let grace = minutes(self.slot.grace_mins);
        let least = minutes(self.slot.min_overlap_mins);
        let (mut sums, mut reachable) = (Sums::default(), 0);
        for second in start..end {
            let is_out = self
                .outages
                .iter()
                .any(|span| span.from.unix() <= second && second < span.to.unix());
            if is_out {
                continue;
            }
            let host = self.is_there(self.host, second);
            let guest = self.is_there(self.guest, second);
            sums.add(host, guest, second >= start + grace);
            let could = |stays| second >= self.now || self.could_be_there(stays, second);
            reachable += u64::from(could(self.host) && could(self.guest));
        }
        if sums.host > 0 && sums.guest > 0 && sums.both >= least {
            return Some(Outcome::Completed);
        }
        let due = (end + self.settle_delay).min(end + grace - NO_SHOW_MARGIN);
        let is_early = self.now < due || self.now < end && reachable >= least.max(1);
        (!is_early).then(|| sums.absence())
    }

    fn is_there(&self, stays: &[Stay], second: u64) -> bool {
        stays.iter().any(|stay| {
            let joined = stay.joined_at.unix();
            let seen = stay.last_seen_at.map(|seen| seen.unix().max(joined));
            let end = stay.left_at.map(|left| left.unix()).or(seen);
            let is_sane =
                joined <= self.now && stay.left_at.is_none_or(|left| left.unix() >= joined);
            is_sane && joined <= second && second < end.unwrap_or(self.now).min(self.now)
        })
    }

    /// Whether a party is there or, as long as it did not leave, could have been.
    fn could_be_there(&self, stays: &[Stay], second: u64) -> bool {
        let is_open = |stay: &Stay| stay.left_at.is_none() && stay.joined_at.unix() <= second;
        let is_open = |stay: &Stay| is_open(stay) && stay.joined_at.unix() <= self.now;
        self.is_there(stays, second) || stays.iter().any(is_open)
    }
}

impl Sums {
    fn add(&mut self, host: bool, guest: bool, is_late: bool) {
        self.host += u64::from(host);
        self.guest += u64::from(guest);
        self.both += u64::from(host && guest);
        self.host_alone += u64::from(host && !guest);
        self.guest_alone += u64::from(guest && !host);
        self.host_alone_late += u64::from(host && !guest && is_late);
        self.guest_alone_late += u64::from(guest && !host && is_late);
    }

    const fn absence(&self) -> Outcome {
        if self.host == 0 {
            return Outcome::NoShowHost;
        }
        if self.guest == 0 {
            return Outcome::NoShowGuest;
        }
        let (host, guest) = if self.host_alone_late == self.guest_alone_late {
            (self.host_alone, self.guest_alone)
        } else {
            (self.host_alone_late, self.guest_alone_late)
        };
        if host > guest {
            Outcome::NoShowGuest
        } else {
            Outcome::NoShowHost
        }
    }
}
