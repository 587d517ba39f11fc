//! What must hold of every history: the named invariants, as functions from state to complaints.
//!
//! [`broken`] looks at a whole [`World`], which only the memory store can give; [`check`] asks any
//! store through its reads. An empty list is good news; each complaint begins with the name of the
//! invariant it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use session_core::changeset::{Fact, Key, Row, World};
use session_core::ledger::{Account, AccountKey, AccountKind, Action, Reason, Transfer};
use session_core::ports::{Read, Snapshot, StoreError};
use session_core::room::{Room, Seat};
use session_core::types::{RoomId, Seconds, Timestamp, Unit, Wallet};

use crate::bench::Bench;

/// Everything that is wrong with a world.
#[must_use]
pub fn broken(world: &World) -> Vec<String> {
    let mut complaints = Vec::new();
    complaints.extend(conservation(world));
    complaints.extend(never_negative(world));
    complaints.extend(one_seat(world));
    complaints.extend(capacity(world));
    complaints.extend(one_room_per_host(world));
    complaints
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
        | Row::Chain(_)
        | Row::Challenge(_)
        | Row::Entry(_)
        | Row::Idempotency(_)
        | Row::Intent(_)
        | Row::Room(_)
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

/// Per unit, debits equal credits; the sums of an account are those of its transfers; and the
/// journal knows of each transfer exactly once.
fn conservation(world: &World) -> Vec<String> {
    let mut complaints = Vec::new();
    let folded = fold(world);
    let mut totals: BTreeMap<Unit, i128> = BTreeMap::new();
    for account in folded.values() {
        *totals.entry(account.key.unit).or_default() += account.balance();
    }
    for (unit, total) in totals {
        if total != 0 {
            complaints.push(format!("conservation: {unit:?} sum to {total}"));
        }
    }
    for (_, _, row) in world.rows() {
        let Row::Account(account) = row else { continue };
        let expected = folded
            .get(&account.key)
            .copied()
            .unwrap_or(Account::empty(account.key));
        if *account != expected {
            complaints.push(format!(
                "conservation: {account:?}, its transfers say {expected:?}"
            ));
        }
    }
    for account in folded.values() {
        let has_row = world.row(&Key::Account(account.key)).is_some();
        if has_row == account.key.kind.is_derived() {
            complaints.push(format!(
                "conservation: {} has a row: {has_row}",
                account.describe()
            ));
        }
    }
    let told: Vec<_> = world
        .journal()
        .filter_map(|entry| match &entry.fact {
            Fact::Transferred { transfer, .. } => Some(transfer.id),
            _ => None,
        })
        .collect();
    let distinct: BTreeSet<_> = told.iter().copied().collect();
    let moved: BTreeSet<_> = world.transfers().map(|transfer| transfer.id).collect();
    if told.len() != distinct.len() || distinct != moved {
        complaints.push("conservation: the journal tells of other transfers".to_owned());
    }
    complaints
}

/// What the accounts must be, by their transfers alone.
fn fold(world: &World) -> BTreeMap<AccountKey, Account> {
    let all: BTreeMap<_, _> = world
        .transfers()
        .map(|transfer| (transfer.id, transfer))
        .collect();
    let mut accounts = BTreeMap::new();
    for transfer in world.transfers() {
        match transfer.action {
            Action::Posted => add_posted(&mut accounts, transfer, transfer.amount),
            Action::Pending { .. } => add_pending(&mut accounts, transfer, true),
            Action::Post { of } => {
                add_posted(&mut accounts, transfer, transfer.amount);
                if let Some(held) = all.get(&of) {
                    add_pending(&mut accounts, held, false);
                }
            }
            Action::Void { of } => {
                if let Some(held) = all.get(&of) {
                    add_pending(&mut accounts, held, false);
                }
            }
        }
    }
    accounts
}

fn add_posted(accounts: &mut BTreeMap<AccountKey, Account>, transfer: &Transfer, amount: u64) {
    entry(accounts, transfer.debit).debits_posted += amount;
    entry(accounts, transfer.credit).credits_posted += amount;
}

fn add_pending(accounts: &mut BTreeMap<AccountKey, Account>, transfer: &Transfer, held: bool) {
    // A resolution may come before its reservation in the order of identifiers, so the sums may
    // pass below zero on the way and are right at the end.
    let change = |sum: u64| {
        if held {
            sum.wrapping_add(transfer.amount)
        } else {
            sum.wrapping_sub(transfer.amount)
        }
    };
    let debit = entry(accounts, transfer.debit);
    debit.debits_pending = change(debit.debits_pending);
    let credit = entry(accounts, transfer.credit);
    credit.credits_pending = change(credit.credits_pending);
}

fn entry(accounts: &mut BTreeMap<AccountKey, Account>, key: AccountKey) -> &mut Account {
    accounts.entry(key).or_insert(Account::empty(key))
}

fn never_negative(world: &World) -> Vec<String> {
    let accounts = world.rows().filter_map(|(_, _, row)| match row {
        Row::Account(account) => unsound(account),
        Row::Block(_)
        | Row::Chain(_)
        | Row::Challenge(_)
        | Row::Entry(_)
        | Row::Idempotency(_)
        | Row::Intent(_)
        | Row::Room(_)
        | Row::Seat(_)
        | Row::Service(_) => None,
    });
    accounts.collect()
}

fn unsound(account: &Account) -> Option<String> {
    (!account.is_sound()).then(|| format!("never_negative: {}", account.describe()))
}

fn one_seat(world: &World) -> Vec<String> {
    twice(live_seats(world).map(|seat| seat.wallet))
        .map(|wallet| format!("one_seat: {wallet} sits twice"))
        .collect()
}

fn one_room_per_host(world: &World) -> Vec<String> {
    twice(
        rooms(world)
            .filter(|room| room.is_active())
            .map(|room| room.host),
    )
    .map(|host| format!("one_seat: {host} hosts twice"))
    .collect()
}

fn capacity(world: &World) -> Vec<String> {
    let capacity = session_core::room::RoomPolicy::default().capacity;
    rooms(world)
        .flat_map(|room| {
            let seats: Vec<&Seat> = live_seats(world)
                .filter(|seat| seat.room == room.id)
                .collect();
            overfull(room, &seats, capacity)
        })
        .collect()
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

fn rooms(world: &World) -> impl Iterator<Item = &Room> {
    world.rows().filter_map(|(_, _, row)| match row {
        Row::Room(room) => Some(room),
        Row::Account(_)
        | Row::Block(_)
        | Row::Chain(_)
        | Row::Challenge(_)
        | Row::Entry(_)
        | Row::Idempotency(_)
        | Row::Intent(_)
        | Row::Seat(_)
        | Row::Service(_) => None,
    })
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
