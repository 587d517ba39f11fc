//! Values on their way out of columns. A column that no value is written as is corrupt.

use std::str::FromStr;

use serde::de::DeserializeOwned;
use session_core::changeset::Version;
use session_core::ledger::AccountKey;
use session_core::ports::StoreError;
use session_core::types::{Seconds, Timestamp};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

use crate::error::{corrupt, store_error};
use crate::names::Named;

/// The columns of one row that was found.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'r>(pub(crate) &'r SqliteRow);

impl<'r> Columns<'r> {
    pub(crate) fn text(self, column: &'static str) -> Result<&'r str, StoreError> {
        self.get(column)
    }

    /// A text that a value was written as.
    pub(crate) fn parsed<T: FromStr>(self, column: &'static str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| odd(column))
    }

    pub(crate) fn parsed_or_null<T: FromStr>(
        self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| text.parse().map_err(|_| odd(column)))
            .transpose()
    }

    pub(crate) fn named<T: Named>(self, column: &'static str) -> Result<T, StoreError> {
        T::from_name(self.text(column)?).ok_or_else(|| odd(column))
    }

    pub(crate) fn named_or_null<T: Named>(
        self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let name: Option<&str> = self.get(column)?;
        name.map(|name| T::from_name(name).ok_or_else(|| odd(column)))
            .transpose()
    }

    pub(crate) fn json<T: DeserializeOwned>(self, column: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(self.text(column)?).map_err(|_| odd(column))
    }

    /// A number of whatever width the value has.
    pub(crate) fn number<T: TryFrom<i64>>(self, column: &'static str) -> Result<T, StoreError> {
        let number: i64 = self.get(column)?;
        T::try_from(number).map_err(|_| odd(column))
    }

    pub(crate) fn seconds(self, column: &'static str) -> Result<Seconds, StoreError> {
        self.number(column).map(Seconds::new)
    }

    pub(crate) fn flag(self, column: &'static str) -> Result<bool, StoreError> {
        match self.number(column)? {
            0u8 => Ok(false),
            1 => Ok(true),
            _ => Err(odd(column)),
        }
    }

    pub(crate) fn time(self, column: &'static str) -> Result<Timestamp, StoreError> {
        let unix: u64 = self.number(column)?;
        exact_time(unix).ok_or_else(|| odd(column))
    }

    pub(crate) fn time_or_null(
        self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let unix: Option<i64> = self.get(column)?;
        unix.map(|unix| {
            u64::try_from(unix)
                .ok()
                .and_then(exact_time)
                .ok_or_else(|| odd(column))
        })
        .transpose()
    }

    pub(crate) fn version(self) -> Result<Version, StoreError> {
        self.number("version").map(Version::new)
    }

    /// An account that is named by three columns.
    pub(crate) fn account(
        self,
        kind: &'static str,
        unit: &'static str,
        owner: &'static str,
    ) -> Result<AccountKey, StoreError> {
        // The form that session-core keeps account names in.
        let name = [self.text(kind)?, self.text(unit)?, self.text(owner)?].join("/");
        name.parse().map_err(|_| odd(kind))
    }

    fn get<T: Decode<'r, Sqlite> + Type<Sqlite>>(
        self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        self.0.try_get(column).map_err(store_error)
    }
}

/// Instants beyond the last are moved to it; a column that holds one was not written by us.
fn exact_time(unix: u64) -> Option<Timestamp> {
    let at = Timestamp::from_unix(unix);
    (at.unix() == unix).then_some(at)
}

fn odd(column: &'static str) -> StoreError {
    corrupt(["column ", column, " holds what no value is written as"].concat())
}
