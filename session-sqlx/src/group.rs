//! Committing a group of changesets: one transaction, a verdict for each of them.
//!
//! This is the one place in which anything is tried again, but for readings that a serializable
//! database undid. What may be: a transaction that was
//! certainly undone, and a changeset whose idempotency record makes a second writing of it a
//! conflict. A connection that is lost while a commit is under way leaves everything else in
//! doubt, and the callers hear that.

use std::collections::BTreeSet;

use session_core::changeset::{Changeset, Lane, Receipt, Rejection};
use session_core::ports::{
    Claim, Claimed, CommitError, Read, StoreError, StoreErrorKind, StoredRow,
};

use crate::error::unavailable;
use crate::fold::{Fold, Verdict};
use crate::seen::Seen;
use crate::session::{Session, Trouble};
use crate::wanted::{Wanted, lock, world};
use crate::work;

/// How often a group is tried as a whole before its members are tried one by one.
const GROUP_TRIES_MAX: u32 = 4;

/// How often one transaction is tried where connections break, or where others keep getting in its
/// way who were served each time.
const TRIES_MAX: u32 = 32;

/// How often one changeset is tried alone. A serializable database undoes whoever touches a page
/// that others touch: of twelve at once thirty in a row were seen, once in two hundred times.
const UNDONE_MAX: u32 = 512;

/// What a caller is told of its changeset.
pub(crate) type Answer = Result<Receipt, CommitError>;

/// Commits changesets, none of which waits for another: each alone decides what becomes of it.
pub(crate) async fn commit<S: Session>(
    session: &mut S,
    seen: &Seen,
    changesets: &[&Changeset],
) -> Vec<Answer> {
    let mut answers: Vec<Option<Answer>> = beat(session, seen, changesets).await;
    let open: Vec<usize> = (0..changesets.len())
        .filter(|index| answers.get(*index).is_some_and(Option::is_none))
        .collect();
    let left: Vec<&Changeset> = open
        .iter()
        .filter_map(|index| changesets.get(*index).copied())
        .collect();
    if !left.is_empty() {
        let told = commit_locked(session, seen, &left).await;
        for (index, answer) in open.into_iter().zip(told) {
            if let Some(place) = answers.get_mut(index) {
                *place = Some(answer);
            }
        }
    }
    let unanswered = || Err(unavailable("a commit was not answered").into());
    let answers = answers.into_iter();
    answers
        .map(|answer| answer.unwrap_or_else(unanswered))
        .collect()
}

/// The short way: changesets that only meter and pay, decided on rows as they were seen last and
/// written if they still are so. `None` for those that must take the long way.
async fn beat<S: Session>(
    session: &mut S,
    seen: &Seen,
    changesets: &[&Changeset],
) -> Vec<Option<Answer>> {
    let nothing = || changesets.iter().map(|_| None).collect();
    let Ok((fold, receipts)) = seen.guess(changesets) else {
        return nothing();
    };
    let Ok(Some(beats)) = fold.beats() else {
        return nothing();
    };
    if !fold.writes() {
        return nothing();
    }
    match session.beat(&beats).await {
        Ok(()) => {
            seen.remember(fold.after());
            receipts
                .into_iter()
                .map(|receipt| receipt.map(Ok))
                .collect()
        }
        // Lost, it is in doubt: whether it was written, the repeat of a request will find.
        Err(Trouble::Lost(error) | Trouble::Failed(error)) => {
            let failed = |_| Err(error.clone().into());
            receipts
                .into_iter()
                .map(|receipt| receipt.map(failed))
                .collect()
        }
        Err(_) => {
            let keys = changesets.iter().flat_map(|changeset| changeset.written());
            seen.forget(&keys.collect());
            nothing()
        }
    }
}

/// The long way: everything that the changesets name is locked, read and then written.
async fn commit_locked<S: Session>(
    session: &mut S,
    seen: &Seen,
    changesets: &[&Changeset],
) -> Vec<Answer> {
    if changesets.len() > 1 {
        for _ in 0..GROUP_TRIES_MAX {
            match attempt(session, seen, changesets).await {
                Ok(verdicts) => return verdicts.into_iter().map(told).collect(),
                Err((Trouble::Again(_) | Trouble::Stale | Trouble::Taken(_), _)) => {}
                Err((Trouble::Lost(_), At::Work)) => {}
                // One by one: those with a record may be tried again, and a poisoned one must
                // not fail its neighbours.
                Err((Trouble::Lost(_), At::Commit)) => {
                    return after_doubt(session, seen, changesets).await;
                }
                Err((Trouble::Poisoned(_), _)) => break,
                Err((Trouble::Failed(error), _)) => {
                    return changesets
                        .iter()
                        .map(|_| Err(error.clone().into()))
                        .collect();
                }
            }
        }
    }
    let mut answers = Vec::with_capacity(changesets.len());
    for changeset in changesets {
        answers.push(commit_one(session, seen, changeset).await);
    }
    answers
}

