//! The core against the naive model: the same random history, the same answers, the same credit.
//!
//! More cases: `PROPTEST_CASES=2000 cargo test -p session-testkit --test model`. A failure prints
//! the smallest history that shows it, and keeps it in `proptest-regressions`.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use session_core::changeset::Row;
use session_core::ledger::{CreditRefusal, VerifyCelo};
use session_core::room::{
    CreateRoom, Heartbeat, JoinRoom, LeaveRoom, Renew, RenewReply, RoomRefusal, Seat, StayName,
    Threshold, ThresholdKind, Visibility,
};
use session_core::service::{self, Command, execute};
use session_core::types::{ConnectionId, Id128, RoomId, Seconds, Timestamp, Wallet};
use session_testkit::bench::Bench;
use session_testkit::invariants;
use session_testkit::memory::MemoryStore;
use session_testkit::model::naive::{Naive, Notice, Refusal, Said, Seen};
use session_testkit::model::steps::{History, Step, histories};

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if is_asked { default.cases } else { 128 },
        max_shrink_iters: 20_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/model.txt",
        ))),
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_core_answers_and_charges_as_the_naive_model_does(history in histories(1..=100)) {
        let outcome = block_on(play(&history));
        prop_assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

async fn play(history: &History) -> Result<(), String> {
    let mut driver = Driver::new(history).await?;
    for (index, step) in history.steps.iter().enumerate() {
        let outcome = match driver.step(*step).await {
            Ok(()) => driver.compare().await,
            Err(why) => Err(why),
        };
        outcome.map_err(|why| format!("step {index}, {step:?}: {why}"))?;
    }
    // In the end everybody goes silent: everything that was open comes to an end.
    for _ in 0..400 {
        driver.pass_one(0, 0).await?;
    }
    driver.work().await?;
    driver.compare().await?;
    if driver.seated.is_empty() {
        Ok(())
    } else {
        Err("somebody sits for ever".to_owned())
    }
}

/// Does every step twice, in the core and in the model.
struct Driver {
    bench: Bench,
    store: Arc<MemoryStore>,
    naive: Naive,
    wallets: Vec<Wallet>,
    /// By the model's numbers.
    rooms: Vec<RoomId>,
    /// By the model's numbers.
    connections: Vec<ConnectionId>,
    seated: BTreeSet<Wallet>,
    /// Seconds in which a wallet had a live seat, by the wall clock.
    presence: BTreeMap<Wallet, u64>,
    leased_at: BTreeMap<Wallet, Timestamp>,
    /// What clients that keep calling did last, by wallet.
    called_at: BTreeMap<usize, u64>,
}

impl Driver {
    async fn new(history: &History) -> Result<Self, String> {
        let (bench, store) = Bench::in_memory(1);
        let mut wallets = Vec::new();
        for (number, beginning) in (1..).zip(&history.wallets) {
            let wallet = Bench::wallet(number);
            bench
                .endow(wallet, Seconds::new(beginning.base_seconds))
                .await?;
            if beginning.is_named {
                bench.names.give(wallet, "name");
            }
            if beginning.is_verified {
                bench.verifications.verify(wallet, Timestamp::from_unix(1));
            }
            wallets.push(wallet);
        }
        service::beat(&bench.ports)
            .await
            .map_err(|error| error.to_string())?;
        let now = bench.ports.clock.now().unix();
        let beginnings = wallets.iter().copied().zip(history.wallets.iter().copied());
        Ok(Self {
            naive: Naive::new(now, beginnings),
            bench,
            store,
            wallets,
            rooms: Vec::new(),
            connections: Vec::new(),
            seated: BTreeSet::new(),
            presence: BTreeMap::new(),
            leased_at: BTreeMap::new(),
            called_at: BTreeMap::new(),
        })
    }

    async fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Create { wallet, is_open } => self.create(self.wallet(wallet), is_open).await,
            Step::Dark {
                seconds,
                beats_first,
            } => {
                for _ in 0..seconds {
                    self.tick();
                }
                if beats_first {
                    self.beat().await
                } else {
                    Ok(())
                }
            }
            Step::Gather { host, guests } => {
                self.create(self.wallet(host), true).await?;
                self.join(self.wallet(host), 0).await?;
                for number in (0..self.wallets.len()).filter(|n| guests & 1 << n != 0) {
                    self.join(self.wallets[number], 0).await?;
                }
                Ok(())
            }
            Step::Heartbeat { wallet } => {
                let wallet = self.wallet(wallet);
                self.heartbeat(wallet, self.newest_stay(wallet)).await
            }
            Step::Join { wallet, room } => self.join(self.wallet(wallet), room).await,
            Step::Leave { wallet } => self.leave(self.wallet(wallet)).await,
            Step::Name { wallet } => {
                self.bench.names.give(self.wallet(wallet), "name");
                self.naive.name(self.wallet(wallet));
                Ok(())
            }
            Step::Pass {
                seconds,
                beating,
                renewing,
                work_every,
            } => {
                for second in 1..=seconds {
                    self.pass_one(beating, renewing).await?;
                    if work_every > 0 && second % work_every == 0 {
                        self.work().await?;
                    }
                }
                Ok(())
            }
            Step::Renew { wallet } => self.renew(self.wallet(wallet)).await,
            Step::Trespass { wallet, of } => {
                let stay = self.newest_stay(self.wallet(of));
                self.heartbeat(self.wallet(wallet), stay).await
            }
            Step::Verify { wallet } => self.verify(self.wallet(wallet)).await,
            Step::Work => self.work().await,
        }
    }

    async fn create(&mut self, wallet: Wallet, is_open: bool) -> Result<(), String> {
        let visibility = if is_open {
            Visibility::Open
        } else {
            Visibility::Private
        };
        let create = CreateRoom {
            wallet,
            visibility,
            ai_enabled: false,
        };
        let reply = self.run(create).await?;
        self.rooms
            .extend(reply.as_ref().ok().map(|created| created.room));
        let said = reply.map_or_else(refused, |_| Said::Created);
        same(&said, &self.naive.create(wallet, is_open))
    }

    async fn join(&mut self, wallet: Wallet, before_newest: usize) -> Result<(), String> {
        let number = self.rooms.len().checked_sub(before_newest + 1);
        let room = number.map_or(RoomId::from_bytes([0; 16]), |number| self.rooms[number]);
        let reply = self
            .run(JoinRoom {
                wallet,
                room: Some(room),
            })
            .await?;
        self.connections
            .extend(reply.as_ref().ok().map(|joined| joined.connection));
        if reply.is_ok() {
            self.leased_at.insert(wallet, self.bench.ports.clock.now());
        }
        let said = reply.map_or_else(refused, |joined| Said::Joined {
            remaining: joined.remaining.get(),
            is_host: joined.is_host,
        });
        same(&said, &self.naive.join(wallet, number))
    }

    async fn heartbeat(&mut self, wallet: Wallet, stay: Option<usize>) -> Result<(), String> {
        let (room, connection) = self.names_of(stay);
        let reply = self
            .run(Heartbeat(StayName {
                wallet,
                room,
                connection,
            }))
            .await?;
        let said = reply.map_or_else(refused, |beaten| Said::Beaten {
            remaining: beaten.remaining.get(),
            notices: notices(&beaten.thresholds),
        });
        same(&said, &self.naive.heartbeat(wallet, stay))
    }

    async fn renew(&mut self, wallet: Wallet) -> Result<(), String> {
        let stay = self.newest_stay(wallet);
        let (room, connection) = self.names_of(stay);
        let said = match self
            .run(Renew(StayName {
                wallet,
                room,
                connection,
            }))
            .await?
        {
            Ok(RenewReply::Denied {
                remaining,
                thresholds,
            }) => Said::Denied {
                remaining: remaining.get(),
                notices: notices(&thresholds),
            },
            Ok(RenewReply::Renewed {
                remaining,
                thresholds,
                ..
            }) => {
                self.leased_at.insert(wallet, self.bench.ports.clock.now());
                Said::Renewed {
                    remaining: remaining.get(),
                    notices: notices(&thresholds),
                }
            }
            Err(refusal) => refused(refusal),
        };
        same(&said, &self.naive.renew(wallet, stay))
    }

    async fn leave(&mut self, wallet: Wallet) -> Result<(), String> {
        let stay = self.newest_stay(wallet);
        let (room, connection) = self.names_of(stay);
        let reply = self
            .run(LeaveRoom(StayName {
                wallet,
                room,
                connection,
            }))
            .await?;
        let said = reply.map_or_else(refused, |left| Said::Left {
            charged: left.charged.get(),
            remaining: left.remaining.get(),
            closed: left.closed,
        });
        same(&said, &self.naive.leave(wallet, stay))
    }

    async fn verify(&mut self, wallet: Wallet) -> Result<(), String> {
        let said = match self.run(VerifyCelo { wallet }).await? {
            Ok(reply) => Said::Bonus {
                is_granted: reply.granted,
                remaining: reply.remaining.get(),
            },
            Err(_) => Said::Refused(Refusal::NotVerified),
        };
        same(&said, &self.naive.verify(wallet))
    }

    /// Workers look at every lane, and the model hears at which stays they did something.
    async fn work(&mut self) -> Result<(), String> {
        let before = self.seats();
        let worked = self.bench.work().await.map_err(|error| error.to_string())?;
        for (lane, worked) in worked {
            if !worked.failed.is_empty() || worked.lost > 0 {
                return Err(format!("{lane:?}: {worked:?}"));
            }
        }
        let mut seen = Seen::default();
        for (after, before) in self.seats().into_iter().zip(before) {
            let (Some((number, after)), Some((_, before))) = (after, before) else {
                continue;
            };
            if !after.is_live() && before.is_live() {
                seen.ended.insert(number);
            } else if after.metered_to != before.metered_to {
                seen.metered.insert(number);
            }
        }
        self.look_who_sits();
        self.naive.work(&seen)
    }

    /// A second with a server alive. Some clients call as they should.
    async fn pass_one(&mut self, beating: u16, renewing: u16) -> Result<(), String> {
        self.tick();
        self.beat().await?;
        for number in 0..self.wallets.len() {
            let wallet = self.wallets[number];
            let since = self.called_at.get(&number).map(|at| self.naive.now - at);
            let is_due = |every| since.is_none_or(|since| since >= every);
            if !self.seated.contains(&wallet) {
                continue;
            }
            if renewing & 1 << number != 0 && is_due(45) {
                self.renew(wallet).await?;
            } else if beating & 1 << number != 0 && is_due(30) {
                self.heartbeat(wallet, self.newest_stay(wallet)).await?;
            } else {
                continue;
            }
            self.called_at.insert(number, self.naive.now);
        }
        Ok(())
    }

    fn tick(&mut self) {
        self.bench.clock.advance(Seconds::new(1));
        self.naive.tick();
        for wallet in &self.seated {
            *self.presence.entry(*wallet).or_default() += 1;
        }
    }

    async fn beat(&mut self) -> Result<(), String> {
        self.naive.beat();
        service::beat(&self.bench.ports)
            .await
            .map_err(|error| error.to_string())?;
        Ok(())
    }

    async fn run<C: Command>(
        &mut self,
        command: C,
    ) -> Result<Result<C::Reply, C::Refusal>, String> {
        let reply = execute(&self.bench.ports, &command).await;
        self.look_who_sits();
        reply.map_err(|error| error.to_string())
    }

    fn look_who_sits(&mut self) {
        let world = self.store.world();
        self.seated = invariants::live_seats(&world)
            .map(|seat| seat.wallet)
            .collect();
    }

    /// Compares everything that both know, and checks the named invariants.
    async fn compare(&self) -> Result<(), String> {
        let world = self.store.world();
        let mut complaints = invariants::broken(&world);
        complaints.extend(invariants::overlong_leases(&world, &self.leased_at));
        for (wallet, used) in invariants::usage_by_wallet(&world) {
            let presence = self.presence.get(&wallet).copied().unwrap_or_default();
            if used.get() > presence {
                complaints.push(format!("charged_once: {wallet}: {used} s of {presence} s"));
            }
        }
        for (number, seat) in self.seats().into_iter().flatten() {
            let stay = &self.naive.stays[number];
            let of_core = (!seat.is_live(), seat.charged.get(), seat.lease_until.unix());
            let of_model = (stay.is_over, stay.paid, stay.lease_end);
            if of_core != of_model {
                complaints.push(format!("stay {number}: {of_core:?}, expected {of_model:?}"));
            }
        }
        for &wallet in &self.wallets {
            let credits = service::credits(&self.bench.ports, wallet).await;
            let credits = credits.map_err(|error| error.to_string())?;
            let of_core = (
                credits.base_granted.get(),
                credits.bonus_granted.get(),
                credits.consumed().get(),
                credits.remaining.get(),
            );
            let purse = self.naive.purses[&wallet];
            let of_model = (purse.base, purse.bonus, purse.used, purse.left());
            if of_core != of_model {
                complaints.push(format!("credits: {of_core:?}, expected {of_model:?}"));
            }
        }
        complaints.extend(self.compare_list().await?);
        if complaints.is_empty() {
            Ok(())
        } else {
            Err(complaints.join("; "))
        }
    }

    /// Compares the public list. Rooms of one second may come in any order.
    async fn compare_list(&self) -> Result<Option<String>, String> {
        let rooms = service::active_rooms(&self.bench.ports).await;
        let rooms = rooms.map_err(|error| error.to_string())?;
        let created: Vec<Timestamp> = rooms.iter().map(|room| room.created_at).collect();
        let listed: BTreeSet<_> = rooms
            .iter()
            .map(|room| (room.id, usize::from(room.live_seats)))
            .collect();
        let expected: BTreeSet<_> = self
            .naive
            .listed()
            .into_iter()
            .map(|(number, participants)| (self.rooms[number], participants))
            .collect();
        let is_same = listed == expected && created.is_sorted_by(|a, b| a >= b);
        Ok((!is_same).then(|| format!("list: {listed:?}, expected {expected:?}")))
    }

    /// The core's seats by the model's numbers.
    fn seats(&self) -> Vec<Option<(usize, Seat)>> {
        let world = self.store.world();
        let seat = |connection: &ConnectionId| match world
            .row(&session_core::changeset::Key::Seat(*connection))
        {
            Some((_, Row::Seat(seat))) => Some(seat.clone()),
            _ => None,
        };
        let numbered = self.connections.iter().enumerate();
        numbered
            .map(|(number, name)| seat(name).map(|seat| (number, seat)))
            .collect()
    }

    fn wallet(&self, number: usize) -> Wallet {
        self.wallets[number % self.wallets.len()]
    }

    fn newest_stay(&self, wallet: Wallet) -> Option<usize> {
        self.naive
            .stays
            .iter()
            .rposition(|stay| stay.wallet == wallet)
    }

    fn names_of(&self, stay: Option<usize>) -> (Option<RoomId>, Option<ConnectionId>) {
        let room = stay.map(|stay| self.rooms[self.naive.stays[stay].room]);
        (room, stay.map(|stay| self.connections[stay]))
    }
}

fn same(core: &Said, model: &Said) -> Result<(), String> {
    if core == model {
        Ok(())
    } else {
        Err(format!("said {core:?}, expected {model:?}"))
    }
}

fn notices(thresholds: &[Threshold]) -> Vec<Notice> {
    let notice = |threshold: &Threshold| Notice {
        is_exhausted: threshold.kind == ThresholdKind::CreditsExhausted,
        remaining: threshold.remaining.get(),
        at: threshold.at.unix(),
    };
    thresholds.iter().map(notice).collect()
}

fn refused(refusal: RoomRefusal) -> Said {
    Said::Refused(match refusal {
        RoomRefusal::AlreadyHosting => Refusal::AlreadyHosting,
        RoomRefusal::AlreadyInRoom => Refusal::AlreadyInRoom,
        RoomRefusal::Credit(CreditRefusal::NameRequired) => Refusal::NameRequired,
        RoomRefusal::Credit(CreditRefusal::TooLittle { remaining }) => {
            Refusal::TooLittle(remaining.get())
        }
        RoomRefusal::NotYourConnection => Refusal::NotYourConnection,
        RoomRefusal::RoomFull => Refusal::RoomFull,
        RoomRefusal::RoomNotFound => Refusal::RoomNotFound,
    })
}
