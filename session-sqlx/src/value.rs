//! What goes into columns and comes out of them, whatever the database.

use std::fmt::Display;

use serde::Serialize;
use session_core::changeset::{Rejection, Version};
use session_core::ledger::{AccountKey, Owner};
use session_core::types::Timestamp;

use crate::names::Named;

/// What one column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Number(i64),
    Text(String),
    /// What no column of ours holds, in a file that somebody else has written to.
    Odd,
}

/// The types of columns: both databases have these two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Number,
    Text,
}

/// One row of values.
pub(crate) type Tuple = Vec<Value>;

/// A row of values in the making. What no column can hold is refused when it is
/// [finished](Self::finish), before anything is written.
#[derive(Debug, Default)]
pub(crate) struct Values {
    tuple: Tuple,
    fault: Option<&'static str>,
}

impl Values {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The text form of a value.
    pub(crate) fn text(self, value: impl Display) -> Self {
        self.add(Value::Text(value.to_string()))
    }

    /// The text form of a value that may be missing.
    pub(crate) fn text_or_null(self, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.text(value),
            None => self.add(Value::Null),
        }
    }

    /// The stable name of a value.
    pub(crate) fn name(self, value: impl Named) -> Self {
        self.text(value.name())
    }

    /// The stable name of a value that may be missing.
    pub(crate) fn name_or_null(self, value: Option<impl Named>) -> Self {
        self.text_or_null(value.map(Named::name))
    }

    /// A value as JSON.
    pub(crate) fn json(mut self, value: &impl Serialize) -> Self {
        match serde_json::to_string(value) {
            Ok(text) => self.add(Value::Text(text)),
            Err(_) => {
                self.fault = Some("a part has no form as JSON");
                self
            }
        }
    }

    /// A number.
    pub(crate) fn number(mut self, value: u64) -> Self {
        match i64::try_from(value) {
            Ok(number) => self.add(Value::Number(number)),
            Err(_) => {
                self.fault = Some("a number is beyond what a column holds");
                self
            }
        }
    }

    pub(crate) fn null(self) -> Self {
        self.add(Value::Null)
    }

    pub(crate) fn flag(self, value: bool) -> Self {
        self.number(value.into())
    }

    pub(crate) fn time(self, value: Timestamp) -> Self {
        self.number(value.unix())
    }

    pub(crate) fn time_or_null(self, value: Option<Timestamp>) -> Self {
        match value {
            Some(at) => self.time(at),
            None => self.add(Value::Null),
        }
    }

    pub(crate) fn version(self, value: Version) -> Self {
        self.number(value.get())
    }

    /// The columns that name an account: kind, unit, owner.
    pub(crate) fn account(self, key: &AccountKey) -> Self {
        let named = self.text(key.kind.name()).text(key.unit.name());
        match key.owner {
            Owner::House => named.text("house"),
            Owner::Wallet(wallet) => named.text(wallet),
        }
    }

    /// The row.
    ///
    /// # Errors
    /// [`Rejection::Malformed`] where some value fits no column.
    pub(crate) fn finish(self) -> Result<Tuple, Rejection> {
        match self.fault {
            None => Ok(self.tuple),
            Some(fault) => Err(Rejection::Malformed(fault)),
        }
    }

    fn add(mut self, value: Value) -> Self {
        // One database would keep it, the other would refuse the whole statement.
        if matches!(&value, Value::Text(text) if text.contains('\0')) {
            self.fault = Some("a text holds a character that no column holds");
        }
        self.tuple.push(value);
        self
    }
}
