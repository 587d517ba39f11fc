//! Whether what a store holds can be: the named invariants, each in a file of its own, and the
//! chain.
//!
//! [`Audit`] is shown everything that an [`Archive`](crate::ports::Archive) holds, once and in
//! order, and re-derives it from the journal alone. It keeps sums for each account, each stay and
//! each room, and nothing of entries, so that a journal may be much longer than memory. What only a
//! history shows, such as that a repeated request is answered alike, the simulator of
//! `session-testkit` checks instead.
//!
//! | invariant | holds when |
//! | --- | --- |
//! | `chain` | every entry is genuine, and in one block or in none yet; every block holds the hash of the one before |
//! | `conservation` | per unit, credits equal debits; an account is the sum of its transfers, and they are those of the journal |
//! | `never_negative` | no guarded account is or ever was below zero |
//! | `charged_once` | a stay was charged what its transfers say, at most its presence, and nothing after its end |
//! | `decided` | what was decided of booked sessions follows from what is on record, and the journal tells of it |
//! | `journaled` | rooms and stays are what the journal tells of them |
//! | `one_seat` | a wallet sits once and hosts one active room |
//! | `capacity` | a room holds as many as it counts, at most its capacity, each in a place of their own |
//! | `lease_bound` | no lease is longer than one lease after the last sign of life |
//! | `resolved` | nothing has been due for long while servers were alive |
//! | `readable` | everything that is stored can be read |

mod bundle;
mod capacity;
mod chain;
mod charged_once;
mod conservation;
mod decided;
mod export;
mod journaled;
mod lease_bound;
mod never_negative;
mod one_seat;
mod resolved;
#[cfg(test)]
mod tests;

pub use bundle::{BUNDLE_FORM, Bundle, BundleBlock, BundleError, SignedBundle, Stay, Story};
pub use export::RoomExport;
pub use resolved::OVERDUE_MAX;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use crate::changeset::Row;
use crate::journal::BlockNumber;
use crate::policy::Policy;
use crate::ports::{Found, Visitor};
use crate::types::ChainId;

/// Complaints that a report spells out; further ones are counted.
pub const COMPLAINTS_MAX: usize = 100;

/// Something that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Complaint {
    /// The name of the invariant that is broken.
    pub invariant: &'static str,
    /// What breaks it.
    pub what: String,
}

/// What an audit came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Which chain, if one has begun.
    pub chain: Option<ChainId>,
    /// How many blocks it has.
    pub blocks: BlockNumber,
    /// The hash of its last block, as hex digits. Written down elsewhere, it shows later whether
    /// the journal up to here was changed.
    pub head: Option<String>,
    /// Entries of the journal.
    pub entries: u64,
    /// Entries that are in no block yet.
    pub unsealed: u64,
    /// Booked sessions.
    pub bookings: u64,
    /// Moves of value.
    pub transfers: u64,
    /// Accounts that have a row.
    pub accounts: u64,
    /// Rooms, closed ones included.
    pub rooms: u64,
    /// Stays, ended ones included.
    pub seats: u64,
    /// How often each invariant that was checked is broken.
    pub invariants: BTreeMap<&'static str, u64>,
    /// What breaks them, the first [`COMPLAINTS_MAX`].
    pub complaints: Vec<Complaint>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.invariants.values().all(|broken| *broken == 0)
    }

    fn complain(&mut self, invariant: &'static str, what: String) {
        let broken = self.invariants.entry(invariant).or_default();
        *broken = broken.saturating_add(1);
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(Complaint { invariant, what });
        }
    }
}

/// One invariant: is shown everything, and says what is wrong as soon as it knows.
trait Invariant {
    const NAME: &'static str;

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>);

    /// Nothing more comes.
    fn end(&mut self, complaints: &mut Vec<String>);
}

