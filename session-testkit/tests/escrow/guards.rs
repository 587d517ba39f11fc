//! Every guard, in its order: each call begins with all that can be wrong at once, and what was
//! complained about is put right until nothing is left. That the strings are gone from the other
//! build, and nothing else is, the twins check.

use revm::primitives::{Address, U256};

use super::abi::{Refusal, Word};
use super::world::{
    ATTEST, ATTESTED, BOOKED, COMPLETED, CREATE_PRICED, CREATE_SLOT, DAWN, FINALIZED, METRICS,
    NO_SHOW_GUEST, NO_SHOW_HOST, ORACLE, OWNER, PRICE, Plan, START, STRANGER, World,
};

#[test]
fn create_slot() {
    for mut world in World::each() {
        let host = world.host;
        let wrong = Plan {
            start: DAWN + 60,
            duration: 0,
            grace: u64::from(u32::MAX),
            overlap: 241,
            cutoff: 10_081,
        };
        let refuses = |world: &mut World, why, plan: Plan| {
            world.refuses(why, host, CREATE_SLOT, &plan.words());
        };
        refuses(&mut world, "NO_BASE_PRICE", wrong);
        let price = [PRICE.word()];
        world
            .call(host, "setHostBasePrice(uint256)", &price)
            .unwrap();
        assert_eq!(
            world.number("hostBasePrice(address)", &[host.word()]),
            price[0]
        );
        refuses(&mut world, "START_TOO_SOON", wrong);
        let wrong = Plan {
            start: DAWN + 61,
            ..wrong
        };
        refuses(&mut world, "BAD_DURATION", wrong);
        refuses(
            &mut world,
            "BAD_DURATION",
            Plan {
                duration: 241,
                ..wrong
            },
        );
        let shortest = Plan {
            duration: 1,
            ..wrong
        };
        refuses(&mut world, "BAD_OVERLAP", shortest);
        refuses(
            &mut world,
            "BAD_OVERLAP",
            Plan {
                overlap: 2,
                ..shortest
            },
        );
        let longest = Plan {
            duration: 240,
            ..wrong
        };
        refuses(&mut world, "BAD_OVERLAP", longest);
        let wrong = Plan {
            overlap: 240,
            ..longest
        };
        refuses(&mut world, "BAD_CUTOFF", wrong);
        // The grace has no limit.
        let right = Plan {
            cutoff: 10_080,
            ..wrong
        };
        let slot = world.call(host, CREATE_SLOT, &right.words()).unwrap();
        assert_eq!(slot.word(), 1.word());
        let wanted = [right.start, 240, PRICE].map(Word::word);
        let created = "SessionSlotCreated(uint256,address,uint48,uint32,uint256)";
        assert_eq!(slot.log(created), wanted);
    }
}

#[test]
fn create_slot_with_price() {
    for mut world in World::each().filter(|world| world.contract.capabilities().explicit_price) {
        let host = world.host;
        let wrong = Plan {
            start: DAWN + 60,
            duration: 0,
            grace: 0,
            overlap: 241,
            cutoff: 10_081,
        };
        let refuses = |world: &mut World, why, plan: Plan, price: u64| {
            let arguments = [plan.words(), vec![price.word()]].concat();
            world.refuses(why, host, CREATE_PRICED, &arguments);
        };
        refuses(&mut world, "BAD_PRICE", wrong, 0);
        refuses(&mut world, "START_TOO_SOON", wrong, 7);
        let wrong = Plan {
            start: DAWN + 61,
            ..wrong
        };
        refuses(&mut world, "BAD_DURATION", wrong, 7);
        let wrong = Plan {
            duration: 240,
            ..wrong
        };
        refuses(&mut world, "BAD_OVERLAP", wrong, 7);
        let wrong = Plan {
            overlap: 240,
            ..wrong
        };
        refuses(&mut world, "BAD_CUTOFF", wrong, 7);
        let right = Plan { cutoff: 0, ..wrong };
        let arguments = [right.words(), vec![7.word()]].concat();
        let slot = world.call(host, CREATE_PRICED, &arguments).unwrap().word();
        // The host asks for nothing otherwise.
        assert_eq!(
            world.number("hostBasePrice(address)", &[host.word()]),
            0.word()
        );
        assert_eq!(world.read("getSlot(uint256)", &[slot])[3], 7.word());
    }
}

