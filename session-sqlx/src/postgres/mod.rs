//! The store in a PostgreSQL database.

mod find;
mod migrate;
pub(crate) mod session;

use std::future::Future;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_core::changeset::{Changeset, Receipt};
use session_core::ports::{Claim, Claimed, CommitError, Read, Store, StoreError, StoredRow};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use self::session::{Access, IDLE_UNTESTED_MAX, PoolSession};
use crate::ACQUIRE_TIMEOUT;
use crate::error::OpenError;
use crate::group::{self, Answer};
use crate::lane::{GROUP_MAX, Job, Jobs, Lane, take_more};
use crate::seen::Seen;

/// Connections of one server.
pub const CONNECTIONS_MAX: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Calls of one lane that are served each alone, on connections of their own. Above, calls wait
/// for each other and are served in groups, one group at a time.
///
/// Two: what several calls alone save in waiting for each other they spend several times over in
/// statements.
pub const ALONE_MAX: u32 = 2;

/// How a [`PostgresStore`] connects and waits.
///
/// ```
/// let mut options = session_sqlx::PostgresOptions::default();
/// options.schema = Some("session".to_owned());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// How long a call waits for a connection before it fails as unavailable.
    pub acquire_timeout: Duration,
    /// Connections at most.
    pub connections_max: NonZeroU32,
    /// Calls that are served each alone while there are no more of them; see [`ALONE_MAX`].
    pub alone_max: u32,
    /// Whether a pooler that gives each transaction another connection (such as pgbouncer in
    /// transaction mode) is between this process and the database. Nothing is prepared then, and
    /// every statement is inside a transaction.
    pub pooler: bool,
    /// The schema that holds the tables, where it is not the first of the role's search path. It
    /// must exist. Not with a pooler: give the role a search path there.
    pub schema: Option<String>,
    /// Planted by a test: what a changeset only relies on is not held.
    #[cfg(test)]
    careless: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            acquire_timeout: ACQUIRE_TIMEOUT,
            connections_max: CONNECTIONS_MAX,
            alone_max: ALONE_MAX,
            pooler: false,
            schema: None,
            #[cfg(test)]
            careless: false,
        }
    }
}

/// A [`Store`] in a PostgreSQL database, for any number of servers.
///
/// Right at `READ COMMITTED` and at every level above it, whichever the role or the database has
/// for its default. Needs no right to define anything once the schema is there, and none to change
/// a transfer or a journal entry. Uses neither advisory locks nor notifications nor procedures.
///
/// Clones share the connections. Belongs to the runtime in which it was opened.
#[derive(Debug, Clone)]
pub struct PostgresStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    access: Access,
    commits: Lane<Changeset, Answer>,
    reads: Lane<Vec<Read>, Found>,
    claims: Lane<Claim, Due>,
    /// Ends when every task has.
    tasks: tokio::sync::Mutex<mpsc::Receiver<()>>,
}

type Due = Result<Vec<Claimed>, StoreError>;
type Found = Result<Vec<Vec<StoredRow>>, StoreError>;

impl PostgresStore {
    /// Connects to the database at `postgres://user@host/name`.
    ///
    /// The schema is not looked at: see [`migrate`](Self::migrate).
    ///
    /// # Errors
    /// [`OpenError`] where the address will not do or the database cannot be reached.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self, OpenError> {
        let pool = pool_options(&options)
            .connect_with(connect_options(url, &options)?)
            .await
            .map_err(OpenError::Database)?;
        let access = Access {
            pool,
            pooler: options.pooler,
            #[cfg(test)]
            careless: options.careless,
        };
        let seen = Arc::new(Seen::default());
        let (alive, tasks) = mpsc::channel(1);

        let (commits, jobs) = Lane::new(options.acquire_timeout);
        let sessions = Sessions::new(access.clone(), &options);
        let lane_seen = seen.clone();
        let run = move |group| commit_group(sessions.clone(), lane_seen.clone(), group);
        tokio::spawn(serve(jobs, options.alone_max, run, alive.clone()));

