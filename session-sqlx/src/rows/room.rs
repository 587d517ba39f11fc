//! Free rooms.

use session_core::ports::StoreError;
use session_core::room::{EventNumber, Room, RoomState};

use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::{Statement, Table, table, text};
use crate::value::{Type, Values};

pub(crate) const TABLE: Table = table! {
    room by (1 id text)
    holds (
        2 host text,
        3 visibility text,
        4 ai_enabled bigint,
        5 created_at bigint,
        6 closed_at bigint,
        7 closed_why text,
        8 unjoined_until bigint,
        9 live_seats bigint,
        10 last_event bigint,
    )
    version 11 replaced 12 gone 2
};

/// Active ones of hosts.
pub(crate) const ACTIVE_OF_HOSTS: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM room WHERE host = ?1 AND closed_at IS NULL"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM unnest($1::text[]) AS named (host) JOIN room \
        ON room.host = named.host AND room.closed_at IS NULL"
    ),
    takes: &[Type::Text],
    finds: TABLE.select.finds,
};

/// The newest active open ones, at most as many as the first parameter says.
pub(crate) const ACTIVE_OPEN: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM room WHERE closed_at IS NULL AND visibility = 'open' \
        ORDER BY created_at DESC, id LIMIT ?1"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM unnest($1::bigint[]) AS named (most), LATERAL (\
        SELECT * FROM room WHERE closed_at IS NULL AND visibility = 'open' \
        ORDER BY created_at DESC, id LIMIT named.most) AS room"
    ),
    takes: &[Type::Number],
    finds: TABLE.select.finds,
};

pub(super) fn values(room: &Room) -> Values {
    let (closed_at, closed_why) = match room.state {
        RoomState::Active => (None, None),
        RoomState::Closed { at, why } => (Some(at), Some(why)),
    };
    Values::new()
        .text(room.id)
        .text(room.host)
        .name(room.visibility)
        .flag(room.ai_enabled)
        .time(room.created_at)
        .time_or_null(closed_at)
        .name_or_null(closed_why)
        .time_or_null(room.unjoined_until)
        .number(room.live_seats.into())
        .number(room.last_event.get())
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Room, StoreError> {
    let closed = (
        columns.time_or_null("closed_at")?,
        columns.named_or_null("closed_why")?,
    );
    Ok(Room {
        id: columns.parsed("id")?,
        host: columns.parsed("host")?,
        visibility: columns.named("visibility")?,
        ai_enabled: columns.flag("ai_enabled")?,
        created_at: columns.time("created_at")?,
        state: match closed {
            (None, None) => RoomState::Active,
            (Some(at), Some(why)) => RoomState::Closed { at, why },
            (None, Some(_)) | (Some(_), None) => return Err(corrupt("a room is half closed")),
        },
        unjoined_until: columns.time_or_null("unjoined_until")?,
        live_seats: columns.number("live_seats")?,
        last_event: EventNumber::new(columns.number("last_event")?),
    })
}
