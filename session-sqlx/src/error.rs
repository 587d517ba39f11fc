//! What the driver's errors mean to a caller.

use session_core::changeset::{Key, Rejection};
use session_core::ports::{CommitError, StoreError, StoreErrorKind};
use sqlx::error::{DatabaseError, ErrorKind};

/// A database could not be opened or brought to the present schema.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be opened, or is no database.
    #[error("database cannot be opened")]
    Database(#[source] sqlx::Error),
    /// A migration failed, or the database was migrated by another program or a later version.
    #[error("database cannot be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The database does not keep a write-ahead log: it is in memory, or on a file system that
    /// cannot share memory between processes.
    #[error("database does not keep a write-ahead log but a journal of mode {0}")]
    NoWriteAheadLog(String),
    /// The address is not one of a database file.
    #[error("database address is not sqlite://path")]
    Url(#[source] sqlx::Error),
}

/// The store holds something that cannot be. `what` names the place, never a value.
pub(crate) fn corrupt(what: impl Into<String>) -> StoreError {
    StoreError {
        kind: StoreErrorKind::Corrupt,
        detail: what.into(),
    }
}

/// What an error of a statement means.
#[allow(
    clippy::needless_pass_by_value,
    reason = "errors are mapped where they end"
)]
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    let kind = match &error {
        sqlx::Error::Database(inner) => sqlite_kind(inner.as_ref()),
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::RowNotFound
        | sqlx::Error::TypeNotFound { .. } => StoreErrorKind::Corrupt,
        // Closed, crashed, timed out, not reachable: another try may find it well.
        _ => StoreErrorKind::Unavailable,
    };
    StoreError {
        kind,
        detail: error.to_string(),
    }
}

/// What an error of a statement that writes a row means.
///
/// [`apply`](session_core::changeset::apply) has checked all that the constraints check. Should
/// one of them refuse nevertheless, nothing is written, and the caller is told the least that is
/// true: a value taken by another row means that the world has moved on.
pub(crate) fn write_error(key: &Key, error: sqlx::Error) -> CommitError {
    let refused = error
        .as_database_error()
        .is_some_and(|inner| inner.kind() != ErrorKind::Other);
    if refused {
        tracing::error!(%key, %error, "a constraint refused what the core let through");
    }
    match error.as_database_error().map(DatabaseError::kind) {
        Some(ErrorKind::UniqueViolation) => Rejection::Conflict(key.clone()).into(),
        Some(ErrorKind::ForeignKeyViolation) => dangling(),
        _ => store_error(error).into(),
    }
}

/// What an error of the commit itself means: deferred constraints are checked there.
pub(crate) fn commit_error(error: sqlx::Error) -> CommitError {
    match error.as_database_error().map(DatabaseError::kind) {
        Some(ErrorKind::ForeignKeyViolation) => dangling(),
        _ => store_error(error).into(),
    }
}

fn dangling() -> CommitError {
    Rejection::Malformed("a row refers to one that is not there").into()
}

/// The primary result codes of SQLite that say that the file is wrong, not that the moment is.
///
/// `SQLITE_ERROR` (1) is not among them: a statement that does not fit the schema means that the
/// schema is missing, which the next migration mends.
const SQLITE_CORRUPT_CODES: [i32; 8] = [
    11, // SQLITE_CORRUPT
    17, // SQLITE_SCHEMA
    18, // SQLITE_TOOBIG
    19, // SQLITE_CONSTRAINT
    20, // SQLITE_MISMATCH
    21, // SQLITE_MISUSE
    25, // SQLITE_RANGE
    26, // SQLITE_NOTADB
];

fn sqlite_kind(error: &dyn DatabaseError) -> StoreErrorKind {
    let extended: Option<i32> = error.code().and_then(|code| code.parse().ok());
    // The low byte of an extended code is the primary one.
    match extended.map(|code| code & 0xff) {
        Some(primary) if SQLITE_CORRUPT_CODES.contains(&primary) => StoreErrorKind::Corrupt,
        Some(_) | None => StoreErrorKind::Unavailable,
    }
}

/// Whether somebody else holds the lock that was wanted.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: i32 = 5;
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.and_then(|code| code.parse::<i32>().ok())
        .is_some_and(|code| code & 0xff == SQLITE_BUSY)
}
