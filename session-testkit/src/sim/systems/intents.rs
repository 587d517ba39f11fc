//! Intents of every class, with requests that wait for them and requests that do not: what later
//! systems do to the outside, without the systems.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use session_core::changeset::{Draft, Key, Loaded, Receipt, Row, World};
use session_core::idempotency::Once;
use session_core::media::{Channel, MediaUid};
use session_core::outbox::{Effect, Intent, IntentClass, IntentState};
use session_core::ports::{Read, Snapshot, StoreError};
use session_core::service::{
    Answers, Command, Context, Decision, Never, Ports, Verdict, execute_once,
};
use session_core::types::{IntentKey, Seconds, Wallet};

use super::once;
use crate::bench::Bench;
use crate::sim::invariants::Invariant;
use crate::sim::{Ask, Asking, Choices, Reply, Request, Scenery, Stage, System};

/// Clients that start intents.
#[derive(Debug, Default)]
pub struct Intents {
    started: Vec<Start>,
    keys: u64,
}

impl Intents {
    /// Nothing is started yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

const POINTS: &[&str] = &[
    "a request's intent failed",
    "a request's intent was confirmed",
    "a request's intent was pending",
];

impl System for Intents {
    fn name(&self) -> &'static str {
        "intents"
    }

    fn set_up(&mut self, choices: &mut Choices, scenery: &mut Scenery) {
        if choices.chance(300) {
            scenery.policy.outbox.attempts_max = 2;
        }
        if choices.chance(200) {
            scenery.policy.outbox.retry_max_seconds = Seconds::new(4);
        }
    }

    fn next(&mut self, stage: &mut Stage<'_>) -> Option<Request> {
        // The same again, by another request, is the same intent.
        let again = stage.choices.weighted(&[3, 2]) == 1;
        let known = again
            .then(|| stage.choices.pick(&self.started).copied())
            .flatten();
        let start = known.unwrap_or_else(|| {
            let classes = [
                IntentClass::Queryable,
                IntentClass::AtMostOnce,
                IntentClass::Repeatable,
            ];
            Start {
                number: u32::try_from(self.started.len()).unwrap_or(u32::MAX),
                class: classes[stage.choices.below(3)],
                waits: stage.choices.weighted(&[2, 1]) == 0,
            }
        });
        if known.is_none() {
            self.started.push(start);
        }
        let once = once(stage.choices, &mut self.keys, wallet(), &start);
        Some(Request {
            client: 0,
            ask: Arc::new(start),
            once,
        })
    }

    fn heard(&mut self, _: &Request, reply: &Reply, stage: &mut Stage<'_>) {
        if let Some(started) = reply.granted::<Started>() {
            stage.reach(match started {
                Started::Done => "a request's intent was confirmed",
                Started::NotDone => "a request's intent failed",
                Started::Pending => "a request's intent was pending",
            });
        }
    }

    fn invariants(&self) -> Vec<Box<dyn Invariant>> {
        Vec::new()
    }

    fn unresolved(&self, world: &World) -> Vec<String> {
        let left = world.rows().filter_map(|(key, _, row)| match row {
            Row::Intent(intent) if !intent.is_settled() => Some(format!("{key} is not settled")),
            _ => None,
        });
        left.collect()
    }

    fn points(&self) -> &'static [&'static str] {
        POINTS
    }
}

fn wallet() -> Wallet {
    Bench::wallet(1)
}

/// A request that starts an intent, and waits for it or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Start {
    number: u32,
    class: IntentClass,
    waits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Started {
    Done,
    NotDone,
    Pending,
}

impl Started {
    const fn of(intent: &Intent) -> Self {
        match intent.state {
            IntentState::Confirmed => Self::Done,
            IntentState::Failed => Self::NotDone,
            IntentState::Pending | IntentState::Submitted | IntentState::Unknown => Self::Pending,
        }
    }
}

impl Start {
    fn key(self) -> IntentKey {
        IntentKey::derive("simulated", &[&self.number.to_be_bytes()])
    }
}

impl Ask for Start {
    fn name(&self) -> &'static str {
        "intents.start"
    }

    fn run(&self, ports: Ports, once: Option<Once>) -> Asking {
        let command = *self;
        Box::pin(async move { Reply::of(&execute_once(&ports, &command, once.as_ref()).await) })
    }

    fn is_provisional(&self, answer: &str) -> bool {
        serde_json::from_str(answer).is_ok_and(|started: Started| started == Started::Pending)
    }
}

impl Command for Start {
    type View = Loaded<Intent>;
    type Reply = Started;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let key = Key::Intent(self.key());
        let snapshot = Snapshot::load(ports.store(), &[Read::Row(key.clone())]).await?;
        Ok(snapshot.row(key))
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        if let Some(intent) = view.value() {
            return Verdict::Done(Decision::granted(draft, Started::of(intent)));
        }
        let channel = format!("simulated-{}", self.number);
        let (Ok(channel), Some(uid)) = (Channel::parse(&channel), MediaUid::new(1)) else {
            return Verdict::Done(Decision::granted(draft, Started::NotDone));
        };
        let effect = Effect::RemoveFromChannel {
            channel,
            uid,
            connection: None,
        };
        let intent = Intent::new(self.key(), self.class, effect, cx.now);
        draft.expect(view);
        if self.waits {
            draft.intent(intent.leased_here(&cx.policy.outbox));
        } else {
            draft.intent(intent);
        }
        let mut decision = Decision::granted(draft, Started::Pending);
        decision.awaits = self.waits.then(|| self.key());
        Verdict::Done(decision)
    }

    fn complete(reply: Started, _: &Receipt, awaited: Option<&Intent>) -> Started {
        awaited.map_or(reply, Started::of)
    }
}
