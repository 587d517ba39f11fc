//! The bundled server as a process: start, drive, kill, restart, check.
//!
//! What the rules are is tested elsewhere; here only that everything is wired together and that
//! what was answered survives the death of the process. Clients are the one in `../client`, which
//! shares no code with the server. Where that is not installed its tests pass without doing
//! anything and say `NOT THERE`; with `SESSION_TEST_REQUIRE=1`, as `./test` runs them, they fail.
#![allow(clippy::expect_used, reason = "a test that cannot go on says why")]

mod audit;
mod client;
mod clock;
mod crashes;
mod database;
mod drain;
#[cfg(feature = "otlp")]
mod otlp;
mod outages;
mod pages;
mod people;
mod place;
mod postgres;
mod promises;
mod races;
mod rooms;
mod seen;
mod server;
mod settings;
#[path = "../../../../session-sqlx/tests/support/mod.rs"]
mod support;
mod takeover;
