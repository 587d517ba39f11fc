//! Transfers: immutable moves of value.

use serde::{Deserialize, Serialize};

use super::account::AccountKey;
use crate::types::{ConnectionId, Timestamp, TransferId};

/// Why value moved. The names are those of the recorded credit events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "stores map every reason")]
pub enum Reason {
    /// Somebody with the operator's rights changed a balance.
    AdminAdjust,
    /// Presence in a free room.
    DebitUsage,
    /// The once-for-ever base grant.
    GrantBase,
    /// The once-for-ever bonus of a verified wallet.
    GrantCeloBonus,
}

impl Reason {
    const ALL: [Self; 4] = [
        Self::AdminAdjust,
        Self::DebitUsage,
        Self::GrantBase,
        Self::GrantCeloBonus,
    ];

    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdminAdjust => "admin_adjust",
            Self::DebitUsage => "debit_usage",
            Self::GrantBase => "grant_base",
            Self::GrantCeloBonus => "grant_celo_bonus",
        }
    }

    /// The reason of a stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// What caused a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "stores map every reference")]
pub enum Reference {
    /// A stay in a room.
    Connection(ConnectionId),
    /// Nothing that has an identifier of its own.
    None,
}

/// What a transfer does to the sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "stores map every action")]
pub enum Action {
    /// Moves the amount at once.
    Posted,
    /// Reserves the amount until it is posted or voided.
    Pending {
        /// After this instant it can only be voided.
        deadline: Timestamp,
    },
    /// Moves the amount out of a reservation and frees what is left of it.
    Post {
        /// The reservation.
        of: TransferId,
    },
    /// Frees a reservation whole; the amount is what was reserved.
    Void {
        /// The reservation.
        of: TransferId,
    },
}

/// One move of value between two accounts of one unit. Immutable once stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Derived from the cause, so that the same cause moves value once.
    pub id: TransferId,
    /// Where it comes from.
    pub debit: AccountKey,
    /// Where it goes.
    pub credit: AccountKey,
    /// How much, in the unit of both accounts. More than zero.
    pub amount: u64,
    /// What it does to the sums.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// Because of what.
    pub reference: Reference,
    /// When it was decided.
    pub at: Timestamp,
}

/// What must hold of the debited account for the transfer to happen, where the decision could not
/// know because several requests debit it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "stores map every guard")]
pub enum Guard {
    /// At least this much must be available, else the changeset is refused.
    AtLeast(u64),
    /// As much as is available, at most the transfer's amount; nothing at all is no transfer.
    UpTo,
}

/// A transfer that a changeset asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The transfer; with [`Guard::UpTo`] its amount is the most that may move.
    pub transfer: Transfer,
    /// What must hold of the debited account.
    pub guard: Option<Guard>,
}

impl Transfer {
    /// Whether another transfer under the same identifier says the same. The instant is not
    /// compared: a repeat comes later.
    #[must_use]
    pub fn is_repeat_of(&self, other: &Self, compare_amount: bool) -> bool {
        self.debit == other.debit
            && self.credit == other.credit
            && self.action == other.action
            && self.reason == other.reason
            && self.reference == other.reference
            && (!compare_amount || self.amount == other.amount)
    }
}
