//! `one_seat`: a wallet sits once and hosts one active room.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Invariant;
use crate::changeset::Row;
use crate::ports::Found;
use crate::types::Wallet;

#[derive(Debug, Default)]
pub(super) struct OneSeat {
    seated: BTreeSet<Wallet>,
    hosting: BTreeSet<Wallet>,
}

impl Invariant for OneSeat {
    const NAME: &'static str = "one_seat";

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>) {
        match found {
            Found::Row(_, Row::Seat(seat))
                if seat.is_live() && !self.seated.insert(seat.wallet) =>
            {
                complaints.push(format!("{} sits twice", seat.wallet));
            }
            Found::Row(_, Row::Room(room))
                if room.is_active() && !self.hosting.insert(room.host) =>
            {
                complaints.push(format!("{} hosts twice", room.host));
            }
            _ => {}
        }
    }

    fn end(&mut self, _: &mut Vec<String>) {}
}
