//! Whatever is called in whatever order, the escrow has what it owes: balance of tokens, all that
//! is held, and all that is owed or still open, each no less than the next.
//!
//! More cases: `PROPTEST_CASES=1000 cargo test -p session-testkit --test escrow solvency`.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use revm::primitives::U256;
use session_testkit::contracts::Contract;

use super::abi::{Word, address};
use super::steps::{Kind, Step, steps};
use super::walk::Walk;
use super::world::{ATTESTED, BOOKED, DISPUTED, OWNER, RESOLVED, STRANGER};

/// How many steps a walk has.
const STEPS: std::ops::RangeInclusive<usize> = 1..=60;
/// As many as it takes to go everywhere.
const LONG: std::ops::RangeInclusive<usize> = 60..=60;

pub(crate) fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig {
        cases: if is_asked { default.cases } else { 24 },
        max_shrink_iters: 2_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/escrow.txt",
        ))),
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn an_escrow_has_what_it_owes(steps in steps(STEPS)) {
        for contract in Contract::ESCROWS {
            walk(contract, &steps);
        }
    }
}

/// Takes all steps, and lets everything come to its end. Panics where anything does not hold.
fn walk(contract: Contract, steps: &[Step]) -> Walk {
    let mut walk = Walk::new(contract);
    let mut held = check(&mut walk);
    for step in steps {
        walk.step(*step);
        let now_held = check(&mut walk);
        assert!(
            now_held >= held || step.kind == Kind::Withdraw,
            "{step:?} lost tokens"
        );
        held = now_held;
    }
    drain(&mut walk);
    walk
}

/// That the escrow can pay. Returns what it holds.
fn check(walk: &mut Walk) -> U256 {
    let people = walk.people();
    let world = &mut walk.world;
    let owed: U256 = people.into_iter().map(|who| world.owed(who)).sum();
    let bookings: u64 = world.number("nextBookingId()", &[]).to();
    let mut open = U256::ZERO;
    for id in 1..bookings {
        let booking = world.booking(id.word());
        match booking.status() {
            BOOKED | ATTESTED | RESOLVED => open += booking.amount(),
            DISPUTED => open += booking.amount() + booking.bond(),
            _ => {}
        }
    }
    let requests: u64 = world.number("nextRequestId()", &[]).to();
    for id in 1..requests {
        let request = world.read("getRequest(uint256)", &[id.word()]);
        if request[7] == 1.word() {
            open += request[5];
        }
    }
    let held = world.held();
    let escrow = world.escrow;
    let balance = world.balance(escrow);
    assert!(balance >= held, "{balance} tokens, and {held} held");
    assert!(
        held >= owed + open,
        "{held} held, {owed} owed and {open} open"
    );
    // More would be tokens that nobody ever gets.
    assert_eq!(held, owed + open);
    held
}

/// Whatever is still open is settled, and everybody takes what they are owed: nothing may be left
/// over, and nobody may be left unpaid.
fn drain(walk: &mut Walk) {
    let people = walk.people();
    let world = &mut walk.world;
    let far = world.chain.now() + 100_000_000;
    world.chain.set_now(far);
    let bookings: u64 = world.number("nextBookingId()", &[]).to();
    for id in 1..bookings {
        let id = id.word();
        let booking = world.booking(id);
        let guest = address(booking.0[1]);
        if booking.status() == BOOKED {
            world
                .call(guest, "claimIfUnattested(uint256)", &[id])
                .unwrap();
        }
        if booking.status() == DISPUTED {
            let timeout = "finalizeDisputeByTimeout(uint256)";
            world.call(STRANGER, timeout, &[id]).unwrap();
        }
        if matches!(booking.status(), ATTESTED | DISPUTED | RESOLVED) {
            world.call(OWNER, "finalize(uint256)", &[id]).unwrap();
        }
    }
    let requests: u64 = world.number("nextRequestId()", &[]).to();
    for id in 1..requests {
        let request = world.read("getRequest(uint256)", &[id.word()]);
        if request[7] == 1.word() {
            let guest = address(request[1]);
            world
                .call(guest, "cancelRequest(uint256)", &[id.word()])
                .unwrap();
        }
    }
    check(walk);
    let world = &mut walk.world;
    for who in people {
        if !world.owed(who).is_zero() {
            world.call(who, "withdrawOwed()", &[]).unwrap();
        }
    }
    assert_eq!(world.held(), U256::ZERO);
}

/// That the walks go everywhere: the same ones each time, in which every step is taken and, where
/// it can be, refused.
#[test]
fn walks_take_every_step() {
    let mut runner = TestRunner::deterministic();
    let strategy = proptest::collection::vec(steps(LONG), 12);
    let walks = strategy.new_tree(&mut runner).unwrap().current();
    let mut tally = std::collections::BTreeMap::<Kind, (u32, u32)>::new();
    for steps in &walks {
        for (kind, (taken, refused)) in walk(Contract::SessionEscrowV2, steps).tally {
            let total = tally.entry(kind).or_default();
            *total = (total.0 + taken, total.1 + refused);
        }
    }
    println!("{tally:?}");
    assert_eq!(tally.len(), 23);
    for (kind, (taken, _)) in tally {
        assert!(taken > 0, "{kind:?} was never taken");
    }
}
