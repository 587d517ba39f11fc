//! Databases that go away with the test: a file of its own, or a database in the cluster that
//! `SESSION_TEST_POSTGRES` names.
//!
//! Where there is no cluster its tests pass without doing anything and say `NOT THERE`; with
//! `SESSION_TEST_REQUIRE=1`, as `./test` runs them, they fail.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod bookings;
pub(crate) mod proxy;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use session_core::ports::{Archive, Store};
use session_sqlx::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

/// Which isolation level transactions have that say nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    ReadCommitted,
    Serializable,
}

impl Level {
    /// As the server names it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read committed",
            Self::Serializable => "serializable",
        }
    }
}

/// Where a store keeps its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres(Level),
    /// PostgreSQL with a pooler before it that gives every transaction another connection.
    Pooler,
}

/// A store that serves, and can show what it holds.
pub(crate) trait Served: Store + Archive {}

impl<T: Store + Archive> Served for T {}

/// What a store lives in.
pub(crate) enum Place {
    File(TempDir),
    Database(Database),
}

impl Place {
    /// An empty place; `None` where there is none and need not be.
    pub(crate) async fn new(on: On) -> Option<Self> {
        match on {
            On::Sqlite => Some(Self::File(TempDir::new().expect("a folder for the file"))),
            On::Postgres(level) => Some(Self::Database(Database::new(level, false).await?)),
            On::Pooler => {
                let database = Database::new(Level::ReadCommitted, true).await?;
                Some(Self::Database(database))
            }
        }
    }

    /// A store in this place, of a server of its own. Those that are opened first find no schema.
    pub(crate) async fn open(&self) -> Arc<dyn Served> {
        match self {
            Self::File(folder) => {
                let url = format!("sqlite://{}", folder.path().join("session.db").display());
                let store = SqliteStore::open(&url, SqliteOptions::default())
                    .await
                    .expect("a file opens");
                store.migrate().await.expect("it is migrated");
                Arc::new(store)
            }
            Self::Database(database) => Arc::new(database.open().await),
        }
    }

    /// The same, as what serves and as what shows everything that it holds.
    pub(crate) async fn open_archive(&self) -> (Arc<dyn Store>, Arc<dyn Archive>) {
        let store = self.open().await;
        (store.clone(), store)
    }

    /// Executes statements past every store, all at once. Constraints of the file are not
    /// looked at: it is as if somebody had written to it with another program.
    pub(crate) async fn change(&self, statements: &[&str]) {
        let statements = AssertSqlSafe(statements.join(";\n"));
        let changed = match self {
            Self::File(folder) => {
                let options = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(folder.path().join("session.db"))
                    .foreign_keys(false)
                    .pragma("ignore_check_constraints", "ON");
                let hand = sqlx::SqliteConnection::connect_with(&options).await;
                let mut hand = hand.expect("it opens");
                hand.execute(statements).await.map(|_| ())
            }
            Self::Database(database) => {
                let mut hand = database.by_hand().await;
                hand.execute(statements).await.map(|_| ())
            }
        };
        changed.expect("statements");
    }

    /// Takes away what would outlive the test.
    pub(crate) async fn remove(self) {
        match self {
            Self::File(_) => {}
            Self::Database(database) => database.remove().await,
        }
    }
}

/// A database of one test.
pub(crate) struct Database {
    admin: String,
    pub(crate) name: String,
    pooler: Option<String>,
}

impl Database {
    /// Creates a database; `None` where there is no cluster and need not be.
    pub(crate) async fn new(level: Level, through_pooler: bool) -> Option<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let admin = there("SESSION_TEST_POSTGRES", "PostgreSQL")?;
        let pooler = if through_pooler {
            Some(there("SESSION_TEST_PGBOUNCER", "pgbouncer")?)
        } else {
            None
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("session_test_{}_{number}", std::process::id());
        let mut hand = PgConnection::connect(&admin)
            .await
            .expect("the cluster answers");
        let level = level.name();
        for statement in [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("CREATE DATABASE {name}"),
            format!("ALTER DATABASE {name} SET default_transaction_isolation = '{level}'"),
        ] {
            hand.execute(AssertSqlSafe(statement))
                .await
                .expect("a superuser may");
        }
        hand.close().await.expect("it closes");
        Some(Self {
            admin,
            name,
            pooler,
        })
    }

    /// Where the database itself is.
    pub(crate) fn url(&self) -> String {
        let (cluster, _) = self.admin.rsplit_once('/').expect("a database");
        format!("{cluster}/{}", self.name)
    }

    /// Where a store reaches it: the database itself, or the pooler.
    pub(crate) fn served_at(&self) -> String {
        match &self.pooler {
            Some(pooler) => format!("{pooler}{}", self.name),
            None => self.url(),
        }
    }

    /// A store on it, with its schema.
    pub(crate) async fn open(&self) -> PostgresStore {
        let mut options = PostgresOptions::default();
        options.pooler = self.pooler.is_some();
        let url = self.served_at();
        let store = PostgresStore::open(&url, options).await.expect("it opens");
        store.migrate().await.expect("it is migrated");
        store
    }

    /// A connection past the store, to what an operator could do by hand.
    pub(crate) async fn by_hand(&self) -> PgConnection {
        PgConnection::connect(&self.url())
            .await
            .expect("it answers")
    }

    pub(crate) async fn remove(self) {
        let mut hand = PgConnection::connect(&self.admin)
            .await
            .expect("the cluster answers");
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        hand.execute(AssertSqlSafe(statement))
            .await
            .expect("a superuser may");
        hand.close().await.expect("it closes");
    }
}

/// The address of a counterpart; `None` where it is not there and need not be.
pub(crate) fn there(variable: &str, what: &str) -> Option<String> {
    if let Ok(url) = std::env::var(variable) {
        return Some(url);
    }
    let is_required = std::env::var("SESSION_TEST_REQUIRE").is_ok_and(|value| value == "1");
    assert!(
        !is_required,
        "{what} is required and not there (run ./test)"
    );
    // Past the test harness, which swallows what a passing test prints.
    let _ = writeln!(
        std::io::stderr(),
        "NOT THERE: {what} ({variable}; run ./test)"
    );
    None
}
