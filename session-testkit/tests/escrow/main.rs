//! The escrow contracts, run in an EVM inside the process: that they answer as `settlement.md` says
//! in its sections 2, 3, 4 and 8, and that they never owe more than they hold.
//!
//! Every call is made on two chains, which have the contract with and without its revert strings;
//! what they answer must be the same but for the strings (see `twins`). No test asks a real clock:
//! the time of a block is a number.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by a panic"
)]

mod abi;
mod admin;
mod chain;
mod guards;
mod interface;
mod lives;
mod mutual;
mod payouts;
mod recorded;
mod requests;
mod solvency;
mod steps;
mod surroundings;
mod twins;
mod understood;
mod vectors;
mod walk;
mod windows;
mod world;
