//! Sign-in by signing a nonce, as recorded.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SignedIn;
use crate::changeset::{Draft, Fact, Key, Loaded};
use crate::crypto::{Signature, eip191};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Never, Ports, Verdict};
use crate::types::{Seconds, Timestamp, Wallet, decode_hex_array, encode_hex};

/// The numbers of sign-in (`rooms-and-sessions.md` sections 2 and 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthPolicy {
    /// How old a nonce may be.
    pub nonce_seconds: Seconds,
    /// Outstanding nonces of one wallet. One more pushes out the oldest: anybody may ask for nonces
    /// in another's name, so refusing would lock that wallet out at once; with this many, a nonce
    /// outlives half a minute of all that one address may ask for.
    pub nonces_per_wallet_max: usize,
    /// Whether the recorded sign-in is as strict as the new one: a wrong signature uses up its
    /// nonce, and one of the upper half is wrong (`security.md` A2, A5).
    pub strict: bool,
}

impl Default for AuthPolicy {
    fn default() -> Self {
        Self {
            nonce_seconds: Seconds::new(300),
            nonces_per_wallet_max: 128,
            strict: false,
        }
    }
}

/// The name of an outstanding nonce: whose it is, and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChallengeKey {
    /// Who asked for it, and alone may use it.
    pub wallet: Wallet,
    /// 32 random bytes.
    pub nonce: [u8; 32],
}

/// Text that does not name a nonce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text does not name a nonce")]
pub struct InvalidChallengeKey;

impl fmt::Display for ChallengeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.wallet, encode_hex(&self.nonce))
    }
}

impl FromStr for ChallengeKey {
    type Err = InvalidChallengeKey;

    fn from_str(text: &str) -> Result<Self, InvalidChallengeKey> {
        let (wallet, nonce) = text.split_once('/').ok_or(InvalidChallengeKey)?;
        Ok(Self {
            wallet: wallet.parse().map_err(|_| InvalidChallengeKey)?,
            nonce: decode_hex_array(nonce).map_err(|_| InvalidChallengeKey)?,
        })
    }
}

/// An outstanding sign-in nonce.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Whose, and which.
    pub key: ChallengeKey,
    /// When it was handed out.
    pub issued_at: Timestamp,
    /// When a worker may remove it, used or not.
    pub forget_at: Timestamp,
}

impl Challenge {
    /// Whether it may still be used: at an age of exactly the limit it may.
    #[must_use]
    pub fn is_valid(&self, now: Timestamp, policy: &AuthPolicy) -> bool {
        now.since(self.issued_at) <= policy.nonce_seconds
    }
}

/// Why sign-in is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "adapters map every refusal")]
pub enum AuthRefusal {
    /// The nonce was not handed out to this wallet, is used, or is too old.
    #[error("invalid or expired nonce")]
    InvalidNonce,
    /// The signature is not the wallet's.
    #[error("invalid signature")]
    InvalidSignature,
}

/// A wallet asks for a nonce to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssueNonce {
    /// Who asks.
    pub wallet: Wallet,
}

/// The answer to [`IssueNonce`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NonceIssued {
    /// 64 lower-case hex digits.
    pub nonce: String,
}

impl Command for IssueNonce {
    type View = Vec<Loaded<Challenge>>;
    type Reply = NonceIssued;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let read = Read::ChallengesOf(self.wallet);
        let snapshot = Snapshot::load(ports.store(), core::slice::from_ref(&read)).await?;
        Ok(snapshot.list(&read))
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let policy = &cx.policy.auth;
        let mut draft = Draft::new();
        let is_valid = |c: &&Loaded<Challenge>| {
            c.value()
                .is_some_and(|challenge| challenge.is_valid(cx.now, policy))
        };
        let (valid, expired): (Vec<_>, Vec<_>) = view.iter().partition(is_valid);
        // The new one is one more, so one place must be free.
        let excess = valid
            .len()
            .saturating_add(1)
            .saturating_sub(policy.nonces_per_wallet_max);
        for challenge in expired.into_iter().chain(valid.into_iter().take(excess)) {
            draft.delete(challenge);
        }
        let nonce = cx.fresh.nonce;
        draft.insert(Challenge {
            key: ChallengeKey {
                wallet: self.wallet,
                nonce,
            },
            issued_at: cx.now,
            forget_at: cx.now.after(policy.nonce_seconds).after(Seconds::new(1)),
        });
        Verdict::Done(Decision::granted(
            draft,
            NonceIssued {
                nonce: encode_hex(&nonce),
            },
        ))
    }
}

/// A wallet returns a signed nonce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Who claims to sign.
    pub wallet: Wallet,
    /// The nonce as it was sent: only the exact text that was handed out is one.
    pub nonce: String,
    /// The signature; `None` where what was sent is none.
    pub signature: Option<Signature>,
}

impl SignIn {
    fn is_signed(&self, policy: &AuthPolicy) -> bool {
        self.signature.as_ref().is_some_and(|signature| {
            let is_fitting = signature.is_low_s() || !policy.strict;
            is_fitting && eip191::signed_by(&self.nonce, signature, self.wallet)
        })
    }

    fn key(&self) -> Option<ChallengeKey> {
        let nonce = decode_hex_array(&self.nonce).ok()?;
        // Upper-case digits spell the same bytes, but not the text that was handed out.
        (encode_hex(&nonce) == self.nonce).then_some(ChallengeKey {
            wallet: self.wallet,
            nonce,
        })
    }
}

impl Command for SignIn {
    type View = Option<Loaded<Challenge>>;
    type Reply = SignedIn;
    type Refusal = AuthRefusal;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let Some(key) = self.key().map(Key::Challenge) else {
            return Ok(None);
        };
        let snapshot = Snapshot::load(ports.store(), &[Read::Row(key.clone())]).await?;
        Ok(Some(snapshot.row(key)))
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        // The signature comes first: a wrong one does not use up the nonce (recorded), but where
        // the policy is strict.
        if !self.is_signed(&cx.policy.auth) {
            if cx.policy.auth.strict
                && let Some(challenge) = view
            {
                draft.delete(challenge);
            }
            return Verdict::Done(Decision::refused(draft, AuthRefusal::InvalidSignature));
        }
        let usable = view.as_ref().filter(|challenge| {
            challenge
                .value()
                .is_some_and(|found| found.is_valid(cx.now, &cx.policy.auth))
        });
        let Some(challenge) = usable else {
            return Verdict::Done(Decision::refused(draft, AuthRefusal::InvalidNonce));
        };
        // Of several requests with one nonce, the first to commit this removal has used it.
        draft.delete(challenge);
        if let Some(found) = challenge.value() {
            let fact = Fact::SignedIn {
                wallet: self.wallet,
                nonce: found.key.nonce,
            };
            draft.journal(cx.now, fact);
        }
        Verdict::Done(Decision::granted(draft, SignedIn::now(self.wallet, cx)))
    }
}
