//! Staying: heartbeats and renewals.

use alloc::boxed::Box;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::depart::evict;
use super::view::StayView;
use super::{Departure, Metered, RoomPolicy, RoomRefusal, Seat, Threshold, meter};
use crate::changeset::{Draft, Version};
use crate::ledger::usage;
use crate::media::{MediaGrant, Role};
use crate::ports::StoreError;
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};
use crate::types::{ConnectionId, RoomId, Seconds, Timestamp, Wallet};

/// A stay, as its client names it. Texts that name no room or no stay are `None`: such a stay is
/// refused like one that is not the caller's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these three name a stay")]
pub struct StayName {
    /// Who calls.
    pub wallet: Wallet,
    /// Where.
    pub room: Option<RoomId>,
    /// Which stay.
    pub connection: Option<ConnectionId>,
}

/// A client says that it is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat(pub StayName);

/// The answer to [`Heartbeat`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatReply {
    /// Credit left.
    pub remaining: Seconds,
    /// Thresholds passed and not told before.
    pub thresholds: Vec<Threshold>,
}

/// A client asks for another media token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renew(pub StayName);

/// The answer to [`Renew`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the wire knows these two")]
pub enum RenewReply {
    /// Too little credit for another lease. The stay goes on.
    Denied {
        /// Credit left.
        remaining: Seconds,
        /// Thresholds passed and not told before.
        thresholds: Vec<Threshold>,
    },
    /// Another lease.
    Renewed {
        /// What the media token is made from.
        grant: MediaGrant,
        /// Credit left.
        remaining: Seconds,
        /// Thresholds passed and not told before.
        thresholds: Vec<Threshold>,
    },
}

impl Command for Heartbeat {
    type View = Option<StayView>;
    type Reply = HeartbeatReply;
    type Refusal = RoomRefusal;

    async fn load(&self, ports: &Ports, cx: &Context<'_>) -> Result<Self::View, StoreError> {
        load(ports, cx, self.0.connection, self.0.wallet).await
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let stay = match Stay::of(view.as_ref(), self.0.wallet, self.0.room, cx) {
            Ok(stay) => stay,
            Err(draft) => return not_yours(*draft),
        };
        let Metered {
            mut seat,
            remaining,
            ..
        } = stay.metered.clone();
        let thresholds = core::mem::take(&mut seat.undelivered);
        let reply = HeartbeatReply {
            remaining,
            thresholds,
        };
        Verdict::Done(Decision::granted(stay.draft(seat), reply))
    }
}

impl Command for Renew {
    type View = Option<StayView>;
    type Reply = RenewReply;
    type Refusal = RoomRefusal;

    async fn load(&self, ports: &Ports, cx: &Context<'_>) -> Result<Self::View, StoreError> {
        load(ports, cx, self.0.connection, self.0.wallet).await
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let policy = &cx.policy.rooms;
        let stay = match Stay::of(view.as_ref(), self.0.wallet, self.0.room, cx) {
            Ok(stay) => stay,
            Err(draft) => return not_yours(*draft),
        };
        let Metered {
            mut seat,
            remaining,
            ..
        } = stay.metered.clone();
        let thresholds = core::mem::take(&mut seat.undelivered);
        if remaining < policy.credit_min_seconds {
            let reply = RenewReply::Denied {
                remaining,
                thresholds,
            };
            return Verdict::Done(Decision::granted(stay.draft(seat), reply));
        }
        // The token says the time of this server's clock; the lease is as long on the seat's.
        seat.lease_until = stay.at.after(policy.lease.seconds());
        let grant = MediaGrant {
            channel: seat.channel(),
            uid: seat.uid,
            connection: Some(seat.connection),
            role: Role::Publisher,
            issued_at: cx.now,
            ttl: policy.lease,
            salt: cx.fresh.salt,
        };
        let reply = RenewReply::Renewed {
            grant,
            remaining,
            thresholds,
        };
        Verdict::Done(Decision::granted(stay.draft(seat), reply))
    }
}

async fn load(
    ports: &Ports,
    cx: &Context<'_>,
    connection: Option<ConnectionId>,
    wallet: Wallet,
) -> Result<Option<StayView>, StoreError> {
    match connection {
        Some(connection) => StayView::load(ports, cx, connection, Some(wallet), false)
            .await
            .map(Some),
        None => Ok(None),
    }
}

/// A client's call on its own live seat, metered to the instant of the call.
struct Stay<'a> {
    view: &'a StayView,
    before: &'a Seat,
    version: Version,
    at: Timestamp,
    metered: Metered,
    policy: &'a RoomPolicy,
}

impl<'a> Stay<'a> {
    /// The caller's stay; else what the refusal writes: the eviction of a seat that has been
    /// silent for too long, which this call finds before a worker did.
    fn of(
        view: Option<&'a StayView>,
        wallet: Wallet,
        room: Option<RoomId>,
        cx: &Context<'a>,
    ) -> Result<Self, Box<Draft>> {
        let mut draft = Draft::new();
        let found = view.zip(room).and_then(|(view, room)| {
            Some((view, view.seat_of(wallet, room)?, view.seat.version()?))
        });
        let Some((view, before, version)) = found else {
            return Err(Box::new(draft));
        };
        let at = view.at(before, cx);
        let outages = view.outages(at, cx);
        if before.is_silent(at, &outages, &cx.policy.rooms) {
            evict(view, Departure::Silent, cx, &mut draft);
            return Err(Box::new(draft));
        }
        let available = view.available(wallet);
        let mut metered = meter(before, at, available, &outages, &cx.policy.rooms);
        metered.seat.last_seen_at = at;
        Ok(Self {
            view,
            before,
            version,
            at,
            metered,
            policy: &cx.policy.rooms,
        })
    }