        let (reads, jobs) = Lane::new(options.acquire_timeout);
        let sessions = Sessions::new(access.clone(), &options);
        let run = move |group| read_group(sessions.clone(), seen.clone(), group);
        tokio::spawn(serve(jobs, options.alone_max, run, alive.clone()));

        // One at a time: a claim steps over rows that somebody is claiming just now, and that must
        // not be a caller of this process that has stopped waiting.
        let (claims, jobs) = Lane::new(options.acquire_timeout);
        let lane_access = access.clone();
        let run = move |group| claim_each(PoolSession::new(lane_access.clone()), group);
        tokio::spawn(serve(jobs, 1, run, alive));
        Ok(Self(Arc::new(Shared {
            access,
            commits,
            reads,
            claims,
            tasks: tokio::sync::Mutex::new(tasks),
        })))
    }

    /// Brings the schema up to date. Migrations that were applied before are left alone; several
    /// servers may do this at once. Where there is nothing to do, no right to define anything is
    /// needed.
    ///
    /// # Errors
    /// [`OpenError::Migration`] where one fails, or where the database was migrated by something
    /// else.
    ///
    /// # Cancel safety
    /// A caller that stops waiting leaves all of the migrations applied or none.
    pub async fn migrate(&self) -> Result<(), OpenError> {
        migrate::run(&self.0.access.pool).await
    }

    /// Looks whether the schema is that of this version, and changes nothing.
    ///
    /// # Errors
    /// [`OpenError::NotCurrent`] where it is not, [`OpenError::Migration`] where the database was
    /// migrated by something else.
    ///
    /// # Cancel safety
    /// Nothing is changed.
    pub async fn check_schema(&self) -> Result<(), OpenError> {
        migrate::check(&self.0.access.pool).await
    }

    /// Closes every connection, once the calls that wait are answered. Calls afterwards fail as
    /// unavailable.
    pub async fn close(&self) {
        self.0.reads.close();
        self.0.commits.close();
        self.0.claims.close();
        while self.0.tasks.lock().await.recv().await.is_some() {}
        self.0.access.pool.close().await;
    }

    pub(crate) fn session(&self) -> PoolSession {
        PoolSession::new(self.0.access.clone())
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        self.0.reads.ask(reads.to_vec()).await?
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        self.0.commits.ask(changeset.clone()).await?
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        self.0.claims.ask(*claim).await?
    }

    async fn ping(&self) -> Result<(), StoreError> {
        group::ping(&mut self.session()).await
    }
}

/// Serves a lane: each call alone while there are few, in groups where there are more.
async fn serve<Ask, Answer, Run, Served>(
    mut jobs: Jobs<Ask, Answer>,
    alone_max: u32,
    run: Run,
    alive: mpsc::Sender<()>,
) where
    Run: Fn(Vec<Job<Ask, Answer>>) -> Served,
    Served: Future<Output = ()> + Send + 'static,
{
    let alone_max = alone_max.max(1);
    // Wide enough for so many single calls, and full with one group of that size or larger.
    let width = Arc::new(Semaphore::new(usize::try_from(alone_max).unwrap_or(1)));
    let mut group = Vec::new();
    while jobs.recv_many(&mut group, GROUP_MAX).await > 0 {
        let mut places: Option<OwnedSemaphorePermit> = None;
        loop {
            let size = u32::try_from(group.len()).unwrap_or(u32::MAX);
            let taken = places.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let taken = u32::try_from(taken).unwrap_or(u32::MAX);
            let missing = size.min(alone_max).saturating_sub(taken);
            if missing == 0 {
                break;
            }
            // Never closed.
            let Ok(more) = width.clone().acquire_many_owned(missing).await else {
                return;
            };
            match &mut places {
                Some(places) => places.merge(more),
                None => places = Some(more),
            }
            // What has come while this group waited for its turn joins it.
            take_more(&mut jobs, &mut group);
        }
        let served = run(std::mem::take(&mut group));
        let alive = alive.clone();
        tokio::spawn(async move {
            served.await;
            drop((places, alive));
        });
    }
}

