//! Requests: a guest asks one host for a session and pays in; the host accepts, or the guest takes
//! the offer back.

use revm::primitives::U256;

use super::abi::Word;
use super::world::{
    BOOKED, CREATE_SLOT, DAWN, NO_SHOW_HOST, PRICE, Plan, SLOT_BOOKED, START, STRANGER, World,
};

const CREATE: &str = "createRequest(address,uint48,uint48,uint32,uint256,uint48)";
const ACCEPT: &str = "acceptRequest(uint256,uint48,uint32,uint32,uint32)";
const EXPIRY: u64 = DAWN + 1_000;

/// Asks the host for `START` or up to an hour later, and offers `amount`.
fn ask(world: &mut World, amount: u64) -> U256 {
    let arguments = [
        world.host.word(),
        START.word(),
        (START + 3_600).word(),
        30.word(),
        amount.word(),
        EXPIRY.word(),
    ];
    let guest = world.guest;
    world.call(guest, CREATE, &arguments).unwrap().word()
}

/// Grace, overlap and cut-off as usual.
fn answer(request: U256, start: u64) -> [U256; 5] {
    [request, start.word(), 5.word(), 10.word(), 60.word()]
}

fn set_price(world: &mut World, price: u64) {
    let host = world.host;
    world
        .call(host, "setHostBasePrice(uint256)", &[price.word()])
        .unwrap();
}

#[test]
fn what_cannot_be_asked_for() {
    for mut world in World::each() {
        let guest = world.guest;
        let mut arguments = [
            0.word(),
            START.word(),
            (START - 1).word(),
            0.word(),
            PRICE.word(),
            (DAWN - 1).word(),
        ];
        world.refuses("BAD_ADDR", guest, CREATE, &arguments);
        arguments[0] = world.host.word();
        world.refuses("BAD_DURATION", guest, CREATE, &arguments);
        arguments[3] = 241.word();
        world.refuses("BAD_DURATION", guest, CREATE, &arguments);
        arguments[3] = 240.word();
        world.refuses("BAD_TIME", guest, CREATE, &arguments);
        arguments[2] = START.word();
        world.refuses("EXPIRED", guest, CREATE, &arguments);
        arguments[5] = DAWN.word();
        let done = world.call(guest, CREATE, &arguments).unwrap();
        assert_eq!(done.word(), 1.word());
        let created =
            "SessionRequestCreated(uint256,address,address,uint48,uint48,uint32,uint256,uint48)";
        assert_eq!(done.log(created), arguments[1..]);
        assert_eq!(world.held(), PRICE.word());
    }
}

#[test]
fn the_guards_of_an_acceptance() {
    for mut world in World::each() {
        let (host, guest) = (world.host, world.guest);
        set_price(&mut world, PRICE);
        let request = ask(&mut world, PRICE - 1);
        let early = answer(request, START - 1);
        world.refuses("NOT_OPEN", guest, ACCEPT, &answer(9.word(), START));
        world.chain.set_now(EXPIRY + 1);
        world.refuses("EXPIRED", guest, ACCEPT, &early);
        world.chain.set_now(EXPIRY);
        world.refuses("GUEST_CANNOT_ACCEPT", guest, ACCEPT, &early);
        world.refuses("NOT_HOST", STRANGER, ACCEPT, &early);
        world.refuses("LOW_OFFER", host, ACCEPT, &early);
        set_price(&mut world, PRICE - 1);
        world.refuses("BAD_TIME", host, ACCEPT, &early);
        let late = answer(request, START + 3_601);
        world.refuses("BAD_TIME", host, ACCEPT, &late);
        let mut wrong = answer(request, START + 3_600);
        wrong[3] = 31.word();
        wrong[4] = 10_081.word();
        world.refuses("BAD_OVERLAP", host, ACCEPT, &wrong);
        wrong[3] = 30.word();
        world.refuses("BAD_CUTOFF", host, ACCEPT, &wrong);
        for start in [START, START + 3_600] {
            let mut world = world.clone();
            world.call(host, ACCEPT, &answer(request, start)).unwrap();
            world.refuses("NOT_OPEN", host, ACCEPT, &answer(request, start));
        }
        // Also what a guest asked of itself: the first of the two is said.
        let own = [
            guest.word(),
            START.word(),
            START.word(),
            30.word(),
            1.word(),
            U256::from(EXPIRY),
        ];
        let own = world.call(guest, CREATE, &own).unwrap().word();
        world.refuses("GUEST_CANNOT_ACCEPT", guest, ACCEPT, &answer(own, START));
    }
}

