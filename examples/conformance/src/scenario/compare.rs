//! Comparing a body with the recorded one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::rule::{self, Surroundings};
use crate::report::{Difference, shown};

/// Members of an error body that are the house's own.
const ERROR_EXTRAS: [&str; 5] = ["code", "details", "message", "request_id", "retry_at"];

/// Which members an answer may have that the record does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extras {
    /// Any.
    Free,
    /// Those that the house adds to an answer of this kind.
    House { is_error: bool, is_leave: bool },
}

/// Compares a body with what is expected, whose templates are filled.
pub(super) fn compare(
    expected: &Value,
    body: &Value,
    extras: Extras,
    rules: &BTreeMap<String, String>,
    around: &Surroundings<'_>,
) -> Vec<Difference> {
    let mut comparison = Comparison {
        extras,
        rules,
        around,
        judged: BTreeSet::new(),
        differences: Vec::new(),
    };
    comparison.walk("", expected, body);
    // Where only some members are asked for, the rules of the others do not count.
    if extras != Extras::Free {
        comparison.judge_the_rest(body);
    }
    comparison.differences
}

struct Comparison<'a> {
    extras: Extras,
    rules: &'a BTreeMap<String, String>,
    around: &'a Surroundings<'a>,
    judged: BTreeSet<String>,
    differences: Vec<Difference>,
}

impl Comparison<'_> {
    fn walk(&mut self, pointer: &str, expected: &Value, got: &Value) {
        if self.judge(pointer, got) {
            return;
        }
        match (expected, got) {
            (Value::Object(expected), Value::Object(got)) => {
                self.walk_object(pointer, expected, got);
            }
            (Value::Array(expected), Value::Array(got)) => {
                if expected.len() != got.len() {
                    let [wanted, length] = [expected, got].map(|list| list.len());
                    let place = format!("{} (length)", shown_pointer(pointer));
                    self.differences
                        .push(Difference::between(place, wanted, length));
                }
                for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                    self.walk(&format!("{pointer}/{index}"), expected, got);
                }
            }
            (expected, got) if expected == got => {}
            (expected, got) => self.differ(pointer, shown(expected), shown(got)),
        }
    }

    fn walk_object(
        &mut self,
        pointer: &str,
        expected: &Map<String, Value>,
        got: &Map<String, Value>,
    ) {
        for (name, value) in expected {
            let pointer = below(pointer, name);
            match got.get(name) {
                Some(got) => self.walk(&pointer, value, got),
                None => {
                    self.judged.insert(pointer.clone());
                    self.differ(&pointer, shown(value), "no such member".to_owned());
                }
            }
        }
        for (name, value) in got.iter().filter(|(name, _)| !expected.contains_key(*name)) {
            let own = below(pointer, name);
            let is_asked_for = self.rules.contains_key(&own);
            if !is_asked_for && !self.extras.allow(pointer, name, got) {
                self.differ(&own, "no such member".to_owned(), shown(value));
            }
        }
    }

    /// Whether a rule judged the value at a pointer.
    fn judge(&mut self, pointer: &str, got: &Value) -> bool {
        let Some(text) = self.rules.get(pointer) else {
            return false;
        };
        self.judged.insert(pointer.to_owned());
        self.differences
            .extend(rule::check(text, pointer, got, self.around).err());
        true
    }

    fn judge_the_rest(&mut self, body: &Value) {
        for (pointer, text) in self.rules {
            if self.judged.contains(pointer) {
                continue;
            }
            match body.pointer(pointer) {
                Some(got) => {
                    self.judge(pointer, got);
                }
                None => self.differ(pointer, text.clone(), "no such member".to_owned()),
            }
        }
    }

    fn differ(&mut self, pointer: &str, expected: String, got: String) {
        self.differences
            .push(Difference::between(shown_pointer(pointer), expected, got));
    }
}

impl Extras {
    fn allow(self, pointer: &str, name: &str, siblings: &Map<String, Value>) -> bool {
        match self {
            Self::Free => true,
            Self::House { is_error, is_leave } => {
                let is_top = pointer.is_empty();
                let is_of_error =
                    is_error && siblings.contains_key("error") && ERROR_EXTRAS.contains(&name);
                // Other media vendors put what their clients need beside the recorded token.
                let is_media = name == "media" && siblings.contains_key("agora_token");
                is_top && (is_of_error || is_leave && name == "receipt") || is_media
            }
        }
    }
}

