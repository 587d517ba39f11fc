//! Signing in with a message.

use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use super::message::is_authority;
use super::{Message, SiweNonce};
use crate::auth::SignedIn;
use crate::auth::revocation::{Revocation, Revoked};
use crate::changeset::{Draft, Fact, Key, Loaded};
use crate::crypto::{Signature, eip191};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};

/// A text that is no domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text is not a host, with a port where it is not the usual one")]
pub struct InvalidRelyingParty;

/// Whom a message must name to be meant for this server: what keeps a signature that somebody
/// else's page asked for from signing in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelyingParty {
    domain: String,
    chain_id: u64,
}

impl RelyingParty {
    /// The server at this domain, for wallets of this chain.
    ///
    /// # Errors
    /// [`InvalidRelyingParty`] where the domain is none.
    pub fn new(domain: &str, chain_id: u64) -> Result<Self, InvalidRelyingParty> {
        if !is_authority(domain) {
            return Err(InvalidRelyingParty);
        }
        Ok(Self {
            domain: domain.to_string(),
            chain_id,
        })
    }

    /// Host, and port where it is not the usual one.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Which chain's wallets sign in.
    #[must_use]
    pub const fn chain_id(&self) -> u64 {
        self.chain_id
    }

    fn is_named_by(&self, message: &Message) -> bool {
        message.domain == self.domain && message.chain_id == self.chain_id
    }
}

/// Why a sign-in with a message is refused. But for the first, the nonce is used up all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "adapters map every refusal")]
pub enum SiweRefusal {
    /// The nonce was used, or is too old.
    #[error("invalid or expired nonce")]
    InvalidNonce,
    /// The signature is not one that the address made of this message.
    #[error("invalid signature")]
    InvalidSignature,
    /// The message names another domain or another chain.
    #[error("message is meant for somebody else")]
    OtherParty,
    /// The message says that it is no good now.
    #[error("message has expired or has not begun")]
    Untimely,
}

/// A wallet returns a signed message.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "these make a sign-in")]
pub struct SignInWithMessage {
    /// What was signed.
    pub message: Message,
    /// The message's nonce, which this server handed out.
    pub nonce: SiweNonce,
    /// By which signature; `None` where what was sent is none.
    pub signature: Option<Signature>,
    /// Who is asked.
    pub party: RelyingParty,
}

impl SignInWithMessage {
    fn is_signed(&self) -> bool {
        // The twin of a signature, of the upper half, is refused: it is not what wallets make.
        self.signature.as_ref().is_some_and(|signature| {
            let digest = eip191::digest(self.message.to_string().as_bytes());
            signature.is_low_s() && signature.recover(&digest) == Ok(self.message.address)
        })
    }

    fn refusal(&self, cx: &Context<'_>) -> Option<SiweRefusal> {
        if !self.is_signed() {
            Some(SiweRefusal::InvalidSignature)
        } else if !self.party.is_named_by(&self.message) {
            Some(SiweRefusal::OtherParty)
        } else if !self.message.is_timely(cx.now) {
            Some(SiweRefusal::Untimely)
        } else {
            None
        }
    }
}

