//! How a stay ends: by leaving, by eviction, by the room closing. One rule for all three.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::event::EventLog;
use super::stay::StayName;
use super::view::{Around, StayView};
use super::{
    Closing, Departure, Happening, Metered, Room, RoomPolicy, RoomRefusal, Seat, SeatState,
    charge_until, meter,
};
use crate::changeset::{Draft, Fact, Loaded};
use crate::ledger::usage;
use crate::outbox::{Effect, Intent, IntentClass};
use crate::ports::StoreError;
use crate::receipt::StayReceipt;
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};
use crate::types::{Id128, IntentKey, Seconds, Timestamp};

/// A client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaveRoom(pub StayName);

/// The answer to [`LeaveRoom`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Charged for the whole stay.
    pub charged: Seconds,
    /// Credit left.
    pub remaining: Seconds,
    /// Whether the room closed with it.
    pub closed: bool,
    /// What the participant gets a receipt of; `None` in answers that were kept for repeats before
    /// there were receipts.
    #[serde(default)]
    pub receipt: Option<StayReceipt>,
}

impl Command for LeaveRoom {
    type View = Option<StayView>;
    type Reply = Left;
    type Refusal = RoomRefusal;

    async fn load(&self, ports: &Ports, cx: &Context<'_>) -> Result<Self::View, StoreError> {
        match self.0.connection {
            Some(connection) => StayView::load(ports, cx, connection, Some(self.0.wallet), true)
                .await
                .map(Some),
            None => Ok(None),
        }
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let found = view
            .as_ref()
            .zip(self.0.room)
            .and_then(|(view, room)| Some((view, view.seat_of(self.0.wallet, room)?)));
        let Some((view, seat)) = found else {
            return not_yours(draft);
        };
        let at = view.at(seat, cx);
        if seat.is_silent(at, &view.outages(at, cx), &cx.policy.rooms) {
            evict(view, Departure::Silent, cx, &mut draft);
            return not_yours(draft);
        }
        match depart(view, Departure::Left, at, cx, &mut draft) {
            Some(left) => Verdict::Done(Decision::granted(draft, left)),
            None => not_yours(draft),
        }
    }
}

/// Ends a stay whose client did not ask for it. Returns whether the room closed with it.
pub(super) fn evict(view: &StayView, why: Departure, cx: &Context<'_>, draft: &mut Draft) -> bool {
    let until = view
        .seat
        .value()
        .map(|seat| charge_until(seat, view.at(seat, cx)));
    until
        .and_then(|until| depart(view, why, until, cx, draft))
        .is_some_and(|left| left.closed)
}

/// Ends the stay of the view's seat, charged to `until`. The host's departure closes the room for
/// everybody, anybody's who is the last closes it too. `None` where the room was not loaded.
fn depart(
    view: &StayView,
    why: Departure,
    until: Timestamp,
    cx: &Context<'_>,
    draft: &mut Draft,
) -> Option<Left> {
    let Around {
        room: loaded_room,
        seats,
    } = view.around.as_ref()?;
    let (room, seat) = (loaded_room.value()?, view.seat.value()?);
    let others = || seats.iter().filter(|other| other.key() != view.seat.key());
    let closing = if room.host == seat.wallet {
        Some(Closing::HostLeft)
    } else if others().next().is_none() {
        Some(Closing::Emptied)
    } else {
        None
    };

    let gone = end_stay(view, &view.seat, why, until, cx, draft)?;
    let at = view.at(seat, cx);
    let mut ended = alloc::vec![gone.clone()];
    let room_after = if let Some(why) = closing {
        for other in others() {
            let until = other
                .value()
                .map(|seat| charge_until(seat, view.at(seat, cx)))?;
            let why = Departure::RoomClosed;
            ended.push(end_stay(view, other, why, until, cx, draft)?);
        }
        draft.journal(at, Fact::RoomClosed { room: room.id, why });
        room.closed(at, why)
    } else {
        Room {
            live_seats: room.live_seats.saturating_sub(1),
            ..room.clone()
        }
    };
    let mut events = EventLog::of(room, &cx.policy.rooms, draft);
    for stay in &ended {
        events.passed(&stay.seat, &stay.raised);
    }
    events.departed(at, &gone.seat, why);
    if let Some(why) = closing {
        events.add(at, Happening::Closed { why });
    }
    let last_event = events.last();
    draft.update(
        loaded_room,
        Room {
            last_event,
            ..room_after
        },
    );
    Some(Left {
        charged: gone.seat.charged,
        remaining: gone.remaining,
        closed: closing.is_some(),
        receipt: StayReceipt::of(&gone.seat),
    })
}

