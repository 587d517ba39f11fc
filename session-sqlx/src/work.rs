//! Queues: which row is due, in which lane, and who has it.

use std::collections::BTreeSet;

use session_core::changeset::{Due, Fence, Key, Work};
use session_core::ports::{Claim, Claimed, CommitError, StoreError};
use session_core::types::Timestamp;
use sqlx::SqliteConnection;

use crate::columns::Columns;
use crate::statement::{Parameters, execute, fetch};

/// Of a JSON list of rows.
pub(crate) const BY_NAMES: &str = "SELECT work.* FROM json_each($1) AS named CROSS JOIN work \
    ON work.row_key = named.value";

pub(crate) const UPSERT: &str = "INSERT INTO work (row_key, lane, due_at, fence, leased_until) \
    VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (row_key) DO UPDATE SET lane = excluded.lane, due_at = excluded.due_at, \
    fence = excluded.fence, leased_until = excluded.leased_until";

pub(crate) const DELETE: &str = "DELETE FROM work WHERE row_key = $1";

pub(crate) const CLAIM: &str = "UPDATE work SET fence = fence + 1, leased_until = $3 \
    WHERE row_key IN ( \
        SELECT row_key FROM work \
        WHERE lane = $1 AND due_at <= $2 AND (leased_until IS NULL OR leased_until <= $2) \
        ORDER BY due_at, row_key LIMIT $4 \
    ) RETURNING row_key, due_at, fence";

/// The places in queues of these rows, of those that have one.
pub(crate) async fn load(
    connection: &mut SqliteConnection,
    keys: &BTreeSet<Key>,
) -> Result<Vec<(Key, Work)>, StoreError> {
    let queued: Vec<String> = keys
        .iter()
        .filter(|key| may_be_due(key))
        .map(Key::to_string)
        .collect();
    if queued.is_empty() {
        return Ok(Vec::new());
    }
    let found = fetch(connection, BY_NAMES, Parameters::list(&queued)).await?;
    found.iter().map(|row| decode(Columns(row))).collect()
}

/// Writes a row's place in its queue, or takes it away.
pub(crate) async fn put(
    connection: &mut SqliteConnection,
    key: &Key,
    work: Option<&Work>,
) -> Result<(), CommitError> {
    let named = Parameters::new().text(key);
    let (statement, parameters) = match work {
        None => (DELETE, named),
        Some(Work {
            due,
            fence,
            leased_until,
        }) => {
            let placed = named.name(due.lane).time(due.at).number(fence.get());
            (UPSERT, placed.time_or_null(*leased_until))
        }
    };
    execute(connection, key, statement, parameters).await?;
    Ok(())
}

/// Claims due rows, the longest due first.
pub(crate) async fn claim(
    connection: &mut SqliteConnection,
    claim: &Claim,
) -> Result<Vec<Claimed>, StoreError> {
    let rows_max = u64::try_from(claim.rows_max)
        .unwrap_or(u64::MAX)
        .min(i64::MAX.unsigned_abs());
    let parameters = Parameters::new()
        .name(claim.lane)
        .time(claim.now)
        .time(claim.now.after(claim.lease))
        .number(rows_max);
    let found = fetch(connection, CLAIM, parameters).await?;
    // What an update returns is in no order.
    let mut claimed: Vec<(Timestamp, Key, Fence)> = Vec::new();
    for row in &found {
        match place(Columns(row)) {
            Ok(place) => claimed.push(place),
            // A kind of a later version, most likely. It is under a claim now, so that it does not
            // keep the others from their turn.
            Err(error) => tracing::error!(%error, "a due row cannot be told by its name"),
        }
    }
    claimed.sort();
    Ok(claimed
        .into_iter()
        .map(|(_, key, fence)| Claimed { key, fence })
        .collect())
}

fn place(columns: Columns<'_>) -> Result<(Timestamp, Key, Fence), StoreError> {
    Ok((
        columns.time("due_at")?,
        columns.parsed("row_key")?,
        fence(columns)?,
    ))
}

/// Accounts and the shared beat never wait for a worker.
const fn may_be_due(key: &Key) -> bool {
    match key {
        Key::Account(_) | Key::Service(()) => false,
        Key::Challenge(_) | Key::Idempotency(_) | Key::Intent(_) | Key::Room(_) | Key::Seat(_) => {
            true
        }
    }
}

fn decode(columns: Columns<'_>) -> Result<(Key, Work), StoreError> {
    let work = Work {
        due: Due {
            lane: columns.named("lane")?,
            at: columns.time("due_at")?,
        },
        fence: fence(columns)?,
        leased_until: columns.time_or_null("leased_until")?,
    };
    Ok((columns.parsed("row_key")?, work))
}

fn fence(columns: Columns<'_>) -> Result<Fence, StoreError> {
    columns.number("fence").map(Fence::new)
}
