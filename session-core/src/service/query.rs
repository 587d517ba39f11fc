//! Questions that change nothing.

use alloc::vec::Vec;

use super::Ports;
use crate::changeset::{Key, Loaded};
use crate::ledger::{CreditAccounts, Credits};
use crate::outage::Service;
use crate::ports::{Read, Snapshot, StoreError};
use crate::receipt::StayReceipt;
use crate::room::{Room, Seat};
use crate::types::{ConnectionId, Wallet};

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
