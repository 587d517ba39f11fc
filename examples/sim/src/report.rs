//! What all seeds came to.

use std::collections::BTreeMap;
use std::fmt::Write;

use session_testkit::sim::{Fault, Outcome, systems};

/// What all seeds came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    steps: u64,
    healed_after_seconds_max: u64,
    faults: BTreeMap<Fault, u64>,
    points: BTreeMap<&'static str, u64>,
    violations: BTreeMap<u64, (&'static str, String)>,
}

impl Report {
    /// One more seed.
    pub(crate) fn add(&mut self, system: &'static str, seed: u64, outcome: &Outcome) {
        self.steps += outcome.steps;
        let healed_after = outcome.healed_after_seconds;
        self.healed_after_seconds_max = self.healed_after_seconds_max.max(healed_after);
        for (&fault, times) in &outcome.faults {
            *self.faults.entry(fault).or_default() += times;
        }
        for (&point, times) in &outcome.points {
            *self.points.entry(point).or_default() += times;
        }
        if let Some(violation) = &outcome.violation {
            self.violations
                .insert(seed, (system, violation.to_string()));
        }
    }

    /// The seeds that broke something, lowest first.
    pub(crate) fn failed(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.violations
            .iter()
            .map(|(seed, (system, _))| (*system, *seed))
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Everything counted, and a summary as the last line.
    pub(crate) fn summary(
        &self,
        systems: &[&'static str],
        seeds: u64,
        first: u64,
        seconds: u64,
    ) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(out, "faults:");
        for &fault in Fault::ALL {
            let times = self.faults.get(&fault).copied().unwrap_or(0);
            let _ = writeln!(out, "{times:>10}  {}", fault.name());
        }
        let _ = writeln!(out, "sometimes:");
        let mut points = self.points.clone();
        // One that was never reached is to be seen.
        for system in systems.iter().filter_map(|name| systems::named(name)) {
            for point in system.points() {
                points.entry(point).or_default();
            }
        }
        for (point, times) in &points {
            let _ = writeln!(out, "{times:>10}  {point}");
        }
        for (seed, (system, violation)) in &self.violations {
            let _ = writeln!(out, "violation: seed {seed} of {system}: {violation}");
        }
        let healed = self.healed_after_seconds_max;
        let _ = writeln!(
            out,
            "healed at the latest {healed} simulated seconds after the faults"
        );
        let met = self.faults.values().filter(|times| **times > 0).count();
        let reached = points.values().filter(|times| **times > 0).count();
        let (steps, broken) = (self.steps, self.violations.len());
        let last = first + seeds;
        let _ = writeln!(
            out,
            "{seeds} seeds ({first}..{last}), {steps} steps, {met} kinds of fault, \
             {reached} points, {broken} violations, {seconds} s"
        );
        out
    }
}
