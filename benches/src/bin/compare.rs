//! The product beside the raw database, in turns, on both databases.
//!
//! `cargo run --release -p session-benches --bin compare`, after
//! `cargo build --release -p session-server`. `README.md` of this package says what each cell is.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use session_benches::cells::{Form, World};
use session_benches::http::{Script, Span};
use session_benches::postgres::Postgres;
use session_benches::report::{Measured, median, range};
use session_benches::seats::Work;
use session_benches::sqlite::Sqlite;
use session_benches::{Failure, seats, server};

/// The product beside the raw database, in turns.
#[derive(Debug, Parser)]
struct Arguments {
    /// A server of PostgreSQL on this machine, with the right to make databases; without one, one
    /// is started.
    #[arg(long)]
    postgres: Option<String>,
    /// The script that starts it.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/postgres"))]
    postgres_script: PathBuf,
    /// A folder on the disk that is to be measured, for SQLite.
    #[arg(long, default_value = "/var/tmp")]
    sqlite: PathBuf,
    /// The program of the server; by default the one beside this program.
    #[arg(long)]
    server: Option<PathBuf>,
    /// Only comparisons whose names hold all of these words.
    #[arg(long)]
    only: Vec<String>,
    /// How often each cell is measured.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of a cell that count.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 4)]
    warm_up: u64,
    /// Where the figures go as JSON; by default beside this program.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Heartbeats over HTTP, by so many connections.
    Http(usize),
    /// The store in this process, for so many clients.
    Process(Work, Form, usize),
    /// The raw database: so many clients of pgbench, or operations in a transaction of the loop.
    Raw(Work, usize),
}

