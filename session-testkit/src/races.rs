//! Many requests at one instant, against any store.
//!
//! Each race takes a maker of benches and a number of rounds. In each round it makes a bench,
//! starts its requests together behind a barrier, and asserts what must hold however they fell.
//! The maker is given a number that no other round of any race is given; it may put every bench
//! around one and the same store, since wallets and random values are made of that number. Run on
//! several threads, else nothing is at once.
//!
//! # Panics
//! Every race panics where what must hold does not, or where the store fails.

#![allow(clippy::expect_used, reason = "a race says that it is lost by a panic")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use session_core::auth::{AuthRefusal, IssueNonce, SignIn};
use session_core::changeset::{Changeset, Receipt};
use session_core::crypto::{LocalSigner, eip191, sha256};
use session_core::ledger::{AccountKind, CreditRefusal, VerifyCelo};
use session_core::ports::{
    Claim, Claimed, Clock, CommitError, Read, Snapshot, Store, StoreError, StoredRow,
};
use session_core::room::{
    CreateRoom, Heartbeat, JoinRoom, Joined, LeaveRoom, Renew, RenewReply, RoomRefusal, Seat,
    StayName, Visibility,
};
use session_core::service::{self, Command, Ports, execute};
use session_core::types::{ConnectionId, RoomId, Seconds, Wallet};
use tokio::sync::Barrier;

use crate::bench::Bench;
use crate::invariants;

/// Fifty wallets join one room; as many as there are places get one, the others hear that it is
/// full.
pub async fn joins_seat_exactly_the_capacity(bench_for: &impl Fn(u64) -> Bench, rounds: usize) {
    for round in 0..rounds {
        let stage = Stage::new(bench_for, 1, round).await;
        let capacity = usize::from(stage.bench.ports.policy.rooms.capacity);
        let room = stage.room(stage.wallet(0)).await;
        let wallets: Vec<Wallet> = (1..=50).map(|n| stage.wallet(n)).collect();
        for &wallet in &wallets {
            stage.endow(wallet, 1800).await;
        }
        let joins = wallets.iter().map(|&wallet| JoinRoom {
            wallet,
            room: Some(room),
        });
        let replies = stage.at_once(joins).await;
        let full = replies
            .iter()
            .filter(|reply| **reply == Err(RoomRefusal::RoomFull))
            .count();
        let seated = replies.iter().filter(|reply| reply.is_ok()).count();
        assert_eq!((seated, full), (capacity, 50 - capacity), "{replies:?}");
        assert_eq!(stage.seats(room).await.len(), capacity);
        stage.check(&wallets, &[room]).await;
    }
}

/// One wallet joins two rooms at once, several times each, and gets one seat.
pub async fn one_wallet_gets_one_seat(bench_for: &impl Fn(u64) -> Bench, rounds: usize) {
    for round in 0..rounds {
        let stage = Stage::new(bench_for, 2, round).await;
        let rooms = [
            stage.room(stage.wallet(0)).await,
            stage.room(stage.wallet(1)).await,
        ];
        let wallet = stage.wallet(2);
        stage.endow(wallet, 1800).await;
        let joins = (0..6).map(|n| JoinRoom {
            wallet,
            room: Some(rooms[n % 2]),
        });
        let replies = stage.at_once(joins).await;
        assert_eq!(
            replies.iter().filter(|reply| reply.is_ok()).count(),
            1,
            "{replies:?}"
        );
        for refused in replies.iter().filter_map(|reply| reply.as_ref().err()) {
            assert_eq!(*refused, RoomRefusal::AlreadyInRoom);
        }
        let seats = stage.seats(rooms[0]).await.len() + stage.seats(rooms[1]).await.len();
        assert_eq!(seats, 1);
        stage.check(&[wallet], &rooms).await;
    }
}

/// One host creates several rooms at once and has one.
pub async fn one_host_gets_one_room(bench_for: &impl Fn(u64) -> Bench, rounds: usize) {
    for round in 0..rounds {
        let stage = Stage::new(bench_for, 3, round).await;
        let host = stage.wallet(0);
        stage.endow(host, 1800).await;
        let replies = stage.at_once((0..4).map(|_| create(host))).await;
        let mut made = replies.iter().filter_map(|reply| reply.as_ref().ok());
        let room = made.next().expect("one room is made").room;
        assert_eq!(made.next(), None);
        for refused in replies.iter().filter_map(|reply| reply.as_ref().err()) {
            assert_eq!(*refused, RoomRefusal::AlreadyHosting);
        }
        stage.check(&[host], &[room]).await;
    }
}

