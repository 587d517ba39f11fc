//! The stores of `session-core` in SQL databases.
//!
//! [`SqliteStore`] implements [`Store`](session_core::ports::Store) in one file, [`PostgresStore`]
//! in a database that any number of servers share, and [`Within`] inside a transaction that a host
//! holds. Inside a transaction the rows that changesets name are locked and loaded, `session-core`'s
//! own [`apply`](session_core::changeset::apply) decides, and what it says is written. No rule lives
//! here, and no text of SQL is put together at run time: every value is a bound parameter.
//!
//! What it is not: a cache, a query builder, or a server. It knows nothing of HTTP or of clocks. Why
//! it is as it is: `docs/adr/0003-databases-and-groups.md`.
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
//! | `sqlite`, `postgres`, `within` | the three stores: opening, migrating, connections |
//! | `lane` | calls that wait for their turn, and are served in groups |
//! | `group` | one group: transactions, and the one place that tries again |
//! | `wanted` | what calls need to see; locking and reading it |
//! | `fold` | what changesets come to together; writing it |
//! | `seen` | rows as they were seen last, for heartbeats |
//! | `session` | what all of this asks of a connection, and what may go wrong |
//! | `rows`, `ledger`, `journal`, `work` | the tables: columns, statements, reading and writing |
//! | `archive` | showing everything that is there |
//! | `statement`, `value`, `columns`, `names` | texts of SQL; values on their way in and out |
//! | `error` | what the drivers' errors mean to a caller |
//!
//! The schema is in `migrations`, a folder for each database: numbered files that are added to and
//! never changed, with a constraint for every invariant that `session-core` relies on. Applied ones
//! are remembered in the table `session_migrations`.
//!
//! This crate has no features.

mod archive;
mod columns;
#[cfg(test)]
mod defaults;
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
