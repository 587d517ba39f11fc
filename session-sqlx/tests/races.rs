//! The races of the testkit, on one file that all rounds of a race share.

#![allow(clippy::expect_used, reason = "a test fails by a panic")]

use std::sync::Arc;

use session_sqlx::{SqliteOptions, SqliteStore};
use session_testkit::bench::Bench;
use session_testkit::races;
use tempfile::TempDir;

/// A store in a file that goes away with the first value.
async fn fresh_store() -> (TempDir, Arc<SqliteStore>) {
    let folder = TempDir::new().expect("a folder for the file");
    let url = format!("sqlite://{}", folder.path().join("races.db").display());
    let store = SqliteStore::open(&url, SqliteOptions::default())
        .await
        .expect("a new file opens");
    store.migrate().await.expect("a new file is migrated");
    (folder, Arc::new(store))
}

macro_rules! races {
    ($($race:ident: $rounds:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $race() {
                let (_folder, store) = fresh_store().await;
                races::$race(&|seed| Bench::new(store.clone(), seed), $rounds).await;
                store.close().await;
            }
        )*
    };
}

races! {
    joins_seat_exactly_the_capacity: 20;
    one_wallet_gets_one_seat: 30;
    one_host_gets_one_room: 30;
    a_second_is_charged_once: 20;
    a_nonce_is_used_once: 20;
    the_base_grant_is_given_once: 30;
    the_bonus_is_given_once: 30;
    nobody_pays_after_the_end: 30;
}
