//! Servers on the reference store and on a file do the same things and end in the same state.

use std::sync::Arc;

use session_core::auth::IssueNonce;
use session_core::changeset::{Lane, Row};
use session_core::idempotency::{IdempotencyKey, Once};
use session_core::ledger::{Credits, VerifyCelo};
use session_core::outbox::Outcome;
use session_core::ports::{Claim, Read, Store};
use session_core::room::{CreateRoom, Heartbeat, JoinRoom, LeaveRoom, Renew, StayName, Visibility};
use session_core::service::{
    Command, ExecuteError, active_rooms, beat, credits, execute_once, work_lane,
};
use session_core::types::{ConnectionId, RoomId, Seconds, Wallet};
use session_testkit::bench::Bench;
use session_testkit::memory::MemoryStore;

use crate::common::{Dice, Opened, assert_same_world, fresh, wallet};

const SEEDS: u64 = 6;
const STEPS: usize = 400;
const WALLETS: u32 = 9;

/// Two servers with the same clock, names and randomness: the reference, and the one under test.
struct Pair {
    seed: u64,
    reference: Bench,
    memory: Arc<MemoryStore>,
    tested: Bench,
    opened: Opened,
    rooms: Vec<RoomId>,
    stays: Vec<(Wallet, RoomId, ConnectionId)>,
}

#[tokio::test]
async fn commands_get_the_same_replies_and_leave_the_same_world() {
    let mut seated = 0;
    for seed in 0..SEEDS {
        let mut pair = Pair::new(seed).await;
        let mut dice = Dice::new(seed);
        for _ in 0..STEPS {
            pair.step(&mut dice).await;
        }
        assert_same_world(&pair.memory.world(), &pair.opened).await;
        let (expected, found) = (
            pair.reference.effects.performed(),
            pair.tested.effects.performed(),
        );
        assert_eq!(found, expected, "seed {seed}");
        seated += pair.stays.len();
    }
    assert!(seated > 50, "{seated} were seated");
}

impl Pair {
    async fn new(seed: u64) -> Self {
        let (mut reference, memory) = Bench::in_memory(seed);
        let opened = fresh().await;
        let mut tested = Bench::new(Arc::new(opened.store.clone()), seed);
        for bench in [&mut reference, &mut tested] {
            bench.ports.policy.rooms.remove_from_channel = true;
            for n in 0..WALLETS - 1 {
                bench.names.give(wallet(n), "name");
            }
            for n in 0..WALLETS / 2 {
                bench
                    .verifications
                    .verify(wallet(n), session_core::types::Timestamp::from_unix(5));
            }
        }
        Self {
            seed,
            reference,
            memory,
            tested,
            opened,
            rooms: Vec::new(),
            stays: Vec::new(),
        }
    }

    async fn step(&mut self, dice: &mut Dice) {
        let who = wallet(u32::try_from(dice.roll(WALLETS.into())).unwrap());
        match dice.roll(16) {
            0 | 1 => self.create(who, dice).await,
            2..=4 => self.join(who, dice).await,
            5..=9 => self.stay(dice).await,
            10 => {
                self.both(&VerifyCelo { wallet: who }, None).await.ok();
            }
            11 => {
                self.both(&IssueNonce { wallet: who }, None).await.ok();
            }
            12 => self.credits(who, dice).await,
            13 => self.work(dice).await,
            _ => self.pass_time(dice).await,
        }
    }

    /// Lets both servers execute a command and compares what they say.
    async fn both<C: Command>(&self, command: &C, once: Option<&Once>) -> Result<C::Reply, ()> {
        let expected = execute_once(&self.reference.ports, command, once).await;
        let found = execute_once(&self.tested.ports, command, once).await;
        assert_eq!(found, expected, "seed {}: {command:?}", self.seed);
        match found {
            Ok(reply) => reply.map_err(|_| ()),
            Err(ExecuteError::IdempotencyMismatch) => Err(()),
            Err(error) => panic!("seed {}: {command:?}: {error}", self.seed),
        }
    }

    async fn create(&mut self, host: Wallet, dice: &mut Dice) {
        let visibility = if dice.one_in(3) {
            Visibility::Private
        } else {
            Visibility::Open
        };
        let command = CreateRoom {
            wallet: host,
            visibility,
            ai_enabled: dice.one_in(2),
        };
        if let Ok(created) = self
            .both(&command, once(host, "create", dice).as_ref())
            .await
        {
            self.rooms.push(created.room);
        }
    }

    async fn join(&mut self, who: Wallet, dice: &mut Dice) {
        // The newest are the likeliest to be open.
        let recent = self.rooms.len().saturating_sub(4);
        let command = JoinRoom {
            wallet: who,
            room: dice.pick(&self.rooms[recent..]).copied(),
        };
        if let Ok(joined) = self.both(&command, once(who, "join", dice).as_ref()).await {
            self.stays.push((who, joined.room, joined.connection));
        }
    }

