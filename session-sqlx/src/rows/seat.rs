//! Stays of wallets in free rooms.

use session_core::media::MediaUid;
use session_core::ports::StoreError;
use session_core::room::{Seat, SeatState};

use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::{Statement, Table, table, text};
use crate::value::{Type, Values};

pub(crate) const TABLE: Table = table! {
    seat by (1 connection text)
    holds (
        2 room text,
        3 wallet text,
        4 slot bigint,
        5 uid bigint,
        6 joined_at bigint,
        7 last_seen_at bigint,
        8 metered_to bigint,
        9 charged bigint,
        10 lease_until bigint,
        11 low_raised bigint,
        12 exhausted_at bigint,
        13 undelivered text,
        14 check_at bigint,
        15 gone_at bigint,
        16 gone_why text,
    )
    version 17 replaced 18 gone 2
};

/// Live ones of wallets.
pub(crate) const LIVE_OF_WALLETS: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM seat WHERE wallet = ?1 AND gone_at IS NULL"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM unnest($1::text[]) AS named (wallet) JOIN seat \
        ON seat.wallet = named.wallet AND seat.gone_at IS NULL"
    ),
    takes: &[Type::Text],
    finds: TABLE.select.finds,
};

/// Live ones in rooms. Left to itself, the planner of SQLite walks through all stays that a room
/// ever had.
pub(crate) const LIVE_IN_ROOMS: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM seat INDEXED BY seat_live_slot WHERE room = ?1 AND gone_at IS NULL"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM unnest($1::text[]) AS named (room) JOIN seat \
        ON seat.room = named.room AND seat.gone_at IS NULL"
    ),
    takes: &[Type::Text],
    finds: TABLE.select.finds,
};

/// The last of a wallet in a room.
pub(crate) const LAST_IN: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM seat WHERE room = ?1 AND wallet = ?2 \
        ORDER BY gone_at IS NULL DESC, joined_at DESC, connection DESC LIMIT 1"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM unnest($1::text[], $2::text[]",
        LAST_IN_REST
    ),
    takes: &[Type::Text, Type::Text],
    finds: TABLE.select.finds,
};

/// What follows the two parameters.
pub(crate) const LAST_IN_REST: &str = ") AS named (room, wallet), LATERAL (\
    SELECT * FROM seat WHERE seat.room = named.room AND seat.wallet = named.wallet \
    ORDER BY seat.gone_at IS NULL DESC, seat.joined_at DESC, seat.connection DESC LIMIT 1) AS seat";

/// Writes what metering changes and nothing else: see [`metered`].
pub(crate) const METER: Statement = Statement {
    sqlite: "UPDATE seat SET last_seen_at = ?2, metered_to = ?3, charged = ?4, lease_until = ?5, \
        low_raised = ?6, exhausted_at = ?7, undelivered = ?8, version = ?9 \
        WHERE connection = ?1 AND version = ?10",
    postgres: "UPDATE seat SET last_seen_at = new.last_seen_at, metered_to = new.metered_to, \
        charged = new.charged, lease_until = new.lease_until, low_raised = new.low_raised, \
        exhausted_at = new.exhausted_at, undelivered = new.undelivered, version = new.version \
        FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], \
        $6::bigint[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[]) AS new (connection, \
        last_seen_at, metered_to, charged, lease_until, low_raised, exhausted_at, undelivered, \
        version, replaced) \
        WHERE seat.connection = new.connection AND seat.version = new.replaced",
    takes: &[
        Type::Text,
        Type::Number,
        Type::Number,
        Type::Number,
        Type::Number,
        Type::Number,
        Type::Number,
        Type::Text,
        Type::Number,
        Type::Number,
    ],
    finds: &[],
};

/// The columns that metering changes, after the one that names the seat.
pub(crate) fn metered(seat: &Seat) -> Values {
    Values::new()
        .text(seat.connection)
        .time(seat.last_seen_at)
        .time(seat.metered_to)
        .number(seat.charged.get())
        .time(seat.lease_until)
        .flag(seat.low_raised)
        .time_or_null(seat.exhausted_at)
        .json(&seat.undelivered)
}

/// Whether one state of a seat differs from another by what metering changes and nothing else.
pub(crate) fn is_metering(before: &Seat, after: &Seat) -> bool {
    let metered = Seat {
        last_seen_at: after.last_seen_at,
        metered_to: after.metered_to,
        charged: after.charged,
        lease_until: after.lease_until,
        low_raised: after.low_raised,
        exhausted_at: after.exhausted_at,
        undelivered: after.undelivered.clone(),
        ..before.clone()
    };
    metered == *after
}

pub(super) fn values(seat: &Seat) -> Values {
    let (gone_at, gone_why) = match seat.state {
        SeatState::Live => (None, None),
        SeatState::Gone { at, why } => (Some(at), Some(why)),
    };
    Values::new()
        .text(seat.connection)
        .text(seat.room)
        .text(seat.wallet)
        .number(seat.slot.into())
        .number(seat.uid.get().into())
        .time(seat.joined_at)
        .time(seat.last_seen_at)
        .time(seat.metered_to)
        .number(seat.charged.get())
        .time(seat.lease_until)
        .flag(seat.low_raised)
        .time_or_null(seat.exhausted_at)
        .json(&seat.undelivered)
        .time(seat.check_at)
        .time_or_null(gone_at)
        .name_or_null(gone_why)
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Seat, StoreError> {
    let gone = (
        columns.time_or_null("gone_at")?,
        columns.named_or_null("gone_why")?,
    );
    let uid = MediaUid::new(columns.number("uid")?);
    Ok(Seat {
        connection: columns.parsed("connection")?,
        room: columns.parsed("room")?,
        wallet: columns.parsed("wallet")?,
        slot: columns.number("slot")?,
        uid: uid.ok_or_else(|| corrupt("column uid holds no media uid"))?,
        joined_at: columns.time("joined_at")?,
        last_seen_at: columns.time("last_seen_at")?,
        metered_to: columns.time("metered_to")?,
        charged: columns.seconds("charged")?,
        lease_until: columns.time("lease_until")?,
        low_raised: columns.flag("low_raised")?,
        exhausted_at: columns.time_or_null("exhausted_at")?,
        undelivered: columns.json("undelivered")?,
        check_at: columns.time("check_at")?,
        state: match gone {
            (None, None) => SeatState::Live,
            (Some(at), Some(why)) => SeatState::Gone { at, why },
            (None, Some(_)) | (Some(_), None) => return Err(corrupt("a seat is half gone")),
        },
    })
}
