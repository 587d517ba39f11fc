//! Callers that stop waiting.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use session_core::changeset::{Draft, Key, Lane};
use session_core::outage::Service;
use session_core::ports::{Claim, Store};
use session_core::types::Seconds;

use crate::common::{at, connection_id, fresh, load, read_row, room, room_id, seat};

/// Polls a future this often at most, each time after it asked to be polled again, and drops it.
async fn poll_at_most<F: Future>(times: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|cx| {
        if polled == times {
            return Poll::Ready(None);
        }
        polled += 1;
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Enough for the longest call below.
const POLLS_MAX: u32 = 500;

#[tokio::test]
async fn a_commit_that_nobody_waits_for_is_whole_or_not_there() {
    let mut finished = false;
    let mut stopped = 0;
    for times in 1..POLLS_MAX {
        let opened = fresh().await;
        let store = &opened.store;
        let mut draft = Draft::new();
        draft.insert(room(1));
        draft.insert(seat(1));
        let changeset = draft.finish();
        let outcome = poll_at_most(times, store.commit(&changeset)).await;
        stopped += u32::from(outcome.is_none());

        // The store serves whoever comes next.
        let found = load::<Service>(store, Key::Service(())).await;
        let mut draft = Draft::new();
        draft.update(
            &found,
            Service {
                last_beat_at: at(1),
                outages: Vec::new(),
            },
        );
        store.commit(&draft.finish()).await.unwrap();

        let room = read_row(store, &Key::Room(room_id(1))).await;
        let seat = read_row(store, &Key::Seat(connection_id(1))).await;
        assert_eq!(
            room.is_some(),
            seat.is_some(),
            "half a commit after {times} polls"
        );
        if outcome.is_some() {
            assert!(room.is_some());
            finished = true;
            break;
        }
    }
    assert!(finished, "the commit never ended");
    // At how many places depends on the machine: a store that answers at once is asked seldom.
    assert!(stopped > 0, "the commit was never stopped");
}

#[tokio::test]
async fn a_claim_that_nobody_waits_for_leaves_the_store_usable() {
    let opened = fresh().await;
    let store = &opened.store;
    let mut draft = Draft::new();
    draft.insert(room(1));
    draft.insert(seat(1));
    store.commit(&draft.finish()).await.unwrap();
    let mut now = at(2000);
    for times in 1..POLLS_MAX {
        let lease = Seconds::new(10);
        let claim = Claim {
            lane: Lane::Seats,
            now,
            lease,
            rows_max: 9,
        };
        let first = poll_at_most(times, store.claim_due(&claim)).await;
        // Claimed or not by a caller that is gone, it comes up again when the lease ends.
        now = now.after(lease);
        let again = store.claim_due(&Claim { now, ..claim }).await.unwrap();
        assert_eq!(again.len(), 1, "after {times} polls");
        now = now.after(lease);
        if first.is_some() {
            return;
        }
    }
    panic!("the claim never ended");
}

#[tokio::test]
async fn a_read_that_nobody_waits_for_leaves_the_store_usable() {
    let opened = fresh().await;
    let store = &opened.store;
    let reads = [session_core::ports::Read::Row(Key::Service(()))];
    for times in 1..POLLS_MAX {
        let first = poll_at_most(times, store.read(&reads)).await;
        // More than there are readers: none of them is lost.
        for _ in 0..6 {
            store.read(&reads).await.unwrap();
        }
        if first.is_some() {
            return;
        }
    }
    panic!("the read never ended");
}
