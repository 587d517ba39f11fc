//! What leaves the process: written down, performed, and what a crash in between comes to.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use session_core::changeset::{Draft, Key, Lane, Row};
use session_core::idempotency::{IdempotencyKey, Once};
use session_core::media::{Channel, MediaUid};
use session_core::outbox::{Effect, Intent, IntentClass, IntentState, Outcome};
use session_core::ports::{Dispatcher, StoreError};
use session_core::service::{
    Answers, Command, Context, Decision, Deliver, Never, Ports, Verdict, deliver, execute,
    execute_once,
};
use session_core::types::{IntentKey, Seconds};

use crate::Walk;

/// A request that waits for what it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Start {
    class: IntentClass,
    /// Whether the request performs the intent itself, and waits.
    waits: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Started {
    Done,
    NotDone,
    Pending,
}

impl Start {
    fn key(self) -> IntentKey {
        IntentKey::derive("walk", &[])
    }
}

impl Command for Start {
    type View = ();
    type Reply = Started;
    type Refusal = Never;

    async fn load(&self, _: &Ports, _: &Context<'_>) -> Result<(), StoreError> {
        Ok(())
    }

    fn decide(&self, (): &(), cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let effect = Effect::RemoveFromChannel {
            connection: None,
            channel: Channel::parse("walk").unwrap(),
            uid: MediaUid::new(1).unwrap(),
        };
        let intent = Intent::new(self.key(), self.class, effect, cx.now);
        let mut draft = Draft::new();
        if self.waits {
            draft.intent(intent.leased_here(&cx.policy.outbox));
        } else {
            draft.intent(intent);
        }
        let mut decision = Decision::granted(draft, Started::Pending);
        decision.awaits = self.waits.then(|| self.key());
        Verdict::Done(decision)
    }

    fn complete(
        reply: Started,
        _: &session_core::changeset::Receipt,
        awaited: Option<&Intent>,
    ) -> Started {
        match awaited.map(|intent| intent.state) {
            Some(IntentState::Confirmed) => Started::Done,
            Some(IntentState::Failed) => Started::NotDone,
            Some(IntentState::Pending | IntentState::Submitted | IntentState::Unknown) | None => {
                reply
            }
        }
    }
}

/// Performs what a request waits for, within the request.
#[derive(Debug)]
struct InlineDispatcher;

#[async_trait]
impl Dispatcher for InlineDispatcher {
    async fn run(&self, key: IntentKey, ports: &Ports) -> Option<Intent> {
        deliver(ports, key, None).await.ok().flatten()
    }
}

fn with_inline_dispatcher(walk: &Walk) -> Ports {
    Ports {
        dispatcher: Arc::new(InlineDispatcher),
        ..walk.bench.ports.clone()
    }
}

fn intent(walk: &Walk) -> Intent {
    let key = IntentKey::derive("walk", &[]);
    match walk.store.world().row(&Key::Intent(key)) {
        Some((_, Row::Intent(intent))) => intent.clone(),
        other => panic!("no intent: {other:?}"),
    }
}

/// Calls of the outside world so far: performed, asked.
fn calls(walk: &Walk) -> (usize, usize) {
    (
        walk.bench.effects.performed().len(),
        walk.bench.effects.asked().len(),
    )
}

async fn work(walk: &Walk) -> usize {
    let worked = session_core::service::work_lane(&walk.bench.ports, Lane::Deliver)
        .await
        .unwrap();
    assert!(worked.failed.is_empty() && worked.lost == 0, "{worked:?}");
    worked.claimed
}

/// An intent that a request submitted before its process died; the outside world was not reached.
async fn submitted_then_crashed(walk: &Walk, class: IntentClass) {
    let start = Start { class, waits: true };
    walk.run(start).await.unwrap();
    walk.run(Deliver {
        key: start.key(),
        fence: None,
        outcome: None,
    })
    .await
    .unwrap();
    assert_eq!(work(walk).await, 0, "the lease holds");
    walk.pass(30).await;
}

#[tokio::test]
async fn a_request_that_waits_answers_with_the_outcome() {
    let start = Start {
        class: IntentClass::Queryable,
        waits: true,
    };
    for (outcome, reply) in [
        (Outcome::Done, Started::Done),
        (Outcome::Refused("no".into()), Started::NotDone),
        (Outcome::NoAnswer("timeout".into()), Started::Pending),
    ] {
        let walk = Walk::new().await;
        walk.bench.effects.will_answer([outcome]);
        let ports = with_inline_dispatcher(&walk);
        assert_eq!(execute(&ports, &start).await.unwrap(), Ok(reply));
        let performed = walk.bench.effects.performed();
        assert_eq!(performed.len(), 1);
        // It was written down that it leaves before it left.
        assert_eq!(performed[0].state, IntentState::Submitted);
    }
}

#[tokio::test]
async fn a_request_whose_waiting_ends_early_answers_pending_and_a_worker_finishes() {
    let walk = Walk::new().await;
    let start = Start {
        class: IntentClass::Queryable,
        waits: true,
    };
    assert_eq!(walk.run(start).await, Ok(Started::Pending));
    assert_eq!(calls(&walk), (0, 0), "nobody was dispatched");
    assert_eq!(work(&walk).await, 0, "it is leased to the request");
    walk.pass(30).await;
    assert_eq!(work(&walk).await, 1);
    assert_eq!(
        (intent(&walk).state, calls(&walk)),
        (IntentState::Confirmed, (1, 0))
    );
    assert_eq!(work(&walk).await, 0, "what is settled is not due");
}

