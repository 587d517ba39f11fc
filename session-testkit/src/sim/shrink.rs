//! Making a failing history short.

use super::{Choices, Outcome, Plan, Violation, run};

/// Makes the choices of a failing history fewer and plainer, as long as the same invariant is
/// broken, with at most this many replays. `plan_for` makes the plan of a list of choices: the
/// system, the steps and the backend of the first failure.
#[must_use]
pub fn shrink(
    violation: &Violation,
    choices: &[u32],
    replays_max: usize,
    plan_for: &dyn Fn(Choices) -> Plan,
) -> Vec<u32> {
    let mut shrinking = Shrinking {
        invariant: &violation.invariant,
        best: choices.to_vec(),
        replays_left: replays_max,
        plan_for,
    };
    shrinking.run();
    shrinking.best
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
    replays_left: usize,
    plan_for: &'a dyn Fn(Choices) -> Plan,
}

impl Shrinking<'_> {
    fn run(&mut self) {
        self.try_list(self.best.clone());
        loop {
            let before = self.best.clone();
            self.delete_spans();
            self.flatten_spans();
            self.lower_values();
            if self.best == before || self.replays_left == 0 {
                break;
            }
        }
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
        let outcome = run((self.plan_for)(Choices::recorded(list)));
        let fails = outcome.violation.is_some_and(|found| found.invariant == self.invariant);
        if fails {
            let mut taken = outcome.choices;
            while taken.last() == Some(&0) {
                taken.pop();
            }
            let weight = |list: &[u32]| (list.len(), list.iter().map(|&n| u64::from(n)).sum::<u64>());
            if weight(&taken) < weight(&self.best) {
                self.best = taken;
                return true;
            }
        }
        false
    }
}
