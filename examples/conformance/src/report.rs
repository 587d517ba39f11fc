//! What a case came to, and how it is told.

use std::fmt;

use serde_json::Value;

/// The longest value that a line shows, in characters. Tokens and hashes fit; a list does not.
const SHOWN_MAX: usize = 200;

/// Why a case failed: what differs from the record, or what this build does not understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference(String);

/// What a case came to.
pub type Verdict = Result<(), Difference>;

impl Difference {
    /// A difference told in words.
    pub fn new(sentence: impl fmt::Display) -> Self {
        Self(sentence.to_string())
    }

    /// Something at a place should have been otherwise.
    pub fn between(
        place: impl fmt::Display,
        expected: impl fmt::Display,
        got: impl fmt::Display,
    ) -> Self {
        Self(format!("{place}: expected {expected}, got {got}"))
    }

    /// Part of a case that nobody taught this build. It is never skipped.
    pub fn not_understood(what: impl fmt::Display) -> Self {
        Self(format!("not understood by this build: {what}"))
    }

    /// Several differences of one case as one.
    ///
    /// # Errors
    /// The differences, where there are any.
    pub fn all(differences: Vec<Self>) -> Verdict {
        if differences.is_empty() {
            return Ok(());
        }
        let sentences: Vec<String> = differences.into_iter().map(|one| one.0).collect();
        Err(Self(sentences.join("; ")))
    }

    /// The same difference, with where it was found before it.
    #[must_use]
    pub fn within(self, place: impl fmt::Display) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

impl fmt::Display for Difference {
    /// One line, whatever the difference quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

/// A value as a line shows it.
#[must_use]
pub fn shown(value: &Value) -> String {
    shortened(&value.to_string())
}

/// A text as a line shows it, in quotes.
#[must_use]
pub fn quoted(text: &str) -> String {
    shortened(&format!("{text:?}"))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What one file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// The file, as it was named.
    pub file: String,
    /// Cases that failed: the name and the difference.
    pub failures: Vec<(String, Difference)>,
    /// How many passed.
    pub passed: usize,
    /// How many the selection left out.
    pub left_out: usize,
}

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.file)?;
        for (name, difference) in &self.failures {
            writeln!(f, "FAIL {name}: {difference}")?;
        }
        if self.left_out > 0 {
            writeln!(f, "{} left out by --only", self.left_out)?;
        }
        writeln!(f, "{} passed, {} failed", self.passed, self.failures.len())
    }
}

/// What all files came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// One report for each file, in the order of the files.
    pub files: Vec<FileReport>,
    /// Prefixes of the selection with which no case of any file begins.
    pub idle_prefixes: Vec<String>,
}

impl Report {
    /// Whether everything that was asked for ran and was right.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.idle_prefixes.is_empty() && self.files.iter().all(|file| file.failures.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            file.fmt(f)?;
        }
        for prefix in &self.idle_prefixes {
            writeln!(f, "--only {prefix} selects no case of any file")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_one_line_whatever_it_quotes() {
        let difference = Difference::between("/a", "\"x\ny\"", "\r");
        assert_eq!(difference.to_string(), "/a: expected \"x\\ny\", got \\r");
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let long = "é".repeat(SHOWN_MAX * 2);
        let cut = quoted(&long);
        assert_eq!(cut.chars().count(), SHOWN_MAX + 1);
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn the_last_line_of_a_file_counts_and_a_line_before_tells_what_was_left_out() {
        let mut report = FileReport {
            file: "a.json".to_owned(),
            failures: vec![("x".to_owned(), Difference::new("no"))],
            passed: 2,
            left_out: 0,
        };
        assert_eq!(
            report.to_string(),
            "a.json\nFAIL x: no\n2 passed, 1 failed\n"
        );
        report.left_out = 3;
        assert!(
            report
                .to_string()
                .ends_with("\n3 left out by --only\n2 passed, 1 failed\n")
        );
    }
}
