//! Statements: their parameters, and how they are executed. A number that a column cannot hold is
//! refused before anything is written.

use std::fmt::Display;

use serde::Serialize;
use session_core::changeset::{Key, Rejection, Version};
use session_core::ledger::{AccountKey, Owner};
use session_core::ports::{CommitError, StoreError};
use session_core::types::Timestamp;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Encode, Sqlite, SqliteConnection, Type};

use crate::error::{corrupt, store_error, write_error};
use crate::names::Named;

/// What a statement finds.
pub(crate) async fn fetch(
    connection: &mut SqliteConnection,
    statement: &'static str,
    parameters: Parameters,
) -> Result<Vec<SqliteRow>, StoreError> {
    let arguments = parameters
        .finish()
        .map_err(|why| corrupt(why.to_string()))?;
    sqlx::query_with(statement, arguments)
        .fetch_all(connection)
        .await
        .map_err(store_error)
}

/// Executes a statement that writes on behalf of a row. How many rows it wrote.
pub(crate) async fn execute(
    connection: &mut SqliteConnection,
    key: &Key,
    statement: &'static str,
    parameters: Parameters,
) -> Result<u64, CommitError> {
    let done = sqlx::query_with(statement, parameters.finish()?)
        .execute(connection)
        .await;
    Ok(done
        .map_err(|error| write_error(key, error))?
        .rows_affected())
}

/// The parameters of one statement, in order.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    arguments: SqliteArguments,
    fault: Option<&'static str>,
}

impl Parameters {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One parameter: a list, for statements that join it.
    pub(crate) fn list(names: &impl Serialize) -> Self {
        Self::new().json(names)
    }

    /// The text form of a value.
    pub(crate) fn text(self, value: impl Display) -> Self {
        self.add(value.to_string())
    }

    /// The text form of a value that may be missing.
    pub(crate) fn text_or_null(self, value: Option<impl Display>) -> Self {
        self.add(value.map(|value| value.to_string()))
    }

    /// The stable name of a value.
    pub(crate) fn name(self, value: impl Named) -> Self {
        self.add(value.name())
    }

    /// The stable name of a value that may be missing.
    pub(crate) fn name_or_null(self, value: Option<impl Named>) -> Self {
        self.add(value.map(Named::name))
    }

    /// A value as JSON.
    pub(crate) fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => self.add(text),
            Err(_) => {
                self.fault = Some("a part has no form as JSON");
                self
            }
        }
    }

    /// A number.
    pub(crate) fn number(mut self, value: u64) -> Self {
        match i64::try_from(value) {
            Ok(number) => self.add(number),
            Err(_) => {
                self.fault = Some("a number is beyond what a column holds");
                self
            }
        }
    }

    /// The columns that name an account: kind, unit, owner.
    pub(crate) fn account(self, key: &AccountKey) -> Self {
        account_name(key).into_iter().fold(self, Self::text)
    }

    pub(crate) fn flag(self, value: bool) -> Self {
        self.add(i64::from(value))
    }

    pub(crate) fn time(self, value: Timestamp) -> Self {
        self.number(value.unix())
    }

    pub(crate) fn time_or_null(self, value: Option<Timestamp>) -> Self {
        match value {
            Some(at) => self.time(at),
            None => self.add(None::<i64>),
        }
    }

    pub(crate) fn version(self, value: Version) -> Self {
        self.number(value.get())
    }

    pub(crate) fn finish(self) -> Result<SqliteArguments, Rejection> {
        match self.fault {
            None => Ok(self.arguments),
            Some(fault) => Err(Rejection::Malformed(fault)),
        }
    }

    fn add<'q>(mut self, value: impl Encode<'q, Sqlite> + Type<Sqlite>) -> Self {
        if self.arguments.add(value).is_err() {
            self.fault = Some("a value has no form in its column");
        }
        self
    }
}

/// The columns that name an account: kind, unit, owner.
pub(crate) fn account_name(key: &AccountKey) -> [String; 3] {
    let owner = match key.owner {
        Owner::House => "house".to_owned(),
        Owner::Wallet(wallet) => wallet.to_string(),
    };
    [
        key.kind.name().to_owned(),
        key.unit.name().to_owned(),
        owner,
    ]
}
