//! Inside a transaction that the host holds.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use session_core::changeset::{Changeset, Lane, Receipt};
use session_core::outbox::Intent;
use session_core::ports::{
    Claim, Claimed, CommitError, Dispatcher, Read, Store, StoreError, StoredRow,
};
use session_core::service::Ports;
use session_core::types::IntentKey;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, Database, Executor, Postgres, Row, Sqlite, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use crate::error::{sqlx_trouble, unavailable};
use crate::fold::Beats;
use crate::group;
use crate::postgres::session as postgres;
use crate::seen::Seen;
use crate::session::{Session, Trouble};
use crate::statement::Statement;
use crate::value::{Tuple, Type, Value};
use crate::wanted::{Found, Wanted};

/// A [`Store`] inside a transaction of the host: what is committed here becomes durable when the
/// host commits, together with what the host has written itself, or never.
///
/// Each commit is a part of the transaction that is undone alone where it is refused, so a refusal
/// leaves the host's own writes as they were. Nothing is tried again in here: where the database
/// ends the transaction (a deadlock, a serialization failure), the call fails as unavailable and
/// the host must begin anew.
///
/// PostgreSQL: hold the transaction at `READ COMMITTED`; above it, a conflict is seen anew and
/// anew until the command is given up. SQLite: begin it with `BEGIN IMMEDIATE`.
///
/// Nothing may leave the process before the host has committed, so commands that wait for
/// something outside answer "pending" in here; [`Wake`] says whom to wake afterwards.
///
/// ```
/// use session_core::changeset::{Draft, Key};
/// use session_core::outage::Service;
/// use session_core::ports::{Read, Store};
/// use session_core::types::Timestamp;
/// use session_sqlx::{SqliteOptions, SqliteStore, Within};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let url = format!("sqlite://{}", folder.path().join("host.db").display());
/// let store = SqliteStore::open(&url, SqliteOptions::default()).await?;
/// store.migrate().await?;
/// let pool = sqlx::SqlitePool::connect(&url).await?;
/// sqlx::query("CREATE TABLE ticket (id INTEGER)").execute(&pool).await?;
///
/// let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
/// sqlx::query("INSERT INTO ticket VALUES (1)").execute(&mut *transaction).await?;
/// let within = Within::new(transaction);
/// let mut draft = Draft::new();
/// draft.insert(Service { last_beat_at: Timestamp::EPOCH, outages: vec![] });
/// within.commit(&draft.finish()).await?;
/// // Nobody else sees it yet.
/// assert!(store.read(&[Read::Row(Key::Service(()))]).await?[0].is_empty());
/// let (transaction, wake) = within.finish().await?;
/// transaction.commit().await?;
/// wake.fire(|_lane| { /* the workers of this server look now and not in a second */ });
/// assert_eq!(store.read(&[Read::Row(Key::Service(()))]).await?[0].len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Within<DB: Database>(Arc<Mutex<Held<DB>>>);

/// Lets nothing leave the process: what is written down here may never be committed. Workers find
/// it afterwards.
#[derive(Debug)]
struct Later;

#[async_trait]
impl Dispatcher for Later {
    async fn run(&self, _: IntentKey, _: &Ports) -> Option<Intent> {
        None
    }
}

struct Held<DB: Database> {
    /// Taken away when the host takes it back.
    part: Option<Part<DB>>,
    /// The schema of the tables, where it is not on the host's search path.
    schema: Option<String>,
    lanes: BTreeSet<Lane>,
}

/// Whom to wake once the host has committed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "workers find what is due by themselves, but up to a second later"]
pub struct Wake(BTreeSet<Lane>);

impl Wake {
    /// Calls this for every queue in which something was placed. To be called after the host's
    /// commit, and not at all where there was none.
    pub fn fire(self, wake: impl FnMut(Lane)) {
        self.0.into_iter().for_each(wake);
    }
}

