//! Outcomes that parties sign: where both sign the same, nobody needs an oracle
//! (`settlement.md` section 8).

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::view::{Missing, SessionView};
use super::{BookedSession, BookingRefusal, Settlement};
use crate::changeset::{Draft, Fact};
use crate::escrow::abi::Uint64;
use crate::escrow::statement::{Statement, StatementSignature};
use crate::escrow::{BookingKey, EscrowReading, Outcome, Side};
use crate::ports::{MutualProof, StoreError};
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};
use crate::types::{Timestamp, Wallet, Word};

/// An outcome that a party signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "its type names these members")]
pub struct OutcomeStatement {
    /// What came of the session.
    pub outcome: Outcome,
    /// On which metrics; the zero word where the parties name none.
    pub metrics_hash: Word,
    /// Until which block time it can be used, in seconds. As text in JSON: no number of RFC 8785 is as
    /// great as the contract takes.
    #[serde(with = "as_text")]
    pub deadline: u64,
    /// `0x` and 130 hex digits.
    pub signature: String,
    /// When it came in.
    pub at: Timestamp,
}

/// A number as decimal digits.
mod as_text {
    use alloc::string::{String, ToString};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(number)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let text = String::deserialize(from)?;
        let number: Option<u64> = text.parse().ok();
        number
            .filter(|number| number.to_string() == text)
            .ok_or_else(|| D::Error::custom("expected a decimal number below 2^64"))
    }
}

impl OutcomeStatement {
    /// What was signed, for a booking.
    #[must_use]
    pub const fn signed(&self, key: BookingKey) -> Option<Statement> {
        match Uint64::new(self.deadline) {
            Some(deadline) => Some(Statement {
                key,
                outcome: self.outcome,
                metrics_hash: self.metrics_hash.to_bytes(),
                deadline,
            }),
            None => None,
        }
    }

    /// Whether this party signed it.
    #[must_use]
    pub fn is_by(&self, key: BookingKey, wallet: Wallet) -> bool {
        let signature = StatementSignature::parse(&self.signature);
        let signed = self.signed(key);
        signature.is_ok_and(|signature| {
            signed.is_some_and(|statement| statement.is_signed_by(wallet, &signature))
        })
    }

    /// Whether it says the same as another.
    fn agrees_with(&self, other: &Self) -> bool {
        (self.outcome, self.metrics_hash, self.deadline)
            == (other.outcome, other.metrics_hash, other.deadline)
    }
}

/// Where the two parties stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the wire knows these three")]
pub enum StatementState {
    /// Both signed, and not the same.
    Differs,
    /// Both signed the same.
    Matched,
    /// One is missing.
    Waiting,
}

impl StatementState {
    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Differs => "differs",
            Self::Matched => "matched",
            Self::Waiting => "waiting",
        }
    }
}

/// Where the parties of a session stand, and the proof where they agree.
#[must_use]
pub fn statements_of(
    session: &BookedSession,
) -> (StatementState, Option<(OutcomeStatement, MutualProof)>) {
    let (Some(host), Some(guest)) = (&session.host.statement, &session.guest.statement) else {
        return (StatementState::Waiting, None);
    };
    if !host.agrees_with(guest) {
        return (StatementState::Differs, None);
    }
    let proof = MutualProof {
        deadline: host.deadline,
        host_signature: host.signature.clone(),
        guest_signature: guest.signature.clone(),
    };
    (StatementState::Matched, Some((host.clone(), proof)))
}

/// Why a statement is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "adapters map every refusal")]
pub enum StatementRefusal {
    /// As for every command on a booking.
    #[error(transparent)]
    Booking(#[from] BookingRefusal),
    /// The contract knows no statements.
    #[error("the contract does not settle by statements")]
    Unsupported,
    /// The party did not sign this.
    #[error("the signature is not this party's over this statement")]
    Signature,
    /// The party signed something else before.
    #[error("the party has signed another outcome")]
    Conflict,
    /// It can be used no more.
    #[error("the statement's deadline has passed")]
    Expired,
    /// It is decided already.
    #[error("the outcome is decided")]
    Decided,
}

/// A party brings an outcome that it signed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a statement has these parts")]
pub struct StateOutcome {
    /// Which booking.
    pub key: BookingKey,
    /// Who.
    pub wallet: Wallet,
    /// What came of the session.
    pub outcome: Outcome,
    /// On which metrics.
    pub metrics_hash: Word,
    /// Until which block time.
    pub deadline: u64,
    /// `0x` and 130 hex digits.
    pub signature: String,
}

impl Command for StateOutcome {
    type View = SessionView;
    type Reply = StatementState;
    type Refusal = StatementRefusal;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        SessionView::load(ports, &self.key).await
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, answers: &Answers) -> Verdict<Self> {
        let refused = |refusal| Verdict::Done(Decision::refused(Draft::new(), refusal));
        // Whether the contract takes it, and what time it is there, only a reading tells.
        let (mut session, reading) = match view.read_anew(self.key, cx, answers) {
            Ok(found) => found,
            Err(Missing::Question(question)) => return Verdict::Need(question),
            Err(Missing::Refusal(refusal)) => return refused(refusal.into()),
        };
        let party = match self.party(&session, &reading) {
            Ok(party) => party,
            Err(refusal) => return refused(refusal),
        };
        let at = view.now(cx);
        let statement = OutcomeStatement {
            outcome: self.outcome,
            metrics_hash: self.metrics_hash,
            deadline: self.deadline,
            signature: self.signature.to_lowercase(),
            at,
        };
        if !statement.is_by(self.key, self.wallet) {
            return refused(StatementRefusal::Signature);
        }
        if let Some(earlier) = &session.attendance(party).statement {
            return if earlier.agrees_with(&statement) {
                let (state, _) = statements_of(&session);
                Verdict::Done(Decision::granted(Draft::new(), state))
            } else {
                refused(StatementRefusal::Conflict)
            };
        }
        if session.decision.is_some() {
            return refused(StatementRefusal::Decided);
        }
        if self.deadline < reading.chain_now.unix() {
            return refused(StatementRefusal::Expired);
        }
        session.attendance_mut(party).statement = Some(statement);
        session.watch(at, &cx.policy.bookings);
        let (state, matched) = statements_of(&session);
        // Also where the policy's word came too late: the contract takes theirs for longer.
        let is_open = matches!(
            session.settlement,
            Settlement::Open | Settlement::WindowMissed { .. }
        );
        if matched.is_some() && is_open {
            session.look_at = Some(at.max(session.agreement.slot.start_time));
        }
        let mut draft = Draft::new();
        draft.journal(
            at,
            Fact::OutcomeStated {
                booking: self.key,
                wallet: self.wallet,
                outcome: self.outcome,
                metrics_hash: self.metrics_hash,
                deadline: self.deadline,
            },
        );
        draft.update(&view.row, session);
        Verdict::Done(Decision::granted(draft, state))
    }
}

impl StateOutcome {
    fn party(
        &self,
        session: &BookedSession,
        reading: &EscrowReading,
    ) -> Result<Side, StatementRefusal> {
        if !reading.slot.exists() {
            return Err(BookingRefusal::SlotNotFound.into());
        }
        let party = session.agreement.side(self.wallet);
        let party = party.ok_or(BookingRefusal::BookingNotFound)?;
        if !reading.capabilities.mutual_outcome {
            return Err(StatementRefusal::Unsupported);
        }
        if reading.booking.status != crate::escrow::BookingStatus::Booked {
            return Err(BookingRefusal::NotActive.into());
        }
        Ok(party)
    }
}
