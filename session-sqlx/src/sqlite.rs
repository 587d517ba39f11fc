//! The store in one SQLite file.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::changeset::{Changeset, Receipt};
use session_core::ports::{
    Claim, Claimed, CommitError, Read, Store, StoreError, StoreErrorKind, StoredRow,
};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, Transaction};

use crate::error::{OpenError, commit_error, is_busy, store_error};
use crate::rows::service;
use crate::{commit, read, work};

/// How long a statement waits for a lock that another process holds.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a call waits for its turn among the calls of this process.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections that read.
pub const READERS_MAX: NonZeroU32 = NonZeroU32::new(4).unwrap();

const URL_PREFIX: &str = "sqlite://";

/// The table that remembers which migrations were applied. Not the driver's default, so that the
/// host's own migrations in the same file stay apart.
const MIGRATIONS_TABLE: &str = "session_migrations";

/// Changing a fresh file to a write-ahead log takes a lock that cannot be waited for, so several
/// servers that start at once on one file try again: this often, with this pause.
const OPEN_ATTEMPTS_MAX: u32 = 40;
const OPEN_PAUSE: Duration = Duration::from_millis(25);

/// How a [`SqliteStore`] waits.
///
/// ```
/// let mut options = session_sqlx::SqliteOptions::default();
/// options.busy_timeout = std::time::Duration::from_millis(500);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How long a call waits for its turn among the calls of this process before it fails as
    /// unavailable.
    pub acquire_timeout: Duration,
    /// How long a statement waits for a lock that another process holds before it fails as
    /// unavailable.
    pub busy_timeout: Duration,
    /// Connections that read.
    pub readers_max: NonZeroU32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            acquire_timeout: ACQUIRE_TIMEOUT,
            busy_timeout: BUSY_TIMEOUT,
            readers_max: READERS_MAX,
        }
    }
}

/// A [`Store`] in one SQLite file.
///
/// Durable: a write-ahead log that is synchronised before a commit returns. One connection writes,
/// each commit under the write lock from before its first read; a few others read, each call at
/// one instant. Several processes on one machine may open the same file; a file system that is
/// shared between machines will not do.
///
/// Clones share the connections.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    file: Arc<OpenedFile>,
}

impl SqliteStore {
    /// Opens the file at `sqlite://path`, which is created where it is missing.
    ///
    /// The schema is not looked at: see [`migrate`](Self::migrate).
    ///
    /// # Errors
    /// [`OpenError`] where the address, the file or the file system will not do.
    ///
    /// # Cancel safety
    /// A caller that stops waiting may leave an empty file.
    pub async fn open(url: &str, options: SqliteOptions) -> Result<Self, OpenError> {
        let connect = parse(url)
            .map_err(OpenError::Url)?
            .create_if_missing(true)
            .busy_timeout(options.busy_timeout)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true);
        let path = connect.get_filename().to_path_buf();
        let writer = open_writer(&connect, &options).await?;
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(&writer)
            .await
            .map_err(OpenError::Database)?;
        if mode != "wal" {
            return Err(OpenError::NoWriteAheadLog(mode));
        }
        let readers = pool_options(&options)
            .max_connections(options.readers_max.get())
            // A file that was taken away is missing, not a new and empty one.
            .connect_with(connect.create_if_missing(false).pragma("query_only", "ON"))
            .await
            .map_err(OpenError::Database)?;
        let file = Arc::new(OpenedFile::at(path)?);
        Ok(Self {
            writer,
            readers,
            file,
        })
    }

    /// Brings the schema up to date. Migrations that were applied before are left alone; several
    /// servers may do this at once.
    ///
    /// # Errors
    /// [`OpenError::Migration`] where one fails, or where the file was migrated by something else.
    ///
    /// # Cancel safety
    /// A caller that stops waiting leaves all of the migrations applied or none.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        let mut migrator: Migrator = sqlx::migrate!("migrations/sqlite");
        migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
        // The driver takes no lock of its own on this database: without one, two servers would
        // both find the first migration missing.
        let mut transaction = self.begin().await.map_err(OpenError::Database)?;
        // `run` is this line behind a bound that keeps the future from being sent between threads.
        migrator
            .run_direct(None, &mut *transaction, false)
            .await
            .map_err(OpenError::Migration)?;
        transaction.commit().await.map_err(OpenError::Database)
    }

    /// Closes every connection, once the calls that use them are done. Calls afterwards fail as
    /// unavailable.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Takes the write lock. A transaction that is dropped is rolled back before its connection
    /// serves anybody else.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, sqlx::Error> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        self.file.check_there()?;
        // Reading only: there is nothing to commit, and dropping the transaction ends it.
        let mut transaction = self.readers.begin().await.map_err(store_error)?;
        read::all(&mut transaction, reads).await
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        self.file.check_there()?;
        let mut transaction = self.begin().await.map_err(store_error)?;
        let receipt = commit::run(&mut transaction, changeset).await?;
        transaction.commit().await.map_err(commit_error)?;
        Ok(receipt)
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        self.file.check_there()?;
        let mut transaction = self.begin().await.map_err(store_error)?;
        let claimed = work::claim(&mut transaction, claim).await?;
        transaction.commit().await.map_err(store_error)?;
        Ok(claimed)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.file.check_there()?;
        let found = sqlx::query(service::PING)
            .fetch_optional(&self.readers)
            .await;
        found.map(|_| ()).map_err(store_error)
    }
}