/// Checks what it is shown.
#[derive(Debug)]
pub struct Audit {
    capacity: capacity::Capacity,
    chain: Option<chain::ChainCheck>,
    charged_once: charged_once::ChargedOnce,
    conservation: conservation::Conservation,
    decided: decided::Decided,
    journaled: journaled::Journaled,
    lease_bound: lease_bound::LeaseBound,
    never_negative: never_negative::NeverNegative,
    one_seat: one_seat::OneSeat,
    resolved: Option<resolved::Resolved>,
    report: Report,
}

impl Audit {
    /// Checks everything. The policy is that of the servers that wrote what is checked.
    #[must_use]
    pub fn new(policy: &Policy) -> Self {
        Self {
            chain: Some(chain::ChainCheck::default()),
            resolved: Some(resolved::Resolved::default()),
            ..Self::of_state(policy)
        }
    }

    /// Checks what holds after every single commit and costs little: everything but the chain and
    /// what is overdue.
    #[must_use]
    pub fn of_state(policy: &Policy) -> Self {
        Self {
            capacity: capacity::Capacity::new(policy.rooms.capacity),
            chain: None,
            charged_once: charged_once::ChargedOnce::default(),
            conservation: conservation::Conservation::default(),
            decided: decided::Decided::default(),
            journaled: journaled::Journaled::default(),
            lease_bound: lease_bound::LeaseBound::new(policy.rooms.lease),
            never_negative: never_negative::NeverNegative,
            one_seat: one_seat::OneSeat::default(),
            resolved: None,
            report: Report::default(),
        }
    }

    /// What it came to, once everything was shown.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.each(None);
        self.report
    }

    fn each(&mut self, found: Option<&Found>) {
        let report = &mut self.report;
        if let Some(chain) = &mut self.chain {
            ask(chain, found, report);
        }
        if let Some(resolved) = &mut self.resolved {
            ask(resolved, found, report);
        }
        ask(&mut self.conservation, found, report);
        ask(&mut self.never_negative, found, report);
        ask(&mut self.charged_once, found, report);
        ask(&mut self.journaled, found, report);
        ask(&mut self.decided, found, report);
        ask(&mut self.one_seat, found, report);
        ask(&mut self.capacity, found, report);
        ask(&mut self.lease_bound, found, report);
    }

    fn count(&mut self, found: &Found) {
        let report = &mut self.report;
        let counted = match found {
            Found::Row(_, Row::Account(_)) => &mut report.accounts,
            Found::Row(_, Row::BookedSession(_)) => &mut report.bookings,
            Found::Row(_, Row::Room(_)) => &mut report.rooms,
            Found::Row(_, Row::Seat(_)) => &mut report.seats,
            Found::Row(_, Row::Chain(chain)) => {
                report.chain = Some(chain.id);
                return;
            }
            Found::Row(_, Row::Block(block)) => {
                report.blocks = block.number;
                report.head = Some(crate::types::encode_hex(&block.hash));
                return;
            }
            Found::Unsealed(_) => &mut report.unsealed,
            Found::Totals {
                entries, transfers, ..
            } => {
                report.entries = *entries;
                report.transfers = *transfers;
                return;
            }
            Found::Unreadable { table, detail } => {
                report.complain("readable", alloc::format!("{table}: {detail}"));
                return;
            }
            Found::Row(..) | Found::Transfer(_) => return,
        };
        *counted = counted.saturating_add(1);
    }
}

impl Visitor for Audit {
    fn visit(&mut self, found: Found) {
        self.report.invariants.entry("readable").or_default();
        self.count(&found);
        self.each(Some(&found));
    }
}

fn ask<I: Invariant>(invariant: &mut I, found: Option<&Found>, report: &mut Report) {
    let mut complaints = Vec::new();
    match found {
        Some(found) => invariant.see(found, &mut complaints),
        None => {
            report.invariants.entry(I::NAME).or_default();
            invariant.end(&mut complaints);
        }
    }
    for what in complaints {
        report.complain(I::NAME, what);
    }
}
