//! Values on their way out of columns. A column that no value is written as is corrupt.

use std::cell::Cell;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use session_core::changeset::Version;
use session_core::ledger::AccountKey;
use session_core::ports::StoreError;
use session_core::types::{Seconds, Timestamp, decode_hex_array};

use crate::error::corrupt;
use crate::names::Named;
use crate::value::Value;

/// The columns of one row that was found, by name.
pub(crate) struct Columns<'r> {
    names: &'static [&'static str],
    values: &'r [Value],
    /// Readers ask in the order of the columns, nearly always.
    next: Cell<usize>,
}

impl<'r> Columns<'r> {
    pub(crate) const fn new(names: &'static [&'static str], values: &'r [Value]) -> Self {
        Self {
            names,
            values,
            next: Cell::new(0),
        }
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<&'r str, StoreError> {
        self.text_if_there(column)?.ok_or_else(|| odd(column))
    }

    /// A text that a value was written as.
    pub(crate) fn parsed<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        self.text(column)?.parse().map_err(|_| odd(column))
    }

    pub(crate) fn parsed_or_null<T: FromStr>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let text = self.text_if_there(column)?;
        text.map(|text| text.parse().map_err(|_| odd(column)))
            .transpose()
    }

    pub(crate) fn named<T: Named>(&self, column: &'static str) -> Result<T, StoreError> {
        T::from_name(self.text(column)?).ok_or_else(|| odd(column))
    }

    pub(crate) fn named_or_null<T: Named>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let name = self.text_if_there(column)?;
        name.map(|name| T::from_name(name).ok_or_else(|| odd(column)))
            .transpose()
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(self.text(column)?).map_err(|_| odd(column))
    }

    /// Thirty-two bytes in hexadecimal digits.
    pub(crate) fn hash(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        decode_hex_array(self.text(column)?).map_err(|_| odd(column))
    }

    /// A number of whatever width the value has.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let number = self.number_if_there(column)?.ok_or_else(|| odd(column))?;
        T::try_from(number).map_err(|_| odd(column))
    }

    pub(crate) fn seconds(&self, column: &'static str) -> Result<Seconds, StoreError> {
        self.number(column).map(Seconds::new)
    }

    pub(crate) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        match self.number(column)? {
            0u8 => Ok(false),
            1 => Ok(true),
            _ => Err(odd(column)),
        }
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.time_or_null(column)?.ok_or_else(|| odd(column))
    }

    pub(crate) fn time_or_null(
        &self,
        column: &'static str,
    ) -> Result<Option<Timestamp>, StoreError> {
        let unix = self.number_if_there(column)?;
        unix.map(|unix| {
            u64::try_from(unix)
                .ok()
                .and_then(exact_time)
                .ok_or_else(|| odd(column))
        })
        .transpose()
    }

    pub(crate) fn version(&self) -> Result<Version, StoreError> {
        self.number("version").map(Version::new)
    }

    /// An account that is named by three columns.
    pub(crate) fn account(
        &self,
        kind: &'static str,
        unit: &'static str,
        owner: &'static str,
    ) -> Result<AccountKey, StoreError> {
        // The form that session-core keeps account names in.
        let name = [self.text(kind)?, self.text(unit)?, self.text(owner)?].join("/");
        name.parse().map_err(|_| odd(kind))
    }

    fn text_if_there(&self, column: &'static str) -> Result<Option<&'r str>, StoreError> {
        match self.get(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Number(_) | Value::Odd => Err(odd(column)),
        }
    }

    fn number_if_there(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        match self.get(column)? {
            Value::Null => Ok(None),
            Value::Number(number) => Ok(Some(*number)),
            // Where rows of several kinds come in one list, all of their columns are texts.
            Value::Text(text) => text.parse().map(Some).map_err(|_| odd(column)),
            Value::Odd => Err(odd(column)),
        }
    }

    fn get(&self, column: &'static str) -> Result<&'r Value, StoreError> {
        let mut index = self.next.get();
        if self.names.get(index) != Some(&column) {
            let found = self.names.iter().position(|name| *name == column);
            index = found.ok_or_else(|| odd(column))?;
        }
        self.next.set(index.saturating_add(1));
        self.values.get(index).ok_or_else(|| odd(column))
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
