//! The store in one SQLite file.

mod session;
mod thread;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OpenFlags};
use session_core::changeset::{Changeset, Receipt};
use session_core::ports::{Claim, Claimed, CommitError, Read, Store, StoreError, StoredRow};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection as _};
use tokio::sync::mpsc;

use self::session::{FileSession, PREPARED_MAX};
use self::thread::{Found, Shown, Write, Written};
use crate::MIGRATIONS_TABLE;
use crate::error::{OpenError, is_busy, rusqlite_trouble, unavailable};
use crate::lane::Lane;
use crate::seen::Seen;
use crate::session::Trouble;

/// How long a statement waits for a lock that another process holds.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a call waits for a place in the queue of this process's calls, or, where there is a
/// pool, for a connection.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Threads that read, each on a connection of its own.
pub const READERS_MAX: NonZeroU32 = NonZeroU32::new(2).unwrap();

const URL_PREFIX: &str = "sqlite://";
const EXPECTED_URL: &str = "sqlite://path";

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
    /// How long a call waits for a place in the queue of this process's calls before it fails as
    /// unavailable.
    pub acquire_timeout: Duration,
    /// How long a statement waits for a lock that another process holds before it fails as
    /// unavailable.
    pub busy_timeout: Duration,
    /// Threads that read.
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
/// Durable: a write-ahead log that is synchronised before a commit returns. One thread writes,
/// all that has come while the last commit was under way in one transaction, under the write lock
/// from before its first read; a few others read, each group of calls at one instant. Several
/// processes on one machine may open the same file; a file system that is shared between machines
/// will not do.
///
/// Clones share the threads, which end with the last of them.
#[derive(Debug, Clone)]
pub struct SqliteStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    writes: Lane<Write, Written>,
    reads: Lane<Vec<Read>, Found>,
    file: OpenedFile,
    options: SqliteOptions,
    /// Ends when every thread has.
    threads: tokio::sync::Mutex<mpsc::Receiver<()>>,
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
        let path = parse(url)?;
        let writer = open_writer(&path, &options).await?;
        let file = OpenedFile::at(path)?;
        let seen = Arc::new(Seen::default());
        let (alive, threads) = mpsc::channel(1);
        let (reads, read_jobs) = Lane::new(options.acquire_timeout);
        let read_jobs = Arc::new(Mutex::new(read_jobs));
        for _ in 0..options.readers_max.get() {
            let session = FileSession(open_reader(&file.path, &options).map_err(OpenError::File)?);
            thread::read(session, seen.clone(), read_jobs.clone(), alive.clone())?;
        }
        let (writes, write_jobs) = Lane::new(options.acquire_timeout);
        thread::write(FileSession(writer), seen, write_jobs, alive)?;
        Ok(Self(Arc::new(Shared {
            writes,
            reads,
            file,
            options,
            threads: tokio::sync::Mutex::new(threads),
        })))
    }

    /// Looks whether the schema is that of this version, and changes nothing.
    ///
    /// # Errors
    /// [`OpenError::NotCurrent`] where it is not.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn check_schema(&self) -> Result<(), OpenError> {
        let connect = SqliteConnectOptions::new()
            .filename(&self.0.file.path)
            .busy_timeout(self.0.options.busy_timeout)
            .read_only(true);
        let mut connection = connect.connect().await.map_err(OpenError::Database)?;
        // No such table is the same to whoever asks.
        let applied: Vec<(i64, Vec<u8>)> =
            sqlx::query_as("SELECT version, checksum FROM session_migrations ORDER BY version")
                .fetch_all(&mut connection)
                .await
                .unwrap_or_default();
        let migrator: Migrator = sqlx::migrate!("migrations/sqlite");
        let wanted = migrator
            .iter()
            .map(|migration| (migration.version, migration.checksum.to_vec()));
        if wanted.eq(applied) {
            Ok(())
        } else {
            Err(OpenError::NotCurrent)
        }
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
        let connect = SqliteConnectOptions::new()
            .filename(&self.0.file.path)
            .busy_timeout(self.0.options.busy_timeout)
            .foreign_keys(true);
        let mut connection = connect.connect().await.map_err(OpenError::Database)?;
        // The driver takes no lock of its own on this database: without one, two servers would
        // both find the first migration missing.
        let begun = connection.begin_with("BEGIN IMMEDIATE").await;
        let mut transaction = begun.map_err(OpenError::Database)?;
        // `run` is this line behind a bound that keeps the future from being sent between threads.
        migrator
            .run_direct(None, &mut *transaction, false)
            .await
            .map_err(OpenError::Migration)?;
        transaction.commit().await.map_err(OpenError::Database)?;
        connection.close().await.map_err(OpenError::Database)
    }

    /// Closes every connection, once the calls that wait are answered. Calls afterwards fail as
    /// unavailable.
    pub async fn close(&self) {
        self.0.reads.close();
        self.0.writes.close();
        while self.0.threads.lock().await.recv().await.is_some() {}
    }

    /// What everything that the file holds is shown by, on a connection of its own.
    pub(crate) async fn show_all(&self) -> Result<mpsc::Receiver<Shown>, StoreError> {
        self.0.file.check_there()?;
        if self.0.reads.is_closed() {
            return Err(unavailable("the store is closed"));
        }
        let (path, options) = (&self.0.file.path, &self.0.options);
        let connection = open_reader(path, options).map_err(rusqlite_trouble);
        let session = FileSession(connection.map_err(Trouble::into_store_error)?);
        thread::show(session).map_err(|error| unavailable(error.to_string()))
    }

    async fn write(&self, write: Write) -> Result<Written, StoreError> {
        self.0.file.check_there()?;
        self.0.writes.ask(write).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        self.0.file.check_there()?;
        self.0.reads.ask(reads.to_vec()).await?
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        match self
            .write(Write::Commit(Box::new(changeset.clone())))
            .await?
        {
            Written::Commit(answer) => answer,
            Written::Claim(_) => Err(unavailable("another call was answered").into()),
        }
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        match self.write(Write::Claim(*claim)).await? {
            Written::Claim(claimed) => claimed,
            Written::Commit(_) => Err(unavailable("another call was answered")),
        }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let key = session_core::changeset::Key::Service(());
        self.read(&[Read::Row(key)]).await.map(|_| ())
    }
}

