//! `resolved`: what is due is done, while servers are alive.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Invariant;
use crate::changeset::{Key, Row};
use crate::outage::Service;
use crate::ports::Found;
use crate::types::{Seconds, Timestamp};

/// How long something may be due, and servers be alive, before it counts as never done.
pub const OVERDUE_MAX: Seconds = Seconds::new(900);

/// Judged by the last beat, which is the latest that any server said of the time. The row of the
/// beat is shown after all others that are ever due.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    longest_due: Option<(Timestamp, Key)>,
}

impl Resolved {
    fn judge(&mut self, service: &Service, complaints: &mut Vec<String>) {
        let Some((due_at, key)) = self.longest_due.take() else {
            return;
        };
        // Servers that have just come back have much to do.
        let alive_since = service
            .outages
            .last()
            .map_or(Timestamp::EPOCH, |out| out.to);
        let undone_since = due_at.max(alive_since);
        if service.last_beat_at.since(undone_since) > OVERDUE_MAX {
            complaints.push(format!("{key} is due since {due_at}"));
        }
    }
}

impl Invariant for Resolved {
    const NAME: &'static str = "resolved";

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>) {
        let Found::Row(_, row) = found else { return };
        if let Row::Service(service) = row {
            self.judge(service, complaints);
        } else if let Some(due) = row.due()
            && self.longest_due.as_ref().is_none_or(|(at, _)| due.at < *at)
        {
            self.longest_due = Some((due.at, row.key()));
        }
    }

    fn end(&mut self, _: &mut Vec<String>) {}
}
