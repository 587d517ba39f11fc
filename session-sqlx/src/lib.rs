//! The store of `session-core` in an SQL database.
//!
//! [`SqliteStore`] implements [`Store`](session_core::ports::Store) in one file: a commit is one
//! transaction, durable once it returns, that holds the write lock from before its first read to
//! its end. Inside it the rows that a changeset names are loaded, `session-core`'s own
//! [`apply`](session_core::changeset::apply) decides, and what it says is written. No rule lives
//! here, and no text of SQL is ever put together: every value is a bound parameter.
//!
//! What it is not: a cache, a query builder, or a server. It knows nothing of HTTP or of clocks.
//!
//! ```
//! use session_core::changeset::{Draft, Key};
//! use session_core::outage::Service;
//! use session_core::ports::{Read, Store};
//! use session_core::types::Timestamp;
//! use session_sqlx::{SqliteOptions, SqliteStore};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("session.db");
//! let store = SqliteStore::open(&format!("sqlite://{}", path.display()), SqliteOptions::default())
//!     .await?;
//! store.migrate().await?;
//!
//! let mut draft = Draft::new();
//! draft.insert(Service { last_beat_at: Timestamp::from_unix(1_800_000_000), outages: vec![] });
//! store.commit(&draft.finish()).await?;
//!
//! let lists = store.read(&[Read::Row(Key::Service(()))]).await?;
//! assert_eq!(lists[0].len(), 1);
//! store.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | `sqlite` | opening, migrating, transactions, the port itself |
//! | `commit` | one changeset inside a transaction: load, decide, write |
//! | `read` | typed reads |
//! | `rows` | one file for each kind of row: its statements, reading and writing |
//! | `ledger`, `journal`, `work` | transfers, facts, queues |
//! | `statement`, `columns`, `names` | values on their way in and out |
//! | `error` | what the driver's errors mean to a caller |
//!
//! The schema is in `migrations/sqlite`: numbered files that are added to and never changed, with
//! a constraint for every invariant that `session-core` relies on. Applied ones are remembered in
//! the table `session_migrations`.
//!
//! This crate has no features.

mod columns;
mod error;
mod fold;
mod group;
mod journal;
mod lane;
mod ledger;
mod names;
mod postgres;
mod rows;
mod seen;
mod session;
mod sqlite;
mod statement;
mod value;
mod wanted;
mod within;
mod work;

pub use error::OpenError;
pub use postgres::{ALONE_MAX, CONNECTIONS_MAX, PostgresOptions, PostgresStore};
pub use sqlite::{ACQUIRE_TIMEOUT, BUSY_TIMEOUT, READERS_MAX, SqliteOptions, SqliteStore};
pub use within::{Wake, Within};

/// The table that remembers which migrations were applied. Not the driver's default, so that the
/// host's own migrations in the same database stay apart.
const MIGRATIONS_TABLE: &str = "session_migrations";
