//! What parties may see.

use alloc::vec::Vec;

use super::{BookedSession, Host};
use crate::attestation::{Inputs, Judgement, judge};
use crate::changeset::{Key, Loaded};
use crate::escrow::{BookingKey, BookingStatus};
use crate::outage::{Outages, Service, Span};
use crate::ports::{BookedSessions, PortError, Read, Snapshot, StoreError};
use crate::service::Ports;
use crate::types::{Timestamp, Wallet};

/// Why a session cannot be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "adapters map both")]
pub enum SessionError {
    /// The chain could not be read.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A booked session, for whoever may see it: as it is on record, else as the chain has it. `None`
/// where the contract has no such booking.
///
/// # Errors
/// [`SessionError`].
pub async fn session(
    ports: &Ports,
    key: BookingKey,
) -> Result<Option<BookedSession>, SessionError> {
    let row = Key::BookedSession(key);
    let snapshot = Snapshot::load(ports.store(), &[Read::Row(row.clone())]).await?;
    if let Some(session) = snapshot.row::<BookedSession>(row).value() {
        return Ok(Some(session.clone()));
    }
    let reading = ports.escrows.read(&key).await?;
    let exists = reading.booking.status != BookingStatus::None;
    Ok(exists.then(|| BookedSession::of(key, &reading)))
}

/// The same with how far the contract is now, where the chain can be read; else as it was last read.
///
/// # Errors
/// [`SessionError`].
pub async fn session_now(
    ports: &Ports,
    key: BookingKey,
) -> Result<Option<BookedSession>, SessionError> {
    let Some(mut session) = session(ports, key).await? else {
        return Ok(None);
    };
    if let Ok(reading) = ports.escrows.read(&key).await
        && session.agreement.is_that_of(&reading)
    {
        session.saw(&reading.booking);
    }
    Ok(Some(session))
}

/// Who has been there so far, as far as it is known now.
///
/// # Errors
/// [`StoreError`].
pub async fn presence(ports: &Ports, session: &BookedSession) -> Result<Judgement, StoreError> {
    let service = Key::Service(());
    let snapshot = Snapshot::load(ports.store(), &[Read::Row(service.clone())]).await?;
    let service = snapshot.row::<Service>(service);
    let (policy, now) = (&ports.policy, ports.clock.now());
    let slot = &session.agreement.slot;
    let now = service
        .value()
        .map_or(now, |service| service.shared_now(now, &policy.outage));
    let alive_since = ports.clock.alive_since();
    let outages = Outages::known_at(now, service.value(), alive_since, &policy.outage);
    let span = Span {
        from: slot.start_time,
        to: slot.end(),
    };
    let inputs = Inputs {
        slot,
        host: &session.host.stays,
        guest: &session.guest.stays,
        outages: &outages.touching(span),
        now,
        chain_now: now,
    };
    Ok(judge(&inputs, &policy.bookings.attestation))
}

/// A page of the sessions that a wallet is host or guest of, those that begin last first: after
/// one, at most so many, of one status where that is asked for.
///
/// # Errors
/// [`StoreError`].
pub async fn own_sessions(
    ports: &Ports,
    wallet: Wallet,
    status: Option<BookingStatus>,
    before: Option<(Timestamp, BookingKey)>,
    max: u32,
) -> Result<Vec<BookedSession>, StoreError> {
    let read = Read::BookedSessionsOf(BookedSessions {
        wallet,
        status,
        before,
        max,
    });
    let snapshot = Snapshot::load(ports.store(), core::slice::from_ref(&read)).await?;
    let sessions = snapshot.list::<BookedSession>(&read);
    Ok(sessions.iter().filter_map(Loaded::value).cloned().collect())
}

/// Whether a wallet takes bookings.
///
/// # Errors
/// [`StoreError`].
pub async fn host(ports: &Ports, wallet: Wallet) -> Result<bool, StoreError> {
    let key = Key::Host(wallet);
    let snapshot = Snapshot::load(ports.store(), &[Read::Row(key.clone())]).await?;
    let host = snapshot.row::<Host>(key);
    Ok(host.value().is_some_and(|host| host.accepting_bookings))
}
