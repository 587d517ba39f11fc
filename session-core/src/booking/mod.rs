//! Booked sessions: one host, one guest, a slot of time, and an escrow that waits for our word.
//!
//! The chain says what was booked; we write down who was there, decide by the
//! [attestation policy](crate::attestation), attest once, and keep what it was decided on so that
//! anybody can check it.
//!
//! | module | holds |
//! | --- | --- |
//! | `session` | the row: agreement, attendance, evidence, how far the settlement is |
//! | `join`, `stay` | joining, leaving, proof of life |
//! | `evidence`, `statement` | what parties attach and sign |
//! | `consider` | one attempt: read the chain, decide, write down what is to be sent |
//! | `attest` | sending it, and what came of it by what the chain shows afterwards |
//! | `decision` | what was decided on, and how to check it |
//! | `host` | whether a host takes bookings |
//! | `next`, `query` | what parties may do next, and what they may see |
//! | [`bundle`] | a session as a document that anybody can check |

mod attest;
pub mod bundle;
mod consider;
mod decision;
mod evidence;
mod host;
mod join;
mod next;
mod query;
mod session;
mod statement;
mod stay;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod view;

pub use attest::{
    AttestationView, ConcludeAttestation, MUTUAL_GIVEN_UP_BEFORE, deliver_attestation,
};
pub use consider::{Consider, Considered, NOT_FOUND_IN_A_ROW, NoteUnread, TrackBooking, Trigger};
pub use decision::{DecidedBy, Decision, InvalidDecision};
pub use evidence::{AttachEvidence, EVIDENCE_URI_BYTES_MAX, EvidenceRefusal};
pub use host::{Host, SetHost};
pub use join::{JoinSession, SessionJoined};
pub use next::{Step, StepKind, next_steps};
pub use query::{SessionError, host, own_sessions, presence, session, session_now};
pub use session::{
    ATTEMPTS_KEPT_MAX, Agreement, AttachedEvidence, Attempt, AttemptClass, Attendance,
    BookedSession, EVIDENCE_MAX, EvidenceSource, STAYS_MAX, Settlement,
};
pub use statement::{
    OutcomeStatement, StateOutcome, StatementRefusal, StatementState, statements_of,
};
pub use stay::{LeaveSession, ProveLife, SessionLeft};
pub use view::{CHAIN_AHEAD_MAX, SessionView};

use serde::{Deserialize, Serialize};

use crate::attestation::{AttestationPolicy, Waiting};
use crate::escrow::{BookingStatus, Outcome};
use crate::types::{Seconds, Timestamp};

/// The numbers of booked sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BookingPolicy {
    /// How long before the start the parties may come.
    pub join_before_seconds: Seconds,
    /// The life of a media token.
    pub lease: crate::media::Ttl,
    /// How often a client that proves its life should.
    pub heartbeat_interval_seconds: Seconds,
    /// A party that proves its life and is not heard for longer has left when it was last heard.
    pub silent_after_seconds: Seconds,
    /// How long after somebody left it is looked whether the session can be settled, in case they
    /// come back.
    pub leave_debounce_seconds: Seconds,
    /// The pause before a look that could not be made, or that found us without the right to
    /// attest.
    pub look_again_seconds: Seconds,
    /// How long after an attestation it is looked whether the chain still holds it.
    pub recheck_seconds: Seconds,
    /// Whether every attestation commits to the full metrics, at the first contract too.
    pub full_metrics: bool,
    /// How the policy waits.
    pub attestation: AttestationPolicy,
}

impl Default for BookingPolicy {
    fn default() -> Self {
        Self {
            join_before_seconds: Seconds::new(300),
            lease: crate::media::Ttl::HOUR,
            heartbeat_interval_seconds: Seconds::new(30),
            silent_after_seconds: Seconds::new(90),
            leave_debounce_seconds: Seconds::new(15),
            look_again_seconds: Seconds::new(30),
            recheck_seconds: Seconds::new(120),
            full_metrics: false,
            attestation: AttestationPolicy::default(),
        }
    }
}

/// Why a command on a booked session is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "adapters map every refusal")]
pub enum BookingRefusal {
    /// The contract has no such booking.
    #[error("no such booking")]
    BookingNotFound,
    /// The booking's slot has no host.
    #[error("no such slot")]
    SlotNotFound,
    /// The booking is not, or no more, one that a session can be held on.
    #[error("booking is not active")]
    NotActive,
    /// The caller is neither host nor guest.
    #[error("not a participant")]
    NotParticipant,
    /// The doors are not open yet.
    #[error("too early to join; the doors open at {opens_at}")]
    TooEarly {
        /// When they open.
        opens_at: Timestamp,
    },
    /// The session is over.
    #[error("session has ended")]
    Ended,
    /// The caller is not in.
    #[error("not in the session")]
    NotIn,
    /// The booking is not waiting for an attestation.
    #[error("booking status is {0:?}, expected Booked")]
    NotBooked(BookingStatus),
    /// Nothing can be attested yet.
    #[error("too early to attest: {}", .reason.name())]
    Waiting {
        /// Why.
        reason: Waiting,
        /// When it is worth trying again.
        retry_at: Timestamp,
    },
    /// The contract takes the outcome no more.
    #[error("too late to attest {0}")]
    TooLate(Outcome),
    /// It is being attested.
    #[error("an attestation is on its way")]
    Busy,
    /// The contract takes another account's word.
    #[error("the contract names another oracle")]
    NotOracle,
    /// This deployment has no key to attest with.
    #[error("no key to attest with")]
    NoKey,
    /// The chain says something else than it did.
    #[error("the chain contradicts what it said before")]
    Contradiction,
}
