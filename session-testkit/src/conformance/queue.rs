//! Q: who may work on what is due.

use session_core::changeset::{Changeset, Expect, Fence, Key, Lane, Record, Rejection};
use session_core::outbox::{Intent, IntentState};
use session_core::ports::{Claim, Claimed};
use session_core::room::{Closing, Room};
use session_core::types::Seconds;

use super::broken::{Broken, same};
use super::rows::{
    answer, at, booked, chain, challenge, deleting, gone, inserting, intent, relying, room, seat,
    unjoined, updating, watched,
};
use super::stage::{LEASE_SECONDS, Stage};

/// Q1.
pub(super) async fn what_is_due_is_handed_out_in_its_lane(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("a room nobody joined", &inserting([unjoined(1, 1000)]))
        .await?;
    stage
        .granted("a room somebody joined", &inserting([room(2)]))
        .await?;
    stage
        .granted("a seat, due at 1045", &inserting([seat(2, 2)]))
        .await?;
    stage
        .granted("a seat nobody has", &inserting([gone(seat(3, 2))]))
        .await?;
    stage
        .granted("an intent, due at 1000", &inserting([intent(1)]))
        .await?;
    let settled = Intent {
        state: IntentState::Confirmed,
        ..intent(2)
    };
    stage
        .granted("an intent that is settled", &inserting([settled]))
        .await?;
    stage
        .granted("a nonce, due at 1301", &inserting([challenge(1)]))
        .await?;
    stage
        .granted("an answer, due at 9000", &inserting([answer(1)]))
        .await?;
    stage
        .granted("a chain, due at 3000", &inserting([chain(1)]))
        .await?;
    let session = inserting([watched(1, 5100), booked(2)]);
    stage
        .granted("a session to look at, one that is settled", &session)
        .await?;
    let lanes = [
        (Lane::Attest, 5100, booked(1).key()),
        (Lane::Deliver, 1000, intent(1).key()),
        (Lane::Expire, 1301, challenge(1).key()),
        (Lane::Rooms, 1000, room(1).key()),
        (Lane::Seal, 3000, Key::Chain(())),
        (Lane::Seats, 1045, seat(2, 2).key()),
    ];
    for (lane, due, key) in lanes {
        let early = stage.claim_keys(lane, due - 1, 9).await?;
        same(
            format!("{lane:?}, a second before its row is due"),
            &early,
            &vec![],
        )?;
        let claimed = stage.claim(lane, due, 9).await?;
        let expected = Claimed {
            key,
            fence: Fence::new(1),
        };
        same(
            format!("{lane:?}, when its row is due"),
            &claimed,
            &vec![expected],
        )?;
    }
    let late = stage.claim_keys(Lane::Expire, 9000, 9).await?;
    same("rows of another kind in the same lane", &late.len(), &2)
}

/// Q1, Q2.
pub(super) async fn the_longest_due_come_first(stage: &Stage) -> Result<(), Broken> {
    let due = [
        (1, 1030),
        (2, 1010),
        (3, 1050),
        (4, 1020),
        (5, 1040),
        (6, 1060),
    ];
    for (n, due_at) in due {
        stage
            .granted("a room", &inserting([unjoined(n, due_at)]))
            .await?;
    }
    let keys = |numbers: &[u32]| -> Vec<Key> { numbers.iter().map(|n| room(*n).key()).collect() };
    let now = 1055;
    let none = stage.claim_keys(Lane::Rooms, now, 0).await?;
    same("no rows of five that are due", &none, &keys(&[]))?;
    let two = stage.claim_keys(Lane::Rooms, now, 2).await?;
    same("two rows of five that are due", &two, &keys(&[2, 4]))?;
    let rest = stage.claim_keys(Lane::Rooms, now, 9).await?;
    same(
        "nine rows of the three that are left",
        &rest,
        &keys(&[1, 5, 3]),
    )?;
    let none = stage.claim_keys(Lane::Rooms, now, 9).await?;
    same("when all that are due are handed out", &none, &keys(&[]))
}

