//! `lease_bound`: no lease is longer than one lease after the last sign of life.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Invariant;
use crate::changeset::Row;
use crate::media::Ttl;
use crate::ports::Found;

#[derive(Debug)]
pub(super) struct LeaseBound {
    lease: Ttl,
}

impl LeaseBound {
    pub(super) const fn new(lease: Ttl) -> Self {
        Self { lease }
    }
}

impl Invariant for LeaseBound {
    const NAME: &'static str = "lease_bound";

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>) {
        if let Found::Row(_, Row::Seat(seat)) = found
            && seat.lease_until > seat.last_seen_at.after(self.lease.seconds())
        {
            complaints.push(format!(
                "stay {} was heard at {} and is leased until {}",
                seat.connection, seat.last_seen_at, seat.lease_until
            ));
        }
    }

    fn end(&mut self, _: &mut Vec<String>) {}
}
