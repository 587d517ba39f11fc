//! The numbers of the rules, in one value.

use crate::auth::AuthPolicy;
use crate::booking::BookingPolicy;
use crate::journal::JournalPolicy;
use crate::ledger::CreditPolicy;
use crate::outage::OutagePolicy;
use crate::outbox::OutboxPolicy;
use crate::room::RoomPolicy;

/// The numbers of all systems. The defaults are the recorded ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Sign-in: how long a nonce lasts, and how many a wallet may have.
    pub auth: AuthPolicy,
    /// Booked sessions: doors, leases, silence, the attestation policy.
    pub bookings: BookingPolicy,
    /// Grants: what wallets are given.
    pub credits: CreditPolicy,
    /// Sealing of the journal: how often, and how much at once.
    pub journal: JournalPolicy,
    /// The shared beat, by which outages are noticed and clocks agree.
    pub outage: OutagePolicy,
    /// Intents: leases of workers, attempts, pauses.
    pub outbox: OutboxPolicy,
    /// Free rooms: capacity, leases, silence, credit.
    pub rooms: RoomPolicy,
}