/// Ten heartbeats and renewals at once, after each of several pauses, charge each second once.
pub async fn a_second_is_charged_once(bench_for: &impl Fn(u64) -> Bench, rounds: usize) {
    for round in 0..rounds {
        let stage = Stage::new(bench_for, 4, round).await;
        let wallet = stage.wallet(0);
        let joined = stage.hosted_seat(wallet).await;
        let mut left = 1800;
        for pause in [1, 5, 17, 44] {
            stage.pass(pause).await;
            left -= pause;
            let calls = (0..10).map(|n| Call::on(n % 2 == 0, wallet, &joined));
            let remaining = Seconds::new(left);
            for heard in stage.tasks(calls.map(|call| call.run(stage.ports()))).await {
                assert_eq!(heard, remaining, "after {pause} s");
            }
            assert_eq!(stage.remaining(wallet).await, remaining, "after {pause} s");
        }
        stage.check(&[wallet], &[joined.room]).await;
    }
}

/// Of twenty requests with one signed nonce, one signs in.
pub async fn a_nonce_is_used_once(bench_for: &impl Fn(u64) -> Bench, rounds: usize) {
    for round in 0..rounds {
        let stage = Stage::new(bench_for, 5, round).await;
        let secret = sha256(&stage.number.to_be_bytes());
        let signer = LocalSigner::from_bytes(&secret).expect("a digest is a key");
        let wallet = signer.wallet();
        let issued = run(stage.ports(), IssueNonce { wallet })
            .await
            .expect("is never refused");
        let signature = signer.sign_prehash(&eip191::digest(issued.nonce.as_bytes()));
        let sign_in = SignIn {
            wallet,
            nonce: issued.nonce,
            signature: Some(signature),
        };
        let replies = stage.at_once((0..20).map(|_| sign_in.clone())).await;
        assert_eq!(
            replies.iter().filter(|reply| reply.is_ok()).count(),
            1,
            "{replies:?}"
        );
        for refused in replies.iter().filter_map(|reply| reply.as_ref().err()) {
            assert_eq!(*refused, AuthRefusal::InvalidNonce);
        }
    }
}

/// Twenty requests that each bring the base grant bring it once.
pub async fn the_base_grant_is_given_once(bench_for: &impl Fn(u64) -> Bench, rounds: usize) {
    for round in 0..rounds {
        let stage = Stage::new(bench_for, 6, round).await;
        let wallet = stage.wallet(0);
        let room = stage.room(stage.wallet(1)).await;
        stage.bench.names.give(wallet, "racer");
        let creates = (0..10).map(|_| {
            let ports = stage.ports();
            Box::pin(async move { run(ports, create(wallet)).await.map(|_| ()) }) as Task<_>
        });
        let joins = (0..10).map(|_| {
            let join = JoinRoom {
                wallet,
                room: Some(room),
            };
            let ports = stage.ports();
            Box::pin(async move { run(ports, join).await.map(|_| ()) }) as Task<_>
        });
        let replies: Vec<Result<(), RoomRefusal>> = stage.tasks(creates.chain(joins)).await;
        for refused in replies.iter().filter_map(|reply| reply.as_ref().err()) {
            let is_right = matches!(
                refused,
                RoomRefusal::AlreadyHosting | RoomRefusal::AlreadyInRoom
            );
            assert!(is_right, "{refused:?}");
        }
        let base = stage.bench.ports.policy.credits.base_grant;
        let credits = service::credits(&stage.bench.ports, wallet)
            .await
            .expect("store");
        assert_eq!((credits.base_granted, credits.remaining), (base, base));
        stage.check(&[wallet], &[room]).await;
    }
}

/// Of twenty requests for the bonus, one brings it.
pub async fn the_bonus_is_given_once(bench_for: &impl Fn(u64) -> Bench, rounds: usize) {
    for round in 0..rounds {
        let stage = Stage::new(bench_for, 7, round).await;
        let wallet = stage.wallet(0);
        stage
            .bench
            .verifications
            .verify(wallet, stage.bench.clock.now());
        let replies = stage.at_once((0..20).map(|_| VerifyCelo { wallet })).await;
        let bonus = stage.bench.ports.policy.credits.bonus_grant;
        let mut granted = 0;
        for reply in replies {
            let reply = reply.expect("the wallet is verified");
            assert_eq!(reply.remaining, bonus);
            granted += usize::from(reply.granted);
        }
        assert_eq!(granted, 1);
        let credits = service::credits(&stage.bench.ports, wallet)
            .await
            .expect("store");
        assert_eq!((credits.bonus_granted, credits.remaining), (bonus, bonus));
        // A bonus alone does not open rooms, and asking for a room does not change it.
        let reply = run(stage.ports(), create(wallet)).await;
        assert_eq!(reply, Err(RoomRefusal::Credit(CreditRefusal::NameRequired)));
        stage.check(&[wallet], &[]).await;
    }
}

