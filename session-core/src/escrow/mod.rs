//! The escrow contracts that booked sessions are paid through, as the chain shows them: what they
//! hold, in the words of their interface. What follows from it, booked sessions and the attestation
//! policy say.
//!
//! The interface is that of `settlement.md` sections 2 to 4 and 8. Contracts differ in what they can
//! do ([`Capabilities`]); nothing is decided by the name under which one was deployed.
//!
//! | module | holds |
//! | --- | --- |
//! | `key`, `record` | what names an escrow and a booking, and what an escrow holds of one |
//! | [`abi`] | the words that contracts are spoken to in |
//! | [`call`] | what can be called |
//! | [`returned`] | what a read returns |
//! | [`event`] | what is logged |
//! | [`revert`] | why a call failed, for logs |
//! | [`payout`] | what an end credits to whom |
//! | [`statement`] | what host and guest may sign together |

pub mod abi;
pub mod call;
pub mod event;
mod key;
pub mod payout;
mod reading;
mod record;
pub mod returned;
pub mod revert;
mod side;
pub mod statement;

pub use key::{BookingKey, EscrowId, InvalidBookingKey};
pub use reading::EscrowReading;
pub use record::{
    Booking, BookingStatus, ContractOutcome, InvalidOutcome, Outcome, Request, RequestStatus, Slot,
    SlotStatus, Terms,
};
pub use side::Side;

/// What a contract can do beyond the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these two are what differs")]
pub struct Capabilities {
    /// A host may name the price of a slot when creating it.
    pub explicit_price: bool,
    /// Host and guest may settle by two signatures.
    pub mutual_outcome: bool,
}