/// Q3.
pub(super) async fn a_claimed_row_is_left_alone_for_its_lease(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("a room", &inserting([unjoined(1, 1000)]))
        .await?;
    let key = room(1).key();
    let due = stage.claim_keys(Lane::Rooms, 1000, 9).await?;
    same("when it is due", &due, &vec![key.clone()])?;
    for now in [1000, 1001, 1000 + LEASE_SECONDS - 1] {
        let held = stage.claim_keys(Lane::Rooms, now, 9).await?;
        same(
            format!("claimed at 1000 for {LEASE_SECONDS} s, at {now}"),
            &held,
            &vec![],
        )?;
    }
    let over = stage
        .claim_keys(Lane::Rooms, 1000 + LEASE_SECONDS, 9)
        .await?;
    same("when the lease is over", &over, &vec![key.clone()])?;
    let none = Claim {
        lane: Lane::Rooms,
        now: at(2000),
        lease: Seconds::ZERO,
        rows_max: 1,
    };
    for _ in 0..2 {
        let claimed = stage.store().claim_due(&none).await?;
        same("claimed for no time", &claimed.len(), &1)?;
    }
    Ok(())
}

/// Q4.
pub(super) async fn a_claim_raises_the_fence_and_not_the_version(
    stage: &Stage,
) -> Result<(), Broken> {
    stage
        .granted("a room", &inserting([unjoined(1, 1000)]))
        .await?;
    let before = stage.row(&room(1).key()).await?;
    for (claims, now) in (1..=4).zip([1000, 1010, 1500, 9000]) {
        let claimed = stage.claim(Lane::Rooms, now, 1).await?;
        let expected = Claimed {
            key: room(1).key(),
            fence: Fence::new(claims),
        };
        same(format!("claim {claims}"), &claimed, &vec![expected])?;
    }
    same(
        "the row after four claims",
        &stage.row(&room(1).key()).await?,
        &before,
    )
}

/// Q6.
pub(super) async fn an_outcome_under_a_lost_claim_is_fenced(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("a room", &inserting([unjoined(1, 1000)]))
        .await?;
    let key = room(1).key();
    let fenced = || Rejection::Fenced(key.clone());
    let close = |fence| under(&key, fence, updating(1, closed(1)));
    stage
        .refused("claimed, though nobody has", &close(1), fenced())
        .await?;
    stage.claim(Lane::Rooms, 1000, 1).await?;
    stage
        .refused("never claimed, though somebody has", &close(0), fenced())
        .await?;
    stage.claim(Lane::Rooms, 1010, 1).await?;
    stage
        .refused("under the claim that was taken over", &close(1), fenced())
        .await?;
    stage
        .refused("under a claim to come", &close(3), fenced())
        .await?;
    let other = under(&key, 1, inserting([challenge(1)]));
    stage
        .refused("a lost claim, and another row", &other, fenced())
        .await?;
    same(
        "the other row",
        &stage.version(&challenge(1).key()).await?,
        &None,
    )?;
    stage
        .granted("under the claim that holds", &close(2))
        .await?;
    let again = under(&key, 2, updating(2, closed(1)));
    stage
        .refused("about a row that is due no more", &again, fenced())
        .await?;
    let missing = under(&room(2).key(), 0, inserting([challenge(2)]));
    let no_row = Rejection::Fenced(room(2).key());
    stage
        .refused("about a row that is not there", &missing, no_row)
        .await
}

/// Q4.
pub(super) async fn who_writes_a_row_down_holds_fence_zero(stage: &Stage) -> Result<(), Broken> {
    stage.granted("an intent", &inserting([intent(1)])).await?;
    let submitted = Intent {
        state: IntentState::Submitted,
        ..intent(1)
    };
    let first = under(&intent(1).key(), 0, updating(1, submitted.clone()));
    stage
        .granted("its progress, by who wrote it down", &first)
        .await?;
    stage.claim(Lane::Deliver, 1000, 1).await?;
    let late = under(&intent(1).key(), 0, updating(2, submitted));
    let fenced = Rejection::Fenced(intent(1).key());
    stage
        .refused("its progress, after somebody claimed it", &late, fenced)
        .await
}

