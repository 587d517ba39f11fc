//! The oldest sign-in: a signed time of day (`rooms-and-sessions.md`, section 2, "Older contract").
//!
//! Whoever sees such a signature can use it for as long as its time is near: that is the contract.
//! So it is off unless somebody needs it for old clients.

use alloc::string::String;

use super::{AuthRefusal, SignedIn};
use crate::changeset::{Draft, Fact};
use crate::crypto::{Signature, digest256, eip191};
use crate::ports::StoreError;
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};
use crate::types::{Seconds, Timestamp, Wallet};

/// What the message begins with; the unix seconds follow.
pub const TIMESTAMP_MESSAGE_PREFIX: &str = "heaven-session:";

/// How far the time may be off, either way.
pub const TIMESTAMP_OFF_MAX: Seconds = Seconds::new(300);

/// A wallet says what time it is, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these make a sign-in")]
pub struct SignInByTimestamp {
    /// Who claims to sign.
    pub wallet: Wallet,
    /// What was signed.
    pub message: String,
    /// The signature; `None` where what was sent is none.
    pub signature: Option<Signature>,
}

impl SignInByTimestamp {
    fn is_signed(&self, now: Timestamp) -> bool {
        let told = self.message.strip_prefix(TIMESTAMP_MESSAGE_PREFIX);
        let digits = told.filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
        let Some(told) = digits.and_then(|text| text.parse().ok()) else {
            return false;
        };
        let told = Timestamp::from_unix(told);
        let is_near = told.since(now).max(now.since(told)) <= TIMESTAMP_OFF_MAX;
        let digest = eip191::digest(self.message.as_bytes());
        let signer = self
            .signature
            .as_ref()
            .and_then(|signature| signature.recover(&digest).ok());
        is_near && signer == Some(self.wallet)
    }
}

impl Command for SignInByTimestamp {
    type View = ();
    type Reply = SignedIn;
    type Refusal = AuthRefusal;

    async fn load(&self, _: &Ports, _: &Context<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn decide(&self, (): &(), cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        if !self.is_signed(cx.now) {
            return Verdict::Done(Decision::refused(draft, AuthRefusal::InvalidSignature));
        }
        // The same message again is the same fact: the journal tells of it once a second.
        let fact = Fact::SignedIn {
            wallet: self.wallet,
            nonce: digest256("timestamp sign-in 1", &[self.message.as_bytes()]),
        };
        draft.journal(cx.now, fact);
        Verdict::Done(Decision::granted(draft, SignedIn::now(self.wallet, cx)))
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::*;
    use crate::crypto::LocalSigner;
    use crate::policy::Policy;
    use crate::room::testing::{at, cx};

    fn sign_in(message: &str) -> Result<SignedIn, AuthRefusal> {
        let signer = LocalSigner::from_bytes(&[7; 32]).unwrap();
        let command = SignInByTimestamp {
            wallet: signer.wallet(),
            message: message.to_string(),
            signature: Some(signer.sign_prehash(&eip191::digest(message.as_bytes()))),
        };
        let policy = Policy::default();
        match command.decide(&(), &cx(&policy, 1_000), &Answers::default()) {
            Verdict::Done(decision) => decision.reply,
            Verdict::Need(question) => panic!("asked {question:?}"),
        }
    }

    #[test]
    fn a_signed_time_is_good_for_five_minutes_either_way() {
        let of = |seconds: u64| format!("{TIMESTAMP_MESSAGE_PREFIX}{}", at(seconds));
        for (seconds, is_good) in [(699, false), (700, true), (1_300, true), (1_301, false)] {
            assert_eq!(sign_in(&of(seconds)).is_ok(), is_good, "{seconds}");
        }
    }

    #[test]
    fn other_messages_and_other_signers_are_refused() {
        for message in ["", "heaven-session:", "heaven-session:+1000000", "1001000"] {
            assert_eq!(
                sign_in(message),
                Err(AuthRefusal::InvalidSignature),
                "{message}"
            );
        }
        let other = format!("{TIMESTAMP_MESSAGE_PREFIX}{} ", at(1_000));
        assert_eq!(sign_in(&other), Err(AuthRefusal::InvalidSignature));
    }
}
