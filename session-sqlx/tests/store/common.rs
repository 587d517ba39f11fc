//! A store in a directory that goes away with the test.

use std::path::PathBuf;

use session_core::auth::{Revocation, Revoked};
use session_core::booking::{Agreement, Attendance, BookedSession, Host, Settlement};
use session_core::changeset::{Changeset, Draft, Key, Loaded, Record, Row, Version, World};
use session_core::escrow::{BookingKey, BookingStatus, EscrowId, Slot, SlotStatus, Terms};
use session_core::ledger::Order;
use session_core::media::MediaUid;
use session_core::ports::{Read, Store, StoredRow};
use session_core::room::{
    Closing, EventNumber, Happening, Room, RoomEvent, RoomEventKey, RoomState, Seat, SeatState,
    Visibility,
};
use session_core::types::{
    BookingId, ConnectionId, RoomId, Seconds, SlotId, Timestamp, TokenAmount, U256, Wallet,
};
use session_sqlx::{SqliteOptions, SqliteStore};
use session_testkit::bench::Bench;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

/// A file, and a store in it.
pub(crate) struct Opened {
    pub(crate) store: SqliteStore,
    pub(crate) file: File,
}

/// A file in a directory of its own.
pub(crate) struct File(tempfile::TempDir);

impl File {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("session.db")
    }

    pub(crate) fn url(&self) -> String {
        ["sqlite://", self.path().to_str().unwrap()].concat()
    }

    pub(crate) async fn open(&self, options: SqliteOptions) -> SqliteStore {
        let store = SqliteStore::open(&self.url(), options).await.unwrap();
        store.migrate().await.unwrap();
        store
    }

    /// A connection past the store, to what an operator could do by hand.
    pub(crate) async fn by_hand(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(self.path())
            .connect()
            .await
            .unwrap()
    }
}

pub(crate) async fn fresh() -> Opened {
    let file = File::new();
    let store = file.open(SqliteOptions::default()).await;
    Opened { store, file }
}

pub(crate) fn at(unix: u64) -> Timestamp {
    Timestamp::from_unix(unix)
}

pub(crate) fn wallet(n: u32) -> Wallet {
    Bench::wallet(n)
}

pub(crate) fn room_id(n: u8) -> RoomId {
    RoomId::from_random([n; 16])
}

pub(crate) fn connection_id(n: u8) -> ConnectionId {
    ConnectionId::from_random([n; 16])
}

pub(crate) fn room(n: u8) -> Room {
    Room {
        last_event: EventNumber::NONE,
        id: room_id(n),
        host: wallet(n.into()),
        visibility: Visibility::Open,
        ai_enabled: false,
        created_at: at(1000 + u64::from(n)),
        state: RoomState::Active,
        unjoined_until: None,
        live_seats: 1,
    }
}