/// Q7.
pub(super) async fn the_holders_commit_ends_its_claim(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("a room", &inserting([unjoined(1, 1000)]))
        .await?;
    stage.claim(Lane::Rooms, 1000, 1).await?;
    let seen = Room {
        ai_enabled: true,
        ..unjoined(1, 1000)
    };
    let outcome = under(&room(1).key(), 1, updating(1, seen));
    stage
        .granted("an outcome that leaves the row due", &outcome)
        .await?;
    let next = stage.claim(Lane::Rooms, 1001, 1).await?;
    let expected = Claimed {
        key: room(1).key(),
        fence: Fence::new(2),
    };
    same("the row right after", &next, &vec![expected])
}

/// Q7.
pub(super) async fn a_moved_due_time_ends_the_claim(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("a room", &inserting([unjoined(1, 1000)]))
        .await?;
    stage.claim(Lane::Rooms, 1000, 1).await?;
    stage
        .granted("a write of anybody", &updating(1, unjoined(1, 1005)))
        .await?;
    let early = stage.claim_keys(Lane::Rooms, 1004, 1).await?;
    same("before the row is due again", &early, &vec![])?;
    let next = stage.claim(Lane::Rooms, 1005, 1).await?;
    let expected = Claimed {
        key: room(1).key(),
        fence: Fence::new(2),
    };
    same(
        "when the row is due again, in the lease that was",
        &next,
        &vec![expected],
    )?;
    stage
        .granted("due earlier", &updating(2, unjoined(1, 900)))
        .await?;
    let next = stage.claim_keys(Lane::Rooms, 900, 1).await?;
    same("when the row is due earlier", &next, &vec![room(1).key()])
}

/// Q7.
pub(super) async fn any_other_write_leaves_the_claim_alone(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("a room", &inserting([unjoined(1, 1000)]))
        .await?;
    stage.claim(Lane::Rooms, 1000, 1).await?;
    let seen = Room {
        ai_enabled: true,
        ..unjoined(1, 1000)
    };
    stage
        .granted("a write of anybody", &updating(1, seen))
        .await?;
    let held = stage.claim_keys(Lane::Rooms, 1009, 1).await?;
    same("the row in the lease", &held, &vec![])?;
    // The worker has to read the row again, and its claim is still its own.
    let outcome = under(&room(1).key(), 1, updating(2, closed(1)));
    stage.granted("the outcome of the claim", &outcome).await?;
    Ok(())
}

/// Q8.
pub(super) async fn what_is_due_no_more_leaves_its_queue(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("rooms", &inserting([1, 2, 3].map(|n| unjoined(n, 1000))))
        .await?;
    stage
        .granted("nonces", &inserting([1, 2].map(challenge)))
        .await?;
    stage
        .granted("a room that closes", &updating(1, closed(1)))
        .await?;
    stage
        .granted("a room that is joined", &updating(1, room(2)))
        .await?;
    stage
        .granted("a nonce that is removed", &deleting(1, challenge(1).key()))
        .await?;
    stage
        .granted("sessions", &inserting([1, 2].map(|n| watched(n, 5100))))
        .await?;
    stage
        .granted("a session that is settled", &updating(1, booked(1)))
        .await?;
    let left = stage.claim_keys(Lane::Attest, 9999, 9).await?;
    same("sessions to look at", &left, &vec![booked(2).key()])?;
    let left = stage.claim_keys(Lane::Rooms, 9999, 9).await?;
    same("rooms that are due", &left, &vec![room(3).key()])?;
    let left = stage.claim_keys(Lane::Expire, 9999, 9).await?;
    same("nonces that are due", &left, &vec![challenge(2).key()])?;
    stage
        .granted("the nonce again", &inserting([challenge(1)]))
        .await?;
    let back = stage.claim_keys(Lane::Expire, 9999, 9).await?;
    same("a nonce that came again", &back, &vec![challenge(1).key()])
}

/// A changeset under a claim.
pub(super) fn under(key: &Key, fence: u64, changeset: Changeset) -> Changeset {
    relying(Expect::Claimed(key.clone(), Fence::new(fence)), changeset)
}

fn closed(n: u32) -> Room {
    unjoined(n, 1000).closed(at(1001), Closing::Unjoined)
}
