//! Connections to PostgreSQL.

use std::future::Future;
use std::time::{Duration, Instant};

use session_core::changeset::Key;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgPool, PgRow};
use sqlx::{Arguments, Connection, Postgres, Row, SqlSafeStr, SqlStr, Transaction};

use super::find;
use crate::error::{corrupt, sqlx_trouble, unavailable};
use crate::fold::Beats;
use crate::rows::{Kind, booked_session, entry, host, revocation, room_event, seat};
use crate::session::{Session, Trouble};
use crate::statement::Statement;
use crate::value::{Tuple, Type, Value};
use crate::wanted::{Found, Wanted, by_kind, finished};
use crate::{journal, ledger};

/// Within a transaction, since a pooler gives every transaction another connection.
const BEGIN_POOLED: &str = "BEGIN; SET LOCAL statement_timeout = '5s'; \
    SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// One instant for as long as it takes; whoever is shown what is read may take its time with it.
const BEGIN_READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = '5s'; \
    SET LOCAL idle_in_transaction_session_timeout = '10min'";

/// How a session comes to a connection.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) pool: PgPool,
    /// Between a pooler and us: no statement may be prepared, and all that belongs together must
    /// be in one transaction.
    pub(super) pooler: bool,
    /// Planted by a test: what a changeset only relies on is not held.
    #[cfg(test)]
    pub(super) careless: bool,
}

/// How long a connection may have been idle before it is asked whether it is still there.
pub(super) const IDLE_UNTESTED_MAX: Duration = Duration::from_secs(2);

/// How often a connection is asked for where one breaks while it is made.
const ACQUIRE_TRIES_MAX: u32 = 3;

/// How long the server may take for one answer: longer than it takes itself to give up.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// A connection from a pool, taken when it is needed and given back when the session ends.
#[derive(Debug)]
pub(crate) struct PoolSession {
    access: Access,
    connection: Option<PoolConnection<Postgres>>,
    transaction: Option<Transaction<'static, Postgres>>,
    /// When the connection that is kept was used last.
    used_at: Instant,
    /// A connection broke, so others of the pool may be broken too.
    in_doubt: bool,
}

impl PoolSession {
    pub(super) fn new(access: Access) -> Self {
        Self {
            access,
            connection: None,
            transaction: None,
            used_at: Instant::now(),
            in_doubt: false,
        }
    }

    /// A connection that is not in a transaction.
    async fn fresh(&mut self) -> Result<PoolConnection<Postgres>, Trouble> {
        if let Some(mut connection) = self.connection.take() {
            let idle = self.used_at.elapsed();
            self.used_at = Instant::now();
            if idle < IDLE_UNTESTED_MAX || limited(connection.ping()).await.is_ok() {
                return Ok(connection);
            }
            connection.close_on_drop();
        }
        let mut fresh = self.acquire().await?;
        if self.in_doubt {
            if let Err(error) = limited(fresh.ping()).await {
                fresh.close_on_drop();
                return Err(sqlx_trouble(error));
            }
            self.in_doubt = false;
        }
        Ok(fresh)
    }

    /// A connection from the pool. Where none can be had after a few tries, trying on would only
    /// keep others waiting.
    async fn acquire(&self) -> Result<PoolConnection<Postgres>, Trouble> {
        let mut tries = 1;
        loop {
            match self.access.pool.acquire().await.map_err(sqlx_trouble) {
                Ok(fresh) => return Ok(fresh),
                Err(Trouble::Lost(_)) if tries < ACQUIRE_TRIES_MAX => tries += 1,
                Err(Trouble::Lost(error)) => return Err(Trouble::Failed(error)),
                Err(trouble) => return Err(trouble),
            }
        }
    }

    /// The connection in use.
    async fn connection(&mut self) -> Result<&mut PgConnection, Trouble> {
        if self.transaction.is_none() {
            let fresh = self.fresh().await?;
            self.connection = Some(fresh);
        }
        match (&mut self.transaction, &mut self.connection) {
            (Some(transaction), _) => Ok(transaction),
            (None, Some(connection)) => Ok(connection),
            (None, None) => Err(Trouble::Failed(unavailable("no connection"))),
        }
    }