    /// What the call writes; nothing where it changes nothing.
    fn draft(&self, seat: Seat) -> Draft {
        let mut draft = Draft::new();
        if seat == *self.before {
            return draft;
        }
        if let Some(account) = self.view.account(seat.wallet) {
            draft.expect(account);
        }
        let (wallet, connection) = (seat.wallet, seat.connection);
        draft.transfer(usage(
            wallet,
            connection,
            self.version,
            self.metered.debited,
            self.at,
        ));
        self.view
            .tell_passed(&self.metered, self.policy, &mut draft);
        draft.update(&self.view.seat, seat);
        draft
    }
}

fn not_yours<C: Command<Refusal = RoomRefusal>>(draft: Draft) -> Verdict<C> {
    Verdict::Done(Decision::refused(draft, RoomRefusal::NotYourConnection))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::super::testing::{at, cx, room_id, seat, wallet};
    use super::*;
    use crate::changeset::{Row, Write};
    use crate::outage::Service;
    use crate::policy::Policy;

    fn done<C: Command>(command: &C, now: u64, view: &C::View) -> Decision<C::Reply, C::Refusal> {
        let policy = Policy::default();
        match command.decide(view, &cx(&policy, now), &Answers::default()) {
            Verdict::Done(decision) => decision,
            Verdict::Need(question) => panic!("asked {question:?}"),
        }
    }

    fn beat() -> Heartbeat {
        let connection = Some(seat(2).connection);
        Heartbeat(StayName {
            wallet: wallet(2),
            room: Some(room_id()),
            connection,
        })
    }

    fn renew() -> Renew {
        let connection = Some(seat(2).connection);
        Renew(StayName {
            wallet: wallet(2),
            room: Some(room_id()),
            connection,
        })
    }

    fn view(credit: u64, service: Option<Service>) -> Option<StayView> {
        Some(StayView::of(seat(2), None, credit, service))
    }

    #[test]
    fn a_heartbeat_charges_its_seconds_and_moves_no_due_row() {
        let decision = done(&beat(), 30, &view(1800, None));
        assert_eq!(decision.reply.unwrap().remaining.get(), 1770);
        let Some(Write::Update(Row::Seat(after))) = decision.changeset.rows.first() else {
            panic!("the seat is written");
        };
        assert_eq!(
            (after.last_seen_at, after.check_at),
            (at(30), seat(2).check_at)
        );
    }

    #[test]
    fn a_second_heartbeat_in_the_same_second_writes_nothing() {
        let decision = done(&beat(), 0, &view(1800, None));
        assert_eq!(decision.reply.unwrap().remaining.get(), 1800);
        assert!(decision.changeset.is_empty());
    }

    #[test]
    fn a_heartbeat_is_never_denied_for_lack_of_credit() {
        let reply = done(&beat(), 30, &view(10, None)).reply.unwrap();
        assert_eq!(reply.remaining, Seconds::ZERO);
        assert_eq!(reply.thresholds.len(), 2);
    }

    #[test]
    fn a_renewal_leases_from_now_or_is_denied_below_the_minimum() {
        let decision = done(&renew(), 30, &view(120, None));
        let Ok(RenewReply::Renewed {
            grant, remaining, ..
        }) = decision.reply
        else {
            panic!("ninety are left");
        };
        assert_eq!((grant.ends_at(), remaining.get()), (at(120), 90));
        let Some(Write::Update(Row::Seat(after))) = decision.changeset.rows.first() else {
            panic!("the seat is written");
        };
        assert_eq!(after.lease_until, at(120));
        let denied = done(&renew(), 31, &view(120, None)).reply.unwrap();
        assert!(matches!(denied, RenewReply::Denied { remaining, .. } if remaining.get() == 89));
    }

    #[test]
    fn whoever_is_not_the_seats_wallet_or_names_another_room_is_refused() {
        let stranger = Heartbeat(StayName {
            wallet: wallet(3),
            ..beat().0
        });
        let elsewhere = Heartbeat(StayName {
            room: Some(RoomId::from_random([9; 16])),
            ..beat().0
        });
        let nowhere = Heartbeat(StayName {
            room: None,
            ..beat().0
        });
        for command in [stranger, elsewhere, nowhere] {
            let decision = done(&command, 30, &view(1800, None));
            assert_eq!(decision.reply, Err(RoomRefusal::NotYourConnection));
            assert!(decision.changeset.is_empty());
        }
        let unknown = Heartbeat(StayName {
            connection: None,
            ..beat().0
        });
        assert_eq!(
            done(&unknown, 30, &None).reply,
            Err(RoomRefusal::NotYourConnection)
        );
    }

    #[test]
    fn an_outage_is_found_by_whoever_calls_first() {
        let last_beat = Service {
            last_beat_at: at(20),
            outages: vec![],
        };
        let decision = done(&beat(), 140, &view(1800, Some(last_beat)));
        assert_eq!(decision.reply.unwrap().remaining.get(), 1780);
    }
}
