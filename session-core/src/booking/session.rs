//! The row of a booked session.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{BookingPolicy, Decision, OutcomeStatement};
use crate::attestation::{Done, Evidence, Stay, Waiting};
use crate::escrow::{
    Booking, BookingKey, BookingStatus, EscrowReading, Outcome, Side, Slot, Terms,
};
use crate::media::MediaUid;
use crate::types::{ConnectionId, EvidenceId, SlotId, Timestamp, TokenAmount, Wallet, Word};

/// Stays that are kept of one party. One more continues the last: whoever says that it leaves and
/// comes hundreds of times gains no more by it than by never saying that it leaves.
pub const STAYS_MAX: usize = 200;

/// Pieces of evidence that a booking takes (`new-endpoints.md`).
pub const EVIDENCE_MAX: usize = 20;

/// Attempts that are kept, the latest; equal ones in a row count as one.
pub const ATTEMPTS_KEPT_MAX: usize = 20;

/// What was booked: everything of it that the contract never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "these are what was agreed on")]
pub struct Agreement {
    /// Which slot.
    pub slot_id: SlotId,
    /// The slot, as it was first read.
    pub slot: Slot,
    /// Who booked it.
    pub guest: Wallet,
    /// What was paid.
    pub amount: TokenAmount,
    /// On which terms.
    pub terms: Terms,
}

impl Agreement {
    /// What a reading of the chain says was booked.
    #[must_use]
    pub const fn of(reading: &EscrowReading) -> Self {
        Self {
            slot_id: reading.booking.slot,
            slot: reading.slot,
            guest: reading.booking.guest,
            amount: reading.booking.amount,
            terms: reading.terms,
        }
    }

    /// Whether a later reading says the same. A slot's own status moves on.
    #[must_use]
    pub fn is_that_of(&self, reading: &EscrowReading) -> bool {
        let read = Self::of(reading);
        let slot = Slot {
            status: self.slot.status,
            ..read.slot
        };
        *self == Self { slot, ..read }
    }

    /// The wallet of a party.
    #[must_use]
    pub const fn wallet(&self, party: Side) -> Wallet {
        match party {
            Side::Host => self.slot.host,
            Side::Guest => self.guest,
        }
    }

    /// Which party a wallet is.
    #[must_use]
    pub fn side(&self, wallet: Wallet) -> Option<Side> {
        [Side::Host, Side::Guest]
            .into_iter()
            .find(|party| self.wallet(*party) == wallet)
    }

    /// From when on the parties can take an unattested booking back.
    #[must_use]
    pub const fn refund_from(&self) -> Timestamp {
        self.slot.end().after(self.terms.no_attest_buffer)
    }
}

/// What is on record of one party.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "stores write every field")]
pub struct Attendance {
    /// Its number in the media channel, once it came.
    pub uid: Option<MediaUid>,
    /// Its last stay, as the media vendor knows it.
    pub connection: Option<ConnectionId>,
    /// Its stays, in their order, at most [`STAYS_MAX`].
    pub stays: Vec<Stay>,
    /// The outcome that it signed.
    pub statement: Option<OutcomeStatement>,
}

impl Attendance {
    /// The stay that it is in.
    #[must_use]
    pub fn current(&self) -> Option<&Stay> {
        self.stays.last().filter(|stay| stay.left_at.is_none())
    }

    /// Its first join and, where it is not in, its last leave.
    #[must_use]
    pub fn span(&self) -> Option<(Timestamp, Option<Timestamp>)> {
        let first = self.stays.iter().map(|stay| stay.joined_at).min()?;
        let last = self.stays.iter().filter_map(|stay| stay.left_at).max();
        Some((first, last.filter(|_| self.current().is_none())))
    }
}

/// Who attached a piece of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "nobody else may")]
pub enum EvidenceSource {
    /// The host.
    Host,
    /// The guest.
    Guest,
    /// The service itself.
    Service,
}

impl EvidenceSource {
    /// The word in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Guest => "guest",
            Self::Service => "service",
        }
    }
}

/// A piece of evidence on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "stores write every field")]
pub struct AttachedEvidence {
    /// Derived from the booking and what was attached.
    pub id: EvidenceId,
    /// What was attached.
    pub evidence: Evidence,
    /// By whom.
    pub by: EvidenceSource,
    /// When.
    pub at: Timestamp,
}

/// How far the settlement is, as far as it is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
#[allow(clippy::exhaustive_enums, reason = "the lifecycle is closed")]
pub enum Settlement {
    /// Nothing is decided.
    Open,
    /// It is decided, and being attested.
    Attesting,
    /// Nothing is left for us to do, unless the chain takes it back.
    Settled {
        /// Why.
        done: Done,
        /// Since when.
        at: Timestamp,
    },
    /// The contract takes it no more; only the parties can act.
    WindowMissed {
        /// What it would have been.
        outcome: Outcome,
        /// Since when.
        at: Timestamp,
    },
}

impl Settlement {
    /// The stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Attesting => "attesting",
            Self::Settled { .. } => "settled",
            Self::WindowMissed { .. } => "window_missed",
        }
    }

    /// Whether nothing is left for us to do.
    #[must_use]
    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Settled { .. } | Self::WindowMissed { .. })
    }
}

