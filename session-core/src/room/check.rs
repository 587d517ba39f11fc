//! What workers do: look after seats, and close rooms that nobody joined.

use serde::{Deserialize, Serialize};

use super::create::close_unjoined;
use super::depart::evict;
use super::view::StayView;
use super::{Departure, Metered, Room, RoomPolicy, charge_until, meter};
use crate::changeset::{Draft, Fence, Key, Loaded};
use crate::ledger::usage;
use crate::outage::{Outages, Service, shared_now};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Never, Ports, Verdict};
use crate::types::{ConnectionId, RoomId, Seconds, Timestamp};

/// A worker looks after a seat it claimed: evicts the silent, meters who has not called for a
/// while, and says when to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckSeat {
    /// Which stay.
    pub connection: ConnectionId,
    /// The fence of the claim under which a worker looks.
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
        let at = view.at(seat, cx);
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

        // Who was metered lately is only looked at later: metering it would judge thresholds at the
        // instant of that metering, by what is left now.
        let is_stale = at.since(seat.metered_to) >= policy.check_after_seconds;
        let mut metered = if is_stale {
            meter(seat, charge_until(seat, at), available, &outages, policy)
        } else {
            Metered::unchanged(seat, available)
        };
        let reply = if metered.debited > Seconds::ZERO {
            SeatChecked::Metered
        } else {
            SeatChecked::NotYet
        };
        metered.seat.check_at = next_check(&metered, at, &outages, policy);
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
        view.tell_passed(&metered, policy, &mut draft);
        draft.update(&view.seat, metered.seat);
        Verdict::Done(Decision::granted(draft, reply))
    }
}

/// When to look at a seat again: when it would be evicted for silence or for lack of credit, and
/// before that when it would want metering. Never at once, so that a seat cannot keep a worker
/// busy.
fn next_check(
    metered: &Metered,
    at: Timestamp,
    outages: &Outages,
    policy: &RoomPolicy,
) -> Timestamp {
    let Metered {
        seat, remaining, ..
    } = metered;
    let evict_at = outages
        .silent_from(seat.last_seen_at)
        .after(policy.silence_max_seconds)
        .after(Seconds::new(1));
    let unleased_at = if policy.lease_ejects {
        Timestamp::MAX
    } else {
        let silent_at = outages
            .silent_from(seat.last_seen_at)
            .after(policy.renew_after_seconds);
        silent_at.max(seat.lease_until).after(Seconds::new(1))
    };
    let meter_at = seat.metered_to.max(at).after(policy.check_after_seconds);
    let spent_at = seat.exhausted_at.filter(|_| *remaining == Seconds::ZERO);
    let spent_at = spent_at.map_or(Timestamp::MAX, |since| {
        let grace_ends = since.after(policy.exhausted_grace());
        grace_ends.max(seat.lease_until).after(Seconds::new(1))
    });
    let soonest = at.after(Seconds::new(1));
    evict_at
        .min(unleased_at)
        .min(meter_at)
        .min(spent_at)
        .max(soonest)
}

/// A worker closes a room that it claimed, if nobody joined in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CloseUnjoined {
    /// Which room.
    pub room: RoomId,
    /// The fence of the claim under which a worker looks.
    pub fence: Fence,
}

/// What [`CloseUnjoined`] needs to see.
#[derive(Debug, Clone)]
pub struct UnjoinedView {
    room: Loaded<Room>,
    service: Option<Service>,
}

impl Command for CloseUnjoined {
    type View = UnjoinedView;
    /// Whether it was closed.
    type Reply = bool;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let (room, service) = (Key::Room(self.room), Key::Service(()));
        let reads = [Read::Row(room.clone()), Read::Row(service.clone())];
        let snapshot = Snapshot::load(ports.store(), &reads).await?;
        Ok(UnjoinedView {
            room: snapshot.row(room),
            service: snapshot.row::<Service>(service).value().cloned(),
        })
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let at = shared_now(view.service.as_ref(), cx);
        let Some(room) = view.room.value().filter(|room| room.is_overdue(at)) else {
            return Verdict::Done(Decision::granted(draft, false));
        };
        draft.expect_claimed(Key::Room(self.room), self.fence);
        close_unjoined(&view.room, room, at, &cx.policy.rooms, &mut draft);
        Verdict::Done(Decision::granted(draft, true))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::super::Seat;
    use super::super::testing::{at, cx, room, seat};
    use super::*;
    use crate::changeset::{Expect, Row, Write};
    use crate::media::MediaVendor;
    use crate::policy::Policy;

    fn check(now: u64, view: &StayView) -> Decision<SeatChecked, Never> {
        let policy = Policy::default();
        let command = CheckSeat {
            connection: seat(2).connection,
            fence: Fence::new(4),
        };
        match command.decide(view, &cx(&policy, now), &Answers::default()) {
            Verdict::Done(decision) => decision,
            Verdict::Need(question) => panic!("asked {question:?}"),
        }
    }

    fn view(seat: Seat, credit: u64) -> StayView {
        StayView::of(seat.clone(), Some((room(1), vec![seat])), credit, None)
    }

