//! What a contract holds of a booking: its records, field by field (`settlement.md` section 2).

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::types::{BookingId, Seconds, SlotId, Timestamp, TokenAmount, Wallet};

/// Text that is not one of the three outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is none of completed, no-show-host, no-show-guest")]
pub struct InvalidOutcome;

/// What can be attested of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::exhaustive_enums, reason = "the contract knows these three")]
pub enum Outcome {
    /// Both were there for long enough: the host is paid.
    Completed,
    /// The host let the guest down: the guest is refunded.
    NoShowHost,
    /// The guest let the host down: the host is paid.
    NoShowGuest,
}

impl Outcome {
    /// Every outcome, by its number in the contract.
    pub const ALL: [Self; 3] = [Self::Completed, Self::NoShowHost, Self::NoShowGuest];

    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::NoShowHost => "no-show-host",
            Self::NoShowGuest => "no-show-guest",
        }
    }

    /// The number in the contract.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Completed => 1,
            Self::NoShowHost => 2,
            Self::NoShowGuest => 3,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Outcome {
    type Err = InvalidOutcome;

    fn from_str(text: &str) -> Result<Self, InvalidOutcome> {
        let named = Self::ALL.into_iter().find(|outcome| outcome.name() == text);
        named.ok_or(InvalidOutcome)
    }
}

/// Declares an enumeration of the contract: its variants by their numbers from 0, and their names.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(clippy::exhaustive_enums, reason = "the contract's enumeration is closed")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value, by its number in the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The value of a number in the contract; `None` where it has no such value.
            #[must_use]
            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }

            /// The number in the contract.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The name that the contract gives it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }
        }
    };
}

numbered!(
    /// How far a booking has come.
    BookingStatus {
        /// There is no such booking.
        None,
        /// Paid for, not settled.
        Booked,
        /// Cancelled before the session. Final.
        Cancelled,
        /// An outcome was attested and may be challenged.
        Attested,
        /// The outcome was challenged.
        Disputed,
        /// The owner decided the dispute.
        Resolved,
        /// The money was credited. Final.
        Finalized,
    }
);

numbered!(
    /// How far a slot has come.
    SlotStatus {
        /// It can be booked; also what a slot that was never created reads as.
        Open,
        /// It is booked.
        Booked,
        /// It was cancelled.
        Cancelled,
        /// Its booking came to an end.
        Settled,
    }
);

numbered!(
    /// What a contract can say came of a booking.
    ContractOutcome {
        /// Nothing yet.
        None,
        /// [`Outcome::Completed`].
        Completed,
        /// [`Outcome::NoShowHost`].
        NoShowHost,
        /// [`Outcome::NoShowGuest`].
        NoShowGuest,
        /// The host cancelled.
        CancelledByHost,
        /// The guest cancelled.
        CancelledByGuest,
    }
);

numbered!(
    /// How far a request has come.
    RequestStatus {
        /// There is no such request.
        None,
        /// It waits for a host.
        Open,
        /// The guest took it back.
        Cancelled,
        /// A host took it, which made a slot and its booking.
        Accepted,
    }
);

/// What a host offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "the contract's record is closed")]
pub struct Slot {
    /// Who offers it; the zero address where there is no such slot.
    pub host: Wallet,
    /// When the session begins.
    pub start_time: Timestamp,
    /// How long it is to last, in minutes.
    pub duration_mins: u32,
    /// What it costs.
    pub price: TokenAmount,
    /// Minutes that anybody may be late.
    pub grace_mins: u32,
    /// Minutes that both have to be there.
    pub min_overlap_mins: u32,
    /// Minutes before the start from which on a guest's cancellation costs.
    pub cancel_cutoff_mins: u32,
    /// How far it has come.
    pub status: SlotStatus,
}

impl Slot {
    /// Whether there is such a slot.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.host != Wallet::from_bytes([0; 20])
    }

    /// How long the session is to last.
    #[must_use]
    pub const fn duration(&self) -> Seconds {
        minutes(self.duration_mins)
    }

    /// How late anybody may be.
    #[must_use]
    pub const fn grace(&self) -> Seconds {
        minutes(self.grace_mins)
    }

    /// How long both have to be there.
    #[must_use]
    pub const fn min_overlap(&self) -> Seconds {
        minutes(self.min_overlap_mins)
    }

    /// When the session ends.
    #[must_use]
    pub const fn end(&self) -> Timestamp {
        self.start_time.after(self.duration())
    }
}

const fn minutes(minutes: u32) -> Seconds {
    // A 32-bit number of minutes fits 64 bits of seconds.
    Seconds::new((minutes as u64).saturating_mul(60))
}

/// What a guest paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "the contract's record is closed")]
pub struct Booking {
    /// Which slot.
    pub slot: SlotId,
    /// Who booked.
    pub guest: Wallet,
    /// What was paid.
    pub amount: TokenAmount,
    /// How far it has come.
    pub status: BookingStatus,
    /// What was attested.
    pub oracle_outcome: ContractOutcome,
    /// What the attestation is made on.
    pub metrics_hash: [u8; 32],
    /// When it was attested; 1970 where it was not.
    pub attested_at: Timestamp,
    /// From when on it can be finalised; 1970 before the attestation.
    pub finalizable_at: Timestamp,
    /// Who challenged; the zero address where nobody did.
    pub challenger: Wallet,
    /// What the challenger put down.
    pub bond: TokenAmount,
    /// When it was challenged; 1970 where it was not.
    pub disputed_at: Timestamp,
}

/// The terms of a booking, copied when it was made and never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "the contract's record is closed")]
pub struct Terms {
    /// The fee, in ten-thousandths.
    pub fee_bps: u16,
    /// What a late cancellation costs, in ten-thousandths.
    pub late_cancel_penalty_bps: u16,
    /// For how long an attestation may be challenged.
    pub challenge_window: Seconds,
    /// How long after the end the parties may ask for an unattested refund.
    pub no_attest_buffer: Seconds,
    /// After how long a dispute ends as attested.
    pub dispute_timeout: Seconds,
    /// What a challenger puts down.
    pub challenge_bond: TokenAmount,
}

/// What a guest asks for, and has paid already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "the contract's record is closed")]
pub struct Request {
    /// Which host alone may take it.
    pub host_target: Wallet,
    /// Who asks.
    pub guest: Wallet,
    /// When the session may begin at the earliest.
    pub window_start: Timestamp,
    /// When it may begin at the latest.
    pub window_end: Timestamp,
    /// How long it is to last, in minutes.
    pub duration_mins: u32,
    /// What was paid.
    pub amount: TokenAmount,
    /// The last second in which a host may take it.
    pub expiry: Timestamp,
    /// How far it has come.
    pub status: RequestStatus,
    /// The slot that was made of it; 0 before.
    pub slot: SlotId,
    /// The booking that was made of it; 0 before.
    pub booking: BookingId,
    /// Who took it; the zero address before.
    pub host: Wallet,
}