impl Command for SignInWithMessage {
    type View = Loaded<Revocation>;
    type Reply = SignedIn;
    type Refusal = SiweRefusal;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let key = Key::Revocation(Revoked::Nonce.id(&self.nonce.to_text()));
        let snapshot = Snapshot::load(ports.store(), &[Read::Row(key.clone())]).await?;
        Ok(snapshot.row(key))
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let is_usable = view.value().is_none() && self.nonce.is_valid(cx.now, &cx.policy.auth);
        if !is_usable {
            return Verdict::Done(Decision::refused(draft, SiweRefusal::InvalidNonce));
        }
        // Of several requests with one nonce, the first to commit this row has used it; whether its
        // signature was right or wrong (`security.md` A2).
        let expires_at = self.nonce.expires_at(&cx.policy.auth);
        let id = Revoked::Nonce.id(&self.nonce.to_text());
        draft.insert(Revocation::of(id, Revoked::Nonce, cx.now, expires_at));
        if let Some(refusal) = self.refusal(cx) {
            return Verdict::Done(Decision::refused(draft, refusal));
        }
        let wallet = self.message.address;
        let nonce = self.nonce.to_bytes();
        draft.journal(cx.now, Fact::SignedIn { wallet, nonce });
        Verdict::Done(Decision::granted(draft, SignedIn::now(wallet, cx)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::JwtKeys;
    use crate::auth::siwe::Moment;
    use crate::changeset::{Row, Write};
    use crate::crypto::{LocalSigner, Secret};
    use crate::policy::Policy;
    use crate::room::testing::{at, cx};
    use crate::types::Wallet;

    fn signer() -> LocalSigner {
        LocalSigner::from_bytes(&[7; 32]).unwrap()
    }

    fn signed(message: Message) -> SignInWithMessage {
        let keys = JwtKeys::new(Secret::new("key"), alloc::vec![]).unwrap();
        let nonce = SiweNonce::issue([1; 16], at(0), &keys);
        let message = Message {
            nonce: nonce.to_text(),
            ..message
        };
        let digest = eip191::digest(message.to_string().as_bytes());
        SignInWithMessage {
            signature: Some(signer().sign_prehash(&digest)),
            message,
            nonce,
            party: RelyingParty::new("example.org", 5).unwrap(),
        }
    }

    fn message() -> Message {
        Message {
            scheme: None,
            domain: "example.org".to_string(),
            address: signer().wallet(),
            statement: None,
            uri: "https://example.org".to_string(),
            chain_id: 5,
            nonce: String::new(),
            issued_at: Moment::at(at(0)),
            expiration_time: None,
            not_before: None,
            request_id: None,
            resources: None,
        }
    }

    fn decide(command: &SignInWithMessage, now: u64) -> Decision<SignedIn, SiweRefusal> {
        let id = Revoked::Nonce.id(&command.nonce.to_text());
        let unused = Loaded::absent(Key::Revocation(id));
        decide_on(command, &unused, now)
    }

    fn decide_on(
        command: &SignInWithMessage,
        view: &Loaded<Revocation>,
        now: u64,
    ) -> Decision<SignedIn, SiweRefusal> {
        match command.decide(view, &cx(&Policy::default(), now), &Answers::default()) {
            Verdict::Done(decision) => decision,
            Verdict::Need(question) => panic!("asked {question:?}"),
        }
    }

    fn burns(decision: &Decision<SignedIn, SiweRefusal>) -> bool {
        let rows = &decision.changeset.rows;
        matches!(rows.as_slice(), [Write::Insert(Row::Revocation(_))])
    }

    #[test]
    fn a_signed_message_signs_in_and_uses_up_its_nonce() {
        let decision = decide(&signed(message()), 299);
        let reply = decision.reply.unwrap();
        assert_eq!(reply.claims.sub, signer().wallet());
        assert!(burns(&decision));
        assert_eq!(decision.changeset.journal.len(), 1);
    }

    #[test]
    fn every_refusal_but_that_of_the_nonce_uses_it_up_and_tells_nothing() {
        let late = Some(Moment::at(at(10)));
        let stranger = Wallet::from_bytes([9; 20]);
        let mut unsigned = signed(message());
        unsigned.signature = None;
        let mut altered = signed(message());
        altered.message.uri.push('x');
        let mut upper = signed(message());
        upper.signature = upper.signature.map(|signature| twin(&signature));
        let of = |message| signed(message);
        for (command, refusal) in [
            (unsigned, SiweRefusal::InvalidSignature),
            (altered, SiweRefusal::InvalidSignature),
            (upper, SiweRefusal::InvalidSignature),
            (
                of(Message {
                    address: stranger,
                    ..message()
                }),
                SiweRefusal::InvalidSignature,
            ),
            (
                of(Message {
                    domain: "example.com".into(),
                    ..message()
                }),
                SiweRefusal::OtherParty,
            ),
            (
                of(Message {
                    chain_id: 6,
                    ..message()
                }),
                SiweRefusal::OtherParty,
            ),
            (
                of(Message {
                    expiration_time: late.clone(),
                    ..message()
                }),
                SiweRefusal::Untimely,
            ),
        ] {
            let decision = decide(&command, 10);
            assert_eq!(decision.reply, Err(refusal));
            assert!(burns(&decision), "{refusal:?}");
            assert!(decision.changeset.journal.is_empty());
        }
        let early = of(Message {
            not_before: late,
            ..message()
        });
        assert_eq!(decide(&early, 9).reply, Err(SiweRefusal::Untimely));
        assert!(decide(&early, 10).reply.is_ok());
    }

    #[test]
    fn a_nonce_that_was_used_or_is_too_old_signs_nobody_in() {
        let command = signed(message());
        let decision = decide(&command, 300);
        assert_eq!(decision.reply, Err(SiweRefusal::InvalidNonce));
        assert!(decision.changeset.is_empty());
        let id = Revoked::Nonce.id(&command.nonce.to_text());
        let used = Revocation::of(id, Revoked::Nonce, at(1), at(300));
        let decision = decide_on(&command, &crate::room::testing::loaded(used), 10);
        assert_eq!(decision.reply, Err(SiweRefusal::InvalidNonce));
        assert!(decision.changeset.is_empty());
    }

    /// The same signature with the other `s`.
    fn twin(signature: &Signature) -> Signature {
        let mut bytes = signature.to_bytes();
        let parsed = k256::ecdsa::Signature::from_slice(&bytes[..64]).unwrap();
        let (r, s) = parsed.split_scalars();
        let other = k256::ecdsa::Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
        bytes[..64].copy_from_slice(&other.to_bytes());
        bytes[64] ^= 27 ^ 28;
        Signature::from_bytes(bytes).unwrap()
    }
}