#[test]
fn cancel_slot() {
    for mut world in World::each() {
        let host = world.host;
        let signature = "cancelSlot(uint256)";
        let slot = world.slot(Plan::USUAL);
        world.refuses("NOT_HOST", STRANGER, signature, &[slot]);
        world.refuses("NOT_HOST", host, signature, &[slot + U256::ONE]);
        let done = world.call(host, signature, &[slot]).unwrap();
        assert!(done.log("SessionSlotCancelled(uint256)").is_empty());
        world.refuses("NOT_OPEN", host, signature, &[slot]);
        let booking = world.booked(Plan::USUAL);
        let booked = world.booking(booking).slot();
        world.refuses("NOT_OPEN", host, signature, &[booked]);
    }
}

#[test]
fn book() {
    for mut world in World::each() {
        let (host, guest) = (world.host, world.guest);
        let signature = "book(uint256)";
        world.refuses("TOO_LATE", guest, signature, &[9.word()]);
        let cancelled = world.slot(Plan::USUAL);
        world
            .call(host, "cancelSlot(uint256)", &[cancelled])
            .unwrap();
        let taken = world.booked(Plan::USUAL);
        let taken = world.booking(taken).slot();
        let open = world.slot(Plan::USUAL);

        // A slot that can no longer be booked is first of all not available, whoever asks.
        world.chain.set_now(START);
        world.refuses("NOT_AVAILABLE", host, signature, &[cancelled]);
        world.refuses("NOT_AVAILABLE", host, signature, &[taken]);
        world.refuses("TOO_LATE", host, signature, &[open]);
        world.chain.set_now(DAWN);
        world.refuses("HOST_CANNOT_BOOK", host, signature, &[open]);
        // An open slot with a booking there is only on a chain that somebody wrote on by hand.
        let mut odd = world.clone();
        odd.write_mapping("slotToBooking", open, 77.word());
        odd.refuses("ALREADY_BOOKED", host, signature, &[open]);

        let pauper = Address::repeat_byte(0x99);
        world.refuses("INSUFFICIENT_ALLOWANCE", pauper, signature, &[open]);
        world.fund(pauper, (PRICE - 1).word());
        world.refuses("INSUFFICIENT_BALANCE", pauper, signature, &[open]);
        let before = world.held();
        world.fund(pauper, 1.word());
        let done = world.call(pauper, signature, &[open]).unwrap();
        let booked = done.log("SessionBooked(uint256,uint256,address,uint256)");
        assert_eq!(booked, [PRICE.word()]);
        assert_eq!(world.held(), before + PRICE.word());
        assert_eq!(world.balance(pauper), 0.word());
    }
}

#[test]
fn cancellations() {
    for mut world in World::each() {
        let (host, guest) = (world.host, world.guest);
        let as_guest = "cancelBookingAsGuest(uint256)";
        let as_host = "cancelBookingAsHost(uint256)";
        let booking = world.booked(Plan::USUAL);
        world.chain.set_now(START);
        world.refuses("NOT_BOOKED", STRANGER, as_guest, &[9.word()]);
        world.refuses("NOT_BOOKED", STRANGER, as_host, &[9.word()]);
        world.refuses("NOT_GUEST", host, as_guest, &[booking]);
        world.refuses("NOT_HOST", guest, as_host, &[booking]);
        world.refuses("ALREADY_STARTED", guest, as_guest, &[booking]);
        world.refuses("ALREADY_STARTED", host, as_host, &[booking]);
        world.chain.set_now(START - 1);
        let mut other = world.clone();
        other.call(guest, as_guest, &[booking]).unwrap();
        other.refuses("NOT_BOOKED", guest, as_guest, &[booking]);
        world.call(host, as_host, &[booking]).unwrap();
        world.refuses("NOT_BOOKED", host, as_host, &[booking]);
    }
}

