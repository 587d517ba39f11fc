//! The kinds of rows: one file for each with its columns, its statements, its reading and its
//! writing; here what all of them share.

pub(crate) mod account;
pub(crate) mod challenge;
pub(crate) mod idempotency;
pub(crate) mod intent;
pub(crate) mod room;
pub(crate) mod seat;
pub(crate) mod service;

use std::collections::BTreeSet;

use session_core::changeset::{Key, Put, Rejection, Row, Version};
use session_core::ports::{CommitError, StoreError, StoredRow};
use session_core::types::encode_hex;
use sqlx::SqliteConnection;

use crate::columns::Columns;
use crate::statement::{Parameters, account_name, execute, fetch};

/// The statements of one kind of row.
pub(crate) struct Statements {
    /// Reads the rows whose names are in a JSON list: `$1`.
    pub(crate) by_names: &'static str,
    /// The row's [`values`], then its version.
    pub(crate) insert: &'static str,
    /// The same, then the version that is replaced.
    pub(crate) update: &'static str,
    /// The parts of the row's [`name`], then the version that goes away.
    pub(crate) delete: &'static str,
}

/// The kinds of rows, in the order of [`Key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Account,
    Challenge,
    Idempotency,
    Intent,
    Room,
    Seat,
    Service,
}

impl Kind {
    pub(crate) const fn of(key: &Key) -> Self {
        match key {
            Key::Account(_) => Self::Account,
            Key::Challenge(_) => Self::Challenge,
            Key::Idempotency(_) => Self::Idempotency,
            Key::Intent(_) => Self::Intent,
            Key::Room(_) => Self::Room,
            Key::Seat(_) => Self::Seat,
            Key::Service(()) => Self::Service,
        }
    }

    pub(crate) const fn statements(self) -> &'static Statements {
        match self {
            Self::Account => &account::STATEMENTS,
            Self::Challenge => &challenge::STATEMENTS,
            Self::Idempotency => &idempotency::STATEMENTS,
            Self::Intent => &intent::STATEMENTS,
            Self::Room => &room::STATEMENTS,
            Self::Seat => &seat::STATEMENTS,
            Self::Service => &service::STATEMENTS,
        }
    }

    /// The row that the columns of this kind hold.
    fn decode(self, columns: Columns<'_>) -> Result<StoredRow, StoreError> {
        let row = match self {
            Self::Account => account::decode(columns)?.into(),
            Self::Challenge => challenge::decode(columns)?.into(),
            Self::Idempotency => idempotency::decode(columns)?.into(),
            Self::Intent => intent::decode(columns)?.into(),
            Self::Room => room::decode(columns)?.into(),
            Self::Seat => seat::decode(columns)?.into(),
            Self::Service => service::decode(columns)?.into(),
        };
        Ok(StoredRow {
            version: columns.version()?,
            row,
        })
    }
}

/// The rows of these names, those that there are.
pub(crate) async fn load(
    connection: &mut SqliteConnection,
    keys: &BTreeSet<Key>,
) -> Result<Vec<StoredRow>, StoreError> {
    let sorted: Vec<&Key> = keys.iter().collect();
    let mut found = Vec::with_capacity(sorted.len());
    // Keys sort by kind first, so that each kind is one statement.
    for same in sorted.chunk_by(|a, b| Kind::of(a) == Kind::of(b)) {
        let Some(kind) = same.first().map(|key| Kind::of(key)) else {
            continue;
        };
        let names: Vec<Vec<String>> = same.iter().map(|key| name(key)).collect();
        let by_names = kind.statements().by_names;
        found.extend(list(connection, kind, by_names, Parameters::list(&names)).await?);
    }
    Ok(found)
}

/// The rows that a statement finds, all of one kind, in the statement's order.
pub(crate) async fn list(
    connection: &mut SqliteConnection,
    kind: Kind,
    statement: &'static str,
    parameters: Parameters,
) -> Result<Vec<StoredRow>, StoreError> {
    let found = fetch(connection, statement, parameters).await?;
    found.iter().map(|row| kind.decode(Columns(row))).collect()
}

/// Writes a row that is not there, at its version.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    put: &Put,
) -> Result<(), CommitError> {
    let key = put.row.key();
    let parameters = values(&put.row).version(put.version);
    execute(
        connection,
        &key,
        Kind::of(&key).statements().insert,
        parameters,
    )
    .await?;
    Ok(())
}

/// Writes another state of a row that is there at version `replaced`.
pub(crate) async fn update(
    connection: &mut SqliteConnection,
    put: &Put,
    replaced: Version,
) -> Result<(), CommitError> {
    let key = put.row.key();
    let parameters = values(&put.row).version(put.version).version(replaced);
    let rows = execute(
        connection,
        &key,
        Kind::of(&key).statements().update,
        parameters,
    )
    .await?;
    exactly_one(key, rows)
}

/// Takes away a row that is there at version `gone`.
pub(crate) async fn delete(
    connection: &mut SqliteConnection,
    key: &Key,
    gone: Version,
) -> Result<(), CommitError> {
    let named = name(key)
        .into_iter()
        .fold(Parameters::new(), Parameters::text);
    let parameters = named.version(gone);
    let rows = execute(
        connection,
        key,
        Kind::of(key).statements().delete,
        parameters,
    )
    .await?;
    exactly_one(key.clone(), rows)
}

/// The columns that name a row, in the order in which the kind's statements have them.
fn name(key: &Key) -> Vec<String> {
    match key {
        Key::Account(key) => account_name(key).into(),
        Key::Challenge(key) => vec![key.wallet.to_string(), encode_hex(&key.nonce)],
        Key::Idempotency(key) => {
            vec![key.caller.to_string(), key.command.clone(), key.key.clone()]
        }
        Key::Intent(key) => vec![key.to_string()],
        Key::Room(id) => vec![id.to_string()],
        Key::Seat(connection) => vec![connection.to_string()],
        Key::Service(()) => Vec::new(),
    }
}

/// The columns of a row but for its version, those that name it first.
fn values(row: &Row) -> Parameters {
    match row {
        Row::Account(account) => account::values(account),
        Row::Challenge(challenge) => challenge::values(challenge),
        Row::Idempotency(record) => idempotency::values(record),
        Row::Intent(intent) => intent::values(intent),
        Row::Room(room) => room::values(room),
        Row::Seat(seat) => seat::values(seat),
        Row::Service(service) => service::values(service),
    }
}

/// The version was compared within the same transaction, so this can only be a fault of ours; but
/// a write that misses must never pass for one that hit.
fn exactly_one(key: Key, rows: u64) -> Result<(), CommitError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(Rejection::Conflict(key).into())
    }
}
