//! What tests of `session-core` and of its stores need: a memory store, a clock and randomness
//! that are values, a fake of every port, and naive models to compare with.
//!
//! | module | holds |
//! | --- | --- |
//! | [`memory`] | the reference store: [`apply`](session_core::changeset::apply) behind a lock |
//! | [`time`] | the manual clock |
//! | [`entropy`] | seeded randomness |
//! | [`escrows`] | a chain of escrow contracts in memory, with the rules of the real ones |
//! | [`escrows`] | a chain of escrow contracts in memory: a fake, with the rules of the real ones |
//! | [`fakes`] | names, verifications, the media vendor; each says in its name that it is none |
//! | [`mod@bench`] | all of them put together |
//! | [`invariants`] | what must hold of every history, checked on a world or through reads |
//! | `contracts` | the escrow in Solidity, compiled, and how it is deployed (feature `contracts`) |
//! | `conformance` | the public suite for stores (feature `conformance`) |
//! | `model` | strategies and the naive room-and-ledger model (feature `model`) |
//! | `races` | many requests at one instant, against any store (feature `races`) |
//! | `sim` | a seeded simulator of clients, servers, store and outside (feature `sim`) |

pub mod bench;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "contracts")]
pub mod contracts;
pub mod entropy;
pub mod escrows;
pub mod fakes;
pub mod invariants;
pub mod memory;
#[cfg(feature = "model")]
pub mod model;
#[cfg(feature = "races")]
pub mod races;
#[cfg(feature = "sim")]
pub mod sim;
pub mod time;
