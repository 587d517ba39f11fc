//! What is to be run, and what it came to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use session_core::service::Ports;

use super::backend::{Backend, Honest};
use super::{Choices, Fault, System, Violation};

/// Steps with faults, where nobody says otherwise. A step is one poll of a task or one event.
pub const STEPS_DEFAULT: u64 = 1_500;

/// Changes the ports of every server: how bugs of ports are planted.
pub type Wrap = Arc<dyn Fn(Ports) -> Ports + Send + Sync>;

/// What is to be run.
pub struct Plan {
    pub(super) system: Box<dyn System>,
    pub(super) choices: Choices,
    pub(super) steps: u64,
    pub(super) keeps_lines: bool,
    pub(super) backend: Box<dyn Backend>,
    pub(super) wrap: Option<Wrap>,
    pub(super) judge: Option<&'static str>,
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plan({}, {} steps)", self.system.name(), self.steps)
    }
}

impl Plan {
    /// The history of a seed.
    #[must_use]
    pub fn of_seed(system: Box<dyn System>, seed: u64) -> Self {
        Self::of_choices(system, Choices::of_seed(seed))
    }

    /// The history of these choices.
    #[must_use]
    pub fn of_choices(system: Box<dyn System>, choices: Choices) -> Self {
        Self {
            system,
            choices,
            steps: STEPS_DEFAULT,
            keeps_lines: false,
            backend: Box::new(Honest::default()),
            wrap: None,
            judge: None,
        }
    }

    /// As many steps with faults.
    #[must_use]
    pub const fn with_steps(mut self, steps: u64) -> Self {
        self.steps = steps;
        self
    }

    /// Keeps the lines of the history, for people.
    #[must_use]
    pub const fn with_lines(mut self) -> Self {
        self.keeps_lines = true;
        self
    }

    /// On another backend: how bugs of stores are planted.
    #[must_use]
    pub fn on(mut self, backend: Box<dyn Backend>) -> Self {
        self.backend = backend;
        self
    }

    /// Judged by the invariant of this name alone.
    #[must_use]
    pub const fn judged_by(mut self, invariant: &'static str) -> Self {
        self.judge = Some(invariant);
        self
    }

    /// With the ports of every server changed.
    #[must_use]
    pub fn with_ports(mut self, wrap: Wrap) -> Self {
        self.wrap = Some(wrap);
        self
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Steps with faults.
    pub steps: u64,
    /// Simulated seconds until everything had come to an end.
    pub healed_after_seconds: u64,
    /// How often each kind of fault was met.
    pub faults: BTreeMap<Fault, u64>,
    /// How often each rare branch was reached.
    pub points: BTreeMap<&'static str, u64>,
    /// The first thing that was wrong.
    pub violation: Option<Violation>,
    /// Of the whole history: the same choices give the same.
    pub digest: u64,
    /// Every choice.
    pub choices: Vec<u32>,
    /// The history, where it was to be kept.
    pub lines: Vec<String>,
}
