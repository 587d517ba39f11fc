//! Which kind of file it is, told by its top level, and the cases in it.

use std::fs;

use serde_json::{Map, Value};

use crate::agora;
use crate::case::Case;
use crate::livekit;
use crate::report::Difference;
use crate::scenario;
use crate::settlement;
use crate::unit;

/// The longest file that is read, in bytes. The longest known one has 300 kB.
const FILE_MAX_BYTES: u64 = 64 * 1024 * 1024;

/// All cases of a file. A file that cannot be read, is of an unknown shape, or holds no case is
/// one case, which has failed.
#[must_use]
pub fn cases_of_file(file: &str) -> Vec<Case> {
    match read(file) {
        Ok(value) => cases_of(&value),
        Err(why) => vec![Case::of_file(unknown_shape(&why))],
    }
}

/// All cases of a file that has been read.
#[must_use]
pub fn cases_of(file: &Value) -> Vec<Case> {
    let cases = match file {
        Value::Object(top) if is_golden_rooms(top) => golden_rooms(top),
        Value::Object(top)
            if top
                .get("format")
                .is_some_and(|format| *format == agora::FORMAT) =>
        {
            agora::cases(top)
        }
        Value::Object(top)
            if top
                .get("format")
                .is_some_and(|format| *format == livekit::FORMAT) =>
        {
            livekit::cases(top)
        }
        Value::Object(top)
            if top
                .get("format")
                .is_some_and(|format| *format == settlement::FORMAT) =>
        {
            settlement::cases(top)
        }
        _ => {
            let why = "neither golden-rooms nor agora-token-vectors/1 nor livekit-vectors/1 nor \
                       settlement-vectors/1";
            return vec![Case::of_file(unknown_shape(why))];
        }
    };
    if cases.is_empty() {
        return vec![Case::of_file(Difference::new("the file holds no case"))];
    }
    cases
}

fn read(file: &str) -> Result<Value, String> {
    let length = fs::metadata(file)
        .map_err(|error| format!("cannot be read: {error}"))?
        .len();
    if length > FILE_MAX_BYTES {
        return Err(format!("longer than {FILE_MAX_BYTES} bytes"));
    }
    let text = fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("not JSON: {error}"))
}

fn unknown_shape(why: &str) -> Difference {
    Difference::new(format!("unknown shape: {why}"))
}

/// Other files have scenarios as well; they tell their own format by name.
fn is_golden_rooms(top: &Map<String, Value>) -> bool {
    let format = top.get("format");
    let has_own_format = match format {
        None => false,
        Some(Value::Object(format)) => format.contains_key("schema"),
        Some(_) => true,
    };
    let has_profiles = format.and_then(|format| format.get("profile")).is_some();
    let has_scenarios = top.get("scenarios").is_some_and(Value::is_array);
    let has_unit = top.get("unit").is_some_and(Value::is_object);
    !has_own_format && (has_scenarios && has_unit || has_profiles && (has_scenarios || has_unit))
}

fn golden_rooms(top: &Map<String, Value>) -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, value) in top {
        match (name.as_str(), value) {
            ("about" | "format", _) => {}
            ("scenarios", Value::Array(scenarios)) => {
                let config = top.get("format").and_then(|format| format.get("config"));
                cases.extend(scenario::cases(scenarios, config));
            }
            ("unit", Value::Object(sections)) => cases.extend(unit::cases(sections)),
            (other, value) => cases.extend(unknown_section(other, value)),
        }
    }
    cases
}

/// The cases of a section that nobody taught this build: each has failed. Prose is no section.
pub(crate) fn unknown_section(section: &str, value: &Value) -> Vec<Case> {
    let failed = |name: &str| {
        Case::failed(
            section,
            name,
            Difference::not_understood(format!("section {section}")),
        )
    };
    match value {
        Value::Array(list) if list.iter().all(Value::is_string) => Vec::new(),
        Value::Array(list) => list
            .iter()
            .zip(0..)
            .map(|(case, index)| failed(&name_of(case, index)))
            .collect(),
        Value::Object(_) => vec![failed("*")],
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// What a case of a list calls itself, or else its place in the list.
pub(crate) fn name_of(case: &Value, index: usize) -> String {
    let own = ["id", "name"]
        .into_iter()
        .find_map(|member| case.get(member)?.as_str());
    own.map_or_else(|| index.to_string(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stores::StoreKind;
    use serde_json::json;

    async fn verdicts(file: Value) -> Vec<(String, bool)> {
        let mut verdicts = Vec::new();
        for case in cases_of(&file) {
            verdicts.push((case.name, case.work.run(&StoreKind::Memory).await.is_ok()));
        }
        verdicts
    }

    #[tokio::test]
    async fn files_of_other_shapes_are_one_failed_case() {
        for file in [
            json!(null),
            json!([]),
            json!({}),
            json!({"format": "agora-token-vectors/2", "build": []}),
            json!({"format": "livekit-vectors/2", "tokens": []}),
            json!({"format": "settlement-vectors/2", "abi": []}),
            json!({"format": "golden-duet/1", "scenarios": []}),
            json!({"format": {"schema": "golden-prepaid/1"}, "scenarios": [], "unit": {}}),
            json!({"scenarios": []}),
            json!({"scenarios": [], "unit": {}}),
            json!({"format": "agora-token-vectors/1", "how_to_use": ["prose"]}),
        ] {
            assert_eq!(
                verdicts(file.clone()).await,
                [("file".to_owned(), false)],
                "{file}"
            );
        }
    }

    #[test]
    fn a_file_that_is_not_there_or_not_json_is_one_failed_case() {
        let directory = tempfile::tempdir().unwrap();
        let broken = directory.path().join("broken.json");
        fs::write(&broken, "{").unwrap();
        for file in [broken, directory.path().join("absent.json")] {
            let cases = cases_of_file(file.to_str().unwrap());
            assert_eq!(cases.len(), 1);
            assert!(cases[0].spellings.is_none(), "no selection leaves it out");
        }
    }

    #[tokio::test]
    async fn every_case_of_an_unknown_section_fails() {
        let file = json!({"scenarios": [], "unit": {
            "about": {"later": "prose"},
            "idempotent_error": [{"error": "x"}],
            "later": [{"id": "a"}, {"name": "b"}, 5],
            "odd": {},
        }});
        let expected = ["later/a", "later/b", "later/2", "odd/*"];
        assert_eq!(
            verdicts(file).await,
            expected.map(|name| (name.to_owned(), false))
        );
    }
}
