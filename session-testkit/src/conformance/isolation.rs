//! C11: commits at one instant, as if one had come after the other.
//!
//! Each race is run for many rounds on rows of its own, with its changesets on both handles. Which
//! of them wins is chance; how many win is not.

use session_core::auth::Challenge;
use session_core::changeset::{Changeset, Draft, Expect, Key, Record, Rejection, Row};
use session_core::ports::Read;
use session_core::room::{Closing, Room, Seat};

use super::broken::{Broken, holds, same};
use super::rows::{
    at, at_version, both, challenge, deleting, grant, inserting, nonce, plain, relying, revenue,
    room, room_id, seat, spendable, transfer, transferring, updating, wallet,
};
use super::stage::{Stage, Verdict, at_once, load, stored, verdict};

/// How many write the same at once.
pub(super) const RIVALS: u32 = 6;

/// How often each of them writes, where each writes several times.
const WRITES: u64 = 4;

const WRITES_OF_OTHERS: u64 = (RIVALS as u64 - 1) * WRITES;

/// C11.
pub(super) async fn an_update_is_not_lost(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        stage.granted("a row", &inserting([challenge(n)])).await?;
        let updates = (0..RIVALS).map(|k| updating(1, nonce(n, 1, 2000 + u64::from(k))));
        let verdicts = stage.commit_at_once(updates).await?;
        let lost = Rejection::Conflict(challenge(n).key());
        let winner = one_wins("several updates of one version", &verdicts, &[lost])?;
        let issued_at = 2000 + winner as u64;
        let expected = stored(2, nonce(n, 1, issued_at));
        let found = stage.row(&challenge(n).key()).await?;
        same(
            "the row after several updates of one version",
            &found,
            &Some(expected),
        )?;
    }
    Ok(())
}

/// C11.
pub(super) async fn counting_together_loses_nothing(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        stage
            .granted("a counter", &inserting([nonce(n, 1, 0)]))
            .await?;
        let key = challenge(n).key();
        let counting = (0..RIVALS as usize).map(|task| {
            let (reader, writer) = (stage.handle(task), stage.handle(task + 1));
            let key = key.clone();
            async move {
                let (mut counted, mut conflicts) = (0, 0);
                while counted < WRITES {
                    let found = load::<Challenge>(&*reader, key.clone()).await?;
                    let Some(value) = found.value() else {
                        return Err(Broken::new(format!("{key} is gone")));
                    };
                    let next = Challenge {
                        issued_at: at(value.issued_at.unix() + 1),
                        ..value.clone()
                    };
                    let mut draft = Draft::new();
                    draft.update(&found, next);
                    match verdict(writer.commit(&draft.finish()).await)? {
                        Ok(_) => counted += 1,
                        Err(Rejection::Conflict(_)) => conflicts += 1,
                        Err(why) => return Err(why.into()),
                    }
                    // Each conflict is a write of somebody else since the reading.
                    holds(conflicts <= WRITES_OF_OTHERS, || {
                        format!("{conflicts} conflicts with {WRITES_OF_OTHERS} other writes")
                    })?;
                    tokio::task::yield_now().await;
                }
                Ok(())
            }
        });
        for counted in at_once(counting).await? {
            counted?;
        }
        let counted = u64::from(RIVALS) * WRITES;
        let expected = stored(1 + counted, nonce(n, 1, counted));
        same(
            "a counter of many",
            &stage.row(&key).await?,
            &Some(expected),
        )?;
    }
    Ok(())
}

/// C11.
pub(super) async fn no_write_skew_over_rows(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        let (one, other) = (n, n + 1);
        stage
            .granted("two rows", &inserting([challenge(one), challenge(other)]))
            .await?;
        let writes = |writes: u32, relies: u32| {
            let relied_on = at_version(challenge(relies).key(), 1);
            relying(relied_on, updating(1, nonce(writes, 1, 2000)))
        };
        crosswise(
            stage,
            "each writes the row on which the other relied",
            [
                (
                    writes(one, other),
                    Rejection::Conflict(challenge(other).key()),
                ),
                (
                    writes(other, one),
                    Rejection::Conflict(challenge(one).key()),
                ),
            ],
        )
        .await?;
        let versions = [one, other].map(|n| challenge(n).key());
        let mut sum = 0;
        for key in versions {
            sum += stage.version(&key).await?.unwrap_or_default();
        }
        same("both versions, added up", &sum, &3)?;
    }
    Ok(())
}

/// C11.
pub(super) async fn no_write_skew_over_absent_rows(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        let (one, other) = (n, n + 1);
        let inserts = |inserts: u32, relies: u32| {
            relying(
                Expect::Absent(challenge(relies).key()),
                inserting([challenge(inserts)]),
            )
        };
        crosswise(
            stage,
            "each inserts the row on whose absence the other relied",
            [
                (
                    inserts(one, other),
                    Rejection::Conflict(challenge(other).key()),
                ),
                (
                    inserts(other, one),
                    Rejection::Conflict(challenge(one).key()),
                ),
            ],
        )
        .await?;
        let lists = [one, other].map(|n| Read::ChallengesOf(wallet(n)));
        let found = stage.read(&lists).await?.concat();
        same("how many of the two rows are there", &found.len(), &1)?;
    }
    Ok(())
}