/// Two sides that are measured in turns; the ratio is of the first to the second.
#[derive(Debug, Clone)]
struct Comparison {
    name: String,
    of: Side,
    to: Side,
    /// What the first should be of the second.
    goal: Option<f64>,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let now = server::now()?;
    let program = server::program(arguments.server.clone())?;
    let script = Rc::new(Script {
        requests: seats::heartbeats(now)?,
        order: seats::in_turn(),
    });
    let span = Span {
        warm_up: Duration::from_secs(arguments.warm_up),
        measured: Duration::from_secs(arguments.seconds),
    };
    let measure = |world: &World, side: Side| match side {
        Side::Http(connections) => world.beats_over_http(&program, connections, &script, span),
        Side::Process(work, form, clients) => world.in_process(work, form, clients, span),
        Side::Raw(work, width) => world.raw(work, width, span),
    };
    let mut figures = Vec::new();
    let wanted = |name: &str| arguments.only.iter().all(|word| name.contains(word));
    for (name, comparisons) in [("postgres", on_postgres()), ("sqlite", on_sqlite())] {
        let comparisons: Vec<Comparison> = comparisons
            .into_iter()
            .map(|comparison| Comparison {
                name: format!("{name}: {}", comparison.name),
                ..comparison
            })
            .filter(|comparison| wanted(&comparison.name))
            .collect();
        if comparisons.is_empty() {
            continue;
        }
        let runtime = tokio::runtime::Runtime::new()?;
        let world = if name == "sqlite" {
            World::Sqlite(runtime.block_on(Sqlite::open(&arguments.sqlite, now))?)
        } else {
            let url = arguments.postgres.clone();
            let opened = Postgres::open(url, &arguments.postgres_script, now);
            World::Postgres(runtime.block_on(opened)?)
        };
        drop(runtime);
        for comparison in comparisons {
            let mut rounds = Vec::new();
            for _ in 0..arguments.rounds {
                // A B A B: what the machine does meanwhile falls on both.
                rounds.push((
                    measure(&world, comparison.of)?,
                    measure(&world, comparison.to)?,
                ));
            }
            println!("{}", told(&comparison, &rounds));
            figures.push(as_json(&comparison, &rounds));
        }
    }
    let path = match arguments.json {
        Some(path) => path,
        None => std::env::current_exe()?.with_file_name("session-compare.json"),
    };
    let all = json!({
        "seconds": arguments.seconds,
        "warm_up": arguments.warm_up,
        "seats": seats::SEATS,
        "comparisons": figures,
    });
    std::fs::write(&path, serde_json::to_vec_pretty(&all)?)?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

fn on_postgres() -> Vec<Comparison> {
    let mut all = Vec::new();
    // Above 32 connections the raw database stays at 32 clients.
    for (connections, goal) in [(1, None), (4, None), (32, Some(1.5)), (128, Some(2.0))] {
        all.push(Comparison {
            name: format!("heartbeat over HTTP, {connections} connections, to pgbench"),
            of: Side::Http(connections),
            to: Side::Raw(Work::Beat, connections.min(32)),
            goal,
        });
    }
    for clients in [1, 8, 32] {
        for work in [Work::Debit, Work::HotDebit] {
            let goal = (work == Work::HotDebit && clients == 32).then_some(8.0);
            all.push(to_raw(work, clients, clients, goal));
        }
    }
    all.extend(to_ungrouped());
    all
}

fn on_sqlite() -> Vec<Comparison> {
    let mut all = Vec::new();
    for (connections, width, goal) in [
        (1, 1, None),
        (32, 1, Some(3.0)),
        (32, 32, None),
        (128, 1, Some(3.0)),
        (128, 32, None),
    ] {
        all.push(Comparison {
            name: format!(
                "heartbeat over HTTP, {connections} connections, to a loop of {width} each commit"
            ),
            of: Side::Http(connections),
            to: Side::Raw(Work::Beat, width),
            goal,
        });
    }
    for clients in [1, 8, 32] {
        for work in [Work::Debit, Work::HotDebit] {
            all.push(to_raw(work, clients, 1, None));
        }
    }
    all.extend(to_ungrouped());
    all
}

fn to_raw(work: Work, clients: usize, width: usize, goal: Option<f64>) -> Comparison {
    Comparison {
        name: format!("{} in process, {clients} clients, to raw", work.name()),
        of: Side::Process(work, Form::Grouped, clients),
        to: Side::Raw(work, width),
        goal,
    }
}

fn to_ungrouped() -> Vec<Comparison> {
    let mut all = Vec::new();
    for work in [Work::Beat, Work::Debit, Work::HotDebit] {
        for clients in [1, 4, 8, 32] {
            all.push(Comparison {
                name: format!(
                    "{} in process, {clients} clients, to ungrouped",
                    work.name()
                ),
                of: Side::Process(work, Form::Grouped, clients),
                to: Side::Process(work, Form::Ungrouped, clients),
                goal: (clients <= 4).then_some(0.9),
            });
        }
    }
    all
}

fn ratios(rounds: &[(Measured, Measured)]) -> Vec<f64> {
    rounds.iter().map(|(of, to)| of.rate / to.rate).collect()
}

/// The ratio first, then each side's medians.
fn told(comparison: &Comparison, rounds: &[(Measured, Measured)]) -> String {
    let ratios = ratios(rounds);
    let (least, most) = range(&ratios);
    let middle = median(&ratios);
    let goal = comparison.goal.map_or(String::new(), |goal| {
        let said = if middle >= goal { "met" } else { "MISSED" };
        format!(", goal {goal} {said}")
    });
    let name = &comparison.name;
    let mut text = format!("{middle:.2} times ({least:.2} to {most:.2}{goal})  {name}");
    let (of, to): (Vec<&Measured>, Vec<&Measured>) = rounds.iter().map(|(of, to)| (of, to)).unzip();
    for (which, side) in [("first", of), ("second", to)] {
        let rates: Vec<f64> = side.iter().map(|measured| measured.rate).collect();
        let (least, most) = range(&rates);
        let line = Measured::median_of(&side).line();
        // Writing to a text cannot fail.
        let _ = write!(text, "\n    {which:<7}{line}  ({least:.0} to {most:.0}/s)");
    }
    text
}

fn as_json(comparison: &Comparison, rounds: &[(Measured, Measured)]) -> Value {
    let ratios = ratios(rounds);
    let (least, most) = range(&ratios);
    let rounds: Vec<Value> = rounds
        .iter()
        .map(|(of, to)| json!({ "first": of.to_json(), "second": to.to_json() }))
        .collect();
    json!({
        "name": comparison.name,
        "goal": comparison.goal,
        "ratio": { "median": median(&ratios), "least": least, "most": most },
        "rounds": rounds,
    })
}