#[tokio::test]
async fn what_runs_at_most_once_is_never_run_again_after_a_crash() {
    let walk = Walk::new().await;
    submitted_then_crashed(&walk, IntentClass::AtMostOnce).await;
    assert_eq!(work(&walk).await, 1);
    assert_eq!(
        (intent(&walk).state, calls(&walk)),
        (IntentState::Failed, (0, 0))
    );
}

#[tokio::test]
async fn what_runs_at_most_once_is_given_up_when_nobody_answers() {
    let walk = Walk::new().await;
    walk.run(Start {
        class: IntentClass::AtMostOnce,
        waits: false,
    })
    .await
    .unwrap();
    walk.bench
        .effects
        .will_answer([Outcome::NoAnswer("timeout".into())]);
    assert_eq!(work(&walk).await, 1);
    assert_eq!(
        (intent(&walk).state, calls(&walk)),
        (IntentState::Failed, (1, 0))
    );
    walk.pass(3600).await;
    assert_eq!(work(&walk).await, 0);
}

#[tokio::test]
async fn what_can_be_asked_is_asked_after_a_crash_and_not_run_again() {
    let walk = Walk::new().await;
    submitted_then_crashed(&walk, IntentClass::Queryable).await;
    assert_eq!(work(&walk).await, 1);
    assert_eq!(
        (intent(&walk).state, calls(&walk)),
        (IntentState::Confirmed, (0, 1))
    );
}

#[tokio::test]
async fn what_surely_did_not_happen_is_run_after_asking() {
    let walk = Walk::new().await;
    submitted_then_crashed(&walk, IntentClass::Queryable).await;
    walk.bench
        .effects
        .will_answer([Outcome::NotDone("unknown to the chain".into())]);
    assert_eq!(work(&walk).await, 1);
    assert_eq!(
        (intent(&walk).state, calls(&walk)),
        (IntentState::Pending, (0, 1))
    );
    walk.pass(1).await;
    assert_eq!(work(&walk).await, 1);
    assert_eq!(
        (intent(&walk).state, calls(&walk)),
        (IntentState::Confirmed, (1, 1))
    );
}

#[tokio::test]
async fn what_can_be_asked_is_asked_for_as_long_as_nobody_answers() {
    let walk = Walk::new().await;
    walk.run(Start {
        class: IntentClass::Queryable,
        waits: false,
    })
    .await
    .unwrap();
    let silence = || Outcome::NoAnswer("timeout".into());
    walk.bench.effects.will_answer((0..20).map(|_| silence()));
    for _ in 0..20 {
        assert_eq!(work(&walk).await, 1);
        assert_eq!(intent(&walk).state, IntentState::Unknown);
        walk.pass(60).await;
    }
    assert_eq!(work(&walk).await, 1);
    assert_eq!(
        (intent(&walk).state, calls(&walk)),
        (IntentState::Confirmed, (1, 20))
    );
}

#[tokio::test]
async fn what_may_be_repeated_is_repeated_after_a_crash_until_it_is_done() {
    let walk = Walk::new().await;
    walk.run(Start {
        class: IntentClass::Repeatable,
        waits: false,
    })
    .await
    .unwrap();
    let lost = Outcome::NoAnswer("timeout".into());
    let failed = Outcome::NotDone("503".into());
    walk.bench.effects.will_answer([lost, failed]);
    for pause in [1, 2, 0] {
        assert_eq!(work(&walk).await, 1);
        walk.pass(pause).await;
    }
    assert_eq!(
        (intent(&walk).state, calls(&walk)),
        (IntentState::Confirmed, (3, 0))
    );
    assert_eq!(intent(&walk).attempts, 3);
    assert!(walk.now() > intent(&walk).created_at.after(Seconds::new(2)));
}

#[tokio::test]
async fn a_keyed_repeat_of_a_request_that_waited_learns_how_it_ended() {
    let walk = Walk::new().await;
    let start = Start {
        class: IntentClass::Queryable,
        waits: true,
    };
    let wallet = session_testkit::bench::Bench::wallet(1);
    let once = Once {
        key: IdempotencyKey::parse(wallet, "start", "k").unwrap(),
        fingerprint: [0; 16],
    };
    let ask = || execute_once(&walk.bench.ports, &start, Some(&once));
    assert_eq!(ask().await.unwrap(), Ok(Started::Pending));
    assert_eq!(ask().await.unwrap(), Ok(Started::Pending));
    walk.pass(30).await;
    assert_eq!(work(&walk).await, 1);
    assert_eq!(ask().await.unwrap(), Ok(Started::Done));
    assert_eq!(calls(&walk), (1, 0), "the repeats performed nothing");
}

#[tokio::test]
async fn an_intent_that_is_dispatched_twice_leaves_once() {
    for class in [IntentClass::Queryable, IntentClass::AtMostOnce] {
        let walk = Walk::new().await;
        let start = Start { class, waits: true };
        walk.run(start).await.unwrap();
        let submit = Deliver {
            key: start.key(),
            fence: None,
            outcome: None,
        };
        assert!(walk.run(submit.clone()).await.unwrap().is_some());
        assert_eq!(walk.run(submit).await, Ok(None));
        let second = deliver(&walk.bench.ports, start.key(), None).await;
        assert_eq!(second, Ok(None));
        assert_eq!(calls(&walk), (0, 0), "{class:?}");
        assert_eq!(intent(&walk).state, IntentState::Submitted);
    }
}