    fn checked_seat(decision: &Decision<SeatChecked, Never>) -> Seat {
        let found = decision
            .changeset
            .rows
            .iter()
            .find_map(|write| match write {
                Write::Update(Row::Seat(seat)) => Some(seat.clone()),
                _ => None,
            });
        found.unwrap()
    }

    #[test]
    fn the_silent_are_evicted_and_the_last_one_closes_the_room() {
        let decision = check(91, &view(seat(2), 1800));
        assert_eq!(decision.reply, Ok(SeatChecked::Evicted { closed: true }));
        let gone = checked_seat(&decision);
        assert_eq!((gone.charged.get(), gone.is_live()), (90, false));
        let claim = Expect::Claimed(Key::Seat(gone.connection), Fence::new(4));
        assert!(decision.changeset.expect.contains(&claim));
    }

    #[test]
    fn who_has_not_called_for_a_while_is_metered_within_the_lease() {
        let decision = check(30, &view(seat(2), 1800));
        assert_eq!(decision.reply, Ok(SeatChecked::Metered));
        let metered = checked_seat(&decision);
        assert_eq!((metered.charged.get(), metered.check_at), (30, at(60)));
        assert_eq!(
            metered.last_seen_at,
            at(0),
            "a worker's look is no sign of life"
        );
    }

    #[test]
    fn who_called_lately_is_only_looked_at_later() {
        let lively = Seat {
            last_seen_at: at(40),
            metered_to: at(40),
            ..seat(2)
        };
        let decision = check(50, &view(lively, 1800));
        assert_eq!(decision.reply, Ok(SeatChecked::NotYet));
        assert!(decision.changeset.transfers.is_empty());
        assert_eq!(checked_seat(&decision).check_at, at(80));
    }

    #[test]
    fn a_look_that_meters_nothing_judges_no_threshold() {
        let lively = Seat {
            last_seen_at: at(40),
            metered_to: at(40),
            ..seat(2)
        };
        let looked_at = checked_seat(&check(50, &view(lively, 100)));
        assert!(looked_at.undelivered.is_empty() && !looked_at.low_raised);
    }

    #[test]
    fn a_spent_seat_is_looked_at_when_its_grace_ends() {
        let spent = Seat {
            last_seen_at: at(179),
            metered_to: at(179),
            exhausted_at: Some(at(100)),
            ..seat(2)
        };
        let looked_at = checked_seat(&check(180, &view(spent.clone(), 0)));
        assert_eq!(looked_at.check_at, at(191));
        let refilled = checked_seat(&check(180, &view(spent, 500)));
        assert_eq!(refilled.check_at, at(210));
    }

    #[test]
    fn whoever_has_neither_credit_nor_lease_goes_after_the_grace() {
        let spent = Seat {
            last_seen_at: at(195),
            metered_to: at(195),
            exhausted_at: Some(at(100)),
            ..seat(2)
        };
        let decision = check(196, &view(spent, 0));
        assert_eq!(decision.reply, Ok(SeatChecked::Evicted { closed: true }));
    }

    /// Agora puts out whoever's token ends, so that a spent seat may wait for credit. LiveKit does
    /// not: there it would be a seat for nothing.
    #[test]
    fn whoever_is_spent_keeps_a_seat_only_where_the_vendor_has_put_them_out() {
        let spent = Seat {
            exhausted_at: Some(at(89)),
            low_raised: true,
            last_seen_at: at(90),
            metered_to: at(90),
            lease_until: at(90),
            ..seat(2)
        };
        for (vendor, now, is_evicted) in [
            (MediaVendor::Agora, 91, false),
            (MediaVendor::Agora, 179, false),
            (MediaVendor::Agora, 180, true),
            (MediaVendor::LiveKit, 90, false),
            (MediaVendor::LiveKit, 91, true),
        ] {
            let mut policy = Policy::default();
            policy.rooms = policy.rooms.at(vendor);
            let view = StayView::of(spent.clone(), Some((room(1), vec![spent.clone()])), 0, None);
            let command = CheckSeat {
                connection: spent.connection,
                fence: Fence::new(4),
            };
            let Verdict::Done(decision) =
                command.decide(&view, &cx(&policy, now), &Answers::default())
            else {
                panic!("asked");
            };
            let evicted = matches!(decision.reply, Ok(SeatChecked::Evicted { .. }));
            assert_eq!(evicted, is_evicted, "{vendor:?} at {now}");
            let removes = !decision.changeset.intents.is_empty();
            assert_eq!(removes, is_evicted && vendor == MediaVendor::LiveKit);
        }
    }

    #[test]
    fn a_room_closes_at_its_last_unjoined_second_and_not_before() {
        let policy = Policy::default();
        let command = CloseUnjoined {
            room: room(0).id,
            fence: Fence::new(1),
        };
        for (now, closes) in [(119, false), (120, true)] {
            let view = UnjoinedView {
                room: super::super::testing::loaded(room(0)),
                service: None,
            };
            let Verdict::Done(decision) =
                command.decide(&view, &cx(&policy, now), &Answers::default())
            else {
                panic!("asked");
            };
            assert_eq!(decision.reply, Ok(closes), "at second {now}");
            assert_eq!(decision.changeset.is_empty(), !closes);
        }
    }
}