/// The pointer of a member.
fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn shown_pointer(pointer: &str) -> &str {
    if pointer.is_empty() { "body" } else { pointer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::config::Config;
    use crate::scenario::media::Seat;
    use crate::scenario::template::Scope;
    use serde_json::json;
    use session_core::types::Timestamp;

    const HOUSE: Extras = Extras::House {
        is_error: false,
        is_leave: false,
    };

    #[allow(clippy::needless_pass_by_value, reason = "callers write literals")]
    fn differences(expected: Value, got: Value, extras: Extras, rules: Value) -> Vec<String> {
        let config = Config::read(None).unwrap();
        let (accounts, vars) = (BTreeMap::new(), BTreeMap::new());
        let now = Timestamp::EPOCH;
        let scope = Scope {
            accounts: &accounts,
            vars: &vars,
            jwt_secret: "",
            now,
        };
        let around = Surroundings {
            scope,
            config: &config,
            body: &got,
            seat: &Seat::default(),
        };
        let rules: BTreeMap<String, String> = serde_json::from_value(rules).unwrap();
        let found = compare(&expected, &got, extras, &rules, &around);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_member_counts_however_deep() {
        let expected = json!({"a": {"b": [1, {"c": null}]}, "d/e": "x"});
        assert!(differences(expected.clone(), expected.clone(), HOUSE, json!({})).is_empty());
        let got = json!({"a": {"b": [1, {"c": 0, "f": 1}, 2]}});
        assert_eq!(
            differences(expected, got, HOUSE, json!({})),
            [
                "/a/b (length): expected 2, got 3",
                "/a/b/1/c: expected null, got 0",
                "/a/b/1/f: expected no such member, got 1",
                "/d~1e: expected \"x\", got no such member",
            ]
        );
    }

    #[test]
    fn a_rule_stands_instead_of_equality_and_cannot_be_evaded() {
        let rules = json!({"/n": "range:1..3"});
        assert!(differences(json!({"n": 9}), json!({"n": 2}), HOUSE, rules.clone()).is_empty());
        assert_eq!(
            differences(json!({"n": 2}), json!({"n": 9}), HOUSE, rules.clone()),
            ["/n: expected range:1..3, got 9"]
        );
        assert_eq!(
            differences(json!({"n": 2}), json!({}), HOUSE, rules.clone()).len(),
            1
        );
        assert_eq!(
            differences(json!({}), json!({}), HOUSE, rules.clone()).len(),
            1
        );
        assert!(differences(json!({}), json!({"n": 2}), HOUSE, rules).is_empty());
    }

    #[test]
    fn the_house_adds_members_to_errors_leaves_and_tokens_only() {
        let error = json!({"error": "x"});
        let told = json!({"error": "x", "code": "x", "message": "", "request_id": "", "retry_at": 1, "details": {}});
        let of_error = Extras::House {
            is_error: true,
            is_leave: false,
        };
        let of_leave = Extras::House {
            is_error: false,
            is_leave: true,
        };
        assert!(differences(error.clone(), told.clone(), of_error, json!({})).is_empty());
        assert_eq!(differences(error, told, HOUSE, json!({})).len(), 5);
        let [ok, with_receipt] = [json!({"ok": true}), json!({"ok": true, "receipt": "r"})];
        assert!(differences(ok.clone(), with_receipt.clone(), of_leave, json!({})).is_empty());
        assert_eq!(differences(ok, with_receipt, of_error, json!({})).len(), 1);
        let [bare, with_media] = [
            json!({"agora_token": ""}),
            json!({"agora_token": "", "media": {}}),
        ];
        assert!(differences(bare, with_media, HOUSE, json!({})).is_empty());
        assert_eq!(
            differences(json!({}), json!({"media": {}}), HOUSE, json!({})).len(),
            1
        );
    }

    #[test]
    fn free_members_are_free_and_named_ones_are_not() {
        let rules = json!({"/other": "uuid4"});
        let got = json!({"a": {"b": 1, "c": 2}, "other": 5});
        assert!(
            differences(
                json!({"a": {"b": 1}}),
                got.clone(),
                Extras::Free,
                rules.clone()
            )
            .is_empty()
        );
        assert_eq!(
            differences(json!({"a": {"b": 2}}), got, Extras::Free, rules).len(),
            1
        );
    }
}
