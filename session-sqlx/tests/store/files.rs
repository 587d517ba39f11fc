//! Files: opened twice, locked by somebody else, missing, or something else altogether.

use std::time::Duration;

use session_core::changeset::{Key, Lane};
use session_core::outage::Service;
use session_core::ports::{Claim, CommitError, Read, Store, StoreErrorKind};
use session_core::types::Seconds;
use session_sqlx::{OpenError, SqliteOptions, SqliteStore};
use sqlx::Connection;

use crate::common::{File, at, fresh, inserting, read_row, room, room_id, stored};

fn kind_of(error: CommitError) -> StoreErrorKind {
    match error {
        CommitError::Store(error) => error.kind,
        CommitError::Rejected(why) => panic!("rejected: {why}"),
    }
}

#[tokio::test]
async fn a_locked_file_is_unavailable_and_then_works_again() {
    let file = File::new();
    let mut options = SqliteOptions::default();
    options.busy_timeout = Duration::from_millis(20);
    let store = file.open(options).await;
    let changeset = inserting([room(1)]);
    let claim = Claim {
        lane: Lane::Rooms,
        now: at(9999),
        lease: Seconds::new(1),
        rows_max: 1,
    };

    let mut other = file.by_hand().await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..3 {
        let error = store.commit(&changeset).await.unwrap_err();
        assert_eq!(kind_of(error), StoreErrorKind::Unavailable);
        let error = store.claim_due(&claim).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unavailable);
    }
    // Readers do not wait for the writer.
    assert_eq!(read_row(&store, &Key::Room(room_id(1))).await, None);
    store.ping().await.unwrap();

    lock.rollback().await.unwrap();
    store.commit(&changeset).await.unwrap();
    assert_eq!(
        read_row(&store, &Key::Room(room_id(1))).await,
        Some(stored(1, room(1)))
    );
}

#[tokio::test]
async fn what_was_committed_is_there_after_closing_and_opening() {
    let opened = fresh().await;
    opened.store.commit(&inserting([room(1)])).await.unwrap();
    opened.store.close().await;
    let after = opened
        .store
        .commit(&inserting([room(2)]))
        .await
        .unwrap_err();
    assert_eq!(kind_of(after), StoreErrorKind::Unavailable);
    let after = opened.store.ping().await.unwrap_err();
    assert_eq!(after.kind, StoreErrorKind::Unavailable);

    let again = opened.file.open(SqliteOptions::default()).await;
    assert_eq!(
        read_row(&again, &Key::Room(room_id(1))).await,
        Some(stored(1, room(1)))
    );
}

#[tokio::test]
async fn a_migration_is_applied_once() {
    let opened = fresh().await;
    opened.store.commit(&inserting([room(1)])).await.unwrap();
    opened.store.migrate().await.unwrap();
    opened.store.close().await;
    let again = opened.file.open(SqliteOptions::default()).await;
    again.migrate().await.unwrap();

    let mut hand = opened.file.by_hand().await;
    let twice: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT version FROM session_migrations GROUP BY version \
        HAVING count(*) > 1)",
    )
    .fetch_one(&mut hand)
    .await
    .unwrap();
    assert_eq!(twice, 0);
    let rooms: i64 = sqlx::query_scalar("SELECT count(*) FROM room")
        .fetch_one(&mut hand)
        .await
        .unwrap();
    assert_eq!(rooms, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_once_on_a_new_file_all_come_up() {
    for _ in 0..20 {
        let file = File::new();
        let starting: Vec<_> = (0..6)
            .map(|_| {
                let url = file.url();
                tokio::spawn(async move {
                    let store = SqliteStore::open(&url, SqliteOptions::default()).await?;
                    store.migrate().await?;
                    Ok::<_, OpenError>(store)
                })
            })
            .collect();
        for started in starting {
            started.await.unwrap().unwrap().ping().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error() {
    let file = File::new();
    std::fs::write(
        file.path(),
        "not a database, but long enough to be looked at".repeat(100),
    )
    .unwrap();
    let error = SqliteStore::open(&file.url(), SqliteOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, OpenError::File(_)), "{error:?}");
}

#[tokio::test]
async fn what_is_not_an_address_of_a_file_is_an_error() {
    let options = SqliteOptions::default();
    for url in [
        "",
        "nonsense",
        "sqlite:x",
        "postgres://localhost/x",
        "sqlite://",
        "sqlite://x?mode=odd",
    ] {
        let error = SqliteStore::open(url, options).await.unwrap_err();
        assert!(matches!(error, OpenError::Url { .. }), "{url}: {error:?}");
    }
    let error = SqliteStore::open("sqlite://:memory:", options)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, OpenError::NoWriteAheadLog(mode) if mode == "memory"),
        "{error:?}"
    );
    let nowhere = File::new();
    let url = nowhere.url().replace("session.db", "missing/session.db");
    let error = SqliteStore::open(&url, options).await.unwrap_err();
    assert!(matches!(error, OpenError::File(_)), "{error:?}");
}

#[tokio::test]
async fn a_file_of_a_later_version_is_left_alone() {
    let opened = fresh().await;
    let mut hand = opened.file.by_hand().await;
    sqlx::query(
        "INSERT INTO session_migrations (version, description, success, checksum, \
        execution_time) VALUES (9999, 'later', TRUE, x'00', 0)",
    )
    .execute(&mut hand)
    .await
    .unwrap();
    let error = opened.store.migrate().await.unwrap_err();
    assert!(matches!(error, OpenError::Migration(_)), "{error:?}");
}

#[tokio::test]
async fn without_a_schema_the_store_is_unavailable() {
    let file = File::new();
    let store = SqliteStore::open(&file.url(), SqliteOptions::default())
        .await
        .unwrap();
    assert_eq!(
        store.ping().await.unwrap_err().kind,
        StoreErrorKind::Unavailable
    );
    let error = store.commit(&inserting([room(1)])).await.unwrap_err();
    assert_eq!(kind_of(error), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_file_that_was_taken_away_or_replaced_is_unavailable_until_it_is_back() {
    let opened = fresh().await;
    opened.store.commit(&inserting([room(1)])).await.unwrap();
    let path = opened.file.path();
    let aside = path.with_extension("aside");
    let read = [Read::Row(Key::Service(()))];
    for replaced in [false, true] {
        std::fs::rename(&path, &aside).unwrap();
        if replaced {
            std::fs::write(&path, "").unwrap();
        }
        let error = opened.store.commit(&inserting([room(2)])).await;
        assert_eq!(kind_of(error.unwrap_err()), StoreErrorKind::Unavailable);
        let error = opened.store.read(&read).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unavailable);
        let error = opened.store.ping().await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unavailable);
        std::fs::rename(&aside, &path).unwrap();
        opened.store.ping().await.unwrap();
    }
    opened.store.commit(&inserting([room(2)])).await.unwrap();
}

#[tokio::test]
async fn a_column_that_holds_nonsense_is_corrupt_and_its_value_is_not_told() {
    let opened = fresh().await;
    let service = Service {
        last_beat_at: at(1),
        outages: Vec::new(),
    };
    opened.store.commit(&inserting([service])).await.unwrap();
    let mut hand = opened.file.by_hand().await;
    sqlx::query("UPDATE service SET outages = '{\"canary\": 1}'")
        .execute(&mut hand)
        .await
        .unwrap();
    let error = opened
        .store
        .read(&[Read::Row(Key::Service(()))])
        .await
        .unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Corrupt);
    assert!(error.detail.contains("outages"), "{error}");
    assert!(!error.detail.contains("canary"), "{error}");
}