#[test]
fn a_start_that_is_too_near_cannot_be_accepted() {
    for mut world in World::each() {
        let host = world.host;
        set_price(&mut world, PRICE);
        let guest = world.guest;
        let arguments = [
            host.word(),
            DAWN.word(),
            START.word(),
            30.word(),
            PRICE.word(),
            EXPIRY.word(),
        ];
        let request = world.call(guest, CREATE, &arguments).unwrap().word();
        world.refuses("START_TOO_SOON", host, ACCEPT, &answer(request, DAWN + 60));
        world
            .call(host, ACCEPT, &answer(request, DAWN + 61))
            .unwrap();
    }
}

#[test]
fn an_accepted_request_is_a_booking_of_what_was_offered() {
    for mut world in World::each() {
        let host = world.host;
        set_price(&mut world, PRICE);
        // The slot and the booking take numbers of their own.
        world.call(host, CREATE_SLOT, &Plan::USUAL.words()).unwrap();
        let request = ask(&mut world, PRICE + 7);
        let held = world.held();
        // The terms are those of the acceptance.
        world
            .call(super::world::OWNER, "setFeeBps(uint16)", &[1_000.word()])
            .unwrap();
        let done = world
            .call(host, ACCEPT, &answer(request, START + 60))
            .unwrap();
        let ids = super::abi::words(&done.data);
        assert_eq!(ids, [2.word(), 1.word()]);
        let accepted = "SessionRequestAccepted(uint256,address,uint256,uint256,uint48)";
        assert_eq!(
            done.log(accepted),
            [2.word(), 1.word(), (START + 60).word()]
        );
        let booked = "SessionBooked(uint256,uint256,address,uint256)";
        assert_eq!(done.log(booked), [(PRICE + 7).word()]);
        assert_eq!(world.held(), held, "it was paid in before");
        let record = world.read("getRequest(uint256)", &[request]);
        assert_eq!(record[7..], [3.word(), 2.word(), 1.word(), host.word()]);
        let slot = world.read("getSlot(uint256)", &[2.word()]);
        assert_eq!(slot[3], PRICE.word(), "what the host asks for");
        assert_eq!(slot[7], SLOT_BOOKED.word());
        let booking = world.booking(1.word());
        assert_eq!(
            (booking.status(), booking.amount()),
            (BOOKED, (PRICE + 7).word())
        );
        assert_eq!(
            world.read("getBookingTerms(uint256)", &[1.word()])[0],
            1_000.word()
        );
        let cancel = "cancelRequest(uint256)";
        let guest = world.guest;
        world.refuses("NOT_OPEN", guest, cancel, &[request]);
        world.chain.set_now(START + 60 + 300);
        world.attest(1.word(), NO_SHOW_HOST).unwrap();
        world.chain.set_now(START + 60 + 300 + 86_400);
        world
            .call(STRANGER, "finalize(uint256)", &[1.word()])
            .unwrap();
        assert_eq!(world.owed(guest), (PRICE + 7).word());
    }
}

#[test]
fn a_host_without_a_price_takes_what_is_offered() {
    for mut world in World::each() {
        let host = world.host;
        let request = ask(&mut world, 7);
        world.call(host, ACCEPT, &answer(request, START)).unwrap();
        assert_eq!(world.read("getSlot(uint256)", &[1.word()])[3], 7.word());
    }
}

#[test]
fn a_guest_takes_an_offer_back_also_when_it_expired() {
    for mut world in World::each() {
        let (host, guest) = (world.host, world.guest);
        let cancel = "cancelRequest(uint256)";
        world.refuses("NOT_OPEN", guest, cancel, &[9.word()]);
        let request = ask(&mut world, PRICE);
        world.refuses("NOT_GUEST", host, cancel, &[request]);
        world.chain.set_now(EXPIRY + 1);
        let done = world.call(guest, cancel, &[request]).unwrap();
        let cancelled = "SessionRequestCancelled(uint256,uint256)";
        assert_eq!(done.log(cancelled), [PRICE.word()]);
        assert_eq!(world.owed(guest), PRICE.word());
        assert_eq!(world.held(), PRICE.word());
        world.refuses("NOT_OPEN", guest, cancel, &[request]);
        world.refuses("NOT_OPEN", host, ACCEPT, &answer(request, START));
        world.call(guest, "withdrawOwed()", &[]).unwrap();
        assert_eq!(world.held(), 0.word());
    }
}
