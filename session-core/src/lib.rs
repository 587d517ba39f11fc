//! Who pays for this second: credit ledger, rooms and media tokens as pure decisions.
//!
//! This crate is `no_std` with `alloc` and does no I/O: time, randomness and every fact from
//! outside come in as arguments. A [`Command`](service::Command) loads rows through a
//! [`Store`](ports::Store), decides, and returns a [`Changeset`](changeset::Changeset) that the
//! store commits whole; [`execute`](service::execute) is the same few lines for every command. It
//! is not a server, not a database and not a runtime: `session-axum`, `session-sqlx` and whatever
//! you have are.
//!
//! What a commit means is a pure function, so a decision can be tried without a store:
//!
//! ```
//! use session_core::changeset::{Draft, World, apply};
//! use session_core::ledger::{
//!     AccountKey, AccountKind, Action, Owner, Reason, Reference, Transfer,
//! };
//! use session_core::types::{Timestamp, TransferId, Unit, Wallet};
//!
//! let alice = Owner::Wallet(Wallet::from_bytes([0xa1; 20]));
//! let account = |kind| AccountKey::new(alice, kind, Unit::Seconds);
//! let mut draft = Draft::new();
//! draft.transfer(Transfer {
//!     id: TransferId::derive("grant", &[b"alice"]),
//!     debit: account(AccountKind::GrantBase),
//!     credit: account(AccountKind::Wallet),
//!     amount: 1800,
//!     action: Action::Posted,
//!     reason: Reason::GrantBase,
//!     reference: Reference::None,
//!     at: Timestamp::from_unix(1_800_000_000),
//! });
//! let changeset = draft.finish();
//!
//! let mut world = World::new();
//! let first = apply(&world, &changeset)?;
//! world.absorb(&first);
//! let repeat = apply(&world, &changeset)?;
//! assert_eq!(first.receipt, repeat.receipt);
//! assert!(repeat.puts.is_empty(), "a repeat moves nothing");
//! # Ok::<(), session_core::changeset::Rejection>(())
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`attestation`] | who was there, and what follows |
//! | [`audit`] | whether what a store holds can be, and bundles that prove it |
//! | [`auth`] | sign-in by signed nonce, access tokens |
//! | [`booking`] | booked sessions: who came, what was decided, how far the settlement is |
//! | [`changeset`] | the write door: changesets, rows, journal, and what committing means |
//! | [`crypto`] | hashes, recovery of signers, secrets |
//! | [`escrow`] | the contracts of booked sessions, as the chain shows them |
//! | [`idempotency`] | answers kept for repeats |
//! | [`journal`] | entries, and the blocks that seal them |
//! | [`ledger`] | accounts, transfers, grants, the credit gate |
//! | [`manual`] | pages on time, money, threats, stores, several servers, and every number |
//! | [`media`] | channels, leases, tokens of Agora and LiveKit |
//! | [`outage`] | spans in which no server was alive |
//! | [`outbox`] | intents: what will leave the process |
//! | [`policy`] | every number a rule uses |
//! | [`ports`] | what an embedder brings: store, clock, entropy, names, … |
//! | [`receipt`] | the server's signed word on a stay that ended |
//! | [`room`] | free rooms; presence becomes a charge in [`room::meter`] and nowhere else |
//! | [`service`] | the driver, queries, and what workers do |
//! | [`types`] | wallets, identifiers, units, instants |
#![no_std]
#![deny(clippy::arithmetic_side_effects)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod attestation;
pub mod audit;
pub mod auth;
pub mod booking;
pub mod changeset;
pub mod crypto;
pub mod escrow;
pub mod idempotency;
pub mod journal;
pub mod ledger;
pub mod manual;
pub mod media;
pub mod outage;
pub mod outbox;
pub mod policy;
pub mod ports;
pub mod receipt;
pub mod room;
pub mod service;
pub mod types;
