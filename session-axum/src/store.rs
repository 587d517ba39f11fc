//! A store of which is seen how long its calls take, what fails, and how late work is.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use metrics::Histogram;
use session_core::changeset::{Changeset, Receipt, Rejection};
use session_core::ports::{
    Claim, Claimed, CommitError, Read, Store, StoreError, StoreErrorKind, StoredRow,
};

use crate::metric;

/// A store around another one, which counts and times every call of it.
///
/// What is counted goes to the recorder of the `metrics` crate that is installed when this is made.
/// Each claim that finds something costs one read more, of the row that has been due for longest.
#[derive(Debug)]
pub struct ObservedStore {
    store: Arc<dyn Store>,
    seconds: Calls,
}

/// A histogram for each call.
struct Calls {
    read: Histogram,
    commit: Histogram,
    claim: Histogram,
    ping: Histogram,
}

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calls(..)")
    }
}

impl ObservedStore {
    /// This store, observed.
    #[must_use]
    pub fn around(store: Arc<dyn Store>) -> Self {
        let [read, commit, claim, ping] = metric::STORE_CALLS
            .map(|call| metrics::histogram!(metric::STORE_SECONDS, "call" => call));
        let seconds = Calls {
            read,
            commit,
            claim,
            ping,
        };
        Self { store, seconds }
    }

    /// How long the row that was handed out first had been due: it is the longest due.
    async fn measure_lateness(&self, claim: &Claim, claimed: &[Claimed]) {
        let Some(first) = claimed.first() else {
            return;
        };
        let reads = [Read::Row(first.key.clone())];
        // What cannot be read is not measured, and the worker that wants it is told so itself.
        let Ok(found) = self.store.read(&reads).await else {
            return;
        };
        let row = found.first().and_then(|rows| rows.first());
        // It may have been written since, and be due at another time.
        let due = row.and_then(|stored| stored.row.due());
        if let Some(due) = due.filter(|due| due.lane == claim.lane) {
            let late = claim.now.since(due.at).get();
            #[allow(clippy::cast_precision_loss, reason = "seconds, for people")]
            metrics::histogram!(metric::WORK_LATENESS, "lane" => claim.lane.name())
                .record(late as f64);
        }
    }
}

/// Records how long a call took, whether or not its caller waits to the end.
struct Timed<'a> {
    started: Instant,
    seconds: &'a Histogram,
}

impl<'a> Timed<'a> {
    fn by(seconds: &'a Histogram) -> Self {
        Self {
            started: Instant::now(),
            seconds,
        }
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        self.seconds.record(self.started.elapsed().as_secs_f64());
    }
}

fn count_failure(call: &'static str, kind: &'static str) {
    metrics::counter!(metric::STORE_FAILURES, "call" => call, "kind" => kind).increment(1);
}

const fn failure_kind(error: &StoreError) -> &'static str {
    match error.kind {
        StoreErrorKind::Corrupt => "corrupt",
        StoreErrorKind::Unavailable => "unavailable",
    }
}

const fn refusal_kind(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::Conflict(_) => "conflict",
        Rejection::Fenced(_) => "fenced",
        Rejection::Ledger(_) => "ledger",
        Rejection::Malformed(_) => "malformed",
        Rejection::Taken(_) => "taken",
    }
}

/// Counts a call that failed, and hands on what it came to.
fn counted<T>(call: &'static str, result: Result<T, StoreError>) -> Result<T, StoreError> {
    result.inspect_err(|error| count_failure(call, failure_kind(error)))
}

#[async_trait]
impl Store for ObservedStore {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        let _timed = Timed::by(&self.seconds.read);
        counted("read", self.store.read(reads).await)
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        let _timed = Timed::by(&self.seconds.commit);
        let result = self.store.commit(changeset).await;
        result.inspect_err(|error| {
            let kind = match error {
                CommitError::Rejected(rejection) => refusal_kind(rejection),
                CommitError::Store(error) => failure_kind(error),
            };
            count_failure("commit", kind);
        })
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let timed = Timed::by(&self.seconds.claim);
        let claimed = counted("claim", self.store.claim_due(claim).await)?;
        drop(timed);
        self.measure_lateness(claim, &claimed).await;
        Ok(claimed)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let _timed = Timed::by(&self.seconds.ping);
        counted("ping", self.store.ping().await)
    }
}
