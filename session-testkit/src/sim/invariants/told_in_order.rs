//! `told_in_order`: the events of a room are numbered without gaps and tell, each once, what its
//! journal tells of joins, departures and closings; a stay passes each threshold once.

use std::collections::{BTreeMap, BTreeSet};

use session_core::changeset::{Fact, Row, Write};
use session_core::room::{Departure, EventNumber, Happening, RoomEvent};
use session_core::types::{ConnectionId, RoomId};

use super::{Invariant, Seen, Truth};

/// Events are numbered without gaps, and tell what happened.
#[derive(Debug, Default)]
pub struct ToldInOrder {
    last: BTreeMap<RoomId, EventNumber>,
    thresholds: BTreeSet<(ConnectionId, &'static str)>,
}

/// What the journal and an event can both tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Both {
    Closed(RoomId),
    Gone(ConnectionId),
    Joined(ConnectionId),
}

fn of_fact(fact: &Fact) -> Option<Both> {
    match fact {
        Fact::Joined { connection, .. } => Some(Both::Joined(*connection)),
        Fact::Left {
            why: Departure::RoomClosed,
            ..
        } => None,
        Fact::Left { connection, .. } => Some(Both::Gone(*connection)),
        Fact::RoomClosed { room, .. } => Some(Both::Closed(*room)),
        _ => None,
    }
}

fn of_event(event: &RoomEvent) -> Option<Both> {
    match event.what {
        Happening::Closed { .. } => Some(Both::Closed(event.key.room)),
        Happening::CreditsExhausted { .. } | Happening::CreditsLow { .. } => None,
        Happening::Evicted { connection, .. } | Happening::Left { connection, .. } => {
            Some(Both::Gone(connection))
        }
        Happening::Joined { connection, .. } => Some(Both::Joined(connection)),
    }
}

impl Invariant for ToldInOrder {
    fn name(&self) -> &'static str {
        "told_in_order"
    }

    fn see(&mut self, seen: &Seen<'_>, _: Truth<'_>) -> Result<(), String> {
        let Seen::Committed { changeset, .. } = seen else {
            return Ok(());
        };
        let mut told = BTreeSet::new();
        for write in &changeset.rows {
            let Write::Insert(Row::RoomEvent(event)) = write else {
                continue;
            };
            let last = self.last.entry(event.key.room).or_default();
            if event.key.number != last.next() {
                return Err(format!("event {} follows {last}", event.key));
            }
            *last = event.key.number;
            if let Some(both) = of_event(event) {
                if !told.insert(both) {
                    return Err(format!("{both:?} is told twice"));
                }
            } else if let Happening::CreditsExhausted { connection, .. }
            | Happening::CreditsLow { connection, .. } = event.what
                && !self.thresholds.insert((connection, event.what.name()))
            {
                let name = event.what.name();
                return Err(format!("stay {connection} passes {name} twice"));
            }
        }
        let facts = changeset.journal.iter();
        let facts: BTreeSet<Both> = facts.filter_map(|entry| of_fact(&entry.fact)).collect();
        if facts == told {
            Ok(())
        } else {
            Err(format!("the journal tells {facts:?}, events {told:?}"))
        }
    }

    fn check(&mut self, truth: Truth<'_>) -> Result<(), String> {
        for (_, _, row) in truth.world.rows() {
            if let Row::Room(room) = row {
                let last = self.last.get(&room.id).copied().unwrap_or_default();
                if room.last_event != last {
                    let says = room.last_event;
                    return Err(format!("room {} says {says}, its events {last}", room.id));
                }
            }
        }
        Ok(())
    }
}
