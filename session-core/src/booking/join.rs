//! Joining a booked session.

use serde::{Deserialize, Serialize};

use super::stay::{Stayed, stay_on};
use super::view::{Missing, SessionView};
use super::{BookedSession, BookingRefusal, STAYS_MAX, Settlement};
use crate::attestation::Stay;
use crate::changeset::{Draft, Fact};
use crate::escrow::{BookingKey, BookingStatus, EscrowReading, Side};
use crate::media::{Channel, MediaGrant, MediaUid, Role};
use crate::ports::StoreError;
use crate::service::{Answers, Command, Context, Decision, Ports, Verdict};
use crate::types::{ConnectionId, Timestamp, Wallet};

/// A party comes to its session, or comes again: then it gets the same place and a fresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "these three are a join")]
pub struct JoinSession {
    /// Which booking.
    pub key: BookingKey,
    /// Who.
    pub wallet: Wallet,
    /// The session's channel.
    pub channel: Channel,
}

/// The answer to [`JoinSession`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "an answer is made of these")]
pub struct SessionJoined {
    /// What the media token is made from.
    pub grant: MediaGrant,
    /// Which party came.
    pub party: Side,
    /// When the session ends.
    pub ends_at: Timestamp,
}

impl Command for JoinSession {
    type View = SessionView;
    type Reply = SessionJoined;
    type Refusal = BookingRefusal;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        SessionView::load(ports, &self.key).await
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, answers: &Answers) -> Verdict<Self> {
        let refused = |refusal| Verdict::Done(Decision::refused(Draft::new(), refusal));
        // The chain is asked each time: a booking can be cancelled until it begins.
        let (mut session, reading) = match view.read_anew(self.key, cx, answers) {
            Ok(found) => found,
            Err(Missing::Question(question)) => return Verdict::Need(question),
            Err(Missing::Refusal(refusal)) => return refused(refusal),
        };
        let at = view.now(cx);
        let party = match self.admitted(&session, &reading, at, cx) {
            Ok(party) => party,
            Err(refusal) => return refused(refusal),
        };
        let mut draft = Draft::new();
        let outages = view.outages(cx);
        let stayed = stay_on(&mut session, party, at, &outages, cx, &mut draft);
        let uid = session.uid_of(party, cx.fresh.uid);
        if stayed != Stayed::On {
            session.enter(party, uid, at, cx, &mut draft);
        }
        let connection = session.attendance(party).connection;
        let reply = SessionJoined {
            grant: MediaGrant {
                channel: self.channel.clone(),
                uid,
                connection,
                role: Role::Publisher,
                issued_at: cx.now,
                ttl: cx.policy.bookings.lease,
                salt: cx.fresh.salt,
            },
            party,
            ends_at: session.agreement.slot.end(),
        };
        // A repeat that changes nothing writes nothing.
        if view.row.value() != Some(&session) {
            draft.update(&view.row, session);
        }
        Verdict::Done(Decision::granted(draft, reply))
    }
}

impl JoinSession {
    /// Whether the wallet may come in, in the recorded order of refusals.
    fn admitted(
        &self,
        session: &BookedSession,
        reading: &EscrowReading,
        at: Timestamp,
        cx: &Context<'_>,
    ) -> Result<Side, BookingRefusal> {
        if reading.booking.status != BookingStatus::Booked {
            return Err(BookingRefusal::NotActive);
        }
        if !reading.slot.exists() {
            return Err(BookingRefusal::SlotNotFound);
        }
        let party = session.agreement.side(self.wallet);
        let party = party.ok_or(BookingRefusal::NotParticipant)?;
        let slot = &session.agreement.slot;
        let opens_at = slot
            .start_time
            .before(cx.policy.bookings.join_before_seconds);
        if at < opens_at {
            return Err(BookingRefusal::TooEarly { opens_at });
        }
        if at > slot.end() {
            return Err(BookingRefusal::Ended);
        }
        Ok(party)
    }
}

impl BookedSession {
    /// The number of a party in the channel: the recorded one of its wallet, kept once it was
    /// given. Where that is 0 or the other party's, the next free one from a random start.
    pub(super) fn uid_of(&self, party: Side, random: u32) -> MediaUid {
        if let Some(uid) = self.attendance(party).uid {
            return uid;
        }
        let other = self.attendance(party.other()).uid;
        let is_free = |uid: &MediaUid| other != Some(*uid);
        let own = MediaUid::derive(self.agreement.wallet(party)).filter(is_free);
        own.unwrap_or_else(|| {
            let mut candidate = random;
            loop {
                // At most three turns: only 0 and the other party's number are no good.
                if let Some(uid) = MediaUid::new(candidate).filter(is_free) {
                    return uid;
                }
                candidate = candidate.wrapping_add(1);
            }
        })
    }

    /// Begins a stay.
    pub(super) fn enter(
        &mut self,
        party: Side,
        uid: MediaUid,
        at: Timestamp,
        cx: &Context<'_>,
        draft: &mut Draft,
    ) {
        let (key, wallet) = (self.key, self.agreement.wallet(party));
        let connection = ConnectionId::from_random(cx.fresh.id);
        let attendance = self.attendance_mut(party);
        attendance.uid = Some(uid);
        attendance.connection = Some(connection);
        let is_full = attendance.stays.len() >= STAYS_MAX;
        match attendance.stays.last_mut() {
            Some(last) if is_full => last.left_at = None,
            last => {
                // A stay does not begin before the one before it ended, whatever the clocks say.
                let ended = last.and_then(|stay| stay.left_at).unwrap_or(at);
                attendance.stays.push(Stay {
                    joined_at: at.max(ended),
                    left_at: None,
                    last_seen_at: None,
                });
            }
        }
        draft.journal(
            at,
            Fact::SessionJoined {
                connection,
                booking: key,
                wallet,
                uid,
            },
        );
        // An earlier look stays: it may be for what both parties signed, or a leave that is undone,
        // and then finds nothing to do.
        if self.settlement == Settlement::Open {
            let due = cx.policy.bookings.attestation.due(&self.agreement.slot);
            self.look_at.get_or_insert(due.max(at));
        }
    }
}
