//! Small models, explored fully: every interleaving, with a death at any await.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use session_core::changeset::{Draft, Key, Lane, Row, World};
use session_core::journal::Fact;
use session_core::ledger::{AccountKey, AccountKind, Owner, VerifyCelo};
use session_core::media::{Channel, MediaUid};
use session_core::outbox::{Effect, Intent, IntentClass};
use session_core::policy::Policy;
use session_core::ports::Store;
use session_core::room::{
    CreateRoom, Heartbeat, JoinRoom, Joined, LeaveRoom, StayName, Visibility,
};
use session_core::service::{Command, execute, work_lane};
use session_core::types::{IntentKey, RoomId, Seconds, Timestamp, Unit, Wallet};
use session_testkit::bench::Bench;
use session_testkit::invariants::{audited, live_seats, usage_by_wallet};
use session_testkit::memory::MemoryStore;
use session_testkit::sim::explore::{Ended, Explored, Model, Step, explore};
use session_testkit::sim::{Asked, Backend, Honest};

use crate::planted::{Bug, Planted};

/// No model has as many histories.
pub(crate) const RUNS_MAX: u64 = 2_000_000;

/// What a model begins with, made by the driver itself.
pub(crate) struct Stage {
    pub(crate) bench: Bench,
    store: Arc<MemoryStore>,
}

impl Stage {
    pub(crate) fn new(capacity: u8) -> Self {
        let (mut bench, store) = Bench::in_memory(7);
        bench.ports.policy.rooms.capacity = capacity;
        now(session_core::service::beat(&bench.ports)).unwrap();
        Self { bench, store }
    }

    pub(crate) fn run<C: Command>(&self, command: &C) -> C::Reply {
        match now(execute(&self.bench.ports, command)).unwrap() {
            Ok(reply) => reply,
            Err(refusal) => panic!("{refusal:?}"),
        }
    }

    fn wallet(&self, n: u32) -> Wallet {
        let wallet = Bench::wallet(n);
        now(self.bench.endow(wallet, Seconds::new(1_800))).unwrap();
        wallet
    }

    fn room(&self, host: Wallet) -> RoomId {
        let command = CreateRoom {
            wallet: host,
            visibility: Visibility::Open,
            ai_enabled: false,
        };
        self.run(&command).room
    }

    fn seat(&self, wallet: Wallet, room: RoomId) -> StayName {
        let room = Some(room);
        let Joined { connection, .. } = self.run(&JoinRoom { wallet, room });
        StayName {
            wallet,
            room,
            connection: Some(connection),
        }
    }

    pub(crate) fn model(&self, tasks: Vec<Step>) -> Model {
        let mut model = Model::new(self.bench.ports.clock.now(), 2);
        model.policy = self.bench.ports.policy;
        model.tasks = tasks;
        model
    }

    pub(crate) fn world(&self) -> World {
        self.store.world()
    }
}

/// The memory store never waits.
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

pub(crate) fn ask<C: Command + Clone + 'static>(server: usize, command: C) -> Step {
    let name = "model";
    Step::Ask(server, Arc::new(Asked { name, command }))
}

pub(crate) fn honest(world: &World) -> impl Fn() -> Box<dyn Backend> + '_ {
    move || Box::new(Honest::around(world.clone()))
}

pub(crate) fn assert_clean(name: &str, explored: &Explored) {
    println!("{name}: {} histories", explored.runs);
    assert_eq!(explored.broken, None, "{name}");
    assert!(explored.runs < RUNS_MAX, "{name} is not explored fully");
}

pub(crate) fn assert_broken(name: &str, invariant: &str, explored: &Explored) {
    let (violation, _) = explored.broken.as_ref().expect("the bug is found");
    println!("{name}, planted: history {}: {violation}", explored.runs);
    assert_eq!(violation.invariant, invariant, "{name}: {violation}");
}

fn granted(ended: &Ended<'_>) -> usize {
    let replies = ended.replies.iter().flatten();
    replies
        .filter(|reply| reply.granted::<Joined>().is_some())
        .count()
}

/// Two wallets on two servers want the last place, and one may die; in the second model the host
/// leaves meanwhile.
#[test]
fn two_servers_and_one_seat() {
    for host_leaves in [false, true] {
        let stage = Stage::new(2);
        let (host, second, third) = (stage.wallet(1), stage.wallet(2), stage.wallet(3));
        let room = stage.room(host);
        let hosted = stage.seat(host, room);
        let model = || {
            let join = |wallet| JoinRoom {
                wallet,
                room: Some(room),
            };
            let mut tasks = vec![ask(0, join(second)), ask(1, join(third))];
            if host_leaves {
                tasks.push(ask(0, LeaveRoom(hosted)));
            }
            let mut model = stage.model(tasks);
            model.deaths_max = 1;
            model
        };
        let judge = |ended: &Ended<'_>| {
            let seats = live_seats(ended.world).count();
            let told = granted(ended);
            let nobody_died = ended.replies.iter().all(Option::is_some);
            match (told, nobody_died && !host_leaves) {
                (0 | 1, false) | (1, true) if seats <= 2 => Ok(()),
                _ => Err(format!("{told} were told that they sit, {seats} do")),
            }
        };
        let world = stage.world();
        let explored = explore(&model, &honest(&world), &judge, RUNS_MAX);
        assert_clean("two servers and one seat", &explored);
    }
}

