//! What is good no more although it has not expired: used sign-in nonces, and access tokens whose
//! holders logged out.
//!
//! A [`Revocation`] names a thing by its digest, so that whoever reads the store learns neither
//! nonces nor tokens. It is kept until the thing would have expired by itself.

use serde::{Deserialize, Serialize};

use super::jwt::AccessClaims;
use crate::changeset::{Draft, Key, Loaded};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Never, Ports, Verdict};
use crate::types::{RevocationId, Seconds, Timestamp};

/// What kind of thing was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "stores map both")]
pub enum Revoked {
    /// A sign-in nonce, which may be used once.
    Nonce,
    /// An access token.
    Token,
}

impl Revoked {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nonce => "nonce",
            Self::Token => "token",
        }
    }

    /// The name of a thing of this kind.
    #[must_use]
    pub fn id(self, thing: &str) -> RevocationId {
        RevocationId::derive("revoked", &[self.name().as_bytes(), thing.as_bytes()])
    }
}

/// What is good no more. Inserted, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Which thing.
    pub id: RevocationId,
    /// Of what kind.
    pub what: Revoked,
    /// Since when.
    pub at: Timestamp,
    /// When a worker may remove it: every server knows by then that the thing has expired.
    pub forget_at: Timestamp,
}

/// How long after a thing has expired its revocation is kept: servers' clocks differ.
pub const REVOCATION_KEPT_AFTER_EXPIRY: Seconds = Seconds::new(120);

impl Revocation {
    pub(super) fn of(
        id: RevocationId,
        what: Revoked,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            id,
            what,
            at: now,
            forget_at: expires_at.after(REVOCATION_KEPT_AFTER_EXPIRY),
        }
    }
}

/// The holder of an access token wants it to be good no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOut {
    /// The name of the token: [`Revoked::Token`]'s.
    pub token: RevocationId,
    /// What it says.
    pub claims: AccessClaims,
}

impl Command for LogOut {
    type View = Loaded<Revocation>;
    type Reply = ();
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let key = Key::Revocation(self.token);
        let snapshot = Snapshot::load(ports.store(), &[Read::Row(key.clone())]).await?;
        Ok(snapshot.row(key))
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        if view.value().is_none() {
            let expires_at = self.claims.exp;
            draft.insert(Revocation::of(
                self.token,
                Revoked::Token,
                cx.now,
                expires_at,
            ));
        }
        Verdict::Done(Decision::granted(draft, ()))
    }
}