/// The sessions of a lane, each with its connection: giving one back to the pool and taking it
/// again costs a task.
#[derive(Debug, Clone)]
struct Sessions {
    access: Access,
    /// None are kept where the pool would have none left for others.
    kept_max: usize,
    idle: Arc<Mutex<Vec<PoolSession>>>,
}

impl Sessions {
    fn new(access: Access, options: &PostgresOptions) -> Self {
        let lanes = options.alone_max.saturating_mul(2);
        let are_enough = options.connections_max.get() > lanes;
        let kept_max = if are_enough { options.alone_max } else { 0 };
        Self {
            access,
            kept_max: usize::try_from(kept_max).unwrap_or(0),
            idle: Arc::default(),
        }
    }

    fn take(&self) -> PoolSession {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        idle.unwrap_or_else(|| PoolSession::new(self.access.clone()))
    }

    fn give_back(&self, session: PoolSession) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.kept_max {
            idle.push(session);
        }
    }
}

async fn commit_group(sessions: Sessions, seen: Arc<Seen>, group: Vec<Job<Changeset, Answer>>) {
    let mut session = sessions.take();
    let changesets: Vec<&Changeset> = group.iter().map(|job| &job.ask).collect();
    let answers = group::commit(&mut session, &seen, &changesets).await;
    sessions.give_back(session);
    for (job, answer) in group.into_iter().zip(answers) {
        // Whoever asked may have stopped waiting.
        let _ = job.reply.send(answer);
    }
}

async fn claim_each(mut session: PoolSession, group: Vec<Job<Claim, Due>>) {
    for job in group {
        let claimed = group::claim(&mut session, &job.ask).await;
        let _ = job.reply.send(claimed);
    }
}

async fn read_group(sessions: Sessions, seen: Arc<Seen>, group: Vec<Job<Vec<Read>, Found>>) {
    let mut session = sessions.take();
    let asked: Vec<&[Read]> = group.iter().map(|job| job.ask.as_slice()).collect();
    let found = group::read(&mut session, &seen, &asked).await;
    sessions.give_back(session);
    for (job, found) in group.into_iter().zip(found) {
        let _ = job.reply.send(found);
    }
}

fn connect_options(url: &str, options: &PostgresOptions) -> Result<PgConnectOptions, OpenError> {
    let parsed = match url.split_once("://") {
        Some(("postgres" | "postgresql", _)) => PgConnectOptions::from_str(url),
        _ => Err(sqlx::Error::Configuration("it is no such address".into())),
    };
    let connect = parsed.map_err(|source| OpenError::Url {
        expected: "postgres://user@host/database",
        source,
    })?;
    if options.pooler && options.schema.is_some() {
        let why = "a schema cannot be chosen through a pooler: set the role's search path";
        return Err(OpenError::Database(sqlx::Error::Configuration(why.into())));
    }
    if options.pooler {
        // A pooler lets few settings through; those that matter come with each transaction.
        return Ok(connect.statement_cache_capacity(0).extra_float_digits(None));
    }
    // A server that was stopped in the middle of a transaction must not hold others for long.
    let connect = connect.application_name("session").options([
        ("statement_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("plan_cache_mode", "force_generic_plan"),
    ]);
    Ok(match &options.schema {
        Some(schema) => connect.options([("search_path", schema)]),
        None => connect,
    })
}

fn pool_options(options: &PostgresOptions) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(options.connections_max.get())
        .acquire_timeout(options.acquire_timeout)
        // Asking first costs another trip to the server.
        .test_before_acquire(false)
        .before_acquire(|connection, idle| {
            Box::pin(async move {
                if idle.idle_for < IDLE_UNTESTED_MAX {
                    return Ok(true);
                }
                Ok(connection.ping().await.is_ok())
            })
        })
}

#[cfg(test)]
mod tests;
