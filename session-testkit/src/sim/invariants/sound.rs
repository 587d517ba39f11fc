//! What must hold of rows alone: `conservation`, `never_negative`, `one_seat`, `capacity` and
//! whatever else [`crate::invariants`] knows, by their own names.

use std::collections::BTreeMap;

use session_core::changeset::Row;
use session_core::types::RoomId;

use super::{Invariant, Seen, Truth};
use crate::invariants;

/// What must hold of rows alone.
#[derive(Debug)]
pub struct Sound;

impl Invariant for Sound {
    fn name(&self) -> &'static str {
        "sound"
    }

    fn see(&mut self, _: &Seen<'_>, _: Truth<'_>) -> Result<(), String> {
        Ok(())
    }

    fn check(&mut self, truth: Truth<'_>) -> Result<(), String> {
        if let Some(first) = invariants::broken(truth.world).into_iter().next() {
            return Err(first);
        }
        // The numbers of this run may allow fewer seats than the default ones.
        let mut seated: BTreeMap<RoomId, usize> = BTreeMap::new();
        for (_, _, row) in truth.world.rows() {
            if let Row::Seat(seat) = row
                && seat.is_live()
            {
                *seated.entry(seat.room).or_default() += 1;
            }
        }
        let capacity = usize::from(truth.policy.rooms.capacity);
        match seated.into_iter().find(|(_, seats)| *seats > capacity) {
            Some((room, seats)) => Err(format!("capacity: {room}: {seats} of {capacity} seats")),
            None => Ok(()),
        }
    }
}
