//! `silent_alone`: nobody is evicted for silence who was heard lately, and our outage is not their
//! silence.

use std::collections::BTreeMap;

use session_core::changeset::{Changeset, Fact, Row, Write};
use session_core::room::Departure;
use session_core::types::{ConnectionId, Timestamp};

use super::{By, Invariant, Seen, Truth};
use crate::sim::hub::signed;

/// Nobody is evicted for silence who was heard lately.
#[derive(Debug, Default)]
pub struct SilentAlone {
    heard: BTreeMap<ConnectionId, Heard>,
    /// By server: how far its clock was ahead of true time when it was looked at last.
    shown: BTreeMap<usize, i64>,
    /// True time at which each outage was written down, and how far its end was ahead of it.
    resumed: Vec<(i64, i64)>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    last_seen_at: Timestamp,
    /// True time of the call, and how far shared time was ahead of it, at least.
    at: (i64, i64),
    /// How far shared time can be ahead since then, at most.
    high: i64,
}

impl SilentAlone {
    fn looked(&mut self, by: By, truth: Truth<'_>) {
        let now = signed(truth.now);
        let shown = signed(by.shown.unix()) - now;
        self.shown.insert(by.server, shown);
        for heard in self.heard.values_mut() {
            heard.high = heard.high.max(shown);
        }
    }

    fn wrote(&mut self, by: By, changeset: &Changeset, truth: Truth<'_>) -> Result<(), String> {
        for write in &changeset.rows {
            let (Write::Insert(Row::Seat(seat)) | Write::Update(Row::Seat(seat))) = write else {
                continue;
            };
            let known = self.heard.get(&seat.connection);
            if known.is_none_or(|heard| seat.last_seen_at > heard.last_seen_at) {
                let at = (signed(by.looked_at), by.ahead);
                let heard = Heard {
                    last_seen_at: seat.last_seen_at,
                    at,
                    high: self.shown.values().copied().fold(at.1, i64::max),
                };
                self.heard.insert(seat.connection, heard);
            }
        }
        for entry in &changeset.journal {
            if let Fact::Outage { to, .. } = &entry.fact {
                let now = signed(truth.now);
                self.resumed.push((now, signed(to.unix()) - now));
            }
            let Fact::Left {
                connection, why, ..
            } = &entry.fact
            else {
                continue;
            };
            let heard = self.heard.remove(connection);
            if let Some(heard) = heard.filter(|_| *why == Departure::Silent) {
                self.judge(*connection, heard, by, truth)?;
            }
        }
        Ok(())
    }

    fn judge(
        &self,
        connection: ConnectionId,
        heard: Heard,
        by: By,
        truth: Truth<'_>,
    ) -> Result<(), String> {
        let now = signed(truth.now);
        let allowed = signed(truth.policy.rooms.silence_max_seconds.get());
        let silence = |(since, low): (i64, i64)| now - since + heard.high.max(low) - low;
        let longest = silence(heard.at);
        if longest <= allowed {
            return Err(format!(
                "stay {connection} was silent for at most {longest} s"
            ));
        }
        // A decision that was taken before it was written down may know nothing of it.
        let looked_at = signed(by.looked_at);
        if let Some(&resumed) = self.resumed.iter().rfind(|(at, _)| *at < looked_at) {
            let longest = silence(resumed);
            if longest <= allowed {
                return Err(format!(
                    "stay {connection} had {longest} s after the outage"
                ));
            }
        }
        Ok(())
    }
}

impl Invariant for SilentAlone {
    fn name(&self) -> &'static str {
        "silent_alone"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: Truth<'_>) -> Result<(), String> {
        match seen {
            Seen::Looked(by) => self.looked(*by, truth),
            Seen::Committed { by, changeset, .. } => return self.wrote(*by, changeset, truth),
            _ => {}
        }
        Ok(())
    }
}
