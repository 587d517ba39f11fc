//! Calls that wait for their turn, and are served in groups.
//!
//! Nobody lingers: a group is whatever has come while those before it were served. So one caller
//! alone is served at once and alone, and the more there are, the larger the groups.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use session_core::ports::StoreError;
use tokio::sync::{mpsc, oneshot};

use crate::error::unavailable;

/// Calls that wait at most; further ones wait outside, each for as long as its store lets it.
pub(crate) const QUEUE_MAX: usize = 1024;

/// Calls that are served together at most. Between 32 and 1,024 the figure makes no difference.
pub(crate) const GROUP_MAX: usize = 256;

/// A call that waits for its answer.
#[derive(Debug)]
pub(crate) struct Job<Ask, Answer> {
    pub(crate) ask: Ask,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// Where callers leave their jobs.
#[derive(Debug)]
pub(crate) struct Lane<Ask, Answer> {
    /// Empty once the lane is closed.
    jobs: Mutex<Option<mpsc::Sender<Job<Ask, Answer>>>>,
    patience: Duration,
}

/// Where jobs are taken from.
pub(crate) type Jobs<Ask, Answer> = mpsc::Receiver<Job<Ask, Answer>>;

impl<Ask: Send, Answer: Send> Lane<Ask, Answer> {
    /// A lane, on which callers wait so long for a place in the queue.
    pub(crate) fn new(patience: Duration) -> (Self, Jobs<Ask, Answer>) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let lane = Self {
            jobs: Mutex::new(Some(sender)),
            patience,
        };
        (lane, receiver)
    }

    /// Waits for the answer to a job. A caller that stops waiting is served all the same.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Answer, StoreError> {
        let closed = || unavailable("the store is closed");
        let jobs = self
            .jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let jobs = jobs.ok_or_else(closed)?;
        let (reply, answer) = oneshot::channel();
        let job = Job { ask, reply };
        match jobs.try_send(job) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(closed()),
            Err(mpsc::error::TrySendError::Full(job)) => {
                match jobs.send_timeout(job, self.patience).await {
                    Ok(()) => {}
                    Err(mpsc::error::SendTimeoutError::Closed(_)) => return Err(closed()),
                    Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                        return Err(unavailable("too many calls wait for the store"));
                    }
                }
            }
        }
        drop(jobs);
        answer.await.map_err(|_| closed())
    }

    /// Whether it takes no more jobs.
    pub(crate) fn is_closed(&self) -> bool {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.is_none()
    }

    /// Takes no more jobs. Those that wait are still served.
    pub(crate) fn close(&self) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        *jobs = None;
    }
}

/// Takes what else has come, up to the size of a group.
pub(crate) fn take_more<Ask, Answer>(
    jobs: &mut Jobs<Ask, Answer>,
    group: &mut Vec<Job<Ask, Answer>>,
) {
    while group.len() < GROUP_MAX {
        match jobs.try_recv() {
            Ok(job) => group.push(job),
            Err(_) => break,
        }
    }
}
