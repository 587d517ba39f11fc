//! What the checks write: sound rows, told apart by a number.
//!
//! All of them are such as the rules could have written, so that the constraints of a schema may
//! stay: a seat's room is there, a closed room has no live seats, nobody is charged for more than
//! was metered.

use std::num::NonZeroU32;

use session_core::auth::{Challenge, ChallengeKey, Revocation, Revoked};
use session_core::booking::{Agreement, Attendance, BookedSession, Host, Settlement};
use session_core::changeset::{Changeset, Draft, Entry, Expect, Fact, Key, Record, Version, Write};
use session_core::escrow::{BookingKey, BookingStatus, EscrowId, Slot, SlotStatus, Terms};
use session_core::idempotency::{IdempotencyKey, IdempotencyRecord};
use session_core::journal::{Block, BlockNumber, Chain};
use session_core::ledger::{
    AccountKey, AccountKind, Action, Guard, Order, Owner, Reason, Reference, Transfer,
};
use session_core::media::Channel;
use session_core::outage::Service;
use session_core::outbox::{Effect, Intent, IntentClass};
use session_core::room::{
    Departure, EventNumber, Happening, Room, RoomEvent, RoomEventKey, RoomState, Seat, SeatState,
    Visibility,
};
use session_core::types::{
    BookingId, ChainId, ConnectionId, EntryId, IntentKey, RoomId, Seconds, SlotId, Timestamp,
    TokenAmount, TransferId, U256, Unit, Wallet,
};

use crate::bench::Bench;

pub(super) const fn at(unix: u64) -> Timestamp {
    Timestamp::from_unix(unix)
}

pub(super) fn wallet(n: u32) -> Wallet {
    Bench::wallet(n)
}

fn bytes(n: u32) -> [u8; 16] {
    let mut bytes = [0x0c; 16];
    bytes[12..].copy_from_slice(&n.to_be_bytes());
    bytes
}

pub(super) fn room_id(n: u32) -> RoomId {
    RoomId::from_random(bytes(n))
}

pub(super) fn connection(n: u32) -> ConnectionId {
    ConnectionId::from_random(bytes(n))
}

/// An active open room of the wallet of the same number, due in no queue.
pub(super) fn room(n: u32) -> Room {
    Room {
        id: room_id(n),
        host: wallet(n),
        visibility: Visibility::Open,
        ai_enabled: false,
        created_at: at(1000),
        state: RoomState::Active,
        unjoined_until: None,
        live_seats: 1,
        last_event: EventNumber::NONE,
    }
}

/// The same kind of room before anybody joined: due at this instant in the lane of rooms.
pub(super) fn unjoined(n: u32, due_at: u64) -> Room {
    Room {
        unjoined_until: Some(at(due_at)),
        live_seats: 0,
        ..room(n)
    }
}

/// An event of the room of a number.
pub(super) fn event(in_room: u32, number: u64) -> RoomEvent {
    RoomEvent {
        key: RoomEventKey {
            room: room_id(in_room),
            number: EventNumber::new(number),
        },
        at: at(1000),
        what: Happening::Joined {
            connection: connection(in_room),
            wallet: wallet(in_room),
            uid: NonZeroU32::MIN.into(),
        },
        forget_at: at(5000),
    }
}

/// A token that was revoked.
pub(super) fn revocation(n: u32, revoked_at: u64) -> Revocation {
    Revocation {
        id: Revoked::Token.id(&n.to_string()),
        what: Revoked::Token,
        at: at(revoked_at),
        forget_at: at(5000),
    }
}

/// A booking of the one escrow.
pub(super) fn booking_key(n: u32) -> BookingKey {
    BookingKey {
        escrow: EscrowId {
            chain_id: 42431,
            address: Wallet::from_bytes([0xe5; 20]),
        },
        booking: BookingId::new(U256::from(n)),
    }
}