#[test]
fn attest() {
    for mut world in World::each() {
        let args = |booking: U256, outcome: u64| [booking, outcome.word(), METRICS.word()];
        let booking = world.booked(Plan::USUAL);
        world.refuses("NOT_ORACLE", OWNER, ATTEST, &args(9.word(), 0));
        world.refuses("NOT_BOOKED", ORACLE, ATTEST, &args(9.word(), 0));
        world.refuses("BAD_OUTCOME", ORACLE, ATTEST, &args(booking, 0));
        for outcome in [4, 5] {
            world.refuses(
                "BAD_ATTEST_OUTCOME",
                ORACLE,
                ATTEST,
                &args(booking, outcome),
            );
        }
        // A number that is no outcome is found before anything else, and said of nothing.
        for outcome in [6.word(), 255.word(), 256.word(), U256::MAX] {
            let arguments = [9.word(), outcome, METRICS.word()];
            let said = world.call(STRANGER, ATTEST, &arguments);
            assert_eq!(said, Err(Refusal::Silent));
        }
        world.refuses("OVERLAP_NOT_MET", ORACLE, ATTEST, &args(booking, COMPLETED));
        for outcome in [NO_SHOW_HOST, NO_SHOW_GUEST] {
            world.refuses("GRACE_NOT_OVER", ORACLE, ATTEST, &args(booking, outcome));
        }
        world.chain.set_now(START + 100_000);
        world.refuses("TOO_LATE", ORACLE, ATTEST, &args(booking, COMPLETED));
        for outcome in [NO_SHOW_HOST, NO_SHOW_GUEST] {
            world.refuses("NO_SHOW_TOO_LATE", ORACLE, ATTEST, &args(booking, outcome));
        }
        world.chain.set_now(Plan::USUAL.end());
        // No hash is needed.
        let arguments = [booking, COMPLETED.word(), 0.word()];
        world.call(ORACLE, ATTEST, &arguments).unwrap();
        world.refuses("NOT_BOOKED", ORACLE, ATTEST, &args(booking, 0));
        assert_eq!(world.booking(booking).status(), ATTESTED);
    }
}

#[test]
fn claim_if_unattested() {
    for mut world in World::each() {
        let signature = "claimIfUnattested(uint256)";
        let booking = world.booked(Plan::USUAL);
        world.refuses("NOT_BOOKED", STRANGER, signature, &[9.word()]);
        world.refuses("NOT_PARTY", ORACLE, signature, &[booking]);
        for party in [world.host, world.guest] {
            world.refuses("TOO_EARLY", party, signature, &[booking]);
        }
        world.chain.set_now(Plan::USUAL.end() + 86_400);
        world.refuses("NOT_PARTY", STRANGER, signature, &[booking]);
        for party in [world.host, world.guest] {
            let mut world = world.clone();
            world.call(party, signature, &[booking]).unwrap();
            world.refuses("NOT_BOOKED", party, signature, &[booking]);
        }
    }
}

#[test]
fn challenge() {
    for mut world in World::each() {
        let signature = "challenge(uint256)";
        let booking = world.attested(Plan::USUAL, COMPLETED, START + 700);
        let over = START + 700 + 86_400;
        world.refuses("NOT_ATTESTED", STRANGER, signature, &[9.word()]);
        world.chain.set_now(over);
        world.refuses("WINDOW_OVER", STRANGER, signature, &[booking]);
        world.chain.set_now(over - 1);
        for other in [STRANGER, ORACLE, OWNER] {
            world.refuses("NOT_PARTY", other, signature, &[booking]);
        }
        let mut poor = world.clone();
        let guest = poor.guest;
        let all = poor.balance(guest);
        let token = poor.token;
        let gift = [STRANGER.word(), all - 9_999_999.word()];
        poor.ask(guest, token, "transfer(address,uint256)", &gift)
            .unwrap();
        poor.refuses("INSUFFICIENT_BALANCE", guest, signature, &[booking]);
        for party in [world.host, world.guest] {
            let mut world = world.clone();
            let before = world.held();
            let done = world.call(party, signature, &[booking]).unwrap();
            let bond = [10_000_000.word()];
            assert_eq!(done.log("Challenged(uint256,address,uint256)"), bond);
            assert_eq!(world.held(), before + bond[0]);
            world.refuses("NOT_ATTESTED", party, signature, &[booking]);
        }
    }
}