impl<DB: Database> Within<DB> {
    /// A store inside this transaction, until it is [taken back](Self::finish).
    #[must_use]
    pub fn new(transaction: Transaction<'static, DB>) -> Self {
        let part = Part {
            transaction,
            state: State::Closed,
            path_before: None,
        };
        Self(Arc::new(Mutex::new(Held {
            part: Some(part),
            schema: None,
            lanes: BTreeSet::new(),
        })))
    }

    /// These ports with this store in the place of theirs.
    #[must_use]
    pub fn ports(&self, ports: &Ports) -> Ports
    where
        Self: Store + 'static,
    {
        Ports {
            store: Arc::new(self.clone()),
            dispatcher: Arc::new(Later),
            ..ports.clone()
        }
    }

    async fn held(&self) -> MutexGuard<'_, Held<DB>> {
        self.0.lock().await
    }
}

impl Within<Postgres> {
    /// The same, with the tables in a schema that need not be on the search path of the host.
    pub async fn in_schema(self, schema: impl Into<String>) -> Self {
        self.held().await.schema = Some(schema.into());
        self
    }

    /// Hands the transaction back. What still holds this store finds it closed.
    ///
    /// # Errors
    /// [`StoreError`] where the transaction was handed back before, or has broken.
    pub async fn finish(self) -> Result<(Transaction<'static, Postgres>, Wake), StoreError> {
        let mut held = self.held().await;
        let mut part = held.part.take().ok_or_else(handed_back)?;
        part.close().await?;
        Ok((part.transaction, Wake(std::mem::take(&mut held.lanes))))
    }
}

impl Within<Sqlite> {
    /// Hands the transaction back. What still holds this store finds it closed.
    ///
    /// # Errors
    /// [`StoreError`] where the transaction was handed back before, or has broken.
    pub async fn finish(self) -> Result<(Transaction<'static, Sqlite>, Wake), StoreError> {
        let mut held = self.held().await;
        let mut part = held.part.take().ok_or_else(handed_back)?;
        part.close().await?;
        Ok((part.transaction, Wake(std::mem::take(&mut held.lanes))))
    }
}

impl<DB: Database> Clone for Within<DB> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<DB: Database> fmt::Debug for Within<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Within(..)")
    }
}

fn handed_back() -> StoreError {
    unavailable("the host has taken its transaction back")
}

macro_rules! store_within {
    ($database:ident) => {
        #[async_trait]
        impl Store for Within<$database> {
            async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
                let mut held = self.held().await;
                let schema = held.schema.clone();
                let part = held.part.as_mut().ok_or_else(handed_back)?;
                part.enter(schema.as_deref()).await?;
                let found = group::read(part, &Seen::default(), &[reads]).await.pop();
                let left = part.leave().await;
                let found = found.unwrap_or_else(|| Err(unavailable("no answer")))?;
                left.map(|()| found)
            }

            async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
                let mut held = self.held().await;
                let schema = held.schema.clone();
                let part = held.part.as_mut().ok_or_else(handed_back)?;
                part.enter(schema.as_deref()).await?;
                let committed = group::commit_within(part, changeset).await;
                let left = part.leave().await;
                let (receipt, lanes) = committed?;
                left?;
                held.lanes.extend(lanes);
                Ok(receipt)
            }

            async fn claim_due(&self, _: &Claim) -> Result<Vec<Claimed>, StoreError> {
                // Whoever works on a row may do so for as long as its claim holds, and that is
                // for others to see.
                Err(unavailable(
                    "nothing is claimed inside a transaction of the host",
                ))
            }

            async fn ping(&self) -> Result<(), StoreError> {
                let mut held = self.held().await;
                let part = held.part.as_mut().ok_or_else(handed_back)?;
                group::ping(part).await
            }
        }
    };
}

store_within!(Postgres);
store_within!(Sqlite);

/// A part of the host's transaction that is undone alone.
struct Part<DB: Database> {
    transaction: Transaction<'static, DB>,
    state: State,
    /// The search path of the host while it is changed.
    path_before: Option<String>,
}

/// How far a part has come: a caller may have stopped waiting in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// It is being begun: nothing was written in it.
    Opening,
    Open,
    /// It is being ended, and nobody knows whether it was: the transaction is of no use any more.
    Ending,
}