/// A session that the wallet of the same number gives to that of the next, from 5000 on. Nobody
/// came yet, and it is due in no queue.
pub(super) fn booked(n: u32) -> BookedSession {
    let slot = Slot {
        host: wallet(n),
        start_time: at(5000),
        duration_mins: 30,
        price: TokenAmount::new(U256::from(7)),
        grace_mins: 5,
        min_overlap_mins: 10,
        cancel_cutoff_mins: 60,
        status: SlotStatus::Booked,
    };
    let terms = Terms {
        fee_bps: 500,
        late_cancel_penalty_bps: 2000,
        challenge_window: Seconds::new(86_400),
        no_attest_buffer: Seconds::new(3600),
        dispute_timeout: Seconds::new(604_800),
        challenge_bond: TokenAmount::new(U256::from(3)),
    };
    BookedSession {
        key: booking_key(n),
        agreement: Agreement {
            slot_id: SlotId::new(U256::from(n)),
            slot,
            guest: wallet(n + 1),
            amount: slot.price,
            terms,
        },
        status: BookingStatus::Booked,
        finalizable_at: None,
        disputed_at: None,
        host: Attendance::default(),
        guest: Attendance::default(),
        evidence: Vec::new(),
        settlement: Settlement::Open,
        decision: None,
        round: 0,
        mutual_failed: false,
        transaction: None,
        attempts: Vec::new(),
        look_at: None,
    }
}

/// The same session once somebody is to look at it: due at this instant in the lane of
/// attestations.
pub(super) fn watched(n: u32, due_at: u64) -> BookedSession {
    BookedSession {
        look_at: Some(at(due_at)),
        ..booked(n)
    }
}

/// What the wallet of this number says of itself.
pub(super) fn host(n: u32) -> Host {
    Host {
        wallet: wallet(n),
        accepting_bookings: true,
        changed_at: at(1000),
    }
}

/// The live seat of the wallet of the same number, in the first place of a room.
pub(super) fn seat(n: u32, in_room: u32) -> Seat {
    Seat {
        connection: connection(n),
        room: room_id(in_room),
        wallet: wallet(n),
        slot: 0,
        uid: NonZeroU32::MIN.saturating_add(n).into(),
        joined_at: at(1000),
        last_seen_at: at(1010),
        metered_to: at(1010),
        charged: Seconds::new(10),
        lease_until: at(1090),
        low_raised: false,
        exhausted_at: None,
        undelivered: Vec::new(),
        check_at: at(1045),
        state: SeatState::Live,
    }
}

/// The seat after its stay.
pub(super) fn gone(seat: Seat) -> Seat {
    Seat {
        state: SeatState::Gone {
            at: at(1010),
            why: Departure::Left,
        },
        ..seat
    }
}

/// The one nonce of the wallet of the same number. It shares nothing with any other row.
pub(super) fn challenge(n: u32) -> Challenge {
    nonce(n, 1, 1000)
}

pub(super) fn nonce(n: u32, byte: u8, issued_at: u64) -> Challenge {
    Challenge {
        key: ChallengeKey {
            wallet: wallet(n),
            nonce: [byte; 32],
        },
        issued_at: at(issued_at),
        forget_at: at(1301),
    }
}

pub(super) fn answer(n: u32) -> IdempotencyRecord {
    IdempotencyRecord {
        key: IdempotencyKey {
            caller: wallet(n),
            command: "rooms.join".to_owned(),
            key: "key".to_owned(),
        },
        fingerprint: [7; 16],
        answer: r#"{"Ok":{"granted":true}}"#.to_owned(),
        expires_at: at(9000),
    }
}

/// An intent due at 1000.
pub(super) fn intent(n: u32) -> Intent {
    let effect = Effect::RemoveFromChannel {
        connection: None,
        channel: Channel::free_room(room_id(n)),
        uid: NonZeroU32::MIN.into(),
    };
    let key = IntentKey::derive("conformance", &[&n.to_be_bytes()]);
    Intent::new(key, IntentClass::Repeatable, effect, at(1000))
}

pub(super) const fn service(last_beat_at: u64) -> Service {
    Service {
        last_beat_at: at(last_beat_at),
        outages: Vec::new(),
    }
}

/// A fact of this number, told at 2000.
pub(super) fn entry(n: u32) -> Entry {
    let (from, to) = (at(n.into()), at(u64::from(n) + 1));
    Entry::new(at(2000 + u64::from(n)), Fact::Outage { from, to })
}