/// A participant leaves and beats while the host closes the room, on servers whose clocks differ:
/// whichever ends the stay first decides what is paid, and nobody charges beyond it.
pub async fn nobody_pays_after_the_end(bench_for: &impl Fn(u64) -> Bench, rounds: usize) {
    for round in 0..rounds {
        let stage = Stage::new(bench_for, 8, round).await;
        let (host, guest) = (stage.wallet(0), stage.wallet(1));
        let hosted = stage.hosted_seat(host).await;
        stage.endow(guest, 1800).await;
        let join = JoinRoom {
            wallet: guest,
            room: Some(hosted.room),
        };
        let seat = run(stage.ports(), join).await.expect("there is a place");
        stage.pass(20).await;

        let [ahead_1, ahead_2] = [1, 2].map(|span| stage.bench.ports_ahead(Seconds::new(span)));
        let (room, connection) = (Some(seat.room), Some(seat.connection));
        let leave = LeaveRoom(StayName {
            wallet: guest,
            room,
            connection,
        });
        let close = LeaveRoom(StayName {
            wallet: host,
            room,
            connection: Some(hosted.connection),
        });
        let beat = Heartbeat(StayName {
            wallet: guest,
            room,
            connection,
        });
        let left = async move { run(ahead_1, leave).await.ok().map(|left| left.charged) };
        let closed = async move {
            let left = run(ahead_2, close).await.expect("the host is in");
            assert_eq!((left.charged, left.closed), (Seconds::new(22), true));
            None
        };
        let beats = (0..6).map(|_| {
            let ports = stage.ports();
            Box::pin(async move {
                let _ = run(ports, beat).await;
                None
            }) as Task<_>
        });
        let ends = [Box::pin(left) as Task<Option<Seconds>>, Box::pin(closed)];
        let told = stage
            .tasks(ends.into_iter().chain(beats))
            .await
            .into_iter()
            .flatten()
            .next();

        // Leaving happened first at 21 s, or else the room closed at 22 s.
        let charged = told.unwrap_or(Seconds::new(22));
        let expected = if told.is_some() { 21 } else { 22 };
        assert_eq!(charged, Seconds::new(expected));
        let paid = Seconds::new(1800).saturating_sub(stage.remaining(guest).await);
        assert_eq!(paid, charged);
        assert_eq!(
            run(stage.ports(), beat).await,
            Err(RoomRefusal::NotYourConnection)
        );
        stage.check(&[host, guest], &[seat.room]).await;
    }
}

type Task<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send>>;

/// One round of one race.
struct Stage {
    bench: Bench,
    number: u64,
}

impl Stage {
    async fn new(bench_for: &impl Fn(u64) -> Bench, race: u64, round: usize) -> Self {
        let number = race * ROUNDS_MAX + u64::try_from(round).expect("64 bits") % ROUNDS_MAX;
        let mut bench = bench_for(number);
        bench.ports.store = Arc::new(Mingling::new(bench.ports.store));
        // Rounds of one race may share a store, whose beat tells every server the time: each
        // begins after the one before has ended.
        let round = u64::try_from(round).expect("64 bits");
        bench.clock.advance(Seconds::new(round * ROUND_SECONDS));
        let stage = Self { bench, number };
        service::beat(&stage.bench.ports).await.expect("store");
        stage
    }

    fn ports(&self) -> Ports {
        self.bench.ports.clone()
    }

    /// A wallet of this round alone.
    fn wallet(&self, n: u32) -> Wallet {
        let round = u32::try_from(self.number).expect("a few hundred thousand");
        Bench::wallet(round * WALLETS_MAX + n + 1)
    }

    async fn endow(&self, wallet: Wallet, credit: u64) {
        self.bench
            .endow(wallet, Seconds::new(credit))
            .await
            .expect("store");
    }

    async fn room(&self, host: Wallet) -> RoomId {
        self.endow(host, 1800).await;
        run(self.ports(), create(host))
            .await
            .expect("hosts nothing yet")
            .room
    }

