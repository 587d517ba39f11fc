//! The stable names of enumerated values, as the schema's constraints list them.

use session_core::auth::Revoked;
use session_core::changeset::Lane;
use session_core::escrow::BookingStatus;
use session_core::outbox::{IntentClass, IntentState};
use session_core::room::{Closing, Departure, Visibility};

/// A value with a stable name in storage. The names are storage's own: what the wire calls a value
/// may change without a migration.
pub(crate) trait Named: Copy {
    /// The name.
    fn name(self) -> &'static str;

    /// The value of a name.
    fn from_name(name: &str) -> Option<Self>;
}

macro_rules! named {
    ($($kind:ident { $($value:ident = $name:literal,)* })*) => {$(
        impl Named for $kind {
            fn name(self) -> &'static str {
                match self { $(Self::$value => $name,)* }
            }

            fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$value),)* _ => None }
            }
        }
    )*};
}

named! {
    BookingStatus {
        None = "none",
        Booked = "booked",
        Cancelled = "cancelled",
        Attested = "attested",
        Disputed = "disputed",
        Resolved = "resolved",
        Finalized = "finalized",
    }
    Closing {
        Emptied = "emptied",
        HostLeft = "host_left",
        Unjoined = "unjoined",
    }
    Departure {
        Exhausted = "exhausted",
        Left = "left",
        RoomClosed = "room_closed",
        Silent = "silent",
    }
    IntentClass {
        AtMostOnce = "at_most_once",
        Queryable = "queryable",
        Repeatable = "repeatable",
    }
    IntentState {
        Pending = "pending",
        Submitted = "submitted",
        Confirmed = "confirmed",
        Failed = "failed",
        Unknown = "unknown",
    }
    Lane {
        Attest = "attest",
        Deliver = "deliver",
        Expire = "expire",
        Rooms = "rooms",
        Seal = "seal",
        Seats = "seats",
    }
    Revoked {
        Nonce = "nonce",
        Token = "token",
    }
    Visibility {
        Open = "open",
        Private = "private",
    }
}
