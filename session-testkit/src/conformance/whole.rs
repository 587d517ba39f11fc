//! C10: a refused changeset leaves no trace.
//!
//! Each check has one changeset of everything, which would be granted. It adds to it one thing for
//! which it has to be refused, in several ways, and looks each time whether anything changed. In
//! the end it commits the changeset without that: nothing in it may have been used up.

use session_core::auth::Challenge;
use session_core::changeset::{
    Changeset, Entry, Expect, Fact, Fence, Key, Lane, Record, Rejection, Unique, World, Write,
    apply,
};
use session_core::ledger::{Account, AccountKind, Action, Guard, LedgerError, SUM_MAX, Transfer};
use session_core::outbox::Intent;
use session_core::room::{Room, Seat};
use session_core::types::{Seconds, TransferId};

use super::broken::{Broken, same};
use super::observe::{same_queues, same_rows, same_transfers};
use super::reservations::{hold, resolve};
use super::rows::{
    account, answer, at, at_version, both, challenge, deleting, grant, guarded, inserting, intent,
    nonce, plain, relying, revenue, room, room_id, seat, spendable, transfer, transferring,
    unjoined, updating, wallet,
};
use super::stage::{LEASE_SECONDS, MALFORMED, Stage};

/// C10.
pub(super) async fn a_failed_expectation_leaves_no_trace(stage: &Stage) -> Result<(), Broken> {
    let there = challenge(3).key();
    let queued = room(3).key();
    let conflict = || Rejection::Conflict(there.clone());
    let fence = |fence| Expect::Claimed(queued.clone(), Fence::new(fence));
    refused_in_many_ways(
        stage,
        vec![
            (
                "a stale version",
                nothing_but(at_version(there.clone(), 2)),
                conflict(),
            ),
            (
                "no absence",
                nothing_but(Expect::Absent(there.clone())),
                conflict(),
            ),
            (
                "a lost claim",
                nothing_but(fence(0)),
                Rejection::Fenced(queued.clone()),
            ),
            ("a stale update", updating(9, nonce(3, 1, 7)), conflict()),
            (
                "an insertion that is none",
                inserting([challenge(3)]),
                conflict(),
            ),
        ],
    )
    .await
}

/// C10.
pub(super) async fn a_malformed_part_leaves_no_trace(stage: &Stage) -> Result<(), Broken> {
    let writing = |write: Write| Changeset {
        rows: vec![write],
        ..Changeset::default()
    };
    let other_effect = Intent {
        effect: intent(2).effect,
        ..intent(3)
    };
    let other_effect = Changeset {
        intents: vec![other_effect],
        ..Changeset::default()
    };
    let unread = writing(Write::Update(nonce(3, 1, 7).into()));
    let twice = writing(Write::Insert(challenge(1).into()));
    let account = inserting([Account::empty(spendable(8))]);
    refused_in_many_ways(
        stage,
        vec![
            ("a write of what was not read", unread, MALFORMED),
            ("a second write of a row", twice, MALFORMED),
            ("a write of an account", account, MALFORMED),
            ("an intent with another effect", other_effect, MALFORMED),
        ],
    )
    .await
}

/// C10.
pub(super) async fn a_value_that_is_taken_leaves_no_trace(stage: &Stage) -> Result<(), Broken> {
    let same_host = Room {
        host: wallet(3),
        ..room(7)
    };
    let same_place = Seat {
        slot: 3,
        ..seat(7, 3)
    };
    refused_in_many_ways(
        stage,
        vec![
            (
                "a second room of a host",
                inserting([same_host]),
                Rejection::Taken(Unique::ActiveRoomOf(wallet(3))),
            ),
            (
                "a second seat in a place",
                inserting([same_place]),
                Rejection::Taken(Unique::Slot(room_id(3), 3)),
            ),
        ],
    )
    .await
}

/// C10.
pub(super) async fn a_refused_transfer_leaves_no_trace(stage: &Stage) -> Result<(), Broken> {
    let poor = |key| Rejection::Ledger(LedgerError::Insufficient(key));
    let malformed = |id: TransferId| Rejection::Ledger(LedgerError::Malformed(id));
    let over = transfer("over", spendable(8), revenue(), 1);
    let unguarded = guarded(
        transfer("least", spendable(3), revenue(), 1),
        Guard::AtLeast(101),
    );
    let contradiction = Transfer {
        amount: 99,
        ..grant(3, 100)
    };
    let full = transfer(
        "full",
        account(8, AccountKind::GrantBonus),
        spendable(3),
        SUM_MAX,
    );
    let nothing = transfer("nothing", spendable(3), revenue(), 0);
    let none = TransferId::derive("conformance", &[b"none"]);
    let orphan = resolve("orphan", hold("hold", 3, 10), Action::Void { of: none }, 10);
    let held = hold("late hold", 3, 10);
    let late = Transfer {
        at: at(1101),
        ..resolve("late", held, Action::Post { of: held.id }, 10)
    };
    let ledger = Rejection::Ledger;
    let mut ways = vec![
        ("no credit", plain(over), poor(spendable(8))),
        ("a guard", unguarded, poor(spendable(3))),
        (
            "a contradiction",
            plain(contradiction),
            ledger(LedgerError::IdMismatch(grant(3, 0).id)),
        ),
        (
            "a full account",
            plain(full),
            ledger(LedgerError::Overflow(spendable(3))),
        ),
        (
            "a malformed transfer",
            plain(nothing),
            malformed(nothing.id),
        ),
        (
            "no reservation",
            plain(orphan),
            ledger(LedgerError::NotReserved(none)),
        ),
        (
            "a late posting",
            plain(late),
            ledger(LedgerError::DeadlinePassed(held.id)),
        ),
    ]
    .into_iter()
    .map(|(what, order, why)| (what, transferring([order]), why))
    .collect::<Vec<_>>();
    // The second of two that are covered one by one, and not together.
    let twice = ["half", "other half"].map(|cause| {
        guarded(
            transfer(cause, spendable(3), revenue(), 50),
            Guard::AtLeast(50),
        )
    });
    ways.push((
        "credit for one of two",
        transferring(twice),
        poor(spendable(3)),
    ));
    refused_in_many_ways(stage, ways).await
}

