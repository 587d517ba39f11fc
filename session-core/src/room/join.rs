//! Taking a seat.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::event::EventLog;
use super::{Room, RoomPolicy, RoomRefusal, Seat, SeatState};
use crate::changeset::{Draft, Fact, Key, Loaded};
use crate::ledger::{CreditAccounts, Gate, credit_gate};
use crate::media::{MediaGrant, MediaUid, Role};
use crate::outage::{Service, shared_now};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};
use crate::types::{ConnectionId, RoomId, Seconds, Timestamp, Wallet};

/// A wallet takes a seat in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinRoom {
    /// Who.
    pub wallet: Wallet,
    /// Where; `None` for a text that names no room. The credit gate comes first all the same.
    pub room: Option<RoomId>,
}

/// The answer to [`JoinRoom`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The room.
    pub room: RoomId,
    /// The new stay.
    pub connection: ConnectionId,
    /// Who hosts the room.
    pub host: Wallet,
    /// Whether that is the caller.
    pub is_host: bool,
    /// What the media token is made from.
    pub grant: MediaGrant,
    /// When to renew.
    pub renew_after: Seconds,
    /// How often to beat.
    pub heartbeat_interval: Seconds,
    /// Credit left.
    pub remaining: Seconds,
}

/// What [`JoinRoom`] needs to see.
#[derive(Debug, Clone)]
pub struct JoinView {
    credits: CreditAccounts,
    service: Option<Service>,
    own_seat: Option<Loaded<Seat>>,
    room: Option<Loaded<Room>>,
    seats: Vec<Loaded<Seat>>,
}

impl Command for JoinRoom {
    type View = JoinView;
    type Reply = Joined;
    type Refusal = RoomRefusal;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<JoinView, StoreError> {
        let own_seat = Read::LiveSeatOf(self.wallet);
        let mut reads = CreditAccounts::reads(self.wallet);
        reads.extend([own_seat.clone(), Read::Row(Key::Service(()))]);
        if let Some(room) = self.room {
            reads.extend([Read::Row(Key::Room(room)), Read::LiveSeatsIn(room)]);
        }
        let snapshot = Snapshot::load(ports.store(), &reads).await?;
        Ok(JoinView {
            credits: CreditAccounts::of(self.wallet, &snapshot),
            service: snapshot.row::<Service>(Key::Service(())).value().cloned(),
            own_seat: snapshot.first(&own_seat),
            room: self.room.map(|room| snapshot.row(Key::Room(room))),
            seats: self
                .room
                .map_or_else(Vec::new, |room| snapshot.list(&Read::LiveSeatsIn(room))),
        })
    }

    fn decide(&self, view: &JoinView, cx: &Context<'_>, answers: &Answers) -> Verdict<Self> {
        let policy = &cx.policy.rooms;
        let at = shared_now(view.service.as_ref(), cx);
        let mut draft = Draft::new();
        let gate = credit_gate(
            &view.credits,
            policy.credit_min_seconds,
            cx,
            answers,
            &mut draft,
        );
        let remaining = match gate {
            Gate::Need(question) => return Verdict::Need(question),
            Gate::Closed(refusal) => return refused(draft, refusal.into()),
            Gate::Open { remaining } => remaining,
        };
        if view.own_seat.is_some() {
            return refused(draft, RoomRefusal::AlreadyInRoom);
        }
        // A room that nobody joined in time is closed, whether or not a worker came by already.
        let active = view.room.as_ref().and_then(|loaded| {
            let room = loaded.value()?;
            (room.is_active() && !room.is_overdue(at)).then_some((loaded, room))
        });
        let Some((loaded, room)) = active else {
            return refused(draft, RoomRefusal::RoomNotFound);
        };
        let seats: Vec<&Seat> = view.seats.iter().filter_map(Loaded::value).collect();
        let Some(slot) = free_slot(&seats, policy) else {
            return refused(draft, RoomRefusal::RoomFull);
        };
        let seat = self.seat(room, slot, &seats, at, cx);
        let reply = Joined {
            room: room.id,
            connection: seat.connection,
            host: room.host,
            is_host: room.host == self.wallet,
            grant: MediaGrant {
                channel: room.channel(),
                uid: seat.uid,
                connection: Some(seat.connection),
                role: Role::Publisher,
                issued_at: cx.now,
                ttl: policy.lease,
                salt: cx.fresh.salt,
            },
            renew_after: policy.renew_after_seconds,
            heartbeat_interval: policy.heartbeat_interval_seconds,
            remaining,
        };
        let live_seats = room.live_seats.saturating_add(1);
        // Of two that join at once, the room is what they disagree about.
        draft.expect(loaded);
        let mut events = EventLog::of(room, policy, &mut draft);
        events.joined(&seat);
        let last_event = events.last();
        draft.update(
            loaded,
            Room {
                live_seats,
                unjoined_until: None,
                last_event,
                ..room.clone()
            },
        );
        draft.journal(
            at,
            Fact::Joined {
                connection: seat.connection,
                room: room.id,
                wallet: self.wallet,
                slot,
                uid: seat.uid,
            },
        );
        draft.insert(seat);
        Verdict::Done(Decision::granted(draft, reply))
    }
}

