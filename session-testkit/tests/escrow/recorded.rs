//! What was read from a running contract, lived through again: the same calls at the same seconds
//! must give the same bytes. And every recorded call must be one that the contract understands.

use revm::primitives::{Address, B256};
use serde_json::Value;
use session_core::types::Wallet;
use session_testkit::contracts::{Build, Contract};

use super::abi::{Refusal, Word, calldata};
use super::twins::Done;
use super::vectors::{address, bytes, hash, section, text, word};
use super::world::{COMPLETED, NO_SHOW_HOST, OWNER, PRICE, Plan, STRANGER, World};

/// All that a life logged.
fn live() -> (World, Vec<Done>) {
    let cases = section("abi");
    let from_chain = |fn_name: &str| {
        let found = cases.iter().find(|(_, case)| {
            case["source"] == "chain" && case["fn"] == fn_name && case["args"][0] != "9999"
        });
        &found.unwrap().1["decoded"]
    };
    let booking = from_chain("getBooking");
    let slot = from_chain("slots");
    let guest = address(&booking["guest"]);
    let host = address(&slot[0]);
    let oracle = address(from_chain("oracle"));
    let start: u64 = word(&slot[1]).to();
    let attested_at: u64 = word(&booking["attestedAt"]).to();
    let disputed_at: u64 = word(&booking["disputedAt"]).to();

    let mut world = World::with(Contract::SessionEscrowV1, |settings| {
        settings.oracle = Wallet::from_bytes(oracle.into());
    });
    world.host = host;
    world.guest = STRANGER;
    world.fund(guest, (PRICE + 10_000_000).word());
    world.chain.set_now(start - 100_000);
    let plan = Plan {
        start,
        cutoff: 0,
        ..Plan::USUAL
    };
    // Three bookings of others came before.
    for _ in 0..3 {
        world.booked(plan);
    }
    world.guest = guest;
    let id = world.booked(plan);
    let mut logged = Vec::new();
    world.chain.set_now(attested_at);
    let attest = [id, COMPLETED.word(), B256::repeat_byte(0x44).word()];
    logged.push(world.call(oracle, super::world::ATTEST, &attest).unwrap());
    world.chain.set_now(disputed_at);
    logged.push(world.call(guest, "challenge(uint256)", &[id]).unwrap());
    // What was read was read now.
    let then = world.clone();
    let resolve = [id, NO_SHOW_HOST.word()];
    let resolved = world.call(OWNER, "resolveDispute(uint256,uint8)", &resolve);
    logged.push(resolved.unwrap());
    logged.push(world.call(STRANGER, "finalize(uint256)", &[id]).unwrap());
    logged.push(world.call(guest, "withdrawOwed()", &[]).unwrap());
    (then, logged)
}

#[test]
fn a_recorded_life_reads_the_same() {
    let (mut world, logged) = live();
    let (mut reads, mut logs) = (0, 0);
    for (id, case) in section("abi") {
        if case["source"] != "chain" {
            continue;
        }
        if case["kind"] == "returndata" {
            let arguments: Vec<_> = array(&case["args"]).iter().map(word).collect();
            let signature = signature(text(&case["fn"]));
            let read = world.call(STRANGER, &signature, &arguments).unwrap();
            assert_eq!(read.data.to_vec(), bytes(&case["returndata"]), "{id}");
            reads += 1;
        } else {
            let topics: Vec<_> = array(&case["topics"]).iter().map(hash).collect();
            let data = bytes(&case["data"]);
            let escrow = world.escrow;
            let mut all = logged.iter().flat_map(|done| &done.logs);
            let found = all.any(|log| {
                log.address == escrow && log.data.topics() == topics && log.data.data == data
            });
            assert!(found, "{id}");
            logs += 1;
        }
    }
    assert_eq!((reads, logs), (7, 3));
}

#[test]
fn recorded_calls_are_understood() {
    let world = World::new(Contract::SessionEscrowV2);
    let escrow = world.escrow;
    let mut calls = 0;
    for (id, case) in section("abi") {
        if case["kind"] != "calldata" {
            continue;
        }
        let data = bytes(&case["calldata"]);
        let arguments: Vec<_> = array(&case["args"]).iter().map(word).collect();
        assert_eq!(
            data,
            calldata(&signature(text(&case["fn"])), &arguments),
            "{id}"
        );
        // A call that is not understood fails without a word; no other fails so here.
        let said = world
            .clone()
            .chain
            .send(Address::repeat_byte(0xee), escrow, &data, 0);
        assert_ne!(said, Err(Refusal::Silent), "{id}");
        calls += 1;
    }
    assert!(calls > 30);
}

#[test]
fn recorded_refusals_are_those_that_the_contract_gives() {
    for (id, case) in section("abi") {
        if case["kind"] != "revert" {
            continue;
        }
        let wanted = case["reason"]
            .as_str()
            .map_or(Refusal::Silent, |reason| Refusal::Said(reason.to_owned()));
        assert_eq!(Refusal::of(&bytes(&case["data"])), wanted, "{id}");
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// The signature of a function of the escrow, of its name.
fn signature(name: &str) -> String {
    let functions = &Contract::SessionEscrowV2.artefact(Build::Normal).functions;
    let mut found = functions
        .keys()
        .filter(|signature| *signature == name || signature.starts_with(&format!("{name}(")));
    let only = found.next().unwrap();
    assert!(found.next().is_none(), "{name} names two");
    only.clone()
}
