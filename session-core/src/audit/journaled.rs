//! `journaled`: rooms and stays are what the journal tells of them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Invariant;
use crate::changeset::{Fact, Row};
use crate::journal::Entry;
use crate::media::MediaUid;
use crate::ports::Found;
use crate::room::{Closing, Departure, Room, RoomState, Seat, SeatState, Visibility};
use crate::types::{ConnectionId, RoomId, Timestamp, Wallet};

#[derive(Debug, Default)]
pub(super) struct Journaled {
    rooms: BTreeMap<RoomId, RoomTold>,
    stays: BTreeMap<ConnectionId, StayTold>,
}

/// What the journal tells of a room.
#[derive(Debug, Default)]
struct RoomTold {
    created: Option<(Timestamp, Wallet, Visibility)>,
    closed: Option<(Timestamp, Closing)>,
}

/// What the journal tells of a stay.
#[derive(Debug, Default)]
struct StayTold {
    joined: Option<(Timestamp, RoomId, Wallet, u8, MediaUid)>,
    left: Option<(Timestamp, RoomId, Wallet, Departure)>,
}

impl Journaled {
    fn hear(&mut self, entry: &Entry, complaints: &mut Vec<String>) {
        let at = entry.at;
        let was_told = match &entry.fact {
            Fact::RoomCreated {
                room,
                host,
                visibility,
            } => {
                let told = self.rooms.entry(*room).or_default();
                told.created.replace((at, *host, *visibility)).is_some()
            }
            Fact::RoomClosed { room, why } => {
                let told = self.rooms.entry(*room).or_default();
                told.closed.replace((at, *why)).is_some()
            }
            Fact::Joined {
                connection,
                room,
                wallet,
                slot,
                uid,
            } => {
                let told = self.stays.entry(*connection).or_default();
                let joined = (at, *room, *wallet, *slot, *uid);
                told.joined.replace(joined).is_some()
            }
            Fact::Left {
                connection,
                room,
                wallet,
                why,
                charged: _,
            } => {
                let told = self.stays.entry(*connection).or_default();
                told.left.replace((at, *room, *wallet, *why)).is_some()
            }
            // Told of once or often, of rows that other invariants compare.
            Fact::EvidenceAttached { .. }
            | Fact::OutcomeStated { .. }
            | Fact::Outage { .. }
            | Fact::SessionDecided { .. }
            | Fact::SessionJoined { .. }
            | Fact::SessionLeft { .. }
            | Fact::SessionMissed { .. }
            | Fact::SessionSettled { .. }
            | Fact::SignedIn { .. }
            | Fact::Transferred { .. } => false,
        };
        if was_told {
            complaints.push(format!("entry {} tells again what was told", entry.id));
        }
    }

    fn compare_room(&mut self, room: &Room, complaints: &mut Vec<String>) {
        let told = self.rooms.remove(&room.id).unwrap_or_default();
        let closed = match room.state {
            RoomState::Active => None,
            RoomState::Closed { at, why } => Some((at, why)),
        };
        let created = (room.created_at, room.host, room.visibility);
        if told.created != Some(created) || told.closed != closed {
            complaints.push(format!("room {} is not as the journal tells", room.id));
        }
    }

    fn compare_stay(&mut self, seat: &Seat, complaints: &mut Vec<String>) {
        let told = self.stays.remove(&seat.connection).unwrap_or_default();
        let joined = (seat.joined_at, seat.room, seat.wallet, seat.slot, seat.uid);
        let left = match seat.state {
            SeatState::Live => None,
            SeatState::Gone { at, why } => Some((at, seat.room, seat.wallet, why)),
        };
        if told.joined != Some(joined) || told.left != left {
            complaints.push(format!(
                "stay {} is not as the journal tells",
                seat.connection
            ));
        }
    }
}

impl Invariant for Journaled {
    const NAME: &'static str = "journaled";

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>) {
        match found {
            Found::Row(_, Row::Entry(entry)) => self.hear(entry, complaints),
            Found::Row(_, Row::Room(room)) => self.compare_room(room, complaints),
            Found::Row(_, Row::Seat(seat)) => self.compare_stay(seat, complaints),
            _ => {}
        }
    }

    fn end(&mut self, complaints: &mut Vec<String>) {
        for room in core::mem::take(&mut self.rooms).into_keys() {
            complaints.push(format!("room {room} is told of and is not there"));
        }
        for connection in core::mem::take(&mut self.stays).into_keys() {
            complaints.push(format!("stay {connection} is told of and is not there"));
        }
    }
}
