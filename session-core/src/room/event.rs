//! What participants of a room are told of each other.
//!
//! Events are numbered from 1 in each room, by the commits that make them, so that whoever was away
//! can ask for those after the last one it has heard of. They are a convenience, kept for a while;
//! what has to be provable is in the journal.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use super::seat::{Threshold, ThresholdKind};
use super::{Closing, Departure, Room, RoomPolicy, Seat};
use crate::changeset::Draft;
use crate::media::MediaUid;
use crate::types::{ConnectionId, RoomId, Seconds, Timestamp, Wallet};

/// The place of an event among those of its room: 1, 2, 3, …; 0 is before the first one.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct EventNumber(u64);

impl EventNumber {
    /// Before the first event.
    pub const NONE: Self = Self(0);

    /// The place of this number.
    #[must_use]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        // A room that told of something every nanosecond would take five hundred years.
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for EventNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The name of an event: its room, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "these two name an event")]
pub struct RoomEventKey {
    /// Where.
    pub room: RoomId,
    /// Which of the room's.
    pub number: EventNumber,
}

/// Text that does not name an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text does not name an event of a room")]
pub struct InvalidRoomEventKey;

impl fmt::Display for RoomEventKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.room, self.number)
    }
}

impl FromStr for RoomEventKey {
    type Err = InvalidRoomEventKey;

    fn from_str(text: &str) -> Result<Self, InvalidRoomEventKey> {
        let (room, number) = text.split_once('/').ok_or(InvalidRoomEventKey)?;
        let key = Self {
            room: room.parse().map_err(|_| InvalidRoomEventKey)?,
            number: EventNumber(number.parse().map_err(|_| InvalidRoomEventKey)?),
        };
        // One name, one text: `+1` and `01` are other texts for a number.
        (alloc::string::ToString::to_string(&key) == text)
            .then_some(key)
            .ok_or(InvalidRoomEventKey)
    }
}

/// What happened in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "adapters map every event")]
pub enum Happening {
    /// The room closed, and with it every stay in it.
    Closed {
        /// Why.
        why: Closing,
    },
    /// A participant has no credit left.
    CreditsExhausted {
        /// Which stay.
        connection: ConnectionId,
        /// Who.
        wallet: Wallet,
    },
    /// A participant has little credit left.
    CreditsLow {
        /// Which stay.
        connection: ConnectionId,
        /// Who.
        wallet: Wallet,
        /// How much.
        remaining: Seconds,
    },
    /// A stay was ended.
    Evicted {
        /// Which stay.
        connection: ConnectionId,
        /// Who.
        wallet: Wallet,
        /// Under which number in the channel.
        uid: MediaUid,
        /// Why.
        why: Departure,
    },
    /// Somebody took a seat.
    Joined {
        /// The stay.
        connection: ConnectionId,
        /// Who.
        wallet: Wallet,
        /// Under which number in the channel.
        uid: MediaUid,
    },
    /// Somebody left.
    Left {
        /// Which stay.
        connection: ConnectionId,
        /// Who.
        wallet: Wallet,
        /// Under which number in the channel.
        uid: MediaUid,
    },
}

impl Happening {
    /// The stable name, on the wire and in stores.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::CreditsExhausted { .. } => "credits_exhausted",
            Self::CreditsLow { .. } => "credits_low",
            Self::Evicted { .. } => "evicted",
            Self::Joined { .. } => "joined",
            Self::Left { .. } => "left",
        }
    }

    /// Whom alone it is told: how much credit somebody has is nobody else's business.
    #[must_use]
    pub const fn only_for(&self) -> Option<Wallet> {
        match self {
            Self::CreditsExhausted { wallet, .. } | Self::CreditsLow { wallet, .. } => {
                Some(*wallet)
            }
            Self::Closed { .. }
            | Self::Evicted { .. }
            | Self::Joined { .. }
            | Self::Left { .. } => None,
        }
    }

    /// Whose stay ends with it; `None` where nobody's does, or everybody's.
    #[must_use]
    pub const fn ends(&self) -> Option<ConnectionId> {
        match self {
            Self::Evicted { connection, .. } | Self::Left { connection, .. } => Some(*connection),
            Self::Closed { .. }
            | Self::CreditsExhausted { .. }
            | Self::CreditsLow { .. }
            | Self::Joined { .. } => None,
        }
    }

    fn passed(seat: &Seat, threshold: &Threshold) -> Self {
        let (connection, wallet) = (seat.connection, seat.wallet);
        match threshold.kind {
            ThresholdKind::CreditsExhausted => Self::CreditsExhausted { connection, wallet },
            ThresholdKind::CreditsLow => Self::CreditsLow {
                connection,
                wallet,
                remaining: threshold.remaining,
            },
        }
    }

    /// How a stay ended; `None` where its room closed, which is told once for everybody.
    fn departed(seat: &Seat, why: Departure) -> Option<Self> {
        let (connection, wallet, uid) = (seat.connection, seat.wallet, seat.uid);
        match why {
            Departure::RoomClosed => None,
            Departure::Left => Some(Self::Left {
                connection,
                wallet,
                uid,
            }),
            Departure::Exhausted | Departure::Silent => Some(Self::Evicted {
                connection,
                wallet,
                uid,
                why,
            }),
        }
    }
}

/// An event of a room. Inserted, never changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomEvent {
    /// Which.
    pub key: RoomEventKey,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
    /// When a worker may remove it.
    pub forget_at: Timestamp,
}

/// The events of one decision about a room, numbered on from what the room says.
#[derive(Debug)]
pub(super) struct EventLog<'d> {
    room: RoomId,
    last: EventNumber,
    kept: Seconds,
    draft: &'d mut Draft,
}

impl<'d> EventLog<'d> {
    pub(super) fn of(room: &Room, policy: &RoomPolicy, draft: &'d mut Draft) -> Self {
        Self {
            room: room.id,
            last: room.last_event,
            kept: policy.events_kept_seconds,
            draft,
        }
    }

    pub(super) fn add(&mut self, at: Timestamp, what: Happening) {
        self.last = self.last.next();
        self.draft.insert(RoomEvent {
            key: RoomEventKey {
                room: self.room,
                number: self.last,
            },
            at,
            what,
            forget_at: at.after(self.kept),
        });
    }

    pub(super) fn joined(&mut self, seat: &Seat) {
        let what = Happening::Joined {
            connection: seat.connection,
            wallet: seat.wallet,
            uid: seat.uid,
        };
        self.add(seat.joined_at, what);
    }

    pub(super) fn passed(&mut self, seat: &Seat, thresholds: &[Threshold]) {
        for threshold in thresholds {
            self.add(threshold.at, Happening::passed(seat, threshold));
        }
    }

    pub(super) fn departed(&mut self, at: Timestamp, seat: &Seat, why: Departure) {
        if let Some(what) = Happening::departed(seat, why) {
            self.add(at, what);
        }
    }

    /// What is to be written, and the number that the room is to say from now on.
    pub(super) const fn last(&self) -> EventNumber {
        self.last
    }
}