/// One wallet joins two rooms on two servers while one of the rooms closes, and one request may
/// die.
#[test]
fn one_wallet_on_two_servers() {
    let stage = Stage::new(3);
    let (first, second, wallet) = (stage.wallet(1), stage.wallet(2), stage.wallet(3));
    let rooms = [stage.room(first), stage.room(second)];
    let hosted = stage.seat(first, rooms[0]);
    let model = || {
        let join = |room| JoinRoom {
            wallet,
            room: Some(room),
        };
        let tasks = vec![
            ask(0, join(rooms[0])),
            ask(1, join(rooms[1])),
            ask(1, LeaveRoom(hosted)),
        ];
        let mut model = stage.model(tasks);
        model.deaths_max = 1;
        model
    };
    let judge = |ended: &Ended<'_>| {
        let seats = live_seats(ended.world)
            .filter(|seat| seat.wallet == wallet)
            .count();
        if seats > 1 {
            Err(format!("{seats} seats"))
        } else {
            Ok(())
        }
    };
    let world = stage.world();
    let explored = explore(&model, &honest(&world), &judge, RUNS_MAX);
    assert_clean("one wallet on two servers", &explored);

    let careless = || Planted::around(Bug::ForgetsUniques, world.clone());
    let explored = explore(&model, &careless, &judge, RUNS_MAX);
    assert_broken("one wallet on two servers", "one_seat", &explored);
}

/// Two servers charge thirty seconds, while a bonus comes in; one of the three may die. In the
/// second model one of the two is a worker, and no bonus comes.
#[test]
fn two_debits_and_one_grant() {
    let mut stage = Stage::new(2);
    let host = stage.wallet(1);
    let room = stage.room(host);
    let stay = stage.seat(host, room);
    now(stage.bench.pass(Seconds::new(30))).unwrap();
    let bonus = stage.bench.ports.policy.credits.bonus_grant.get();
    stage.bench.ports.policy = Policy::default();
    let debits = [ask(1, Heartbeat(stay)), Step::Work(1, Lane::Seats)];
    for (debit, has_grant) in debits.into_iter().zip([true, false]) {
        let model = || {
            let mut tasks = vec![ask(0, Heartbeat(stay)), debit.clone()];
            if has_grant {
                tasks.push(ask(0, VerifyCelo { wallet: host }));
            }
            let mut model = stage.model(tasks);
            model.verified = vec![host];
            model.deaths_max = 1;
            model
        };
        let judge = |ended: &Ended<'_>| {
            let used = usage_by_wallet(ended.world)
                .get(&host)
                .copied()
                .unwrap_or_default()
                .get();
            let is_granted = given(ended.world, host) == bonus;
            let left = balance(ended.world, host);
            let expected = 1_800 + if is_granted { bonus } else { 0 } - used;
            let is_charged = ended.replies[0].is_none() || used == 30;
            let is_told = ended.replies.get(2).is_none_or(Option::is_none) || is_granted;
            if left == expected && (used == 0 || used == 30) && is_charged && is_told {
                Ok(())
            } else {
                Err(format!("used {used}, bonus {is_granted}, left {left}"))
            }
        };
        let world = stage.world();
        let explored = explore(&model, &honest(&world), &judge, RUNS_MAX);
        assert_clean("two debits and one grant", &explored);

        if has_grant {
            let careless = || Planted::around(Bug::LostUpdate, world.clone());
            let explored = explore(&model, &careless, &judge, RUNS_MAX);
            assert_broken("two debits and one grant", "conservation", &explored);
        }
    }
}

/// Two workers and one intent: the first holder stands still until its lease is over.
#[test]
fn lease_takeover_with_a_paused_holder() {
    for class in [
        IntentClass::Queryable,
        IntentClass::AtMostOnce,
        IntentClass::Repeatable,
    ] {
        let stage = Stage::new(2);
        let key = IntentKey::derive("model", &[]);
        let effect = Effect::RemoveFromChannel {
            connection: None,
            channel: Channel::parse("model").unwrap(),
            uid: MediaUid::new(1).unwrap(),
        };
        let mut draft = Draft::new();
        draft.intent(Intent::new(
            key,
            class,
            effect,
            stage.bench.ports.clock.now(),
        ));
        now(stage.store.commit(&draft.finish())).unwrap();
        let model = || {
            let tasks = vec![Step::Work(0, Lane::Deliver), Step::Work(1, Lane::Deliver)];
            let mut model = stage.model(tasks);
            model.deaths_max = 1;
            model.passes = vec![Seconds::new(30)];
            model
        };
        let judge = |_: &Ended<'_>| Ok(());
        let world = stage.world();
        let explored = explore(&model, &honest(&world), &judge, RUNS_MAX);
        assert_clean(&format!("lease takeover, {class:?}"), &explored);

        let careless = || Planted::around(Bug::SkipsTheFence, world.clone());
        let explored = explore(&model, &careless, &judge, RUNS_MAX);
        assert_broken(&format!("lease takeover, {class:?}"), "fenced", &explored);
    }
}

