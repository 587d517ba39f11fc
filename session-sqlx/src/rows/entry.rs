//! Entries of the journal as rows. Appending them: [`journal`](crate::journal).

use session_core::journal::{Entry, Fact};
use session_core::ports::StoreError;

use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::{Statement, Table, table, text};
use crate::value::{Type, Values};

pub(crate) const TABLE: Table = table! {
    journal by (1 id text)
    holds (
        2 decided_at bigint,
        3 kind text,
        4 fact text,
    )
    version 5 replaced 6 gone 2
};

/// The oldest that are in no block, at most so many.
pub(crate) const UNSEALED: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM (SELECT entry FROM unsealed ORDER BY decided_at, entry LIMIT ?1) AS oldest \
        JOIN journal ON journal.id = oldest.entry"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM (SELECT entry FROM unsealed ORDER BY decided_at, entry \
        LIMIT ($1::bigint[])[1]) AS oldest JOIN journal ON journal.id = oldest.entry"
    ),
    takes: &[Type::Number],
    finds: TABLE.select.finds,
};

pub(crate) fn values(entry: &Entry) -> Values {
    Values::new()
        .text(entry.id)
        .time(entry.at)
        .text(entry.fact.name())
        .json(&entry.fact)
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Entry, StoreError> {
    let id = columns.parsed("id")?;
    let at = columns.time("decided_at")?;
    let kind = columns.text("kind")?;
    let fact: Fact = columns.json("fact")?;
    if fact.name() != kind {
        return Err(corrupt("column kind contradicts the fact"));
    }
    Ok(Entry { id, at, fact })
}
