//! What must hold of every history, as functions from state to complaints.
//!
//! The named invariants themselves are those of [`session_core::audit`], one file each. [`broken`]
//! and [`audited`] show them the world of a memory store, [`audit`] any store that can show what it
//! holds; [`check`] asks a store through its reads alone. An empty list is good news; each
//! complaint begins with the name of the invariant it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use session_core::audit::{Audit, Report};
use session_core::changeset::{Key, Row, World};
use session_core::ledger::{Account, AccountKind, Reason};
use session_core::policy::Policy;
use session_core::ports::{Archive, Read, Snapshot, StoreError};
use session_core::room::{Room, Seat};
use session_core::types::{RoomId, Seconds, Timestamp, Wallet};

use crate::bench::Bench;

/// Everything that is wrong with a world, but for the chain of its journal and what is overdue:
/// what must hold after every step, and costs little.
#[must_use]
pub fn broken(world: &World) -> Vec<String> {
    shown(world, Audit::of_state(&Policy::default()))
}

/// Everything that is wrong with a world.
#[must_use]
pub fn audited(world: &World) -> Vec<String> {
    shown(world, Audit::new(&Policy::default()))
}

/// Everything that is wrong with what a store holds.
///
/// # Errors
/// [`StoreError`].
pub async fn audit(archive: &dyn Archive) -> Result<Vec<String>, StoreError> {
    let mut audit = Audit::new(&Policy::default());
    archive.show(&mut audit).await?;
    Ok(complaints(audit.finish()))
}

fn shown(world: &World, mut audit: Audit) -> Vec<String> {
    world.show(&mut audit);
    complaints(audit.finish())
}

fn complaints(report: Report) -> Vec<String> {
    let complaints = report.complaints.into_iter();
    complaints
        .map(|complaint| format!("{}: {}", complaint.invariant, complaint.what))
        .collect()
}

/// The seconds that each wallet was charged, by the ledger alone.
#[must_use]
pub fn usage_by_wallet(world: &World) -> BTreeMap<Wallet, Seconds> {
    let mut usage: BTreeMap<Wallet, Seconds> = BTreeMap::new();
    for transfer in world
        .transfers()
        .filter(|transfer| transfer.reason == Reason::DebitUsage)
    {
        if let session_core::ledger::Owner::Wallet(wallet) = transfer.debit.owner {
            let used = usage.entry(wallet).or_default();
            *used = used.saturating_add(Seconds::new(transfer.amount));
        }
    }
    usage
}

/// The live seats of a world.
pub fn live_seats(world: &World) -> impl Iterator<Item = &Seat> {
    world.rows().filter_map(|(_, _, row)| match row {
        Row::Seat(seat) if seat.is_live() => Some(seat),
        Row::Account(_)
        | Row::Block(_)
        | Row::BookedSession(_)
        | Row::Chain(_)
        | Row::Challenge(_)
        | Row::Entry(_)
        | Row::Host(_)
        | Row::Idempotency(_)
        | Row::Intent(_)
        | Row::Revocation(_)
        | Row::Room(_)
        | Row::RoomEvent(_)
        | Row::Seat(_)
        | Row::Service(_) => None,
    })
}

/// Asks a store whether anything is wrong with these wallets and rooms.
///
/// # Errors
/// [`StoreError`].
pub async fn check(
    bench: &Bench,
    wallets: &[Wallet],
    rooms: &[RoomId],
) -> Result<Vec<String>, StoreError> {
    let mut complaints = Vec::new();
    for &wallet in wallets {
        for kind in [
            AccountKind::Wallet,
            AccountKind::GrantBase,
            AccountKind::GrantBonus,
        ] {
            match bench.account(wallet, kind).await {
                Ok(account) => complaints.extend(unsound(&account)),
                Err(why) => complaints.push(format!("never_negative: {wallet}: {why}")),
            }
        }
    }
    for &room in rooms {
        // One reading, so that the room and its seats are of one instant.
        let seats = Read::LiveSeatsIn(room);
        let key = Key::Room(room);
        let reads = [Read::Row(key.clone()), seats.clone()];
        let snapshot = Snapshot::load(bench.ports.store(), &reads).await?;
        let room = snapshot.row::<Room>(key);
        let seats = snapshot.list::<Seat>(&seats);
        let seats: Vec<&Seat> = seats.iter().filter_map(|seat| seat.value()).collect();
        if let Some(room) = room.value() {
            complaints.extend(overfull(room, &seats, bench.ports.policy.rooms.capacity));
        }
    }
    Ok(complaints)
}

fn unsound(account: &Account) -> Option<String> {
    (!account.is_sound()).then(|| format!("never_negative: {}", account.describe()))
}

fn overfull(room: &Room, seats: &[&Seat], capacity: u8) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut complain = |what: String| complaints.push(format!("capacity: {}: {what}", room.id));
    if seats.len() > usize::from(capacity) {
        complain(format!("{} seats", seats.len()));
    }
    if seats.len() != usize::from(room.live_seats) {
        complain(format!(
            "{} seats, the room counts {}",
            seats.len(),
            room.live_seats
        ));
    }
    if !room.is_active() && !seats.is_empty() {
        complain("is closed and has seats".to_owned());
    }
    for slot in twice(seats.iter().map(|seat| seat.slot)) {
        complain(format!("place {slot} is taken twice"));
    }
    for uid in twice(seats.iter().map(|seat| seat.uid)) {
        complain(format!("uid {uid} is taken twice"));
    }
    complaints
}

/// Live seats whose lease ends later than a full lease after the last join or renewal.
#[must_use]
pub fn overlong_leases(world: &World, leased_at: &BTreeMap<Wallet, Timestamp>) -> Vec<String> {
    let lease = session_core::room::RoomPolicy::default().lease.seconds();
    live_seats(world)
        .filter(|seat| {
            leased_at
                .get(&seat.wallet)
                .is_none_or(|at| seat.lease_until > at.after(lease))
        })
        .map(|seat| format!("lease_bound: {} until {}", seat.wallet, seat.lease_until))
        .collect()
}

/// The values that come more than once.
fn twice<T: Ord + Copy + Debug>(values: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let mut seen = BTreeSet::new();
    let repeated: Vec<T> = values.filter(|value| !seen.insert(*value)).collect();
    repeated.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_core::changeset::Version;
    use session_core::ledger::AccountKey;
    use session_core::types::Unit;

    #[test]
    fn an_empty_world_breaks_nothing() {
        assert_eq!(broken(&World::new()), Vec::<String>::new());
    }

    #[test]
    fn credit_out_of_nowhere_breaks_conservation() {
        let owner = session_core::ledger::Owner::Wallet(Bench::wallet(1));
        let key = AccountKey::new(owner, AccountKind::Wallet, Unit::Seconds);
        let mut world = World::new();
        world.put_row(
            Version::FIRST,
            Account {
                credits_posted: 1,
                ..Account::empty(key)
            }
            .into(),
        );
        assert!(
            broken(&world)[0].starts_with("conservation: "),
            "{:?}",
            broken(&world)
        );
    }

    #[test]
    fn debt_of_a_wallet_breaks_never_negative() {
        let owner = session_core::ledger::Owner::Wallet(Bench::wallet(1));
        let key = AccountKey::new(owner, AccountKind::Wallet, Unit::Seconds);
        let mut world = World::new();
        world.put_row(
            Version::FIRST,
            Account {
                debits_posted: 1,
                ..Account::empty(key)
            }
            .into(),
        );
        assert!(
            broken(&world)
                .iter()
                .any(|what| what.starts_with("never_negative: "))
        );
    }
}
