//! A host's writes and ours in one transaction of the host.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by a panic"
)]

mod support;

use std::sync::Arc;

use session_core::ports::{Read, Store};
use session_core::room::{CreateRoom, JoinRoom, RoomRefusal, Visibility};
use session_core::service::execute;
use session_core::types::{RoomId, Seconds};
use session_sqlx::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, Within};
use session_testkit::bench::Bench;
use sqlx::{Executor, PgPool, SqlitePool};

use support::{Database, Level};

/// A room of wallet 1, whose two guests have credit.
async fn room(bench: &Bench) -> RoomId {
    for n in 1..=3 {
        let credit = Seconds::new(1800);
        bench.endow(Bench::wallet(n), credit).await.unwrap();
    }
    let create = CreateRoom {
        wallet: Bench::wallet(1),
        visibility: Visibility::Open,
        ai_enabled: false,
    };
    execute(&bench.ports, &create).await.unwrap().unwrap().room
}

fn joining(n: u32, room: RoomId) -> JoinRoom {
    JoinRoom {
        wallet: Bench::wallet(n),
        room: Some(room),
    }
}

async fn seated(store: &dyn Store, room: RoomId) -> usize {
    store.read(&[Read::LiveSeatsIn(room)]).await.unwrap()[0].len()
}

const TICKETS: &str = "CREATE TABLE ticket (id INTEGER NOT NULL)";
const SELL: &str = "INSERT INTO ticket VALUES (1)";
const SOLD: &str = "SELECT count(*) FROM ticket";

macro_rules! both_or_neither {
    ($bench:expr, $store:expr, $pool:expr, $begin:expr, $within:expr) => {
        let (bench, store, pool) = ($bench, $store, $pool);
        let room = room(&bench).await;
        pool.execute(TICKETS).await.unwrap();
        let sold = async || {
            sqlx::query_scalar::<_, i64>(SOLD)
                .fetch_one(&pool)
                .await
                .unwrap()
        };

        // Both, when the host commits; neither is seen before.
        let mut transaction = pool.begin_with($begin).await.unwrap();
        transaction.execute(SELL).await.unwrap();
        let within = $within(Within::new(transaction)).await;
        let kept = within.clone();
        let ports = within.ports(&bench.ports);
        execute(&ports, &joining(2, room)).await.unwrap().unwrap();
        assert_eq!(seated(&kept, room).await, 1);
        assert_eq!(seated(&store, room).await, 0);
        let (mut transaction, wake) = within.finish().await.unwrap();
        // A refusal leaves what the host has written; the host goes on in its own transaction.
        transaction.execute(SELL).await.unwrap();
        transaction.commit().await.unwrap();
        let mut lanes = Vec::new();
        wake.fire(|lane| lanes.push(lane.name()));
        assert_eq!(lanes, ["expire", "seats"]);
        assert_eq!((sold().await, seated(&store, room).await), (2, 1));
        // Whoever kept the store finds it closed.
        assert!(kept.read(&[Read::LiveSeatsIn(room)]).await.is_err());

        // Neither, when it does not.
        let mut transaction = pool.begin_with($begin).await.unwrap();
        transaction.execute(SELL).await.unwrap();
        let within = $within(Within::new(transaction)).await;
        let ports = within.ports(&bench.ports);
        execute(&ports, &joining(3, room)).await.unwrap().unwrap();
        let again = execute(&ports, &joining(3, room)).await.unwrap();
        assert_eq!(again.unwrap_err(), RoomRefusal::AlreadyInRoom);
        let (transaction, _) = within.finish().await.unwrap();
        transaction.rollback().await.unwrap();
        assert_eq!((sold().await, seated(&store, room).await), (2, 1));

        // Dropped without a word, it is undone as well.
        let within = $within(Within::new(pool.begin_with($begin).await.unwrap())).await;
        let ports = within.ports(&bench.ports);
        execute(&ports, &joining(3, room)).await.unwrap().unwrap();
        drop((ports, within));
        assert_eq!(seated(&store, room).await, 1);
    };
}

#[tokio::test]
async fn both_or_neither_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("host.db").display());
    let store = SqliteStore::open(&url, SqliteOptions::default())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let pool = SqlitePool::connect(&url).await.unwrap();
    let bench = Bench::new(Arc::new(store.clone()), 1);
    let as_is = async |within: Within<sqlx::Sqlite>| within;
    both_or_neither!(bench, store, pool, "BEGIN IMMEDIATE", as_is);
}

#[tokio::test]
async fn both_or_neither_on_postgres_with_our_tables_in_a_schema_of_their_own() {
    let Some(database) = Database::new(Level::ReadCommitted, false).await else {
        return;
    };
    let mut hand = database.by_hand().await;
    hand.execute("CREATE SCHEMA live").await.unwrap();
    let mut options = PostgresOptions::default();
    options.schema = Some("live".to_owned());
    let store = PostgresStore::open(&database.url(), options).await.unwrap();
    store.migrate().await.unwrap();
    // The host has tables of the same names.
    hand.execute("CREATE TABLE room (id bigint)").await.unwrap();
    let pool = PgPool::connect(&database.url()).await.unwrap();
    let bench = Bench::new(Arc::new(store.clone()), 1);
    let in_schema = async |within: Within<sqlx::Postgres>| within.in_schema("live").await;
    both_or_neither!(bench, store.clone(), pool.clone(), "BEGIN", in_schema);
    pool.close().await;
    store.close().await;
    database.remove().await;
}

/// Two hosts that sell the last seat at once, each in a transaction of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_at_once_seat_a_wallet_once() {
    let Some(database) = Database::new(Level::ReadCommitted, false).await else {
        return;
    };
    let store = database.open().await;
    let bench = Bench::new(Arc::new(store.clone()), 1);
    let room = room(&bench).await;
    let pool = PgPool::connect(&database.url()).await.unwrap();
    pool.execute(TICKETS).await.unwrap();
    let hosts = (0..8).map(|_| {
        let (pool, ports) = (pool.clone(), bench.ports.clone());
        tokio::spawn(async move {
            let mut transaction = pool.begin().await.unwrap();
            transaction.execute(SELL).await.unwrap();
            let within = Within::new(transaction);
            let joined = execute(&within.ports(&ports), &joining(2, room)).await;
            let (transaction, _) = within.finish().await.unwrap();
            match joined {
                Ok(Ok(_)) => transaction.commit().await.is_ok(),
                // A refusal; or the database has ended the transaction.
                Ok(Err(_)) | Err(_) => false,
            }
        })
    });
    let mut sold: i64 = 0;
    for host in hosts.collect::<Vec<_>>() {
        sold += i64::from(host.await.unwrap());
    }
    assert_eq!(sold, 1);
    let tickets: i64 = sqlx::query_scalar(SOLD).fetch_one(&pool).await.unwrap();
    assert_eq!((tickets, seated(&store, room).await), (1, 1));
    pool.close().await;
    drop(bench);
    store.close().await;
    database.remove().await;
}