#[test]
fn dispute() {
    for mut world in World::each() {
        let guest = world.guest;
        let resolve = "resolveDispute(uint256,uint8)";
        let timeout = "finalizeDisputeByTimeout(uint256)";
        let booking = world.attested(Plan::USUAL, COMPLETED, START + 700);
        world.refuses("NOT_OWNER", ORACLE, resolve, &[booking, 0.word()]);
        world.refuses("NOT_DISPUTED", OWNER, resolve, &[booking, 0.word()]);
        world.refuses("NOT_DISPUTED", STRANGER, timeout, &[booking]);
        world.call(guest, "challenge(uint256)", &[booking]).unwrap();
        for outcome in [0, 4, 5] {
            world.refuses("NOT_OWNER", ORACLE, resolve, &[booking, outcome.word()]);
            world.refuses("BAD_OUTCOME", OWNER, resolve, &[booking, outcome.word()]);
        }
        let none = world.call(OWNER, resolve, &[booking, 6.word()]);
        assert_eq!(none, Err(Refusal::Silent));
        world.refuses("TOO_EARLY", STRANGER, timeout, &[booking]);
        world.refuses("NOT_FINALIZABLE", STRANGER, "finalize(uint256)", &[booking]);
        let mut late = world.clone();
        late.chain.set_now(START + 700 + 604_800);
        late.call(STRANGER, timeout, &[booking]).unwrap();
        late.refuses("NOT_DISPUTED", STRANGER, timeout, &[booking]);
        let outcome = [booking, NO_SHOW_HOST.word()];
        world.call(OWNER, resolve, &outcome).unwrap();
        world.refuses("NOT_DISPUTED", OWNER, resolve, &outcome);
        world.refuses("NOT_ATTESTED", guest, "challenge(uint256)", &[booking]);
    }
}

#[test]
fn finalize() {
    for mut world in World::each() {
        let signature = "finalize(uint256)";
        world.refuses("NOT_FINALIZABLE", STRANGER, signature, &[9.word()]);
        let booking = world.booked(Plan::USUAL);
        world.refuses("NOT_FINALIZABLE", STRANGER, signature, &[booking]);
        assert_eq!(world.booking(booking).status(), BOOKED);
        world.chain.set_now(START + 700);
        world.attest(booking, COMPLETED).unwrap();
        world.refuses("TOO_EARLY", STRANGER, signature, &[booking]);
        world.chain.set_now(START + 700 + 86_400);
        world.call(STRANGER, signature, &[booking]).unwrap();
        assert_eq!(world.booking(booking).status(), FINALIZED);
        world.refuses("NOT_FINALIZABLE", STRANGER, signature, &[booking]);
    }
}

#[test]
fn withdraw() {
    for mut world in World::each() {
        let guest = world.guest;
        let (plain, to) = ("withdrawOwed()", "withdrawOwed(address)");
        world.refuses("BAD_ADDR", guest, to, &[0.word()]);
        world.refuses("NOTHING_OWED", guest, to, &[STRANGER.word()]);
        world.refuses("NOTHING_OWED", guest, plain, &[]);
        let booking = world.booked(Plan::USUAL);
        world
            .call(guest, "cancelBookingAsGuest(uint256)", &[booking])
            .unwrap();
        world.refuses("BAD_ADDR", guest, to, &[0.word()]);
        let mut other = world.clone();
        let before = world.balance(guest);
        let done = world.call(guest, plain, &[]).unwrap();
        let log = "OwedWithdrawn(address,address,uint256)";
        assert_eq!(done.log(log), [PRICE.word()]);
        assert_eq!(world.balance(guest), before + PRICE.word());
        assert_eq!(world.held(), 0.word());
        world.refuses("NOTHING_OWED", guest, plain, &[]);

        let before = other.balance(STRANGER);
        other.call(guest, to, &[STRANGER.word()]).unwrap();
        assert_eq!(other.balance(STRANGER), before + PRICE.word());
        assert_eq!(other.owed(guest), 0.word());
    }
}
