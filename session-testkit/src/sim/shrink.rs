//! Making a failing history short.

use super::{Choices, Outcome, Plan, Violation, run};

/// A history that is as short as shrinking made it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shrunk {
    /// Its choices, then zeros.
    pub choices: Vec<u32>,
    /// Its steps with faults.
    pub steps: u64,
}

/// Makes the choices and steps of a failing history fewer and plainer, as long as the same
/// invariant is broken, with at most this many replays. `plan_for` makes the plan of choices and
/// steps: on the system and the backend of the first failure.
#[must_use]
pub fn shrink(
    violation: &Violation,
    choices: &[u32],
    steps: u64,
    replays_max: usize,
    plan_for: &dyn Fn(Choices, u64) -> Plan,
) -> Shrunk {
    let mut shrinking = Shrinking {
        invariant: &violation.invariant,
        best: choices.to_vec(),
        steps: steps.min(violation.step.max(1)),
        replays_left: replays_max,
        plan_for,
    };
    shrinking.run();
    Shrunk {
        choices: shrinking.best,
        steps: shrinking.steps,
    }
}

/// A failing history as it is printed: its lines, the violation, and how to see it again.
#[must_use]
pub fn story(outcome: &Outcome, command: &str) -> String {
    let mut story = outcome.lines.join("\n");
    if let Some(violation) = &outcome.violation {
        story.push_str(&format!("\n\n{violation}"));
    }
    story.push_str(&format!("\n\nagain: {command}\n"));
    story
}

struct Shrinking<'a> {
    invariant: &'a str,
    best: Vec<u32>,
    steps: u64,
    replays_left: usize,
    plan_for: &'a dyn Fn(Choices, u64) -> Plan,
}

impl Shrinking<'_> {
    fn run(&mut self) {
        loop {
            let before = (self.best.clone(), self.steps);
            self.drop_steps();
            self.delete_spans();
            self.flatten_spans();
            self.lower_values();
            if (&self.best, self.steps) == (&before.0, before.1) || self.replays_left == 0 {
                break;
            }
        }
    }

    /// Lets faults stop sooner.
    fn drop_steps(&mut self) {
        let mut less = self.steps / 2;
        while less > 0 && self.replays_left > 0 {
            let steps = self.steps.saturating_sub(less).max(1);
            if steps == self.steps || !self.try_steps(steps) {
                less /= 2;
            }
        }
    }

    fn try_steps(&mut self, steps: u64) -> bool {
        self.replays_left = self.replays_left.saturating_sub(1);
        let outcome = run((self.plan_for)(Choices::recorded(self.best.clone()), steps));
        let fails = outcome
            .violation
            .is_some_and(|found| found.invariant == self.invariant);
        if fails {
            self.steps = steps.min(outcome.steps.max(1));
            self.best = trimmed(outcome.choices);
        }
        fails
    }

    /// Takes spans out, long ones first, from the end.
    fn delete_spans(&mut self) {
        let mut width = self.best.len() / 2;
        while width > 0 && self.replays_left > 0 {
            let mut end = self.best.len();
            while end > 0 && self.replays_left > 0 {
                let from = end.saturating_sub(width);
                let mut list = self.best.clone();
                list.drain(from..end.min(list.len()));
                self.try_list(list);
                end = from.min(self.best.len());
            }
            width /= 2;
        }
    }

    /// Makes spans plain.
    fn flatten_spans(&mut self) {
        let mut width = self.best.len() / 2;
        while width > 0 && self.replays_left > 0 {
            let mut from = 0;
            while from < self.best.len() && self.replays_left > 0 {
                let to = (from + width).min(self.best.len());
                if self.best[from..to].iter().any(|&choice| choice > 0) {
                    let mut list = self.best.clone();
                    list[from..to].fill(0);
                    self.try_list(list);
                }
                from = to;
            }
            width /= 2;
        }
    }

    fn lower_values(&mut self) {
        let mut place = 0;
        while place < self.best.len() && self.replays_left > 0 {
            let value = self.best[place];
            if value > 1 {
                let mut list = self.best.clone();
                list[place] = value / 2;
                self.try_list(list);
            }
            place += 1;
        }
    }

    /// Keeps a list that fails in the same way. What was taken of it is a list too, and shorter:
    /// zeros at the end need not be said.
    fn try_list(&mut self, list: Vec<u32>) -> bool {
        if self.replays_left == 0 {
            return false;
        }
        self.replays_left -= 1;
        let outcome = run((self.plan_for)(Choices::recorded(list), self.steps));
        let fails = outcome
            .violation
            .is_some_and(|found| found.invariant == self.invariant);
        let taken = trimmed(outcome.choices);
        let is_better = fails && weight(&taken) < weight(&self.best);
        if is_better {
            self.best = taken;
            self.steps = self.steps.min(outcome.steps.max(1));
        }
        is_better
    }
}

/// Zeros at the end need not be said.
fn trimmed(mut list: Vec<u32>) -> Vec<u32> {
    while list.last() == Some(&0) {
        list.pop();
    }
    list
}

fn weight(list: &[u32]) -> (usize, u64) {
    (
        list.len(),
        list.iter().map(|&choice| u64::from(choice)).sum(),
    )
}
