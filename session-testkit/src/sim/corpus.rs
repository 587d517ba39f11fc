//! Lists of choices as files: what was once wrong, and is tried again with every change.
//!
//! ```text
//! system free-rooms
//! steps 600
//! invariant charged_once
//! about A heartbeat was charged after the leave.
//! choices 0 3 1 0 0 2
//! ```
//!
//! `seed N` may stand in the place of `choices`.

use std::fmt;
use std::str::FromStr;

use super::{Choices, Plan, STEPS_DEFAULT, systems};

/// One file of the corpus.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a file has these lines")]
pub struct Case {
    /// Of which system.
    pub system: String,
    /// Steps with faults.
    pub steps: u64,
    /// What was broken.
    pub invariant: String,
    /// What it was, in a sentence.
    pub about: String,
    /// The history.
    pub source: Source,
}

/// What decides a history.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a history is one or the other")]
pub enum Source {
    /// Every choice, then zeros.
    Choices(Vec<u32>),
    /// A seed.
    Seed(u64),
}

/// Text that is no case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCase(String);

impl Case {
    /// The plan of the history; `None` where there is no such system.
    #[must_use]
    pub fn plan(&self) -> Option<Plan> {
        let choices = match &self.source {
            Source::Choices(list) => Choices::recorded(list.clone()),
            Source::Seed(seed) => Choices::of_seed(*seed),
        };
        let system = systems::named(&self.system)?;
        Some(Plan::of_choices(system, choices).with_steps(self.steps))
    }
}

impl FromStr for Case {
    type Err = InvalidCase;

    fn from_str(text: &str) -> Result<Self, InvalidCase> {
        let mut case = Self {
            system: String::new(),
            steps: STEPS_DEFAULT,
            invariant: String::new(),
            about: String::new(),
            source: Source::Choices(Vec::new()),
        };
        let wrong = |line: &str| InvalidCase(line.chars().take(80).collect());
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (name, rest) = line.split_once(' ').ok_or_else(|| wrong(line))?;
            match name {
                "about" => rest.clone_into(&mut case.about),
                "choices" => {
                    let numbers = rest.split_whitespace().map(str::parse);
                    let list: Result<_, _> = numbers.collect();
                    case.source = Source::Choices(list.map_err(|_| wrong(line))?);
                }
                "invariant" => rest.clone_into(&mut case.invariant),
                "seed" => case.source = Source::Seed(rest.parse().map_err(|_| wrong(line))?),
                "steps" => case.steps = rest.parse().map_err(|_| wrong(line))?,
                "system" => rest.clone_into(&mut case.system),
                _ => return Err(wrong(line)),
            }
        }
        if case.system.is_empty() {
            Err(InvalidCase("no system".to_owned()))
        } else {
            Ok(case)
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "system {}", self.system)?;
        writeln!(f, "steps {}", self.steps)?;
        writeln!(f, "invariant {}", self.invariant)?;
        writeln!(f, "about {}", self.about)?;
        match &self.source {
            Source::Seed(seed) => writeln!(f, "seed {seed}"),
            Source::Choices(list) => {
                f.write_str("choices")?;
                for choice in list {
                    write!(f, " {choice}")?;
                }
                writeln!(f)
            }
        }
    }
}

impl fmt::Display for InvalidCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a line of a case: {}", self.0)
    }
}

impl std::error::Error for InvalidCase {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_goes_through_text_and_back() {
        for source in [Source::Seed(7), Source::Choices(vec![0, 3, 1])] {
            let case = Case {
                system: "free-rooms".to_owned(),
                steps: 60,
                invariant: "fenced".to_owned(),
                about: "Two words.".to_owned(),
                source,
            };
            assert_eq!(case.to_string().parse(), Ok(case));
        }
        for wrong in ["", "system", "seed x", "system a\nchoices 1 b", "other 1"] {
            assert!(wrong.parse::<Case>().is_err(), "{wrong}");
        }
    }
}
