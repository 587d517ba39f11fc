//! The world that every load runs on: many wallets with credit, each in a seat.

use std::sync::Arc;

use session_core::auth::{AccessClaims, JwtKeys};
use session_core::changeset::{Draft, Fact, Key, Row};
use session_core::crypto::Secret;
use session_core::ledger::{AccountKey, AccountKind, Action, Owner, Reason, Reference, Transfer};
use session_core::media::MediaUid;
use session_core::ports::{Read, Store};
use session_core::room::{EventNumber, Room, RoomState, Seat, SeatState, Visibility};
use session_core::types::{ConnectionId, RoomId, Seconds, Timestamp, TransferId, Unit, Wallet};
use tokio::task::JoinSet;

use crate::Failure;

/// Seats, and wallets. At 15,000 beats a second each is visited about every seven seconds, so that
/// every beat owes some.
pub const SEATS: u32 = 100_000;

/// Seconds that each wallet starts with: more than any load can use up.
pub const CREDITS: u64 = 1_000_000;

/// Seats of one room.
const ROOM_SEATS: u32 = 6;

/// Names are decimal digits only, all of the same length, so that a script of pgbench can make
/// them of a number: this one and the seat's.
pub const NUMBER_MIN: u64 = 1_000_000_000;

/// Commits under way while the world is made.
const SEEDING_MAX: usize = 64;

/// After this long workers look at a seat by themselves: after every load has ended.
const CHECK_AFTER: Seconds = Seconds::new(24 * 3600);

/// How long a token lasts on the wire of a media vendor, and so the first lease.
const LEASE: Seconds = Seconds::new(90);

/// What access tokens are signed with. No secret: the server that knows it holds made-up wallets.
pub const JWT_SECRET: &str = "a secret of benches that everybody knows";

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "every load does each of these")]
pub enum Work {
    /// A heartbeat: seat, account and transfer; each time another seat.
    Beat,
    /// A guarded debit: account and transfer; each time another account.
    Debit,
    /// A guarded debit, always of the same account.
    HotDebit,
}

impl Work {
    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beat => "heartbeat",
            Self::Debit => "debit, spread",
            Self::HotDebit => "debit, one account",
        }
    }
}

/// The wallet in a seat.
///
/// # Errors
/// Never, but parsing says it may.
pub fn wallet(seat: u32) -> Result<Wallet, Failure> {
    Ok(format!("0x{:040}", NUMBER_MIN + u64::from(seat)).parse()?)
}

/// The name of the stay in a seat.
///
/// # Errors
/// Never, but parsing says it may.
pub fn connection(seat: u32) -> Result<ConnectionId, Failure> {
    Ok(format!(
        "00000000-0000-4000-8000-{:012}",
        NUMBER_MIN + u64::from(seat)
    )
    .parse()?)
}

/// The room that a seat is in.
///
/// # Errors
/// Never, but parsing says it may.
pub fn room(seat: u32) -> Result<RoomId, Failure> {
    let number = NUMBER_MIN + u64::from(seat / ROOM_SEATS);
    Ok(format!("00000000-0000-4000-9000-{number:012}").parse()?)
}

/// The account of seconds of the wallet in a seat.
///
/// # Errors
/// Never, but parsing says it may.
pub fn account(seat: u32) -> Result<AccountKey, Failure> {
    Ok(AccountKey::new(
        Owner::Wallet(wallet(seat)?),
        AccountKind::Wallet,
        Unit::Seconds,
    ))
}

/// All seats in an order that is neither that of their names nor that of their rows, as callers
/// come. The same each time.
#[must_use]
pub fn in_turn() -> Vec<u32> {
    let mut seats: Vec<u32> = (0..SEATS).collect();
    // Fisher and Yates with a small generator; any shuffle will do.
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    for last in (1..seats.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let range = u64::try_from(last).unwrap_or(0).saturating_add(1);
        let other = usize::try_from((state >> 33) % range).unwrap_or(0);
        seats.swap(last, other);
    }
    seats
}

