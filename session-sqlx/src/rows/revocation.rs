//! What is good no more: used nonces, and tokens of whoever logged out.

use session_core::auth::Revocation;
use session_core::ports::StoreError;

use crate::columns::Columns;
use crate::statement::{Statement, Table, table, text};
use crate::value::{Type, Values};

pub(crate) const TABLE: Table = table! {
    revocation by (1 id text)
    holds (
        2 what text,
        3 revoked_at bigint,
        4 forget_at bigint,
    )
    version 5 replaced 6 gone 2
};

/// Tokens, after an instant and a name, at most so many.
pub(crate) const TOKENS_AFTER: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM revocation WHERE what = 'token' AND (revoked_at, id) > (?1, ?2) \
        ORDER BY revoked_at, id LIMIT ?3"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM unnest($1::bigint[], $2::text[], \
        $3::bigint[]",
        TOKENS_AFTER_REST
    ),
    takes: &[Type::Number, Type::Text, Type::Number],
    finds: TABLE.select.finds,
};

/// What follows the three parameters.
pub(crate) const TOKENS_AFTER_REST: &str = ") AS named (after_at, after_id, most), LATERAL (\
    SELECT * FROM revocation WHERE revocation.what = 'token' \
    AND (revocation.revoked_at, revocation.id) > (named.after_at, named.after_id) \
    ORDER BY revocation.revoked_at, revocation.id LIMIT named.most) AS revocation";

pub(super) fn values(revocation: &Revocation) -> Values {
    Values::new()
        .text(revocation.id)
        .name(revocation.what)
        .time(revocation.at)
        .time(revocation.forget_at)
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Revocation, StoreError> {
    Ok(Revocation {
        id: columns.parsed("id")?,
        what: columns.named("what")?,
        at: columns.time("revoked_at")?,
        forget_at: columns.time("forget_at")?,
    })
}