    /// What an error means; a connection that is gone is not used again.
    fn heard(&mut self, error: sqlx::Error) -> Trouble {
        let trouble = sqlx_trouble(error);
        if matches!(trouble, Trouble::Lost(_)) {
            self.in_doubt = true;
            self.transaction = None;
            if let Some(mut connection) = self.connection.take() {
                connection.close_on_drop();
            }
        }
        trouble
    }

    pub(super) async fn query(
        &mut self,
        text: &'static str,
        arguments: PgArguments,
    ) -> Result<Vec<PgRow>, Trouble> {
        let persistent = !self.access.pooler;
        let connection = self.connection().await?;
        let query = sqlx::query_with(text, arguments).persistent(persistent);
        let found = limited(query.fetch_all(connection)).await;
        found.map_err(|error| self.heard(error))
    }

    /// Begins a transaction that reads one instant.
    pub(crate) async fn begin_reading(&mut self) -> Result<(), Trouble> {
        self.begin_with(Some(BEGIN_READING.into_sql_str())).await
    }

    async fn find_at_one_instant(&mut self, wanted: &Wanted) -> Result<Vec<PgRow>, Trouble> {
        let (text, arguments) = finding(wanted)?;
        self.begin_reading().await?;
        let found = self.query(text, arguments).await;
        self.rollback().await;
        found
    }

    async fn begin_with(&mut self, statement: Option<SqlStr>) -> Result<(), Trouble> {
        self.rollback().await;
        let connection = self.fresh().await?;
        match limited(Transaction::begin(connection, statement)).await {
            Ok(transaction) => {
                self.transaction = Some(transaction);
                Ok(())
            }
            // Nothing has happened yet.
            Err(error) => match self.heard(error) {
                Trouble::Lost(error) => Err(Trouble::Again(error)),
                trouble => Err(trouble),
            },
        }
    }

    /// A statement outside of any other transaction, in one of its own where a pooler wants that.
    async fn query_alone(
        &mut self,
        text: &'static str,
        arguments: PgArguments,
    ) -> Result<Vec<PgRow>, Trouble> {
        if !self.access.pooler {
            return self.query(text, arguments).await;
        }
        self.begin().await?;
        match self.query(text, arguments).await {
            Ok(found) => {
                self.commit().await?;
                Ok(found)
            }
            // Nothing was asked to be committed yet, so nothing is in doubt.
            Err(Trouble::Lost(error)) => Err(Trouble::Again(error)),
            Err(trouble) => {
                self.rollback().await;
                Err(trouble)
            }
        }
    }
}

impl Session for PoolSession {
    fn locks_everything(&self) -> bool {
        #[cfg(test)]
        if self.access.careless {
            return true;
        }
        false
    }

    async fn begin(&mut self) -> Result<(), Trouble> {
        let statement = self.access.pooler.then(|| BEGIN_POOLED.into_sql_str());
        self.begin_with(statement).await
    }

    async fn commit(&mut self) -> Result<(), Trouble> {
        match self.transaction.take() {
            Some(transaction) => match limited(transaction.commit()).await {
                Ok(()) => Ok(()),
                Err(error) => Err(self.heard(error)),
            },
            None => Err(Trouble::Failed(unavailable("no transaction"))),
        }
    }

    async fn rollback(&mut self) {
        if let Some(transaction) = self.transaction.take()
            && let Err(error) = limited(transaction.rollback()).await
        {
            // The server undoes what nobody commits.
            tracing::debug!(%error, "a transaction could not be rolled back");
        }
    }

