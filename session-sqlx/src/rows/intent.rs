//! What will leave the process.

use session_core::outbox::Intent;
use session_core::ports::StoreError;

use crate::columns::Columns;
use crate::statement::{Table, table};
use crate::value::Values;

pub(crate) const TABLE: Table = table! {
    intent by (1 key text)
    holds (
        2 class text,
        3 effect text,
        4 state text,
        5 attempts bigint,
        6 due_at bigint,
        7 created_at bigint,
        8 note text,
    )
    version 9 replaced 10 gone 2
};

pub(super) fn values(intent: &Intent) -> Values {
    Values::new()
        .text(intent.key)
        .name(intent.class)
        .json(&intent.effect)
        .name(intent.state)
        .number(intent.attempts.into())
        .time(intent.due_at)
        .time(intent.created_at)
        .text_or_null(intent.note.as_ref())
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Intent, StoreError> {
    Ok(Intent {
        key: columns.parsed("key")?,
        class: columns.named("class")?,
        effect: columns.json("effect")?,
        state: columns.named("state")?,
        attempts: columns.number("attempts")?,
        due_at: columns.time("due_at")?,
        created_at: columns.time("created_at")?,
        note: columns.parsed_or_null("note")?,
    })
}
