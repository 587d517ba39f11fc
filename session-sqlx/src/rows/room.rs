//! Free rooms.

use session_core::ports::StoreError;
use session_core::room::{Room, RoomState};

use super::Statements;
use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::Parameters;

pub(super) const STATEMENTS: Statements = Statements {
    by_names: "SELECT room.* FROM json_each($1) AS named CROSS JOIN room \
        ON room.id = named.value ->> 0",
    insert: "INSERT INTO room \
        (id, host, visibility, ai_enabled, created_at, closed_at, closed_why, unjoined_until, \
        live_seats, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    update: "UPDATE room SET host = $2, visibility = $3, ai_enabled = $4, created_at = $5, \
        closed_at = $6, closed_why = $7, unjoined_until = $8, live_seats = $9, version = $10 \
        WHERE id = $1 AND version = $11",
    delete: "DELETE FROM room WHERE id = $1 AND version = $2",
};

/// Active ones of a JSON list of hosts.
pub(crate) const ACTIVE_OF_HOSTS: &str = "SELECT room.* FROM json_each($1) AS named CROSS JOIN room \
    ON room.host = named.value AND room.closed_at IS NULL";

/// Active open ones, newest first, at most `$1`.
pub(crate) const ACTIVE_OPEN: &str = "SELECT room.* FROM room WHERE closed_at IS NULL AND visibility = 'open' \
    ORDER BY created_at DESC, id LIMIT $1";

pub(super) fn values(room: &Room) -> Parameters {
    let (closed_at, closed_why) = match room.state {
        RoomState::Active => (None, None),
        RoomState::Closed { at, why } => (Some(at), Some(why)),
    };
    Parameters::new()
        .text(room.id)
        .text(room.host)
        .name(room.visibility)
        .flag(room.ai_enabled)
        .time(room.created_at)
        .time_or_null(closed_at)
        .name_or_null(closed_why)
        .time_or_null(room.unjoined_until)
        .number(room.live_seats.into())
}

pub(super) fn decode(columns: Columns<'_>) -> Result<Room, StoreError> {
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
    })
}
