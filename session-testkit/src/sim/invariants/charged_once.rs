//! `charged_once`: a second of presence is charged at most once, and nothing else is.
//!
//! Servers follow the clock that is ahead, so what a stay may cost is judged by how far that shared
//! time was ahead of true time when the stay began, and how far it can have come since: no more
//! than the clocks that were looked at. Spans in which no process ran are left out, but for the
//! three seconds that nobody notices.

use std::collections::BTreeMap;

use session_core::changeset::{Changeset, Fact, Row, World, Write};
use session_core::ledger::{Reason, Reference};
use session_core::room::{Departure, Seat};
use session_core::types::ConnectionId;

use super::{By, Invariant, Seen, Truth};
use crate::sim::hub::signed;

/// A pause of all servers that is not noticed (`OutagePolicy::missed_after_seconds`).
const UNNOTICED_SECONDS: i64 = 3;

/// A second of presence is charged at most once.
#[derive(Debug, Default)]
pub struct ChargedOnce {
    stays: BTreeMap<ConnectionId, Stay>,
    /// By server: how far its clock was ahead of true time when it was looked at last. A beat that
    /// is on its way may still bring it to the others.
    shown: BTreeMap<usize, i64>,
}

#[derive(Debug, Clone)]
struct Stay {
    seat: Seat,
    begun_at: i64,
    /// Of the span of service that goes on; `None` until the first look after all were dead.
    span_from: Option<i64>,
    /// How far shared time was ahead of true time, at least, when the span began.
    low: i64,
    /// How far it can be ahead, at most.
    high: i64,
    /// The same over the whole stay.
    low_first: i64,
    high_most: i64,
    /// What spans of service that are over allow.
    allowed: i64,
    leased_at: i64,
    called_at: i64,
    /// What the whole stay may cost, once it is over.
    limit: Option<i64>,
}

impl Stay {
    fn allowed_at(&self, now: i64) -> i64 {
        let going_on = self
            .span_from
            .map_or(0, |from| now - from + self.high - self.low);
        self.allowed + going_on
    }

    /// What a stay may cost that its client did not end: nothing beyond the last lease.
    fn leased(&self, lease_seconds: i64) -> i64 {
        let last = (self.leased_at + lease_seconds).max(self.called_at);
        last - self.begun_at + self.high_most - self.low_first
    }
}

impl ChargedOnce {
    fn looked(&mut self, by: By, truth: Truth<'_>) {
        let now = signed(truth.now);
        let shown = signed(by.shown.unix()) - now;
        self.shown.insert(by.server, shown);
        let (low, high) = (by.ahead, self.highest(by.ahead));
        for stay in self.stays.values_mut().filter(|stay| stay.limit.is_none()) {
            if stay.span_from.is_none() {
                stay.span_from = Some(now);
                stay.allowed += UNNOTICED_SECONDS;
                (stay.low, stay.high) = (low, high);
            }
            stay.high = stay.high.max(shown);
            stay.high_most = stay.high_most.max(stay.high);
        }
    }

    fn highest(&self, low: i64) -> i64 {
        self.shown.values().copied().fold(low, i64::max)
    }

    fn nobody_is_alive(&mut self, now: i64) {
        for stay in self.stays.values_mut() {
            stay.allowed = stay.allowed_at(now);
            stay.span_from = None;
        }
    }

    fn wrote(&mut self, by: By, changeset: &Changeset, truth: Truth<'_>) -> Result<(), String> {
        let now = signed(truth.now);
        for write in &changeset.rows {
            let (Write::Insert(Row::Seat(seat)) | Write::Update(Row::Seat(seat))) = write else {
                continue;
            };
            if let Some(stay) = self.stays.get_mut(&seat.connection) {
                if seat.last_seen_at > stay.seat.last_seen_at {
                    stay.called_at = now;
                }
                if seat.lease_until > stay.seat.lease_until {
                    stay.leased_at = now;
                }
                if seat.metered_to < stay.seat.metered_to {
                    return Err(format!("stay {} is metered anew", seat.connection));
                }
                stay.seat = seat.clone();
            } else {
                let begun_at = signed(by.looked_at);
                let (low, high) = (by.ahead, self.highest(by.ahead));
                self.stays.insert(
                    seat.connection,
                    Stay {
                        seat: seat.clone(),
                        begun_at,
                        span_from: Some(begun_at),
                        low,
                        high,
                        low_first: low,
                        high_most: high,
                        allowed: 0,
                        leased_at: now,
                        called_at: now,
                        limit: None,
                    },
                );
            }
        }
        for entry in &changeset.journal {
            let Fact::Left {
                connection, why, ..
            } = &entry.fact
            else {
                continue;
            };
            if let Some(stay) = self.stays.get_mut(connection) {
                let present = stay.allowed_at(now);
                let lease = signed(truth.policy.rooms.lease.seconds().get());
                let limit = match why {
                    Departure::Left => present,
                    Departure::Exhausted | Departure::RoomClosed | Departure::Silent => {
                        present.min(stay.leased(lease))
                    }
                };
                stay.limit = Some(stay.limit.map_or(limit, |first| first.min(limit)));
            }
        }
        Ok(())
    }
}

impl Invariant for ChargedOnce {
    fn name(&self) -> &'static str {
        "charged_once"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: Truth<'_>) -> Result<(), String> {
        match seen {
            Seen::Alive(false) => self.nobody_is_alive(signed(truth.now)),
            Seen::Looked(by) => self.looked(*by, truth),
            Seen::Committed { by, changeset, .. } => return self.wrote(*by, changeset, truth),
            _ => {}
        }
        Ok(())
    }

    fn check(&mut self, truth: Truth<'_>) -> Result<(), String> {
        let charged = charged(truth.world);
        for (connection, stay) in &self.stays {
            let paid = charged.get(connection).copied().unwrap_or(0);
            let told = signed(stay.seat.charged.get());
            if paid != told {
                return Err(format!(
                    "stay {connection} paid {paid} s, its seat says {told} s"
                ));
            }
            let allowed = stay
                .limit
                .unwrap_or_else(|| stay.allowed_at(signed(truth.now)));
            if paid > allowed {
                let end = if stay.limit.is_some() {
                    "whole"
                } else {
                    "so far"
                };
                return Err(format!(
                    "stay {connection} paid {paid} s, {end} at most {allowed} s"
                ));
            }
        }
        match charged
            .keys()
            .find(|connection| !self.stays.contains_key(connection))
        {
            Some(connection) => Err(format!("stay {connection} was paid for and never began")),
            None => Ok(()),
        }
    }
}

/// What was charged for each stay, by the ledger alone.
fn charged(world: &World) -> BTreeMap<ConnectionId, i64> {
    let mut charged: BTreeMap<ConnectionId, i64> = BTreeMap::new();
    for transfer in world.transfers() {
        if transfer.reason == Reason::DebitUsage
            && let Reference::Connection(connection) = transfer.reference
        {
            *charged.entry(connection).or_default() += signed(transfer.amount);
        }
    }
    charged
}
