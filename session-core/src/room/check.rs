//! What workers do: look after seats, and close rooms that nobody joined.

use serde::{Deserialize, Serialize};

use super::depart::evict;
use super::view::StayView;
use super::{Closing, Departure, Room, RoomPolicy, Seat, charge_until, meter};
use crate::changeset::{Draft, Fact, Fence, Key, Loaded};
use crate::ledger::usage;
use crate::outage::Outages;
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Never, Ports, Verdict};
use crate::types::{ConnectionId, RoomId, Seconds, Timestamp};

/// A worker looks after a seat it claimed: evicts the silent, meters who has not called for a
/// while, and says when to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckSeat {
    /// Which stay.
    pub connection: ConnectionId,
    /// The claim.
    pub fence: Fence,
}

/// What came of a [`CheckSeat`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "workers count every outcome")]
pub enum SeatChecked {
    /// The stay was ended.
    Evicted {
        /// Whether the room closed with it.
        closed: bool,
    },
    /// The stay was over already.
    Gone,
    /// Seconds were charged.
    Metered,
    /// Nothing was to be done yet.
    NotYet,
}

impl Command for CheckSeat {
    type View = StayView;
    type Reply = SeatChecked;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, cx: &Context<'_>) -> Result<StayView, StoreError> {
        StayView::load(ports, cx, self.connection, None, false).await
    }

    fn decide(&self, view: &StayView, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let policy = &cx.policy.rooms;
        let mut draft = Draft::new();
        let live = view.seat.value().filter(|seat| seat.is_live());
        let Some((seat, version)) = live.zip(view.seat.version()) else {
            return Verdict::Done(Decision::granted(draft, SeatChecked::Gone));
        };
        let at = seat.clamp(cx.now);
        let outages = view.outages(at, cx);
        let available = view.available(seat.wallet);
        draft.expect_claimed(Key::Seat(self.connection), self.fence);
        let why = if seat.is_silent(at, &outages, policy) {
            Some(Departure::Silent)
        } else if seat.is_used_up(at, available, policy) {
            Some(Departure::Exhausted)
        } else {
            None
        };
        if let Some(why) = why {
            let closed = evict(view, why, cx, &mut draft);
            return Verdict::Done(Decision::granted(draft, SeatChecked::Evicted { closed }));
        }

        let is_stale = at.since(seat.metered_to) >= policy.check_after_seconds;
        let until = if is_stale {
            charge_until(seat, at)
        } else {
            seat.metered_to
        };
        let mut metered = meter(seat, until, available, &outages, policy);
        let reply = if metered.debited > Seconds::ZERO {
            SeatChecked::Metered
        } else {
            SeatChecked::NotYet
        };
        metered.seat.check_at = next_check(&metered.seat, at, &outages, policy);
        if let Some(account) = view.account(seat.wallet) {
            draft.expect(account);
        }
        draft.transfer(usage(
            seat.wallet,
            seat.connection,
            version,
            metered.debited,
            at,
        ));
        draft.update(&view.seat, metered.seat);
        Verdict::Done(Decision::granted(draft, reply))
    }
}

/// When to look at a seat again: when it would be evicted for silence, and before that when it
/// would want metering. Never at once, so that a seat cannot keep a worker busy.
fn next_check(seat: &Seat, at: Timestamp, outages: &Outages, policy: &RoomPolicy) -> Timestamp {
    let evict_at = outages
        .silent_from(seat.last_seen_at)
        .after(policy.silence_max_seconds)
        .after(Seconds::new(1));
    let meter_at = seat.metered_to.max(at).after(policy.check_after_seconds);
    evict_at.min(meter_at).max(at.after(Seconds::new(1)))
}

/// A worker closes a room that it claimed, if nobody joined in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseUnjoined {
    /// Which room.
    pub room: RoomId,
    /// The claim.
    pub fence: Fence,
}

impl Command for CloseUnjoined {
    type View = Loaded<Room>;
    /// Whether it was closed.
    type Reply = bool;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let key = Key::Room(self.room);
        Ok(Snapshot::load(ports.store(), &[Read::Row(key.clone())])
            .await?
            .row(key))
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let Some(room) = view.value().filter(|room| room.is_overdue(cx.now)) else {
            return Verdict::Done(Decision::granted(draft, false));
        };
        draft.expect_claimed(Key::Room(self.room), self.fence);
        draft.journal(
            cx.now,
            Fact::RoomClosed {
                room: room.id,
                why: Closing::Unjoined,
            },
        );
        draft.update(view, room.closed(cx.now, Closing::Unjoined));
        Verdict::Done(Decision::granted(draft, true))
    }
}
