//! Answers kept for repeats.

use session_core::idempotency::{IdempotencyKey, IdempotencyRecord};
use session_core::ports::StoreError;
use session_core::types::{decode_hex_array, encode_hex};

use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::{Table, table};
use crate::value::Values;

pub(crate) const TABLE: Table = table! {
    idempotency by (1 caller text, 2 command text, 3 key text)
    holds (
        4 fingerprint text,
        5 answer text,
        6 expires_at bigint,
    )
    version 7 replaced 8 gone 4
};

pub(super) fn values(record: &IdempotencyRecord) -> Values {
    Values::new()
        .text(record.key.caller)
        .text(&record.key.command)
        .text(&record.key.key)
        .text(encode_hex(&record.fingerprint))
        .text(&record.answer)
        .time(record.expires_at)
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<IdempotencyRecord, StoreError> {
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
