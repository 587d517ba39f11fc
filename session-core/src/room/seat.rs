//! One stay of one wallet in one room.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::RoomPolicy;
use crate::media::{Channel, MediaUid};
use crate::outage::Outages;
use crate::types::{ConnectionId, RoomId, Seconds, Timestamp, Wallet};

/// How a stay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "stores map every departure")]
pub enum Departure {
    /// No credit, no lease, and time enough to get some.
    Exhausted,
    /// The participant said so.
    Left,
    /// The room closed.
    RoomClosed,
    /// The client did not call for longer than it may.
    Silent,
}

impl Departure {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Left => "left",
            Self::RoomClosed => "room_closed",
            Self::Silent => "silent",
        }
    }
}

/// Whether somebody sits here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the lifecycle is closed")]
pub enum SeatState {
    /// Somebody does.
    Live,
    /// Nobody will again.
    Gone {
        /// Since when.
        at: Timestamp,
        /// Why.
        why: Departure,
    },
}

/// What a participant is told once in a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the wire knows these two")]
pub enum ThresholdKind {
    /// Little credit is left.
    CreditsLow,
    /// None is left.
    CreditsExhausted,
}

/// A threshold that was passed, kept until a heartbeat or renewal delivers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Threshold {
    /// Which.
    pub kind: ThresholdKind,
    /// Credit left at that instant.
    pub remaining: Seconds,
    /// When.
    pub at: Timestamp,
}

/// One stay of one wallet in one room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    /// The stay.
    pub connection: ConnectionId,
    /// Where.
    pub room: RoomId,
    /// Who.
    pub wallet: Wallet,
    /// Which of the room's places, from 0 to one less than its capacity.
    pub slot: u8,
    /// The participant's number in the media channel, kept for the stay.
    pub uid: MediaUid,
    /// Since when.
    pub joined_at: Timestamp,
    /// The last call of the client itself: join, heartbeat, renewal.
    pub last_seen_at: Timestamp,
    /// Up to here presence is accounted for. Never goes back.
    pub metered_to: Timestamp,
    /// Seconds charged in this stay.
    pub charged: Seconds,
    /// The end of the last media token that was handed out.
    pub lease_until: Timestamp,
    /// Whether [`ThresholdKind::CreditsLow`] was raised in this stay.
    pub low_raised: bool,
    /// When [`ThresholdKind::CreditsExhausted`] was raised in this stay.
    pub exhausted_at: Option<Timestamp>,
    /// Thresholds that nobody has delivered yet, at most one of each kind.
    pub undelivered: Vec<Threshold>,
    /// When a worker is to look. Clients' calls leave it alone; the worker that finds nothing to
    /// do moves it.
    pub check_at: Timestamp,
    /// Whether somebody sits here.
    pub state: SeatState,
}

impl Seat {
    /// Whether somebody sits here.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.state, SeatState::Live)
    }

    /// The instant at which a decision taken at `now` happens for this seat: servers' clocks
    /// differ, and a seat's time never goes back.
    #[must_use]
    pub fn clamp(&self, now: Timestamp) -> Timestamp {
        now.max(self.last_seen_at).max(self.metered_to)
    }

    /// Whether the client has been silent for too long.
    #[must_use]
    pub fn is_silent(&self, now: Timestamp, outages: &Outages, policy: &RoomPolicy) -> bool {
        // A vendor that puts nobody out lets whoever has no lease any more go on.
        let is_let_go_on = !policy.lease_ejects && self.lease_until < now;
        let silence_max = if is_let_go_on {
            policy.silence_max_seconds.min(policy.renew_after_seconds)
        } else {
            policy.silence_max_seconds
        };
        now.since(outages.silent_from(self.last_seen_at)) > silence_max
    }

    /// Whether the seat is held without credit, without a lease, and for long enough.
    #[must_use]
    pub fn is_used_up(&self, now: Timestamp, remaining: Seconds, policy: &RoomPolicy) -> bool {
        remaining == Seconds::ZERO
            && self.lease_until < now
            && self
                .exhausted_at
                .is_some_and(|at| now.since(at) > policy.exhausted_grace())
    }

    /// The media channel of the stay.
    #[must_use]
    pub fn channel(&self) -> Channel {
        Channel::free_room(self.room)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, seat};
    use super::*;
    use crate::outage::{OutagePolicy, Service, Span};

    #[test]
    fn silence_begins_after_its_last_second() {
        let policy = RoomPolicy::default();
        let silent = |now| seat(2).is_silent(at(now), &Outages::default(), &policy);
        assert!(!silent(90));
        assert!(silent(91));
    }

    #[test]
    fn an_outage_gives_a_full_interval_to_be_heard_again() {
        let policy = RoomPolicy::default();
        let service = Service {
            last_beat_at: at(300),
            outages: alloc::vec![Span {
                from: at(10),
                to: at(210)
            }],
        };
        let silent = |now| {
            let outages =
                Outages::known_at(at(now), Some(&service), None, &OutagePolicy::default());
            seat(2).is_silent(at(now), &outages, &policy)
        };
        assert!(!silent(300));
        assert!(silent(301));
    }

    #[test]
    fn a_seat_without_credit_or_lease_is_used_up_after_its_grace() {
        let policy = RoomPolicy::default();
        let spent = Seat {
            exhausted_at: Some(at(100)),
            lease_until: at(90),
            ..seat(2)
        };
        assert!(!spent.is_used_up(at(190), Seconds::ZERO, &policy));
        assert!(spent.is_used_up(at(191), Seconds::ZERO, &policy));
        assert!(
            !spent.is_used_up(at(191), Seconds::new(1), &policy),
            "credit came back"
        );
        let leased = Seat {
            lease_until: at(191),
            ..spent
        };
        assert!(
            !leased.is_used_up(at(191), Seconds::ZERO, &policy),
            "the token still lives"
        );
    }
}
