//! The walk through a paid room: money moves outside, between two changesets.
//!
//! The commands here stand in for those of paid rooms: the same steps, with a removal from a
//! channel in the place of a settlement, and a transfer in the place of an entitlement.

use serde::{Deserialize, Serialize};
use session_core::changeset::{Draft, Expect, Fence, Key, Lane, Loaded, Rejection};
use session_core::ledger::{
    AccountKey, AccountKind, Action, LedgerError, Owner, Rail, Reason, Reference, Transfer,
};
use session_core::media::{Channel, MediaUid};
use session_core::outbox::{Effect, Intent, IntentClass, IntentState, Outcome};
use session_core::ports::{Claim, Effects, Read, Snapshot, Store, StoreError};
use session_core::room::{LeaveRoom, Room, StayName};
use session_core::service::{Answers, Command, Context, Decision, Deliver, Never, Ports, Verdict};
use session_core::types::{
    Caip2, IntentKey, RoomId, Seconds, Timestamp, TransferId, Unit, UsdcAtomic, Wallet,
};

use crate::Walk;

const PRICE: UsdcAtomic = UsdcAtomic::new(250_000);

/// A wallet pays to enter a room with a signed authorization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Enter {
    payer: Wallet,
    room: RoomId,
    nonce: [u8; 32],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Entered {
    /// Paid: into the live room, or to its recording where it ended meanwhile.
    Granted {
        live: bool,
    },
    Pending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum EnterRefusal {
    NotPaid,
    RoomNotLive,
}

#[derive(Debug, Clone)]
struct EnterView {
    room: Loaded<Room>,
    intent: Loaded<Intent>,
}

impl Enter {
    /// What makes this payment this payment.
    fn cause(&self) -> [Vec<u8>; 4] {
        let chain: Caip2 = "eip155:84532".parse().unwrap();
        let asset = vec![0x05; 20];
        let payer = self.payer.to_bytes().to_vec();
        [
            chain.to_string().into_bytes(),
            asset,
            payer,
            self.nonce.to_vec(),
        ]
    }

    fn intent_key(&self) -> IntentKey {
        let cause = self.cause();
        IntentKey::derive("settle", &cause.each_ref().map(Vec::as_slice))
    }

    fn payment(&self, at: Timestamp) -> Transfer {
        let cause = self.cause();
        let account = |kind| AccountKey::new(Owner::House, kind, Unit::UsdcAtomic);
        Transfer {
            id: TransferId::derive("payment", &cause.each_ref().map(Vec::as_slice)),
            debit: account(AccountKind::External(Rail::Usdc)),
            credit: account(AccountKind::Revenue),
            amount: PRICE.get(),
            action: Action::Posted,
            reason: Reason::AdminAdjust,
            reference: Reference::None,
            at,
        }
    }

    async fn view(&self, ports: &Ports) -> Result<EnterView, StoreError> {
        let (room, intent) = (Key::Room(self.room), Key::Intent(self.intent_key()));
        let reads = [Read::Row(room.clone()), Read::Row(intent.clone())];
        let snapshot = Snapshot::load(ports.store(), &reads).await?;
        Ok(EnterView {
            room: snapshot.row(room),
            intent: snapshot.row(intent),
        })
    }
}

impl EnterView {
    fn is_live(&self) -> bool {
        self.room.value().is_some_and(Room::is_active)
    }
}

impl Command for Enter {
    type View = EnterView;
    type Reply = Entered;
    type Refusal = EnterRefusal;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<EnterView, StoreError> {
        self.view(ports).await
    }

    fn decide(&self, view: &EnterView, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        // What was paid is granted, whatever became of the room.
        if let Some(intent) = view.intent.value() {
            return Verdict::Done(match intent.state {
                IntentState::Confirmed => Decision::granted(
                    draft,
                    Entered::Granted {
                        live: view.is_live(),
                    },
                ),
                IntentState::Failed => Decision::refused(draft, EnterRefusal::NotPaid),
                IntentState::Pending | IntentState::Submitted | IntentState::Unknown => {
                    Decision::granted(draft, Entered::Pending)
                }
            });
        }
        if !view.is_live() {
            return Verdict::Done(Decision::refused(draft, EnterRefusal::RoomNotLive));
        }
        let effect = Effect::RemoveFromChannel {
            connection: None,
            channel: Channel::free_room(self.room),
            uid: MediaUid::new(1).unwrap(),
        };
        let key = self.intent_key();
        let intent = Intent::new(key, IntentClass::Queryable, effect, cx.now);
        // Of two requests with one authorization, the second finds the intent when it loads anew.
        draft.expect(&view.intent);
        draft.expect(&view.room);
        draft.intent(intent.leased_here(&cx.policy.outbox));
        let mut decision = Decision::granted(draft, Entered::Pending);
        decision.awaits = Some(key);
        Verdict::Done(decision)
    }
}

/// The outside answered: the intent, the money and the grant in one changeset.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Settle {
    enter: Enter,
    fence: Option<Fence>,
    outcome: Outcome,
}