pub(super) fn telling(entries: impl IntoIterator<Item = Entry>) -> Changeset {
    Changeset {
        journal: entries.into_iter().collect(),
        ..Changeset::default()
    }
}

/// A block of these entries. No store asks whether its hashes are right.
pub(super) fn sealing(n: u32, entries: impl IntoIterator<Item = EntryId>) -> Block {
    Block {
        number: BlockNumber::new(n.into()),
        previous: [1; 32],
        sealed_at: at(3000),
        entries: entries.into_iter().collect(),
        root: [2; 32],
        hash: [3; 32],
    }
}

/// A chain of so many blocks, due at 3000.
pub(super) fn chain(blocks: u64) -> Chain {
    Chain {
        blocks: BlockNumber::new(blocks),
        ..Chain::new(ChainId::from_random(bytes(1)), at(3000))
    }
}

pub(super) fn account(n: u32, kind: AccountKind) -> AccountKey {
    AccountKey::new(Owner::Wallet(wallet(n)), kind, Unit::Seconds)
}

/// What the wallet of this number can spend.
pub(super) fn spendable(n: u32) -> AccountKey {
    account(n, AccountKind::Wallet)
}

pub(super) fn revenue() -> AccountKey {
    AccountKey::new(Owner::House, AccountKind::Revenue, Unit::Seconds)
}

/// A transfer at 1000. Its identifier is made of the cause and the debited account.
pub(super) fn transfer(
    cause: &str,
    debit: AccountKey,
    credit: AccountKey,
    amount: u64,
) -> Transfer {
    let id = TransferId::derive(
        "conformance",
        &[cause.as_bytes(), debit.to_string().as_bytes()],
    );
    Transfer {
        id,
        debit,
        credit,
        amount,
        action: Action::Posted,
        reason: Reason::AdminAdjust,
        reference: Reference::None,
        at: at(1000),
    }
}

/// Credit for the wallet of this number, once.
pub(super) fn grant(n: u32, amount: u64) -> Transfer {
    transfer(
        "grant",
        account(n, AccountKind::GrantBase),
        spendable(n),
        amount,
    )
}

pub(super) const fn plain(transfer: Transfer) -> Order {
    Order {
        transfer,
        guard: None,
    }
}

pub(super) const fn guarded(transfer: Transfer, guard: Guard) -> Order {
    Order {
        transfer,
        guard: Some(guard),
    }
}

pub(super) fn transferring(orders: impl IntoIterator<Item = Order>) -> Changeset {
    Changeset {
        transfers: orders.into_iter().collect(),
        ..Changeset::default()
    }
}

pub(super) fn inserting<T: Record>(rows: impl IntoIterator<Item = T>) -> Changeset {
    let mut draft = Draft::new();
    for row in rows {
        draft.insert(row);
    }
    draft.finish()
}

/// Another state of a row that was found at a version.
pub(super) fn updating<T: Record>(version: u64, row: T) -> Changeset {
    Changeset {
        expect: vec![at_version(row.key(), version)],
        rows: vec![Write::Update(row.into())],
        ..Changeset::default()
    }
}

pub(super) fn deleting(version: u64, key: Key) -> Changeset {
    Changeset {
        expect: vec![at_version(key.clone(), version)],
        rows: vec![Write::Delete(key)],
        ..Changeset::default()
    }
}

pub(super) const fn at_version(key: Key, version: u64) -> Expect {
    Expect::At(key, Version::new(version))
}

/// The same changeset, which also relies on something.
pub(super) fn relying(on: Expect, mut changeset: Changeset) -> Changeset {
    changeset.expect.push(on);
    changeset
}

/// Two changesets in one.
pub(super) fn both(mut one: Changeset, other: Changeset) -> Changeset {
    one.expect.extend(other.expect);
    one.rows.extend(other.rows);
    one.transfers.extend(other.transfers);
    one.journal.extend(other.journal);
    one.intents.extend(other.intents);
    one.idempotency = one.idempotency.or(other.idempotency);
    one
}
