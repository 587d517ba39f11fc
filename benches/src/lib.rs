//! Benches of the workspace. `benches/` holds those of `session-core` with criterion; the programs
//! in `src/bin` put loads on the stores and on the server, beside the raw database doing the same
//! work. `README.md` says how to run them and what their figures mean.

pub mod cells;
pub mod commits;
pub mod http;
pub mod machine;
pub mod postgres;
pub mod report;
pub mod seats;
pub mod server;
pub mod sqlite;

/// A failure that ends a run, in words.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