/// The driver takes any other text for the name of a file, and would create it.
fn parse(url: &str) -> Result<SqliteConnectOptions, sqlx::Error> {
    match url.strip_prefix(URL_PREFIX) {
        None | Some("") => Err(sqlx::Error::Configuration("it names no file".into())),
        Some(_) => SqliteConnectOptions::from_str(url),
    }
}

/// Which file was opened. Connections go on writing to a file that was moved or removed, and what
/// they write is gone with it; so every call looks first whether the file is still the one at its
/// path.
#[derive(Debug)]
struct OpenedFile {
    path: PathBuf,
    identity: FileIdentity,
}

/// Device and number: what tells one file from another that takes its name.
type FileIdentity = (u64, u64);

impl OpenedFile {
    fn at(path: PathBuf) -> Result<Self, OpenError> {
        let identity = identity_of(&path).map_err(|error| OpenError::Database(error.into()))?;
        Ok(Self { path, identity })
    }

    fn check_there(&self) -> Result<(), StoreError> {
        let detail = match identity_of(&self.path) {
            Ok(identity) if identity == self.identity => return Ok(()),
            Ok(_) => "the database file was replaced by another".to_owned(),
            Err(error) => ["the database file cannot be found: ", &error.to_string()].concat(),
        };
        Err(StoreError {
            kind: StoreErrorKind::Unavailable,
            detail,
        })
    }
}

fn identity_of(path: &Path) -> std::io::Result<FileIdentity> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

async fn open_writer(
    connect: &SqliteConnectOptions,
    options: &SqliteOptions,
) -> Result<SqlitePool, OpenError> {
    let mut attempts = 1;
    loop {
        let one = pool_options(options).max_connections(1);
        match one.connect_with(connect.clone()).await {
            Ok(pool) => return Ok(pool),
            Err(error) if is_busy(&error) && attempts < OPEN_ATTEMPTS_MAX => {
                attempts += 1;
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            Err(error) => return Err(OpenError::Database(error)),
        }
    }
}

fn pool_options(options: &SqliteOptions) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .acquire_timeout(options.acquire_timeout)
        // A connection to a file does not age.
        .idle_timeout(None)
        .max_lifetime(None)
        // Pinging first costs another message to the connection's thread.
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            // SQLite ends a transaction by itself when the disk fails, and the driver still counts
            // it as open: such a connection is replaced. This looks at a number, not at the file.
            let is_clean = !connection.is_in_transaction();
            Box::pin(async move { Ok(is_clean) })
        })
}

#[cfg(test)]
mod tests {
    use session_core::changeset::Draft;
    use session_core::outage::Service;
    use session_core::types::Timestamp;
    use sqlx::AssertSqlSafe;

    use super::*;
    use crate::rows::{Kind, challenge, room, seat};
    use crate::{journal, ledger};

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
    async fn a_connection_whose_transaction_sqlite_ended_is_replaced() {
        let (_directory, store) = fresh().await;
        let mut transaction = store.begin().await.unwrap();
        // What SQLite does by itself when the disk is full. The driver still counts one as open.
        sqlx::query("ROLLBACK")
            .execute(&mut *transaction)
            .await
            .unwrap();
        drop(transaction);
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
        for pool in [&store.writer, &store.readers] {
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
                let found: String = sqlx::query_scalar(pragma).fetch_one(pool).await.unwrap();
                assert_eq!(found, expected, "{pragma}");
            }
        }
        let refused = sqlx::query("DELETE FROM work")
            .execute(&store.readers)
            .await
            .unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{refused}");
    }

    #[tokio::test]
    async fn every_statement_finds_its_rows_by_an_index() {
        let (_directory, store) = fresh().await;
        let kinds = [
            Kind::Account,
            Kind::Challenge,
            Kind::Idempotency,
            Kind::Intent,
            Kind::Room,
            Kind::Seat,
        ];
        let mut statements = vec![
            challenge::OF_WALLET,
            journal::INSERT,
            ledger::INSERT,
            ledger::NAMED_OR_RESOLVING,
            room::ACTIVE_OF_HOSTS,
            room::ACTIVE_OPEN,
            seat::LIVE_IN_ROOMS,
            seat::LIVE_OF_WALLETS,
            work::BY_NAMES,
            work::CLAIM,
            work::DELETE,
            work::UPSERT,
        ];
        for kind in kinds {
            let of = kind.statements();
            statements.extend([of.by_names, of.insert, of.update, of.delete]);
        }
        for statement in statements {
            let explain = AssertSqlSafe(["EXPLAIN QUERY PLAN ", statement].concat());
            let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(explain)
                .fetch_all(&store.writer)
                .await
                .unwrap();
            for (_, _, _, step) in plan {
                // The list itself is walked from its start to its end.
                let is_list = step.starts_with("SCAN named");
                let walks = step.starts_with("SCAN") && !step.contains("INDEX");
                assert!(is_list || !walks, "{statement}: {step}");
                // The seats of a room are few enough to sort.
                let sorts = step.contains("TEMP B-TREE FOR ORDER");
                assert!(
                    !sorts || statement == seat::LIVE_IN_ROOMS,
                    "{statement}: {step}"
                );
                // Stays that are over are many, live ones few.
                let lists_live = [seat::LIVE_IN_ROOMS, seat::LIVE_OF_WALLETS].contains(&statement);
                let by_live = is_list || sorts || step.contains("seat_live");
                assert!(!lists_live || by_live, "{statement}: {step}");
            }
        }
    }
}
