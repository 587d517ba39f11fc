//! C2, C3, C4: nothing is written over what nobody read.

use session_core::changeset::{Changeset, Expect, Key, Record, Rejection, Row, Write};
use session_core::ledger::{Account, AccountKind};
use session_core::outbox::{Intent, IntentState};
use session_core::room::Room;

use super::broken::{Broken, same};
use super::rows::{
    account, answer, at, at_version, booked, chain, challenge, deleting, event, gone, grant, host,
    inserting, intent, nonce, plain, relying, revocation, room, sealing, seat, service, spendable,
    transferring, updating,
};
use super::stage::{MALFORMED, Stage};

/// C3.
pub(super) async fn a_row_counts_its_writes(stage: &Stage) -> Result<(), Broken> {
    let key = challenge(1).key();
    stage
        .granted("an insertion", &inserting([challenge(1)]))
        .await?;
    same(
        "the version inserted",
        &stage.version(&key).await?,
        &Some(1),
    )?;
    for version in 1..4 {
        let next = nonce(1, 1, 1000 + version);
        stage.granted("an update", &updating(version, next)).await?;
        let found = stage.version(&key).await?;
        same(
            format!("the version after {version} updates"),
            &found,
            &Some(version + 1),
        )?;
    }
    stage
        .granted("the same state once more", &updating(4, nonce(1, 1, 1003)))
        .await?;
    same(
        "the version of a row that was written as it was",
        &stage.version(&key).await?,
        &Some(5),
    )?;
    stage
        .granted("a removal", &deleting(5, key.clone()))
        .await?;
    same("the version removed", &stage.version(&key).await?, &None)?;
    stage
        .granted("another insertion", &inserting([challenge(1)]))
        .await?;
    same(
        "the version of a row that came again",
        &stage.version(&key).await?,
        &Some(1),
    )
}

/// C2.
pub(super) async fn a_write_on_a_stale_reading_is_a_conflict(stage: &Stage) -> Result<(), Broken> {
    let key = challenge(1).key();
    let conflict = Rejection::Conflict(key.clone());
    for (what, stale) in [
        ("an update of what is not there", updating(1, challenge(1))),
        ("a removal of what is not there", deleting(1, key.clone())),
    ] {
        stage.refused(what, &stale, conflict.clone()).await?;
    }
    stage
        .granted("an insertion", &inserting([challenge(1)]))
        .await?;
    stage
        .granted("an update", &updating(1, nonce(1, 1, 1001)))
        .await?;
    for (what, stale) in [
        (
            "an insertion over what is there",
            inserting([nonce(1, 1, 7)]),
        ),
        ("an update of an older version", updating(1, nonce(1, 1, 7))),
        (
            "an update of a version to come",
            updating(3, nonce(1, 1, 7)),
        ),
        ("a removal of an older version", deleting(1, key.clone())),
    ] {
        stage.refused(what, &stale, conflict.clone()).await?;
    }
    let expected = super::stage::stored(2, nonce(1, 1, 1001));
    same(
        "the row after all that",
        &stage.row(&key).await?,
        &Some(expected),
    )
}

/// C2.
pub(super) async fn what_was_only_relied_on_is_checked_too(stage: &Stage) -> Result<(), Broken> {
    stage.granted("a row", &inserting([challenge(1)])).await?;
    stage
        .granted("its second version", &updating(1, nonce(1, 1, 1001)))
        .await?;
    let (there, missing) = (challenge(1).key(), challenge(2).key());
    for (what, expect) in [
        ("relying on an older version", at_version(there.clone(), 1)),
        ("relying on a version to come", at_version(there.clone(), 3)),
        (
            "relying on the absence of what is there",
            Expect::Absent(there.clone()),
        ),
        (
            "relying on a version of what is absent",
            at_version(missing.clone(), 1),
        ),
    ] {
        let key = match &expect {
            Expect::At(key, _) | Expect::Absent(key) | Expect::Claimed(key, _) => key.clone(),
        };
        let conflict = Rejection::Conflict(key);
        let writing = relying(expect.clone(), inserting([challenge(3)]));
        stage.refused(what, &writing, conflict.clone()).await?;
        let alone = relying(expect, Changeset::default());
        stage
            .refused(&format!("{what}, and writing nothing"), &alone, conflict)
            .await?;
    }
    let version = stage.version(&challenge(3).key()).await?;
    same("what was refused with it", &version, &None)?;
    let mut sound = inserting([challenge(3)]);
    sound
        .expect
        .extend([at_version(there.clone(), 2), Expect::Absent(missing)]);
    stage.granted("relying on what is so", &sound).await?;
    same(
        "what was only relied on",
        &stage.version(&there).await?,
        &Some(2),
    )
}

