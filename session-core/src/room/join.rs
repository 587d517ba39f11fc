//! Taking a seat.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Room, RoomPolicy, RoomRefusal, Seat, SeatState};
use crate::changeset::{Draft, Fact, Key, Loaded};
use crate::ledger::{CreditAccounts, Gate, credit_gate};
use crate::media::{MediaGrant, MediaUid, Role};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};
use crate::types::{ConnectionId, RoomId, Seconds, Wallet};

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
        reads.push(own_seat.clone());
        if let Some(room) = self.room {
            reads.extend([Read::Row(Key::Room(room)), Read::LiveSeatsIn(room)]);
        }
        let snapshot = Snapshot::load(ports.store(), &reads).await?;
        Ok(JoinView {
            credits: CreditAccounts::of(self.wallet, &snapshot),
            own_seat: snapshot.first(&own_seat),
            room: self.room.map(|room| snapshot.row(Key::Room(room))),
            seats: self
                .room
                .map_or_else(Vec::new, |room| snapshot.list(&Read::LiveSeatsIn(room))),
        })
    }

    fn decide(&self, view: &JoinView, cx: &Context<'_>, answers: &Answers) -> Verdict<Self> {
        let policy = &cx.policy.rooms;
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
        let active = view.room.as_ref().and_then(|loaded| {
            loaded
                .value()
                .filter(|room| room.is_active())
                .map(|room| (loaded, room))
        });
        let Some((loaded, room)) = active else {
            return refused(draft, RoomRefusal::RoomNotFound);
        };
        let seats: Vec<&Seat> = view.seats.iter().filter_map(Loaded::value).collect();
        let Some(slot) = free_slot(&seats, policy) else {
            return refused(draft, RoomRefusal::RoomFull);
        };
        let seat = self.seat(room, slot, &seats, cx);
        let reply = Joined {
            room: room.id,
            connection: seat.connection,
            host: room.host,
            is_host: room.host == self.wallet,
            grant: MediaGrant {
                channel: room.channel(),
                uid: seat.uid,
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
        draft.update(
            loaded,
            Room {
                live_seats,
                unjoined_until: None,
                ..room.clone()
            },
        );
        draft.journal(
            cx.now,
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
    fn seat(&self, room: &Room, slot: u8, seats: &[&Seat], cx: &Context<'_>) -> Seat {
        let policy = &cx.policy.rooms;
        Seat {
            connection: ConnectionId::from_random(cx.fresh.id),
            room: room.id,
            wallet: self.wallet,
            slot,
            uid: free_uid(self.wallet, seats, cx.fresh.uid),
            joined_at: cx.now,
            last_seen_at: cx.now,
            metered_to: cx.now,
            charged: Seconds::ZERO,
            lease_until: cx.now.after(policy.lease.seconds()),
            low_raised: false,
            exhausted_at: None,
            undelivered: Vec::new(),
            check_at: cx.now.after(policy.check_after_seconds),
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
