use session_core::changeset::Draft;
use session_core::outage::Service;
use session_core::types::Timestamp;

use super::*;
use crate::rows::{
    Kind, account, booked_session, challenge, entry, revocation, room, room_event, seat,
};
use crate::session::Session;
use crate::statement::Statement;
use crate::{journal, ledger, work};

async fn fresh() -> (tempfile::TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session.db");
    let url = [URL_PREFIX, path.to_str().unwrap()].concat();
    let store = SqliteStore::open(&url, SqliteOptions::default())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    (directory, store)
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_itself_keeps_nobody_waiting() {
    let (_directory, store) = fresh().await;
    let connection = try_open_writer(&store.0.file.path, &store.0.options)
        .unwrap()
        .0;
    let mut session = FileSession(connection);
    session.begin().await.unwrap();
    // What SQLite does by itself when the disk is full.
    session.0.execute_batch("ROLLBACK").unwrap();
    session.rollback().await;
    session.begin().await.unwrap();
    // And one that was left open, as where a commit failed.
    session.begin().await.unwrap();
    session.rollback().await;
    let mut draft = Draft::new();
    draft.insert(Service {
        last_beat_at: Timestamp::EPOCH,
        outages: Vec::new(),
    });
    store.commit(&draft.finish()).await.unwrap();
}

#[tokio::test]
async fn every_connection_is_durable_and_checks_foreign_keys() {
    let (_directory, store) = fresh().await;
    let (path, options) = (&store.0.file.path, &store.0.options);
    let (writer, mode) = try_open_writer(path, options).unwrap();
    assert_eq!(mode, "wal");
    let ask = |connection: &Connection, pragma: &str| -> String {
        let value = connection.query_row(pragma, [], |row| row.get(0));
        value.unwrap()
    };
    for (pragma, expected) in [
        ("SELECT journal_mode FROM pragma_journal_mode", "wal"),
        (
            "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous",
            "2",
        ),
        (
            "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys",
            "1",
        ),
        (
            "SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout",
            "2000",
        ),
    ] {
        assert_eq!(ask(&writer, pragma), expected, "{pragma}");
    }
    let reader = open_reader(path, options).unwrap();
    assert_eq!(
        ask(&reader, "SELECT journal_mode FROM pragma_journal_mode"),
        "wal"
    );
    let refused = reader.execute("DELETE FROM work", []).unwrap_err();
    assert!(refused.to_string().contains("readonly"), "{refused}");
}

#[tokio::test]
async fn every_statement_finds_its_rows_by_an_index() {
    let (_directory, store) = fresh().await;
    let connection = open_reader(&store.0.file.path, &store.0.options).unwrap();
    let kinds = [
        Kind::Account,
        Kind::Block,
        Kind::BookedSession,
        Kind::Chain,
        Kind::Challenge,
        Kind::Entry,
        Kind::Host,
        Kind::Idempotency,
        Kind::Intent,
        Kind::Revocation,
        Kind::Room,
        Kind::RoomEvent,
        Kind::Seat,
        Kind::Service,
    ];
    let mut statements: Vec<&Statement> = vec![
        &booked_session::OF_WALLET,
        &challenge::OF_WALLETS,
        &entry::CREDIT_BEFORE,
        &entry::UNSEALED,
        &revocation::TOKENS_AFTER,
        &room_event::AFTER,
        &seat::LAST_IN,
        &account::OF_THE_HOUSE,
        &account::OF_WALLETS_PAGE,
        &journal::APPEND,
        &journal::IDS,
        &journal::ENTER,
        &journal::LOCK_UNSEALED,
        &journal::SEAL,
        &journal::UNSEALED_PAGE,
        &ledger::COUNT,
        &ledger::INSERT,
        &ledger::NAMED,
        &ledger::NAMED_OR_RESOLVING,
        &room::ACTIVE_OF_HOSTS,
        &room::ACTIVE_OPEN,
        &seat::LIVE_IN_ROOMS,
        &seat::LIVE_OF_WALLETS,
        &seat::METER,
        &work::CLAIM,
        &work::DELETE,
        &work::LOCK,
        &work::UPSERT,
    ];
    for kind in kinds {
        let table = kind.table();
        statements.extend([
            &table.select,
            &table.page,
            &table.insert,
            &table.update,
            &table.delete,
        ]);
    }
    for statement in statements {
        let explain = ["EXPLAIN QUERY PLAN ", statement.sqlite].concat();
        let mut explained = connection.prepare(&explain).unwrap();
        let parameters = explained.parameter_count();
        let nothing = rusqlite::params_from_iter(vec![rusqlite::types::Null; parameters]);
        let plan = explained.query_map(nothing, |row| row.get::<_, String>(3));
        for step in plan.unwrap().map(Result::unwrap) {
            let text = statement.sqlite;
            // Of these the first few are wanted, in the order in which they are kept; and of what a
            // statement before it found, all.
            let is_kept_so = step == "SCAN unsealed" && text.contains("LIMIT");
            let is_found = step.starts_with("SCAN (subquery") || step == "SCAN oldest";
            let walks =
                step.starts_with("SCAN") && !step.contains("INDEX") && !is_kept_so && !is_found;
            assert!(!walks, "{text}: {step}");
            // Stays of one wallet in one room are few.
            let sorts_few = text.contains("WHERE room = ?1 AND wallet = ?2");
            let sorts = step.contains("TEMP B-TREE FOR ORDER") && !sorts_few;
            assert!(!sorts, "{text}: {step}");
            // Stays that are over are many, live ones few.
            let lists_live = text.contains("FROM seat") && text.contains("AND gone_at IS NULL");
            assert!(!lists_live || step.contains("seat_live"), "{text}: {step}");
        }
    }
}

#[tokio::test]
async fn sessions_of_a_wallet_are_found_by_the_index_of_each_side() {
    let (_directory, store) = fresh().await;
    let connection = open_reader(&store.0.file.path, &store.0.options).unwrap();
    let explain = ["EXPLAIN QUERY PLAN ", booked_session::OF_WALLET.sqlite].concat();
    let mut explained = connection.prepare(&explain).unwrap();
    let nothing = rusqlite::params_from_iter([rusqlite::types::Null; 5]);
    let plan = explained.query_map(nothing, |row| row.get::<_, String>(3));
    let plan: Vec<String> = plan.unwrap().map(Result::unwrap).collect();
    let searched = |side: &str| {
        let step = format!(
            "SEARCH booked_session USING INDEX booked_session_of_{side} \
            ({side}=? AND (starts_at,key)<(?,?))"
        );
        plan.contains(&step)
    };
    assert!(searched("host") && searched("guest"), "{plan:#?}");
}
