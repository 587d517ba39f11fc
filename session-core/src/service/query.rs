//! Questions that change nothing.

use alloc::vec::Vec;

use super::Ports;
use crate::changeset::{Entry, Key, Loaded, Row};
use crate::ledger::{CreditAccounts, Credits};
use crate::outage::Service;
use crate::ports::{CreditEntries, Read, RoomEvents, Snapshot, StoreError};
use crate::receipt::StayReceipt;
use crate::room::{EventNumber, Room, RoomEvent, Seat};
use crate::types::{ConnectionId, EntryId, RoomId, Timestamp, Wallet};

/// The credits of a wallet; all zero for one that nothing is known of.
///
/// # Errors
/// [`StoreError`].
pub async fn credits(ports: &Ports, wallet: Wallet) -> Result<Credits, StoreError> {
    let snapshot = Snapshot::load(ports.store(), &CreditAccounts::reads(wallet)).await?;
    Ok(CreditAccounts::of(wallet, &snapshot).credits())
}

/// A room of the public list.
pub type ActiveRoom = Room;

/// The public list: active open rooms, newest first, rooms that nobody joined yet among them.
///
/// # Errors
/// [`StoreError`].
pub async fn active_rooms(ports: &Ports) -> Result<Vec<ActiveRoom>, StoreError> {
    let read = Read::ActiveOpenRooms(ports.policy.rooms.active_list_max);
    let service = Key::Service(());
    let reads = [read.clone(), Read::Row(service.clone())];
    let snapshot = Snapshot::load(ports.store(), &reads).await?;
    let now = ports.clock.now();
    let now = snapshot
        .row::<Service>(service)
        .value()
        .map_or(now, |service| service.shared_now(now, &ports.policy.outage));
    let rooms = snapshot.list::<Room>(&read);
    let rooms = rooms
        .iter()
        .filter_map(Loaded::value)
        .filter(|room| !room.is_overdue(now));
    Ok(rooms.cloned().collect())
}

/// The receipt of a stay of this wallet that has ended; `None` where there is none, while it lasts,
/// and where it is somebody else's.
///
/// # Errors
/// [`StoreError`].
pub async fn stay_receipt(
    ports: &Ports,
    wallet: Wallet,
    connection: ConnectionId,
) -> Result<Option<StayReceipt>, StoreError> {
    let key = Key::Seat(connection);
    let snapshot = Snapshot::load(ports.store(), &[Read::Row(key.clone())]).await?;
    let seat = snapshot.row::<Seat>(key);
    let own = seat.value().filter(|seat| seat.wallet == wallet);
    Ok(own.and_then(StayReceipt::of))
}

/// A room as one of its own sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OwnRoom {
    /// The room.
    pub room: Room,
    /// Who sits in it, by place; nobody, to whoever has left.
    pub seats: Vec<Seat>,
    /// The last stay of the wallet that asks, live or over; `None` for a host that has not come in.
    pub own: Option<Seat>,
}

/// A room, for its host and for whoever is or was in it; `None` for everybody else, as where there
/// is no such room (`security.md` C2).
///
/// # Errors
/// [`StoreError`].
pub async fn own_room(
    ports: &Ports,
    room: RoomId,
    wallet: Wallet,
) -> Result<Option<OwnRoom>, StoreError> {
    let (seats, own) = (Read::LiveSeatsIn(room), Read::LastSeatIn(room, wallet));
    let reads = [Read::Row(Key::Room(room)), seats.clone(), own.clone()];
    let snapshot = Snapshot::load(ports.store(), &reads).await?;
    let own = snapshot.first::<Seat>(&own);
    let own = own.and_then(|seat| seat.value().cloned());
    let found = snapshot.row::<Room>(Key::Room(room));
    let is_party = |room: &&Room| room.host == wallet || own.is_some();
    let Some(room) = found.value().filter(is_party) else {
        return Ok(None);
    };
    // Who has left does not look on.
    let is_in = room.host == wallet || own.as_ref().is_some_and(Seat::is_live);
    let seats = snapshot.list::<Seat>(&seats);
    let seats = seats.iter().filter(|_| is_in);
    Ok(Some(OwnRoom {
        room: room.clone(),
        seats: seats.filter_map(|seat| seat.value().cloned()).collect(),
        own,
    }))
}

/// Events of a room after one, at most so many, and how far they have come by now; `None` where
/// there is no such room. Whom they are for is the caller's part:
/// [`Happening::only_for`](crate::room::Happening::only_for).
///
/// # Errors
/// [`StoreError`].
pub async fn room_events(
    ports: &Ports,
    room: RoomId,
    after: EventNumber,
    max: u32,
) -> Result<Option<(Vec<RoomEvent>, EventNumber)>, StoreError> {
    let events = Read::RoomEvents(RoomEvents { room, after, max });
    let reads = [Read::Row(Key::Room(room)), events.clone()];
    let snapshot = Snapshot::load(ports.store(), &reads).await?;
    let found = snapshot.row::<Room>(Key::Room(room));
    let Some(last) = found.value().map(|room| room.last_event) else {
        return Ok(None);
    };
    let events = snapshot.list::<RoomEvent>(&events);
    let events = events.iter().filter_map(|event| event.value().copied());
    Ok(Some((events.collect(), last)))
}

/// What the journal tells of changes of a wallet's credit, newest first: those before one, at most
/// so many.
///
/// # Errors
/// [`StoreError`].
pub async fn credit_entries(
    ports: &Ports,
    wallet: Wallet,
    before: Option<(Timestamp, EntryId)>,
    max: u32,
) -> Result<Vec<Entry>, StoreError> {
    let read = Read::CreditEntriesOf(CreditEntries {
        wallet,
        before,
        max,
    });
    let found = ports.store().read(&[read]).await?;
    let rows = found.into_iter().flatten();
    Ok(rows
        .filter_map(|stored| match stored.row {
            Row::Entry(entry) => Some(entry),
            _ => None,
        })
        .collect())
}
