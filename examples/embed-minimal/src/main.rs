//! The core in a plain `main`: no async runtime, no HTTP, no database, a store of its own.
//!
//! Shows what an embedder must bring: a store (here a map behind a lock, since the core's own
//! `apply` says what a commit means), a clock, randomness, and whoever knows names. Time is a
//! value, so this program meters a stay of two minutes in no time.
//!
//! ```text
//! $ cargo run -p embed-minimal
//! room … is open
//! alice sits at uid … until …
//! 30 s later: 1770 s left
//! alice leaves after 75 s: charged 75 s, 1725 s left, room closed: true
//! ```

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use session_core::changeset::{Changeset, Receipt, World, apply};
use session_core::outbox::{Intent, Outcome};
use session_core::policy::Policy;
use session_core::ports::{
    Claim, Claimed, Clock, CommitError, Dispatcher, Effects, Entropy, NameRegistry, NoEscrows,
    PortError, Read, Store, StoreError, StoredRow, VerificationMirror,
};
use session_core::room::{CreateRoom, Heartbeat, JoinRoom, LeaveRoom, StayName, Visibility};
use session_core::service::{Command, Ports, execute};
use session_core::types::{IntentKey, Timestamp, Wallet};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let clock = Arc::new(Hand(AtomicU64::new(1_800_000_000)));
    let outside = Arc::new(Outside);
    let ports = Ports {
        store: Arc::new(Tiny::default()),
        clock: clock.clone(),
        entropy: Arc::new(Counting(AtomicU64::new(1))),
        names: outside.clone(),
        verifications: outside.clone(),
        escrows: Arc::new(NoEscrows),
        effects: outside.clone(),
        dispatcher: outside,
        policy: Policy::default(),
    };
    let alice: Wallet = "0x00000000000000000000000000000000000a11ce".parse()?;

    let create = CreateRoom {
        wallet: alice,
        visibility: Visibility::Open,
        ai_enabled: false,
    };
    let created = run(&ports, &create)?;
    println!("room {} is open", created.room);
    let joined = run(
        &ports,
        &JoinRoom {
            wallet: alice,
            room: Some(created.room),
        },
    )?;
    println!(
        "alice sits at uid {} until {}",
        joined.grant.uid.get(),
        joined.grant.ends_at()
    );

    let (room, connection) = (Some(joined.room), Some(joined.connection));
    clock.0.fetch_add(30, Ordering::SeqCst);
    let beat = run(
        &ports,
        &Heartbeat(StayName {
            wallet: alice,
            room,
            connection,
        }),
    )?;
    println!("30 s later: {} s left", beat.remaining);
    clock.0.fetch_add(45, Ordering::SeqCst);
    let left = run(
        &ports,
        &LeaveRoom(StayName {
            wallet: alice,
            room,
            connection,
        }),
    )?;
    println!(
        "alice leaves after 75 s: charged {} s, {} s left, room closed: {}",
        left.charged, left.remaining, left.closed
    );
    Ok(())
}

/// Executes a command; a refusal is a failure of this program.
fn run<C: Command>(ports: &Ports, command: &C) -> Result<C::Reply, Failure> {
    let result = ready(execute(ports, command))??;
    result.map_err(|refusal| format!("{command:?} was refused: {refusal:?}").into())
}

/// The value of a future that never waits: nothing here does, so no runtime is needed.
fn ready<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => Err("a port waited".into()),
    }
}

/// A store in thirty lines: the core's own rules behind a lock.
#[derive(Debug, Default)]
struct Tiny(Mutex<World>);

#[async_trait]
impl Store for Tiny {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        let world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(reads.iter().map(|read| world.find(read)).collect())
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let delta = apply(&world, changeset)?;
        world.absorb(&delta);
        Ok(delta.receipt)
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let mut world = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = claim.now.after(claim.lease);
        let claimed = world.claim(claim.lane, claim.now, until, claim.rows_max);
        Ok(claimed
            .into_iter()
            .map(|(key, fence)| Claimed { key, fence })
            .collect())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A clock that the program moves.
#[derive(Debug)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.0.load(Ordering::SeqCst))
    }
}

/// Counts instead of drawing: good enough to tell two ids apart, and for nothing else.
#[derive(Debug)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), PortError> {
        let count = self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        for (index, byte) in buffer.iter_mut().enumerate() {
            *byte = count[index % count.len()];
        }
        Ok(())
    }
}

/// An outside world in which everybody has a name and nobody is verified.
#[derive(Debug)]
struct Outside;

#[async_trait]
impl NameRegistry for Outside {
    async fn primary_name(&self, wallet: Wallet) -> Result<Option<String>, PortError> {
        Ok(Some(format!("name of {wallet}")))
    }
}

#[async_trait]
impl VerificationMirror for Outside {
    async fn verified_at(&self, _: Wallet) -> Result<Option<Timestamp>, PortError> {
        Ok(None)
    }
}

#[async_trait]
impl Effects for Outside {
    async fn perform(&self, _: &Intent) -> Outcome {
        Outcome::Done
    }

    async fn ask(&self, _: &Intent) -> Outcome {
        Outcome::Done
    }
}

#[async_trait]
impl Dispatcher for Outside {
    async fn run(&self, _: IntentKey, _: &Ports) -> Option<Intent> {
        None
    }
}