impl Command for Settle {
    type View = EnterView;
    /// What was granted by this; `None` where it was settled before or is not settled yet.
    type Reply = Option<Entered>;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<EnterView, StoreError> {
        self.enter.view(ports).await
    }

    fn decide(&self, view: &EnterView, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let Some(intent) = view.intent.value().filter(|intent| !intent.is_settled()) else {
            return Verdict::Done(Decision::granted(draft, None));
        };
        let fence = self.fence.unwrap_or_default();
        draft.expect_claimed(Key::Intent(intent.key), fence);
        let next = intent.after(&self.outcome, cx.now, &cx.policy.outbox);
        let is_paid = next.state == IntentState::Confirmed;
        draft.update(&view.intent, next);
        if !is_paid {
            return Verdict::Done(Decision::granted(draft, None));
        }
        // The room is read again: it may have ended while the money was moving.
        draft.expect(&view.room);
        draft.transfer(self.enter.payment(cx.now));
        let granted = Entered::Granted {
            live: view.is_live(),
        };
        Verdict::Done(Decision::granted(draft, Some(granted)))
    }
}

/// A live room and a payer before its door.
async fn at_the_door(walk: &Walk) -> (Enter, LeaveRoom) {
    let host = walk.wallet(1).await;
    let room = walk.room_of(host).await;
    let connection = Some(walk.seat(host, room).await.connection);
    let enter = Enter {
        payer: walk.wallet(2).await,
        room,
        nonce: [9; 32],
    };
    (
        enter,
        LeaveRoom(StayName {
            wallet: host,
            room: Some(room),
            connection,
        }),
    )
}

/// The first request up to the instant at which the money has moved and nobody wrote it down.
async fn paid_and_not_granted(walk: &Walk, enter: Enter) {
    let decision = walk.decide(&enter, &walk.load(&enter).await);
    walk.commit(&decision.changeset).await.unwrap();
    let submit = Deliver {
        key: enter.intent_key(),
        fence: None,
        outcome: None,
    };
    let submitted = walk.run(submit).await.unwrap().unwrap();
    assert_eq!(submitted.state, IntentState::Submitted);
    assert_eq!(walk.bench.effects.perform(&submitted).await, Outcome::Done);
}

fn settle(enter: Enter, fence: Option<Fence>) -> Settle {
    Settle {
        enter,
        fence,
        outcome: Outcome::Done,
    }
}

fn state_of(walk: &Walk, enter: Enter) -> IntentState {
    let world = walk.store.world();
    match world.row(&Key::Intent(enter.intent_key())) {
        Some((_, session_core::changeset::Row::Intent(intent))) => intent.state,
        other => panic!("no intent: {other:?}"),
    }
}

fn payments(walk: &Walk) -> usize {
    let world = walk.store.world();
    world
        .transfers()
        .filter(|transfer| transfer.credit.unit == Unit::UsdcAtomic)
        .count()
}

async fn claim(walk: &Walk) -> Vec<Fence> {
    let policy = &walk.bench.ports.policy.outbox;
    let claim = Claim {
        lane: Lane::Deliver,
        now: walk.now(),
        lease: policy.lease_seconds,
        rows_max: 9,
    };
    let claimed = walk.store.claim_due(&claim).await.unwrap();
    claimed.into_iter().map(|claimed| claimed.fence).collect()
}

