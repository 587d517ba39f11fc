//! What the chain says of a booking, at one block.

use super::{Booking, Capabilities, Slot, Terms};
use crate::types::{Timestamp, Wallet};

/// A booking and all that decides over it, read at one block. A booking that does not exist, and a
/// slot that does not, are what the contract shows in their place
/// ([`BookingStatus::None`](super::BookingStatus::None), [`Slot::exists`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "ports fill in every field")]
pub struct EscrowReading {
    /// The booking.
    pub booking: Booking,
    /// Its slot.
    pub slot: Slot,
    /// Its terms.
    pub terms: Terms,
    /// Whose attestations the contract takes.
    pub oracle: Wallet,
    /// The block's time.
    pub chain_now: Timestamp,
    /// What the contract can do. Known by configuration, not read.
    pub capabilities: Capabilities,
    /// Whom this deployment attests as; `None` where it has no key.
    pub attester: Option<Wallet>,
}
