//! What will leave the process.

use session_core::outbox::Intent;
use session_core::ports::StoreError;

use super::Statements;
use crate::columns::Columns;
use crate::statement::Parameters;

pub(super) const STATEMENTS: Statements = Statements {
    by_names: "SELECT intent.* FROM json_each($1) AS named CROSS JOIN intent \
        ON intent.key = named.value ->> 0",
    insert: "INSERT INTO intent \
        (key, class, effect, state, attempts, due_at, created_at, note, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    update: "UPDATE intent SET class = $2, effect = $3, state = $4, attempts = $5, due_at = $6, \
        created_at = $7, note = $8, version = $9 \
        WHERE key = $1 AND version = $10",
    delete: "DELETE FROM intent WHERE key = $1 AND version = $2",
};

pub(super) fn values(intent: &Intent) -> Parameters {
    Parameters::new()
        .text(intent.key)
        .name(intent.class)
        .json(&intent.effect)
        .name(intent.state)
        .number(intent.attempts.into())
        .time(intent.due_at)
        .time(intent.created_at)
        .text_or_null(intent.note.as_ref())
}

pub(super) fn decode(columns: Columns<'_>) -> Result<Intent, StoreError> {
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