/// Charges one seat for the last time and frees it.
fn end_stay(
    view: &StayView,
    loaded: &Loaded<Seat>,
    why: Departure,
    until: Timestamp,
    cx: &Context<'_>,
    draft: &mut Draft,
) -> Option<Metered> {
    let (seat, version) = (loaded.value()?, loaded.version()?);
    let at = view.at(seat, cx);
    let (policy, outages) = (&cx.policy.rooms, view.outages(at, cx));
    let mut metered = meter(seat, until, view.available(seat.wallet), &outages, policy);
    metered.seat.state = SeatState::Gone { at, why };
    let left = Fact::left(&metered.seat)?;
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
    draft.journal(at, left);
    if policy.remove_from_channel {
        for intent in removals(seat, cx.now, policy) {
            draft.intent(intent);
        }
    }
    draft.update(loaded, metered.seat.clone());
    Some(metered)
}

/// How long after its end a vendor may still take a token: LiveKit takes it for 60 s, and clocks
/// differ.
const TAKEN_AFTER_END: Seconds = Seconds::new(90);

/// How long the token lasts with which LiveKit lets somebody come back who was in the room.
const REFRESHED_FOR: Seconds = Seconds::new(600);

/// Put the participant out of the channel, so that the rest of a lease is not a free ride. Where the
/// end of a token ends nothing, whoever comes only after that, or comes back, is put out again: when
/// the last token lets nobody in any more, and when one that the vendor gave does not.
fn removals(seat: &Seat, now: Timestamp, policy: &RoomPolicy) -> Vec<Intent> {
    let removal = |cause, due_at| Intent {
        due_at,
        ..Intent::new(
            IntentKey::derive(cause, &[&seat.connection.to_bytes()]),
            IntentClass::Repeatable,
            Effect::RemoveFromChannel {
                channel: seat.channel(),
                uid: seat.uid,
                connection: Some(seat.connection),
            },
            now,
        )
    };
    let mut removals = alloc::vec![removal("remove from channel", now)];
    if !policy.lease_ejects {
        let again = seat.lease_until.max(now).after(TAKEN_AFTER_END);
        removals.push(removal("remove from channel again", again));
        let at_last = again.after(REFRESHED_FOR);
        removals.push(removal("remove from channel at last", at_last));
    }
    removals
}