impl JoinRoom {
    fn seat(
        &self,
        room: &Room,
        slot: u8,
        seats: &[&Seat],
        at: Timestamp,
        cx: &Context<'_>,
    ) -> Seat {
        let policy = &cx.policy.rooms;
        Seat {
            connection: ConnectionId::from_random(cx.fresh.id),
            room: room.id,
            wallet: self.wallet,
            slot,
            uid: free_uid(self.wallet, seats, cx.fresh.uid),
            joined_at: at,
            last_seen_at: at,
            metered_to: at,
            charged: Seconds::ZERO,
            lease_until: at.after(policy.lease.seconds()),
            low_raised: false,
            exhausted_at: None,
            undelivered: Vec::new(),
            check_at: at.after(policy.check_after_seconds),
            state: SeatState::Live,
        }
    }
}

fn free_slot(seats: &[&Seat], policy: &RoomPolicy) -> Option<u8> {
    (0..policy.capacity).find(|slot| seats.iter().all(|seat| seat.slot != *slot))
}

/// The recorded number of the wallet; where that is 0 or taken in the room, the next free one from
/// a random start. 0 would be a wildcard to the media vendor.
fn free_uid(wallet: Wallet, seats: &[&Seat], random: u32) -> MediaUid {
    let is_free = |uid: &MediaUid| seats.iter().all(|seat| seat.uid != *uid);
    if let Some(uid) = MediaUid::derive(wallet).filter(is_free) {
        return uid;
    }
    let mut candidate = random;
    loop {
        // At most one more than the seats' number of turns: each taken number is one seat's.
        if let Some(uid) = MediaUid::new(candidate).filter(is_free) {
            return uid;
        }
        candidate = candidate.wrapping_add(1);
    }
}

