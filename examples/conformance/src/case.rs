//! One recorded case, ready to run.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::report::{Difference, Verdict};
use crate::scenario::Replay;
use crate::stores::{OpenStore, StoreKind};

/// One recorded case.
#[derive(Debug)]
pub struct Case {
    /// What the report calls it.
    pub name: String,
    /// What a prefix may begin; `None` for what is run whatever was selected.
    pub spellings: Option<Vec<String>>,
    /// What to do.
    pub work: Work,
}

/// What running a case means.
pub enum Work {
    /// A pure check.
    Check(Box<dyn FnOnce() -> Verdict + Send>),
    /// An exchange over HTTP.
    Replay(Box<Replay>),
}

impl Case {
    /// A case of a section that is checked without a server.
    pub fn check(
        section: &str,
        name: &str,
        check: impl FnOnce() -> Verdict + Send + 'static,
    ) -> Self {
        let name = format!("{section}/{name}");
        Self {
            spellings: Some(vec![name.clone()]),
            name,
            work: Work::Check(Box::new(check)),
        }
    }

    /// A case that cannot be anything but failed.
    #[must_use]
    pub fn failed(section: &str, name: &str, difference: Difference) -> Self {
        Self::check(section, name, || Err(difference))
    }

    /// A failure of the file itself, which no selection leaves out.
    #[must_use]
    pub fn of_file(difference: Difference) -> Self {
        let work = Work::Check(Box::new(|| Err(difference)));
        Self {
            name: "file".to_owned(),
            spellings: None,
            work,
        }
    }

    /// The case under one more spelling, with this before its name.
    #[must_use]
    pub fn also_below(mut self, prefix: &str) -> Self {
        if let Some(spellings) = &mut self.spellings {
            spellings.push(format!("{prefix}{}", self.name));
        }
        self
    }
}

impl Work {
    /// Runs it. What panics has failed, and the others are run all the same.
    pub async fn run(self, store: &StoreKind) -> Verdict {
        match self {
            Self::Check(check) => {
                catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|_| Err(panicked()))
            }
            Self::Replay(replay) => {
                let opened = Arc::new(OpenStore::fresh(store).await?);
                let empty = opened.clone();
                let task = tokio::spawn(async move { replay.run(&empty).await });
                let verdict = task.await.unwrap_or_else(|_| Err(panicked()));
                // The task is over, and its share with it.
                match Arc::into_inner(opened) {
                    Some(opened) => verdict.and(opened.remove().await),
                    None => verdict,
                }
            }
        }
    }
}

fn panicked() -> Difference {
    Difference::new("the implementation panicked")
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Check(_) => "Check(..)",
            Self::Replay(_) => "Replay(..)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_failure() {
        let case = Case::check("section", "case", || panic!("on purpose"));
        assert_eq!(case.work.run(&StoreKind::Memory).await, Err(panicked()));
    }
}
