//! The three walks by which the design was tried before anything was built on it: the driver's
//! loop taken apart, so that each interleaving is written out step by step.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod duet;
mod intents;
mod seats;
mod settling;

use std::sync::Arc;

use session_core::changeset::{Changeset, Receipt, Rejection};
use session_core::ports::{CommitError, Fresh, Store};
use session_core::room::{CreateRoom, JoinRoom, Joined, Visibility};
use session_core::service::{Answers, Command, Context, Decision, Verdict, execute};
use session_core::types::{RoomId, Seconds, Timestamp, Wallet};
use session_testkit::bench::Bench;
use session_testkit::invariants;
use session_testkit::memory::MemoryStore;

/// A bench whose driver is the test.
struct Walk {
    bench: Bench,
    store: Arc<MemoryStore>,
}

impl Walk {
    async fn new() -> Self {
        let (bench, store) = Bench::in_memory(7);
        session_core::service::beat(&bench.ports).await.unwrap();
        Self { bench, store }
    }

    async fn load<C: Command>(&self, command: &C) -> C::View {
        let fresh = self.fresh();
        command
            .load(&self.bench.ports, &self.context(&fresh, self.now()))
            .await
            .unwrap()
    }

    fn decide<C: Command>(&self, command: &C, view: &C::View) -> Decision<C::Reply, C::Refusal> {
        self.decide_at(self.now(), command, view)
    }

    fn decide_at<C: Command>(
        &self,
        now: Timestamp,
        command: &C,
        view: &C::View,
    ) -> Decision<C::Reply, C::Refusal> {
        let fresh = self.fresh();
        match command.decide(view, &self.context(&fresh, now), &Answers::default()) {
            Verdict::Done(decision) => decision,
            Verdict::Need(question) => panic!("nobody is asked here: {question:?}"),
        }
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, Rejection> {
        match self.store.commit(changeset).await {
            Ok(receipt) => Ok(receipt),
            Err(CommitError::Rejected(why)) => Err(why),
            Err(CommitError::Store(error)) => panic!("{error}"),
        }
    }

    async fn run<C: Command>(&self, command: C) -> Result<C::Reply, C::Refusal> {
        execute(&self.bench.ports, &command).await.unwrap()
    }

    /// A wallet of which the gate asks nothing, since it had its grant.
    async fn wallet(&self, n: u32) -> Wallet {
        self.bench
            .endow(Bench::wallet(n), Seconds::new(1800))
            .await
            .unwrap();
        Bench::wallet(n)
    }

    async fn room_of(&self, host: Wallet) -> RoomId {
        let create = CreateRoom {
            wallet: host,
            visibility: Visibility::Open,
            ai_enabled: false,
        };
        self.run(create).await.unwrap().room
    }

    async fn seat(&self, wallet: Wallet, room: RoomId) -> Joined {
        self.run(JoinRoom {
            wallet,
            room: Some(room),
        })
        .await
        .unwrap()
    }

    async fn pass(&self, seconds: u64) {
        self.bench.pass(Seconds::new(seconds)).await.unwrap();
    }

    fn now(&self) -> Timestamp {
        self.bench.ports.clock.now()
    }

    fn fresh(&self) -> Fresh {
        Fresh::draw(&*self.bench.ports.entropy).unwrap()
    }

    fn context<'a>(&'a self, fresh: &'a Fresh, now: Timestamp) -> Context<'a> {
        Context {
            now,
            alive_since: None,
            policy: &self.bench.ports.policy,
            fresh,
        }
    }

    fn assert_sound(&self) {
        assert_eq!(
            invariants::broken(&self.store.world()),
            Vec::<String>::new()
        );
    }
}
