//! What `SqliteStore` promises, checked on files of its own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by a panic"
)]

mod behaviour;
mod common;
mod constraints;
mod files;
mod race;
mod rows;
mod statements;
