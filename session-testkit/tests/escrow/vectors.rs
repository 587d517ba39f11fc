//! The cases of `vectors/settlement.json` that say something about the contracts.

use revm::primitives::{Address, B256, U256};
use serde_json::Value;
use session_core::types::decode_hex;

/// The cases of one section, each with its name.
pub(crate) fn section(name: &str) -> Vec<(String, Value)> {
    let file: Value =
        serde_json::from_str(include_str!("../../../vectors/settlement.json")).unwrap();
    let cases = file[name].as_array().unwrap();
    assert!(!cases.is_empty());
    cases
        .iter()
        .map(|case| (text(&case["id"]).to_owned(), case.clone()))
        .collect()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    decode_hex(text(value).strip_prefix("0x").unwrap()).unwrap()
}

/// A number: as one, as decimal digits, or as bytes of an address or a hash.
pub(crate) fn word(value: &Value) -> U256 {
    match value {
        Value::Number(number) => U256::from(number.as_u64().unwrap()),
        Value::String(digits) if digits.starts_with("0x") => U256::from_be_slice(&bytes(value)),
        Value::String(digits) => digits.parse().unwrap(),
        other => panic!("no number: {other}"),
    }
}

pub(crate) fn address(value: &Value) -> Address {
    Address::from_slice(&bytes(value))
}

pub(crate) fn hash(value: &Value) -> B256 {
    B256::from_slice(&bytes(value))
}

/// The number of an outcome in the contract, of its word.
pub(crate) fn outcome(value: &Value) -> u64 {
    let outcome: session_core::escrow::Outcome = text(value).parse().unwrap();
    outcome.code().into()
}
