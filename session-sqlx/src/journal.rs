//! The journal: appended, never changed.

use session_core::changeset::{Entry, Rejection};

use crate::statement::{Statement, text};
use crate::value::{Tuple, Type, Values};

const INTO: &str = "INSERT INTO journal (id, decided_at, kind, fact) ";

/// An entry's identifier is a digest of its content, so one that is there already is the same.
const UNLESS_THERE: &str = " ON CONFLICT (id) DO NOTHING";

/// Appends entries, unless they are there already.
pub(crate) const INSERT: Statement = Statement {
    sqlite: text!(INTO, "VALUES (?1, ?2, ?3, ?4)", UNLESS_THERE),
    postgres: text!(
        INTO,
        "SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[])",
        UNLESS_THERE
    ),
    takes: &[Type::Text, Type::Number, Type::Text, Type::Text],
    finds: &[],
};

pub(crate) fn values(entry: &Entry) -> Result<Tuple, Rejection> {
    Values::new()
        .text(entry.id)
        .time(entry.at)
        .text(entry.fact.name())
        .json(&entry.fact)
        .finish()
}
