//! C11 of what only one may have: values, identifiers, reservations, answers, due rows.

use session_core::changeset::{Changeset, Fence, Lane, Record, Rejection, Unique};
use session_core::ledger::{Action, Guard, LedgerError, Transfer};
use session_core::ports::{Claim, Claimed, Read};
use session_core::room::{Closing, Room, Seat};
use session_core::types::Seconds;

use super::broken::{Broken, holds, same};
use super::isolation::{RIVALS, one_wins};
use super::ledger::moved;
use super::queue::under;
use super::reservations::{hold, resolve};
use super::rows::challenge;
use super::rows::{
    answer, at, grant, guarded, inserting, intent, nonce, plain, revenue, room, seat, spendable,
    transfer, transferring, unjoined, updating, wallet,
};
use super::stage::{Stage, Verdict, at_once, stored, verdict};

/// Due rows in each round, and workers who want three each.
const ROWS: u32 = 12;
const WORKERS: usize = 6;

/// C11.
pub(super) async fn one_of_many_takes_a_unique_value(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        let rooms = (0..RIVALS).map(|k| Room {
            host: wallet(n),
            ..room(n + k)
        });
        let verdicts = stage
            .commit_at_once(rooms.map(|room| inserting([room])))
            .await?;
        let taken = Rejection::Taken(Unique::ActiveRoomOf(wallet(n)));
        let host = one_wins("several rooms of one host", &verdicts, &[taken])?;
        let found = stage.list(Read::ActiveRoomOf(wallet(n))).await?;
        same("the active rooms of a host", &found.len(), &1)?;

        // Two rooms have no row in common: the wallet alone is in the way.
        let other = Room {
            host: wallet(n + RIVALS),
            ..room(n + RIVALS)
        };
        stage.granted("another room", &inserting([other])).await?;
        let rooms = [n + u32::try_from(host).unwrap_or_default(), n + RIVALS];
        let seats = (0..RIVALS).map(|k| Seat {
            wallet: wallet(n),
            slot: u8::try_from(k).unwrap_or_default(),
            ..seat(n + k, rooms[(k % 2) as usize])
        });
        let verdicts = stage
            .commit_at_once(seats.map(|seat| inserting([seat])))
            .await?;
        let taken = Rejection::Taken(Unique::LiveSeatOf(wallet(n)));
        one_wins("several seats of one wallet", &verdicts, &[taken])?;
        let found = stage.list(Read::LiveSeatOf(wallet(n))).await?;
        same("the live seats of a wallet", &found.len(), &1)?;
    }
    Ok(())
}

/// C11.
pub(super) async fn one_identifier_moves_once(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        let same_grant = (0..RIVALS).map(|_| transferring([plain(grant(n, 7))]));
        for verdict in stage.commit_at_once(same_grant).await? {
            let receipt = moved([(grant(n, 7).id, 7)]);
            same(
                "one transfer, several times at once",
                &verdict,
                &Ok(receipt),
            )?;
        }
        let sums = stage.account(spendable(n)).await?;
        same("what one transfer moved", &sums.credits_posted, &7)?;

        let n = n + 1;
        let grants = (0..RIVALS).map(|k| transferring([plain(grant(n, 1 + u64::from(k)))]));
        let verdicts = stage.commit_at_once(grants).await?;
        let mismatch = Rejection::Ledger(LedgerError::IdMismatch(grant(n, 1).id));
        let winner = one_wins("one identifier, several amounts", &verdicts, &[mismatch])?;
        let sums = stage.account(spendable(n)).await?;
        same(
            "what one identifier moved",
            &sums.credits_posted,
            &(1 + winner as u64),
        )?;
    }
    Ok(())
}

