//! Creating a free room.

use serde::{Deserialize, Serialize};

use super::event::EventLog;
use super::{
    Closing, EventNumber, Happening, Room, RoomPolicy, RoomRefusal, RoomState, Seat, Visibility,
};
use crate::changeset::{Draft, Fact, Key, Loaded};
use crate::ledger::{CreditAccounts, Gate, credit_gate};
use crate::media::Channel;
use crate::outage::{Service, shared_now};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};
use crate::types::{RoomId, Timestamp, Wallet};

/// A wallet opens a room. Creating does not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateRoom {
    /// The host.
    pub wallet: Wallet,
    /// Whether the room is listed.
    pub visibility: Visibility,
    /// Whether the host asks for an agent.
    pub ai_enabled: bool,
}

/// The answer to [`CreateRoom`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomCreated {
    /// The new room.
    pub room: RoomId,
    /// Its media channel.
    pub channel: Channel,
    /// Whether it is listed.
    pub visibility: Visibility,
}

/// What [`CreateRoom`] needs to see.
#[derive(Debug, Clone)]
pub struct CreateView {
    credits: CreditAccounts,
    service: Option<Service>,
    seat: Option<Loaded<Seat>>,
    hosted: Option<Loaded<Room>>,
}

impl Command for CreateRoom {
    type View = CreateView;
    type Reply = RoomCreated;
    type Refusal = RoomRefusal;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<CreateView, StoreError> {
        let seat = Read::LiveSeatOf(self.wallet);
        let hosted = Read::ActiveRoomOf(self.wallet);
        let mut reads = CreditAccounts::reads(self.wallet);
        reads.extend([seat.clone(), hosted.clone(), Read::Row(Key::Service(()))]);
        let snapshot = Snapshot::load(ports.store(), &reads).await?;
        Ok(CreateView {
            credits: CreditAccounts::of(self.wallet, &snapshot),
            service: snapshot.row::<Service>(Key::Service(())).value().cloned(),
            seat: snapshot.first(&seat),
            hosted: snapshot.first(&hosted),
        })
    }

    fn decide(&self, view: &CreateView, cx: &Context<'_>, answers: &Answers) -> Verdict<Self> {
        let policy = &cx.policy.rooms;
        let at = shared_now(view.service.as_ref(), cx);
        let mut draft = Draft::new();
        match credit_gate(
            &view.credits,
            policy.credit_min_seconds,
            cx,
            answers,
            &mut draft,
        ) {
            Gate::Need(question) => return Verdict::Need(question),
            Gate::Closed(refusal) => return refused(draft, refusal.into()),
            Gate::Open { .. } => {}
        }
        if view.seat.is_some() {
            return refused(draft, RoomRefusal::AlreadyInRoom);
        }
        if let Some(hosted) = &view.hosted {
            // A room that nobody joined in time does not block its host until a worker comes.
            let Some(overdue) = hosted.value().filter(|room| room.is_overdue(at)) else {
                return refused(draft, RoomRefusal::AlreadyHosting);
            };
            close_unjoined(hosted, overdue, at, policy, &mut draft);
        }
        let room = Room {
            id: RoomId::from_random(cx.fresh.id),
            host: self.wallet,
            visibility: self.visibility,
            ai_enabled: self.ai_enabled,
            created_at: at,
            state: RoomState::Active,
            unjoined_until: Some(at.after(policy.unjoined_max_seconds)),
            live_seats: 0,
            last_event: EventNumber::NONE,
        };
        let reply = RoomCreated {
            room: room.id,
            channel: room.channel(),
            visibility: room.visibility,
        };
        draft.journal(
            at,
            Fact::RoomCreated {
                room: room.id,
                host: room.host,
                visibility: room.visibility,
            },
        );
        draft.insert(room);
        Verdict::Done(Decision::granted(draft, reply))
    }
}

/// Closes a room that nobody joined in time.
pub(super) fn close_unjoined(
    loaded: &Loaded<Room>,
    room: &Room,
    at: Timestamp,
    policy: &RoomPolicy,
    draft: &mut Draft,
) {
    let why = Closing::Unjoined;
    draft.journal(at, Fact::RoomClosed { room: room.id, why });
    let mut events = EventLog::of(room, policy, draft);
    events.add(at, Happening::Closed { why });
    let last_event = events.last();
    let closed = Room {
        last_event,
        ..room.closed(at, why)
    };
    draft.update(loaded, closed);
}

/// A refusal that writes the grant that was due, and nothing else.
fn refused(draft: Draft, refusal: RoomRefusal) -> Verdict<CreateRoom> {
    Verdict::Done(Decision::refused(draft, refusal))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{account, cx, loaded, room, seat, wallet};
    use super::*;
    use crate::ledger::{AccountKind, CreditRefusal};
    use crate::policy::Policy;
    use crate::types::Seconds;

    fn view(credit: u64, seat: Option<Seat>, hosted: Option<Room>) -> CreateView {
        CreateView {
            credits: CreditAccounts::found(
                wallet(1),
                account(AccountKind::Wallet, 1, credit, 0),
                account(AccountKind::GrantBase, 1, 0, 1800),
                account(AccountKind::GrantBonus, 1, 0, 0),
            ),
            service: None,
            seat: seat.map(loaded),
            hosted: hosted.map(loaded),
        }
    }

    fn create(now: u64, view: &CreateView) -> Decision<RoomCreated, RoomRefusal> {
        let policy = Policy::default();
        let command = CreateRoom {
            wallet: wallet(1),
            visibility: Visibility::Private,
            ai_enabled: true,
        };
        match command.decide(view, &cx(&policy, now), &Answers::default()) {
            Verdict::Done(decision) => decision,
            Verdict::Need(question) => panic!("asked {question:?}"),
        }
    }

    #[test]
    fn each_refusal_has_its_case() {
        let too_little = CreditRefusal::TooLittle {
            remaining: Seconds::new(89),
        };
        for (view, refusal) in [
            (view(89, None, None), RoomRefusal::Credit(too_little)),
            (
                view(90, Some(seat(1)), Some(room(1))),
                RoomRefusal::AlreadyInRoom,
            ),
            (view(90, None, Some(room(0))), RoomRefusal::AlreadyHosting),
        ] {
            let decision = create(10, &view);
            assert_eq!(decision.reply, Err(refusal));
            assert!(decision.changeset.is_empty(), "{refusal:?}");
        }
    }

    #[test]
    fn a_room_nobody_joined_in_time_blocks_its_host_no_longer() {
        assert!(create(119, &view(90, None, Some(room(0)))).reply.is_err());
        let decision = create(120, &view(90, None, Some(room(0))));
        assert!(decision.reply.is_ok());
        let rows = decision.changeset.rows.len();
        assert_eq!(rows, 3, "one closes, which is told, one opens");
    }
}