async fn commit_one<S: Session>(session: &mut S, seen: &Seen, changeset: &Changeset) -> Answer {
    let mut last = None;
    let mut lost: u32 = 0;
    for _ in 0..UNDONE_MAX {
        if lost == TRIES_MAX {
            break;
        }
        match attempt(session, seen, &[changeset]).await {
            Ok(mut verdicts) => {
                let verdict = verdicts.pop();
                return verdict.map_or_else(|| Err(unavailable("no verdict").into()), told);
            }
            Err((Trouble::Again(error) | Trouble::Taken(error), _)) => {
                last = Some(Trouble::Again(error));
            }
            Err((Trouble::Lost(error), At::Commit)) if changeset.idempotency.is_none() => {
                return Err(error.into());
            }
            Err((Trouble::Lost(error), _)) => {
                lost = lost.saturating_add(1);
                last = Some(Trouble::Lost(error));
            }
            Err((Trouble::Poisoned(error), _)) => return Err(error),
            Err((trouble, _)) => return Err(trouble.into_store_error().into()),
        }
    }
    match (last, changeset.keys().into_iter().next()) {
        // Others were served each time: the world has moved on.
        (Some(Trouble::Again(_)), Some(key)) => Err(Rejection::Conflict(key).into()),
        (Some(trouble), _) => Err(trouble.into_store_error().into()),
        (None, _) => Err(unavailable("a commit was not tried").into()),
    }
}

/// Changesets whose group may have been committed. With a record a second writing of one would be
/// a conflict, so it is safe to try; without one nobody knows.
async fn after_doubt<S: Session>(
    session: &mut S,
    seen: &Seen,
    changesets: &[&Changeset],
) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(changesets.len());
    let mut gone: Option<StoreError> = None;
    for changeset in changesets {
        let answer = match (&gone, &changeset.idempotency) {
            // Nobody else is to wait for a database that is away.
            (Some(error), _) => Err(error.clone().into()),
            (None, Some(_)) => commit_one(session, seen, changeset).await,
            (None, None) => {
                Err(unavailable("the connection was lost while a commit was under way").into())
            }
        };
        if let (Err(CommitError::Store(error)), Some(_)) = (&answer, &changeset.idempotency) {
            gone = Some(error.clone());
        }
        answers.push(answer);
    }
    answers
}

fn told(verdict: Verdict) -> Answer {
    verdict.map_err(CommitError::Rejected)
}

/// How far an attempt had come.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Before its commit: it is undone.
    Work,
    /// The commit was asked for.
    Commit,
}

/// One transaction.
async fn attempt<S: Session>(
    session: &mut S,
    seen: &Seen,
    changesets: &[&Changeset],
) -> Result<Vec<Verdict>, (Trouble, At)> {
    session
        .begin()
        .await
        .map_err(|trouble| (trouble, At::Work))?;
    let fold = match write(session, changesets).await {
        Ok(fold) => fold,
        Err(trouble) => {
            session.rollback().await;
            return Err((trouble, At::Work));
        }
    };
    if !fold.writes() {
        session.rollback().await;
        return Ok(fold.verdicts);
    }
    if let Err(trouble) = session.commit().await {
        // What is deferred to the commit is refused there; the transaction is undone then.
        session.rollback().await;
        return Err((trouble, At::Commit));
    }
    seen.remember(fold.after());
    Ok(fold.verdicts)
}

async fn write<S: Session>(session: &mut S, changesets: &[&Changeset]) -> Result<Fold, Trouble> {
    let world = lock(session, changesets).await?;
    let fold = Fold::of(world, changesets)?;
    if fold.writes() {
        fold.write(session).await?;
    }
    // Also where nothing is written: what was read may be of several instants.
    if !session.locks_everything() && fold.relies_on_absence() {
        fold.hold_absent(session).await?;
    }
    Ok(fold)
}

