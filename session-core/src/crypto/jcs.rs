//! The one text of a JSON value (RFC 8785, for values whose numbers are integers).

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value;

/// JSON without white space, members sorted by name whatever the order in which a value keeps them.
///
/// Names are sorted as RFC 8785 wants them as long as they are ASCII, as all of ours are.
pub(crate) fn canonical_json(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(canonical_json).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(members) => {
            let sorted: BTreeMap<&String, &Value> = members.iter().collect();
            let members: Vec<String> = sorted
                .into_iter()
                .map(|(name, member)| {
                    format!("{}:{}", Value::from(name.as_str()), canonical_json(member))
                })
                .collect();
            format!("{{{}}}", members.join(","))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            alloc::string::ToString::to_string(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_sorted_however_a_value_keeps_them() {
        let text = r#"{"b":[1,null,{"z":true,"a":"\n\"\u0001é"}],"a":{}}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let sorted = r#"{"a":{},"b":[1,null,{"a":"\n\"\u0001é","z":true}]}"#;
        assert_eq!(canonical_json(&value), sorted);
    }
}
