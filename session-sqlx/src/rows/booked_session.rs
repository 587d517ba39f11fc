//! Booked sessions.

use session_core::booking::BookedSession;
use session_core::escrow::Side;
use session_core::ports::StoreError;

use crate::columns::Columns;
use crate::error::corrupt;
use crate::names::Named;
use crate::statement::{Statement, Table, table, text};
use crate::value::{Type, Values};

pub(crate) const TABLE: Table = table! {
    booked_session by (1 key text)
    holds (
        2 host text,
        3 guest text,
        4 status text,
        5 starts_at bigint,
        6 record text,
    )
    version 7 replaced 8 gone 2
};

/// Of a wallet as host or guest, of one status where one is named, those that begin last first,
/// before an instant and a key, at most so many of either side. A session that it is both of is on
/// the host's side alone.
pub(crate) const OF_WALLET: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM (SELECT * FROM (SELECT * FROM booked_session WHERE host = ?1 \
        AND (?2 = '' OR status = ?2) AND (starts_at, key) < (?3, ?4) \
        ORDER BY starts_at DESC, key DESC LIMIT ?5) UNION ALL SELECT * FROM (SELECT * \
        FROM booked_session WHERE guest = ?1 AND host <> ?1 AND (?2 = '' OR status = ?2) \
        AND (starts_at, key) < (?3, ?4) ORDER BY starts_at DESC, key DESC LIMIT ?5)) \
        AS booked_session"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[]",
        OF_WALLET_REST
    ),
    takes: &[
        Type::Text,
        Type::Text,
        Type::Number,
        Type::Text,
        Type::Number,
    ],
    finds: TABLE.select.finds,
};

/// What follows the five parameters. Each side brings its rows along: were they looked up by their
/// keys afterwards, a server that does not know how few they are would read the whole table.
pub(crate) const OF_WALLET_REST: &str = ") AS named (wallet, status, at, key, most), LATERAL (\
    (SELECT * FROM booked_session AS hosted \
    WHERE hosted.host = named.wallet AND (named.status = '' OR hosted.status = named.status) \
    AND (hosted.starts_at, hosted.key) < (named.at, named.key) \
    ORDER BY hosted.starts_at DESC, hosted.key DESC LIMIT named.most) \
    UNION ALL (SELECT * FROM booked_session AS visited \
    WHERE visited.guest = named.wallet AND visited.host <> named.wallet \
    AND (named.status = '' OR visited.status = named.status) \
    AND (visited.starts_at, visited.key) < (named.at, named.key) \
    ORDER BY visited.starts_at DESC, visited.key DESC LIMIT named.most)) AS booked_session";

pub(super) fn values(session: &BookedSession) -> Values {
    Values::new()
        .text(session.key)
        .text(session.agreement.wallet(Side::Host))
        .text(session.agreement.wallet(Side::Guest))
        .name(session.status)
        .time(session.agreement.slot.start_time)
        .json(session)
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<BookedSession, StoreError> {
    let session: BookedSession = columns.json("record")?;
    let agreement = &session.agreement;
    let is_whole = session.key == columns.parsed("key")?
        && agreement.wallet(Side::Host) == columns.parsed("host")?
        && agreement.wallet(Side::Guest) == columns.parsed("guest")?
        && Named::name(session.status) == columns.text("status")?
        && agreement.slot.start_time == columns.time("starts_at")?;
    if is_whole {
        Ok(session)
    } else {
        Err(corrupt("a booked session's columns contradict its record"))
    }
}
