//! What participants of a room are told of each other.

use session_core::ports::StoreError;
use session_core::room::{EventNumber, Happening, RoomEvent, RoomEventKey};

use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::{Statement, Table, table, text};
use crate::value::{Type, Values};

pub(crate) const TABLE: Table = table! {
    room_event by (1 room text, 2 number bigint)
    holds (
        3 happened_at bigint,
        4 kind text,
        5 what text,
        6 forget_at bigint,
    )
    version 7 replaced 8 gone 3
};

/// Of a room, after a number, at most so many.
pub(crate) const AFTER: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM room_event WHERE room = ?1 AND number > ?2 ORDER BY number LIMIT ?3"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM unnest($1::text[], $2::bigint[], $3::bigint[]",
        AFTER_REST
    ),
    takes: &[Type::Text, Type::Number, Type::Number],
    finds: TABLE.select.finds,
};

/// What follows the three parameters.
pub(crate) const AFTER_REST: &str = ") AS named (room, after, most), LATERAL (\
    SELECT * FROM room_event WHERE room_event.room = named.room \
    AND room_event.number > named.after ORDER BY room_event.number LIMIT named.most) AS room_event";

pub(super) fn values(event: &RoomEvent) -> Values {
    Values::new()
        .text(event.key.room)
        .number(event.key.number.get())
        .time(event.at)
        .text(event.what.name())
        .json(&event.what)
        .time(event.forget_at)
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<RoomEvent, StoreError> {
    let key = RoomEventKey {
        room: columns.parsed("room")?,
        number: EventNumber::new(columns.number("number")?),
    };
    let at = columns.time("happened_at")?;
    let kind = columns.text("kind")?;
    let what: Happening = columns.json("what")?;
    if what.name() != kind {
        return Err(corrupt("column kind contradicts what happened"));
    }
    Ok(RoomEvent {
        key,
        at,
        what,
        forget_at: columns.time("forget_at")?,
    })
}
