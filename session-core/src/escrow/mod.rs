//! The escrow contracts that booked sessions are paid through, as the chain shows them: what they
//! hold, in the words of their interface. What follows from it, booked sessions and the attestation
//! policy say.
//!
//! The interface is that of `settlement.md` sections 2 to 4 and 8. Contracts differ in what they can
//! do ([`Capabilities`]); nothing is decided by the name under which one was deployed.

mod key;
mod reading;
mod record;

pub use key::{BookingKey, EscrowId, InvalidBookingKey};
pub use reading::EscrowReading;
pub use record::{
    Booking, BookingStatus, ContractOutcome, InvalidOutcome, Outcome, Slot, SlotStatus, Terms,
};

/// What a contract can do beyond the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these two are what differs")]
pub struct Capabilities {
    /// A host may name the price of a slot when creating it.
    pub explicit_price: bool,
    /// Host and guest may settle by two signatures.
    pub mutual_outcome: bool,
}
