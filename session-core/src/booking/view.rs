//! What decisions on a booked session see.

use alloc::boxed::Box;

use super::{BookedSession, BookingRefusal};
use crate::changeset::{Key, Loaded};
use crate::escrow::{BookingKey, BookingStatus, EscrowReading, Side};
use crate::outage::{Outages, Service, shared_now};
use crate::ports::{Answer, Question, Read, Snapshot, StoreError};
use crate::service::{Answers, Context, Ports};
use crate::types::{Seconds, Timestamp, Wallet};

/// How far ahead of the servers a block's time may be. Beyond it the chain says nothing that a window
/// can be judged by: a block that claims to be of tomorrow would close every window at once.
pub const CHAIN_AHEAD_MAX: Seconds = Seconds::new(300);

/// A booked session and what time it is.
#[derive(Debug, Clone)]
pub struct SessionView {
    pub(super) row: Loaded<BookedSession>,
    pub(super) service: Option<Service>,
}

/// A fact is missing, or there is nothing to decide on.
#[derive(Debug)]
pub(super) enum Missing {
    /// The chain has to be asked.
    Question(Question),
    /// There is no such session, or no sense in what the chain says.
    Refusal(BookingRefusal),
}

impl SessionView {
    pub(super) async fn load(ports: &Ports, key: &BookingKey) -> Result<Self, StoreError> {
        let (row, service) = (Key::BookedSession(*key), Key::Service(()));
        let reads = [Read::Row(row.clone()), Read::Row(service.clone())];
        let snapshot = Snapshot::load(ports.store(), &reads).await?;
        Ok(Self {
            row: snapshot.row(row),
            service: snapshot.row::<Service>(service).value().cloned(),
        })
    }

    /// The instant that servers agree on.
    pub(super) fn now(&self, cx: &Context<'_>) -> Timestamp {
        shared_now(self.service.as_ref(), cx)
    }

    /// The outages that are known of.
    pub(super) fn outages(&self, cx: &Context<'_>) -> Outages {
        let policy = &cx.policy.outage;
        Outages::known_at(self.now(cx), self.service.as_ref(), cx.alive_since, policy)
    }

    /// The session with what the chain says of it now. What was agreed on never changes: a reading
    /// that says otherwise is none to decide on (a node that lags behind, or lies).
    pub(super) fn read_anew(
        &self,
        key: BookingKey,
        cx: &Context<'_>,
        answers: &Answers,
    ) -> Result<(BookedSession, Box<EscrowReading>), Missing> {
        let question = Question::Booking(key);
        let Some(Answer::Booking(reading)) = answers.get(&question) else {
            return Err(Missing::Question(question));
        };
        if let Some(known) = self.row.value() {
            if reading.booking.status == BookingStatus::None {
                return Err(Missing::Refusal(BookingRefusal::BookingNotFound));
            }
            let is_ahead = reading.chain_now.since(self.now(cx)) > CHAIN_AHEAD_MAX;
            if is_ahead || !known.agreement.is_that_of(reading) {
                return Err(Missing::Refusal(BookingRefusal::Contradiction));
            }
            let mut session = known.clone();
            session.saw(&reading.booking);
            return Ok((session, reading.clone()));
        }
        if reading.booking.status == BookingStatus::None {
            return Err(Missing::Refusal(BookingRefusal::BookingNotFound));
        }
        Ok((BookedSession::of(key, reading), reading.clone()))
    }

    /// The session, where it is known; else as the chain says.
    pub(super) fn known(
        &self,
        key: BookingKey,
        cx: &Context<'_>,
        answers: &Answers,
    ) -> Result<BookedSession, Missing> {
        if let Some(known) = self.row.value() {
            return Ok(known.clone());
        }
        let (session, reading) = self.read_anew(key, cx, answers)?;
        if reading.slot.exists() {
            Ok(session)
        } else {
            Err(Missing::Refusal(BookingRefusal::SlotNotFound))
        }
    }

    /// Which party a wallet is; on what the originals do not have, a booking of others is one that
    /// is not there (`security.md` C2).
    pub(super) fn own(
        &self,
        key: BookingKey,
        wallet: Wallet,
        cx: &Context<'_>,
        answers: &Answers,
    ) -> Result<(BookedSession, Side), Missing> {
        let session = self.known(key, cx, answers)?;
        match session.agreement.side(wallet) {
            Some(party) => Ok((session, party)),
            None => Err(Missing::Refusal(BookingRefusal::BookingNotFound)),
        }
    }
}