#[tokio::test]
async fn money_is_written_down_before_it_moves_and_granted_with_what_it_bought() {
    let walk = Walk::new().await;
    let (enter, _) = at_the_door(&walk).await;
    let first = walk.decide(&enter, &walk.load(&enter).await);
    assert_eq!(first.awaits, Some(enter.intent_key()));
    assert_eq!(first.changeset.intents.len(), 1);
    assert_eq!(
        first.changeset.intents[0].due_at,
        walk.now().after(Seconds::new(30))
    );
    assert!(first.changeset.transfers.is_empty() && first.changeset.rows.is_empty());

    paid_and_not_granted(&walk, enter).await;
    let conclude = settle(enter, None);
    let second = walk.decide(&conclude, &walk.load(&conclude).await);
    assert_eq!(second.changeset.rows.len(), 1, "the intent");
    assert_eq!(second.changeset.transfers.len(), 1, "the money");
    let room =
        |expect: &Expect| matches!(expect, Expect::At(Key::Room(id), _) if *id == enter.room);
    assert!(
        second.changeset.expect.iter().any(room),
        "the room, read again"
    );
    let receipt = walk.commit(&second.changeset).await.unwrap();
    assert_eq!(
        receipt.moved.values().copied().collect::<Vec<_>>(),
        [PRICE.get()]
    );
    assert_eq!(second.reply, Ok(Some(Entered::Granted { live: true })));
    assert_eq!(state_of(&walk, enter), IntentState::Confirmed);
    assert!(
        walk.store
            .world()
            .work(&Key::Intent(enter.intent_key()))
            .is_none()
    );
    walk.assert_sound();
}

#[tokio::test]
async fn money_that_moved_before_a_crash_is_found_by_asking_and_granted_once() {
    let walk = Walk::new().await;
    let (enter, _) = at_the_door(&walk).await;
    paid_and_not_granted(&walk, enter).await;
    // The process dies here.
    assert_eq!(state_of(&walk, enter), IntentState::Submitted);
    walk.pass(29).await;
    assert_eq!(
        claim(&walk).await,
        [],
        "the lease of the one that is gone still holds"
    );
    walk.pass(1).await;
    let fences = claim(&walk).await;
    assert_eq!(fences, [Fence::new(1)]);

    let view = walk.load(&settle(enter, None)).await;
    let outcome = walk.bench.effects.ask(view.intent.value().unwrap()).await;
    let found = Settle {
        outcome,
        ..settle(enter, Some(fences[0]))
    };
    assert_eq!(
        walk.run(found).await,
        Ok(Some(Entered::Granted { live: true }))
    );
    assert_eq!(
        (walk.bench.effects.performed().len(), payments(&walk)),
        (1, 1)
    );
    assert_eq!(walk.run(enter).await, Ok(Entered::Granted { live: true }));
    walk.assert_sound();
}

#[tokio::test]
async fn a_first_holder_that_comes_back_late_is_refused_by_the_fence() {
    let walk = Walk::new().await;
    let (enter, _) = at_the_door(&walk).await;
    paid_and_not_granted(&walk, enter).await;
    let late = settle(enter, None);
    let decided_in_time = walk.decide(&late, &walk.load(&late).await);
    walk.pass(30).await;
    let fences = claim(&walk).await;

    let fenced = Err(Rejection::Fenced(Key::Intent(enter.intent_key())));
    assert_eq!(
        walk.commit(&decided_in_time.changeset).await,
        fenced,
        "the worker holds it"
    );
    assert_eq!(payments(&walk), 0);
    walk.run(settle(enter, Some(fences[0]))).await.unwrap();
    assert_eq!(
        walk.commit(&decided_in_time.changeset).await,
        fenced,
        "the worker is done"
    );
    assert_eq!(
        walk.run(late).await,
        Ok(None),
        "and loading anew it finds so"
    );
    assert_eq!(payments(&walk), 1);
    walk.assert_sound();
}