/// C10.
pub(super) async fn a_second_answer_leaves_no_trace(stage: &Stage) -> Result<(), Broken> {
    let mut everything = everything();
    everything.idempotency = Some(answer(3));
    let mut world = set_up(stage).await?;
    let conflict = Rejection::Conflict(answer(3).key());
    stage
        .refused("another answer under a key", &everything, conflict)
        .await?;
    unchanged(stage, &world)
        .await
        .map_err(|b| b.during("after another answer"))?;
    everything.idempotency = Some(answer(1));
    ends_well(stage, &mut world, &everything).await
}

/// What each of these adds has to be refused, and nothing may come of the rest.
async fn refused_in_many_ways(
    stage: &Stage,
    ways: Vec<(&str, Changeset, Rejection)>,
) -> Result<(), Broken> {
    let mut world = set_up(stage).await?;
    for (what, addition, why) in ways {
        let changeset = both(everything(), addition);
        stage.refused(what, &changeset, why).await?;
        let left = unchanged(stage, &world).await;
        left.map_err(|broken| broken.during(format!("after it was refused for {what}")))?;
    }
    ends_well(stage, &mut world, &everything()).await
}

/// Rows of number 3 stand in the way, those of number 2 are changed and removed by [`everything`].
async fn set_up(stage: &Stage) -> Result<World, Broken> {
    let mut world = World::new();
    let with_seat = Room {
        live_seats: 1,
        ..room(2)
    };
    let placed = Seat {
        slot: 3,
        ..seat(3, 3)
    };
    let rows = [
        inserting([challenge(2), challenge(3), nonce(2, 2, 1000)]),
        inserting([with_seat, unjoined(3, 1000)]),
        inserting([placed, seat(2, 2)]),
        transferring([grant(2, 60), grant(3, 100)].map(plain)),
        transferring(["hold", "late hold"].map(|cause| plain(hold(cause, 3, 10)))),
        Changeset {
            intents: vec![intent(3)],
            idempotency: Some(answer(3)),
            ..Changeset::default()
        },
    ];
    for changeset in rows {
        stage.granted("what is there at first", &changeset).await?;
        follow(&mut world, &changeset)?;
    }
    let claimed = stage.claim(Lane::Rooms, 1000, 9).await?;
    same("the room that is due", &claimed.len(), &1)?;
    world.claim(
        Lane::Rooms,
        at(1000),
        at(1000).after(Seconds::new(LEASE_SECONDS)),
        9,
    );
    Ok(world)
}

/// Something of each kind that a changeset can hold.
fn everything() -> Changeset {
    let elsewhere = Seat {
        slot: 4,
        check_at: at(1500),
        ..seat(2, 2)
    };
    let held = hold("hold", 3, 10);
    let orders = [
        plain(grant(1, 40)),
        plain(transfer("spend", spendable(2), spendable(1), 20)),
        guarded(transfer("rest", spendable(2), revenue(), 99), Guard::UpTo),
        plain(hold("other hold", 3, 5)),
        plain(resolve("void", held, Action::Void { of: held.id }, 10)),
    ];
    let fact = Fact::Outage {
        from: at(1),
        to: at(8),
    };
    let rest = Changeset {
        transfers: orders.to_vec(),
        journal: vec![Entry::new(at(9), fact)],
        intents: vec![intent(1), intent(3)],
        idempotency: Some(answer(1)),
        ..Changeset::default()
    };
    [
        inserting([challenge(1)]),
        inserting([unjoined(1, 1000)]),
        updating(1, elsewhere),
        updating(
            1,
            Challenge {
                forget_at: at(2000),
                ..challenge(2)
            },
        ),
        deleting(1, nonce(2, 2, 1000).key()),
        rest,
    ]
    .into_iter()
    .fold(Changeset::default(), both)
}

async fn unchanged(stage: &Stage, world: &World) -> Result<(), Broken> {
    let missing = [
        challenge(1).key(),
        answer(1).key(),
        intent(1).key(),
        room(1).key(),
        room(7).key(),
        seat(7, 3).key(),
        Key::Account(spendable(1)),
        Key::Account(spendable(8)),
        Key::Account(account(1, AccountKind::GrantBase)),
    ];
    same_rows(stage.store(), world, &missing).await
}

async fn ends_well(stage: &Stage, world: &mut World, changeset: &Changeset) -> Result<(), Broken> {
    let receipt = stage.granted("the rest, alone", changeset).await?;
    same(
        "the receipt of the rest, alone",
        &receipt,
        &follow(world, changeset)?,
    )?;
    let after = "after the rest was committed alone";
    same_rows(stage.store(), world, &[])
        .await
        .map_err(|broken| broken.during(after))?;
    same_transfers(stage.store(), world)
        .await
        .map_err(|broken| broken.during(after))?;
    same_queues(stage, world)
        .await
        .map_err(|broken| broken.during(after))
}

fn follow(
    world: &mut World,
    changeset: &Changeset,
) -> Result<session_core::changeset::Receipt, Broken> {
    let delta = apply(world, changeset)?;
    world.absorb(&delta);
    Ok(delta.receipt)
}

fn nothing_but(expect: Expect) -> Changeset {
    relying(expect, Changeset::default())
}