    async fn hosted_seat(&self, host: Wallet) -> Joined {
        let room = self.room(host).await;
        let join = JoinRoom {
            wallet: host,
            room: Some(room),
        };
        run(self.ports(), join).await.expect("the room is empty")
    }

    async fn pass(&self, seconds: u64) {
        self.bench.pass(Seconds::new(seconds)).await.expect("store");
    }

    async fn remaining(&self, wallet: Wallet) -> Seconds {
        let account = self
            .bench
            .account(wallet, AccountKind::Wallet)
            .await
            .expect("store");
        Seconds::new(account.available())
    }

    async fn seats(&self, room: RoomId) -> Vec<Seat> {
        let read = Read::LiveSeatsIn(room);
        let snapshot = Snapshot::load(self.bench.ports.store(), std::slice::from_ref(&read)).await;
        let seats = snapshot.expect("store").list::<Seat>(&read);
        seats
            .iter()
            .filter_map(|seat| seat.value().cloned())
            .collect()
    }

    async fn check(&self, wallets: &[Wallet], rooms: &[RoomId]) {
        let complaints = invariants::check(&self.bench, wallets, rooms)
            .await
            .expect("store");
        assert_eq!(complaints, Vec::<String>::new());
    }

    async fn at_once<C: Command + 'static>(
        &self,
        commands: impl Iterator<Item = C>,
    ) -> Vec<Result<C::Reply, C::Refusal>> {
        self.tasks(commands.map(|command| run(self.ports(), command)))
            .await
    }

    /// Runs tasks that all begin when the last of them is ready.
    async fn tasks<T: Send + 'static>(
        &self,
        tasks: impl Iterator<Item = impl Future<Output = T> + Send + 'static>,
    ) -> Vec<T> {
        let tasks: Vec<_> = tasks.collect();
        let barrier = Arc::new(Barrier::new(tasks.len()));
        let started: Vec<_> = tasks
            .into_iter()
            .map(|task| {
                let barrier = barrier.clone();
                tokio::spawn(async move {
                    barrier.wait().await;
                    task.await
                })
            })
            .collect();
        let mut results = Vec::with_capacity(started.len());
        for handle in started {
            results.push(handle.await.expect("a task of the race panicked"));
        }
        results
    }
}

/// A store before which tasks wait for each other: each call lets others go first, a few times or
/// not at all, so that loads and commits of different requests mingle on a quick store as well.
#[derive(Debug)]
struct Mingling {
    store: Arc<dyn Store>,
    calls: AtomicU64,
}

impl Mingling {
    fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            calls: AtomicU64::new(0),
        }
    }

    async fn mingle(&self) {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        for _ in 0..sha256(&call.to_be_bytes())[0] % 4 {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Store for Mingling {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        self.mingle().await;
        self.store.read(reads).await
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        self.mingle().await;
        self.store.commit(changeset).await
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        self.mingle().await;
        self.store.claim_due(claim).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

/// A heartbeat or a renewal.
enum Call {
    Beat(Heartbeat),
    Renew(Renew),
}

impl Call {
    fn on(beats: bool, wallet: Wallet, joined: &Joined) -> Self {
        let (room, connection): (_, Option<ConnectionId>) =
            (Some(joined.room), Some(joined.connection));
        if beats {
            Self::Beat(Heartbeat(StayName {
                wallet,
                room,
                connection,
            }))
        } else {
            Self::Renew(Renew(StayName {
                wallet,
                room,
                connection,
            }))
        }
    }

    /// The credit left, as the reply tells it.
    async fn run(self, ports: Ports) -> Seconds {
        match self {
            Self::Beat(beat) => run(ports, beat).await.expect("the stay is live").remaining,
            Self::Renew(renew) => match run(ports, renew).await.expect("the stay is live") {
                RenewReply::Denied { remaining, .. } | RenewReply::Renewed { remaining, .. } => {
                    remaining
                }
            },
        }
    }
}

async fn run<C: Command>(ports: Ports, command: C) -> Result<C::Reply, C::Refusal> {
    execute(&ports, &command)
        .await
        .expect("the driver decides and commits")
}

const fn create(wallet: Wallet) -> CreateRoom {
    CreateRoom {
        wallet,
        visibility: Visibility::Open,
        ai_enabled: false,
    }
}

/// Rounds of one race that have numbers of their own.
const ROUNDS_MAX: u64 = 1_000_000;

/// More than any round lasts.
const ROUND_SECONDS: u64 = 1_000;

/// Wallets of one round that have numbers of their own.
const WALLETS_MAX: u32 = 64;