/// When the seats of a store were taken; `None` where it holds none, or where somebody has beaten
/// since.
///
/// # Errors
/// Those of the store.
pub async fn seeded_at(store: &dyn Store) -> Result<Option<Timestamp>, Failure> {
    let last = SEATS - 1;
    let lists = store
        .read(&[Read::Row(Key::Seat(connection(last)?))])
        .await?;
    let found = lists.into_iter().flatten().next().map(|stored| stored.row);
    Ok(match found {
        Some(Row::Seat(seat)) if seat.charged == Seconds::ZERO => Some(seat.joined_at),
        _ => None,
    })
}

/// Makes every wallet, its grant, its room and its seat, by the door that every write takes.
///
/// # Errors
/// Those of the store.
pub async fn seed(store: Arc<dyn Store>, now: Timestamp) -> Result<(), Failure> {
    let mut commits = JoinSet::new();
    for first in (0..SEATS).step_by(usize::try_from(ROOM_SEATS)?) {
        if commits.len() >= SEEDING_MAX
            && let Some(done) = commits.join_next().await
        {
            done??;
        }
        let changeset = one_room(first, now)?.finish();
        let store = store.clone();
        commits.spawn(async move { store.commit(&changeset).await.map(|_| ()) });
    }
    while let Some(done) = commits.join_next().await {
        done??;
    }
    Ok(())
}

fn one_room(first: u32, now: Timestamp) -> Result<Draft, Failure> {
    let mut draft = Draft::new();
    let seats = first..SEATS.min(first + ROOM_SEATS);
    draft.insert(Room {
        id: room(first)?,
        host: wallet(first)?,
        visibility: Visibility::Open,
        ai_enabled: false,
        created_at: now,
        state: RoomState::Active,
        unjoined_until: None,
        live_seats: u8::try_from(seats.len())?,
        last_event: EventNumber::NONE,
    });
    for (slot, number) in (0u8..).zip(seats) {
        let seat = seat(number, slot, now)?;
        draft.transfer(grant(number, now)?);
        draft.journal(
            now,
            Fact::Joined {
                connection: seat.connection,
                room: seat.room,
                wallet: seat.wallet,
                slot,
                uid: seat.uid,
            },
        );
        draft.insert(seat);
    }
    Ok(draft)
}

fn seat(number: u32, slot: u8, now: Timestamp) -> Result<Seat, Failure> {
    Ok(Seat {
        connection: connection(number)?,
        room: room(number)?,
        wallet: wallet(number)?,
        slot,
        uid: MediaUid::new(u32::from(slot) + 1).ok_or("a uid is positive")?,
        joined_at: now,
        last_seen_at: now,
        metered_to: now,
        charged: Seconds::ZERO,
        lease_until: now.after(LEASE),
        low_raised: false,
        exhausted_at: None,
        undelivered: Vec::new(),
        check_at: now.after(CHECK_AFTER),
        state: SeatState::Live,
    })
}

fn grant(number: u32, now: Timestamp) -> Result<Transfer, Failure> {
    let wallet = wallet(number)?;
    Ok(Transfer {
        id: TransferId::derive("bench grant", &[&wallet.to_bytes()]),
        debit: AccountKey::new(Owner::Wallet(wallet), AccountKind::GrantBase, Unit::Seconds),
        credit: account(number)?,
        amount: CREDITS,
        action: Action::Posted,
        reason: Reason::GrantBase,
        reference: Reference::None,
        at: now,
    })
}

/// The bytes of each seat's heartbeat over HTTP, made beforehand: the driver shares the processors
/// with what it measures.
///
/// # Errors
/// Never, but parsing says it may.
pub fn heartbeats(now: Timestamp) -> Result<Vec<Box<[u8]>>, Failure> {
    let keys = JwtKeys::new(Secret::new(JWT_SECRET.as_bytes()), Vec::new())?;
    let request = |number| {
        let token = keys.sign(&AccessClaims::issued_to(wallet(number)?, now));
        let (room, stay) = (room(number)?, connection(number)?);
        let body = format!(r#"{{"room_id":"{room}","connection_id":"{stay}"}}"#);
        let head = format!(
            "POST /rooms/heartbeat HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
            content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Ok([head.as_bytes(), body.as_bytes()]
            .concat()
            .into_boxed_slice())
    };
    (0..SEATS).map(request).collect()
}
