//! Everything outside but the store.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::Debug;
use core::num::NonZeroU32;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{PortError, PortErrorKind};
use crate::escrow::{self, BookingKey, EscrowReading};
use crate::outbox::{Intent, Outcome};
use crate::service::Ports;
use crate::types::{IntentKey, Timestamp, Wallet, Word};

/// What time it is.
pub trait Clock: Debug + Send + Sync {
    /// The present instant. May differ from other servers' by seconds and may go back.
    fn now(&self) -> Timestamp;

    /// Since when this process has run without a pause, by this clock; `None` where nobody knows.
    /// A process that knows does not take a late beat of the shared row, held up by a busy store,
    /// for an outage.
    fn alive_since(&self) -> Option<Timestamp> {
        None
    }
}

/// Randomness of cryptographic quality.
pub trait Entropy: Debug + Send + Sync {
    /// Fills the buffer with random bytes.
    ///
    /// # Errors
    /// [`PortError`] where the source fails: nothing may be decided with predictable bytes.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), PortError>;
}

/// Random values drawn for one request. A decision may use each; repeats of the decision after a
/// conflict use the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fresh {
    /// For a new room or connection.
    pub id: [u8; 16],
    /// For a sign-in nonce.
    pub nonce: [u8; 32],
    /// For a media uid that cannot be derived.
    pub uid: u32,
    /// For a media token.
    pub salt: NonZeroU32,
}

impl Fresh {
    /// Draws new values.
    ///
    /// # Errors
    /// [`PortError`] of the source.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, PortError> {
        let mut id = [0; 16];
        let mut nonce = [0; 32];
        let mut uid = [0; 4];
        let mut salt = [0; 4];
        entropy.fill(&mut id)?;
        entropy.fill(&mut nonce)?;
        entropy.fill(&mut uid)?;
        entropy.fill(&mut salt)?;
        // Zero comes up once in 2^32 and is not a salt; any other value will do as well.
        let salt = NonZeroU32::new(u32::from_be_bytes(salt)).unwrap_or(NonZeroU32::MAX);
        Ok(Self {
            id,
            nonce,
            uid: u32::from_be_bytes(uid),
            salt,
        })
    }
}

/// A fact that a decision needs and cannot load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Question {
    /// A booking, as the chain has it now.
    Booking(BookingKey),
    /// The wallet's primary name.
    PrimaryName(Wallet),
    /// Since when the wallet is verified.
    VerifiedAt(Wallet),
}

/// What the world answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// To [`Question::Booking`]: what the chain says.
    Booking(Box<EscrowReading>),
    /// To [`Question::PrimaryName`]: a label that is not empty, or none.
    PrimaryName(Option<String>),
    /// To [`Question::VerifiedAt`]: when, or not at all.
    VerifiedAt(Option<Timestamp>),
}

/// The registry of names.
#[async_trait]
pub trait NameRegistry: Debug + Send + Sync {
    /// The primary name that the wallet owns; `None` where it owns none.
    ///
    /// # Errors
    /// [`PortError`] where nobody could be asked: that is not "no name".
    async fn primary_name(&self, wallet: Wallet) -> Result<Option<String>, PortError>;
}

/// The mirror of verifications.
#[async_trait]
pub trait VerificationMirror: Debug + Send + Sync {
    /// Since when the wallet is verified; `None` where it is not.
    ///
    /// # Errors
    /// [`PortError`] where nobody could be asked: that is not "not verified".
    async fn verified_at(&self, wallet: Wallet) -> Result<Option<Timestamp>, PortError>;
}

/// What is to be attested, complete: whoever sends it needs to read nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "the contract takes these")]
pub struct Attestation {
    /// Of which booking.
    pub booking: BookingKey,
    /// What came of the session.
    pub outcome: escrow::Outcome,
    /// What it was decided on.
    pub metrics_hash: Word,
    /// Both parties' signatures, where they settle without the oracle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutual: Option<MutualProof>,
}

/// What two parties signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "the contract takes these")]
pub struct MutualProof {
    /// Until which block time the contract takes it.
    pub deadline: u64,
    /// The host's signature: `0x` and 130 hex digits.
    pub host_signature: String,
    /// The guest's.
    pub guest_signature: String,
}

/// What sending an attestation came to, as far as the sender knows. What came of it, the chain
/// says: it is read again after every attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a sender knows no more")]
pub struct Sent {
    /// The transaction, where one was made.
    pub transaction: Option<Word>,
    /// What went wrong, for people: never decided on.
    pub trouble: Option<String>,
}

/// The escrow contracts of this deployment: reading and attesting.
#[async_trait]
pub trait Escrows: Debug + Send + Sync {
    /// Reads a booking and all that decides over it, at one block.
    ///
    /// # Errors
    /// [`PortError`] where the chain could not be read, which is not "no such booking", and where
    /// this deployment does not know the contract.
    async fn read(&self, booking: &BookingKey) -> Result<EscrowReading, PortError>;

    /// Sends an attestation, once, and waits a bounded time for it to be included. May be called
    /// again for the same one: the contract takes the first.
    async fn attest(&self, attestation: &Attestation) -> Sent;
}

/// A deployment without escrow contracts: whoever asks is told so.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEscrows;

#[async_trait]
impl Escrows for NoEscrows {
    async fn read(&self, _: &BookingKey) -> Result<EscrowReading, PortError> {
        Err(PortError {
            port: "chain",
            kind: PortErrorKind::NotConfigured,
            detail: "no escrow contract is configured".into(),
        })
    }

    async fn attest(&self, _: &Attestation) -> Sent {
        Sent {
            transaction: None,
            trouble: Some("no escrow contract is configured".into()),
        }
    }
}

/// Performs intents. The intent was committed before this is called.
#[async_trait]
pub trait Effects: Debug + Send + Sync {
    /// Does what the intent says. May be called again for the same intent where its class is
    /// repeatable; the key is the same each time, so that the outside can recognise it.
    async fn perform(&self, intent: &Intent) -> Outcome;

    /// Asks whether a queryable intent, submitted before, has happened. [`Outcome::NotDone`] means
    /// that it has not and cannot any more, so that it may be performed again: whoever performs
    /// must give up before the lease of the intent ends.
    async fn ask(&self, intent: &Intent) -> Outcome;
}

/// Runs an intent that a request waits for, apart from the request: whoever sent the request may
/// be gone before the outside answers.
#[async_trait]
pub trait Dispatcher: Debug + Send + Sync {
    /// Starts a task that performs the intent and commits its outcome, and waits for it a bounded
    /// time. `None`: not settled yet.
    async fn run(&self, key: IntentKey, ports: &Ports) -> Option<Intent>;
}