/// Two servers seal three entries in blocks of at most two, and one may die anywhere; a lease may
/// run out meanwhile. Whoever looks afterwards seals what is left: every entry is in one block.
#[test]
fn two_sealers_and_three_entries() {
    sealers("two sealers and three entries", [0, 0]);
}

/// The same where one of the two has a clock that is an hour ahead: it puts off the next look, and
/// may die with a claim for an hour. What is sealed is sealed once, and all of it in the end.
#[test]
fn two_sealers_and_a_clock_gone_wrong() {
    sealers("two sealers and a clock gone wrong", [3_600, 0]);
}

fn sealers(name: &str, clocks: [i64; 2]) {
    let taken_back = Cell::new(0_u64);
    let stage = Stage::new(2);
    let begin = stage.bench.ports.clock.now();
    now(work_lane(&stage.bench.ports, Lane::Seal)).unwrap();
    for n in 1..=3 {
        let to = begin.after(Seconds::new(n));
        let mut draft = Draft::new();
        draft.journal(begin, Fact::Outage { from: begin, to });
        now(stage.store.commit(&draft.finish())).unwrap();
    }
    let world = stage.world();
    assert_eq!(world.unsealed().len(), 3);
    let model = || {
        let tasks = vec![Step::Work(0, Lane::Seal), Step::Work(1, Lane::Seal)];
        let mut model = stage.model(tasks);
        model.policy.journal.block_entries_max = 2;
        model.begin = begin.after(model.policy.journal.seal_every_seconds);
        model.deaths_max = 1;
        model.passes = vec![Seconds::new(30)];
        model.clocks = clocks.to_vec();
        model
    };
    let judge = |ended: &Ended<'_>| {
        let store = Arc::new(MemoryStore::around(ended.world.clone()));
        let mut bench = Bench::new(store.clone(), 9);
        bench.ports.policy.journal.block_entries_max = 2;
        let latest = bench.ports.clock.now().after(Seconds::new(1_000));
        let is_put_off = seal_at(ended.world).is_some_and(|at| at > latest);
        for wait in [100, 101, 7_200, 101] {
            bench.clock.advance(Seconds::new(wait));
            let worked = now(work_lane(&bench.ports, Lane::Seal));
            let worked = worked.map_err(|error| error.to_string())?;
            if is_put_off && wait == 100 && worked.sealed > 0 {
                taken_back.set(taken_back.get() + 1);
            }
        }
        let world = store.world();
        let blocks = world.rows().filter_map(|(_, _, row)| match row {
            Row::Block(block) => Some(block.entries.clone()),
            _ => None,
        });
        let mut sealed: Vec<_> = blocks.flatten().collect();
        sealed.sort_unstable();
        let mut written: Vec<_> = world.journal().map(|entry| entry.id).collect();
        written.sort_unstable();
        let complaints = audited(&world);
        if sealed == written && complaints.is_empty() {
            Ok(())
        } else {
            let (sealed, written) = (sealed.len(), written.len());
            Err(format!("{sealed} sealed of {written}: {complaints:?}"))
        }
    };
    let explored = explore(&model, &honest(&world), &judge, RUNS_MAX);
    assert_clean(name, &explored);
    let times = taken_back.get();
    println!("{name}: {times} passes sealed after a look was put off");
    assert_eq!(times > 0, clocks[0] > 0, "{name}");

    let careless = || Planted::around(Bug::SealsTwice, world.clone());
    let explored = explore(&model, &careless, &judge, RUNS_MAX);
    assert_broken(name, "model", &explored);
}

fn seal_at(world: &World) -> Option<Timestamp> {
    match world.row(&Key::Chain(())) {
        Some((_, Row::Chain(chain))) => Some(chain.seal_at),
        _ => None,
    }
}

fn account(world: &World, wallet: Wallet, kind: AccountKind) -> session_core::ledger::Account {
    let key = AccountKey::new(Owner::Wallet(wallet), kind, Unit::Seconds);
    match world.row(&Key::Account(key)) {
        Some((_, Row::Account(account))) => *account,
        _ => session_core::ledger::Account::empty(key),
    }
}

fn balance(world: &World, wallet: Wallet) -> u64 {
    account(world, wallet, AccountKind::Wallet).available()
}

fn given(world: &World, wallet: Wallet) -> u64 {
    account(world, wallet, AccountKind::GrantBonus).debits_posted
}