/// What one attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the rule book knows these")]
pub enum AttemptClass {
    /// It was decided.
    Decided(Outcome),
    /// Not yet.
    Waiting(Waiting),
    /// The chain holds it, or does not want it.
    Done(Done),
    /// The window had closed.
    WindowMissed(Outcome),
    /// The chain's clock is behind.
    Early,
    /// The contract takes another account's word.
    NotOracle,
    /// It is not on the chain and still can be.
    Retry,
    /// The chain could not be read.
    ChainUnavailable,
    /// The chain says something else than it did.
    Contradiction,
    /// There is no key to attest with.
    NoKey,
}

impl AttemptClass {
    /// The word in answers, logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decided(_) => "decided",
            Self::Waiting(reason) => reason.name(),
            Self::Done(done) => done.name(),
            Self::WindowMissed(_) => "window_missed",
            Self::Early => "early",
            Self::NotOracle => "not_oracle",
            Self::Retry => "retry",
            Self::ChainUnavailable => "chain_unavailable",
            Self::Contradiction => "contradiction",
            Self::NoKey => "no_key",
        }
    }
}

/// An attempt on record. Equal ones in a row are one that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "stores write every field")]
pub struct Attempt {
    /// When it was made; of several, the last.
    pub at: Timestamp,
    /// What it came to.
    pub class: AttemptClass,
    /// How often in a row.
    pub times: u32,
    /// The transaction that it sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Word>,
    /// What the chain said, shortened, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A booked session: what was booked, who was there, how far the settlement is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "stores write every field")]
pub struct BookedSession {
    /// Which booking.
    pub key: BookingKey,
    /// What was booked.
    pub agreement: Agreement,
    /// How far the contract was when it was last read.
    pub status: BookingStatus,
    /// From when on it can be finalised, where it is attested.
    pub finalizable_at: Option<Timestamp>,
    /// When it was challenged, where it was.
    pub disputed_at: Option<Timestamp>,
    /// The host's side.
    pub host: Attendance,
    /// The guest's side.
    pub guest: Attendance,
    /// What was attached, at most [`EVIDENCE_MAX`].
    pub evidence: Vec<AttachedEvidence>,
    /// How far the settlement is.
    pub settlement: Settlement,
    /// What was decided, and on what.
    pub decision: Option<Decision>,
    /// How often the decision was sent to be attested: more than once only where the chain took
    /// it back.
    pub round: u32,
    /// Whether the contract did not take what both parties signed, so that the policy decides.
    #[serde(default)]
    pub mutual_failed: bool,
    /// The last transaction that we know of.
    pub transaction: Option<Word>,
    /// The last attempts, at most [`ATTEMPTS_KEPT_MAX`].
    pub attempts: Vec<Attempt>,
    /// When a worker is to look; `None` where nothing is left to do, or an intent is on its way.
    pub look_at: Option<Timestamp>,
}

impl BookedSession {
    /// A session that nobody has come to, as it was read.
    #[must_use]
    pub fn of(key: BookingKey, reading: &EscrowReading) -> Self {
        let mut session = Self {
            key,
            agreement: Agreement::of(reading),
            status: BookingStatus::None,
            finalizable_at: None,
            disputed_at: None,
            host: Attendance::default(),
            guest: Attendance::default(),
            evidence: Vec::new(),
            settlement: Settlement::Open,
            decision: None,
            round: 0,
            mutual_failed: false,
            transaction: None,
            attempts: Vec::new(),
            look_at: None,
        };
        session.saw(&reading.booking);
        session
    }

    /// Takes over how far the contract is.
    pub(super) fn saw(&mut self, booking: &Booking) {
        self.status = booking.status;
        let told = |at: Timestamp| Some(at).filter(|at| *at != Timestamp::EPOCH);
        self.finalizable_at = told(booking.finalizable_at);
        self.disputed_at = told(booking.disputed_at);
    }

    /// What is on record of a party.
    #[must_use]
    pub const fn attendance(&self, party: Side) -> &Attendance {
        match party {
            Side::Host => &self.host,
            Side::Guest => &self.guest,
        }
    }

    /// The same, to be changed.
    pub(super) const fn attendance_mut(&mut self, party: Side) -> &mut Attendance {
        match party {
            Side::Host => &mut self.host,
            Side::Guest => &mut self.guest,
        }
    }

    /// Whoever puts a session on record, it is looked at when it is due.
    pub(super) fn watch(&mut self, at: Timestamp, policy: &BookingPolicy) {
        if self.settlement == Settlement::Open && self.look_at.is_none() {
            let due = policy.attestation.due(&self.agreement.slot);
            self.look_at = Some(due.max(at));
        }
    }

    /// Whether anybody is in.
    #[must_use]
    pub fn is_attended(&self) -> bool {
        self.host.current().is_some() || self.guest.current().is_some()
    }

    /// The evidence, as the metrics list it.
    #[must_use]
    pub fn evidence_listed(&self) -> Vec<Evidence> {
        let sorted: BTreeSet<&Evidence> = self
            .evidence
            .iter()
            .map(|attached| &attached.evidence)
            .collect();
        sorted.into_iter().cloned().collect()
    }

    /// Puts an attempt on record.
    pub(super) fn record(&mut self, attempt: Attempt) {
        if let Some(last) = self.attempts.last_mut()
            && last.class == attempt.class
        {
            last.at = attempt.at;
            last.times = last.times.saturating_add(1);
            last.transaction = attempt.transaction.or(last.transaction);
            last.note = attempt.note.or_else(|| last.note.take());
            return;
        }
        self.attempts.push(attempt);
        if self.attempts.len() > ATTEMPTS_KEPT_MAX {
            self.attempts.remove(0);
        }
    }
}
