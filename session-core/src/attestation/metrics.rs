//! The text that an attestation commits to, and its hash (`settlement.md` section 7).
//!
//! The decision's time enters the text, so it is stored, and never made a second time.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::{Interval, Judgement, POLICY_NAME, Presence};
use crate::crypto::jcs::canonical_json;
use crate::crypto::keccak256;
use crate::escrow::{BookingKey, Outcome, Slot};
use crate::types::{BookingId, Seconds, SlotId, Timestamp, Wallet, Word};

/// The name of the full schema, in its text.
pub const FULL_SCHEMA: &str = "session-metrics/2";

/// A text of metrics that is not of its schema, or not its one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the canonical text of session metrics")]
pub struct InvalidMetrics;

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[allow(clippy::exhaustive_enums, reason = "another form is another schema")]
pub enum MetricsSchema {
    /// Schema 1: six members, byte for byte as the original wrote them.
    Plain,
    /// Schema 2: everything the decision is made on.
    Full,
}

impl From<MetricsSchema> for u8 {
    fn from(schema: MetricsSchema) -> Self {
        match schema {
            MetricsSchema::Plain => 1,
            MetricsSchema::Full => 2,
        }
    }
}

impl TryFrom<u8> for MetricsSchema {
    type Error = InvalidMetrics;

    fn try_from(number: u8) -> Result<Self, InvalidMetrics> {
        match number {
            1 => Ok(Self::Plain),
            2 => Ok(Self::Full),
            _ => Err(InvalidMetrics),
        }
    }
}

/// What was decided on, in its exact text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "a text has a form")]
pub struct Metrics {
    /// The form.
    pub schema: MetricsSchema,
    /// The text.
    pub text: String,
}

impl Metrics {
    /// The metrics of a judgement that came to an outcome.
    #[must_use]
    pub fn of(
        schema: MetricsSchema,
        key: &BookingKey,
        slot: (SlotId, &Slot),
        guest: Wallet,
        judged: (&Judgement, Outcome),
        decided_at: Timestamp,
        evidence: &[Evidence],
    ) -> Self {
        let text = match schema {
            MetricsSchema::Plain => {
                PlainMetrics::of(&key.booking.to_string(), judged.0, decided_at).text()
            }
            MetricsSchema::Full => {
                FullMetrics::of(key, slot, guest, judged, decided_at, evidence).text()
            }
        };
        Self { schema, text }
    }

    /// Keccak-256 of the text: what the contract is told.
    #[must_use]
    pub fn hash(&self) -> Word {
        Word::new(keccak256(self.text.as_bytes()))
    }
}

/// Schema 1. Binds neither chain, contract nor outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the form is recorded")]
pub struct PlainMetrics {
    /// The booking, as it was given.
    pub booking_id: String,
    /// The host's first join; 0 where the host has no stay.
    pub host_joined_at: Timestamp,
    /// The end of the host's last stay; the decision's time where it is open, or there is none.
    pub host_left_at: Timestamp,
    /// The guest's first join.
    pub guest_joined_at: Timestamp,
    /// The end of the guest's last stay.
    pub guest_left_at: Timestamp,
    /// How long both were there within the session.
    pub overlap_seconds: Seconds,
}

impl PlainMetrics {
    /// The metrics of a judgement.
    #[must_use]
    pub fn of(booking_id: &str, judgement: &Judgement, decided_at: Timestamp) -> Self {
        let recorded = |presence: &Presence| {
            let absent = (Timestamp::EPOCH, decided_at);
            presence.recorded.unwrap_or(absent)
        };
        let (host_joined_at, host_left_at) = recorded(&judgement.host);
        let (guest_joined_at, guest_left_at) = recorded(&judgement.guest);
        Self {
            booking_id: booking_id.to_string(),
            host_joined_at,
            host_left_at,
            guest_joined_at,
            guest_left_at,
            overlap_seconds: judgement.measures.overlap_seconds,
        }
    }

