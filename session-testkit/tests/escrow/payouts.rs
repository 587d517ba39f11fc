//! What `settlement.md` section 4 credits, case by case from `vectors/settlement.json`.

use revm::primitives::U256;
use serde_json::Value;
use session_core::types::TokenAmount;
use session_testkit::contracts::Contract;

use super::abi::{Word, words};
use super::vectors::{outcome, section, text, word};
use super::world::{DAWN, OWNER, Plan, START, STRANGER, World};

/// A world with the settings of a case, in which host and guest can pay whatever it asks.
fn world_of(contract: Contract, case: &Value) -> World {
    let mut world = World::with(contract, |settings| {
        settings.fee_bps = word(&case["fee_bps"]).to();
        settings.late_cancel_penalty_bps = word(&case["late_cancel_penalty_bps"]).to();
        settings.challenge_bond = TokenAmount::new(word(&case["challenge_bond"]));
    });
    for party in [world.host, world.guest] {
        world.fund(party, word(&case["amount"]));
        world.fund(party, word(&case["challenge_bond"]));
    }
    world
}

/// A booking of this amount. No slot costs nothing, but a guest may offer it.
fn booked(world: &mut World, amount: U256) -> U256 {
    let guest = world.guest;
    if !amount.is_zero() {
        let slot = world.slot_at(Plan::USUAL, amount);
        return world.call(guest, "book(uint256)", &[slot]).unwrap().word();
    }
    let host = world.host;
    let arguments = [
        host.word(),
        START.word(),
        START.word(),
        30.word(),
        amount,
        DAWN.word(),
    ];
    let create = "createRequest(address,uint48,uint48,uint32,uint256,uint48)";
    let request = world.call(guest, create, &arguments).unwrap().word();
    let accept = "acceptRequest(uint256,uint48,uint32,uint32,uint32)";
    let answer = [request, START.word(), 5.word(), 10.word(), 60.word()];
    let ids = world.call(host, accept, &answer).unwrap();
    words(&ids.data)[1]
}

/// Lets a booking come to its end as the case says.
fn settle(world: &mut World, booking: U256, case: &Value) {
    let (host, guest) = (world.host, world.guest);
    match text(&case["kind"]) {
        "final" => {
            world.chain.set_now(START + 800);
            world.attest(booking, outcome(&case["outcome"])).unwrap();
            world.chain.set_now(START + 800 + 86_400);
            world
                .call(STRANGER, "finalize(uint256)", &[booking])
                .unwrap();
        }
        "guest_cancel_early" => {
            world
                .call(guest, "cancelBookingAsGuest(uint256)", &[booking])
                .unwrap();
        }
        "guest_cancel_late" => {
            world.chain.set_now(START - 1);
            world
                .call(guest, "cancelBookingAsGuest(uint256)", &[booking])
                .unwrap();
        }
        "host_cancel" => {
            world
                .call(host, "cancelBookingAsHost(uint256)", &[booking])
                .unwrap();
        }
        "unattested" => {
            world.chain.set_now(Plan::USUAL.end() + 86_400);
            world
                .call(guest, "claimIfUnattested(uint256)", &[booking])
                .unwrap();
        }
        "dispute" => {
            world.chain.set_now(START + 800);
            world.attest(booking, outcome(&case["attested"])).unwrap();
            let who = match text(&case["challenger"]) {
                "host" => host,
                "guest" => guest,
                other => panic!("who is {other}"),
            };
            world.call(who, "challenge(uint256)", &[booking]).unwrap();
            if case["resolved"].is_null() {
                world.chain.set_now(START + 800 + 604_800);
                let timeout = "finalizeDisputeByTimeout(uint256)";
                world.call(STRANGER, timeout, &[booking]).unwrap();
            } else {
                let resolved = [booking, outcome(&case["resolved"]).word()];
                world
                    .call(OWNER, "resolveDispute(uint256,uint8)", &resolved)
                    .unwrap();
            }
            world
                .call(STRANGER, "finalize(uint256)", &[booking])
                .unwrap();
        }
        other => panic!("an end of another kind: {other}"),
    }
}

/// A world in which a booking came to its end as the case says, and the booking.
pub(crate) fn settled(contract: Contract, case: &Value) -> (World, U256) {
    let mut world = world_of(contract, case);
    let booking = booked(&mut world, word(&case["amount"]));
    settle(&mut world, booking, case);
    (world, booking)
}

#[test]
fn every_end_credits_what_the_vectors_say() {
    let cases = section("payout");
    assert_eq!(cases.len(), 41);
    for contract in Contract::ESCROWS {
        for (id, case) in &cases {
            let (mut world, _) = settled(contract, case);
            let credited = &case["credited"];
            let wanted = ["host", "guest", "treasury"].map(|who| word(&credited[who]));
            assert_eq!(world.credits(), wanted, "{contract:?} {id}");
            assert_eq!(
                world.held(),
                wanted.iter().sum::<U256>(),
                "{contract:?} {id}"
            );
        }
    }
}
