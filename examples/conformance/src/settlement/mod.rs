//! The vectors of escrows: the words of their contracts, statements of both parties, payouts, and
//! what the service attests.

mod abi;
pub(crate) mod attestation;
mod eip712;
mod payout;

use std::fmt::Debug;
use std::str::FromStr;

use serde_json::{Map, Value};
use session_core::types::{decode_hex, decode_hex_array, encode_hex};

use crate::case::Case;
use crate::report::{Difference, Verdict, shown};
use crate::shape::{name_of, unknown_section};

/// What such a file says that it is.
pub const FORMAT: &str = "settlement-vectors/1";

/// All cases of the sections.
pub(crate) fn cases(top: &Map<String, Value>) -> Vec<Case> {
    let cases = top
        .iter()
        .flat_map(|(section, value)| match (section.as_str(), value) {
            // They tell how the file was made and how to read it.
            ("format" | "notes" | "policy" | "units", _) => Vec::new(),
            ("abi", Value::Array(list)) => each(section, list, abi::check),
            ("attestation", Value::Array(list)) => each(section, list, attestation::decision),
            ("eip712_mutual_outcome", Value::Array(list)) => each(section, list, eip712::check),
            ("metrics_hash", Value::Array(list)) => each(section, list, attestation::metrics),
            ("payout", Value::Array(list)) => each(section, list, payout::check),
            ("submit_classification", Value::Array(list)) => {
                each(section, list, attestation::class)
            }
            _ => unknown_section(section, value),
        });
    cases.collect()
}

fn each(section: &str, list: &[Value], check: fn(&Value) -> Verdict) -> Vec<Case> {
    let case = |(value, index): (&Value, usize)| {
        let recorded = value.clone();
        Case::check(section, &name_of(value, index), move || check(&recorded))
    };
    list.iter().zip(0..).map(case).collect()
}

/// Whatever a record writes as a text of `0x` and digits, or as a number of decimal digits: those of
/// more than 32 bits may be texts.
///
/// # Errors
/// [`Difference`] for a value of another kind, or one that the type does not have.
fn parsed<T: FromStr<Err: Debug>>(name: &str, value: &Value) -> Result<T, Difference> {
    let refused = || Difference::not_understood(format!("member {name} is {}", shown(value)));
    let text = match value {
        Value::Number(number) => number.as_u64().ok_or_else(refused)?.to_string(),
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(refused());
        }
    };
    text.parse().map_err(|_| refused())
}

/// The digits behind `0x`.
fn digits<'a>(name: &str, value: &'a Value) -> Result<&'a str, Difference> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    digits.ok_or_else(|| Difference::not_understood(format!("member {name} is {}", shown(value))))
}

/// Bytes, as `0x` and digits.
fn bytes(name: &str, value: &Value) -> Result<Vec<u8>, Difference> {
    decode_hex(digits(name, value)?)
        .map_err(|error| Difference::not_understood(format!("member {name}: {error}")))
}

/// 32 bytes, as `0x` and digits.
fn word(name: &str, value: &Value) -> Result<[u8; 32], Difference> {
    decode_hex_array(digits(name, value)?)
        .map_err(|error| Difference::not_understood(format!("member {name}: {error}")))
}

/// What differs between bytes, as `0x` and digits.
fn same_bytes(place: &str, expected: &[u8], got: &[u8]) -> Verdict {
    if expected == got {
        return Ok(());
    }
    let [expected, got] = [expected, got].map(encode_hex);
    Err(Difference::between(
        place,
        format!("0x{expected}"),
        format!("0x{got}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::StoreKind;
    use serde_json::json;

    #[tokio::test]
    async fn a_section_that_nothing_looks_at_has_failed() {
        let file = json!({
            "format": FORMAT,
            "units": "prose",
            "attestation": [{"id": "a"}],
            "metrics_hash": [{"id": "b"}],
            "submit_classification": [{"id": "c"}],
            "later": [{"id": "d"}],
        });
        let mut names = Vec::new();
        for case in crate::shape::cases_of(&file) {
            assert!(case.work.run(&StoreKind::Memory).await.is_err());
            names.push(case.name);
        }
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "attestation/a",
                "later/d",
                "metrics_hash/b",
                "submit_classification/c"
            ]
        );
    }

    #[test]
    fn numbers_are_decimal_digits_in_either_kind() {
        assert_eq!(parsed::<u64>("n", &json!(7)), Ok(7));
        assert_eq!(parsed::<u64>("n", &json!("7")), Ok(7));
        for wrong in [json!(-7), json!(7.5), json!("0x7"), json!(null), json!([7])] {
            assert!(parsed::<u64>("n", &wrong).is_err(), "{wrong}");
        }
        assert!(parsed::<u8>("n", &json!(256)).is_err());
        assert!(word("w", &json!("0x00")).is_err());
        assert!(bytes("b", &json!("00")).is_err());
    }
}
