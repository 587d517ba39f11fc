//! Walks through the settlement of a booked session: what two that attest at once see of the chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use session_core::booking::{BookingRefusal, Consider, TrackBooking, Trigger};
use session_core::changeset::{Changeset, Key, Receipt, Row};
use session_core::escrow::{BookingKey, BookingStatus};
use session_core::ports::{Claim, Claimed, CommitError, Read, Store, StoreError, StoredRow};
use session_core::service::{Ports, execute};
use session_core::types::Seconds;
use session_testkit::bench::Bench;
use session_testkit::escrows::usual_slot;
use session_testkit::fakes::InlineDispatcher;

use crate::Walk;

/// Before the first commit through it, somebody else attests.
#[derive(Debug)]
struct Overtaken {
    key: BookingKey,
    others: Ports,
    is_over: AtomicBool,
}

fn attest(key: BookingKey) -> Consider {
    let trigger = Trigger::Manual { force: None };
    Consider { key, trigger }
}

#[async_trait]
impl Store for Overtaken {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        self.others.store.read(reads).await
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        if !self.is_over.swap(true, Ordering::SeqCst) {
            let other = execute(&self.others, &attest(self.key)).await.unwrap();
            assert!(other.is_ok(), "{other:?}");
        }
        self.others.store.commit(changeset).await
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        self.others.store.claim_due(claim).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.others.store.ping().await
    }
}

#[tokio::test]
async fn who_is_overtaken_asks_the_chain_again_and_sends_nothing() {
    let walk = Walk::new().await;
    let key: BookingKey = "42431/0xe1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1/1"
        .parse()
        .unwrap();
    let slot = usual_slot(Bench::wallet(1), walk.now().after(Seconds::new(60)));
    let escrows = &walk.bench.escrows;
    escrows.put(key, slot, Bench::wallet(2), BookingStatus::Booked);
    assert!(walk.run(TrackBooking { key }).await.unwrap());
    walk.pass(slot.end().since(walk.now()).get()).await;

    let mut ports = walk.bench.ports.clone();
    ports.store = Arc::new(Overtaken {
        key,
        others: Ports {
            dispatcher: Arc::new(InlineDispatcher),
            ..walk.bench.ports.clone()
        },
        is_over: AtomicBool::new(false),
    });
    // The first look at the chain was before the other attested, the second one after.
    let overtaken = execute(&ports, &attest(key)).await.unwrap();
    assert_eq!(
        overtaken,
        Err(BookingRefusal::NotBooked(BookingStatus::Attested))
    );
    assert_eq!(escrows.sent(), 1);
    let world = walk.store.world();
    let Some((_, Row::BookedSession(session))) = world.row(&Key::BookedSession(key)) else {
        panic!("it is on record");
    };
    assert_eq!(session.round, 1);
    walk.assert_sound();
}
