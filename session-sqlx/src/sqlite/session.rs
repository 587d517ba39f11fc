//! Connections to SQLite: its own driver on a thread of ours.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, params_from_iter};

use crate::error::rusqlite_trouble;
use crate::fold::Beats;
use crate::rows::{Kind, seat};
use crate::session::{Session, Trouble};
use crate::statement::Statement;
use crate::value::{Tuple, Value};
use crate::wanted::{Found, Wanted};
use crate::{journal, ledger};

/// Statements that a connection keeps prepared: more than there are.
pub(super) const PREPARED_MAX: usize = 128;

/// A connection. None of its methods ever waits but for the file.
#[derive(Debug)]
pub(super) struct FileSession(pub(super) Connection);

impl FileSession {
    fn batch(&self, statements: &str) -> Result<(), Trouble> {
        self.0.execute_batch(statements).map_err(rusqlite_trouble)
    }

    fn prepare(&self, statement: &Statement) -> Result<CachedStatement<'_>, Trouble> {
        let prepared = self.0.prepare_cached(statement.sqlite);
        prepared.map_err(rusqlite_trouble)
    }

    fn fetch_now(
        &self,
        statement: &'static Statement,
        rows: &[Tuple],
    ) -> Result<Vec<Tuple>, Trouble> {
        let mut prepared = self.prepare(statement)?;
        let mut found = Vec::new();
        for row in rows {
            let mut cursor = prepared
                .query(params_from_iter(row))
                .map_err(rusqlite_trouble)?;
            while let Some(columns) = cursor.next().map_err(rusqlite_trouble)? {
                let mut tuple = Vec::with_capacity(statement.finds.len());
                for index in 0..statement.finds.len() {
                    let value = columns.get_ref(index).map_err(rusqlite_trouble)?;
                    tuple.push(owned(value));
                }
                found.push(tuple);
            }
        }
        Ok(found)
    }

    fn execute_now(&self, statement: &'static Statement, rows: &[Tuple]) -> Result<u64, Trouble> {
        let mut prepared = self.prepare(statement)?;
        let mut written: u64 = 0;
        for row in rows {
            let changed = prepared
                .execute(params_from_iter(row))
                .map_err(rusqlite_trouble)?;
            written = written.saturating_add(u64::try_from(changed).unwrap_or(u64::MAX));
        }
        Ok(written)
    }

    fn find_now(&self, wanted: &Wanted) -> Result<Found, Trouble> {
        let mut found = Vec::new();
        for (kind, statement, rows) in wanted.statements()? {
            let rows = self.fetch_now(statement, &rows)?;
            found.extend(rows.into_iter().map(|tuple| (kind, tuple)));
        }
        Ok(found)
    }

    fn beat_now(&self, beats: &Beats) -> Result<(), Trouble> {
        let all = [
            (&seat::METER, &beats.seats),
            (&Kind::Account.table().update, &beats.accounts),
            (&ledger::INSERT, &beats.transfers),
        ];
        for (statement, rows) in all {
            if usize::try_from(self.execute_now(statement, rows)?) != Ok(rows.len()) {
                return Err(Trouble::Stale);
            }
        }
        let new = self.fetch_now(&journal::APPEND, &beats.journal)?;
        self.execute_now(&journal::ENTER, &new)?;
        Ok(())
    }

    /// Begins a transaction that reads one instant, whatever is written meanwhile.
    pub(super) fn begin_reading(&self) -> Result<(), Trouble> {
        self.undo();
        self.batch("BEGIN")
    }

    /// SQLite ends a transaction by itself where the disk fails.
    fn undo(&self) {
        if !self.0.is_autocommit()
            && let Err(trouble) = self.batch("ROLLBACK")
        {
            tracing::error!(?trouble, "a transaction could not be rolled back");
        }
    }
}

impl Session for FileSession {
    fn locks_everything(&self) -> bool {
        true
    }

    async fn begin(&mut self) -> Result<(), Trouble> {
        self.undo();
        self.batch("BEGIN IMMEDIATE")
    }

    async fn commit(&mut self) -> Result<(), Trouble> {
        self.batch("COMMIT")
    }

    async fn rollback(&mut self) {
        self.undo();
    }

    async fn fetch(
        &mut self,
        statement: &'static Statement,
        rows: &[Tuple],
    ) -> Result<Vec<Tuple>, Trouble> {
        self.fetch_now(statement, rows)
    }

    async fn execute(
        &mut self,
        statement: &'static Statement,
        rows: &[Tuple],
    ) -> Result<u64, Trouble> {
        self.execute_now(statement, rows)
    }

    async fn find(&mut self, wanted: &Wanted) -> Result<Found, Trouble> {
        self.begin_reading()?;
        let found = self.find_now(wanted);
        self.undo();
        found
    }

    async fn beat(&mut self, beats: &Beats) -> Result<(), Trouble> {
        self.begin().await?;
        let written = match self.beat_now(beats) {
            Ok(()) => self.batch("COMMIT"),
            Err(trouble) => Err(trouble),
        };
        if written.is_err() {
            self.undo();
        }
        written
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Number(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Odd => return Err(rusqlite::Error::InvalidQuery),
        }))
    }
}

fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Number(number),
        ValueRef::Text(bytes) => match str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Odd,
        },
        ValueRef::Blob(_) | ValueRef::Real(_) => Value::Odd,
    }
}