const BEGIN: &str = "SAVEPOINT session_part";
const COMMIT: &str = "RELEASE SAVEPOINT session_part";
const ROLLBACK: &str = "ROLLBACK TO SAVEPOINT session_part";

impl<DB: Database> Part<DB>
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    async fn say(&mut self, statement: &'static str) -> Result<(), Trouble> {
        let said = (&mut *self.transaction).execute(statement).await;
        said.map(|_| ()).map_err(sqlx_trouble)
    }

    async fn begin_part(&mut self) -> Result<(), Trouble> {
        self.undo_part().await?;
        self.state = State::Opening;
        self.say(BEGIN).await?;
        self.state = State::Open;
        Ok(())
    }

    async fn commit_part(&mut self) -> Result<(), Trouble> {
        self.state = State::Ending;
        self.say(COMMIT).await?;
        self.state = State::Closed;
        Ok(())
    }

    async fn undo_part(&mut self) -> Result<(), Trouble> {
        match self.state {
            State::Closed => Ok(()),
            State::Opening | State::Ending => Err(Trouble::Failed(unavailable(
                "a caller stopped waiting while a part was begun or ended: begin anew",
            ))),
            State::Open => {
                self.say(ROLLBACK).await?;
                self.commit_part().await
            }
        }
    }
}

const PATH: &str = "SELECT current_setting('search_path')";
/// Until the transaction ends.
const SET_PATH: &str = "SELECT set_config('search_path', $1, true)";

impl Part<Postgres> {
    async fn enter(&mut self, schema: Option<&str>) -> Result<(), StoreError> {
        // Left by a caller that stopped waiting.
        self.leave().await?;
        let Some(schema) = schema else {
            return Ok(());
        };
        let path: Result<String, sqlx::Error> = async {
            let path = sqlx::query(PATH);
            path.fetch_one(&mut *self.transaction).await?.try_get(0)
        }
        .await;
        self.path_before = Some(path.map_err(|error| sqlx_trouble(error).into_store_error())?);
        self.set_path(schema.to_owned()).await
    }

    async fn leave(&mut self) -> Result<(), StoreError> {
        if let Some(path) = self.path_before.clone() {
            self.set_path(path).await?;
            self.path_before = None;
        }
        Ok(())
    }

    async fn set_path(&mut self, path: String) -> Result<(), StoreError> {
        let set = sqlx::query(SET_PATH).bind(path);
        let set = set.execute(&mut *self.transaction).await;
        set.map(|_| ())
            .map_err(|error| sqlx_trouble(error).into_store_error())
    }

    async fn close(&mut self) -> Result<(), StoreError> {
        self.undo_part().await.map_err(Trouble::into_store_error)?;
        self.leave().await
    }

    async fn query(
        &mut self,
        text: &'static str,
        arguments: PgArguments,
    ) -> Result<Vec<sqlx::postgres::PgRow>, Trouble> {
        let query = sqlx::query_with(text, arguments);
        let found = query.fetch_all(&mut *self.transaction).await;
        found.map_err(sqlx_trouble)
    }
}

impl Session for Part<Postgres> {
    fn locks_everything(&self) -> bool {
        false
    }

    async fn begin(&mut self) -> Result<(), Trouble> {
        self.begin_part().await
    }

    async fn commit(&mut self) -> Result<(), Trouble> {
        self.commit_part().await
    }

    async fn rollback(&mut self) {
        if let Err(trouble) = self.undo_part().await {
            tracing::debug!(?trouble, "a part of a transaction could not be undone");
        }
    }

    async fn fetch(
        &mut self,
        statement: &'static Statement,
        rows: &[Tuple],
    ) -> Result<Vec<Tuple>, Trouble> {
        let arguments = postgres::arguments(statement.takes, rows)?;
        let found = self.query(statement.postgres, arguments).await?;
        let found = found.iter();
        found
            .map(|row| postgres::tuple(row, statement.finds))
            .collect()
    }

