//! One command, from its rows to its reply.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::fmt::Debug;
use core::future::Future;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Ports;
use crate::changeset::{Changeset, Draft, Key, Receipt, Rejection};
use crate::idempotency::{IDEMPOTENCY_KEPT_SECONDS, IdempotencyRecord, Once};
use crate::outbox::Intent;
use crate::policy::Policy;
use crate::ports::{
    Answer, CommitError, Fresh, PortError, PortErrorKind, Question, Read, Snapshot, StoreError,
    StoreErrorKind,
};
use crate::types::{IntentKey, Seconds, Timestamp};

/// How often a command is decided anew because the world moved on. Each time some other command
/// has succeeded, so this many in a row means a row that everybody wants at once.
pub const CONFLICTS_MAX: usize = 64;

/// How many questions one decision may ask.
pub const QUESTIONS_MAX: usize = 8;

/// How old the instant of a request may be when its rows have been read. A process can stand still
/// in between; with an older instant it would take the beat of now for one of a clock gone wrong
/// ([`skew_max_seconds`](crate::outage::OutagePolicy::skew_max_seconds)), take it back, and decide
/// in the past.
pub const INSTANT_KEPT_MAX: Seconds = Seconds::new(15);

/// What a decision may know besides its rows: one instant, the numbers, and random values.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The instant of the request, the same for all of it; a later one only where reading took
    /// longer than [`INSTANT_KEPT_MAX`].
    pub now: Timestamp,
    /// Since when this process has run without a pause, where that is known.
    pub alive_since: Option<Timestamp>,
    /// Every number a rule uses.
    pub policy: &'a Policy,
    /// Random values.
    pub fresh: &'a Fresh,
}

/// The world's answers to what a decision asked so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers(BTreeMap<Question, Answer>);

impl Answers {
    /// The answer to a question, if it was asked.
    #[must_use]
    pub fn get(&self, question: &Question) -> Option<&Answer> {
        self.0.get(question)
    }

    /// The same answers and one more.
    #[must_use]
    pub fn with(mut self, question: Question, answer: Answer) -> Self {
        self.0.insert(question, answer);
        self
    }

    /// Forgets what the chain said. What is on record of a booking may be newer after a conflict,
    /// and an older reading would look as if the chain had taken it back.
    fn forget_readings(&mut self) {
        self.0
            .retain(|question, _| !matches!(question, Question::Booking(_)));
    }
}

/// What a command decided: what to write, and what to say. A refusal may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<Reply, Refusal> {
    /// What to write, and what was relied on.
    pub changeset: Changeset,
    /// What to say once it is written.
    pub reply: Result<Reply, Refusal>,
    /// The intent, leased to this process by the changeset, whose outcome the reply waits for.
    pub awaits: Option<IntentKey>,
}

impl<Reply, Refusal> Decision<Reply, Refusal> {
    /// Writes the draft and says yes.
    #[must_use]
    pub fn granted(draft: Draft, reply: Reply) -> Self {
        Self {
            changeset: draft.finish(),
            reply: Ok(reply),
            awaits: None,
        }
    }

    /// Writes the draft, which holds nothing of what was asked for, and says no.
    #[must_use]
    pub fn refused(draft: Draft, refusal: Refusal) -> Self {
        Self {
            changeset: draft.finish(),
            reply: Err(refusal),
            awaits: None,
        }
    }
}

/// What a decision came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a decision needs something or is done"
)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every verdict is a decision"
)]
pub enum Verdict<C: Command + ?Sized> {
    /// A decision.
    Done(Decision<C::Reply, C::Refusal>),
    /// A fact is missing.
    Need(Question),
}

/// One thing that can be asked of the core.
pub trait Command: Debug + Send + Sync {
    /// The rows it needs.
    type View: Send + Sync;
    /// What it says when it is granted. It holds what an answer is made from, never a secret.
    type Reply: Debug + Clone + PartialEq + Send + Sync + Serialize + DeserializeOwned;
    /// What it says when it is refused.
    type Refusal: Debug + Clone + PartialEq + Send + Sync + Serialize + DeserializeOwned;

