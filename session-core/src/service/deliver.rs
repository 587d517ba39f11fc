//! Performing intents.

use super::Ports;
use super::execute::{Answers, Command, Context, Decision, ExecuteError, Never, Verdict, execute};
use crate::booking::deliver_attestation;
use crate::changeset::{Draft, Fence, Key, Loaded};
use crate::outbox::{Effect, Intent, IntentClass, IntentState, Outcome};
use crate::ports::{Read, Snapshot, StoreError};
use crate::types::IntentKey;

/// Writes down how far an intent has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliver {
    /// Which intent.
    pub key: IntentKey,
    /// The claim under which it is performed; `None` for the request that wrote it down and holds
    /// its first lease.
    pub fence: Option<Fence>,
    /// What an attempt came to; `None` when it is about to leave.
    pub outcome: Option<Outcome>,
}

impl Command for Deliver {
    type View = Loaded<Intent>;
    /// The intent afterwards; `None` where there is none or somebody else has settled it.
    type Reply = Option<Intent>;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let key = Key::Intent(self.key);
        Ok(Snapshot::load(ports.store(), &[Read::Row(key.clone())])
            .await?
            .row(key))
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let policy = &cx.policy.outbox;
        let Some(intent) = view.value().filter(|intent| !intent.is_settled()) else {
            return Verdict::Done(Decision::granted(draft, None));
        };
        // It leaves once: of two that both found it pending, the second finds it submitted.
        if self.outcome.is_none() && intent.state != IntentState::Pending {
            return Verdict::Done(Decision::granted(draft, None));
        }
        let fence = self.fence.unwrap_or_default();
        draft.expect_claimed(Key::Intent(self.key), fence);
        let next = match &self.outcome {
            Some(outcome) => intent.after(outcome, cx.now, policy),
            // Due again only when the lease ends: writing down that it leaves ends the claim.
            None => Intent {
                state: IntentState::Submitted,
                due_at: cx.now.after(policy.lease_seconds),
                ..intent.clone()
            },
        };
        draft.update(view, next.clone());
        Verdict::Done(Decision::granted(draft, Some(next)))
    }
}

/// Performs an intent, or asks what came of it, and writes down the outcome. The intent
/// afterwards, `None` where it is settled already or there is none.
///
/// # Errors
/// [`ExecuteError`]. An outcome that could not be written is found again when the lease ends:
/// repeatable intents are performed anew, queryable ones asked, others given up.
pub async fn deliver(
    ports: &Ports,
    key: IntentKey,
    fence: Option<Fence>,
) -> Result<Option<Intent>, ExecuteError> {
    let name = Key::Intent(key);
    let snapshot = Snapshot::load(ports.store(), &[Read::Row(name.clone())]).await?;
    let found: Loaded<Intent> = snapshot.row(name);
    let Some(intent) = found.value().filter(|intent| !intent.is_settled()) else {
        return Ok(None);
    };
    // The request that wrote it down may only be the first to perform it; what came after a crash
    // is for whoever holds a claim.
    if fence.is_none() && intent.state != IntentState::Pending {
        return Ok(None);
    }
    if let Effect::Attest(_) = intent.effect {
        return deliver_attestation(ports, intent, fence).await;
    }
    let was_submitted = matches!(intent.state, IntentState::Submitted | IntentState::Unknown);
    let outcome = match (intent.class, was_submitted) {
        (IntentClass::Repeatable, _) => ports.effects.perform(intent).await,
        (IntentClass::Queryable, true) => ports.effects.ask(intent).await,
        (IntentClass::AtMostOnce, true) => {
            Outcome::Refused("interrupted; it is not run again".into())
        }
        (IntentClass::Queryable | IntentClass::AtMostOnce, false) => {
            let submit = Deliver {
                key,
                fence,
                outcome: None,
            };
            let Ok(Some(submitted)) = flatten(execute(ports, &submit).await?) else {
                return Ok(None);
            };
            ports.effects.perform(&submitted).await
        }
    };
    let conclude = Deliver {
        key,
        fence,
        outcome: Some(outcome),
    };
    flatten(execute(ports, &conclude).await?)
}

/// A command that cannot be refused has a reply.
fn flatten<T>(result: Result<T, Never>) -> Result<T, ExecuteError> {
    match result {
        Ok(reply) => Ok(reply),
        Err(never) => match never {},
    }
}
