//! Loads on a store inside this process: no HTTP, no other process but the database's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use session_core::changeset::{Changeset, Draft};
use session_core::ledger::{
    AccountKey, AccountKind, Action, Guard, Owner, Reason, Reference, Transfer,
};
use session_core::ports::Store;
use session_core::room::{Heartbeat, StayName};
use session_core::service::{Ports, execute};
use session_core::types::{Seconds, Timestamp, TransferId, Unit};
use session_testkit::bench::Bench;
use session_testkit::time::ManualClock;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Failure;
use crate::http::{Edge, Span};
use crate::report::Latencies;
use crate::seats::{self, SEATS, Work};

/// Who commits, and how.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "all parts make a load")]
pub struct Load {
    /// One store for each client, or one that all share.
    pub stores: Vec<Arc<dyn Store>>,
    /// Clients at once.
    pub clients: usize,
    /// Whether each waits until nobody else commits: what SQLite does without groups.
    pub is_one_at_a_time: bool,
    /// What each does.
    pub work: Work,
    /// When the seats were taken.
    pub seeded_at: Timestamp,
}

#[derive(Debug)]
struct Shared {
    order: Vec<u32>,
    next: AtomicU64,
    clock: Arc<ManualClock>,
    places: Semaphore,
    from: Instant,
    to: Instant,
}

/// Runs a load. How long each operation took that ended while it counted.
///
/// # Errors
/// Those of the store; a refusal is one.
pub async fn run(
    load: &Load,
    span: Span,
    mut at: impl AsyncFnMut(Edge) -> Result<(), Failure>,
) -> Result<Latencies, Failure> {
    let from = Instant::now() + span.warm_up;
    let clock = Arc::new(ManualClock::at(load.seeded_at));
    let places = if load.is_one_at_a_time {
        1
    } else {
        load.clients
    };
    let shared = Arc::new(Shared {
        order: seats::in_turn(),
        next: AtomicU64::new(0),
        clock,
        places: Semaphore::new(places),
        from,
        to: from + span.measured,
    });
    let mut clients = JoinSet::new();
    for (number, store) in load.stores.iter().cycle().take(load.clients).enumerate() {
        let bench = Bench::new(store.clone(), u64::try_from(number)?);
        let ports = Ports {
            clock: shared.clock.clone(),
            ..bench.ports
        };
        clients.spawn(client(ports, load.work, shared.clone()));
    }
    tokio::time::sleep_until(shared.from.into()).await;
    at(Edge::From).await?;
    tokio::time::sleep_until(shared.to.into()).await;
    at(Edge::To).await?;
    let mut all = Latencies::default();
    while let Some(ended) = clients.join_next().await {
        all.append(ended??);
    }
    Ok(all)
}

async fn client(ports: Ports, work: Work, shared: Arc<Shared>) -> Result<Latencies, Failure> {
    let mut latencies = Latencies::default();
    loop {
        let visit = shared.next.fetch_add(1, Ordering::Relaxed);
        let place = visit % u64::from(SEATS);
        if place == 0 {
            // All seats were visited in the last second, so in this one each owes one more.
            shared.clock.advance(Seconds::new(1));
        }
        let seat = shared.order.get(usize::try_from(place)?).copied();
        let seat = seat.ok_or("no such seat")?;
        let asked = Instant::now();
        let turn = shared.places.acquire().await?;
        match work {
            Work::Beat => {
                let beat = Heartbeat(StayName {
                    wallet: seats::wallet(seat)?,
                    room: Some(seats::room(seat)?),
                    connection: Some(seats::connection(seat)?),
                });
                execute(&ports, &beat).await??;
            }
            Work::Debit => {
                let changeset = debit(seat, visit, ports.clock.now())?;
                ports.store.commit(&changeset).await?;
            }
            Work::HotDebit => {
                let changeset = debit(0, visit, ports.clock.now())?;
                ports.store.commit(&changeset).await?;
            }
        }
        drop(turn);
        let told = Instant::now();
        if told >= shared.to {
            return Ok(latencies);
        }
        if told >= shared.from {
            latencies.add(told.duration_since(asked));
        }
    }
}

/// One second from a wallet to the house, by each of the two guards in turn.
fn debit(seat: u32, visit: u64, now: Timestamp) -> Result<Changeset, Failure> {
    let transfer = Transfer {
        id: TransferId::derive("bench debit", &[&visit.to_be_bytes()]),
        debit: seats::account(seat)?,
        credit: AccountKey::new(Owner::House, AccountKind::Revenue, Unit::Seconds),
        amount: 1,
        action: Action::Posted,
        reason: Reason::DebitUsage,
        reference: Reference::None,
        at: now,
    };
    let guard = if visit.is_multiple_of(2) {
        Guard::AtLeast(1)
    } else {
        Guard::UpTo
    };
    let mut draft = Draft::new();
    draft.guarded_transfer(transfer, guard);
    Ok(draft.finish())
}
