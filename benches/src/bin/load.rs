//! Heartbeats over HTTP on the bundled server, on one database, one cell after another.
//!
//! `cargo run --release -p session-benches --bin load -- --sqlite /var/tmp --connections 1,32,128`

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use session_benches::cells::World;
use session_benches::http::{Script, Span};
use session_benches::postgres::Postgres;
use session_benches::sqlite::Sqlite;
use session_benches::{Failure, seats, server};

/// Heartbeats over HTTP on the bundled server.
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
    /// The program of the server; by default the one beside this program.
    #[arg(long)]
    server: Option<PathBuf>,
    /// Connections of each cell.
    #[arg(long, value_delimiter = ',', default_value = "1,4,32,128")]
    connections: Vec<usize>,
    /// Seconds that count.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds before that.
    #[arg(long, default_value_t = 3)]
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
    let server = server::program(arguments.server)?;
    let script = Rc::new(Script {
        requests: seats::heartbeats(now)?,
        order: seats::in_turn(),
    });
    let span = Span {
        warm_up: Duration::from_secs(arguments.warm_up),
        measured: Duration::from_secs(arguments.seconds),
    };
    for connections in arguments.connections {
        let measured = world.beats_over_http(&server, connections, &script, span)?;
        println!(
            "{} {connections:>4} connections  {}",
            world.name(),
            measured.line()
        );
    }
    Ok(())
}
