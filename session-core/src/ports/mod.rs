//! What the core asks of the world. Every port can be held as a trait object.

mod archive;
mod outside;
mod store;

pub use archive::{Archive, Found, Visitor};
pub use outside::{
    Answer, Attestation, Clock, Dispatcher, Effects, Entropy, Escrows, Fresh, MutualProof,
    NameRegistry, NoEscrows, Question, Sent, VerificationMirror,
};
pub use store::{
    BookedSessions, Claim, Claimed, CommitError, CreditEntries, Read, RevokedTokens, RoomEvents,
    Snapshot, Store, StoreError, StoreErrorKind, StoredRow,
};

use alloc::string::String;

/// A port could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{port} {kind}: {detail}")]
pub struct PortError {
    /// Which port, in words, for logs.
    pub port: &'static str,
    /// What the caller may do about it.
    pub kind: PortErrorKind,
    /// For logs: what went wrong, without secrets. Never shown to clients.
    pub detail: String,
}

/// What a caller may do about a [`PortError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "adapters map every kind")]
pub enum PortErrorKind {
    /// The port answered something that cannot be.
    Corrupt,
    /// This deployment has no such part.
    NotConfigured,
    /// Try again later.
    Unavailable,
}

impl core::fmt::Display for PortErrorKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "answered nonsense",
            Self::NotConfigured => "is not configured",
            Self::Unavailable => "is unavailable",
        })
    }
}
