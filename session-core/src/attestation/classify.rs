//! What came of an attempt (`settlement.md` section 6.3).
//!
//! Whatever an attempt ran into (a revert with or without a string, a receipt that says no, a
//! connection that broke, a block that went away), what came of it is what the chain shows
//! afterwards. So how it failed is not even an input here.

use serde::{Deserialize, Serialize};

use super::{Place, Window};
use crate::escrow::{Booking, BookingStatus, Outcome};
use crate::types::{Timestamp, Wallet, Word};

/// The booking as it reads after an attempt, or before one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a class is made of these")]
pub struct Reread<'a> {
    /// The booking.
    pub booking: &'a Booking,
    /// The time of the block it was read at.
    pub chain_now: Timestamp,
    /// Who may attest at that contract.
    pub oracle: Wallet,
}

/// Why nothing is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the rule book knows these four")]
pub enum Done {
    /// The chain holds what we attested.
    Submitted,
    /// It holds another attestation.
    AlreadyAttested,
    /// It came to an end, or to a dispute, without ours.
    AlreadySettled,
    /// There is no such booking.
    BookingNotFound,
}

impl Done {
    /// The word in answers, logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::AlreadyAttested => "already_attested",
            Self::AlreadySettled => "already_settled",
            Self::BookingNotFound => "booking_not_found",
        }
    }
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the rule book knows these classes")]
pub enum Class {
    /// Nothing is left to do.
    Done(Done),
    /// The chain's clock is behind ours: the window opens at this block time.
    Wait(Timestamp),
    /// The window has closed. Only the parties can act.
    WindowMissed,
    /// The contract takes another account's word, not ours.
    NotOracle,
    /// The attestation is not there and still can be.
    Retry,
    /// The chain could not be read.
    ChainUnavailable,
}

impl Class {
    /// The word in answers, logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done(done) => done.name(),
            Self::Wait(_) => "wait",
            Self::WindowMissed => "window_missed",
            Self::NotOracle => "not_oracle",
            Self::Retry => "retry",
            Self::ChainUnavailable => "chain_unavailable",
        }
    }
}

/// The class of an attempt to attest an outcome with a hash, as `us`. `None` where the booking
/// could not be read.
#[must_use]
pub fn classify(
    reread: Option<&Reread<'_>>,
    attested: (Outcome, Word),
    window: &Window,
    us: Wallet,
) -> Class {
    let Some(reread) = reread else {
        return Class::ChainUnavailable;
    };
    if let Some(done) = done(reread.booking, Some(attested)) {
        return Class::Done(done);
    }
    match window.place(reread.chain_now) {
        Place::Before => Class::Wait(window.earliest),
        Place::After => Class::WindowMissed,
        Place::Inside if reread.oracle != us => Class::NotOracle,
        Place::Inside => Class::Retry,
    }
}

/// Whether a booking needs nothing more of us, as it reads.
#[must_use]
pub(crate) fn done(booking: &Booking, attested: Option<(Outcome, Word)>) -> Option<Done> {
    // The hash alone would do, but that two signatures may settle on the zero hash, which a refund
    // shows as well.
    let is_ours = attested.is_some_and(|(outcome, hash)| {
        booking.oracle_outcome.code() == outcome.code() && booking.metrics_hash == hash.to_bytes()
    });
    match booking.status {
        BookingStatus::Booked => None,
        BookingStatus::None => Some(Done::BookingNotFound),
        BookingStatus::Attested
        | BookingStatus::Disputed
        | BookingStatus::Resolved
        | BookingStatus::Finalized
            if is_ours =>
        {
            Some(Done::Submitted)
        }
        BookingStatus::Attested => Some(Done::AlreadyAttested),
        BookingStatus::Cancelled
        | BookingStatus::Disputed
        | BookingStatus::Resolved
        | BookingStatus::Finalized => Some(Done::AlreadySettled),
    }
}
