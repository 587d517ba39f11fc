//! A booked session as a document that anybody can check without the server: who was there, what
//! follows by the policy, the exact text, and the hash that the contract was told.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Agreement, AttachedEvidence, Attendance, BookedSession, DecidedBy, Decision, InvalidDecision,
    OutcomeStatement, Settlement,
};
use crate::attestation::{Evidence, Stay};
use crate::crypto::jcs::canonical_json;
use crate::crypto::{LocalSigner, eip191};
use crate::escrow::{BookingKey, BookingStatus};
use crate::types::{Wallet, Word};

/// The form of bundles that this reads and writes.
pub const SESSION_BUNDLE_FORM: &str = "booked session bundle 1";

/// Everything that is needed to check a booked session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the form is written down")]
pub struct SessionBundle {
    /// [`SESSION_BUNDLE_FORM`].
    pub form: String,
    /// Which booking: `chain/contract/booking`.
    pub booking: BookingKey,
    /// What was booked.
    pub agreement: Agreement,
    /// How far the contract was when it was last read.
    pub status: BookingStatus,
    /// The host's stays as they are on record now.
    pub host: Vec<Stay>,
    /// The guest's.
    pub guest: Vec<Stay>,
    /// What was attached.
    pub evidence: Vec<AttachedEvidence>,
    /// What the host signed.
    pub host_statement: Option<OutcomeStatement>,
    /// What the guest signed.
    pub guest_statement: Option<OutcomeStatement>,
    /// What was decided, and on what.
    pub decision: Option<Decision>,
    /// How far the settlement is.
    pub settlement: Settlement,
    /// The last transaction that is known of.
    pub transaction: Option<Word>,
}

/// A bundle, and whose word it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the form is written down")]
pub struct SignedSessionBundle {
    /// What was signed, as canonical JSON (RFC 8785).
    pub bundle: SessionBundle,
    /// Who signed it.
    pub signer: Wallet,
    /// A personal message (EIP-191): `0x` and 130 hex digits.
    pub signature: String,
}

/// Why a bundle proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionBundleError {
    /// It is of another form.
    #[error("not a bundle of the form \"{SESSION_BUNDLE_FORM}\"")]
    Form,
    /// The decision does not follow.
    #[error(transparent)]
    Decision(#[from] InvalidDecision),
    /// What was decided on is not what is on record.
    #[error("the decision was not made on this record")]
    Record,
    /// A statement is not of who it says.
    #[error("a statement is not signed by its party")]
    Statement,
    /// The signer that it names did not sign it.
    #[error("not signed by {0}")]
    Signature(Wallet),
}

impl SessionBundle {
    /// The bundle of a session.
    #[must_use]
    pub fn of(session: &BookedSession) -> Self {
        let stays = |attendance: &Attendance| attendance.stays.clone();
        Self {
            form: SESSION_BUNDLE_FORM.to_string(),
            booking: session.key,
            agreement: session.agreement,
            status: session.status,
            host: stays(&session.host),
            guest: stays(&session.guest),
            evidence: session.evidence.clone(),
            host_statement: session.host.statement.clone(),
            guest_statement: session.guest.statement.clone(),
            decision: session.decision.clone(),
            settlement: session.settlement,
            transaction: session.transaction,
        }
    }

    /// The canonical JSON.
    ///
    /// # Errors
    /// Never for a bundle that [`of`](Self::of) made.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_value(self).map(|value| canonical_json(&value))
    }

    /// Signs it.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn signed(self, key: &LocalSigner) -> Result<SignedSessionBundle, serde_json::Error> {
        let signature = key.sign_prehash(&eip191::digest(self.text()?.as_bytes()));
        Ok(SignedSessionBundle {
            bundle: self,
            signer: key.wallet(),
            signature: signature.to_string(),
        })
    }

    /// Works everything out again: that each statement is its party's, and of the decision the
    /// presence, the outcome, the exact text and the hash. What is returned is the hash that the
    /// contract must show; `None` while nothing is decided.
    ///
    /// # Errors
    /// [`SessionBundleError`]: the first thing that does not fit.
    pub fn verify(&self) -> Result<Option<Word>, SessionBundleError> {
        if self.form != SESSION_BUNDLE_FORM {
            return Err(SessionBundleError::Form);
        }
        let (host, guest) = (self.agreement.slot.host, self.agreement.guest);
        for (statement, wallet) in [(&self.host_statement, host), (&self.guest_statement, guest)] {
            let is_genuine = |statement: &OutcomeStatement| statement.is_by(self.booking, wallet);
            if !statement.as_ref().is_none_or(is_genuine) {
                return Err(SessionBundleError::Statement);
            }
        }
        let Some(decision) = &self.decision else {
            return Ok(None);
        };
        decision.verify(&self.booking, &self.agreement)?;
        // What was decided on is on record, and nothing else was by then.
        if let DecidedBy::Statements { host, guest } = &decision.by
            && (self.host_statement.as_ref() != Some(host)
                || self.guest_statement.as_ref() != Some(guest))
        {
            return Err(SessionBundleError::Statement);
        }
        let listed: BTreeSet<&Evidence> = self
            .evidence
            .iter()
            .map(|attached| &attached.evidence)
            .collect();
        if !decision.evidence.iter().eq(listed) {
            return Err(SessionBundleError::Record);
        }
        // Stays go on after the decision, but do not become others.
        let began = |stays: &[Stay], then: &[Stay]| {
            let are_same = stays.len() >= then.len();
            let mut pairs = stays.iter().zip(then).zip(1..);
            are_same
                && pairs.all(|((now, then_), number)| {
                    let may_go_on = number == then.len() && then_.left_at.is_none();
                    now == then_ || (may_go_on && now.joined_at == then_.joined_at)
                })
        };
        if began(&self.host, &decision.host) && began(&self.guest, &decision.guest) {
            Ok(Some(decision.metrics_hash))
        } else {
            Err(SessionBundleError::Record)
        }
    }
}

impl SignedSessionBundle {
    /// The canonical JSON of all of it.
    ///
    /// # Errors
    /// As [`SessionBundle::text`].
    pub fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_value(self).map(|value| canonical_json(&value))
    }

    /// Reads a text, all of which is of the form: a member that nobody knows is not in what was
    /// signed.
    ///
    /// # Errors
    /// [`SessionBundleError::Form`].
    pub fn parse(text: &str) -> Result<Self, SessionBundleError> {
        let form = |_| SessionBundleError::Form;
        let value: Value = serde_json::from_str(text).map_err(form)?;
        let written = value.get("bundle").map(canonical_json);
        let signed: Self = serde_json::from_value(value).map_err(form)?;
        let read = signed.bundle.text().map_err(form)?;
        if written.as_ref() == Some(&read) {
            Ok(signed)
        } else {
            Err(SessionBundleError::Form)
        }
    }

    /// Checks the signature, then as [`SessionBundle::verify`]. Whether the signer is the server's
    /// is for the caller to know.
    ///
    /// # Errors
    /// [`SessionBundleError`].
    pub fn verify(&self) -> Result<Option<Word>, SessionBundleError> {
        let text = self.bundle.text().map_err(|_| SessionBundleError::Form)?;
        if eip191::signer_of(&text, &self.signature) != Some(self.signer) {
            return Err(SessionBundleError::Signature(self.signer));
        }
        self.bundle.verify()
    }
}
