//! `refusals_are_clean`: a refused request wrote a grant that was due, an eviction that was due,
//! its own answer, and nothing of what was refused.

use session_core::changeset::{Changeset, Fact, Row, Write};
use session_core::ledger::Reason;
use session_core::room::{Departure, Happening};
use session_core::service::ExecuteError;

use super::{Invariant, Seen, Truth};
use crate::sim::Reply;

/// A refused request wrote nothing of what was refused.
#[derive(Debug)]
pub struct RefusalsAreClean;

impl Invariant for RefusalsAreClean {
    fn name(&self) -> &'static str {
        "refusals_are_clean"
    }

    fn see(&mut self, seen: &Seen<'_>, _: Truth<'_>) -> Result<(), String> {
        let Seen::Answered {
            request,
            reply,
            written,
            ..
        } = seen
        else {
            return Ok(());
        };
        let name = request.ask.name();
        match reply {
            Reply::Granted(_) | Reply::Failed(ExecuteError::Store(_)) => Ok(()),
            Reply::Failed(error) if written.is_empty() || matches!(error, ExecuteError::Busy) => {
                Ok(())
            }
            Reply::Failed(error) => Err(format!("{name} failed with {error:?} and wrote")),
            Reply::Refused(why) => match written.iter().find_map(unclean) {
                Some(what) => Err(format!("{name} was refused as {why} and wrote {what}")),
                None => Ok(()),
            },
        }
    }
}

/// What a refusal must not have written.
fn unclean(changeset: &Changeset) -> Option<String> {
    let evicts = changeset
        .journal
        .iter()
        .any(|entry| matches!(&entry.fact, Fact::Left { why, .. } if *why != Departure::Left));
    for order in &changeset.transfers {
        let reason = order.transfer.reason;
        let is_grant = matches!(reason, Reason::GrantBase | Reason::GrantCeloBonus);
        let is_last_charge = evicts && reason == Reason::DebitUsage;
        if !is_grant && !is_last_charge {
            return Some(format!("a transfer: {}", reason.name()));
        }
    }
    let wrong = changeset.rows.iter().find(|write| match write {
        Write::Update(Row::Seat(seat)) => !evicts || seat.is_live(),
        Write::Update(Row::Room(_)) => !evicts,
        // An eviction is told.
        Write::Insert(Row::RoomEvent(event)) => {
            !evicts
                || matches!(
                    event.what,
                    Happening::Joined { .. } | Happening::Left { .. }
                )
        }
        Write::Delete(_) | Write::Insert(_) | Write::Update(_) => true,
    });
    if let Some(write) = wrong {
        return Some(format!("a row: {write:?}"));
    }
    // A removal from the channel follows an eviction.
    (!evicts && !changeset.intents.is_empty()).then(|| "an intent".to_owned())
}
