//! What the drivers' errors mean to a caller.

use session_core::changeset::Rejection;
use session_core::ports::{StoreError, StoreErrorKind};
use sqlx::error::ErrorKind;

use crate::session::Trouble;

/// A database could not be opened or brought to the present schema.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The database cannot be reached, or is none.
    #[error("database cannot be opened")]
    Database(#[source] sqlx::Error),
    /// The file cannot be opened, or is no database.
    #[error("database file cannot be opened")]
    File(#[source] rusqlite::Error),
    /// A migration failed, or the database was migrated by another program or a later version.
    #[error("database cannot be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The database does not keep a write-ahead log: it is in memory, or on a file system that
    /// cannot share memory between processes.
    #[error("database does not keep a write-ahead log but a journal of mode {0}")]
    NoWriteAheadLog(String),
    /// The schema is not that of this version, or there is none.
    #[error("database is not migrated to this version")]
    NotCurrent,
    /// The address is not one of a database of this kind.
    #[error("database address is not of the form {expected}")]
    Url {
        /// What it should look like.
        expected: &'static str,
        /// What is wrong with it.
        #[source]
        source: sqlx::Error,
    },
    /// A thread for the database could not be started.
    #[error("no thread for the database")]
    Thread(#[source] std::io::Error),
}

pub(crate) fn store_error(kind: StoreErrorKind, detail: impl Into<String>) -> StoreError {
    StoreError {
        kind,
        detail: detail.into(),
    }
}

/// The store holds something that cannot be. `what` names the place, never a value.
pub(crate) fn corrupt(what: impl Into<String>) -> StoreError {
    store_error(StoreErrorKind::Corrupt, what)
}

/// The store cannot serve now.
pub(crate) fn unavailable(why: impl Into<String>) -> StoreError {
    store_error(StoreErrorKind::Unavailable, why)
}

impl Trouble {
    /// What remains to be told where nothing more is tried. Of trouble that a repeat would mend
    /// the caller hears that the store cannot serve now.
    pub(crate) fn into_store_error(self) -> StoreError {
        match self {
            Self::Again(error) | Self::Failed(error) | Self::Lost(error) | Self::Taken(error) => {
                error
            }
            Self::Poisoned(session_core::ports::CommitError::Store(error)) => error,
            Self::Poisoned(session_core::ports::CommitError::Rejected(rejection)) => {
                corrupt(rejection.to_string())
            }
            Self::Stale => unavailable("a row has changed"),
        }
    }
}

/// A row refers to one that is not there.
fn dangling() -> Trouble {
    Trouble::Poisoned(Rejection::Malformed("a row refers to one that is not there").into())
}

/// What an error of sqlx's drivers means.
#[allow(
    clippy::needless_pass_by_value,
    reason = "errors are mapped where they end"
)]
pub(crate) fn sqlx_trouble(error: sqlx::Error) -> Trouble {
    let detail = error.to_string();
    match &error {
        sqlx::Error::Database(inner) => {
            let code = inner.code().unwrap_or_default().into_owned();
            let is_postgres = inner
                .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                .is_some();
            if is_postgres {
                postgres_trouble(&code, detail)
            } else if inner.kind() == ErrorKind::ForeignKeyViolation {
                dangling()
            } else {
                sqlite_trouble(code.parse().unwrap_or_default(), detail)
            }
        }
        sqlx::Error::ColumnDecode { .. }
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::Encode(_)
        | sqlx::Error::RowNotFound
        | sqlx::Error::TypeNotFound { .. } => Trouble::Failed(corrupt(detail)),
        // What a server that goes away in the middle of a message leaves is no protocol either.
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
            Trouble::Lost(unavailable(detail))
        }
        // Closed, crashed, timed out, not reachable: another try may find it well.
        _ => Trouble::Failed(unavailable(detail)),
    }
}

/// What an error of SQLite's own driver means.
#[allow(
    clippy::needless_pass_by_value,
    reason = "errors are mapped where they end"
)]
pub(crate) fn rusqlite_trouble(error: rusqlite::Error) -> Trouble {
    let detail = error.to_string();
    match error.sqlite_error() {
        Some(inner) if inner.extended_code == SQLITE_CONSTRAINT_FOREIGNKEY => dangling(),
        Some(inner) => sqlite_trouble(inner.extended_code, detail),
        None => Trouble::Failed(corrupt(detail)),
    }
}

/// What a code of PostgreSQL's manual, appendix A, means.
fn postgres_trouble(code: &str, detail: String) -> Trouble {
    match code {
        // Serialization failure, deadlock.
        "40001" | "40P01" => Trouble::Again(unavailable(detail)),
        "23505" => Trouble::Taken(unavailable(detail)),
        // A row that somebody holds for too long: whoever wants it is told so, and nobody else
        // of its group.
        "55P03" | "57014" => Trouble::Poisoned(unavailable(detail).into()),
        "23503" => dangling(),
        // Shut down, crashed, starting up, or the connection broke.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Trouble::Lost(unavailable(detail)),
        // A statement that compares versions divides by nothing where one has moved.
        "22012" => Trouble::Stale,
        _ => match code.get(..2) {
            Some("08") => Trouble::Lost(unavailable(detail)),
            // Data that no column holds, or a constraint.
            Some("22" | "23") => {
                tracing::error!(
                    code,
                    detail,
                    "the database refused what the core let through"
                );
                Trouble::Poisoned(corrupt(detail).into())
            }
            Some("XX") => Trouble::Failed(corrupt(detail)),
            // No schema, no right, no memory, too slow: for an operator to mend.
            _ => Trouble::Failed(unavailable(detail)),
        },
    }
}

const SQLITE_CONSTRAINT_FOREIGNKEY: i32 = 787;

/// A primary key or a unique index.
const SQLITE_TAKEN_CODES: [i32; 2] = [1555, 2067];

/// The primary result codes of SQLite that say that the file is wrong, not that the moment is.
///
/// `SQLITE_ERROR` (1) is not among them: a statement that does not fit the schema means that the
/// schema is missing, which the next migration mends.
const SQLITE_CORRUPT_CODES: [i32; 6] = [
    11, // SQLITE_CORRUPT
    17, // SQLITE_SCHEMA
    20, // SQLITE_MISMATCH
    21, // SQLITE_MISUSE
    25, // SQLITE_RANGE
    26, // SQLITE_NOTADB
];

/// What an extended result code of SQLite means.
fn sqlite_trouble(extended: i32, detail: String) -> Trouble {
    const SQLITE_TOOBIG: i32 = 18;
    const SQLITE_CONSTRAINT: i32 = 19;
    if SQLITE_TAKEN_CODES.contains(&extended) {
        return Trouble::Taken(unavailable(detail));
    }
    // The low byte of an extended code is the primary one.
    let primary = extended & 0xff;
    if primary == SQLITE_CONSTRAINT || primary == SQLITE_TOOBIG {
        tracing::error!(
            extended,
            detail,
            "the database refused what the core let through"
        );
        Trouble::Poisoned(corrupt(detail).into())
    } else if SQLITE_CORRUPT_CODES.contains(&primary) {
        Trouble::Failed(corrupt(detail))
    } else {
        Trouble::Failed(unavailable(detail))
    }
}

/// Whether somebody else holds the lock that was wanted.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}
