//! A store under a check, and what checks do with it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use session_core::changeset::{Changeset, Key, Lane, Loaded, Receipt, Record, Rejection, Version};
use session_core::ledger::{Account, AccountKey};
use session_core::ports::{Claim, Claimed, CommitError, Read, Store, StoredRow};
use session_core::types::Seconds;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Barrier;

use super::broken::{Broken, holds, same};
use super::rows::at;
use super::{Database, Effort};

/// What a commit answers, when the store answers. Texts for people are left out.
pub(super) type Verdict = Result<Receipt, Rejection>;

/// A changeset that contradicts itself or the contract, whatever a store says of it.
pub(super) const MALFORMED: Rejection = Rejection::Malformed("");

/// Two handles on one state, as two servers have them.
pub(super) struct Stage {
    database: Box<dyn Database>,
    handles: Vec<Arc<dyn Store>>,
    turn: AtomicUsize,
    pub(super) effort: Effort,
}

impl Stage {
    pub(super) async fn open(database: Box<dyn Database>, effort: Effort) -> Self {
        let mut stage = Self {
            database,
            handles: Vec::new(),
            turn: AtomicUsize::new(0),
            effort,
        };
        stage.restart().await;
        stage
    }

    /// Drops both handles, then opens new ones.
    pub(super) async fn restart(&mut self) {
        self.handles.clear();
        for _ in 0..HANDLES {
            self.handles.push(self.database.open().await);
        }
    }

    /// The handle that checks use which need but one.
    pub(super) fn store(&self) -> &dyn Store {
        &*self.handles[0]
    }

    /// A handle for the task of this number: neighbours get different ones.
    pub(super) fn handle(&self, task: usize) -> Arc<dyn Store> {
        self.handles[task % HANDLES].clone()
    }

    /// The numbers of the rounds of a race. Rows of different rounds have nothing in common when
    /// their numbers are made as `round + n` with `n` below [`ROUND`].
    pub(super) fn rounds(&self) -> impl Iterator<Item = u32> + use<> {
        let rounds = u32::try_from(self.effort.rounds).unwrap_or(u32::MAX);
        let rounds = rounds.min(u32::MAX / ROUND - 1);
        (1..=rounds).map(|round| round * ROUND)
    }

    pub(super) async fn commit(&self, changeset: &Changeset) -> Result<Verdict, Broken> {
        verdict(self.store().commit(changeset).await)
    }

    /// Commits what has to be granted.
    pub(super) async fn granted(
        &self,
        what: &str,
        changeset: &Changeset,
    ) -> Result<Receipt, Broken> {
        let answer = self.commit(changeset).await;
        answer
            .and_then(|verdict| verdict.map_err(Broken::from))
            .map_err(|broken| broken.during(what))
    }

    /// Commits what has to be refused for this reason.
    pub(super) async fn refused(
        &self,
        what: &str,
        changeset: &Changeset,
        why: Rejection,
    ) -> Result<(), Broken> {
        let verdict = self.commit(changeset).await.map_err(|b| b.during(what))?;
        same(what, &verdict, &Err(why))
    }

    pub(super) async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, Broken> {
        let lists = self.store().read(reads).await?;
        same("how many lists there are", &lists.len(), &reads.len())?;
        Ok(lists)
    }

    pub(super) async fn list(&self, read: Read) -> Result<Vec<StoredRow>, Broken> {
        Ok(self.read(&[read]).await?.swap_remove(0))
    }

    pub(super) async fn row(&self, key: &Key) -> Result<Option<StoredRow>, Broken> {
        let mut found = self.list(Read::Row(key.clone())).await?;
        holds(found.len() <= 1, || {
            format!("one row is asked for: {found:?}")
        })?;
        Ok(found.pop())
    }

    /// The version of a row; `None` where there is none.
    pub(super) async fn version(&self, key: &Key) -> Result<Option<u64>, Broken> {
        Ok(self.row(key).await?.map(|stored| stored.version.get()))
    }

    /// A row as a decision finds it.
    pub(super) async fn load<T: Record>(&self, key: Key) -> Result<Loaded<T>, Broken> {
        load(self.store(), key).await
    }

    /// The sums of an account; empty where it has no row.
    pub(super) async fn account(&self, key: AccountKey) -> Result<Account, Broken> {
        let found: Loaded<Account> = self.load(Key::Account(key)).await?;
        Ok(found.value().copied().unwrap_or(Account::empty(key)))
    }