/// Commits a changeset inside a transaction that somebody else holds, between whose parts
/// `session` begins and commits. Tries once: what went wrong may have ended the whole of it. What
/// comes back: the receipt, and the queues in which something was placed.
pub(crate) async fn commit_within<S: Session>(
    session: &mut S,
    changeset: &Changeset,
) -> Result<(Receipt, BTreeSet<Lane>), CommitError> {
    let trouble = match part(session, changeset).await {
        Ok((verdict, lanes)) => return Ok((told(verdict)?, lanes)),
        Err(trouble) => trouble,
    };
    session.rollback().await;
    match (trouble, changeset.keys().into_iter().next()) {
        (Trouble::Taken(_), Some(key)) => Err(Rejection::Conflict(key).into()),
        (Trouble::Poisoned(error), _) => Err(error),
        (trouble, _) => Err(trouble.into_store_error().into()),
    }
}

async fn part<S: Session>(
    session: &mut S,
    changeset: &Changeset,
) -> Result<(Verdict, BTreeSet<Lane>), Trouble> {
    session.begin().await?;
    let mut fold = write(session, &[changeset]).await?;
    let lanes = fold.lanes();
    let verdict = fold.verdicts.pop();
    session.commit().await?;
    let verdict = verdict.ok_or_else(|| Trouble::Failed(unavailable("no verdict")))?;
    Ok((verdict, lanes))
}

/// What a caller is told of its reads.
pub(crate) type Lists = Result<Vec<Vec<StoredRow>>, StoreError>;

/// Answers reads of several callers, all of one instant. Where something of what they ask for
/// cannot be read, each is answered alone, so that it fails nobody else.
pub(crate) async fn read<S: Session>(
    session: &mut S,
    seen: &Seen,
    callers: &[&[Read]],
) -> Vec<Lists> {
    match read_together(session, seen, callers).await {
        Ok(found) => found.into_iter().map(Ok).collect(),
        Err(error) if error.kind == StoreErrorKind::Corrupt && callers.len() > 1 => {
            let mut answers = Vec::with_capacity(callers.len());
            for caller in callers {
                let alone = read_together(session, seen, &[caller]).await;
                answers.push(alone.map(|found| found.into_iter().flatten().collect()));
            }
            answers
        }
        Err(error) => callers.iter().map(|_| Err(error.clone())).collect(),
    }
}

async fn read_together<S: Session>(
    session: &mut S,
    seen: &Seen,
    callers: &[&[Read]],
) -> Result<Vec<Vec<Vec<StoredRow>>>, StoreError> {
    let wanted = Wanted::of_reads(callers.iter().copied().flatten());
    let mut tries = 0;
    let found = loop {
        tries += 1;
        match session.find(&wanted).await {
            Ok(found) => break found,
            Err(Trouble::Again(_) | Trouble::Taken(_) | Trouble::Lost(_)) if tries < TRIES_MAX => {}
            Err(trouble) => return Err(trouble.into_store_error()),
        }
    };
    let world = world(&found).map_err(Trouble::into_store_error)?;
    seen.remember(world.rows().map(|(_, version, row)| (version, row)));
    let answer = |reads: &&[Read]| reads.iter().map(|read| world.find(read)).collect();
    Ok(callers.iter().map(answer).collect())
}

/// Claims due rows.
pub(crate) async fn claim<S: Session>(
    session: &mut S,
    claim: &Claim,
) -> Result<Vec<Claimed>, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match claim_once(session, claim).await {
            Ok(claimed) => return Ok(claimed),
            // A claim that nobody heard of is handed out again when its lease ends.
            Err(Trouble::Again(_) | Trouble::Taken(_) | Trouble::Lost(_)) if tries < TRIES_MAX => {}
            Err(trouble) => return Err(trouble.into_store_error()),
        }
    }
}

async fn claim_once<S: Session>(session: &mut S, claim: &Claim) -> Result<Vec<Claimed>, Trouble> {
    let parameters = work::claim(claim).map_err(|rejection| Trouble::Poisoned(rejection.into()))?;
    session.begin().await?;
    match session.fetch(&work::CLAIM, &[parameters]).await {
        Ok(found) => {
            session.commit().await?;
            Ok(work::claimed(&found))
        }
        Err(trouble) => {
            session.rollback().await;
            Err(trouble)
        }
    }
}

/// Whether the database answers and has the schema.
pub(crate) async fn ping<S: Session>(session: &mut S) -> Result<(), StoreError> {
    let keys = BTreeSet::from([session_core::changeset::Key::Service(())]);
    let wanted = Wanted {
        keys,
        ..Wanted::default()
    };
    let found = session.find(&wanted).await;
    found.map(|_| ()).map_err(Trouble::into_store_error)
}
