//! Tasks: what is going on at once.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use session_core::changeset::Lane;
use session_core::outage::Span;
use session_core::service::{ExecuteError, Worked};

use super::Reply;

pub(crate) type TaskId = u32;

/// Something that runs a bit each time it is polled.
pub(crate) type Work = Pin<Box<dyn Future<Output = Output> + Send>>;

/// What a task is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The shared beat.
    Beat,
    /// An intent that a request waits for.
    Dispatched,
    /// A pass over a lane.
    Lane(Lane),
    /// A request, by its place among those sent.
    Request(usize),
    /// The first beat of a process.
    Start,
}

/// What a task came to.
#[derive(Debug)]
pub(crate) enum Output {
    Answered(Reply),
    Beaten(Result<Option<Span>, ExecuteError>),
    Over,
    Worked(Result<Worked, ExecuteError>),
}

/// A task that another one started.
pub(crate) struct Spawned {
    pub(crate) task: TaskId,
    pub(crate) server: usize,
    pub(crate) kind: Kind,
    pub(crate) future: Work,
}

impl fmt::Debug for Spawned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Spawned({}, {:?})", self.task, self.kind)
    }
}

/// A task that is not over.
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) server: usize,
    pub(crate) kind: Kind,
    pub(crate) future: Work,
    /// It is not polled before this.
    pub(crate) not_before: u64,
}
