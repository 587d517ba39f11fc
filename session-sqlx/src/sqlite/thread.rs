//! Threads that serve calls on one connection each.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use session_core::changeset::Changeset;
use session_core::ports::{self, Claim, Claimed, Read, StoreError, StoredRow};
use tokio::sync::mpsc;

use super::session::FileSession;
use crate::archive;
use crate::error::{OpenError, unavailable};
use crate::group::{self, Answer};
use crate::lane::{GROUP_MAX, Job, Jobs};
use crate::seen::Seen;
use crate::session::Trouble;

/// What the writing thread is asked for.
#[derive(Debug)]
pub(super) enum Write {
    Claim(Claim),
    Commit(Box<Changeset>),
}

/// What it answers.
#[derive(Debug)]
pub(super) enum Written {
    Claim(Result<Vec<Claimed>, StoreError>),
    Commit(Answer),
}

/// What a reading thread answers.
pub(super) type Found = Result<Vec<Vec<StoredRow>>, StoreError>;

/// Whoever holds one of these keeps whoever waits for all of them waiting.
pub(super) type Alive = mpsc::Sender<()>;

/// Starts the thread that writes.
pub(super) fn write(
    session: FileSession,
    seen: Arc<Seen>,
    mut jobs: Jobs<Write, Written>,
    alive: Alive,
) -> Result<(), OpenError> {
    start("session-sqlite-writer", move || {
        let _alive = alive;
        let mut session = session;
        let mut group = Vec::with_capacity(GROUP_MAX);
        while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
            write_group(&mut session, &seen, group.drain(..));
        }
    })
}

fn write_group(
    session: &mut FileSession,
    seen: &Seen,
    group: impl Iterator<Item = Job<Write, Written>>,
) {
    let mut changesets = Vec::new();
    let mut replies = Vec::new();
    for Job { ask, reply } in group {
        match ask {
            Write::Commit(changeset) => {
                changesets.push(changeset);
                replies.push(reply);
            }
            Write::Claim(claim) => {
                let claimed = now(group::claim(session, &claim));
                // Whoever asked may have stopped waiting.
                let _ = reply.send(Written::Claim(claimed));
            }
        }
    }
    if changesets.is_empty() {
        return;
    }
    let changesets: Vec<&Changeset> = changesets.iter().map(Box::as_ref).collect();
    let answers = now(group::commit(session, seen, &changesets));
    for (reply, answer) in replies.into_iter().zip(answers) {
        let _ = reply.send(Written::Commit(answer));
    }
}

/// What reading threads share.
pub(super) type SharedJobs = Arc<Mutex<Jobs<Vec<Read>, Found>>>;

/// Starts a thread that reads.
pub(super) fn read(
    session: FileSession,
    seen: Arc<Seen>,
    jobs: SharedJobs,
    alive: Alive,
) -> Result<(), OpenError> {
    start("session-sqlite-reader", move || {
        let _alive = alive;
        let mut session = session;
        let mut group = Vec::with_capacity(GROUP_MAX);
        loop {
            let taken = {
                let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
                jobs.blocking_recv_many(&mut group, GROUP_MAX)
            };
            if taken == 0 {
                return;
            }
            read_group(&mut session, &seen, std::mem::take(&mut group));
        }
    })
}

fn read_group(session: &mut FileSession, seen: &Seen, group: Vec<Job<Vec<Read>, Found>>) {
    let asked: Vec<&[Read]> = group.iter().map(|job| job.ask.as_slice()).collect();
    let found = now(group::read(session, seen, &asked));
    for (job, found) in group.into_iter().zip(found) {
        let _ = job.reply.send(found);
    }
}

/// What is shown: things, an end, or why there is none.
pub(super) type Shown = Result<Option<ports::Found>, StoreError>;

/// Things that wait to be looked at. Whoever shows waits for whoever looks.
const SHOWN_MAX: usize = 64;

/// Starts a thread that shows everything that the file holds at this instant.
pub(super) fn show(session: FileSession) -> Result<mpsc::Receiver<Shown>, OpenError> {
    let (sender, receiver) = mpsc::channel(SHOWN_MAX);
    start("session-sqlite-archive", move || {
        let mut session = session;
        let mut out = |found| {
            let sent = sender.blocking_send(Ok(Some(found)));
            sent.map_err(|_| unavailable("nobody looks any more"))
        };
        let shown = session.begin_reading();
        let shown = shown.and_then(|()| now(archive::all(&mut session, &mut out)));
        let end = shown.map(|()| None).map_err(Trouble::into_store_error);
        // Whoever asked may have stopped looking.
        let _ = sender.blocking_send(end);
    })?;
    Ok(receiver)
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    // A thread ends when there is nobody left who could ask it for anything.
    started.map(drop).map_err(OpenError::Thread)
}

/// Runs to its end what never waits for anything but a file.
fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
    }
}