/// C11.
pub(super) async fn no_write_skew_between_a_row_and_an_absence(
    stage: &Stage,
) -> Result<(), Broken> {
    for n in stage.rounds() {
        let (there, missing) = (n, n + 1);
        let inserts = relying(
            at_version(challenge(there).key(), 1),
            inserting([challenge(missing)]),
        );
        let absent = Expect::Absent(challenge(missing).key());
        let removes = n % 200 == 0;
        let changes = if removes {
            deleting(1, challenge(there).key())
        } else {
            updating(1, nonce(there, 1, 2000))
        };
        stage
            .granted("a row", &inserting([challenge(there)]))
            .await?;
        crosswise(
            stage,
            "one relied on a row, the other on an absence",
            [
                (inserts, Rejection::Conflict(challenge(there).key())),
                (
                    relying(absent, changes),
                    Rejection::Conflict(challenge(missing).key()),
                ),
            ],
        )
        .await?;
    }
    Ok(())
}

/// C11.
pub(super) async fn an_account_that_is_relied_on_stays(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        stage
            .granted("a grant", &transferring([plain(grant(n, 10))]))
            .await?;
        let key = Key::Account(spendable(n));
        let spent = transferring([plain(transfer("spend", spendable(n), revenue(), 1))]);
        crosswise(
            stage,
            "one relied on an account that the other debits",
            [
                (
                    relying(at_version(key.clone(), 1), inserting([challenge(n)])),
                    Rejection::Conflict(key),
                ),
                (
                    relying(Expect::Absent(challenge(n).key()), spent),
                    Rejection::Conflict(challenge(n).key()),
                ),
            ],
        )
        .await?;
    }
    Ok(())
}

/// C11.
pub(super) async fn a_set_is_guarded_by_its_parent(stage: &Stage) -> Result<(), Broken> {
    for n in stage.rounds() {
        let empty = Room {
            live_seats: 0,
            ..room(n)
        };
        stage.granted("a room", &inserting([empty.clone()])).await?;
        // Each takes a place of its own: nothing but the room is in their way.
        let joins = (0..RIVALS).map(|k| {
            let seat = Seat {
                slot: u8::try_from(k).unwrap_or_default(),
                ..seat(n + k, n)
            };
            both(updating(1, room(n)), inserting([seat]))
        });
        let closes = updating(1, empty.closed(at(1001), Closing::Unjoined));
        let lost = Rejection::Conflict(room(n).key());
        let verdicts = stage.commit_at_once(joins.chain([closes])).await?;
        one_wins(
            "several who join a room, and one who closes it",
            &verdicts,
            &[lost],
        )?;
        let lists = [Read::Row(room(n).key()), Read::LiveSeatsIn(room_id(n))];
        let lists = stage.read(&lists).await?;
        let counted = lists[0].iter().find_map(|stored| match &stored.row {
            Row::Room(room) => Some(usize::from(room.live_seats)),
            _ => None,
        });
        same(
            "the room's count, and its seats",
            &counted,
            &Some(lists[1].len()),
        )?;
    }
    Ok(())
}

/// Commits two at once, of which one wins; the other is refused for its reason.
async fn crosswise(
    stage: &Stage,
    what: &str,
    rivals: [(Changeset, Rejection); 2],
) -> Result<(), Broken> {
    let (changesets, reasons): (Vec<_>, Vec<_>) = rivals.into_iter().unzip();
    let verdicts = stage.commit_at_once(changesets).await?;
    let winner = one_wins(what, &verdicts, &reasons)?;
    let loser = 1 - winner;
    same(what, &verdicts[loser], &Err(reasons[loser].clone()))
}

/// Whether exactly one is granted, and the others are refused for one of these reasons. Which.
pub(super) fn one_wins(
    what: &str,
    verdicts: &[Verdict],
    reasons: &[Rejection],
) -> Result<usize, Broken> {
    let granted: Vec<usize> = (0..verdicts.len())
        .filter(|n| verdicts[*n].is_ok())
        .collect();
    for why in verdicts.iter().filter_map(|verdict| verdict.as_ref().err()) {
        holds(reasons.contains(why), || {
            format!("{what}: one is refused with {why:?}, and had to be with {reasons:?}")
        })?;
    }
    match granted[..] {
        [winner] => Ok(winner),
        _ => Err(Broken::new(format!(
            "{what}: {} of {} are granted, and one had to be",
            granted.len(),
            verdicts.len()
        ))),
    }
}
