//! Queues: which row is due, in which lane, and who has it.

use session_core::changeset::{Due, Fence, Key, Rejection, Work};
use session_core::ports::{Claim, Claimed, StoreError};
use session_core::types::Timestamp;

use crate::columns::Columns;
use crate::statement::{Statement, text};
use crate::value::{Tuple, Type, Value, Values};

const COLUMNS: &[&str] = &["row_key", "lane", "due_at", "fence", "leased_until"];

const TYPES: &[Type] = &[
    Type::Text,
    Type::Text,
    Type::Number,
    Type::Number,
    Type::Number,
];

const LIST: &str = "work.row_key, work.lane, work.due_at, work.fence, work.leased_until";

/// Of rows. Nobody else claims or moves them until the transaction ends.
pub(crate) const LOCK: Statement = Statement {
    sqlite: text!("SELECT ", LIST, " FROM work WHERE row_key = ?1"),
    postgres: text!(
        "SELECT ",
        LIST,
        " FROM unnest($1::text[]) AS named (row_key) JOIN work \
        ON work.row_key = named.row_key ORDER BY work.row_key FOR UPDATE OF work"
    ),
    takes: &[Type::Text],
    finds: TYPES,
};

const INTO: &str = "INSERT INTO work (row_key, lane, due_at, fence, leased_until) ";

const REPLACE: &str = " ON CONFLICT (row_key) DO UPDATE SET lane = excluded.lane, \
    due_at = excluded.due_at, fence = excluded.fence, leased_until = excluded.leased_until";

pub(crate) const UPSERT: Statement = Statement {
    sqlite: text!(INTO, "VALUES (?1, ?2, ?3, ?4, ?5)", REPLACE),
    postgres: text!(
        INTO,
        "SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[])",
        REPLACE
    ),
    takes: TYPES,
    finds: &[],
};

pub(crate) const DELETE: Statement = Statement {
    sqlite: "DELETE FROM work WHERE row_key = ?1",
    postgres: "DELETE FROM work USING unnest($1::text[]) AS gone (row_key) \
        WHERE work.row_key = gone.row_key",
    takes: &[Type::Text],
    finds: &[],
};

/// The longest due first. Rows that somebody else is claiming or moving just now are left to them.
pub(crate) const CLAIM: Statement = Statement {
    sqlite: "UPDATE work SET fence = fence + 1, leased_until = ?3 \
        WHERE row_key IN ( \
            SELECT row_key FROM work \
            WHERE lane = ?1 AND due_at <= ?2 AND (leased_until IS NULL OR leased_until <= ?2) \
            ORDER BY due_at, row_key LIMIT ?4 \
        ) RETURNING row_key, due_at, fence",
    postgres: "WITH due AS MATERIALIZED ( \
            SELECT row_key FROM work \
            WHERE lane = ($1::text[])[1] AND due_at <= ($2::bigint[])[1] \
            AND (leased_until IS NULL OR leased_until <= ($2::bigint[])[1]) \
            ORDER BY due_at, row_key LIMIT ($4::bigint[])[1] \
            FOR UPDATE SKIP LOCKED \
        ) UPDATE work SET fence = fence + 1, leased_until = ($3::bigint[])[1] \
        FROM due WHERE work.row_key = due.row_key \
        RETURNING work.row_key, work.due_at, work.fence",
    takes: &[Type::Text, Type::Number, Type::Number, Type::Number],
    finds: &[Type::Text, Type::Number, Type::Number],
};

/// The parameters of [`CLAIM`].
pub(crate) fn claim(claim: &Claim) -> Result<Tuple, Rejection> {
    let rows_max = u64::try_from(claim.rows_max)
        .unwrap_or(u64::MAX)
        .min(i64::MAX.unsigned_abs());
    Values::new()
        .text(claim.lane.name())
        .time(claim.now)
        .time(claim.now.after(claim.lease))
        .number(rows_max)
        .finish()
}

/// What [`CLAIM`] found, the longest due first.
pub(crate) fn claimed(found: &[Tuple]) -> Vec<Claimed> {
    // What an update returns is in no order.
    let mut claimed: Vec<(Timestamp, Key, Fence)> = Vec::new();
    for tuple in found {
        match place(tuple) {
            Ok(place) => claimed.push(place),
            // A kind of a later version, most likely. It is under a claim now, so that it does not
            // keep the others from their turn.
            Err(error) => tracing::error!(%error, "a due row cannot be told by its name"),
        }
    }
    claimed.sort();
    claimed
        .into_iter()
        .map(|(_, key, fence)| Claimed { key, fence })
        .collect()
}

fn place(tuple: &[Value]) -> Result<(Timestamp, Key, Fence), StoreError> {
    let columns = Columns::new(&["row_key", "due_at", "fence"], tuple);
    Ok((
        columns.time("due_at")?,
        columns.parsed("row_key")?,
        columns.number("fence").map(Fence::new)?,
    ))
}

pub(crate) fn values(key: &Key, work: &Work) -> Result<Tuple, Rejection> {
    Values::new()
        .text(key)
        .text(work.due.lane.name())
        .time(work.due.at)
        .number(work.fence.get())
        .time_or_null(work.leased_until)
        .finish()
}

pub(crate) fn decode(tuple: &[Value]) -> Result<(Key, Work), StoreError> {
    let columns = Columns::new(COLUMNS, tuple);
    let key = columns.parsed("row_key")?;
    let work = Work {
        due: Due {
            lane: columns.named("lane")?,
            at: columns.time("due_at")?,
        },
        fence: columns.number("fence").map(Fence::new)?,
        leased_until: columns.time_or_null("leased_until")?,
    };
    Ok((key, work))
}

/// Accounts, hosts, the shared beat and what the journal holds never wait for a worker.
pub(crate) const fn may_be_due(key: &Key) -> bool {
    match key {
        Key::Account(_) | Key::Block(_) | Key::Entry(_) | Key::Host(_) | Key::Service(()) => false,
        Key::BookedSession(_)
        | Key::Chain(())
        | Key::Challenge(_)
        | Key::Idempotency(_)
        | Key::Intent(_)
        | Key::Revocation(_)
        | Key::Room(_)
        | Key::RoomEvent(_)
        | Key::Seat(_) => true,
    }
}
