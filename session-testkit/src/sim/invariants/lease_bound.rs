//! `lease_bound`: no media token outlives the lease of the rooms, or the credit at its instant.

use std::collections::BTreeMap;

use session_core::changeset::{Key, Row, Write};
use session_core::ledger::{AccountKey, AccountKind, Owner};
use session_core::media::MediaGrant;
use session_core::room::{Joined, RenewReply};
use session_core::types::{ConnectionId, Seconds, Timestamp, Unit, Wallet};

use super::{Invariant, Seen, Truth};
use crate::sim::hub::last_beat;

/// No media token outlives the lease of the rooms, or the credit at its instant.
#[derive(Debug, Default)]
pub struct LeaseBound {
    leases: BTreeMap<ConnectionId, Timestamp>,
}

impl LeaseBound {
    /// A grant that was handed out is no longer than the lease that the seat remembers.
    fn handed_out(&self, grant: &MediaGrant, truth: Truth<'_>) -> Result<(), String> {
        let lease = truth.policy.rooms.lease;
        if grant.ttl > lease {
            return Err(format!(
                "a token of {} s, leases are {} s",
                grant.ttl.get(),
                lease.get()
            ));
        }
        let is_kept = truth.world.rows().any(|(_, _, row)| match row {
            Row::Seat(seat) => {
                seat.channel() == grant.channel
                    && seat.uid == grant.uid
                    && seat.lease_until >= grant.ends_at()
            }
            _ => false,
        });
        if is_kept {
            Ok(())
        } else {
            let (uid, end) = (grant.uid, grant.ends_at());
            Err(format!(
                "a token of {uid} until {end}, which no seat has a lease for"
            ))
        }
    }
}

impl Invariant for LeaseBound {
    fn name(&self) -> &'static str {
        "lease_bound"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: Truth<'_>) -> Result<(), String> {
        match seen {
            Seen::Answered { request, reply, .. } => match request.ask.name() {
                "rooms.join" => match reply.granted::<Joined>() {
                    Some(joined) => self.handed_out(&joined.grant, truth),
                    None => Ok(()),
                },
                "rooms.renew" => match reply.granted::<RenewReply>() {
                    Some(RenewReply::Renewed { grant, .. }) => self.handed_out(&grant, truth),
                    Some(RenewReply::Denied { .. }) | None => Ok(()),
                },
                _ => Ok(()),
            },
            Seen::Committed { by, changeset, .. } => {
                for write in &changeset.rows {
                    let (Write::Insert(Row::Seat(seat)) | Write::Update(Row::Seat(seat))) = write
                    else {
                        continue;
                    };
                    let before = self.leases.insert(seat.connection, seat.lease_until);
                    if before == Some(seat.lease_until) {
                        continue;
                    }
                    let credit = credit_of(seat.wallet, truth);
                    let longest = truth.policy.rooms.lease.seconds().min(credit);
                    let beat = last_beat(truth.world).map_or(by.shown, Timestamp::from_unix);
                    let until = by.shown.max(beat).max(seat.last_seen_at).after(longest);
                    if seat.lease_until > until {
                        let (lease, credit) = (seat.lease_until, credit.get());
                        return Err(format!("a lease until {lease} with {credit} s of credit"));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn credit_of(wallet: Wallet, truth: Truth<'_>) -> Seconds {
    let key = AccountKey::new(Owner::Wallet(wallet), AccountKind::Wallet, Unit::Seconds);
    match truth.world.row(&Key::Account(key)) {
        Some((_, Row::Account(account))) => Seconds::new(account.available()),
        _ => Seconds::ZERO,
    }
}
