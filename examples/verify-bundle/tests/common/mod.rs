//! Running the checkers.

#![allow(clippy::expect_used, reason = "tests panic")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file that goes away with the test.
pub(crate) struct Kept(PathBuf);

impl Kept {
    /// Its name tells the test.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        static FILES: AtomicU32 = AtomicU32::new(0);
        let (process, n) = (std::process::id(), FILES.fetch_add(1, Ordering::Relaxed));
        let name = format!("verify-bundle-{process}-{n}-{name}.json");
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("a temporary file");
        Self(path)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The core's function, in the program.
pub(crate) fn program(file: &Kept) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_verify-bundle"));
    program.arg(&file.0).output().expect("the program runs")
}

impl AsRef<Path> for Kept {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// `None` where there is no Python: listed, and a failure where everything must be there.
pub(crate) fn script(name: &str, file: impl AsRef<Path>) -> Option<Output> {
    let mut python = Command::new("python3");
    let output = python
        .arg("-B")
        .arg(folder().join(name))
        .arg(file.as_ref())
        .output();
    if output.is_err() {
        assert!(
            std::env::var_os("SESSION_TEST_REQUIRE").is_none(),
            "python3 is not there"
        );
        println!("NOT THERE: python3, so {name} was not run");
    }
    output.ok()
}

/// What it printed.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
