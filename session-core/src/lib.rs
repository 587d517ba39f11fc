//! Who pays for this second.
#![no_std]
#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod auth;
pub mod changeset;
pub mod crypto;
pub mod idempotency;
pub mod ledger;
pub mod media;
pub mod outage;
pub mod outbox;
pub mod policy;
pub mod ports;
pub mod room;
pub mod service;
pub mod types;