/// Where the file of an address is. The driver takes any text for the name of a file, and knows
/// parameters that are of no use here.
fn parse(url: &str) -> Result<PathBuf, OpenError> {
    let wrong = |why: &'static str| OpenError::Url {
        expected: EXPECTED_URL,
        source: sqlx::Error::Configuration(why.into()),
    };
    let name = match url.strip_prefix(URL_PREFIX) {
        None | Some("") => return Err(wrong("it names no file")),
        Some(name) => name,
    };
    match name.split_once('?') {
        Some((_, "mode=rwc")) | None => {}
        Some((_, "mode=memory")) => return Err(OpenError::NoWriteAheadLog("memory".to_owned())),
        Some(_) => return Err(wrong("it has parameters")),
    }
    if name == ":memory:" {
        return Err(OpenError::NoWriteAheadLog("memory".to_owned()));
    }
    let parsed = SqliteConnectOptions::from_str(url).map_err(|source| OpenError::Url {
        expected: EXPECTED_URL,
        source,
    })?;
    Ok(parsed.get_filename().to_path_buf())
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
        match identity_of(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) => Err(unavailable("the database file was replaced by another")),
            Err(error) => {
                let detail = ["the database file cannot be found: ", &error.to_string()].concat();
                Err(unavailable(detail))
            }
        }
    }
}

fn identity_of(path: &Path) -> std::io::Result<FileIdentity> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path)?;
    Ok((found.dev(), found.ino()))
}

async fn open_writer(path: &Path, options: &SqliteOptions) -> Result<Connection, OpenError> {
    let mut attempts = 1;
    loop {
        match try_open_writer(path, options) {
            Ok((connection, mode)) if mode == "wal" => return Ok(connection),
            Ok((_, mode)) => return Err(OpenError::NoWriteAheadLog(mode)),
            Err(error) if is_busy(&error) && attempts < OPEN_ATTEMPTS_MAX => {
                attempts += 1;
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            Err(error) => return Err(OpenError::File(error)),
        }
    }
}

fn try_open_writer(
    path: &Path,
    options: &SqliteOptions,
) -> Result<(Connection, String), rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let connection = open_connection(path, flags, options)?;
    let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")?;
    Ok((connection, mode))
}

/// A file that was taken away is missing, not a new and empty one.
fn open_reader(path: &Path, options: &SqliteOptions) -> Result<Connection, rusqlite::Error> {
    let connection = open_connection(path, OpenFlags::SQLITE_OPEN_READ_WRITE, options)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

fn open_connection(
    path: &Path,
    flags: OpenFlags,
    options: &SqliteOptions,
) -> Result<Connection, rusqlite::Error> {
    // Each connection stays on one thread.
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_MAX);
    Ok(connection)
}

#[cfg(test)]
mod tests;
