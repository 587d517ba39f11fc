//! `left_once`: a stay begins once and ends once, and nobody sits in it afterwards.

use std::collections::BTreeMap;

use session_core::changeset::{Fact, Row};
use session_core::types::ConnectionId;

use super::{Invariant, Seen, Truth};

/// A stay begins once and ends once.
#[derive(Debug, Default)]
pub struct LeftOnce {
    /// Whether the stay has ended.
    stays: BTreeMap<ConnectionId, bool>,
}

impl Invariant for LeftOnce {
    fn name(&self) -> &'static str {
        "left_once"
    }

    fn see(&mut self, seen: &Seen<'_>, _: Truth<'_>) -> Result<(), String> {
        let Seen::Committed { changeset, .. } = seen else {
            return Ok(());
        };
        for entry in &changeset.journal {
            let (connection, is_over) = match &entry.fact {
                Fact::Joined { connection, .. } => (connection, false),
                Fact::Left { connection, .. } => (connection, true),
                _ => continue,
            };
            match (self.stays.insert(*connection, is_over), is_over) {
                (None, false) | (Some(false), true) => {}
                (_, false) => return Err(format!("stay {connection} began twice")),
                (_, true) => return Err(format!("stay {connection} ended and did not go on")),
            }
        }
        Ok(())
    }

    fn check(&mut self, truth: Truth<'_>) -> Result<(), String> {
        for (_, _, row) in truth.world.rows() {
            if let Row::Seat(seat) = row
                && seat.is_live()
                && self.stays.get(&seat.connection) == Some(&true)
            {
                return Err(format!("stay {} ended and goes on", seat.connection));
            }
        }
        Ok(())
    }
}