    /// Reads the rows.
    fn load(
        &self,
        ports: &Ports,
        cx: &Context<'_>,
    ) -> impl Future<Output = Result<Self::View, StoreError>> + Send;

    /// The rule: total, synchronous, without I/O, clock or randomness of its own.
    fn decide(&self, view: &Self::View, cx: &Context<'_>, answers: &Answers) -> Verdict<Self>;

    /// Completes the reply with what only the commit, or the awaited intent, could know. A repeat
    /// under an idempotency key is completed anew, with an empty receipt: a reply that needs the
    /// amounts of guarded transfers must be able to do without them.
    fn complete(reply: Self::Reply, _receipt: &Receipt, _awaited: Option<&Intent>) -> Self::Reply {
        reply
    }
}

/// The refusal of a command that cannot be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "there is none")]
pub enum Never {}

/// A command could not be decided or its decision not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "adapters map every error")]
pub enum ExecuteError {
    /// The rows changed faster than it could be decided; try again.
    #[error("too many concurrent changes of the same rows")]
    Busy,
    /// The idempotency key was used for another request.
    #[error("idempotency key was used for another request")]
    IdempotencyMismatch,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The decision's changeset can never be committed: a fault of the program, or a claim that
    /// somebody else took over.
    #[error(transparent)]
    Rejected(Rejection),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Executes a command at an instant of the clock.
///
/// # Errors
/// [`ExecuteError`]. Unless it is a [`StoreErrorKind::Unavailable`] of the commit, nothing is
/// written.
///
/// # Cancel safety
/// A caller that stops waiting leaves either nothing written or the whole decision.
pub async fn execute<C: Command>(
    ports: &Ports,
    command: &C,
) -> Result<Result<C::Reply, C::Refusal>, ExecuteError> {
    execute_once(ports, command, None).await
}

/// Executes a command, and answers a repeat of the same request with the first answer.
///
/// # Errors
/// [`ExecuteError`], as [`execute`].
///
/// # Cancel safety
/// As [`execute`]. With a key the caller can find out by asking again.
pub async fn execute_once<C: Command>(
    ports: &Ports,
    command: &C,
    once: Option<&Once>,
) -> Result<Result<C::Reply, C::Refusal>, ExecuteError> {
    let fresh = Fresh::draw(&*ports.entropy)?;
    let mut cx = Context {
        now: ports.clock.now(),
        alive_since: ports.clock.alive_since(),
        policy: &ports.policy,
        fresh: &fresh,
    };
    let mut answers = Answers::default();
    for _ in 0..CONFLICTS_MAX {
        if let Some(once) = once
            && let Some(answer) = answered_before::<C>(ports, once).await?
        {
            return Ok(answer);
        }
        let view = command.load(ports, &cx).await?;
        let read_at = ports.clock.now();
        if read_at.since(cx.now) > INSTANT_KEPT_MAX {
            cx.now = read_at;
            cx.alive_since = ports.clock.alive_since();
            continue;
        }
        let mut decision = decide(ports, command, &view, &cx, &mut answers).await?;
        if let Some(once) = once {
            decision.changeset.idempotency = Some(record(once, &decision, cx.now)?);
        }
        let receipt = if decision.changeset.is_empty() {
            Receipt::default()
        } else {
            match ports.store.commit(&decision.changeset).await {
                Ok(receipt) => receipt,
                Err(CommitError::Rejected(why)) if why.is_conflict() => {
                    answers.forget_readings();
                    continue;
                }
                Err(CommitError::Rejected(why)) => return Err(ExecuteError::Rejected(why)),
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        };
        let awaited = match decision.awaits {
            Some(key) => ports.dispatcher.run(key, ports).await,
            None => None,
        };
        return Ok(decision
            .reply
            .map(|reply| C::complete(reply, &receipt, awaited.as_ref())));
    }
    Err(ExecuteError::Busy)
}

async fn decide<C: Command>(
    ports: &Ports,
    command: &C,
    view: &C::View,
    cx: &Context<'_>,
    answers: &mut Answers,
) -> Result<Decision<C::Reply, C::Refusal>, ExecuteError> {
    for _ in 0..=QUESTIONS_MAX {
        match command.decide(view, cx, answers) {
            Verdict::Done(decision) => return Ok(decision),
            Verdict::Need(question) => {
                let answer = ask(ports, question).await?;
                answers.0.insert(question, answer);
            }
        }
    }
    Err(PortError {
        port: "decision",
        kind: PortErrorKind::Corrupt,
        detail: "a decision keeps asking".into(),
    }
    .into())
}

async fn ask(ports: &Ports, question: Question) -> Result<Answer, PortError> {
    Ok(match question {
        Question::Booking(key) => Answer::Booking(Box::new(ports.escrows.read(&key).await?)),
        Question::PrimaryName(wallet) => {
            let name = ports.names.primary_name(wallet).await?;
            Answer::PrimaryName(name.filter(|label| !label.is_empty()))
        }
        Question::VerifiedAt(wallet) => {
            Answer::VerifiedAt(ports.verifications.verified_at(wallet).await?)
        }
    })
}

async fn answered_before<C: Command>(
    ports: &Ports,
    once: &Once,
) -> Result<Option<Result<C::Reply, C::Refusal>>, ExecuteError> {
    let key = Key::Idempotency(once.key.clone());
    let snapshot = Snapshot::load(ports.store(), &[Read::Row(key.clone())]).await?;
    let found = snapshot.row::<IdempotencyRecord>(key);
    let Some(record) = found.value() else {
        return Ok(None);
    };
    if record.fingerprint != once.fingerprint {
        return Err(ExecuteError::IdempotencyMismatch);
    }
    let kept: Kept<C::Reply, C::Refusal> =
        serde_json::from_str(&record.answer).map_err(|error| StoreError {
            kind: StoreErrorKind::Corrupt,
            detail: alloc::format!("stored answer of {}: {error}", once.key.command),
        })?;
    let awaited = match kept.awaits {
        Some(key) => settled(ports, key).await?,
        None => None,
    };
    let complete = |reply| C::complete(reply, &Receipt::default(), awaited.as_ref());
    Ok(Some(kept.reply.map(complete)))
}

/// What of an answer is kept: the reply as decided, and what it waited for.
#[derive(Serialize, Deserialize)]
struct Kept<Reply, Refusal> {
    reply: Result<Reply, Refusal>,
    awaits: Option<IntentKey>,
}

/// The intent that the first answer waited for, if it is settled by now.
async fn settled(ports: &Ports, key: IntentKey) -> Result<Option<Intent>, StoreError> {
    let name = Key::Intent(key);
    let snapshot = Snapshot::load(ports.store(), &[Read::Row(name.clone())]).await?;
    let found = snapshot.row::<Intent>(name);
    Ok(found.value().filter(|intent| intent.is_settled()).cloned())
}

fn record<Reply: Serialize + Clone, Refusal: Serialize + Clone>(
    once: &Once,
    decision: &Decision<Reply, Refusal>,
    now: Timestamp,
) -> Result<IdempotencyRecord, ExecuteError> {
    let kept = Kept {
        reply: decision.reply.clone(),
        awaits: decision.awaits,
    };
    let answer = serde_json::to_string(&kept).map_err(|error| PortError {
        port: "reply",
        kind: PortErrorKind::Corrupt,
        detail: alloc::format!("{error}"),
    })?;
    Ok(IdempotencyRecord {
        key: once.key.clone(),
        fingerprint: once.fingerprint,
        answer,
        expires_at: now.after(IDEMPOTENCY_KEPT_SECONDS),
    })
}
