//! Rows and contexts for the decision tables of this module.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::{EventNumber, Room, RoomState, Seat, SeatState, Visibility};
use crate::changeset::{Key, Loaded, Record, Version};
use crate::ledger::{Account, AccountKind, seconds_account};
use crate::media::MediaUid;
use crate::policy::Policy;
use crate::ports::Fresh;
use crate::service::Context;
use crate::types::{ConnectionId, RoomId, Seconds, Timestamp, Wallet};

pub(crate) const FRESH: Fresh = Fresh {
    id: [0xaa; 16],
    nonce: [0xbb; 32],
    uid: 4_000_000_000,
    salt: NonZeroU32::MIN,
};

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(1_000_000 + seconds)
}

pub(crate) fn cx(policy: &Policy, now: u64) -> Context<'_> {
    Context {
        now: at(now),
        alive_since: None,
        policy,
        fresh: &FRESH,
    }
}

/// A wallet whose recorded media uid is its number.
pub(crate) fn wallet(n: u8) -> Wallet {
    let mut bytes = [0x11; 20];
    bytes[16..].copy_from_slice(&[0, 0, 0, n]);
    Wallet::from_bytes(bytes)
}

pub(crate) fn room_id() -> RoomId {
    RoomId::from_random([1; 16])
}

/// A room that wallet 1 hosts, with this many in it.
pub(crate) fn room(live_seats: u8) -> Room {
    Room {
        id: room_id(),
        host: wallet(1),
        visibility: Visibility::Open,
        ai_enabled: false,
        created_at: at(0),
        state: RoomState::Active,
        unjoined_until: (live_seats == 0).then(|| at(120)),
        live_seats,
        last_event: EventNumber::NONE,
    }
}

/// The seat of wallet `n`, taken at second 0.
pub(crate) fn seat(n: u8) -> Seat {
    Seat {
        connection: ConnectionId::from_random([n; 16]),
        room: room_id(),
        wallet: wallet(n),
        slot: n - 1,
        uid: MediaUid::new(u32::from(n)).unwrap(),
        joined_at: at(0),
        last_seen_at: at(0),
        metered_to: at(0),
        charged: Seconds::ZERO,
        lease_until: at(90),
        low_raised: false,
        exhausted_at: None,
        undelivered: Vec::new(),
        check_at: at(30),
        state: SeatState::Live,
    }
}

pub(crate) fn account(kind: AccountKind, n: u8, credits: u64, debits: u64) -> Loaded<Account> {
    let key = seconds_account(wallet(n), kind);
    if credits == 0 && debits == 0 {
        return Loaded::absent(Key::Account(key));
    }
    let sums = Account {
        credits_posted: credits,
        debits_posted: debits,
        ..Account::empty(key)
    };
    Loaded::present(Key::Account(key), Version::new(3), sums)
}

pub(crate) fn loaded<T: Record>(row: T) -> Loaded<T> {
    Loaded::present(row.key(), Version::new(7), row)
}