/// C11.
pub(super) async fn guards_hold_at_the_instant_of_the_commit(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        stage
            .granted("a grant", &transferring([plain(grant(n, 10))]))
            .await?;
        let debit = |k: u32, amount, guard| {
            let debit = transfer(&format!("debit {k}"), spendable(n), revenue(), amount);
            transferring([guarded(debit, guard)])
        };
        // 10, then 8, then 6: at 4 the guard holds everybody back, though 2 could be had.
        let debits = (0..RIVALS).map(|k| debit(k, 2, Guard::AtLeast(5)));
        let verdicts = stage.commit_at_once(debits).await?;
        let poor = Rejection::Ledger(LedgerError::Insufficient(spendable(n)));
        let granted = verdicts.iter().filter(|verdict| verdict.is_ok()).count();
        let refused = verdicts
            .iter()
            .filter(|verdict| **verdict == Err(poor.clone()))
            .count();
        let expected = (3, RIVALS as usize - 3);
        same(
            "granted and refused with a guard",
            &(granted, refused),
            &expected,
        )?;

        let debits = (RIVALS..2 * RIVALS).map(|k| debit(k, 3, Guard::UpTo));
        let mut amounts = Vec::new();
        for verdict in stage.commit_at_once(debits).await? {
            amounts.extend(verdict?.moved.into_values());
        }
        amounts.sort_unstable();
        let left = [0, 0, 0, 0, 1, 3];
        same(
            "as much as there is, several times at once",
            &amounts,
            &left.to_vec(),
        )?;
        same(
            "what is left",
            &stage.account(spendable(n)).await?.available(),
            &0,
        )?;
    }
    Ok(())
}

/// C11.
pub(super) async fn a_reservation_is_resolved_by_one(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        let held = hold("hold", n, 10);
        let orders = [grant(n, 10), held].map(plain);
        stage
            .granted("a reservation", &transferring(orders))
            .await?;
        let resolutions = (0..RIVALS).map(|k| -> Transfer {
            let (action, amount) = if k % 2 == 0 {
                (Action::Post { of: held.id }, 4)
            } else {
                (Action::Void { of: held.id }, 10)
            };
            resolve(&format!("resolution {k}"), held, action, amount)
        });
        let resolutions = resolutions.map(|transfer| transferring([plain(transfer)]));
        let verdicts = stage.commit_at_once(resolutions).await?;
        let resolved = Rejection::Ledger(LedgerError::NotReserved(held.id));
        let winner = one_wins("several who resolve a reservation", &verdicts, &[resolved])?;
        let sums = stage.account(spendable(n)).await?;
        let left = if winner % 2 == 0 { 6 } else { 10 };
        let seen = (sums.available(), sums.debits_pending);
        same("what is left of a reservation", &seen, &(left, 0))?;
    }
    Ok(())
}

/// C11.
pub(super) async fn a_request_is_answered_once(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        let requests = (0..RIVALS).map(|k| Changeset {
            idempotency: Some(answer(n)),
            ..inserting([challenge(n + k)])
        });
        let verdicts = stage.commit_at_once(requests).await?;
        let answered = Rejection::Conflict(answer(n).key());
        one_wins("several requests under one key", &verdicts, &[answered])?;
        let effects = (0..RIVALS).map(|k| Read::ChallengesOf(wallet(n + k)));
        let effects = stage.read(&effects.collect::<Vec<_>>()).await?.concat();
        same("how many of them had an effect", &effects.len(), &1)?;

        // An intent is no reason for a conflict: all of them are granted, and it is there once.
        let intending = (0..RIVALS).map(|k| Changeset {
            intents: vec![intent(n)],
            ..inserting([nonce(n + k, 2, 1000)])
        });
        for verdict in stage.commit_at_once(intending).await? {
            verdict.map_err(|why| Broken::from(why).during("one intent, several times at once"))?;
        }
        let expected = stored(1, intent(n));
        same(
            "the intent",
            &stage.row(&intent(n).key()).await?,
            &Some(expected),
        )?;
    }
    Ok(())
}

/// Q5.
pub(super) async fn workers_at_once_get_different_rows(stage: &Stage) -> Result<(), Broken> {
    for (now, n) in (1000..).zip(stage.rounds()) {
        // Rows of the rounds before are under claims for a year.
        let rows = (0..ROWS).map(|k| unjoined(n + k, now));
        stage.granted("rooms", &inserting(rows)).await?;
        let claim = Claim {
            lane: Lane::Rooms,
            now: at(now),
            lease: Seconds::new(365 * 24 * 3600),
            rows_max: 3,
        };
        let workers = (0..WORKERS).map(|task| {
            let store = stage.handle(task);
            async move { store.claim_due(&claim).await }
        });
        let mut claimed = Vec::new();
        for answer in at_once(workers).await? {
            let answer = answer?;
            holds(answer.len() <= 3, || {
                format!("three rows are asked for: {answer:?}")
            })?;
            claimed.extend(answer);
        }
        claimed.sort_by(|a, b| a.key.cmp(&b.key));
        let expected: Vec<Claimed> = (0..ROWS)
            .map(|k| Claimed {
                key: room(n + k).key(),
                fence: Fence::new(1),
            })
            .collect();
        same(
            "what six workers got of twelve rows, three each",
            &claimed,
            &expected,
        )?;
    }
    Ok(())
}