fn not_yours(draft: Draft) -> Verdict<LeaveRoom> {
    Verdict::Done(Decision::refused(draft, RoomRefusal::NotYourConnection))
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec;

    use super::super::testing::{at, cx, room, room_id, seat, wallet};
    use super::*;
    use crate::changeset::{Changeset, Row, Write};
    use crate::policy::Policy;
    use crate::types::Wallet;

    fn leave(n: u8, now: u64, view: StayView) -> Decision<Left, RoomRefusal> {
        decide(n, now, view, &Policy::default())
    }

    fn decide(n: u8, now: u64, view: StayView, policy: &Policy) -> Decision<Left, RoomRefusal> {
        let command = LeaveRoom(StayName {
            wallet: wallet(n),
            room: Some(room_id()),
            connection: Some(seat(n).connection),
        });
        match command.decide(&Some(view), &cx(policy, now), &Answers::default()) {
            Verdict::Done(decision) => decision,
            Verdict::Need(question) => panic!("asked {question:?}"),
        }
    }

    /// Seconds charged by the changeset, by stay.
    fn charges(changeset: &Changeset) -> BTreeMap<Wallet, u64> {
        let seats = changeset.rows.iter().filter_map(|write| match write {
            Write::Update(Row::Seat(seat)) => Some((seat.wallet, seat.charged.get())),
            _ => None,
        });
        seats.collect()
    }

    #[test]
    fn a_guest_pays_to_the_second_of_leaving_and_the_others_stay() {
        let view = StayView::of(seat(2), Some((room(2), vec![seat(1), seat(2)])), 1800, None);
        let decision = leave(2, 75, view);
        let left = decision.reply.unwrap();
        assert_eq!(
            (left.charged.get(), left.remaining.get(), left.closed),
            (75, 1725, false)
        );
        assert_eq!(
            charges(&decision.changeset),
            BTreeMap::from([(wallet(2), 75)])
        );
    }

    #[test]
    fn an_answer_that_was_kept_before_there_were_receipts_is_still_one() {
        let kept = r#"{"charged":30,"remaining":5,"closed":false}"#;
        let left: Left = serde_json::from_str(kept).unwrap();
        assert_eq!((left.charged.get(), left.receipt), (30, None));
    }

    #[test]
    fn the_last_guest_closes_the_room() {
        let view = StayView::of(seat(2), Some((room(1), vec![seat(2)])), 1800, None);
        assert!(leave(2, 75, view).reply.unwrap().closed);
    }

    #[test]
    fn the_host_closes_the_room_and_nobody_pays_beyond_the_close() {
        let host = Seat {
            last_seen_at: at(95),
            metered_to: at(95),
            ..seat(1)
        };
        // Wallet 3 was heard at 97, wallet 2 not since it joined: its lease ended at 90.
        let heard = Seat {
            last_seen_at: at(97),
            metered_to: at(97),
            ..seat(3)
        };
        let seats = vec![
            host.clone(),
            Seat {
                last_seen_at: at(20),
                ..seat(2)
            },
            heard,
        ];
        let view = StayView::of(host, Some((room(3), seats)), 1800, None);
        let decision = leave(1, 100, view);
        assert!(decision.reply.unwrap().closed);
        assert_eq!(
            charges(&decision.changeset),
            BTreeMap::from([(wallet(1), 5), (wallet(2), 90), (wallet(3), 0)])
        );
    }

    #[test]
    fn who_leaves_after_too_long_a_silence_was_evicted_before() {
        let view = StayView::of(seat(2), Some((room(1), vec![seat(2)])), 1800, None);
        let decision = leave(2, 91, view);
        assert_eq!(decision.reply, Err(RoomRefusal::NotYourConnection));
        assert_eq!(
            charges(&decision.changeset),
            BTreeMap::from([(wallet(2), 90)])
        );
    }

    #[test]
    fn a_strangers_leave_changes_nothing() {
        let view = StayView::of(seat(2), Some((room(1), vec![seat(2)])), 1800, None);
        let policy = Policy::default();
        let command = LeaveRoom(StayName {
            wallet: wallet(3),
            room: Some(room_id()),
            connection: Some(seat(2).connection),
        });
        let verdict = command.decide(&Some(view), &cx(&policy, 10), &Answers::default());
        let Verdict::Done(decision) = verdict else {
            panic!("asked")
        };
        assert_eq!(decision.reply, Err(RoomRefusal::NotYourConnection));
        assert!(decision.changeset.is_empty());
    }

    #[test]
    fn every_departure_asks_the_vendor_to_remove_where_that_is_configured() {
        let mut policy = Policy::default();
        let view = || StayView::of(seat(1), Some((room(2), vec![seat(1), seat(2)])), 1800, None);
        assert!(decide(1, 10, view(), &policy).changeset.intents.is_empty());
        policy.rooms.remove_from_channel = true;
        let intents = decide(1, 10, view(), &policy).changeset.intents;
        assert_eq!(intents.len(), 2);
        assert_ne!(intents[0].key, intents[1].key);
    }
}
