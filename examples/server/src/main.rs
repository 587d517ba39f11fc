//! The bundled server: every crate of the workspace put together.
//!
//! With nothing configured it serves development on an embedded SQLite file, with fakes of
//! everything outside, and says so:
//!
//! ```text
//! $ cargo run --release -p session-server
//! $ curl -s http://127.0.0.1:3338/health
//! {"ok":true}
//! $ curl -s http://127.0.0.1:3338/rooms/active
//! {"rooms":[]}
//! $ curl -s -X POST http://127.0.0.1:3338/rooms/create
//! {"code":"unauthorized","error":"unauthorized","message":"a valid access token is needed",…}
//! ```
//!
//! Exit codes: 0 success, 1 the work failed, 2 unusable configuration.

mod audit;
mod cli;
mod config;
mod database;
#[cfg(test)]
mod defaults;
mod escrow;
mod failpoints;
mod media;
mod otlp;
mod parts;
mod secrets;
mod serve;
mod sign_in;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Task};
use config::Config;
use otlp::Traces;
use secrets::Keeping;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors to clap, too.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    // A fact about the program, whatever its settings are.
    if matches!(cli.task, Some(Task::Openapi)) {
        print!("{}", session_axum::openapi_json());
        return ExitCode::SUCCESS;
    }
    let keeping = match cli.task {
        Some(Task::Audit | Task::CheckConfig | Task::Export { .. } | Task::Openapi) => {
            Keeping::OnlyRead
        }
        None | Some(Task::Serve | Task::Migrate | Task::Sweep { .. }) => Keeping::Kept,
    };
    let config = match Config::read(&cli.settings, keeping) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("unusable configuration: {error}");
            return ExitCode::from(2);
        }
    };
    if matches!(cli.task, Some(Task::CheckConfig)) {
        print!("{config}");
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::from(1);
        }
    };
    let (traces, exported) = match Traces::start(&config.traces, runtime.handle()) {
        Ok(started) => started,
        Err(error) => {
            eprintln!("no traces: {}", in_full(&*error));
            return ExitCode::from(1);
        }
    };
    if let Err(error) = config.log.install(exported) {
        eprintln!("unusable configuration: {error}");
        return ExitCode::from(2);
    }
    let worked = runtime.block_on(async {
        match cli.task.unwrap_or(Task::Serve) {
            Task::Serve => serve::serve(&config).await,
            Task::Migrate => parts::Parts::open(&config).await.map(|_| ()),
            Task::Audit => audit::audit(&config).await,
            Task::Export { room } => audit::export(&config, room).await,
            Task::Sweep { once: _ } => serve::sweep_once(&config).await,
            Task::CheckConfig | Task::Openapi => Ok(()),
        }
    });
    traces.end();
    match worked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("session-server failed: {}", in_full(&*error));
            ExitCode::from(1)
        }
    }
}

/// An error and what brought it about.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
