//! Failpoints: named places at which a test makes this process die, wait or fail.
//!
//! `SESSION_FAILPOINTS=request.commit.after=kill@1` ends the process when the first commit of a
//! request has been written and nobody has been told. Requests and workers have points of their
//! own, and so has the sealing of the journal; the shared beat passes none. So a test which sends one
//! request knows whose passes it counts.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use session_core::changeset::{Changeset, Lane, Receipt, Row, Write};
use session_core::ports::{
    Claim, Claimed, CommitError, Read, Store, StoreError, StoreErrorKind, StoredRow,
};
use tokio::signal::unix::{SignalKind, signal};

/// Who calls the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    Request,
    Worker,
}

/// A place that can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    RequestRead,
    RequestCommitBefore,
    RequestCommitAfter,
    WorkerClaimBefore,
    WorkerClaimAfter,
    WorkerCommitBefore,
    WorkerCommitAfter,
    SealCommitBefore,
    SealCommitAfter,
}

impl Point {
    const ALL: [Self; 9] = [
        Self::RequestRead,
        Self::RequestCommitBefore,
        Self::RequestCommitAfter,
        Self::WorkerClaimBefore,
        Self::WorkerClaimAfter,
        Self::WorkerCommitBefore,
        Self::WorkerCommitAfter,
        Self::SealCommitBefore,
        Self::SealCommitAfter,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::RequestRead => "request.read",
            Self::RequestCommitBefore => "request.commit.before",
            Self::RequestCommitAfter => "request.commit.after",
            Self::WorkerClaimBefore => "worker.claim.before",
            Self::WorkerClaimAfter => "worker.claim.after",
            Self::WorkerCommitBefore => "worker.commit.before",
            Self::WorkerCommitAfter => "worker.commit.after",
            Self::SealCommitBefore => "seal.commit.before",
            Self::SealCommitAfter => "seal.commit.after",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::RequestRead => "a request is about to read rows",
            Self::RequestCommitBefore => "a request has decided, nothing is written",
            Self::RequestCommitAfter => "a request's changes are written, nobody is told",
            Self::WorkerClaimBefore => "a worker is about to look for due rows",
            Self::WorkerClaimAfter => "a worker has claimed at least one row",
            Self::WorkerCommitBefore => "a worker has decided on a claimed row, nothing is written",
            Self::WorkerCommitAfter => "a worker's changes of a claimed row are written",
            Self::SealCommitBefore => "a worker has made a block, nothing is written",
            Self::SealCommitAfter => "a worker's block is written",
        }
    }
}

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// The call fails as unavailable.
    Error,
    /// The process ends at once, without a drain.
    Kill,
    /// The call waits until the process gets SIGUSR1.
    Pause,
}

impl Action {
    const ALL: [Self; 3] = [Self::Error, Self::Kill, Self::Pause];

    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Kill => "kill",
            Self::Pause => "pause",
        }
    }
}

/// What happens at which pass of which point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Armed {
    point: Point,
    action: Action,
    /// Counted from 1.
    pass: u64,
}

impl fmt::Display for Armed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (point, action) = (self.point.name(), self.action.name());
        write!(f, "{point}={action}@{}", self.pass)
    }
}

impl FromStr for Armed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split_once('=')
            .and_then(|(name, rest)| Some((name, rest.split_once('@')?)));
        let Some((name, (action, pass))) = parts else {
            return Err(format!("{text:?} is not of the form name=action@n"));
        };
        let point = Point::ALL.into_iter().find(|point| point.name() == name);
        let point = point.ok_or_else(|| {
            let names = Point::ALL.map(Point::name).join(", ");
            format!("there is no point {name:?}, but {names}")
        })?;
        let known = Action::ALL.into_iter();
        let action = known.clone().find(|known| known.name() == action);
        let action = action.ok_or_else(|| format!("{text:?} does not say kill, error or pause"))?;
        let pass = pass.parse().ok().filter(|pass| *pass > 0);
        let pass = pass.ok_or_else(|| format!("{text:?} does not say which pass, from 1 on"))?;
        Ok(Self {
            point,
            action,
            pass,
        })
    }
}

/// Everything that is to happen. Empty wherever nobody tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Failpoints(Vec<Armed>);

impl Failpoints {
    /// Whether nothing is to happen.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every point, a line for each.
    pub(crate) fn points() -> impl Iterator<Item = String> {
        let line = |point: Point| format!("{}: {}", point.name(), point.meaning());
        Point::ALL.into_iter().map(line)
    }

    /// The store as requests see it, and as workers do. They pass points of their own.
    pub(crate) fn around(self, store: Arc<dyn Store>) -> [Arc<dyn Store>; 2] {
        if self.is_empty() {
            return [store.clone(), store];
        }
        let passes = Arc::new(Passes {
            armed: self.0,
            counts: Default::default(),
        });
        [Caller::Request, Caller::Worker].map(|caller| -> Arc<dyn Store> {
            Arc::new(Failing {
                store: store.clone(),
                caller,
                passes: passes.clone(),
            })
        })
    }
}

