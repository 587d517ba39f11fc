//! What is said of a promise that is not kept.

use std::fmt;

use session_core::changeset::Rejection;
use session_core::ports::{CommitError, StoreError};
use tokio::task::JoinError;

/// A promise was not kept: what was done, what had to come of it, and what did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken(String);

impl Broken {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The same, with what was going on at that time before it.
    pub(super) fn during(self, what: impl fmt::Display) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Broken {}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self(format!("the store failed: {error}"))
    }
}

impl From<CommitError> for Broken {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Rejected(why) => why.into(),
            CommitError::Store(error) => error.into(),
        }
    }
}

impl From<Rejection> for Broken {
    fn from(why: Rejection) -> Self {
        Self(format!("refused, and had to be granted: {why:?}"))
    }
}

impl From<JoinError> for Broken {
    fn from(error: JoinError) -> Self {
        let Ok(payload) = error.try_into_panic() else {
            return Self::new("the runtime was shut down meanwhile");
        };
        let text = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(other) => other
                .downcast_ref::<&str>()
                .map_or_else(|| "without a text".to_owned(), |text| (*text).to_owned()),
        };
        Self(format!("it panicked: {text}"))
    }
}

/// Whether what was found is what the promise says.
pub(super) fn same<T: fmt::Debug + PartialEq>(
    what: impl fmt::Display,
    found: &T,
    expected: &T,
) -> Result<(), Broken> {
    if found == expected {
        return Ok(());
    }
    let (expected, found) = (format!("{expected:#?}"), format!("{found:#?}"));
    Err(Broken(format!("{what}\n{}", difference(&expected, &found))))
}

/// Whether something holds that has no one right value.
pub(super) fn holds(holds: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(what())) }
}

/// Lines that two texts have in common around a difference.
const CONTEXT_LINES: usize = 3;

/// The lines in which two texts differ, from the first to the last of them.
fn difference(expected: &str, found: &str) -> String {
    let (expected, found): (Vec<&str>, Vec<&str>) =
        (expected.lines().collect(), found.lines().collect());
    let pairs = || expected.iter().zip(&found);
    let head = pairs().take_while(|(a, b)| a == b).count();
    let shorter = expected.len().min(found.len());
    let tail = (0..shorter.saturating_sub(head))
        .take_while(|n| expected[expected.len() - 1 - n] == found[found.len() - 1 - n])
        .count();
    let shown = head.saturating_sub(CONTEXT_LINES);
    let mut lines: Vec<String> = Vec::new();
    if shown > 0 {
        lines.push("    …".to_owned());
    }
    let part = |sign: &str, lines: &[&str]| -> Vec<String> {
        lines
            .iter()
            .map(|line| format!("  {sign} {line}"))
            .collect()
    };
    lines.extend(part(" ", &expected[shown..head]));
    lines.extend(part("-", &expected[head..expected.len() - tail]));
    lines.extend(part("+", &found[head..found.len() - tail]));
    let after = tail.min(CONTEXT_LINES);
    let last = expected.len() - tail;
    lines.extend(part(" ", &expected[last..last + after]));
    if after < tail {
        lines.push("    …".to_owned());
    }
    format!("    (- expected, + found)\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_the_lines_that_differ_and_what_is_around_them() {
        let expected = ["a", "b", "c", "d", "x", "e", "f", "g", "h"].join("\n");
        let found = ["a", "b", "c", "d", "y", "z", "e", "f", "g", "h"].join("\n");
        let shown = [
            "    (- expected, + found)",
            "    …",
            "    b",
            "    c",
            "    d",
            "  - x",
            "  + y",
            "  + z",
            "    e",
            "    f",
            "    g",
            "    …",
        ];
        assert_eq!(difference(&expected, &found), shown.join("\n"));
        assert_eq!(
            difference("a", "b"),
            "    (- expected, + found)\n  - a\n  + b"
        );
        assert_eq!(
            difference("a\na", "a"),
            "    (- expected, + found)\n    a\n  - a"
        );
    }
}
