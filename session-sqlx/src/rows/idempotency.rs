//! Answers kept for repeats.

use session_core::idempotency::{IdempotencyKey, IdempotencyRecord};
use session_core::ports::StoreError;
use session_core::types::{decode_hex_array, encode_hex};

use super::Statements;
use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::Parameters;

pub(super) const STATEMENTS: Statements = Statements {
    by_names: "SELECT idempotency.* FROM json_each($1) AS named CROSS JOIN idempotency \
        ON idempotency.caller = named.value ->> 0 \
        AND idempotency.command = named.value ->> 1 \
        AND idempotency.key = named.value ->> 2",
    insert: "INSERT INTO idempotency \
        (caller, command, key, fingerprint, answer, expires_at, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7)",
    update: "UPDATE idempotency SET fingerprint = $4, answer = $5, expires_at = $6, version = $7 \
        WHERE caller = $1 AND command = $2 AND key = $3 AND version = $8",
    delete: "DELETE FROM idempotency \
        WHERE caller = $1 AND command = $2 AND key = $3 AND version = $4",
};

pub(super) fn values(record: &IdempotencyRecord) -> Parameters {
    Parameters::new()
        .text(record.key.caller)
        .text(&record.key.command)
        .text(&record.key.key)
        .text(encode_hex(&record.fingerprint))
        .text(&record.answer)
        .time(record.expires_at)
}

pub(super) fn decode(columns: Columns<'_>) -> Result<IdempotencyRecord, StoreError> {
    let (command, key) = (columns.text("command")?, columns.text("key")?);
    let key = IdempotencyKey::parse(columns.parsed("caller")?, command, key);
    let fingerprint = decode_hex_array(columns.text("fingerprint")?);
    Ok(IdempotencyRecord {
        key: key.map_err(|_| corrupt("column key holds no idempotency key"))?,
        fingerprint: fingerprint.map_err(|_| corrupt("column fingerprint holds no digest"))?,
        answer: columns.text("answer")?.to_owned(),
        expires_at: columns.time("expires_at")?,
    })
}
