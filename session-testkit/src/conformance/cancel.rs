//! G2: callers that stop waiting.
//!
//! A call is polled a few times and dropped, once more often in each round, until it ends by
//! itself. A store that answers at the first poll is done after one round.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use session_core::changeset::{Draft, Lane, Record, Rejection};
use session_core::ports::{Claim, Read};
use session_core::types::Seconds;

use super::broken::{Broken, holds, same};
use super::ledger::moved;
use super::rows::{
    at, challenge, grant, inserting, plain, room, seat, service, spendable, transferring, unjoined,
};
use super::stage::{ROUND, Stage};

/// A call that has not ended after so many polls is waited for, to the end.
const POLLS_MAX: u32 = 400;

/// More than a store has of anything that a call holds while it runs.
const CALLERS: u32 = 40;

/// G2.
pub(super) async fn a_commit_that_nobody_waits_for_is_whole_or_not_there(
    stage: &Stage,
) -> Result<(), Broken> {
    for polls in polls() {
        let n = polls * ROUND;
        let mut draft = Draft::new();
        draft.insert(room(n));
        draft.insert(seat(n, n));
        draft.insert(challenge(n));
        draft.transfer(grant(n, 7));
        let changeset = draft.finish();
        let store = stage.handle(0);
        let ended = poll_at_most(polls, store.commit(&changeset)).await;
        let during = |broken: Broken| broken.during(format!("a commit polled {polls} times"));

        // Whoever comes next is served.
        stage
            .granted("the next commit", &inserting([challenge(n + 1)]))
            .await
            .map_err(during)?;
        let keys = [room(n).key(), seat(n, n).key(), challenge(n).key()];
        let reads = keys.map(Read::Row);
        let rows = stage.read(&reads).await.map_err(during)?.concat().len();
        holds(rows == 0 || rows == 3, || {
            format!("{rows} of 3 rows, after {polls} polls")
        })?;
        // It may come late, and then it is all there, or this one is. Not both.
        let again = stage.commit(&changeset).await.map_err(during)?;
        match &again {
            Ok(receipt) => {
                let seen = "the receipt of the same commit again";
                same(seen, receipt, &moved([(grant(n, 7).id, 7)])).map_err(during)?;
                holds(rows == 0, || format!("written twice, after {polls} polls"))?;
            }
            Err(Rejection::Conflict(_)) => {}
            Err(why) => return Err(during(Broken::from(why.clone()))),
        }
        let rows = stage.read(&reads).await.map_err(during)?.concat().len();
        same("rows in the end", &rows, &3).map_err(during)?;
        let sums = stage.account(spendable(n)).await.map_err(during)?;
        same("credit in the end", &sums.credits_posted, &7).map_err(during)?;
        if let Some(answer) = ended {
            holds(answer.is_ok() && again.is_err(), || {
                format!("a commit that ended: {answer:?}, and the same again: {again:?}")
            })?;
            return Ok(());
        }
    }
    Ok(())
}

/// G2.
pub(super) async fn a_claim_that_nobody_waits_for_comes_up_again(
    stage: &Stage,
) -> Result<(), Broken> {
    stage
        .granted("a room", &inserting([unjoined(1, 1000)]))
        .await?;
    let lease = Seconds::new(10);
    let mut now = at(1000);
    for polls in polls() {
        let claim = Claim {
            lane: Lane::Rooms,
            now,
            lease,
            rows_max: 9,
        };
        let store = stage.handle(0);
        let ended = poll_at_most(polls, store.claim_due(&claim)).await;
        // Claimed or not by a caller that is gone, it comes up again when the lease ends.
        now = now.after(lease);
        let again = stage.store().claim_due(&Claim { now, ..claim }).await?;
        same(
            format!("claimed after {polls} polls of a claim"),
            &again.len(),
            &1,
        )?;
        now = now.after(lease);
        if ended.is_some() {
            break;
        }
    }
    Ok(())
}

/// G2.
pub(super) async fn callers_that_leave_take_nothing_with_them(stage: &Stage) -> Result<(), Broken> {
    stage.granted("a row", &inserting([service(1)])).await?;
    let store = stage.handle(0);
    let reads = [Read::Row(service(1).key()), Read::ActiveOpenRooms(1)];
    let claim = Claim {
        lane: Lane::Seats,
        now: at(1000),
        lease: Seconds::new(10),
        rows_max: 1,
    };
    for polls in [1, 2, 3, 5, 8, 13] {
        for caller in 0..CALLERS {
            poll_at_most(polls, store.read(&reads)).await;
            let changeset = inserting([challenge(polls * ROUND + caller)]);
            poll_at_most(polls, store.commit(&changeset)).await;
            poll_at_most(polls, store.claim_due(&claim)).await;
            poll_at_most(polls, store.ping()).await;
        }
    }
    store.ping().await?;
    let found = store.read(&reads).await?.concat().len();
    same("what is read afterwards", &found, &1)?;
    stage
        .granted("a commit afterwards", &inserting([challenge(1)]))
        .await?;
    stage.claim(Lane::Seats, 1000, 1).await?;
    let after = transferring([plain(grant(1, 1))]);
    stage.granted("a transfer afterwards", &after).await?;
    Ok(())
}

/// How often a call is polled, in one round after the other.
fn polls() -> impl Iterator<Item = u32> {
    // Close together where stores begin and end, further apart between.
    (1..POLLS_MAX).filter(|n| *n <= 60 || n % 7 == 0)
}

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