/// C11, Q6.
pub(super) async fn an_outcome_and_a_takeover_exclude_each_other(
    stage: &Stage,
) -> Result<(), Broken> {
    for n in stage.rounds() {
        let key = room(n).key();
        stage
            .granted("a room nobody joined", &inserting([unjoined(n, 1000)]))
            .await?;
        let claimed = stage.claim(Lane::Rooms, 1000, 9).await?;
        same("claims of the one room that is due", &claimed.len(), &1)?;
        // The lease is over: its holder is late, and somebody else looks.
        let closed = unjoined(n, 1000).closed(at(1010), Closing::Unjoined);
        let outcome = under(&key, 1, updating(1, closed.clone()));
        let (answer, taken) = commit_and_claim(stage, outcome, n % 200 == 0).await?;
        match (answer, &taken[..]) {
            (Ok(_), []) => {}
            (Err(Rejection::Fenced(_)), [fence]) => {
                same("the fence of who took over", fence, &Fence::new(2))?;
                let outcome = under(&key, 2, updating(1, closed));
                stage
                    .granted("the outcome of who took over", &outcome)
                    .await?;
            }
            (answer, taken) => {
                let what = "a late outcome, and a claim of its row at the same time";
                return Err(Broken::new(format!("{what}: {answer:?}, {taken:?}")));
            }
        }
        same("the room in the end", &stage.version(&key).await?, &Some(2))?;
    }
    Ok(())
}

/// C11, Q7.
pub(super) async fn a_claim_does_not_undo_a_moved_due_time(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        stage
            .granted("a room nobody joined", &inserting([unjoined(n, 1000)]))
            .await?;
        let later = updating(1, unjoined(n, 5000));
        let (answer, taken) = commit_and_claim(stage, later, n % 200 == 0).await?;
        answer.map_err(|why| Broken::from(why).during("a due time that is moved"))?;
        let early = stage.claim(Lane::Rooms, 4999, 9).await?;
        let what = format!(
            "before the moved due time, after {} claimed it",
            taken.len()
        );
        same(what, &early, &vec![])?;
        let due = stage.claim(Lane::Rooms, 5000, 9).await?;
        let fences: Vec<u64> = due.iter().map(|claimed| claimed.fence.get()).collect();
        let expected = vec![1 + taken.len() as u64];
        same("fences at the moved due time", &fences, &expected)?;
        let closed = room(n).closed(at(5000), Closing::Unjoined);
        stage
            .granted("the end of the room", &updating(2, closed))
            .await?;
    }
    Ok(())
}

/// Commits, and claims what is due at 1010 at the same time. The fences of what was claimed.
async fn commit_and_claim(
    stage: &Stage,
    changeset: Changeset,
    claims_first: bool,
) -> Result<(Verdict, Vec<Fence>), Broken> {
    enum Came {
        Answer(Result<Verdict, Broken>),
        Fences(Result<Vec<Fence>, Broken>),
    }
    let claim = Claim {
        lane: Lane::Rooms,
        now: at(1010),
        lease: Seconds::new(10),
        rows_max: 9,
    };
    let tasks = (0..2).map(|task| {
        let store = stage.handle(task);
        let changeset = changeset.clone();
        async move {
            if task == 0 {
                Came::Answer(verdict(store.commit(&changeset).await))
            } else {
                let claimed = store.claim_due(&claim).await.map_err(Broken::from);
                Came::Fences(claimed.map(|rows| rows.iter().map(|row| row.fence).collect()))
            }
        }
    });
    let mut tasks: Vec<_> = tasks.collect();
    if claims_first {
        tasks.reverse();
    }
    let mut came = (Err(Rejection::Malformed("not answered")), Vec::new());
    for answer in at_once(tasks).await? {
        match answer {
            Came::Answer(verdict) => came.0 = verdict?,
            Came::Fences(fences) => came.1 = fences?,
        }
    }
    Ok(came)
}
