//! What commands on a stay need to see.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::event::EventLog;
use super::{Metered, Room, RoomPolicy, Seat, meter};
use crate::changeset::{Draft, Key, Loaded};
use crate::ledger::{Account, AccountKind, seconds_account, spendable_seconds};
use crate::outage::{Outages, Service, shared_now};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Context, Ports};
use crate::types::{ConnectionId, RoomId, Seconds, Timestamp, Wallet};

/// A seat, its wallet's credit and the outages; and, where the seat may come to an end, its room
/// and whoever sits in it.
#[derive(Debug, Clone)]
pub struct StayView {
    pub(super) seat: Loaded<Seat>,
    service: Option<Service>,
    accounts: BTreeMap<Wallet, Loaded<Account>>,
    pub(super) around: Option<Around>,
}

/// The room of a seat and everybody in it.
#[derive(Debug, Clone)]
pub(super) struct Around {
    pub(super) room: Loaded<Room>,
    pub(super) seats: Vec<Loaded<Seat>>,
}

impl StayView {
    /// Reads what metering needs; more where others are concerned: because the seat passes a
    /// threshold, which its room tells of, or may come to an end: it is `departing`, silent for too
    /// long, or, to a worker, without credit.
    pub(super) async fn load(
        ports: &Ports,
        cx: &Context<'_>,
        connection: ConnectionId,
        wallet: Option<Wallet>,
        departing: bool,
    ) -> Result<Self, StoreError> {
        let store = ports.store();
        let account =
            |wallet| Read::Row(Key::Account(seconds_account(wallet, AccountKind::Wallet)));
        let seat_key = Key::Seat(connection);
        let mut reads = alloc::vec![Read::Row(seat_key.clone()), Read::Row(Key::Service(()))];
        reads.extend(wallet.map(account));
        let mut snapshot = Snapshot::load(store, &reads).await?;

        let seat: Loaded<Seat> = snapshot.row(seat_key);
        let service = snapshot.row::<Service>(Key::Service(())).value().cloned();
        let mut view = Self {
            seat,
            service,
            accounts: BTreeMap::new(),
            around: None,
        };
        let mut wallets: Vec<Wallet> = wallet.into_iter().collect();
        if let Some(live) = view.seat.value().filter(|seat| seat.is_live()).cloned() {
            let mut more = Vec::new();
            let payer = wallet.unwrap_or(live.wallet);
            if wallet.is_none() {
                wallets.push(live.wallet);
                snapshot.load_more(store, &[account(live.wallet)]).await?;
            }
            // Of somebody else's seat the credit is not read: the caller is refused.
            let credit = Key::Account(seconds_account(payer, AccountKind::Wallet));
            let available = spendable_seconds(&snapshot.row(credit));
            let at = view.at(&live, cx);
            let outages = view.outages(at, cx);
            let ends = live.is_silent(at, &outages, &cx.policy.rooms)
                || (wallet.is_none() && live.exhausted_at.is_some());
            // A decision meters to this instant at the latest, and a shorter presence passes no
            // threshold that a longer one does not.
            let metered = meter(&live, at, available, &outages, &cx.policy.rooms);
            if departing || ends || !metered.raised.is_empty() {
                view.around = Some(Around::load(&mut snapshot, ports, live.room).await?);
                let others = view.around.iter().flat_map(|around| &around.seats);
                let others = others
                    .filter_map(|seat| seat.value())
                    .map(|seat| seat.wallet);
                let others: Vec<Wallet> = others.filter(|w| !wallets.contains(w)).collect();
                more.extend(others.iter().copied().map(account));
                wallets.extend(others);
            }
            snapshot.load_more(store, &more).await?;
        }
        for wallet in wallets {
            let key = Key::Account(seconds_account(wallet, AccountKind::Wallet));
            view.accounts.insert(wallet, snapshot.row(key));
        }
        Ok(view)
    }

    /// The instant at which a decision happens for a seat: the one that servers agree on, and
    /// never before what the seat has seen already.
    pub(super) fn at(&self, seat: &Seat, cx: &Context<'_>) -> Timestamp {
        seat.clamp(shared_now(self.service.as_ref(), cx))
    }

    /// The outages as known at an instant.
    pub(super) fn outages(&self, now: Timestamp, cx: &Context<'_>) -> Outages {
        Outages::known_at(
            now,
            self.service.as_ref(),
            cx.alive_since,
            &cx.policy.outage,
        )
    }

    /// The account of somebody in the room.
    pub(super) fn account(&self, wallet: Wallet) -> Option<&Loaded<Account>> {
        self.accounts.get(&wallet)
    }

    /// What somebody in the room has left.
    pub(super) fn available(&self, wallet: Wallet) -> Seconds {
        self.account(wallet)
            .map_or(Seconds::ZERO, spendable_seconds)
    }

    /// Tells the room of thresholds that the view's seat passes.
    pub(super) fn tell_passed(&self, metered: &Metered, policy: &RoomPolicy, draft: &mut Draft) {
        let around = self.around.as_ref().filter(|_| !metered.raised.is_empty());
        let Some((loaded, room)) =
            around.and_then(|Around { room, .. }| Some((room, room.value()?)))
        else {
            return;
        };
        let mut events = EventLog::of(room, policy, draft);
        events.passed(&metered.seat, &metered.raised);
        let last_event = events.last();
        draft.update(
            loaded,
            Room {
                last_event,
                ..room.clone()
            },
        );
    }

    /// The live seat, if it is this wallet's and in this room.
    pub(super) fn seat_of(&self, wallet: Wallet, room: RoomId) -> Option<&Seat> {
        let seat = self.seat.value()?;
        (seat.is_live() && seat.wallet == wallet && seat.room == room).then_some(seat)
    }
}

impl Around {
    /// The room comes with its seats in one step: the room's version guards their set.
    async fn load(
        snapshot: &mut Snapshot,
        ports: &Ports,
        room: RoomId,
    ) -> Result<Self, StoreError> {
        let seats = Read::LiveSeatsIn(room);
        let reads = [Read::Row(Key::Room(room)), seats.clone()];
        snapshot.load_more(ports.store(), &reads).await?;
        Ok(Self {
            room: snapshot.row(Key::Room(room)),
            seats: snapshot.list(&seats),
        })
    }
}

#[cfg(test)]
impl StayView {
    /// A view of a seat among others, each wallet with this much credit.
    pub(super) fn of(
        seat: Seat,
        around: Option<(Room, Vec<Seat>)>,
        credit: u64,
        service: Option<Service>,
    ) -> Self {
        use super::testing::{account, loaded};
        let others = around
            .iter()
            .flat_map(|(_, seats)| seats)
            .map(|seat| seat.wallet);
        let accounts = core::iter::once(seat.wallet)
            .chain(others)
            .map(|wallet| {
                (
                    wallet,
                    account(AccountKind::Wallet, wallet.to_bytes()[19], credit, 0),
                )
            })
            .collect();
        let around = around.map(|(room, seats)| Around {
            room: loaded(room),
            seats: seats.into_iter().map(loaded).collect(),
        });
        Self {
            seat: loaded(seat),
            service,
            accounts,
            around,
        }
    }
}