/// C2.
pub(super) async fn the_first_row_that_has_changed_is_named(stage: &Stage) -> Result<(), Broken> {
    stage.granted("a row", &inserting([challenge(1)])).await?;
    let stale = |n| at_version(challenge(n).key(), 9);
    let mut changeset = inserting([challenge(5)]);
    changeset.expect.extend([
        at_version(challenge(1).key(), 1),
        stale(3),
        stale(1),
        stale(2),
    ]);
    let first = Rejection::Conflict(challenge(3).key());
    stage
        .refused("three expectations that do not hold", &changeset, first)
        .await
}

/// C2.
pub(super) async fn every_kind_of_row_can_be_relied_on(stage: &Stage) -> Result<(), Broken> {
    let keys = [
        Key::Account(spendable(1)),
        sealing(1, []).key(),
        booked(1).key(),
        Key::Chain(()),
        challenge(1).key(),
        host(1).key(),
        answer(1).key(),
        intent(1).key(),
        revocation(1, 7).key(),
        room(1).key(),
        event(1, 1).key(),
        seat(1, 1).key(),
        Key::Service(()),
    ];
    for (n, key) in (40..).zip(&keys) {
        let sound = relying(Expect::Absent(key.clone()), inserting([challenge(n)]));
        let what = format!("relying on the absence of {key}");
        stage.granted(&what, &sound).await?;
        same(&what, &stage.version(key).await?, &None)?;
    }
    stage
        .granted("credit", &transferring([plain(grant(1, 5))]))
        .await?;
    stage.granted("rows", &inserting([room(1)])).await?;
    stage.granted("rows", &inserting([seat(1, 1)])).await?;
    stage.granted("rows", &inserting([challenge(1)])).await?;
    stage.granted("rows", &inserting([service(1)])).await?;
    stage.granted("rows", &inserting([intent(1)])).await?;
    stage.granted("rows", &inserting([answer(1)])).await?;
    stage.granted("rows", &inserting([sealing(1, [])])).await?;
    stage.granted("rows", &inserting([chain(1)])).await?;
    stage.granted("rows", &inserting([event(1, 1)])).await?;
    stage.granted("rows", &inserting([booked(1)])).await?;
    stage.granted("rows", &inserting([host(1)])).await?;
    stage
        .granted("rows", &inserting([revocation(1, 7)]))
        .await?;
    for (n, key) in (10..).zip(keys) {
        let conflict = Rejection::Conflict(key.clone());
        for expect in [Expect::Absent(key.clone()), at_version(key.clone(), 2)] {
            let stale = relying(expect, inserting([challenge(n)]));
            stage
                .refused(
                    &format!("relying wrongly on {key}"),
                    &stale,
                    conflict.clone(),
                )
                .await?;
        }
        let sound = relying(at_version(key.clone(), 1), inserting([challenge(n)]));
        stage.granted(&format!("relying on {key}"), &sound).await?;
    }
    // The version of an account moves with each commit that moves value.
    let more = transferring([plain(super::rows::transfer(
        "more",
        account(1, AccountKind::GrantBonus),
        spendable(1),
        1,
    ))]);
    stage.granted("more credit", &more).await?;
    let key = Key::Account(spendable(1));
    let stale = relying(at_version(key.clone(), 1), inserting([challenge(30)]));
    stage
        .refused(
            "relying on an account that moved",
            &stale,
            Rejection::Conflict(key),
        )
        .await
}

/// C4.
pub(super) async fn a_write_must_expect_what_it_replaces(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("two rows", &inserting([challenge(1), challenge(2)]))
        .await?;
    let there = challenge(1).key();
    let writes = [
        (
            "an insertion that expects nothing",
            Write::Insert(challenge(3).into()),
        ),
        (
            "an update that expects nothing",
            Write::Update(nonce(1, 1, 7).into()),
        ),
        (
            "a removal that expects nothing",
            Write::Delete(there.clone()),
        ),
    ];
    for (what, write) in writes {
        let changeset = Changeset {
            rows: vec![write],
            ..Changeset::default()
        };
        stage.refused(what, &changeset, MALFORMED).await?;
        let beside = relying(at_version(challenge(2).key(), 1), changeset);
        stage
            .refused(&format!("{what} of it"), &beside, MALFORMED)
            .await?;
    }
    let as_it_is = at_version(there.clone(), 1);
    let crossed = [
        (
            "an insertion where a row is expected",
            Write::Insert(nonce(1, 1, 7).into()),
            &as_it_is,
        ),
        (
            "an update where absence is expected",
            Write::Update(challenge(3).into()),
            &Expect::Absent(challenge(3).key()),
        ),
        (
            "a removal where absence is expected",
            Write::Delete(challenge(3).key()),
            &Expect::Absent(challenge(3).key()),
        ),
    ];
    for (what, write, expect) in crossed {
        let changeset = Changeset {
            expect: vec![expect.clone()],
            rows: vec![write],
            ..Changeset::default()
        };
        stage.refused(what, &changeset, MALFORMED).await?;
    }
    same(
        "the row after all that",
        &stage.version(&there).await?,
        &Some(1),
    )
}

