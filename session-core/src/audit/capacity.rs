//! `capacity`: a room holds as many as it counts, at most its capacity, each in a place of their
//! own.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Invariant;
use crate::changeset::Row;
use crate::media::MediaUid;
use crate::ports::Found;
use crate::room::Seat;
use crate::types::RoomId;

#[derive(Debug)]
pub(super) struct Capacity {
    capacity: u8,
    active: BTreeMap<RoomId, Places>,
}

#[derive(Debug, Default)]
struct Places {
    counted: u8,
    taken: u64,
    slots: BTreeSet<u8>,
    uids: BTreeSet<MediaUid>,
}

impl Capacity {
    pub(super) const fn new(capacity: u8) -> Self {
        Self {
            capacity,
            active: BTreeMap::new(),
        }
    }

    fn sit(&mut self, seat: &Seat, complaints: &mut Vec<String>) {
        let Some(places) = self.active.get_mut(&seat.room) else {
            complaints.push(format!("stay {} is in no active room", seat.connection));
            return;
        };
        places.taken = places.taken.saturating_add(1);
        if !places.slots.insert(seat.slot) {
            complaints.push(format!("{}: place {} is taken twice", seat.room, seat.slot));
        }
        if !places.uids.insert(seat.uid) {
            complaints.push(format!("{}: uid {} is taken twice", seat.room, seat.uid));
        }
        if seat.slot >= self.capacity {
            complaints.push(format!("{}: there is no place {}", seat.room, seat.slot));
        }
    }
}

impl Invariant for Capacity {
    const NAME: &'static str = "capacity";

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>) {
        match found {
            Found::Row(_, Row::Room(room)) if room.is_active() => {
                let places = Places {
                    counted: room.live_seats,
                    ..Places::default()
                };
                self.active.insert(room.id, places);
            }
            Found::Row(_, Row::Room(room)) if room.live_seats > 0 => {
                complaints.push(format!("{} is closed and counts participants", room.id));
            }
            Found::Row(_, Row::Seat(seat)) if seat.is_live() => self.sit(seat, complaints),
            _ => {}
        }
    }

    fn end(&mut self, complaints: &mut Vec<String>) {
        for (room, places) in core::mem::take(&mut self.active) {
            let (taken, counted) = (places.taken, places.counted);
            if taken != u64::from(counted) {
                complaints.push(format!(
                    "{room}: {taken} participants, the room counts {counted}"
                ));
            }
            if taken > u64::from(self.capacity) {
                complaints.push(format!("{room}: {taken} participants"));
            }
        }
    }
}