/// A live seat in room 1.
pub(crate) fn seat(n: u8) -> Seat {
    Seat {
        connection: connection_id(n),
        room: room_id(1),
        wallet: wallet(n.into()),
        slot: n,
        uid: MediaUid::new(u32::from(n) + 1).unwrap(),
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

/// The first event of a room.
pub(crate) fn event(n: u8) -> RoomEvent {
    RoomEvent {
        key: RoomEventKey {
            room: room_id(n),
            number: EventNumber::new(1),
        },
        at: at(1000),
        what: Happening::Closed {
            why: Closing::Emptied,
        },
        forget_at: at(5000),
    }
}

/// A token that was revoked.
pub(crate) fn revocation(n: u8) -> Revocation {
    Revocation {
        id: Revoked::Token.id(&n.to_string()),
        what: Revoked::Token,
        at: at(1000),
        forget_at: at(5000),
    }
}

/// A session between two wallets that nobody has come to, due in no queue.
pub(crate) fn booked(n: u8) -> BookedSession {
    let slot = Slot {
        host: wallet(n.into()),
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
    let escrow = EscrowId {
        chain_id: 42431,
        address: Wallet::from_bytes([0xe5; 20]),
    };
    BookedSession {
        key: BookingKey {
            escrow,
            booking: BookingId::new(U256::from(n)),
        },
        agreement: Agreement {
            slot_id: SlotId::new(U256::from(n)),
            slot,
            guest: wallet(u32::from(n) + 1),
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

/// What a wallet says of itself.
pub(crate) fn host(n: u8) -> Host {
    Host {
        wallet: wallet(n.into()),
        accepting_bookings: true,
        changed_at: at(1000),
    }
}

/// A changeset that inserts rows.
pub(crate) fn inserting<T: Record>(rows: impl IntoIterator<Item = T>) -> Changeset {
    let mut draft = Draft::new();
    for row in rows {
        draft.insert(row);
    }
    draft.finish()
}

/// A row as a decision finds it.
pub(crate) async fn load<T: Record>(store: &dyn Store, key: Key) -> Loaded<T> {
    match read_row(store, &key).await {
        Some(StoredRow { version, row }) => {
            Loaded::present(key, version, T::from_row(row).unwrap())
        }
        None => Loaded::absent(key),
    }
}

pub(crate) async fn read_row(store: &dyn Store, key: &Key) -> Option<StoredRow> {
    read_list(store, Read::Row(key.clone()))
        .await
        .into_iter()
        .next()
}

pub(crate) async fn read_list(store: &dyn Store, read: Read) -> Vec<StoredRow> {
    let lists = store.read(&[read]).await.unwrap();
    let [list] = <[_; 1]>::try_from(lists).unwrap();
    list
}

pub(crate) fn stored(version: u64, row: impl Into<Row>) -> StoredRow {
    StoredRow {
        version: Version::new(version),
        row: row.into(),
    }
}

/// Numbers that only look random: the same seed gives the same ones.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 to one less than `sides`, by splitmix64.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(crate) fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    pub(crate) fn small(&mut self, sides: u8) -> u8 {
        u8::try_from(self.roll(sides.into())).unwrap()
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.roll(from.len().max(1) as u64);
        from.get(usize::try_from(index).unwrap())
    }
}

/// Checks that a file holds what the reference store holds, and nothing else.
pub(crate) async fn assert_same_world(world: &World, opened: &Opened) {
    let Opened { store, file } = opened;
    let mut hand = file.by_hand().await;
    let reads: Vec<Read> = world
        .rows()
        .map(|(key, ..)| Read::Row(key.clone()))
        .collect();
    let found = store.read(&reads).await.unwrap();
    for ((key, version, row), found) in world.rows().zip(found) {
        let expected = StoredRow {
            version,
            row: row.clone(),
        };
        assert_eq!(found, [expected], "{key}");
    }
    let rows: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM account) + (SELECT count(*) FROM challenge) \
        + (SELECT count(*) FROM idempotency) + (SELECT count(*) FROM intent) \
        + (SELECT count(*) FROM revocation) + (SELECT count(*) FROM room) \
        + (SELECT count(*) FROM room_event) + (SELECT count(*) FROM seat) \
        + (SELECT count(*) FROM service) + (SELECT count(*) FROM block) \
        + (SELECT count(*) FROM chain) + (SELECT count(*) FROM journal) \
        + (SELECT count(*) FROM booked_session) + (SELECT count(*) FROM host)",
    )
    .fetch_one(&mut hand)
    .await
    .unwrap();
    assert_eq!(usize::try_from(rows).unwrap(), reads.len());
    assert_same_queues(world, &mut hand).await;
    assert_same_journal(world, &mut hand).await;
    assert_same_transfers(world, store, &mut hand).await;
    let broken: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_all(&mut hand)
        .await
        .unwrap();
    assert_eq!(broken, ["ok"]);
}

async fn assert_same_queues(world: &World, hand: &mut SqliteConnection) {
    type Place = (String, String, i64, i64, Option<i64>);
    let found: Vec<Place> = sqlx::query_as(
        "SELECT row_key, lane, due_at, fence, leased_until FROM work ORDER BY row_key",
    )
    .fetch_all(hand)
    .await
    .unwrap();
    let mut expected: Vec<Place> = world
        .rows()
        .filter_map(|(key, ..)| Some((key, world.work(key)?)))
        .map(|(key, work)| {
            let lane = work.due.lane.name().to_owned();
            let until = work.leased_until.map(|until| signed(until.unix()));
            let due_at = signed(work.due.at.unix());
            (
                key.to_string(),
                lane,
                due_at,
                signed(work.fence.get()),
                until,
            )
        })
        .collect();
    expected.sort();
    assert_eq!(found, expected);
}

async fn assert_same_journal(world: &World, hand: &mut SqliteConnection) {
    let found: Vec<(String, i64, String, String)> =
        sqlx::query_as("SELECT id, decided_at, kind, fact FROM journal ORDER BY id")
            .fetch_all(&mut *hand)
            .await
            .unwrap();
    let unsealed: Vec<String> =
        sqlx::query_scalar("SELECT entry FROM unsealed ORDER BY decided_at, entry")
            .fetch_all(&mut *hand)
            .await
            .unwrap();
    let in_no_block = world.unsealed().into_iter().map(|entry| entry.to_string());
    assert_eq!(unsealed, in_no_block.collect::<Vec<_>>());
    let expected: Vec<_> = world
        .journal()
        .map(|entry| {
            let fact = serde_json::to_string(&entry.fact).unwrap();
            let kind = entry.fact.name().to_owned();
            (entry.id.to_string(), signed(entry.at.unix()), kind, fact)
        })
        .collect();
    assert_eq!(found, expected);
}

async fn assert_same_transfers(world: &World, store: &SqliteStore, hand: &mut SqliteConnection) {
    let found: Vec<(String, i64, i64)> =
        sqlx::query_as("SELECT id, amount, decided_at FROM transfer ORDER BY id")
            .fetch_all(hand)
            .await
            .unwrap();
    let expected: Vec<_> = world
        .transfers()
        .map(|t| (t.id.to_string(), signed(t.amount), signed(t.at.unix())))
        .collect();
    assert_eq!(found, expected);
    // A repeat under the same identifier is accepted only where all else is the same too.
    let transfers = world.transfers().map(|transfer| Order {
        transfer: *transfer,
        guard: None,
    });
    let repeat = Changeset {
        transfers: transfers.collect(),
        ..Changeset::default()
    };
    let receipt = store.commit(&repeat).await.unwrap();
    let moved = world
        .transfers()
        .map(|transfer| (transfer.id, transfer.amount))
        .collect();
    assert_eq!(receipt.moved, moved);
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap()
}
