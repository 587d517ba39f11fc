//! How a stay ends: by leaving, by eviction, by the room closing. One rule for all three.

use serde::{Deserialize, Serialize};

use super::view::{Around, StayView};
use super::{Closing, Departure, Metered, Room, RoomRefusal, Seat, SeatState, charge_until, meter};
use crate::changeset::{Draft, Fact, Loaded};
use crate::ledger::usage;
use crate::outbox::{Effect, Intent, IntentClass};
use crate::ports::StoreError;
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};
use crate::types::{ConnectionId, Id128, IntentKey, RoomId, Seconds, Timestamp, Wallet};

/// A client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaveRoom {
    /// Who.
    pub wallet: Wallet,
    /// Where; `None` for a text that names no room.
    pub room: Option<RoomId>,
    /// Which stay; `None` for a text that names none.
    pub connection: Option<ConnectionId>,
}

/// The answer to [`LeaveRoom`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Charged for the whole stay.
    pub charged: Seconds,
    /// Credit left.
    pub remaining: Seconds,
    /// Whether the room closed with it.
    pub closed: bool,
}

impl Command for LeaveRoom {
    type View = Option<StayView>;
    type Reply = Left;
    type Refusal = RoomRefusal;

    async fn load(&self, ports: &Ports, cx: &Context<'_>) -> Result<Self::View, StoreError> {
        match self.connection {
            Some(connection) => StayView::load(ports, cx, connection, Some(self.wallet), true)
                .await
                .map(Some),
            None => Ok(None),
        }
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let found = view
            .as_ref()
            .zip(self.room)
            .and_then(|(view, room)| Some((view, view.seat_of(self.wallet, room)?)));
        let Some((view, seat)) = found else {
            return not_yours(draft);
        };
        let at = seat.clamp(cx.now);
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
        .map(|seat| charge_until(seat, seat.clamp(cx.now)));
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
    if let Some(why) = closing {
        for other in others() {
            let until = other
                .value()
                .map(|seat| charge_until(seat, seat.clamp(cx.now)))?;
            end_stay(view, other, Departure::RoomClosed, until, cx, draft)?;
        }
        draft.journal(cx.now, Fact::RoomClosed { room: room.id, why });
        draft.update(loaded_room, room.closed(cx.now, why));
    } else {
        let live_seats = room.live_seats.saturating_sub(1);
        draft.update(
            loaded_room,
            Room {
                live_seats,
                ..room.clone()
            },
        );
    }
    Some(Left {
        charged: gone.seat.charged,
        remaining: gone.remaining,
        closed: closing.is_some(),
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
    let at = seat.clamp(cx.now);
    let (policy, outages) = (&cx.policy.rooms, view.outages(at, cx));
    let mut metered = meter(seat, until, view.available(seat.wallet), &outages, policy);
    metered.seat.state = SeatState::Gone { at, why };
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
    draft.journal(
        at,
        Fact::Left {
            connection: seat.connection,
            room: seat.room,
            wallet: seat.wallet,
            why,
            charged: metered.seat.charged,
        },
    );
    if policy.remove_from_channel {
        draft.intent(removal(seat, cx.now));
    }
    draft.update(loaded, metered.seat.clone());
    Some(metered)
}

/// Put the participant out of the channel, so that the rest of a lease is not a free ride.
fn removal(seat: &Seat, now: Timestamp) -> Intent {
    Intent::new(
        IntentKey::derive("remove from channel", &[&seat.connection.to_bytes()]),
        IntentClass::Repeatable,
        Effect::RemoveFromChannel {
            channel: seat.channel(),
            uid: seat.uid,
        },
        now,
    )
}

fn not_yours(draft: Draft) -> Verdict<LeaveRoom> {
    Verdict::Done(Decision::refused(draft, RoomRefusal::NotYourConnection))
}
