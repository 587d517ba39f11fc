//! The journal: appended, never changed.

use session_core::changeset::Entry;
use session_core::ports::CommitError;
use sqlx::SqliteConnection;

use crate::error::store_error;
use crate::statement::Parameters;

/// An entry's identifier is a digest of its content, so one that is there already is the same.
pub(crate) const INSERT: &str = "INSERT INTO journal (id, decided_at, kind, fact) \
    VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING";

/// Appends an entry, unless it is there already.
pub(crate) async fn append(
    connection: &mut SqliteConnection,
    entry: &Entry,
) -> Result<(), CommitError> {
    let arguments = Parameters::new()
        .text(entry.id)
        .time(entry.at)
        .text(entry.fact.name())
        .json(&entry.fact)
        .finish()?;
    sqlx::query_with(INSERT, arguments)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}