    async fn execute(
        &mut self,
        statement: &'static Statement,
        rows: &[Tuple],
    ) -> Result<u64, Trouble> {
        let arguments = postgres::arguments(statement.takes, rows)?;
        let query = sqlx::query_with(statement.postgres, arguments);
        let done = query.execute(&mut *self.transaction).await;
        done.map(|done| done.rows_affected()).map_err(sqlx_trouble)
    }

    async fn find(&mut self, wanted: &Wanted) -> Result<Found, Trouble> {
        let (text, arguments) = postgres::finding(wanted)?;
        let found = self.query(text, arguments).await?;
        found.iter().map(postgres::unpacked).collect()
    }

    async fn beat(&mut self, _: &Beats) -> Result<(), Trouble> {
        Err(Trouble::Stale)
    }
}

impl Part<Sqlite> {
    /// SQLite has no search path.
    async fn enter(&mut self, _: Option<&str>) -> Result<(), StoreError> {
        Ok(())
    }

    async fn leave(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn close(&mut self) -> Result<(), StoreError> {
        self.undo_part().await.map_err(Trouble::into_store_error)
    }
}

impl Session for Part<Sqlite> {
    fn locks_everything(&self) -> bool {
        true
    }

    async fn begin(&mut self) -> Result<(), Trouble> {
        self.begin_part().await
    }

    async fn commit(&mut self) -> Result<(), Trouble> {
        self.commit_part().await
    }

    async fn rollback(&mut self) {
        if let Err(trouble) = self.undo_part().await {
            tracing::debug!(?trouble, "a part of a transaction could not be undone");
        }
    }

    async fn fetch(
        &mut self,
        statement: &'static Statement,
        rows: &[Tuple],
    ) -> Result<Vec<Tuple>, Trouble> {
        let mut found = Vec::new();
        for row in rows {
            let query = sqlx::query_with(statement.sqlite, bound(row)?);
            let rows = query.fetch_all(&mut *self.transaction).await;
            for row in rows.map_err(sqlx_trouble)? {
                found.push(unbound(&row, statement.finds)?);
            }
        }
        Ok(found)
    }

    async fn execute(
        &mut self,
        statement: &'static Statement,
        rows: &[Tuple],
    ) -> Result<u64, Trouble> {
        let mut written: u64 = 0;
        for row in rows {
            let query = sqlx::query_with(statement.sqlite, bound(row)?);
            let done = query.execute(&mut *self.transaction).await;
            written = written.saturating_add(done.map_err(sqlx_trouble)?.rows_affected());
        }
        Ok(written)
    }

    async fn find(&mut self, wanted: &Wanted) -> Result<Found, Trouble> {
        let mut found = Vec::new();
        for (kind, statement, rows) in wanted.statements()? {
            let rows = self.fetch(statement, &rows).await?;
            found.extend(rows.into_iter().map(|tuple| (kind, tuple)));
        }
        Ok(found)
    }

    async fn beat(&mut self, _: &Beats) -> Result<(), Trouble> {
        Err(Trouble::Stale)
    }
}

fn bound(row: &[Value]) -> Result<SqliteArguments, Trouble> {
    let mut arguments = SqliteArguments::default();
    for value in row {
        let added = match value {
            Value::Null => arguments.add(None::<i64>),
            Value::Number(number) => arguments.add(*number),
            Value::Text(text) => arguments.add(text.clone()),
            Value::Odd => Err("a value of no column".into()),
        };
        added.map_err(|error| sqlx_trouble(sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}

fn unbound(row: &SqliteRow, types: &[Type]) -> Result<Tuple, Trouble> {
    let column = |(index, kind): (usize, &Type)| {
        let value = match kind {
            Type::Number => row.try_get::<Option<i64>, _>(index)?.map(Value::Number),
            Type::Text => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
        };
        Ok(value.unwrap_or(Value::Null))
    };
    let found: Result<Tuple, sqlx::Error> = types.iter().enumerate().map(column).collect();
    found.map_err(sqlx_trouble)
}