    /// Claims for ten seconds.
    pub(super) async fn claim(
        &self,
        lane: Lane,
        now: u64,
        rows_max: usize,
    ) -> Result<Vec<Claimed>, Broken> {
        let lease = Seconds::new(LEASE_SECONDS);
        let claim = Claim {
            lane,
            now: at(now),
            lease,
            rows_max,
        };
        Ok(self.store().claim_due(&claim).await?)
    }

    /// The names of the rows that are claimed for ten seconds.
    pub(super) async fn claim_keys(
        &self,
        lane: Lane,
        now: u64,
        rows_max: usize,
    ) -> Result<Vec<Key>, Broken> {
        let claimed = self.claim(lane, now, rows_max).await?;
        Ok(claimed.into_iter().map(|claimed| claimed.key).collect())
    }

    /// Commits changesets that all begin together, on both handles. Their answers, in order.
    pub(super) async fn commit_at_once(
        &self,
        changesets: impl IntoIterator<Item = Changeset>,
    ) -> Result<Vec<Verdict>, Broken> {
        // Who begins last is most likely the first to be served: not the same one every time, and
        // not through the same handle.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let tasks = changesets.into_iter().enumerate().map(|(task, changeset)| {
            let store = self.handle(task + turn);
            async move { verdict(store.commit(&changeset).await) }
        });
        let mut tasks: Vec<_> = tasks.collect();
        if turn % 2 == 1 {
            tasks.reverse();
        }
        let mut verdicts = at_once(tasks).await?;
        if turn % 2 == 1 {
            verdicts.reverse();
        }
        verdicts.into_iter().collect()
    }
}

/// As many as it takes to tell a promise of one handle from one of the state.
const HANDLES: usize = 2;

/// How long [`Stage::claim`] claims.
pub(super) const LEASE_SECONDS: u64 = 10;

/// Numbers that one round of a race has for itself.
pub(super) const ROUND: u32 = 100;

/// A row as a decision finds it through a handle.
pub(super) async fn load<T: Record>(store: &dyn Store, key: Key) -> Result<Loaded<T>, Broken> {
    let mut found = store.read(&[Read::Row(key.clone())]).await?.into_iter();
    let Some(StoredRow { version, row }) = found.next().and_then(|mut list| list.pop()) else {
        return Ok(Loaded::absent(key));
    };
    let value = T::from_row(row).ok_or_else(|| Broken::new(format!("{key} is of another kind")))?;
    Ok(Loaded::present(key, version, value))
}

/// Runs tasks that all begin when the last of them is ready.
///
/// On a runtime of several threads each has one of its own: tasks that wake each other up are
/// mostly run one after the other by the thread that they share.
pub(super) async fn at_once<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Result<Vec<T>, Broken> {
    let tasks: Vec<_> = tasks.into_iter().collect();
    let runtime = Handle::current();
    let is_one_thread = runtime.runtime_flavor() == RuntimeFlavor::CurrentThread;
    let barrier = Arc::new(Barrier::new(tasks.len()));
    let (ready, all) = (Arc::new(AtomicUsize::new(0)), tasks.len());
    let start = |task| {
        if is_one_thread {
            let barrier = barrier.clone();
            return tokio::spawn(async move {
                barrier.wait().await;
                task.await
            });
        }
        let (ready, runtime) = (ready.clone(), runtime.clone());
        tokio::task::spawn_blocking(move || {
            ready.fetch_add(1, Ordering::AcqRel);
            // Nobody sleeps: whoever had to be woken up would come late.
            while ready.load(Ordering::Acquire) < all {
                std::thread::yield_now();
            }
            runtime.block_on(task)
        })
    };
    let started: Vec<_> = tasks.into_iter().map(start).collect();
    let mut results = Vec::with_capacity(started.len());
    for task in started {
        results.push(task.await?);
    }
    Ok(results)
}

/// A store's answer to a commit, without texts for people.
pub(super) fn verdict(answer: Result<Receipt, CommitError>) -> Result<Verdict, Broken> {
    match answer {
        Ok(receipt) => Ok(Ok(receipt)),
        Err(CommitError::Rejected(Rejection::Malformed(_))) => Ok(Err(MALFORMED)),
        Err(CommitError::Rejected(why)) => Ok(Err(why)),
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}

/// A row as it comes out of a list.
pub(super) fn stored<T: Record>(version: u64, row: T) -> StoredRow {
    StoredRow {
        version: Version::new(version),
        row: row.into(),
    }
}