fn refused(draft: Draft, refusal: RoomRefusal) -> Verdict<JoinRoom> {
    Verdict::Done(Decision::refused(draft, refusal))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FRESH, account, at, cx, loaded, room, room_id, seat, wallet};
    use super::*;
    use crate::changeset::{Changeset, Row, Write};
    use crate::ledger::{AccountKind, CreditRefusal};
    use crate::policy::Policy;

    fn view(n: u8, credit: u64, others: &[u8]) -> JoinView {
        let seats: Vec<_> = others.iter().map(|other| loaded(seat(*other))).collect();
        JoinView {
            credits: CreditAccounts::found(
                wallet(n),
                account(AccountKind::Wallet, n, credit, 0),
                account(AccountKind::GrantBase, n, 0, 1800),
                account(AccountKind::GrantBonus, n, 0, 0),
            ),
            service: None,
            own_seat: None,
            room: Some(loaded(room(u8::try_from(others.len()).unwrap()))),
            seats,
        }
    }

    fn join(n: u8, view: &JoinView) -> Decision<Joined, RoomRefusal> {
        let policy = Policy::default();
        let command = JoinRoom {
            wallet: wallet(n),
            room: Some(room_id()),
        };
        match command.decide(view, &cx(&policy, 10), &Answers::default()) {
            Verdict::Done(decision) => decision,
            Verdict::Need(question) => panic!("asked {question:?}"),
        }
    }

    fn inserted_seat(changeset: &Changeset) -> Option<&Seat> {
        changeset.rows.iter().find_map(|write| match write {
            Write::Insert(Row::Seat(seat)) => Some(seat),
            _ => None,
        })
    }

    #[test]
    fn each_refusal_has_its_case_and_writes_nothing() {
        let full = view(9, 1800, &[1, 2, 3, 4, 5, 6]);
        let poor = view(9, 89, &[]);
        let seated = JoinView {
            own_seat: Some(loaded(seat(9))),
            ..view(9, 1800, &[])
        };
        let nowhere = JoinView {
            room: None,
            ..view(9, 1800, &[])
        };
        let closed = JoinView {
            room: Some(loaded(
                room(0).closed(at(5), super::super::Closing::Unjoined),
            )),
            ..view(9, 1800, &[])
        };
        let too_little = CreditRefusal::TooLittle {
            remaining: Seconds::new(89),
        };
        for (view, refusal) in [
            (full, RoomRefusal::RoomFull),
            (poor, RoomRefusal::Credit(too_little)),
            (seated, RoomRefusal::AlreadyInRoom),
            (nowhere, RoomRefusal::RoomNotFound),
            (closed, RoomRefusal::RoomNotFound),
        ] {
            let decision = join(9, &view);
            assert_eq!(decision.reply, Err(refusal));
            assert!(decision.changeset.is_empty(), "{refusal:?}");
        }
    }

    #[test]
    fn a_refusal_writes_the_grant_that_was_due_and_nothing_else() {
        let mut view = view(9, 0, &[1, 2, 3, 4, 5, 6]);
        view.credits = CreditAccounts::found(
            wallet(9),
            account(AccountKind::Wallet, 9, 0, 0),
            account(AccountKind::GrantBase, 9, 0, 0),
            account(AccountKind::GrantBonus, 9, 0, 0),
        );
        let policy = Policy::default();
        let command = JoinRoom {
            wallet: wallet(9),
            room: Some(room_id()),
        };
        let Verdict::Need(question) = command.decide(&view, &cx(&policy, 10), &Answers::default())
        else {
            panic!("decided without a name");
        };
        let named = crate::ports::Answer::PrimaryName(Some("alice".into()));
        let answers = Answers::default().with(question, named);
        let Verdict::Done(decision) = command.decide(&view, &cx(&policy, 10), &answers) else {
            panic!("asked twice");
        };
        assert_eq!(decision.reply, Err(RoomRefusal::RoomFull));
        assert_eq!(decision.changeset.transfers.len(), 1);
        assert!(decision.changeset.rows.is_empty());
    }

    #[test]
    fn a_join_takes_the_lowest_free_slot_and_leases_ninety_seconds() {
        let decision = join(9, &view(9, 90, &[1, 3]));
        let joined = decision.reply.unwrap();
        let seat = inserted_seat(&decision.changeset).unwrap();
        assert_eq!((seat.slot, seat.uid.get()), (1, 9));
        assert_eq!(seat.lease_until, at(100));
        assert_eq!(joined.grant.ends_at(), seat.lease_until);
        assert_eq!(joined.remaining.get(), 90);
        assert!(
            decision.changeset.transfers.is_empty(),
            "joining costs nothing"
        );
    }

    #[test]
    fn a_uid_of_zero_or_one_that_is_taken_is_drawn_anew() {
        assert_eq!(free_uid(wallet(0), &[], FRESH.uid).get(), FRESH.uid);
        let taken = seat(9);
        assert_eq!(free_uid(wallet(9), &[&taken], FRESH.uid).get(), FRESH.uid);
        assert_eq!(free_uid(wallet(9), &[&taken], 9).get(), 10);
        assert_eq!(free_uid(wallet(9), &[&taken], 0).get(), 1);
        assert_eq!(free_uid(wallet(0), &[], 0).get(), 1);
    }
}
