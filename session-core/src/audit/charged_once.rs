//! `charged_once`: a stay was charged what its transfers say, at most its presence, and nothing
//! after its end.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Invariant;
use crate::changeset::{Fact, Row};
use crate::ledger::{AccountKind, Owner, Reason, Reference, Transfer};
use crate::ports::Found;
use crate::room::{Seat, SeatState};
use crate::types::{ConnectionId, Seconds, Timestamp, Unit, Wallet};

#[derive(Debug, Default)]
pub(super) struct ChargedOnce {
    usage: BTreeMap<ConnectionId, Usage>,
}

/// What the journal tells of the charges of one stay.
#[derive(Debug, Default)]
struct Usage {
    wallet: Option<Wallet>,
    seconds: Seconds,
    /// What its end tells: when, and how much in all.
    left: Option<(Timestamp, Seconds)>,
}

impl ChargedOnce {
    fn charge(&mut self, transfer: &Transfer, complaints: &mut Vec<String>) {
        let Reference::Connection(connection) = transfer.reference else {
            complaints.push(format!("transfer {} charges for no stay", transfer.id));
            return;
        };
        let usage = self.usage.entry(connection).or_default();
        let payer = match transfer.debit.owner {
            Owner::Wallet(wallet)
                if transfer.debit.kind == AccountKind::Wallet
                    && transfer.debit.unit == Unit::Seconds =>
            {
                Some(wallet)
            }
            Owner::Wallet(_) | Owner::House => None,
        };
        if payer.is_none() || usage.wallet.is_some_and(|known| Some(known) != payer) {
            complaints.push(format!("stay {connection}: {} is charged", transfer.debit));
        }
        usage.wallet = payer;
        usage.seconds = usage.seconds.saturating_add(Seconds::new(transfer.amount));
    }

    fn compare(&mut self, seat: &Seat, complaints: &mut Vec<String>) {
        let connection = seat.connection;
        let usage = self.usage.remove(&connection).unwrap_or_default();
        if usage.seconds != seat.charged {
            complaints.push(format!(
                "stay {connection} was charged {}, its transfers say {}",
                seat.charged, usage.seconds
            ));
        }
        if usage.wallet.is_some_and(|wallet| wallet != seat.wallet) {
            complaints.push(format!("stay {connection} was charged to another wallet"));
        }
        if seat.charged > seat.metered_to.since(seat.joined_at) {
            complaints.push(format!("stay {connection} was charged beyond its presence"));
        }
        if let SeatState::Gone { at, .. } = seat.state {
            // The instants of charges say nothing here: one that a server ahead decided may be later
            // than an end that a server behind did. That none came after it, the sum tells.
            if seat.metered_to > at {
                complaints.push(format!("stay {connection} was charged after its end"));
            }
            if usage.left.is_some_and(|(_, told)| told != usage.seconds) {
                complaints.push(format!("stay {connection} was told another sum at its end"));
            }
        }
    }
}

impl Invariant for ChargedOnce {
    const NAME: &'static str = "charged_once";

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>) {
        match found {
            Found::Row(_, Row::Entry(entry)) => match &entry.fact {
                Fact::Transferred { transfer, .. } if transfer.reason == Reason::DebitUsage => {
                    self.charge(transfer, complaints);
                }
                Fact::Left {
                    connection,
                    charged,
                    ..
                } => {
                    let usage = self.usage.entry(*connection).or_default();
                    if usage.left.replace((entry.at, *charged)).is_some() {
                        complaints.push(format!("stay {connection} ended twice"));
                    }
                }
                _ => {}
            },
            Found::Row(_, Row::Seat(seat)) => self.compare(seat, complaints),
            _ => {}
        }
    }

    fn end(&mut self, complaints: &mut Vec<String>) {
        for connection in core::mem::take(&mut self.usage).into_keys() {
            complaints.push(format!(
                "stay {connection} was charged or ended and is not there"
            ));
        }
    }
}
