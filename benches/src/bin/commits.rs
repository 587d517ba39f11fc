//! Commits and heartbeats on a store inside this process, grouped and not.
//!
//! `cargo run --release -p session-benches --bin commits -- --sqlite /var/tmp --clients 1,32`

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use session_benches::cells::{Form, World};
use session_benches::http::Span;
use session_benches::postgres::Postgres;
use session_benches::seats::Work;
use session_benches::sqlite::Sqlite;
use session_benches::{Failure, server};

/// Commits and heartbeats on a store inside this process.
#[derive(Debug, Parser)]
struct Arguments {
    /// A server of PostgreSQL on this machine, with the right to make databases; without one, and
    /// without a folder for SQLite, one is started.
    #[arg(long)]
    postgres: Option<String>,
    /// A folder on the disk that is to be measured; then the database is SQLite.
    #[arg(long)]
    sqlite: Option<PathBuf>,
    /// The script that starts a cluster.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/postgres"))]
    postgres_script: PathBuf,
    /// Clients of each cell.
    #[arg(long, value_delimiter = ',', default_value = "1,4,8,32,128")]
    clients: Vec<usize>,
    /// Seconds that count.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let now = server::now()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let world = match &arguments.sqlite {
        Some(folder) => World::Sqlite(runtime.block_on(Sqlite::open(folder, now))?),
        None => World::Postgres(runtime.block_on(Postgres::open(
            arguments.postgres,
            &arguments.postgres_script,
            now,
        ))?),
    };
    drop(runtime);
    let span = Span {
        warm_up: Duration::from_secs(arguments.warm_up),
        measured: Duration::from_secs(arguments.seconds),
    };
    for work in [Work::Beat, Work::Debit, Work::HotDebit] {
        for clients in &arguments.clients {
            for form in [Form::Grouped, Form::Ungrouped] {
                let measured = world.in_process(work, form, *clients, span)?;
                println!(
                    "{} {}, {clients:>3} clients, {}  {}",
                    world.name(),
                    work.name(),
                    form.name(),
                    measured.line()
                );
            }
        }
    }
    Ok(())
}