    async fn stay(&self, dice: &mut Dice) {
        let recent = self.stays.len().saturating_sub(8);
        let Some((wallet, room, connection)) = dice.pick(&self.stays[recent..]).copied() else {
            return;
        };
        let (room, connection) = (Some(room), Some(connection));
        match dice.roll(7) {
            0 => {
                self.both(
                    &LeaveRoom(StayName {
                        wallet,
                        room,
                        connection,
                    }),
                    None,
                )
                .await
                .ok();
            }
            1 | 2 => {
                self.both(
                    &Renew(StayName {
                        wallet,
                        room,
                        connection,
                    }),
                    None,
                )
                .await
                .ok();
            }
            _ => {
                self.both(
                    &Heartbeat(StayName {
                        wallet,
                        room,
                        connection,
                    }),
                    None,
                )
                .await
                .ok();
            }
        }
    }

    async fn credits(&self, who: Wallet, dice: &mut Dice) {
        let wanted = Credits {
            base_granted: Seconds::new(1800),
            bonus_granted: Seconds::ZERO,
            remaining: Seconds::new(dice.roll(1800)),
        };
        if dice.one_in(2) {
            self.reference.set_credits(who, wanted).await.unwrap();
            self.tested.set_credits(who, wanted).await.unwrap();
        }
        let expected = credits(&self.reference.ports, who).await.unwrap();
        assert_eq!(credits(&self.tested.ports, who).await.unwrap(), expected);
        let expected = active_rooms(&self.reference.ports).await.unwrap();
        assert_eq!(active_rooms(&self.tested.ports).await.unwrap(), expected);
    }

    async fn work(&self, dice: &mut Dice) {
        let script: Vec<Outcome> = (0..dice.roll(3))
            .map(|n| match n {
                0 => Outcome::NotDone("503".into()),
                _ => Outcome::NoAnswer("timeout".into()),
            })
            .collect();
        for bench in [&self.reference, &self.tested] {
            bench.effects.will_answer(script.clone());
        }
        let lane = *dice.pick(&Lane::ALL).unwrap();
        if dice.one_in(4) {
            // A worker that claims and dies.
            let now = self.reference.ports.clock.now();
            let claim = Claim {
                lane,
                now,
                lease: Seconds::new(20),
                rows_max: 2,
            };
            let expected = self.reference.ports.store.claim_due(&claim).await;
            assert_eq!(self.tested.ports.store.claim_due(&claim).await, expected);
        } else {
            let expected = work_lane(&self.reference.ports, lane).await;
            assert_eq!(
                work_lane(&self.tested.ports, lane).await,
                expected,
                "{lane:?}"
            );
        }
    }

    async fn pass_time(&self, dice: &mut Dice) {
        let span = match dice.roll(12) {
            0 => Seconds::new(86_400),
            1 => Seconds::new(dice.roll(400)),
            _ => Seconds::new(dice.roll(30)),
        };
        // In steps that are no outage, unless the last of them is.
        for bench in [&self.reference, &self.tested] {
            let last = bench.ports.clock.now().after(span);
            if span.get() < 60 {
                while bench.ports.clock.now() < last {
                    bench.clock.advance(Seconds::new(2));
                    beat(&bench.ports).await.unwrap();
                }
            }
            bench.clock.set(last);
        }
        if dice.one_in(2) {
            let expected = beat(&self.reference.ports).await;
            assert_eq!(beat(&self.tested.ports).await, expected);
        }
    }
}

/// A key for some requests, few enough that they repeat.
fn once(caller: Wallet, command: &str, dice: &mut Dice) -> Option<Once> {
    let key = dice.small(8).to_string();
    let key = IdempotencyKey::parse(caller, command, &key).unwrap();
    dice.one_in(4).then_some(Once {
        key,
        fingerprint: [dice.small(2); 16],
    })
}

#[tokio::test]
async fn the_sequence_reaches_every_kind_of_row() {
    let mut pair = Pair::new(0).await;
    let mut dice = Dice::new(0);
    for _ in 0..STEPS {
        pair.step(&mut dice).await;
    }
    let world = pair.memory.world();
    let count = |is: fn(&Row) -> bool| world.rows().filter(|(_, _, row)| is(row)).count();
    assert!(count(|row| matches!(row, Row::Account(_))) > 0);
    assert!(count(|row| matches!(row, Row::Idempotency(_))) > 0);
    assert!(count(|row| matches!(row, Row::Intent(_))) > 0);
    assert!(count(|row| matches!(row, Row::Room(_))) > 0);
    assert!(count(|row| matches!(row, Row::Seat(_))) > 0);
    assert!(count(|row| matches!(row, Row::Service(_))) > 0);
    let room = pair.rooms.last().copied().unwrap();
    let reads = [Read::LiveSeatsIn(room), Read::ActiveOpenRooms(2)];
    let expected = pair.memory.read(&reads).await.unwrap();
    assert_eq!(pair.opened.store.read(&reads).await.unwrap(), expected);
}
