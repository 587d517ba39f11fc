//! What a transfer costs in the core: 10,000 accounts, a million transfers held before, and the
//! identifier of each new one looked up among them.
//!
//! `post` is the rule of one transfer on a book as somebody would write one who keeps a ledger in
//! memory, a log with an index: identifier, guard, sums, and all written back. `apply` is the whole
//! door: changesets of so many transfers are applied to a
//! [`World`] and absorbed by it, with the journal entry of each transfer hashed and kept.
//!
//! Times are of the thread on its processor, as the kernel counts it (Linux alone), so that others
//! on the machine count as little as can be; criterion's elements per second are then transfers
//! per core-second.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use session_core::changeset::{Changeset, Draft, Version, World, apply};
use session_core::ledger::{
    Account, AccountKey, AccountKind, Action, Book, Guard, Order, Owner, Posted, Reason, Reference,
    Transfer, post,
};
use session_core::types::{Id128, Timestamp, TransferId, Unit, Wallet};

type Failure = Box<dyn std::error::Error>;

const ACCOUNTS: u32 = 10_000;
const TRANSFERS_BEFORE: u64 = 1_000_000;
const CREDITS: u64 = 1 << 40;
const NOW: Timestamp = Timestamp::from_unix(1_700_000_000);

/// Transfers of one measured round: enough that the kernel's count is exact, few beside the
/// million.
const ROUND: u64 = 65_536;

fn account(number: u64) -> AccountKey {
    let mut bytes = [0x57; 20];
    // Spread, as addresses are.
    bytes[..8].copy_from_slice(&spread(number).to_be_bytes());
    let owner = Owner::Wallet(Wallet::from_bytes(bytes));
    AccountKey::new(owner, AccountKind::Wallet, Unit::Seconds)
}

fn revenue() -> AccountKey {
    AccountKey::new(Owner::House, AccountKind::Revenue, Unit::Seconds)
}

