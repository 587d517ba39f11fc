//! The numbers of the rules, in one value.

use crate::auth::AuthPolicy;
use crate::journal::JournalPolicy;
use crate::ledger::CreditPolicy;
use crate::outage::OutagePolicy;
use crate::outbox::OutboxPolicy;
use crate::room::RoomPolicy;

/// The numbers of all systems. The defaults are the recorded ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Sign-in.
    pub auth: AuthPolicy,
    /// Grants.
    pub credits: CreditPolicy,
    /// Sealing.
    pub journal: JournalPolicy,
    /// The shared beat.
    pub outage: OutagePolicy,
    /// Intents.
    pub outbox: OutboxPolicy,
    /// Free rooms.
    pub rooms: RoomPolicy,
}
