//! Whole lives of bookings, from the slot to the tokens in a wallet: what the records say at each
//! step, what is credited and logged, and what it costs in gas.

use std::collections::BTreeMap;

use revm::primitives::{Address, U256};
use session_testkit::contracts::Contract;

use super::abi::Word;
use super::world::{
    ATTEST, ATTESTED, BOOKED, CANCELLED, COMPLETED, DISPUTED, FINALIZED, METRICS, NO_SHOW_GUEST,
    NO_SHOW_HOST, ORACLE, OWNER, PRICE, Plan, RESOLVED, SLOT_BOOKED, SLOT_CANCELLED, SLOT_OPEN,
    SLOT_SETTLED, START, STRANGER, TREASURY, World,
};

const FINALIZED_LOG: &str = "Finalized(uint256,uint8,uint256,uint256,uint256)";
const CANCELLED_LOG: &str =
    "SessionBookingCancelled(uint256,uint8,uint256,uint256,uint256,uint256)";
/// The fee of `PRICE`.
const FEE: u64 = 750_000;

/// Everybody takes what they are owed; nothing may be left.
fn withdraw_all(world: &mut World) {
    for who in [world.host, world.guest, TREASURY] {
        let owed = world.owed(who);
        if owed.is_zero() {
            continue;
        }
        let (held, before) = (world.held(), world.balance(who));
        world.call(who, "withdrawOwed()", &[]).unwrap();
        assert_eq!(world.balance(who), before + owed);
        assert_eq!(world.held(), held - owed);
    }
    assert_eq!(world.held(), 0.word());
    let escrow = world.escrow;
    assert_eq!(world.balance(escrow), 0.word());
}

#[test]
fn an_attested_session_is_finalised_and_paid() {
    for world in World::each() {
        for (outcome, credits) in [
            (COMPLETED, [PRICE - FEE, 0, FEE]),
            (NO_SHOW_HOST, [0, PRICE, 0]),
            (NO_SHOW_GUEST, [PRICE - FEE, 0, FEE]),
        ] {
            let mut world = world.clone();
            let booking = world.booked(Plan::USUAL);
            let slot = world.booking(booking).slot();
            assert_eq!(world.slot_status(slot), SLOT_BOOKED);
            let now = START + 800;
            world.chain.set_now(now);
            let done = world.attest(booking, outcome).unwrap();
            let attested = "Attested(uint256,uint8,bytes32,uint64)";
            let due = now + 86_400;
            let wanted = [outcome.word(), METRICS.word(), due.word()];
            assert_eq!(done.log(attested), wanted);
            let record = world.booking(booking).0;
            let wanted = [
                slot,
                world.guest.word(),
                PRICE.word(),
                ATTESTED.word(),
                outcome.word(),
                METRICS.word(),
                now.word(),
                due.word(),
                0.word(),
                0.word(),
                0.word(),
            ];
            assert_eq!(record, wanted);
            assert_eq!(world.credits(), [0.word(); 3]);
            assert_eq!(world.slot_status(slot), SLOT_BOOKED);

            world.chain.set_now(due);
            let done = world
                .call(STRANGER, "finalize(uint256)", &[booking])
                .unwrap();
            let [host, guest, fee] = credits.map(Word::word);
            assert_eq!(done.log(FINALIZED_LOG), [outcome.word(), host, guest, fee]);
            assert_eq!(world.credits(), [host, guest, fee]);
            assert_eq!(world.booking(booking).status(), FINALIZED);
            assert_eq!(world.slot_status(slot), SLOT_SETTLED);
            withdraw_all(&mut world);
        }
    }
}

