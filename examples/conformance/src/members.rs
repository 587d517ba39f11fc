//! Reading recorded objects member by member, so that nothing in them goes unnoticed.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::report::{Difference, Verdict, shown};

/// Members that hold prose, or tell about other implementations.
const PROSE: [&str; 11] = [
    "about",
    "comment",
    "defect",
    "id",
    "name",
    "new_server",
    "note",
    "official_call",
    "official_node",
    "title",
    "why",
];

/// The members of one recorded object. Whoever is done reading calls
/// [`finish`](Members::finish), which refuses an object with members that nobody asked for: they
/// might say something that changes what is right.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    object: &'a Map<String, Value>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Members<'a> {
    /// The members of an object.
    ///
    /// # Errors
    /// [`Difference`] for a value of another kind.
    pub(crate) fn of(value: &'a Value) -> Result<Self, Difference> {
        match value {
            Value::Object(object) => Ok(Self {
                object,
                asked: RefCell::default(),
            }),
            other => Err(Difference::not_understood(format!(
                "{} is no object",
                shown(other)
            ))),
        }
    }

    /// A member that may be absent. `null` is a value.
    pub(crate) fn optional(&self, name: &'static str) -> Option<&'a Value> {
        self.asked.borrow_mut().insert(name);
        self.object.get(name)
    }

    /// A member that must be there.
    ///
    /// # Errors
    /// [`Difference`] where it is absent.
    pub(crate) fn value(&self, name: &'static str) -> Result<&'a Value, Difference> {
        let found = self.optional(name);
        found.ok_or_else(|| Difference::not_understood(format!("member {name} is missing")))
    }

    /// A text.
    ///
    /// # Errors
    /// [`Difference`] where it is absent or no text.
    pub(crate) fn text(&self, name: &'static str) -> Result<&'a str, Difference> {
        let value = self.value(name)?;
        value
            .as_str()
            .ok_or_else(|| wrong_kind(name, value, "a text"))
    }

    /// A text that may be absent.
    ///
    /// # Errors
    /// [`Difference`] where it is there and no text.
    pub(crate) fn optional_text(&self, name: &'static str) -> Result<Option<&'a str>, Difference> {
        self.optional(name).map(|_| self.text(name)).transpose()
    }

    /// A yes or no.
    ///
    /// # Errors
    /// [`Difference`] where it is absent or something else.
    pub(crate) fn boolean(&self, name: &'static str) -> Result<bool, Difference> {
        let value = self.value(name)?;
        value
            .as_bool()
            .ok_or_else(|| wrong_kind(name, value, "true or false"))
    }

    /// An integer that fits a type.
    ///
    /// # Errors
    /// [`Difference`] where it is absent, no integer, or out of range.
    pub(crate) fn integer<T: TryFrom<i128>>(&self, name: &'static str) -> Result<T, Difference> {
        let value = self.value(name)?;
        let integer = integer_of(value).and_then(|integer| T::try_from(integer).ok());
        integer.ok_or_else(|| wrong_kind(name, value, "an integer in range"))
    }

    /// An object that may be absent; absent is empty.
    ///
    /// # Errors
    /// [`Difference`] where it is there and no object.
    pub(crate) fn entries(
        &self,
        name: &'static str,
    ) -> Result<Vec<(&'a str, &'a Value)>, Difference> {
        match self.optional(name) {
            None => Ok(Vec::new()),
            Some(Value::Object(object)) => Ok(object
                .iter()
                .map(|(key, value)| (key.as_str(), value))
                .collect()),
            Some(other) => Err(wrong_kind(name, other, "an object")),
        }
    }

    /// A list that may be absent; absent is empty.
    ///
    /// # Errors
    /// [`Difference`] where it is there and no list.
    pub(crate) fn list(&self, name: &'static str) -> Result<&'a [Value], Difference> {
        match self.optional(name) {
            None => Ok(&[]),
            Some(Value::Array(list)) => Ok(list),
            Some(other) => Err(wrong_kind(name, other, "a list")),
        }
    }

    /// Refuses an object of which something was not asked for.
    ///
    /// # Errors
    /// [`Difference`], naming the first such member.
    pub(crate) fn finish(&self) -> Verdict {
        let asked = self.asked.borrow();
        let is_known = |name: &str| asked.contains(name) || PROSE.contains(&name);
        match self.object.keys().find(|name| !is_known(name)) {
            Some(name) => Err(Difference::not_understood(format!("member {name}"))),
            None => Ok(()),
        }
    }
}

/// An integer of the record, whatever its width.
pub(crate) fn integer_of(value: &Value) -> Option<i128> {
    value
        .as_u64()
        .map(i128::from)
        .or_else(|| value.as_i64().map(i128::from))
}

fn wrong_kind(name: &str, value: &Value, wanted: &str) -> Difference {
    Difference::not_understood(format!("member {name} is {}, not {wanted}", shown(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_member_that_nobody_asked_for_is_refused_unless_it_is_prose() {
        let value = json!({"now": 5, "note": "prose"});
        let members = Members::of(&value).unwrap();
        assert!(members.finish().is_err());
        assert_eq!(members.integer::<u32>("now"), Ok(5));
        assert_eq!(members.finish(), Ok(()));
    }

    #[test]
    fn wrong_kinds_and_numbers_out_of_range_are_refused() {
        let value = json!({"a": -1, "b": 1.5, "c": 4_294_967_296_u64, "d": "5", "e": null});
        let members = Members::of(&value).unwrap();
        for name in ["a", "b", "c", "d", "e", "f"] {
            assert!(members.integer::<u32>(name).is_err(), "{name}");
        }
        assert_eq!(members.integer::<i16>("a"), Ok(-1));
        assert!(members.text("e").is_err());
        assert_eq!(members.optional_text("f"), Ok(None));
        assert!(members.list("d").is_err());
        assert!(Members::of(&json!([])).is_err());
    }
}
