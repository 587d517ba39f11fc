//! The vectors of Agora's media tokens.
//!
//! The sections on notifications are not understood until there is something that takes them.

mod build;
mod input;
mod invalid;
mod legacy;
mod parse;

pub(crate) use build::{check_example, check_payload};
pub(crate) use input::{Input, Rtc, account_of_uid};

use serde_json::{Map, Value};

use crate::case::Case;
use crate::report::Verdict;
use crate::shape::{name_of, unknown_section};

/// What such a file says that it is.
pub const FORMAT: &str = "agora-token-vectors/1";

/// All cases of the sections.
pub(crate) fn cases(top: &Map<String, Value>) -> Vec<Case> {
    let cases = top
        .iter()
        .flat_map(|(section, value)| match (section.as_str(), value) {
            // They tell how the file was made and how to read it.
            ("counts" | "format" | "how_to_use" | "made_with" | "part", _) => Vec::new(),
            ("build", Value::Array(list)) => each(section, list, build::check),
            ("invalid_build", Value::Array(list)) => each(section, list, invalid::check),
            ("legacy_006", Value::Array(list)) => each(section, list, legacy::check),
            ("parse", Value::Array(list)) => each(section, list, parse::check),
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