#[test]
fn a_dispute_is_resolved_either_way() {
    for world in World::each() {
        let bond = 10_000_000;
        for (challenger, attested, resolved, credits) in [
            // Upheld: the guest was right.
            (true, COMPLETED, NO_SHOW_HOST, [0, PRICE + bond, 0]),
            // It changed, though no money moves by it.
            (true, COMPLETED, NO_SHOW_GUEST, [PRICE - FEE, bond, FEE]),
            // Rejected: the bond goes to the host.
            (true, COMPLETED, COMPLETED, [PRICE - FEE + bond, 0, FEE]),
            (false, NO_SHOW_HOST, COMPLETED, [PRICE - FEE + bond, 0, FEE]),
            (false, NO_SHOW_HOST, NO_SHOW_HOST, [0, PRICE + bond, 0]),
        ] {
            let mut world = world.clone();
            let who = if challenger { world.guest } else { world.host };
            let booking = world.attested(Plan::USUAL, attested, START + 800);
            world.chain.set_now(START + 900);
            world.call(who, "challenge(uint256)", &[booking]).unwrap();
            let disputed = world.booking(booking);
            assert_eq!(disputed.status(), DISPUTED);
            assert_eq!(
                disputed.0[8..],
                [who.word(), bond.word(), (START + 900).word()]
            );
            assert_eq!(world.held(), (PRICE + bond).word());
            let done = world
                .call(
                    OWNER,
                    "resolveDispute(uint256,uint8)",
                    &[booking, resolved.word()],
                )
                .unwrap();
            assert_eq!(done.log("Resolved(uint256,uint8)"), [resolved.word()]);
            assert_eq!(world.booking(booking).status(), RESOLVED);
            let bonds: Vec<_> = world.credits().to_vec();
            assert_eq!(
                bonds.iter().sum::<U256>(),
                bond.word(),
                "the bond and no more"
            );
            // In the same second, and by anybody.
            world
                .call(STRANGER, "finalize(uint256)", &[booking])
                .unwrap();
            assert_eq!(world.credits(), credits.map(Word::word));
            assert_eq!(world.booking(booking).outcome(), resolved);
            withdraw_all(&mut world);
        }
    }
}

#[test]
fn a_dispute_that_nobody_resolves_ends_as_attested() {
    for mut world in World::each() {
        let host = world.host;
        let booking = world.attested(Plan::USUAL, NO_SHOW_HOST, START + 800);
        world.call(host, "challenge(uint256)", &[booking]).unwrap();
        world.chain.set_now(START + 800 + 604_800);
        let timeout = "finalizeDisputeByTimeout(uint256)";
        let done = world.call(STRANGER, timeout, &[booking]).unwrap();
        assert_eq!(done.log("Resolved(uint256,uint8)"), [NO_SHOW_HOST.word()]);
        assert_eq!(world.booking(booking).status(), RESOLVED);
        assert_eq!(world.credits(), [0, 10_000_000, 0].map(Word::word));
        let done = world
            .call(STRANGER, "finalize(uint256)", &[booking])
            .unwrap();
        let wanted = [NO_SHOW_HOST, 0, PRICE, 0].map(Word::word);
        assert_eq!(done.log(FINALIZED_LOG), wanted);
        assert_eq!(world.credits(), [0, PRICE + 10_000_000, 0].map(Word::word));
        withdraw_all(&mut world);
    }
}

#[test]
fn a_session_nobody_attested_is_refunded() {
    for mut world in World::each() {
        let host = world.host;
        let booking = world.booked(Plan::USUAL);
        let slot = world.booking(booking).slot();
        world.chain.set_now(Plan::USUAL.end() + 86_400);
        // Also where the host asks.
        let done = world
            .call(host, "claimIfUnattested(uint256)", &[booking])
            .unwrap();
        assert_eq!(
            done.log("UnattestedRefunded(uint256,uint256)"),
            [PRICE.word()]
        );
        assert_eq!(world.credits(), [0, PRICE, 0].map(Word::word));
        assert_eq!(world.booking(booking).status(), FINALIZED);
        assert_eq!(world.booking(booking).outcome(), 0);
        assert_eq!(world.slot_status(slot), SLOT_CANCELLED);
        withdraw_all(&mut world);
    }
}

