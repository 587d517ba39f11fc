//! What the tests of this package share.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use session_conformance::report::Report;
use session_conformance::run;
use session_conformance::select::Selection;
use session_conformance::stores::StoreKind;
use tempfile::TempDir;

/// A file of the repository's vectors.
pub(crate) fn vectors(name: &str) -> String {
    format!("{}/../../vectors/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository's vectors, to be altered.
#[allow(dead_code, reason = "not every test alters one")]
pub(crate) fn read(name: &str) -> Value {
    serde_json::from_slice(&fs::read(vectors(name)).unwrap()).unwrap()
}

/// A file that holds a value, for as long as the directory lives.
#[allow(dead_code, reason = "not every test writes one")]
pub(crate) fn written(value: &Value) -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let file: PathBuf = directory.path().join("cases.json");
    fs::write(&file, value.to_string()).unwrap();
    let name = file.to_str().unwrap().to_owned();
    (directory, name)
}

/// Runs the cases of one file that begin with these prefixes.
#[allow(dead_code, reason = "not every test runs in process")]
pub(crate) async fn replay(file: &str, only: &str, store: &StoreKind) -> Report {
    let prefixes = only
        .split(',')
        .filter(|prefix| !prefix.is_empty())
        .map(ToOwned::to_owned);
    run(
        &[file.to_owned()],
        Selection::new(prefixes.collect()),
        store,
    )
    .await
}
