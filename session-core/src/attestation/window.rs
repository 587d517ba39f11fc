//! When the contract takes which outcome (`settlement.md` section 3).

use crate::escrow::{Outcome, Slot};
use crate::types::{Seconds, Timestamp};

/// For how long after the end a session can be attested as completed. A constant of the contract.
pub const COMPLETED_AFTER_END: Seconds = Seconds::new(7200);

/// The block times at which the contract takes an outcome; both ends are included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a window has two ends")]
pub struct Window {
    /// The first second.
    pub earliest: Timestamp,
    /// The last second.
    pub latest: Timestamp,
}

/// Where an instant lies of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "time has one direction")]
pub enum Place {
    /// It has not opened.
    Before,
    /// It is open.
    Inside,
    /// It has closed.
    After,
}

impl Window {
    /// The window of an outcome.
    #[must_use]
    pub const fn of(slot: &Slot, outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed => Self {
                earliest: slot.start_time.after(slot.min_overlap()),
                latest: slot.end().after(COMPLETED_AFTER_END),
            },
            Outcome::NoShowHost | Outcome::NoShowGuest => Self {
                earliest: slot.start_time.after(slot.grace()),
                latest: slot.end().after(slot.grace()),
            },
        }
    }

    /// Where a block's time lies.
    #[must_use]
    pub fn place(&self, chain_now: Timestamp) -> Place {
        if chain_now < self.earliest {
            Place::Before
        } else if chain_now > self.latest {
            Place::After
        } else {
            Place::Inside
        }
    }
}

/// The last second at which anything at all can be attested of a slot.
#[must_use]
pub fn last_chance(slot: &Slot) -> Timestamp {
    let [completed, no_show, _] = Outcome::ALL.map(|outcome| Window::of(slot, outcome).latest);
    completed.max(no_show)
}