#[test]
fn a_host_cancels_with_a_full_refund() {
    for mut world in World::each() {
        let host = world.host;
        let booking = world.booked(Plan::USUAL);
        let slot = world.booking(booking).slot();
        world.chain.set_now(START - 1);
        let done = world
            .call(host, "cancelBookingAsHost(uint256)", &[booking])
            .unwrap();
        assert_eq!(done.log(CANCELLED_LOG), [4, PRICE, 0, 0, 0].map(Word::word));
        assert_eq!(world.credits(), [0, PRICE, 0].map(Word::word));
        assert_eq!(world.booking(booking).status(), CANCELLED);
        assert_eq!(world.slot_status(slot), SLOT_CANCELLED);
        withdraw_all(&mut world);
    }
}

#[test]
fn a_guest_who_cancels_early_leaves_the_slot_to_others() {
    for mut world in World::each() {
        let guest = world.guest;
        let booking = world.booked(Plan::USUAL);
        let slot = world.booking(booking).slot();
        let cancel = "cancelBookingAsGuest(uint256)";
        let done = world.call(guest, cancel, &[booking]).unwrap();
        assert_eq!(done.log(CANCELLED_LOG), [5, PRICE, 0, 0, 0].map(Word::word));
        assert_eq!(world.credits(), [0, PRICE, 0].map(Word::word));
        assert_eq!(world.booking(booking).status(), CANCELLED);
        assert_eq!(world.slot_status(slot), SLOT_OPEN);
        let next = world
            .call(STRANGER, "book(uint256)", &[slot])
            .unwrap()
            .word();
        assert_eq!(next, booking + U256::ONE);
        assert_eq!(world.booking(booking).status(), CANCELLED);
        assert_eq!(world.booking(next).status(), BOOKED);
        assert_eq!(world.number("slotToBooking(uint256)", &[slot]), next);
    }
}

#[test]
fn a_guest_who_cancels_late_pays_a_part() {
    for mut world in World::each() {
        let guest = world.guest;
        let booking = world.booked(Plan::USUAL);
        let slot = world.booking(booking).slot();
        world.chain.set_now(START - 1);
        let cancel = "cancelBookingAsGuest(uint256)";
        let done = world.call(guest, cancel, &[booking]).unwrap();
        let (refund, penalty, host, fee) = (20_000_001, 5_000_000, 4_850_000, 150_000);
        let wanted = [5, refund, penalty, host, fee].map(Word::word);
        assert_eq!(done.log(CANCELLED_LOG), wanted);
        assert_eq!(world.credits(), [host, refund, fee].map(Word::word));
        assert_eq!(world.slot_status(slot), SLOT_SETTLED);
        withdraw_all(&mut world);
    }
}

