//! Free rooms: who may come in, who is in, and who pays for this second.
//!
//! A [`Room`] is active from its creation until its host leaves, its last participant leaves, or
//! nobody comes. A [`Seat`] is one stay of one wallet. Seconds are charged in [`meter`] and nowhere
//! else.

mod check;
mod create;
mod depart;
mod event;
mod join;
mod meter;
mod seat;
mod stay;
#[cfg(test)]
pub(crate) mod testing;
mod view;

pub use check::{CheckSeat, CloseUnjoined, SeatChecked};
pub use create::{CreateRoom, RoomCreated};
pub use depart::{LeaveRoom, Left};
pub use event::{EventNumber, Happening, InvalidRoomEventKey, RoomEvent, RoomEventKey};
pub use join::{JoinRoom, Joined};
pub use meter::{Metered, charge_until, meter};
pub use seat::{Departure, Seat, SeatState, Threshold, ThresholdKind};
pub use stay::{Heartbeat, HeartbeatReply, Renew, RenewReply, StayName};

use serde::{Deserialize, Serialize};

use crate::ledger::CreditRefusal;
use crate::media::{Channel, MediaVendor, Ttl};
use crate::types::{RoomId, Seconds, Timestamp, Wallet};

/// The numbers of free rooms. The defaults are those of `rooms-and-sessions.md` sections 4 and 8;
/// how long a room may stay unjoined and a spent seat may be held is our own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoomPolicy {
    /// Participants at once.
    pub capacity: u8,
    /// Life of a media token, and so of the lease it is.
    pub lease: Ttl,
    /// What a client is told about when to renew.
    pub renew_after_seconds: Seconds,
    /// What a client is told about how often to beat.
    pub heartbeat_interval_seconds: Seconds,
    /// Credit needed to create, join or renew. At least the lease, so that no token outlives what
    /// the credits pay for.
    pub credit_min_seconds: Seconds,
    /// Credit at which a participant is warned.
    pub credit_low_seconds: Seconds,
    /// Silence after which a participant is evicted (more than this).
    pub silence_max_seconds: Seconds,
    /// How long after the last metering a worker looks at a seat: the recorded room timer.
    pub check_after_seconds: Seconds,
    /// How long an active room may stay without anybody in it.
    pub unjoined_max_seconds: Seconds,
    /// How long somebody without credit and without a lease keeps a seat.
    pub exhausted_max_seconds: Seconds,
    /// Rooms in the public list.
    pub active_list_max: u32,
    /// How long events of a room are kept for whoever was away.
    pub events_kept_seconds: Seconds,
    /// Whether the media vendor puts out whoever's token ends. Where it does not, whoever has neither
    /// credit nor lease would go on for nothing, and so is evicted at once.
    pub lease_ejects: bool,
    /// Whether the media vendor is asked to remove who has left.
    pub remove_from_channel: bool,
}

impl Default for RoomPolicy {
    fn default() -> Self {
        Self {
            capacity: 6,
            lease: Ttl::FREE_ROOM,
            renew_after_seconds: Seconds::new(45),
            heartbeat_interval_seconds: Seconds::new(30),
            credit_min_seconds: Seconds::new(90),
            credit_low_seconds: Seconds::new(300),
            silence_max_seconds: Seconds::new(90),
            check_after_seconds: Seconds::new(30),
            unjoined_max_seconds: Seconds::new(120),
            exhausted_max_seconds: Seconds::new(90),
            active_list_max: 50,
            events_kept_seconds: Seconds::new(3600),
            lease_ejects: true,
            remove_from_channel: false,
        }
    }
}

impl RoomPolicy {
    /// How long a seat without credit and without a lease is held.
    #[must_use]
    pub const fn exhausted_grace(&self) -> Seconds {
        if self.lease_ejects {
            self.exhausted_max_seconds
        } else {
            Seconds::ZERO
        }
    }

    /// The same at a vendor: where the end of a token does not put its holder out, whoever leaves or
    /// is evicted has to be removed, for nothing else would.
    #[must_use]
    pub const fn at(self, vendor: MediaVendor) -> Self {
        let lease_ejects = vendor.expiry_ejects();
        Self {
            lease_ejects,
            remove_from_channel: self.remove_from_channel || !lease_ejects,
            ..self
        }
    }
}

/// Whether a room is in the public list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the wire knows these two")]
pub enum Visibility {
    /// In the public list.
    Open,
    /// Joinable by whoever knows its id.
    Private,
}

impl Visibility {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Private => "private",
        }
    }
}

/// Why a room closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "stores map every reason")]
pub enum Closing {
    /// The last participant left or was evicted.
    Emptied,
    /// The host left or was evicted.
    HostLeft,
    /// Nobody came in time.
    Unjoined,
}

impl Closing {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emptied => "emptied",
            Self::HostLeft => "host_left",
            Self::Unjoined => "unjoined",
        }
    }
}

/// Whether a room takes participants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the lifecycle is closed")]
pub enum RoomState {
    /// It takes participants.
    Active,
    /// It never will again.
    Closed {
        /// Since when.
        at: Timestamp,
        /// Why.
        why: Closing,
    },
}

/// A free room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Its identifier.
    pub id: RoomId,
    /// Who created it. When the host leaves, the room closes for everybody.
    pub host: Wallet,
    /// Whether it is listed.
    pub visibility: Visibility,
    /// Whether the host asked for an agent.
    pub ai_enabled: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// Whether it takes participants.
    pub state: RoomState,
    /// Until when somebody must have come; `None` once somebody has, or the room is closed.
    pub unjoined_until: Option<Timestamp>,
    /// Participants now. Every change of the set of seats changes this row, so that expecting the
    /// room's version expects the set.
    pub live_seats: u8,
    /// How far its events have come.
    pub last_event: EventNumber,
}

impl Room {
    /// Whether it takes participants.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        matches!(self.state, RoomState::Active)
    }

    /// The media channel of the room.
    #[must_use]
    pub fn channel(&self) -> Channel {
        Channel::free_room(self.id)
    }

    /// Whether nobody came in time.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.is_active() && self.unjoined_until.is_some_and(|until| now >= until)
    }

    /// The room, closed.
    #[must_use]
    pub fn closed(&self, at: Timestamp, why: Closing) -> Self {
        Self {
            state: RoomState::Closed { at, why },
            unjoined_until: None,
            live_seats: 0,
            ..self.clone()
        }
    }
}

/// Why a command on a free room is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "adapters map every refusal")]
pub enum RoomRefusal {
    /// The wallet hosts an active free room.
    #[error("wallet hosts an active free room already")]
    AlreadyHosting,
    /// The wallet is in a free room.
    #[error("wallet is in a free room already")]
    AlreadyInRoom,
    /// The credit gate is closed.
    #[error(transparent)]
    Credit(#[from] CreditRefusal),
    /// No live stay of this wallet in this room has this connection.
    #[error("no such stay")]
    NotYourConnection,
    /// All seats are taken.
    #[error("room is full")]
    RoomFull,
    /// There is no such active room.
    #[error("no such active room")]
    RoomNotFound,
}
