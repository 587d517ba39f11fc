//! What must hold of every history, one file each. What must hold of rows alone is in
//! [`crate::invariants`] and is asked through [`Sound`].
//!
//! An invariant sees what happens through [`Seen`] and keeps of it what it needs. It judges by the
//! true world and by true time, never by what some server believes.

mod acknowledged;
mod answered_once;
mod attested_once;
mod charged_once;
mod fenced;
mod follows;
mod lease_bound;
mod left_once;
mod one_decision;
mod refusals_are_clean;
mod settled_in_time;
mod silent_alone;
mod sound;
mod told_in_order;
mod windows;
mod written_first;

pub use acknowledged::Acknowledged;
pub use answered_once::AnsweredOnce;
pub use attested_once::AttestedOnce;
pub use charged_once::ChargedOnce;
pub use fenced::Fenced;
pub use follows::Follows;
pub use lease_bound::LeaseBound;
pub use left_once::LeftOnce;
pub use one_decision::OneDecision;
pub use refusals_are_clean::RefusalsAreClean;
pub use settled_in_time::SettledInTime;
pub use silent_alone::SilentAlone;
pub use sound::Sound;
pub use told_in_order::ToldInOrder;
pub use windows::Windows;
pub use written_first::WrittenFirst;

use std::fmt::Debug;

use session_core::changeset::{Changeset, Receipt, World};
use session_core::escrow::{BookingKey, EscrowReading};
use session_core::outbox::Intent;
use session_core::policy::Policy;
use session_core::ports::{Attestation, Claim, Claimed, Read, StoredRow};
use session_core::types::Timestamp;

use super::chain::Chains;
use super::{Reply, Request};
use crate::escrows::Accepted;

/// Who acts: one request, pass or beat, on one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct By {
    /// Which task; never used again after it ends.
    pub task: u32,
    /// On which server.
    pub server: usize,
    /// The true time at which the task looked at its clock, to decide by it.
    pub looked_at: u64,
    /// What the clock showed.
    pub shown: Timestamp,
    /// By how many seconds the time that servers share was ahead of true time, at least.
    pub ahead: i64,
    /// Since when the process knew that it ran without a pause, by its clock.
    pub alive_since: Timestamp,
}

/// Something that happened, at the instant at which it did.
#[derive(Debug)]
#[non_exhaustive]
pub enum Seen<'a> {
    /// From now on some server runs, or none does.
    Alive(bool),
    /// A request begins on a server.
    Asked {
        /// As which task.
        task: u32,
        /// The request.
        request: &'a Request,
    },
    /// The chain took an attestation of ours.
    Attested(&'a Accepted),
    /// For so many seconds nothing has failed, and whatever could go on went on.
    Calm(u64),
    /// A server was told how a booking is on the chain.
    ChainRead {
        /// To whom.
        by: By,
        /// Which booking.
        key: BookingKey,
        /// What it was told, true or not.
        reading: &'a EscrowReading,
    },
    /// A request was answered; whether its client hears it is not said.
    Answered {
        /// By what.
        by: By,
        /// The request.
        request: &'a Request,
        /// The answer.
        reply: &'a Reply,
        /// What the request has committed.
        written: &'a [Changeset],
    },
    /// Rows were handed out, whether or not the caller hears it.
    Claimed {
        /// To whom.
        by: By,
        /// What was asked for.
        claim: &'a Claim,
        /// What was handed out.
        claimed: &'a [Claimed],
    },
    /// A changeset was committed, whether or not the caller hears it.
    Committed {
        /// By whom.
        by: By,
        /// What.
        changeset: &'a Changeset,
        /// What the store said.
        receipt: &'a Receipt,
    },
    /// The outside did what an intent says.
    Done(&'a Intent),
    /// An intent leaves the process.
    Leaving(&'a Intent),
    /// A clock was looked at, of which a task will decide.
    Looked(By),
    /// The chain took back what it had taken since this block time.
    Reorganised(Timestamp),
    /// An attestation leaves the process.
    Sending {
        /// By whom.
        by: By,
        /// What.
        attestation: &'a Attestation,
    },
    /// Rows were read.
    Read {
        /// What was asked for.
        reads: &'a [Read],
        /// What was found.
        found: &'a [Vec<StoredRow>],
    },
}

/// The true world at an instant.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Truth<'a> {
    /// What is stored.
    pub world: &'a World,
    /// True time, in seconds since 1970.
    pub now: u64,
    /// The numbers of the run.
    pub policy: &'a Policy,
    /// The escrow contracts, where there are any.
    pub chains: Option<&'a Chains>,
}

/// Something that must hold of every history.
pub trait Invariant: Debug + Send {
    /// Its name, by which a violation is known again.
    fn name(&self) -> &'static str;

    /// Something happened; `truth` is how things are after it.
    ///
    /// # Errors
    /// A sentence, where it must not have happened.
    fn see(&mut self, seen: &Seen<'_>, truth: Truth<'_>) -> Result<(), String>;

    /// Looks at the world after a step that changed it.
    ///
    /// # Errors
    /// A sentence, where the world must not be so.
    fn check(&mut self, _truth: Truth<'_>) -> Result<(), String> {
        Ok(())
    }
}

/// The invariants of every system.
#[must_use]
pub fn common() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(Acknowledged::default()),
        Box::new(AnsweredOnce::default()),
        Box::new(Fenced::default()),
        Box::new(RefusalsAreClean),
        Box::new(Sound),
        Box::new(WrittenFirst::default()),
    ]
}

/// The invariants of free rooms.
#[must_use]
pub fn of_free_rooms() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(ChargedOnce::default()),
        Box::new(LeaseBound::default()),
        Box::new(LeftOnce::default()),
        Box::new(SilentAlone::default()),
        Box::new(ToldInOrder::default()),
    ]
}

/// The invariants of booked sessions.
#[must_use]
pub fn of_bookings() -> Vec<Box<dyn Invariant>> {
    vec![
        Box::new(AttestedOnce::default()),
        Box::new(Follows::default()),
        Box::new(OneDecision::default()),
        Box::new(SettledInTime),
        Box::new(Windows::default()),
    ]
}