    async fn fetch(
        &mut self,
        statement: &'static Statement,
        rows: &[Tuple],
    ) -> Result<Vec<Tuple>, Trouble> {
        let arguments = arguments(statement.takes, rows)?;
        #[cfg(test)]
        if self.access.careless
            && let Some((unlocked, _)) = statement.postgres.split_once(" ORDER BY ")
            && statement.postgres.contains(" FOR SHARE ")
        {
            let found = self.query(unlocked, arguments).await?;
            let found = found.iter();
            return found.map(|row| tuple(row, statement.finds)).collect();
        }
        let found = self.query(statement.postgres, arguments).await?;
        found
            .iter()
            .map(|row| tuple(row, statement.finds))
            .collect()
    }

    async fn execute(
        &mut self,
        statement: &'static Statement,
        rows: &[Tuple],
    ) -> Result<u64, Trouble> {
        let arguments = arguments(statement.takes, rows)?;
        let persistent = !self.access.pooler;
        let connection = self.connection().await?;
        let query = sqlx::query_with(statement.postgres, arguments).persistent(persistent);
        match limited(query.execute(connection)).await {
            Ok(done) => Ok(done.rows_affected()),
            Err(error) => Err(self.heard(error)),
        }
    }

    async fn find(&mut self, wanted: &Wanted) -> Result<Found, Trouble> {
        let (text, arguments) = finding(wanted)?;
        let found = match self.query_alone(text, arguments).await {
            // Serializable transactions take readers for writers, and of many at once they may
            // undo one over and over. Whoever writes holds what it relied on by locks, so that
            // any instant is one between two commits.
            Err(Trouble::Again(_)) => self.find_at_one_instant(wanted).await?,
            found => found?,
        };
        found.iter().map(unpacked).collect()
    }

    async fn beat(&mut self, beats: &Beats) -> Result<(), Trouble> {
        let account = &Kind::Account.table().update;
        let mut all = PgArguments::default();
        for (types, rows) in [
            (seat::METER.takes, &beats.seats),
            (account.takes, &beats.accounts),
            (ledger::INSERT.takes, &beats.transfers),
            (journal::APPEND.takes, &beats.journal),
        ] {
            add_columns(&mut all, types, rows)?;
        }
        for rows in [&beats.seats, &beats.accounts] {
            add(&mut all, i64::try_from(rows.len()).unwrap_or(i64::MAX))?;
        }
        self.query_alone(find::BEAT, all).await.map(|_| ())
    }
}

