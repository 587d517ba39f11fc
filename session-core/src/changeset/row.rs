//! The kinds of rows, in one table.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::auth::{Challenge, ChallengeKey, Revocation};
use crate::booking::{BookedSession, Host};
use crate::escrow::BookingKey;
use crate::idempotency::{IdempotencyKey, IdempotencyRecord};
use crate::journal::{Block, BlockNumber, Chain, Entry};
use crate::ledger::{Account, AccountKey};
use crate::media::MediaUid;
use crate::outage::Service;
use crate::outbox::Intent;
use crate::room::{Room, RoomEvent, RoomEventKey, Seat};
use crate::types::{ConnectionId, EntryId, IntentKey, RevocationId, RoomId, Timestamp, Wallet};

/// A value of which at most one row may be the holder. Stores refuse the second insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "stores enforce every key")]
pub enum Unique {
    /// The active free room of a host.
    ActiveRoomOf(Wallet),
    /// The live seat of a wallet.
    LiveSeatOf(Wallet),
    /// A place in a room, while taken.
    Slot(RoomId, u8),
    /// A participant's number in a room's channel, while taken.
    Uid(RoomId, MediaUid),
}

/// A kind of work. Each lane is a queue of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "workers serve every lane")]
pub enum Lane {
    /// Look whether a booked session can be settled.
    Attest,
    /// Perform an intent.
    Deliver,
    /// Forget what is past its time.
    Expire,
    /// Close rooms that nobody joined.
    Rooms,
    /// Seal the journal.
    Seal,
    /// Meter participants, and evict the silent ones.
    Seats,
}

impl Lane {
    /// Every lane, in the order of their names.
    pub const ALL: [Self; 6] = [
        Self::Attest,
        Self::Deliver,
        Self::Expire,
        Self::Rooms,
        Self::Seal,
        Self::Seats,
    ];

    /// The stable name, as stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attest => "attest",
            Self::Deliver => "deliver",
            Self::Expire => "expire",
            Self::Rooms => "rooms",
            Self::Seal => "seal",
            Self::Seats => "seats",
        }
    }
}

/// When a row wants a worker's attention, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// Which queue.
    pub lane: Lane,
    /// The instant from which on a worker may take it.
    pub at: Timestamp,
}

/// Text that does not name a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("text does not name a row")]
pub struct InvalidKey;

/// A kind of row: what names it, what it must be alone in having, when it is due.
pub trait Record: Clone + fmt::Debug + Into<Row> {
    /// What names this row.
    fn key(&self) -> Key;

    /// What at most one row may have.
    fn uniques(&self) -> Vec<Unique>;

    /// When it wants attention.
    fn due(&self) -> Option<Due>;

    /// The row, where it is of this kind.
    fn from_row(row: Row) -> Option<Self>;
}

