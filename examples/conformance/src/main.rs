//! Replays recorded cases against this implementation.
//!
//! ```text
//! $ cargo run -p session-conformance -- vectors/golden-rooms.json --only room,meter --store sqlite
//! vectors/golden-rooms.json
//! 77 left out by --only
//! 10 passed, 0 failed
//! $ cargo run -p session-conformance -- vectors/agora.json --only build/rtc-pub-90
//! vectors/agora.json
//! 114 left out by --only
//! 1 passed, 0 failed
//! $ DATABASE_URL=postgres://me@localhost/scratch cargo run -p session-conformance -- --store postgres vectors/golden-rooms.json
//! ```
//!
//! prints one line for each failed case and then, for each file, `N passed, N failed`. Exit codes:
//! 0 all passed, 1 something failed, 2 unusable arguments.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use session_conformance::select::Selection;
use session_conformance::stores::StoreKind;

/// Replays recorded cases against this implementation.
#[derive(Debug, Parser)]
#[command(name = "session-conformance")]
struct Arguments {
    /// Files of recorded cases, recognised by their shape.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Run only sections and scenarios whose name begins so.
    #[arg(long, value_delimiter = ',', value_name = "PREFIX[,PREFIX...]")]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    only: Vec<String>,
    /// Where HTTP scenarios run.
    #[arg(long, value_enum, default_value_t = StoreName::Memory)]
    store: StoreName,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StoreName {
    Memory,
    Postgres,
    Sqlite,
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
    let store = match arguments.store {
        StoreName::Memory => StoreKind::Memory,
        StoreName::Sqlite => StoreKind::Sqlite,
        StoreName::Postgres => match std::env::var("DATABASE_URL") {
            Ok(url) => StoreKind::Postgres(url),
            Err(_) => {
                eprintln!("--store postgres needs DATABASE_URL, a database to make schemas in");
                return unusable();
            }
        },
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let selection = Selection::new(arguments.only);
    let report = runtime.block_on(session_conformance::run(
        &arguments.files,
        selection,
        &store,
    ));
    // Somebody who closes the pipe early has seen enough, but not that everything passed.
    let is_told = write!(io::stdout(), "{report}").is_ok();
    if is_told && report.is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The exit code for arguments that nothing can be run with.
fn unusable() -> ExitCode {
    ExitCode::from(2)
}
