//! C8: answers that are kept for repeats of a request.

use session_core::changeset::{Changeset, Record, Rejection, Write};
use session_core::idempotency::IdempotencyRecord;

use super::broken::{Broken, same};
use super::rows::{
    answer, at, both, challenge, deleting, grant, inserting, plain, spendable, transferring,
    updating, wallet,
};
use super::stage::{Stage, stored};

fn keeping(record: IdempotencyRecord) -> Changeset {
    Changeset {
        idempotency: Some(record),
        ..Changeset::default()
    }
}

/// C8.
pub(super) async fn an_answer_is_kept_with_its_effect(stage: &Stage) -> Result<(), Broken> {
    let effect = both(
        inserting([challenge(1)]),
        transferring([plain(grant(1, 5))]),
    );
    let changeset = both(effect, keeping(answer(1)));
    let receipt = stage
        .granted("an effect and its answer", &changeset)
        .await?;
    same(
        "its receipt",
        &receipt,
        &super::ledger::moved([(grant(1, 5).id, 5)]),
    )?;
    let kept = stage.row(&answer(1).key()).await?;
    same("the answer", &kept, &Some(stored(1, answer(1))))?;
    let effect = stage.row(&challenge(1).key()).await?;
    same("the effect", &effect, &Some(stored(1, challenge(1))))?;
    stage
        .granted("an answer without an effect", &keeping(answer(2)))
        .await?;
    let kept = stage.row(&answer(2).key()).await?;
    same(
        "the answer without an effect",
        &kept,
        &Some(stored(1, answer(2))),
    )
}

/// C8.
pub(super) async fn a_second_answer_is_a_conflict(stage: &Stage) -> Result<(), Broken> {
    stage.granted("an answer", &keeping(answer(1))).await?;
    let conflict = || Rejection::Conflict(answer(1).key());
    let another = IdempotencyRecord {
        answer: "{}".to_owned(),
        fingerprint: [8; 16],
        ..answer(1)
    };
    stage
        .refused("the same answer again", &keeping(answer(1)), conflict())
        .await?;
    stage
        .refused(
            "another under its key",
            &keeping(another.clone()),
            conflict(),
        )
        .await?;
    let beside = both(inserting([challenge(1)]), keeping(another));
    let beside = both(beside, transferring([plain(grant(1, 5))]));
    stage
        .refused("another with an effect", &beside, conflict())
        .await?;
    same(
        "the effect",
        &stage.version(&challenge(1).key()).await?,
        &None,
    )?;
    same(
        "the credit",
        &stage.account(spendable(1)).await?.balance(),
        &0,
    )?;
    let kept = stage.row(&answer(1).key()).await?;
    same(
        "the answer that is kept",
        &kept,
        &Some(stored(1, answer(1))),
    )
}

/// C8.
pub(super) async fn a_key_is_of_one_caller_and_one_command(stage: &Stage) -> Result<(), Broken> {
    stage.granted("an answer", &keeping(answer(1))).await?;
    let mut other_caller = answer(1);
    other_caller.key.caller = wallet(2);
    let mut other_command = answer(1);
    "rooms.leave".clone_into(&mut other_command.key.command);
    let mut other_key = answer(1);
    "KEY".clone_into(&mut other_key.key.key);
    // Joined by a stroke without care, the two would be one name.
    let mut shifted = answer(1);
    "rooms".clone_into(&mut shifted.key.command);
    "join/key".clone_into(&mut shifted.key.key);
    for (what, record) in [
        ("the key of another caller", other_caller),
        ("the key of another command", other_command),
        ("another key", other_key),
        ("a key with a stroke in it", shifted),
    ] {
        stage.granted(what, &keeping(record.clone())).await?;
        let kept = stage.row(&record.key()).await?;
        same(what, &kept, &Some(stored(1, record)))?;
    }
    Ok(())
}

/// C8.
pub(super) async fn a_forgotten_answer_can_be_given_anew(stage: &Stage) -> Result<(), Broken> {
    stage.granted("an answer", &keeping(answer(1))).await?;
    let later = IdempotencyRecord {
        expires_at: at(20_000),
        ..answer(1)
    };
    let mut as_a_row = updating(1, later);
    as_a_row.rows.extend(inserting([challenge(1)]).rows);
    as_a_row.expect.extend(inserting([challenge(1)]).expect);
    stage
        .granted("an answer that is kept for longer", &as_a_row)
        .await?;
    let mut forgetting = deleting(2, answer(1).key());
    forgetting.rows.push(Write::Delete(challenge(1).key()));
    forgetting
        .expect
        .extend(deleting(1, challenge(1).key()).expect);
    stage.granted("its removal", &forgetting).await?;
    let anew = IdempotencyRecord {
        answer: "{}".to_owned(),
        ..answer(1)
    };
    stage
        .granted("another answer under its key", &keeping(anew.clone()))
        .await?;
    let kept = stage.row(&anew.key()).await?;
    same("the answer that is kept", &kept, &Some(stored(1, anew)))
}