#[test]
fn terms_are_those_of_the_booking_and_addresses_those_of_the_day() {
    for mut world in World::each() {
        let booking = world.booked(Plan::USUAL);
        let terms = world.read("getBookingTerms(uint256)", &[booking]);
        for (setter, value) in [
            ("setFeeBps(uint16)", 2_000),
            ("setLateCancelPenaltyBps(uint16)", 9_000),
            ("setChallengeWindow(uint48)", 1),
            ("setNoAttestBuffer(uint48)", 2),
            ("setDisputeTimeout(uint48)", 3),
            ("setChallengeBond(uint256)", 4),
        ] {
            world.call(OWNER, setter, &[value.word()]).unwrap();
        }
        let (oracle, treasury) = (Address::repeat_byte(7), Address::repeat_byte(8));
        world
            .call(OWNER, "setOracle(address)", &[oracle.word()])
            .unwrap();
        world
            .call(OWNER, "setTreasury(address)", &[treasury.word()])
            .unwrap();
        assert_eq!(world.read("getBookingTerms(uint256)", &[booking]), terms);
        let later = world.booked(Plan::USUAL);
        let wanted = [2_000, 9_000, 1, 2, 3, 4].map(Word::word);
        assert_eq!(world.read("getBookingTerms(uint256)", &[later]), wanted);

        world.chain.set_now(START + 800);
        let arguments = [booking, COMPLETED.word(), METRICS.word()];
        world.refuses("NOT_ORACLE", ORACLE, ATTEST, &arguments);
        world.call(oracle, ATTEST, &arguments).unwrap();
        assert_eq!(
            world.booking(booking).finalizable_at(),
            START + 800 + 86_400
        );
        let guest = world.guest;
        world.call(guest, "challenge(uint256)", &[booking]).unwrap();
        assert_eq!(world.booking(booking).bond(), 10_000_000.word());
        let timeout = "finalizeDisputeByTimeout(uint256)";
        world.chain.set_now(START + 800 + 604_799);
        world.refuses("TOO_EARLY", STRANGER, timeout, &[booking]);
        world.chain.set_now(START + 800 + 604_800);
        world.call(STRANGER, timeout, &[booking]).unwrap();
        world
            .call(STRANGER, "finalize(uint256)", &[booking])
            .unwrap();
        assert_eq!(world.owed(treasury), FEE.word());
        assert_eq!(world.owed(TREASURY), 0.word());
    }
}

/// Printed, so that who changes a contract sees what it costs; the figures are in its `README.md`.
#[test]
fn what_calls_cost() {
    let mut costs = BTreeMap::new();
    let mut note = |call: &'static str, gas: u64| {
        let (least, most) = costs.entry(call).or_insert((gas, gas));
        *least = gas.min(*least);
        *most = gas.max(*most);
    };
    for contract in Contract::ESCROWS {
        for outcome in [COMPLETED, NO_SHOW_HOST] {
            let mut world = World::new(contract);
            note("creation", world.creation_gas);
            let (host, guest) = (world.host, world.guest);
            world.slot(Plan::USUAL);
            for round in 0..2 {
                let created = world.call(host, super::world::CREATE_SLOT, &Plan::USUAL.words());
                let created = created.unwrap();
                note("createSlot", created.gas);
                let booked = world
                    .call(guest, "book(uint256)", &[created.word()])
                    .unwrap();
                note("book", booked.gas);
                let booking = booked.word();
                let mut other = world.clone();
                let cancel = "cancelBookingAsGuest(uint256)";
                note(
                    "cancelBookingAsGuest",
                    other.call(guest, cancel, &[booking]).unwrap().gas,
                );
                let mut other = world.clone();
                other.chain.set_now(Plan::USUAL.end() + 86_400);
                let claim = "claimIfUnattested(uint256)";
                note(
                    "claimIfUnattested",
                    other.call(guest, claim, &[booking]).unwrap().gas,
                );
                world.chain.set_now(START + 800);
                note("attest", world.attest(booking, outcome).unwrap().gas);
                if round == 0 {
                    let challenge = "challenge(uint256)";
                    note(
                        "challenge",
                        world.call(guest, challenge, &[booking]).unwrap().gas,
                    );
                    let resolve = [booking, COMPLETED.word()];
                    let resolved = world.call(OWNER, "resolveDispute(uint256,uint8)", &resolve);
                    note("resolveDispute", resolved.unwrap().gas);
                }
                world.chain.set_now(START + 800 + 86_400);
                let finalize = "finalize(uint256)";
                note(
                    "finalize",
                    world.call(STRANGER, finalize, &[booking]).unwrap().gas,
                );
                world.chain.set_now(super::world::DAWN);
            }
            for who in [host, guest, TREASURY] {
                if !world.owed(who).is_zero() {
                    note(
                        "withdrawOwed",
                        world.call(who, "withdrawOwed()", &[]).unwrap().gas,
                    );
                }
            }
        }
    }
    for (call, (least, most)) in costs {
        println!("{call}: {least} to {most} gas");
        assert!(most < super::chain::GAS_MAX);
    }
}