impl fmt::Display for Failpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let armed: Vec<String> = self.0.iter().map(Armed::to_string).collect();
        f.write_str(&armed.join(","))
    }
}

impl FromStr for Failpoints {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let armed: Result<_, String> = text.split(',').map(str::parse).collect();
        armed.map(Self)
    }
}

/// How often each point was passed.
#[derive(Debug)]
struct Passes {
    armed: Vec<Armed>,
    counts: [AtomicU64; Point::ALL.len()],
}

impl Passes {
    /// Passes a point, and does what is to happen there.
    async fn pass(&self, point: Point) -> Result<(), StoreError> {
        let places = Point::ALL.into_iter().zip(&self.counts);
        let count = places.filter(|(other, _)| *other == point);
        let count: u64 = count
            .map(|(_, count)| count.fetch_add(1, Ordering::Relaxed).saturating_add(1))
            .sum();
        for armed in &self.armed {
            if armed.point == point && armed.pass == count {
                armed.fire().await?;
            }
        }
        Ok(())
    }
}

impl Armed {
    async fn fire(self) -> Result<(), StoreError> {
        let failed = |detail| StoreError {
            kind: StoreErrorKind::Unavailable,
            detail,
        };
        match self.action {
            Action::Error => {
                tracing::warn!("failpoint {self}: the call fails");
                Err(failed(format!("failpoint {self}")))
            }
            Action::Kill => {
                tracing::warn!("failpoint {self}: the process ends");
                std::process::abort()
            }
            Action::Pause => {
                let woken = signal(SignalKind::user_defined1());
                let mut woken = woken.map_err(|error| failed(error.to_string()))?;
                tracing::warn!("failpoint {self}: the call waits for SIGUSR1");
                woken.recv().await;
                tracing::warn!("failpoint {self}: the call goes on");
                Ok(())
            }
        }
    }
}

/// A store that fails where it is told to.
#[derive(Debug)]
struct Failing {
    store: Arc<dyn Store>,
    caller: Caller,
    passes: Arc<Passes>,
}

#[async_trait]
impl Store for Failing {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        if self.caller == Caller::Request {
            self.passes.pass(Point::RequestRead).await?;
        }
        self.store.read(reads).await
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        let (before, after) = match (Kind::of(changeset), self.caller) {
            (Kind::Routine, _) => return self.store.commit(changeset).await,
            (Kind::Block, _) => (Point::SealCommitBefore, Point::SealCommitAfter),
            (Kind::Other, Caller::Request) => {
                (Point::RequestCommitBefore, Point::RequestCommitAfter)
            }
            (Kind::Other, Caller::Worker) => (Point::WorkerCommitBefore, Point::WorkerCommitAfter),
        };
        self.passes.pass(before).await?;
        let receipt = self.store.commit(changeset).await?;
        self.passes.pass(after).await?;
        Ok(receipt)
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        if claim.lane == Lane::Seal {
            return self.store.claim_due(claim).await;
        }
        self.passes.pass(Point::WorkerClaimBefore).await?;
        let claimed = self.store.claim_due(claim).await?;
        if !claimed.is_empty() {
            self.passes.pass(Point::WorkerClaimAfter).await?;
        }
        Ok(claimed)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

/// What a changeset is about, as far as points tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It inserts a block.
    Block,
    /// It says that this server is alive, or that there was nothing to seal: every few seconds.
    Routine,
    Other,
}

impl Kind {
    fn of(changeset: &Changeset) -> Self {
        let mut kind = Self::Other;
        for write in &changeset.rows {
            match write {
                Write::Insert(Row::Block(_)) => return Self::Block,
                Write::Insert(Row::Chain(_) | Row::Service(_))
                | Write::Update(Row::Chain(_) | Row::Service(_)) => kind = Self::Routine,
                Write::Insert(_) | Write::Update(_) | Write::Delete(_) => {}
            }
        }
        kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_shown_as_it_was_written() {
        for text in [
            "request.read=error@3",
            "request.commit.after=kill@1,worker.claim.after=pause@18446744073709551615",
        ] {
            assert_eq!(text.parse::<Failpoints>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_point_no_action_or_no_pass_is_refused() {
        for text in [
            "",
            ",",
            "request.read",
            "request.read=error",
            "request.read=error@0",
            "request.read=error@-1",
            "request.read=error@",
            "request.read=panic@1",
            "request.write=error@1",
            "request.read=error@1,",
            " request.read=error@1",
        ] {
            assert!(text.parse::<Failpoints>().is_err(), "{text:?}");
        }
    }
}
