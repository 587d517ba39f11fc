//! Stays of wallets in free rooms.

use session_core::media::MediaUid;
use session_core::ports::StoreError;
use session_core::room::{Seat, SeatState};

use super::Statements;
use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::Parameters;

pub(super) const STATEMENTS: Statements = Statements {
    by_names: "SELECT seat.* FROM json_each($1) AS named CROSS JOIN seat \
        ON seat.connection = named.value ->> 0",
    insert: "INSERT INTO seat \
        (connection, room, wallet, slot, uid, joined_at, last_seen_at, metered_to, charged, \
        lease_until, low_raised, exhausted_at, undelivered, check_at, gone_at, gone_why, version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    update: "UPDATE seat SET room = $2, wallet = $3, slot = $4, uid = $5, joined_at = $6, \
        last_seen_at = $7, metered_to = $8, charged = $9, lease_until = $10, low_raised = $11, \
        exhausted_at = $12, undelivered = $13, check_at = $14, gone_at = $15, gone_why = $16, \
        version = $17 \
        WHERE connection = $1 AND version = $18",
    delete: "DELETE FROM seat WHERE connection = $1 AND version = $2",
};

/// Live ones of a JSON list of wallets.
pub(crate) const LIVE_OF_WALLETS: &str = "SELECT seat.* FROM json_each($1) AS named CROSS JOIN seat \
    ON seat.wallet = named.value AND seat.gone_at IS NULL";

/// Live ones in a JSON list of rooms, those of a room by slot. Left to itself, the planner walks
/// through all stays that a room ever had.
pub(crate) const LIVE_IN_ROOMS: &str = "SELECT seat.* FROM json_each($1) AS named CROSS JOIN seat INDEXED BY seat_live_slot \
    ON seat.room = named.value AND seat.gone_at IS NULL \
    ORDER BY seat.room, seat.slot";

pub(super) fn values(seat: &Seat) -> Parameters {
    let (gone_at, gone_why) = match seat.state {
        SeatState::Live => (None, None),
        SeatState::Gone { at, why } => (Some(at), Some(why)),
    };
    Parameters::new()
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

pub(super) fn decode(columns: Columns<'_>) -> Result<Seat, StoreError> {
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
