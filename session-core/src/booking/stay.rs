//! Staying in a booked session, and leaving it.
//!
//! Existing clients say that they join and that they leave, and nothing in between. A client that
//! proves its life as well is believed no further than its last proof.

use serde::{Deserialize, Serialize};

use super::view::{Missing, SessionView};
use super::{BookedSession, BookingRefusal, Settlement};
use crate::changeset::{Draft, Fact};
use crate::escrow::{BookingKey, Side};
use crate::outage::Outages;
use crate::ports::StoreError;
use crate::room::Departure;
use crate::service::{Answers, Command, Context, Decision, Never, Ports, Verdict};
use crate::types::{Seconds, Timestamp, Wallet};

/// What became of the stay that a party was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stayed {
    /// It goes on.
    On,
    /// The party had been silent: the stay ended when it was last heard.
    Ended,
    /// There was none.
    Nowhere,
}

/// A party is heard: its stay goes on, unless it was silent for longer than it may be.
pub(super) fn stay_on(
    session: &mut BookedSession,
    party: Side,
    at: Timestamp,
    outages: &Outages,
    cx: &Context<'_>,
    draft: &mut Draft,
) -> Stayed {
    let silent_after = cx.policy.bookings.silent_after_seconds;
    let attendance = session.attendance_mut(party);
    let Some(stay) = attendance
        .stays
        .last_mut()
        .filter(|stay| stay.left_at.is_none())
    else {
        return Stayed::Nowhere;
    };
    let Some(seen_at) = stay.last_seen_at else {
        // Nobody proves its life here: the stay lasts until it is said to end.
        return Stayed::On;
    };
    if !outages.was_silent(seen_at, at, silent_after) {
        stay.last_seen_at = Some(seen_at.max(at));
        return Stayed::On;
    }
    session.leave(party, seen_at, Departure::Silent, at, draft);
    Stayed::Ended
}

impl BookedSession {
    /// Ends the stay that a party is in.
    fn leave(
        &mut self,
        party: Side,
        left_at: Timestamp,
        why: Departure,
        now: Timestamp,
        draft: &mut Draft,
    ) {
        let (booking, wallet) = (self.key, self.agreement.wallet(party));
        let attendance = self.attendance_mut(party);
        let connection = attendance.connection;
        let mut left_at = left_at;
        if let Some(stay) = attendance.stays.last_mut() {
            left_at = left_at.max(stay.joined_at);
            stay.left_at = Some(left_at);
        }
        if let Some(connection) = connection {
            draft.journal(
                now,
                Fact::SessionLeft {
                    connection,
                    booking,
                    wallet,
                    left_at,
                    why,
                },
            );
        }
    }
}

/// A party says that it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these two are a leave")]
pub struct LeaveSession {
    /// Which booking.
    pub key: BookingKey,
    /// Who.
    pub wallet: Wallet,
}

/// The answer to [`LeaveSession`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "an answer is made of this")]
pub struct SessionLeft {
    /// How long the stay lasted; zero for whoever was not in.
    pub duration: Seconds,
}

impl Command for LeaveSession {
    type View = SessionView;
    type Reply = SessionLeft;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        SessionView::load(ports, &self.key).await
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        let left =
            |draft, duration| Verdict::Done(Decision::granted(draft, SessionLeft { duration }));
        let Some(mut session) = view.row.value().cloned() else {
            return left(draft, Seconds::ZERO);
        };
        let Some(party) = session.agreement.side(self.wallet) else {
            return left(draft, Seconds::ZERO);
        };
        let at = view.now(cx);
        let outages = view.outages(cx);
        match stay_on(&mut session, party, at, &outages, cx, &mut draft) {
            Stayed::Nowhere => return left(draft, Seconds::ZERO),
            Stayed::Ended => {}
            Stayed::On => session.leave(party, at, Departure::Left, at, &mut draft),
        }
        if session.settlement == Settlement::Open {
            let debounced = at.after(cx.policy.bookings.leave_debounce_seconds);
            session.look_at = Some(
                session
                    .look_at
                    .map_or(debounced, |look_at| look_at.min(debounced)),
            );
        }
        let stay = session.attendance(party).stays.last();
        let duration = stay.map_or(Seconds::ZERO, |stay| {
            stay.left_at.unwrap_or(at).since(stay.joined_at)
        });
        draft.update(&view.row, session);
        left(draft, duration)
    }
}

/// A client says that its party is still there. Optional: but whoever begins is believed no further
/// than the last time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these two are a proof of life")]
pub struct ProveLife {
    /// Which booking.
    pub key: BookingKey,
    /// Who.
    pub wallet: Wallet,
}

impl Command for ProveLife {
    type View = SessionView;
    /// When the party was last heard.
    type Reply = Timestamp;
    type Refusal = BookingRefusal;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        SessionView::load(ports, &self.key).await
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, answers: &Answers) -> Verdict<Self> {
        let refused = |refusal| Verdict::Done(Decision::refused(Draft::new(), refusal));
        let (mut session, party) = match view.own(self.key, self.wallet, cx, answers) {
            Ok(own) => own,
            Err(Missing::Question(question)) => return Verdict::Need(question),
            Err(Missing::Refusal(refusal)) => return refused(refusal),
        };
        let at = view.now(cx);
        if at > session.agreement.slot.end() {
            return refused(BookingRefusal::Ended);
        }
        let mut draft = Draft::new();
        let outages = view.outages(cx);
        match stay_on(&mut session, party, at, &outages, cx, &mut draft) {
            Stayed::Nowhere => return refused(BookingRefusal::NotIn),
            Stayed::Ended => {
                let uid = session.uid_of(party, cx.fresh.uid);
                session.enter(party, uid, at, cx, &mut draft);
            }
            Stayed::On => {}
        }
        let Some(stay) = session.attendance_mut(party).stays.last_mut() else {
            return refused(BookingRefusal::NotIn);
        };
        let seen_at = stay.last_seen_at.map_or(at, |seen_at| seen_at.max(at));
        stay.last_seen_at = Some(seen_at.max(stay.joined_at));
        draft.update(&view.row, session);
        Verdict::Done(Decision::granted(draft, seen_at))
    }
}
