//! The public suite for stores, on each database: servers that share one.

#![allow(clippy::expect_used, reason = "a test fails by a panic")]

mod support;

use std::sync::Arc;

use async_trait::async_trait;
use session_core::ports::Store;
use session_testkit::conformance::{self, CHECKS, Check, Database, Effort};

use support::{Level, On, Place};

#[async_trait]
impl Database for Place {
    async fn open(&self) -> Arc<dyn Store> {
        Self::open(self).await
    }
}

/// A place that a check leaves behind for whoever takes it away.
struct Lent(Arc<Place>);

#[async_trait]
impl Database for Lent {
    async fn open(&self) -> Arc<dyn Store> {
        self.0.open().await
    }
}

mod sqlite {
    use super::*;

    async fn fresh() -> Place {
        Place::new(On::Sqlite).await.expect("files are everywhere")
    }

    conformance::tests!(fresh().await);
}

/// Fewer rounds than on a file: each is some trips to a server.
fn effort() -> Effort {
    let mut effort = Effort::default();
    effort.rounds = 6;
    effort.chapters = 2;
    effort.steps = 80;
    effort
}

/// Runs every check on a database of its own, some at a time, and tells all that are broken.
async fn all_are_kept(on: On) {
    let mut broken = Vec::new();
    for checks in CHECKS.chunks(8) {
        let mut running = Vec::new();
        for check in checks {
            let Some(place) = Place::new(on).await else {
                return;
            };
            running.push(tokio::spawn(run(*check, Arc::new(place))));
        }
        for check in running {
            broken.extend(check.await.expect("a check ends"));
        }
    }
    assert!(broken.is_empty(), "{on:?}\n{}", broken.join("\n"));
}

async fn run(check: Check, place: Arc<Place>) -> Option<String> {
    let lent = Lent(place.clone());
    let outcome = check.run(lent, effort()).await;
    if let Some(place) = Arc::into_inner(place) {
        place.remove().await;
    }
    let broken = outcome.err()?;
    Some(format!("{} {}\n    {broken}", check.promise, check.name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_promise_is_kept_on_postgres_at_read_committed() {
    all_are_kept(On::Postgres(Level::ReadCommitted)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_promise_is_kept_on_postgres_at_serializable() {
    all_are_kept(On::Postgres(Level::Serializable)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_promise_is_kept_on_postgres_through_a_pooler() {
    all_are_kept(On::Pooler).await;
}