#[tokio::test]
async fn two_requests_with_one_authorization_start_one_settlement() {
    let walk = Walk::new().await;
    let (enter, _) = at_the_door(&walk).await;
    let view = walk.load(&enter).await;
    let (first, second) = (walk.decide(&enter, &view), walk.decide(&enter, &view));
    walk.commit(&first.changeset).await.unwrap();
    let key = Key::Intent(enter.intent_key());
    assert_eq!(
        walk.commit(&second.changeset).await,
        Err(Rejection::Conflict(key))
    );
    let again = walk.decide(&enter, &walk.load(&enter).await);
    assert_eq!((again.reply, again.awaits), (Ok(Entered::Pending), None));
}

#[tokio::test]
async fn a_repeat_grants_once_and_a_contradiction_is_an_error() {
    let walk = Walk::new().await;
    let (enter, _) = at_the_door(&walk).await;
    paid_and_not_granted(&walk, enter).await;
    walk.run(settle(enter, None)).await.unwrap();
    let before = walk.store.world();

    let mut repeat = Draft::new();
    repeat.transfer(enter.payment(walk.now().after(Seconds::new(5))));
    let receipt = walk.commit(&repeat.finish()).await.unwrap();
    assert_eq!(
        receipt.moved.values().copied().collect::<Vec<_>>(),
        [PRICE.get()]
    );
    assert_eq!(walk.run(settle(enter, None)).await, Ok(None));
    assert_eq!(walk.run(enter).await, Ok(Entered::Granted { live: true }));

    let more = Transfer {
        amount: PRICE.get() + 1,
        ..enter.payment(walk.now())
    };
    let mut contradiction = Draft::new();
    contradiction.transfer(more);
    let mismatch = Rejection::Ledger(LedgerError::IdMismatch(more.id));
    assert_eq!(walk.commit(&contradiction.finish()).await, Err(mismatch));
    assert_eq!(walk.store.world(), before);
}

#[tokio::test]
async fn a_payer_whose_room_ended_while_the_money_moved_is_granted_the_recording() {
    let walk = Walk::new().await;
    let (enter, close) = at_the_door(&walk).await;
    paid_and_not_granted(&walk, enter).await;

    // The room ends after the outcome was decided for a live room, and before it is committed.
    let conclude = settle(enter, None);
    let too_early = walk.decide(&conclude, &walk.load(&conclude).await);
    assert_eq!(too_early.reply, Ok(Some(Entered::Granted { live: true })));
    walk.run(close).await.unwrap();
    let rejection = walk.commit(&too_early.changeset).await;
    assert_eq!(rejection, Err(Rejection::Conflict(Key::Room(enter.room))));

    assert_eq!(
        walk.run(conclude).await,
        Ok(Some(Entered::Granted { live: false }))
    );
    assert_eq!(payments(&walk), 1);
    assert_eq!(walk.run(enter).await, Ok(Entered::Granted { live: false }));
    walk.assert_sound();
}

#[tokio::test]
async fn nobody_pays_for_a_room_that_ended_before() {
    let walk = Walk::new().await;
    let (enter, close) = at_the_door(&walk).await;
    let decided = walk.decide(&enter, &walk.load(&enter).await);
    walk.run(close).await.unwrap();
    let rejection = walk.commit(&decided.changeset).await;
    assert_eq!(rejection, Err(Rejection::Conflict(Key::Room(enter.room))));
    assert_eq!(walk.run(enter).await, Err(EnterRefusal::RoomNotLive));
    assert_eq!(walk.bench.effects.performed().len(), 0);
}

#[tokio::test]
async fn money_that_surely_did_not_move_buys_nothing() {
    let walk = Walk::new().await;
    let (enter, _) = at_the_door(&walk).await;
    walk.run(enter).await.unwrap();
    let refused = Settle {
        outcome: Outcome::Refused("declined".into()),
        ..settle(enter, None)
    };
    assert_eq!(walk.run(refused).await, Ok(None));
    assert_eq!(walk.run(enter).await, Err(EnterRefusal::NotPaid));
    assert_eq!(payments(&walk), 0);
}
