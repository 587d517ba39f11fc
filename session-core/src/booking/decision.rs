//! What was decided, everything it was decided on, and how anybody can check it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Agreement, OutcomeStatement};
use crate::attestation::{
    AttestationPolicy, Evidence, Inputs, Judgement, Metrics, Ruling, Stay, judge,
};
use crate::escrow::{BookingKey, Outcome};
use crate::outage::Span;
use crate::types::{Timestamp, Wallet, Word};

/// On whose word a session is settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the rule book knows these three")]
#[allow(clippy::large_enum_variant, reason = "a decision is moved rarely")]
pub enum DecidedBy {
    /// The policy's, by who was there.
    Presence,
    /// A developer's, whoever was there. Never in production.
    Force,
    /// Both parties'.
    Statements {
        /// What the host signed.
        host: OutcomeStatement,
        /// What the guest signed.
        guest: OutcomeStatement,
    },
}

/// A decision, with everything that it was made on. Made once; whoever sends it again sends the
/// same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the form is written down")]
pub struct Decision {
    /// What came of the session.
    pub outcome: Outcome,
    /// On whose word.
    pub by: DecidedBy,
    /// The text that is attested; `None` where the parties named a hash themselves.
    pub metrics: Option<Metrics>,
    /// What the contract is told.
    pub metrics_hash: Word,
    /// When.
    pub decided_at: Timestamp,
    /// The time of the block that was read.
    pub chain_now: Timestamp,
    /// The host's stays as they were then.
    pub host: Vec<Stay>,
    /// The guest's.
    pub guest: Vec<Stay>,
    /// Outages within the session.
    pub outages: Vec<Span>,
    /// Evidence that was attached by then.
    pub evidence: Vec<Evidence>,
    /// How the policy waits.
    pub policy: AttestationPolicy,
}

/// Why a decision does not follow from what it says it was made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDecision {
    /// The policy says something else.
    #[error("the presence does not give this outcome")]
    Outcome,
    /// The text is not the one of these inputs.
    #[error("the metrics are not those of the presence")]
    Metrics,
    /// The hash is not that of the text.
    #[error("the hash is not that of the metrics")]
    Hash,
    /// The parties did not sign this.
    #[error("the statements are not the parties', or not the same")]
    Statements,
    /// It was forced: nothing follows from anything.
    #[error("the outcome was forced")]
    Forced,
}

impl Decision {
    /// What the policy says on these inputs.
    #[must_use]
    pub fn judgement(&self, agreement: &Agreement) -> Judgement {
        let inputs = Inputs {
            slot: &agreement.slot,
            host: &self.host,
            guest: &self.guest,
            outages: &self.outages,
            now: self.decided_at,
            chain_now: self.chain_now,
        };
        judge(&inputs, &self.policy)
    }

    /// Works the decision out again: presence, outcome, exact text, hash; or the two signatures.
    ///
    /// # Errors
    /// [`InvalidDecision`].
    pub fn verify(&self, key: &BookingKey, agreement: &Agreement) -> Result<(), InvalidDecision> {
        if let DecidedBy::Statements { host, guest } = &self.by {
            return self.verify_statements(key, agreement, host, guest);
        }
        let judgement = self.judgement(agreement);
        let Some(metrics) = &self.metrics else {
            return Err(InvalidDecision::Metrics);
        };
        let made = Metrics::of(
            metrics.schema,
            key,
            (agreement.slot_id, &agreement.slot),
            agreement.guest,
            (&judgement, self.outcome),
            self.decided_at,
            &self.evidence,
        );
        if made != *metrics {
            return Err(InvalidDecision::Metrics);
        }
        if metrics.hash() != self.metrics_hash {
            return Err(InvalidDecision::Hash);
        }
        if self.by == DecidedBy::Force {
            return Err(InvalidDecision::Forced);
        }
        let outcome = self.outcome;
        if judgement.ruling == (Ruling::Attest { outcome }) {
            Ok(())
        } else {
            Err(InvalidDecision::Outcome)
        }
    }

    fn verify_statements(
        &self,
        key: &BookingKey,
        agreement: &Agreement,
        host: &OutcomeStatement,
        guest: &OutcomeStatement,
    ) -> Result<(), InvalidDecision> {
        let says = |statement: &OutcomeStatement, wallet: Wallet| {
            statement.outcome == self.outcome
                && statement.metrics_hash == self.metrics_hash
                && statement.is_by(*key, wallet)
        };
        let agree = host.deadline == guest.deadline
            && says(host, agreement.slot.host)
            && says(guest, agreement.guest);
        // The contract would have taken it then, and nothing else is claimed to follow from it.
        let at = self.chain_now;
        let is_timely = agreement.slot.start_time <= at
            && at.unix() <= host.deadline
            && at < agreement.refund_from();
        if agree && is_timely && self.metrics.is_none() {
            Ok(())
        } else {
            Err(InvalidDecision::Statements)
        }
    }
}
