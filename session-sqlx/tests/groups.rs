//! Commits that come at once are written together, and each gets a verdict of its own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by a panic"
)]

mod support;

use std::sync::Arc;

use session_core::changeset::{Changeset, Draft, Expect, Key, Version, Write};
use session_core::ledger::{
    Account, AccountKey, AccountKind, Action, Guard, Owner, Reason, Reference, Transfer,
};
use session_core::media::MediaUid;
use session_core::ports::{CommitError, Read, Store, StoreErrorKind};
use session_core::room::{EventNumber, Room, RoomState, Seat, SeatState, Visibility};
use session_core::types::{
    ConnectionId, Id128, RoomId, Seconds, Timestamp, TransferId, Unit, Wallet,
};
use sqlx::{Connection, Executor};

use support::{Level, On, Place};

const EVERYWHERE: [On; 4] = [
    On::Sqlite,
    On::Postgres(Level::ReadCommitted),
    On::Postgres(Level::Serializable),
    On::Pooler,
];

/// More than are served alone, so that most of them are in some group.
const AT_ONCE: u8 = 60;

/// The one that the database refuses although the core lets it through.
const POISONED: u8 = 33;

fn room_id(n: u8) -> RoomId {
    RoomId::from_bytes([n; 16])
}

fn creating(n: u8) -> Changeset {
    let mut draft = Draft::new();
    draft.insert(Room {
        id: room_id(n),
        host: Wallet::from_bytes([n; 20]),
        visibility: Visibility::Open,
        ai_enabled: false,
        created_at: Timestamp::from_unix(1000),
        state: RoomState::Active,
        unjoined_until: None,
        live_seats: 0,
        last_event: EventNumber::NONE,
    });
    draft.finish()
}

/// Makes the database refuse one room.
async fn poison(place: &Place) {
    let id = room_id(POISONED);
    match place {
        Place::File(folder) => {
            let path = folder.path().join("session.db");
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
            let mut hand = sqlx::SqliteConnection::connect_with(&options)
                .await
                .unwrap();
            let trigger = format!(
                "CREATE TRIGGER poison BEFORE INSERT ON room WHEN new.id = '{id}' \
                BEGIN SELECT RAISE(ABORT, 'poisoned'); END"
            );
            hand.execute(sqlx::AssertSqlSafe(trigger)).await.unwrap();
        }
        Place::Database(database) => {
            let mut hand = database.by_hand().await;
            let check = format!("ALTER TABLE room ADD CHECK (id <> '{id}')");
            hand.execute(sqlx::AssertSqlSafe(check)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_poisoned_one_fails_none_of_its_neighbours() {
    for on in EVERYWHERE {
        let Some(place) = Place::new(on).await else {
            return;
        };
        let store = place.open().await;
        poison(&place).await;
        let commits = (1..=AT_ONCE).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { (n, store.commit(&creating(n)).await) })
        });
        for commit in commits.collect::<Vec<_>>() {
            let (n, answer) = commit.await.unwrap();
            match answer {
                Ok(_) => assert_ne!(n, POISONED, "{on:?}"),
                Err(CommitError::Store(error)) => {
                    assert_eq!(
                        (n, error.kind),
                        (POISONED, StoreErrorKind::Corrupt),
                        "{on:?}"
                    );
                }
                Err(error) => panic!("{on:?}: {n}: {error}"),
            }
        }
        for n in 1..=AT_ONCE {
            let found = store
                .read(&[Read::Row(Key::Room(room_id(n)))])
                .await
                .unwrap();
            assert_eq!(found[0].is_empty(), n == POISONED, "{on:?}: {n}");
        }
        drop(store);
        place.remove().await;
    }
}

fn account(wallet: u8) -> AccountKey {
    let owner = Owner::Wallet(Wallet::from_bytes([wallet; 20]));
    AccountKey::new(owner, AccountKind::Wallet, Unit::Seconds)
}

fn moving(id: u32, debit: AccountKey, credit: AccountKey, amount: u64, guard: Guard) -> Changeset {
    let mut draft = Draft::new();
    let transfer = Transfer {
        id: TransferId::derive("test", &[&id.to_be_bytes()]),
        debit,
        credit,
        amount,
        action: Action::Posted,
        reason: Reason::AdminAdjust,
        reference: Reference::None,
        at: Timestamp::from_unix(1000),
    };
    draft.guarded_transfer(transfer, guard);
    draft.finish()
}

async fn balance(store: &dyn Store, key: AccountKey) -> i128 {
    let found = store.read(&[Read::Row(Key::Account(key))]).await.unwrap();
    match found[0].first().map(|stored| &stored.row) {
        Some(session_core::changeset::Row::Account(account)) => account.balance(),
        _ => Account::empty(key).balance(),
    }
}

/// Everybody debits one account, two servers do, each with guards: exactly as much moves as there
/// is, and each hears what it got.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_account_is_debited_to_nothing_and_never_below() {
    let outside = AccountKey::new(Owner::House, AccountKind::GrantBase, Unit::Seconds);
    let revenue = AccountKey::new(Owner::House, AccountKind::Revenue, Unit::Seconds);
    for on in EVERYWHERE {
        let Some(place) = Place::new(on).await else {
            return;
        };
        let stores = [place.open().await, place.open().await];
        let hot = account(1);
        let grant = moving(0, outside, hot, 1000, Guard::AtLeast(0));
        let mut granted = grant.clone();
        granted.transfers[0].guard = None;
        stores[0].commit(&granted).await.unwrap();
        let debits = (1..=200_u32).map(|id| {
            let store: Arc<dyn Store> = stores[(id % 2) as usize].clone();
            let guard = if id % 3 == 0 {
                Guard::AtLeast(9)
            } else {
                Guard::UpTo
            };
            tokio::spawn(async move {
                let changeset = moving(id, hot, revenue, 9, guard);
                match store.commit(&changeset).await {
                    Ok(receipt) => receipt.moved.values().sum::<u64>(),
                    Err(CommitError::Rejected(rejection)) if rejection.is_conflict() => 0,
                    Err(error) => panic!("{error}"),
                }
            })
        });
        let mut heard = Vec::new();
        for debit in debits.collect::<Vec<_>>() {
            heard.push(debit.await.unwrap());
        }
        assert_eq!(heard.iter().sum::<u64>(), 1000, "{on:?}");
        assert_eq!(balance(&*stores[1], hot).await, 0, "{on:?}");
        // Every repeat hears what it heard before.
        for id in (1..=200_u32).filter(|id| id % 3 != 0) {
            let repeat = moving(id, hot, revenue, 9, Guard::UpTo);
            let receipt = stores[1].commit(&repeat).await.unwrap();
            let first = heard[id as usize - 1];
            assert_eq!(receipt.moved.values().sum::<u64>(), first, "{on:?}");
        }
        drop(stores);
        place.remove().await;
    }
}