/// Any one-to-one function that scatters: the finalizer of `SplitMix64`.
fn spread(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What a transfer is to.
#[derive(Clone, Copy)]
enum To {
    /// Revenue, which has no row: presence is charged so.
    Revenue,
    /// Another wallet.
    Wallet,
}

/// The n-th usage of somebody. Identifiers are digests, so their bytes are scattered.
fn order(number: u64, to: To) -> Order {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&spread(number).to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    let debtor = spread(number ^ 0x5555) % u64::from(ACCOUNTS);
    let transfer = Transfer {
        id: TransferId::from_bytes(id),
        debit: account(debtor),
        credit: match to {
            To::Revenue => revenue(),
            To::Wallet => account((debtor + 1) % u64::from(ACCOUNTS)),
        },
        amount: 1 + number % 30,
        action: Action::Posted,
        reason: Reason::DebitUsage,
        reference: Reference::None,
        at: NOW,
    };
    Order {
        transfer,
        guard: Some(Guard::UpTo),
    }
}

fn opened(number: u64) -> Account {
    Account {
        credits_posted: CREDITS,
        ..Account::empty(account(number))
    }
}

/// A book in memory: transfers in the order in which they came, and where each is.
#[derive(Clone, Default)]
struct Log {
    accounts: HashMap<AccountKey, Account>,
    transfers: Vec<Transfer>,
    places: HashMap<TransferId, usize>,
}

impl Book for Log {
    fn account(&self, key: AccountKey) -> Account {
        let known = self.accounts.get(&key).copied();
        known.unwrap_or(Account::empty(key))
    }

    fn transfer(&self, id: TransferId) -> Option<Transfer> {
        self.transfers.get(*self.places.get(&id)?).copied()
    }

    fn resolution(&self, _: TransferId) -> Option<TransferId> {
        None
    }
}

impl Log {
    fn full() -> Self {
        let mut book = Self::default();
        for number in 0..u64::from(ACCOUNTS) {
            book.accounts.insert(account(number), opened(number));
        }
        for number in 0..TRANSFERS_BEFORE {
            book.append(order(number, To::Revenue).transfer);
        }
        book
    }

    /// A copy with room for one round: how long it takes to move a million is not asked.
    fn with_room(&self) -> Self {
        let mut book = self.clone();
        let round = usize::try_from(ROUND).unwrap_or(0);
        book.transfers.reserve(round);
        book.places.reserve(round);
        book
    }

    fn append(&mut self, transfer: Transfer) {
        self.places.insert(transfer.id, self.transfers.len());
        self.transfers.push(transfer);
    }

    /// Posts and writes back; how many moved.
    fn post(&mut self, orders: &[Order]) -> u64 {
        let mut moved = 0;
        for order in orders {
            if let Ok(Posted::Moved {
                transfer,
                debit,
                credit,
            }) = post(self, order)
            {
                for account in [debit, credit] {
                    if !account.key.kind.is_derived() {
                        self.accounts.insert(account.key, account);
                    }
                }
                self.append(transfer);
                moved += 1;
            }
        }
        moved
    }
}

fn full_world() -> World {
    let mut world = World::new();
    for number in 0..u64::from(ACCOUNTS) {
        world.put_row(Version::FIRST, opened(number).into());
    }
    for number in 0..TRANSFERS_BEFORE {
        world.put_transfer(order(number, To::Revenue).transfer);
    }
    world
}

/// Applies and absorbs; how many moved.
fn apply_all(world: &mut World, changesets: &[Changeset]) -> u64 {
    let mut moved = 0;
    for changeset in changesets {
        if let Ok(delta) = apply(world, changeset) {
            moved += u64::try_from(delta.transfers.len()).unwrap_or(0);
            world.absorb(&delta);
        }
    }
    moved
}

/// The rounds that criterion asks for, each on a book of its own; the time of this thread.
fn rounds<B, O>(
    count: u64,
    fresh: impl Fn() -> B,
    orders: &[O],
    run: impl Fn(&mut B, &[O]) -> u64,
) -> Duration {
    let mut spent = Duration::ZERO;
    for _ in 0..count {
        let mut book = fresh();
        let before = processor_time();
        let moved = run(&mut book, orders);
        spent += processor_time().saturating_sub(before);
        assert_eq!(moved, ROUND, "every transfer is new and covered");
    }
    spent
}

/// What the kernel has counted for this thread.
fn processor_time() -> Duration {
    let nanoseconds = fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|line| line.split(' ').next()?.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

fn ledger(c: &mut Criterion) -> Result<(), Failure> {
    if processor_time().is_zero() {
        return Err("the kernel does not count the time of threads".into());
    }
    let new = TRANSFERS_BEFORE..TRANSFERS_BEFORE + ROUND;
    let mut group = c.benchmark_group("ledger");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(ROUND));

    let book = Log::full();
    for (name, to) in [("to revenue", To::Revenue), ("to a wallet", To::Wallet)] {
        let orders: Vec<Order> = new.clone().map(|number| order(number, to)).collect();
        group.bench_function(BenchmarkId::new("post", name), |b| {
            b.iter_custom(|count| rounds(count, || book.with_room(), &orders, Log::post));
        });
    }
    drop(book);

    let world = full_world();
    for size in [1, 6, 64] {
        let orders: Vec<Order> = new
            .clone()
            .map(|number| order(number, To::Revenue))
            .collect();
        let changesets: Vec<Changeset> = orders.chunks(size).map(changeset).collect();
        group.bench_function(BenchmarkId::new("apply", size), |b| {
            b.iter_custom(|count| rounds(count, || world.clone(), &changesets, apply_all));
        });
    }
    drop(world);

    // A store on a database applies a group to the rows that it names, and nothing else is there.
    let orders: Vec<Order> = new.map(|number| order(number, To::Revenue)).collect();
    let groups: Vec<Group> = orders.chunks(GROUP).map(Group::of).collect();
    group.bench_function(BenchmarkId::new("apply to a group's rows", GROUP), |b| {
        b.iter_custom(|count| rounds(count, || (), &groups, |(), groups| apply_groups(groups)));
    });
    group.finish();
    Ok(())
}

/// Calls that a store takes together.
const GROUP: usize = 256;

/// Changesets of a group, and the rows that they name.
struct Group {
    world: World,
    changesets: Vec<Changeset>,
}

impl Group {
    fn of(orders: &[Order]) -> Self {
        let mut world = World::new();
        for order in orders {
            let account = Account {
                credits_posted: CREDITS,
                ..Account::empty(order.transfer.debit)
            };
            world.put_row(Version::FIRST, account.into());
        }
        Self {
            world,
            changesets: orders.chunks(1).map(changeset).collect(),
        }
    }
}

fn apply_groups(groups: &[Group]) -> u64 {
    let apply_one = |group: &Group| apply_all(&mut group.world.clone(), &group.changesets);
    groups.iter().map(apply_one).sum()
}

fn changeset(orders: &[Order]) -> Changeset {
    let mut draft = Draft::new();
    for order in orders {
        match order.guard {
            Some(guard) => draft.guarded_transfer(order.transfer, guard),
            None => draft.transfer(order.transfer),
        }
    }
    draft.finish()
}

/// Everything; a failure to prepare is a failure of the run.
fn all(c: &mut Criterion) {
    if let Err(why) = ledger(c) {
        panic!("not measured: {why}");
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