/// Declares the kinds once: the variant of [`Key`] and [`Row`], the type, the type of its key,
/// and its three answers.
macro_rules! rows {
    ($(
        $(#[$doc:meta])*
        $kind:ident: $row:ty, by $key:ty {
            key: |$k:ident| $key_of:expr,
            uniques: |$u:ident| $uniques_of:expr,
            due: |$d:ident| $due_of:expr,
        }
    )*) => {
        /// The name of a row.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(clippy::exhaustive_enums, reason = "stores hold every kind")]
        pub enum Key {
            $($(#[$doc])* $kind($key),)*
        }

        /// A row of any kind, as stores keep it.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(clippy::exhaustive_enums, reason = "stores hold every kind")]
        #[allow(clippy::large_enum_variant, reason = "rows are moved rarely and live briefly")]
        pub enum Row {
            $($(#[$doc])* $kind($row),)*
        }

        impl Row {
            /// What names this row.
            #[must_use]
            pub fn key(&self) -> Key {
                match self { $(Self::$kind(row) => Record::key(row),)* }
            }

            /// What at most one row may have.
            #[must_use]
            pub fn uniques(&self) -> Vec<Unique> {
                match self { $(Self::$kind(row) => Record::uniques(row),)* }
            }

            /// When it wants attention.
            #[must_use]
            pub fn due(&self) -> Option<Due> {
                match self { $(Self::$kind(row) => Record::due(row),)* }
            }
        }

        $(
            impl From<$row> for Row {
                fn from(row: $row) -> Self {
                    Self::$kind(row)
                }
            }

            impl Record for $row {
                fn key(&self) -> Key {
                    let $k = self;
                    Key::$kind($key_of)
                }

                fn uniques(&self) -> Vec<Unique> {
                    let $u = self;
                    $uniques_of
                }

                fn due(&self) -> Option<Due> {
                    let $d = self;
                    $due_of
                }

                fn from_row(row: Row) -> Option<Self> {
                    match row {
                        Row::$kind(row) => Some(row),
                        #[allow(unreachable_patterns, reason = "a table of one kind")]
                        _ => None,
                    }
                }
            }
        )*
    };
}

rows! {
    /// The sums of an account.
    Account: Account, by AccountKey {
        key: |account| account.key,
        uniques: |_account| Vec::new(),
        due: |_account| None,
    }
    /// Sealed entries. Inserted, never changed.
    Block: Block, by BlockNumber {
        key: |block| block.number,
        uniques: |_block| Vec::new(),
        due: |_block| None,
    }
    /// A booked session.
    BookedSession: BookedSession, by BookingKey {
        key: |session| session.key,
        uniques: |_session| Vec::new(),
        due: |session| session.look_at.map(|at| Due { lane: Lane::Attest, at }),
    }
    /// How far the journal is sealed.
    Chain: Chain, by () {
        key: |_chain| (),
        uniques: |_chain| Vec::new(),
        due: |chain| Some(Due { lane: Lane::Seal, at: chain.seal_at }),
    }
    /// An outstanding sign-in nonce.
    Challenge: Challenge, by ChallengeKey {
        key: |challenge| challenge.key,
        uniques: |_challenge| Vec::new(),
        due: |challenge| Some(Due { lane: Lane::Expire, at: challenge.forget_at }),
    }
    /// A fact of the journal. Appended by [`Changeset::journal`](super::Changeset::journal), never
    /// written as a row or expected.
    Entry: Entry, by EntryId {
        key: |entry| entry.id,
        uniques: |_entry| Vec::new(),
        due: |_entry| None,
    }
    /// What a host says of itself.
    Host: Host, by Wallet {
        key: |host| host.wallet,
        uniques: |_host| Vec::new(),
        due: |_host| None,
    }
    /// An answer kept for repeats.
    Idempotency: IdempotencyRecord, by IdempotencyKey {
        key: |record| record.key.clone(),
        uniques: |_record| Vec::new(),
        due: |record| Some(Due { lane: Lane::Expire, at: record.expires_at }),
    }
    /// Something that will leave the process.
    Intent: Intent, by IntentKey {
        key: |intent| intent.key,
        uniques: |_intent| Vec::new(),
        due: |intent| {
            (!intent.is_settled()).then_some(Due { lane: Lane::Deliver, at: intent.due_at })
        },
    }
    /// What is good no more.
    Revocation: Revocation, by RevocationId {
        key: |revocation| revocation.id,
        uniques: |_revocation| Vec::new(),
        due: |revocation| Some(Due { lane: Lane::Expire, at: revocation.forget_at }),
    }
    /// A free room.
    Room: Room, by RoomId {
        key: |room| room.id,
        uniques: |room| {
            if room.is_active() { alloc::vec![Unique::ActiveRoomOf(room.host)] } else { Vec::new() }
        },
        due: |room| room.unjoined_until.map(|at| Due { lane: Lane::Rooms, at }),
    }
    /// Something that happened in a room. Inserted, never changed.
    RoomEvent: RoomEvent, by RoomEventKey {
        key: |event| event.key,
        uniques: |_event| Vec::new(),
        due: |event| Some(Due { lane: Lane::Expire, at: event.forget_at }),
    }
    /// One stay of one wallet in one room.
    Seat: Seat, by ConnectionId {
        key: |seat| seat.connection,
        uniques: |seat| {
            if seat.is_live() {
                alloc::vec![
                    Unique::LiveSeatOf(seat.wallet),
                    Unique::Slot(seat.room, seat.slot),
                    Unique::Uid(seat.room, seat.uid),
                ]
            } else {
                Vec::new()
            }
        },
        due: |seat| seat.is_live().then_some(Due { lane: Lane::Seats, at: seat.check_at }),
    }
    /// The one row by which servers know of each other's life.
    Service: Service, by () {
        key: |_service| (),
        uniques: |_service| Vec::new(),
        due: |_service| None,
    }
}

impl fmt::Display for Key {
    /// `kind/name`, the form in which stores keep the names of due rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(key) => write!(f, "account/{key}"),
            Self::BookedSession(key) => write!(f, "booked_session/{key}"),
            Self::Block(number) => write!(f, "block/{number}"),
            Self::Chain(()) => f.write_str("chain"),
            Self::Challenge(key) => write!(f, "challenge/{key}"),
            Self::Entry(id) => write!(f, "entry/{id}"),
            Self::Host(wallet) => write!(f, "host/{wallet}"),
            Self::Idempotency(key) => {
                write!(f, "idempotency/{}/{}/{}", key.caller, key.command, key.key)
            }
            Self::Intent(key) => write!(f, "intent/{key}"),
            Self::Revocation(id) => write!(f, "revocation/{id}"),
            Self::Room(id) => write!(f, "room/{id}"),
            Self::RoomEvent(key) => write!(f, "room_event/{key}"),
            Self::Seat(id) => write!(f, "seat/{id}"),
            Self::Service(()) => f.write_str("service"),
        }
    }
}

impl FromStr for Key {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        match text {
            "chain" => return Ok(Self::Chain(())),
            "service" => return Ok(Self::Service(())),
            _ => {}
        }
        let (kind, name) = text.split_once('/').ok_or(InvalidKey)?;
        let key = match kind {
            "account" => name.parse().ok().map(Self::Account),
            "booked_session" => name.parse().ok().map(Self::BookedSession),
            "block" => name.parse().ok().map(Self::Block),
            "challenge" => name.parse().ok().map(Self::Challenge),
            "entry" => name.parse().ok().map(Self::Entry),
            "host" => name.parse().ok().map(Self::Host),
            "idempotency" => parse_idempotency(name).map(Self::Idempotency),
            "intent" => name.parse().ok().map(Self::Intent),
            "revocation" => name.parse().ok().map(Self::Revocation),
            "room" => name.parse().ok().map(Self::Room),
            "room_event" => name.parse().ok().map(Self::RoomEvent),
            "seat" => name.parse().ok().map(Self::Seat),
            _ => None,
        };
        key.ok_or(InvalidKey)
    }
}

fn parse_idempotency(name: &str) -> Option<IdempotencyKey> {
    let (caller, rest) = name.split_once('/')?;
    // A command's name has no slash; a caller's key may.
    let (command, key) = rest.split_once('/')?;
    IdempotencyKey::parse(caller.parse().ok()?, command, key).ok()
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        alloc::string::ToString::to_string(&key)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::ledger::{AccountKind, Owner};
    use crate::room::EventNumber;
    use crate::types::Unit;

    #[test]
    fn a_key_goes_through_text_and_back() {
        let wallet = Wallet::from_bytes([9; 20]);
        for key in [
            Key::Account(AccountKey::new(
                Owner::Wallet(wallet),
                AccountKind::Wallet,
                Unit::Seconds,
            )),
            Key::BookedSession(
                "42431/0xe5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5/7"
                    .parse()
                    .unwrap(),
            ),
            Key::Block(BlockNumber::new(12)),
            Key::Chain(()),
            Key::Challenge(ChallengeKey {
                wallet,
                nonce: [3; 32],
            }),
            Key::Entry(EntryId::derive("t", &[])),
            Key::Host(wallet),
            Key::Idempotency(IdempotencyKey::parse(wallet, "rooms.join", "a/b#c").unwrap()),
            Key::Intent(IntentKey::derive("t", &[])),
            Key::Revocation(RevocationId::derive("t", &[])),
            Key::Room(RoomId::from_random([1; 16])),
            Key::RoomEvent(RoomEventKey {
                room: RoomId::from_random([1; 16]),
                number: EventNumber::new(7),
            }),
            Key::Seat(ConnectionId::from_random([2; 16])),
            Key::Service(()),
        ] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for wrong in [
            "",
            "seat",
            "seat/",
            "chair/1",
            "idempotency/0x/x",
            "challenge/x",
            "room_event/01010101-0101-4101-8101-010101010101/07",
        ] {
            assert_eq!(wrong.parse::<Key>(), Err(InvalidKey), "{wrong}");
        }
    }
}
