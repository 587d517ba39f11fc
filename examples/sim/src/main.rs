//! Runs seeds of the simulator on all cores and says what broke.
//!
//! ```text
//! $ cargo run --release -p session-sim -- --seeds 4 --first 0
//! …
//! 4 seeds (0..4), 6000 steps, 20 kinds of fault, 34 points, 0 violations, 0 s
//! $ cargo run --release -p session-sim -- --seeds 1 --first 41 --system free-rooms
//! $ cargo run --release -p session-sim -- --replay session-testkit/tests/sim/corpus/join-in-the-past.case
//! …
//! 1 history, 19 steps, 0 faults, 0 violations
//! ```
//!
//! Without `--system`, seeds go to the systems in turn. The last line is a summary of one line.
//! Exit codes: 0 nothing is broken, 1 something is, 2 unusable arguments.

mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Parser;
use session_testkit::sim::corpus::{Case, Source};
use session_testkit::sim::shrink::{shrink, story};
use session_testkit::sim::{Choices, Outcome, Plan, STEPS_DEFAULT, run, systems};

use crate::report::Report;

/// Replays that shrinking a history may take.
const REPLAYS_MAX: usize = 600;

/// Failing histories that are shrunk and printed; the others are only counted.
const STORIES_MAX: usize = 3;

/// Runs seeds of the simulator.
#[derive(Debug, Parser)]
#[command(name = "session-sim")]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Only this system; without it, each in turn.
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
    /// Steps with faults of each seed.
    #[arg(long, default_value_t = STEPS_DEFAULT)]
    steps: u64,
    /// Threads; without it, as many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
    /// Runs the history of a file instead of seeds, and prints it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "first", "system"])]
    replay: Option<PathBuf>,
    /// Where to put a file of each failing history that is printed.
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing is left to tell it to where even this cannot be printed.
            let _ = error.print();
            return if error.use_stderr() {
                unusable()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    if let Some(file) = &arguments.replay {
        return replay(file);
    }
    let known: Vec<&str> = systems::all().iter().map(|system| system.name()).collect();
    let systems = match &arguments.system {
        None => known,
        Some(name) if known.contains(&name.as_str()) => {
            known.into_iter().filter(|known| known == name).collect()
        }
        Some(name) => {
            eprintln!("no system is called {name}; there are {}", known.join(", "));
            return unusable();
        }
    };
    if arguments.threads == Some(0) || arguments.seeds == 0 || arguments.steps == 0 {
        eprintln!("--threads, --seeds and --steps are at least 1");
        return unusable();
    }
    if arguments.first.checked_add(arguments.seeds).is_none() {
        eprintln!("--first and --seeds together go beyond the last seed");
        return unusable();
    }
    let begin = Instant::now();
    let report = run_seeds(&arguments, &systems);
    for (system, seed) in report.failed().take(STORIES_MAX) {
        tell(&arguments, system, seed);
    }
    let seconds = begin.elapsed().as_secs();
    print!(
        "{}",
        report.summary(&systems, arguments.seeds, arguments.first, seconds)
    );
    if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Every seed on some thread.
fn run_seeds(arguments: &Arguments, systems: &[&'static str]) -> Report {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(cores);
    let (next, report) = (AtomicU64::new(0), Mutex::new(Report::default()));
    let is_lost = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= arguments.seeds {
                        break;
                    }
                    let seed = arguments.first + place;
                    let name = system_of(seed, systems);
                    let Some(plan) = plan(name, Choices::of_seed(seed), arguments.steps) else {
                        is_lost.store(true, Ordering::Relaxed);
                        continue;
                    };
                    let outcome = run(plan);
                    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.add(name, seed, &outcome);
                }
            });
        }
    });
    debug_assert!(!is_lost.into_inner(), "every name was looked up before");
    report.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Seeds go to the systems in turn.
fn system_of(seed: u64, systems: &[&'static str]) -> &'static str {
    let count = u64::try_from(systems.len()).unwrap_or(1);
    let place = usize::try_from(seed % count.max(1)).unwrap_or(0);
    systems.get(place).copied().unwrap_or_default()
}

fn plan(system: &str, choices: Choices, steps: u64) -> Option<Plan> {
    Some(Plan::of_choices(systems::named(system)?, choices).with_steps(steps))
}

/// Shrinks a failing history and prints it.
fn tell(arguments: &Arguments, system: &'static str, seed: u64) {
    let steps = arguments.steps;
    let Some(first) = plan(system, Choices::of_seed(seed), steps).map(run) else {
        return;
    };
    let Some(violation) = first.violation.clone() else {
        return;
    };
    println!("seed {seed} of {system}: {violation}");
    println!("shrinking {} choices", first.choices.len());
    let plan_for = |choices: Choices, steps: u64| {
        let system = systems::named(system).unwrap_or_else(|| Box::new(systems::FreeRooms::new()));
        Plan::of_choices(system, choices).with_steps(steps)
    };
    let shrunk = shrink(&violation, &first.choices, steps, REPLAYS_MAX, &plan_for);
    let case = Case {
        system: system.to_owned(),
        steps: shrunk.steps,
        invariant: violation.invariant.clone(),
        about: violation.what.clone(),
        source: Source::Choices(shrunk.choices.clone()),
    };
    let mut command =
        format!("cargo run --release -p session-sim -- --seeds 1 --first {seed} --system {system}");
    if steps != STEPS_DEFAULT {
        command.push_str(&format!(" --steps {steps}"));
    }
    let told = run(plan_for(Choices::recorded(shrunk.choices), shrunk.steps).with_lines());
    println!("{}", story(&told, &command));
    if let Some(folder) = &arguments.save {
        let file = folder.join(format!("{system}-{seed}.case"));
        match std::fs::write(&file, case.to_string()) {
            Ok(()) => println!("saved as {}\n", file.display()),
            Err(error) => eprintln!("cannot write {}: {error}", file.display()),
        }
    }
}

/// Runs the history of a file and prints it.
fn replay(file: &Path) -> ExitCode {
    let case = match std::fs::read_to_string(file) {
        Ok(text) => text.parse::<Case>().map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let plan = case.and_then(|case| {
        case.plan()
            .ok_or_else(|| format!("no system is called {}", case.system))
    });
    let plan = match plan {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!("{}: {why}", file.display());
            return unusable();
        }
    };
    let outcome: Outcome = run(plan.with_lines());
    let command = format!(
        "cargo run --release -p session-sim -- --replay {}",
        file.display()
    );
    println!("{}", story(&outcome, &command));
    let counted: BTreeMap<&str, u64> = outcome
        .faults
        .iter()
        .map(|(fault, times)| (fault.name(), *times))
        .collect();
    let (faults, steps) = (counted.values().sum::<u64>(), outcome.steps);
    let violations = u8::from(outcome.violation.is_some());
    println!("1 history, {steps} steps, {faults} faults, {violations} violations");
    if violations == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The exit code for arguments that nothing can be run with.
fn unusable() -> ExitCode {
    ExitCode::from(2)
}