    /// The text: members in the order above.
    #[must_use]
    pub fn text(&self) -> String {
        // Serialising a structure of text and numbers cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text that [`text`](Self::text) wrote.
    ///
    /// # Errors
    /// [`InvalidMetrics`] for any other.
    pub fn parse(text: &str) -> Result<Self, InvalidMetrics> {
        let read: Self = serde_json::from_str(text).map_err(|_| InvalidMetrics)?;
        (read.text() == text).then_some(read).ok_or(InvalidMetrics)
    }
}

/// What a party or the service says of a session, by reference. It changes no outcome.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the metrics know these three")]
pub struct Evidence {
    /// What it is.
    pub kind: EvidenceKind,
    /// The hash of its bytes, as the party says.
    pub hash: Word,
    /// Where it is.
    pub uri: String,
}

/// What a piece of evidence is. In the order of the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the wire knows these four")]
pub enum EvidenceKind {
    /// Who spoke when.
    Diarization,
    /// Anything else.
    Other,
    /// A recording.
    Recording,
    /// What was said.
    Transcript,
}

impl EvidenceKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::Diarization,
        Self::Other,
        Self::Recording,
        Self::Transcript,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Diarization => "diarization",
            Self::Other => "other",
            Self::Recording => "recording",
            Self::Transcript => "transcript",
        }
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Schema 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the form is written down")]
pub struct FullMetrics {
    /// [`FULL_SCHEMA`].
    pub schema: String,
    /// [`POLICY_NAME`].
    pub policy: String,
    /// The chain, in decimal.
    pub chain_id: String,
    /// The contract, in lower case.
    pub escrow: String,
    /// The booking.
    pub booking_id: BookingId,
    /// Its slot.
    pub slot_id: SlotId,
    /// What the policy takes of the slot.
    pub slot: SlotMetrics,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// What.
    pub outcome: Outcome,
    /// How long both were there.
    pub overlap_seconds: Seconds,
    /// The host.
    pub host: PartyMetrics,
    /// The guest.
    pub guest: PartyMetrics,
    /// Sorted by kind, then hash.
    pub evidence: Vec<Evidence>,
}

/// What the policy takes of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the form is written down")]
pub struct SlotMetrics {
    /// When the session begins.
    pub start_time: Timestamp,
    /// How long it lasts, in minutes.
    pub duration_mins: u32,
    /// How late anybody may be, in minutes.
    pub grace_mins: u32,
    /// How long both have to be there, in minutes.
    pub min_overlap_mins: u32,
}

/// One party.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the form is written down")]
pub struct PartyMetrics {
    /// Who, in lower case.
    pub wallet: String,
    /// How long without the other, within the session.
    pub alone_seconds: Seconds,
    /// The intervals: from, to, how the end is known.
    pub presence: Vec<(Timestamp, Timestamp, super::EndSource)>,
}

impl PartyMetrics {
    fn of(wallet: Wallet, presence: &Presence, alone_seconds: Seconds) -> Self {
        let told = |interval: &Interval| (interval.from, interval.to, interval.source);
        Self {
            wallet: wallet.to_string(),
            alone_seconds,
            presence: presence.intervals.iter().map(told).collect(),
        }
    }
}

impl FullMetrics {
    /// The metrics of a judgement that came to an outcome.
    #[must_use]
    pub fn of(
        key: &BookingKey,
        (slot_id, slot): (SlotId, &Slot),
        guest: Wallet,
        (judgement, outcome): (&Judgement, Outcome),
        decided_at: Timestamp,
        evidence: &[Evidence],
    ) -> Self {
        let measures = &judgement.measures;
        let sorted: BTreeSet<&Evidence> = evidence.iter().collect();
        Self {
            schema: FULL_SCHEMA.to_string(),
            policy: POLICY_NAME.to_string(),
            chain_id: key.escrow.chain_id.to_string(),
            escrow: key.escrow.address.to_string(),
            booking_id: key.booking,
            slot_id,
            slot: SlotMetrics {
                start_time: slot.start_time,
                duration_mins: slot.duration_mins,
                grace_mins: slot.grace_mins,
                min_overlap_mins: slot.min_overlap_mins,
            },
            decided_at,
            outcome,
            overlap_seconds: measures.overlap_seconds,
            host: PartyMetrics::of(slot.host, &judgement.host, measures.host_alone_seconds),
            guest: PartyMetrics::of(guest, &judgement.guest, measures.guest_alone_seconds),
            evidence: sorted.into_iter().cloned().collect(),
        }
    }

    /// The canonical text: members sorted, no white space.
    #[must_use]
    pub fn text(&self) -> String {
        // Serialising a structure of text and numbers cannot fail.
        serde_json::to_value(self).map_or_else(|_| String::new(), |value| canonical_json(&value))
    }

    /// Reads the text that [`text`](Self::text) wrote.
    ///
    /// # Errors
    /// [`InvalidMetrics`] for any other, and for a schema or policy that nobody here knows.
    pub fn parse(text: &str) -> Result<Self, InvalidMetrics> {
        let read: Self = serde_json::from_str(text).map_err(|_| InvalidMetrics)?;
        let is_known = read.schema == FULL_SCHEMA && read.policy == POLICY_NAME;
        (is_known && read.text() == text)
            .then_some(read)
            .ok_or(InvalidMetrics)
    }
}
