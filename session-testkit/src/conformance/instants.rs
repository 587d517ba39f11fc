//! R4, R5, C10, C12: what readers see of commits, meanwhile and afterwards.

use session_core::changeset::{Draft, Key, Lane, Record, Row};
use session_core::ledger::AccountKind;
use session_core::ports::{Claimed, CommitError, Read, StoredRow};
use session_core::room::{Closing, Room, Seat};

use super::broken::{Broken, holds, same};
use super::rows::{
    account, answer, at, both, gone, grant, inserting, intent, plain, room, room_id, seat,
    spendable, transfer, transferring, unjoined, updating, wallet,
};
use super::stage::{Stage, stored};

/// R5.
pub(super) async fn what_is_committed_is_seen_through_every_handle(
    stage: &Stage,
) -> Result<(), Broken> {
    for n in stage.rounds() {
        let task = usize::from(n % 200 == 0);
        let (writer, reader) = (stage.handle(task), stage.handle(task + 1));
        writer.commit(&inserting([room(n)])).await?;
        let reads = [Read::Row(room(n).key()), Read::ActiveRoomOf(wallet(n))];
        let one = vec![stored(1, room(n))];
        let found = reader.read(&reads).await?;
        same(
            "a room, through the other handle",
            &found,
            &vec![one.clone(), one],
        )?;
        let closed = room(n).closed(at(1100), Closing::Emptied);
        reader.commit(&updating(1, closed.clone())).await?;
        let found = writer.read(&reads).await?;
        let expected = vec![vec![stored(2, closed)], vec![]];
        same("the room closed by the other", &found, &expected)?;
    }
    Ok(())
}

/// C12.
pub(super) async fn what_is_committed_outlives_every_handle(
    stage: &mut Stage,
) -> Result<(), Broken> {
    let due = unjoined(1, 1000);
    let mut draft = Draft::new();
    draft.insert(due.clone());
    draft.insert(answer(1));
    draft.transfer(grant(1, 30));
    draft.intent(intent(1));
    let changeset = draft.finish();
    let first = stage.granted("one of each", &changeset).await?;
    let claimed = stage.claim(Lane::Rooms, 1000, 1).await?;
    stage.restart().await;

    let reads = [
        Read::ActiveRoomOf(wallet(1)),
        Read::Row(answer(1).key()),
        Read::Row(intent(1).key()),
    ];
    let expected = vec![
        vec![stored(1, due.clone())],
        vec![stored(1, answer(1))],
        vec![stored(1, intent(1))],
    ];
    same(
        "rows after a restart",
        &stage.read(&reads).await?,
        &expected,
    )?;
    let source = account(1, AccountKind::GrantBase);
    let sums = (
        stage.account(spendable(1)).await?,
        stage.account(source).await?,
    );
    same(
        "credit after a restart",
        &(sums.0.balance(), sums.1.balance()),
        &(30, -30),
    )?;
    let repeat = transferring([plain(grant(1, 30))]);
    let again = stage.granted("the transfer once more", &repeat).await?;
    same("the receipt of a repeat after a restart", &again, &first)?;
    let balance = stage.account(spendable(1)).await?.balance();
    same("credit after a repeat after a restart", &balance, &30)?;
    let held = stage.claim(Lane::Rooms, 1009, 1).await?;
    same("a claimed row after a restart", &held, &vec![])?;
    let next = stage.claim(Lane::Rooms, 1010, 1).await?;
    let fences = |claimed: &[Claimed]| -> Vec<u64> {
        claimed.iter().map(|claimed| claimed.fence.get()).collect()
    };
    holds(
        (fences(&claimed), fences(&next)) == (vec![1], vec![2]),
        || format!("fences before and after a restart: {claimed:?}, {next:?}"),
    )
}

/// C10, R4.
pub(super) async fn nobody_sees_a_part_of_a_commit(stage: &Stage) -> Result<(), Broken> {
    let n = 1;
    let host = room(n);
    stage.granted("a room", &inserting([host.clone()])).await?;
    stage.granted("a seat", &inserting([seat(n, n)])).await?;
    stage
        .granted("credit", &transferring([plain(grant(2, 1_000_000))]))
        .await?;
    let writer = stage.handle(0);
    let rounds = stage.effort.rounds as u64 * VISITS;
    // Somebody comes and goes, and pays 1 each time: whatever is read at one instant adds up.
    let writing = tokio::spawn(async move {
        for round in 0..rounds {
            let (before, after) = (1 + 2 * round, 2 + 2 * round);
            let pay = |version: u64| {
                let to = spendable(3);
                transferring([plain(transfer(&version.to_string(), spendable(2), to, 1))])
            };
            let here = Seat {
                slot: 1,
                ..seat(2 + u32::try_from(round).unwrap_or_default(), n)
            };
            let here = Seat {
                wallet: wallet(2),
                ..here
            };
            let two = Room {
                live_seats: 2,
                ..host.clone()
            };
            let joins = both(updating(before, two), inserting([here.clone()]));
            let leaves = both(updating(after, host.clone()), updating(1, gone(here)));
            for (version, changeset) in [(before, joins), (after, leaves)] {
                writer.commit(&both(changeset, pay(version))).await?;
                tokio::task::yield_now().await;
            }
        }
        Ok::<(), CommitError>(())
    });
    let reads = [
        Read::LiveSeatsIn(room_id(n)),
        Read::Row(Key::Account(spendable(2))),
        Read::Row(room(n).key()),
        Read::Row(Key::Account(spendable(3))),
        Read::LiveSeatOf(wallet(2)),
    ];
    let (mut read, mut newest) = (0, 0);
    loop {
        let is_over = writing.is_finished();
        // Handles take turns: what one has shown, the other may not take back.
        let lists = stage.handle(read).read(&reads).await?;
        let version = adds_up(&lists)?;
        holds(version >= newest, || {
            format!("a read found version {version} of a room after one had found {newest}")
        })?;
        (read, newest) = (read + 1, version);
        if is_over {
            break;
        }
        // A store that answers at once would else keep the writer from this thread.
        tokio::task::yield_now().await;
    }
    writing.await??;
    same("the version after all of them", &newest, &(1 + 2 * rounds))
}

/// In each round: one takes two commits, and many are needed until a reader comes between.
const VISITS: u64 = 4;

/// Whether a room, its seats and two accounts are of one instant. The room's version.
fn adds_up(lists: &[Vec<StoredRow>]) -> Result<u64, Broken> {
    let [seats, payer, rooms, payee, of_wallet] = lists else {
        return Err(Broken::new(format!("five lists are asked for: {lists:?}")));
    };
    let sums = |list: &[StoredRow]| match list.first().map(|s| &s.row) {
        Some(Row::Account(account)) => account.balance(),
        _ => 0,
    };
    let Some((version, Row::Room(room))) = rooms.first().map(|s| (s.version.get(), &s.row)) else {
        return Err(Broken::new(format!("the room is gone: {rooms:?}")));
    };
    let paid = i128::from(version) - 1;
    let expected = (
        usize::from(room.live_seats),
        seats.len().saturating_sub(1),
        1_000_000 - paid,
        paid,
    );
    let found = (seats.len(), of_wallet.len(), sums(payer), sums(payee));
    let what = "seats of a room, live seat of a wallet, balances of payer and payee, as the room's \
        row of the same read has them";
    same(what, &found, &expected)?;
    Ok(version)
}