/// C4.
pub(super) async fn a_row_is_written_once_in_a_changeset(stage: &Stage) -> Result<(), Broken> {
    let twice = inserting([challenge(1), challenge(1)]);
    stage
        .refused("one row inserted twice", &twice, MALFORMED)
        .await?;
    stage.granted("a row", &inserting([challenge(1)])).await?;
    let mut changed_and_removed = updating(1, nonce(1, 1, 7));
    changed_and_removed
        .rows
        .push(Write::Delete(challenge(1).key()));
    stage
        .refused("a row updated and removed", &changed_and_removed, MALFORMED)
        .await?;
    changed_and_removed.rows.reverse();
    stage
        .refused("a row removed and updated", &changed_and_removed, MALFORMED)
        .await
}

/// C4.
pub(super) async fn accounts_change_by_transfers_alone(stage: &Stage) -> Result<(), Broken> {
    let key = Key::Account(spendable(1));
    let rich = Account {
        credits_posted: 1_000_000,
        ..Account::empty(spendable(1))
    };
    stage
        .refused("an account inserted", &inserting([rich]), MALFORMED)
        .await?;
    stage
        .granted("credit", &transferring([plain(grant(1, 5))]))
        .await?;
    stage
        .refused("an account updated", &updating(1, rich), MALFORMED)
        .await?;
    stage
        .refused("an account removed", &deleting(1, key), MALFORMED)
        .await?;
    same(
        "the balance",
        &stage.account(spendable(1)).await?.balance(),
        &5,
    )
}

/// C9.
pub(super) async fn an_intent_stays_as_far_as_it_has_come(stage: &Stage) -> Result<(), Broken> {
    let intending = |intent: Intent| Changeset {
        intents: vec![intent],
        ..Changeset::default()
    };
    let key = intent(1).key();
    stage.granted("an intent", &intending(intent(1))).await?;
    same("its version", &stage.version(&key).await?, &Some(1))?;
    let submitted = Intent {
        state: IntentState::Submitted,
        attempts: 1,
        ..intent(1)
    };
    stage
        .granted("its progress", &updating(1, submitted.clone()))
        .await?;
    stage
        .granted("the same intent again", &intending(intent(1)))
        .await?;
    let expected = super::stage::stored(2, submitted);
    same(
        "the intent that was there",
        &stage.row(&key).await?,
        &Some(expected),
    )?;
    let other = Intent {
        effect: intent(2).effect,
        ..intent(1)
    };
    stage
        .refused(
            "the same intent with another effect",
            &intending(other),
            MALFORMED,
        )
        .await
}

/// C9.
pub(super) async fn a_fact_told_twice_is_no_error(stage: &Stage) -> Result<(), Broken> {
    use session_core::changeset::{Entry, Fact};
    let fact = Fact::Outage {
        from: at(1),
        to: at(8),
    };
    let entry = Entry::new(at(9), fact);
    let telling = |n| Changeset {
        journal: vec![entry.clone(), entry.clone()],
        ..inserting([challenge(n)])
    };
    stage
        .granted("a fact, twice in one changeset", &telling(1))
        .await?;
    stage.granted("the same fact again", &telling(2)).await?;
    let alone = Changeset {
        journal: vec![entry.clone()],
        ..Changeset::default()
    };
    stage.granted("the same fact alone", &alone).await?;
    Ok(())
}

/// C3.
pub(super) async fn rows_of_one_changeset_are_written_together(
    stage: &Stage,
) -> Result<(), Broken> {
    stage
        .granted(
            "three rows",
            &inserting([challenge(1), challenge(2), challenge(3)]),
        )
        .await?;
    stage.granted("a room", &inserting([room(1)])).await?;
    stage.granted("a seat", &inserting([seat(1, 1)])).await?;
    let empty = Room {
        live_seats: 0,
        ..room(1)
    };
    let changeset = [
        updating(1, gone(seat(1, 1))),
        updating(1, empty.clone()),
        updating(1, nonce(1, 1, 7)),
        deleting(1, challenge(2).key()),
        inserting([challenge(4)]),
        inserting([service(3)]),
    ]
    .into_iter()
    .fold(Changeset::default(), super::rows::both);
    stage.granted("six rows at once", &changeset).await?;
    let expected: [(Key, Option<(u64, Row)>); 7] = [
        (seat(1, 1).key(), Some((2, gone(seat(1, 1)).into()))),
        (room(1).key(), Some((2, empty.into()))),
        (challenge(1).key(), Some((2, nonce(1, 1, 7).into()))),
        (challenge(2).key(), None),
        (challenge(3).key(), Some((1, challenge(3).into()))),
        (challenge(4).key(), Some((1, challenge(4).into()))),
        (Key::Service(()), Some((1, service(3).into()))),
    ];
    for (key, expected) in expected {
        let found = stage
            .row(&key)
            .await?
            .map(|stored| (stored.version.get(), stored.row));
        same(key, &found, &expected)?;
    }
    Ok(())
}