/// One server has seen the account empty, another fills it. What a guard let nothing through of
/// when it was seen must be decided anew.
#[tokio::test]
async fn nothing_is_taken_from_an_account_as_it_was_seen() {
    let outside = AccountKey::new(Owner::House, AccountKind::GrantBase, Unit::Seconds);
    let revenue = AccountKey::new(Owner::House, AccountKind::Revenue, Unit::Seconds);
    for on in EVERYWHERE {
        let Some(place) = Place::new(on).await else {
            return;
        };
        let stores = [place.open().await, place.open().await];
        let wallet = account(1);
        let mut setting = creating(1);
        setting
            .expect
            .push(Expect::Absent(Key::Seat(seat().connection)));
        setting.rows.push(Write::Insert(seat().into()));
        let mut credit = moving(1, outside, wallet, 5, Guard::UpTo);
        credit.transfers[0].guard = None;
        let debit = moving(2, wallet, revenue, 5, Guard::UpTo);
        for changeset in [&setting, &credit, &debit] {
            stores[0].commit(changeset).await.unwrap();
        }
        // This server sees a seat, and an account with nothing in it.
        let reads = [
            Read::Row(Key::Seat(seat().connection)),
            Read::Row(Key::Account(wallet)),
        ];
        stores[0].read(&reads).await.unwrap();
        let mut more = moving(3, outside, wallet, 300, Guard::UpTo);
        more.transfers[0].guard = None;
        stores[1].commit(&more).await.unwrap();

        let mut beat = moving(4, wallet, revenue, 9, Guard::UpTo);
        let later = Timestamp::from_unix(1009);
        let metered = Seat {
            last_seen_at: later,
            metered_to: later,
            charged: Seconds::new(9),
            ..seat()
        };
        let version = Version::FIRST;
        beat.expect
            .push(Expect::At(Key::Seat(seat().connection), version));
        beat.rows.push(Write::Update(metered.into()));
        let receipt = stores[0].commit(&beat).await.unwrap();
        assert_eq!(receipt.moved.values().sum::<u64>(), 9, "{on:?}");
        assert_eq!(balance(&*stores[1], wallet).await, 291, "{on:?}");
        drop(stores);
        place.remove().await;
    }
}

fn seat() -> Seat {
    let joined_at = Timestamp::from_unix(1000);
    Seat {
        connection: ConnectionId::from_bytes([7; 16]),
        room: room_id(1),
        wallet: Wallet::from_bytes([1; 20]),
        slot: 0,
        uid: MediaUid::new(1).unwrap(),
        joined_at,
        last_seen_at: joined_at,
        metered_to: joined_at,
        charged: Seconds::ZERO,
        lease_until: joined_at,
        low_raised: false,
        exhausted_at: None,
        undelivered: Vec::new(),
        check_at: Timestamp::from_unix(90_000),
        state: SeatState::Live,
    }
}