/// Waits for the server, but not for ever: one that lost its power or its network says nothing. It
/// gives statements up earlier than this.
async fn limited<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match tokio::time::timeout(ANSWER_MAX, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// The statement that finds rows, and its parameters.
pub(crate) fn finding(wanted: &Wanted) -> Result<(&'static str, PgArguments), Trouble> {
    let kinds = by_kind(wanted.keys.iter())?;
    let rows_of = |kind| {
        let found = kinds.iter().find(|(other, _)| *other == kind);
        found.map_or(&[][..], |(_, rows)| rows.as_slice())
    };
    let mut all = PgArguments::default();
    for kind in [Kind::Account, Kind::Seat, Kind::Service] {
        add_columns(&mut all, kind.table().select.takes, rows_of(kind))?;
    }
    let is_stay = |key: &Key| matches!(key, Key::Account(_) | Key::Seat(_) | Key::Service(()));
    if wanted.is_by_name() && wanted.keys.iter().all(is_stay) {
        return Ok((find::STAY, all));
    }
    for kind in [
        Kind::Block,
        Kind::Chain,
        Kind::Challenge,
        Kind::Entry,
        Kind::Idempotency,
        Kind::Intent,
        Kind::Room,
    ] {
        add_columns(&mut all, kind.table().select.takes, rows_of(kind))?;
    }
    add_texts(&mut all, wanted.hosts.iter())?;
    add_texts(&mut all, wanted.seated.iter())?;
    add_texts(&mut all, wanted.rooms.iter())?;
    add_texts(&mut all, wanted.challenged.iter())?;
    add(&mut all, i64::from(wanted.open_rooms_max))?;
    add(&mut all, i64::from(wanted.unsealed_max))?;
    if !wanted.is_more() {
        return Ok((find::FIND, all));
    }
    for kind in [Kind::Revocation, Kind::RoomEvent] {
        add_columns(&mut all, kind.table().select.takes, rows_of(kind))?;
    }
    for (statement, rows) in [
        (&room_event::AFTER, wanted.event_pages()),
        (&seat::LAST_IN, wanted.last_stays()),
        (&revocation::TOKENS_AFTER, wanted.revoked_pages()),
        (&entry::CREDIT_BEFORE, wanted.credit_pages()),
    ] {
        add_columns(&mut all, statement.takes, &finished(rows)?)?;
    }
    let booked = &booked_session::TABLE.select;
    add_columns(&mut all, booked.takes, rows_of(Kind::BookedSession))?;
    let pages = finished(wanted.booked_pages())?;
    add_columns(&mut all, booked_session::OF_WALLET.takes, &pages)?;
    add_columns(&mut all, host::TABLE.select.takes, rows_of(Kind::Host))?;
    Ok((find::FIND_MORE, all))
}

/// Rows of values as one list for each column.
pub(crate) fn arguments(types: &[Type], rows: &[Tuple]) -> Result<PgArguments, Trouble> {
    let mut arguments = PgArguments::default();
    add_columns(&mut arguments, types, rows)?;
    Ok(arguments)
}

fn add_columns(arguments: &mut PgArguments, types: &[Type], rows: &[Tuple]) -> Result<(), Trouble> {
    for (column, kind) in types.iter().enumerate() {
        match kind {
            Type::Number => {
                let list: Result<Vec<Option<i64>>, Trouble> = rows
                    .iter()
                    .map(|row| match row.get(column) {
                        Some(Value::Number(number)) => Ok(Some(*number)),
                        Some(Value::Null) => Ok(None),
                        Some(Value::Text(_) | Value::Odd) | None => Err(misfit()),
                    })
                    .collect();
                add(arguments, list?)?;
            }
            Type::Text => {
                let list: Result<Vec<Option<&str>>, Trouble> = rows
                    .iter()
                    .map(|row| match row.get(column) {
                        Some(Value::Text(text)) => Ok(Some(text.as_str())),
                        Some(Value::Null) => Ok(None),
                        Some(Value::Number(_) | Value::Odd) | None => Err(misfit()),
                    })
                    .collect();
                add(arguments, list?)?;
            }
        }
    }
    Ok(())
}

fn add_texts<T: ToString>(
    arguments: &mut PgArguments,
    values: impl Iterator<Item = T>,
) -> Result<(), Trouble> {
    let list: Vec<String> = values.map(|value| value.to_string()).collect();
    add(arguments, list)
}

fn add<'q, T: sqlx::Encode<'q, Postgres> + sqlx::Type<Postgres>>(
    arguments: &mut PgArguments,
    value: T,
) -> Result<(), Trouble> {
    arguments.add(value).map_err(|_| misfit())
}

fn misfit() -> Trouble {
    Trouble::Failed(corrupt("a value has no form in its column"))
}

/// The columns of a row that was found.
pub(crate) fn tuple(row: &PgRow, types: &[Type]) -> Result<Tuple, Trouble> {
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

/// A row whose columns came as one list of texts.
pub(crate) fn unpacked(row: &PgRow) -> Result<(Kind, Tuple), Trouble> {
    let kind: i64 = row.try_get(0).map_err(sqlx_trouble)?;
    let kind = usize::try_from(kind).ok().and_then(Kind::of_number);
    let kind = kind.ok_or_else(|| Trouble::Failed(corrupt("rows of an unknown kind")))?;
    let columns: Vec<Option<String>> = row.try_get(1).map_err(sqlx_trouble)?;
    let values = columns.into_iter();
    let tuple = values.map(|text| text.map_or(Value::Null, Value::Text));
    Ok((kind, tuple.collect()))
}
