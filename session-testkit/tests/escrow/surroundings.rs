//! What stands around the escrow: the token, the names, the verifications; and a token that does
//! not do what it is asked.

use revm::primitives::{Address, U256};
use session_testkit::contracts::Contract;

use super::abi::{Refusal, Word, calldata, words};
use super::twins::Twins;
use super::world::{DAWN, GUEST, HOST, OWNER, PRICE, Plan, STRANGER, World};

#[test]
fn the_token_moves_what_it_is_allowed_to() {
    let mut world = World::new(Contract::SessionEscrowV1);
    let token = world.token;
    assert_eq!(
        world.ask(HOST, token, "decimals()", &[]).unwrap().word(),
        6.word()
    );
    let supply = world.ask(HOST, token, "totalSupply()", &[]).unwrap().word();
    assert_eq!(supply, 3_000_000_000.word());
    let done = world
        .ask(
            HOST,
            token,
            "transfer(address,uint256)",
            &[GUEST.word(), 5.word()],
        )
        .unwrap();
    assert_eq!(done.word(), 1.word());
    assert_eq!(done.log("Transfer(address,address,uint256)"), [5.word()]);
    assert_eq!(world.balance(GUEST), 1_000_000_005.word());
    let approve = [STRANGER.word(), 5.word()];
    world
        .ask(GUEST, token, "approve(address,uint256)", &approve)
        .unwrap();
    let take = "transferFrom(address,address,uint256)";
    let refused = world.ask(
        STRANGER,
        token,
        take,
        &[GUEST.word(), STRANGER.word(), 6.word()],
    );
    assert_eq!(
        refused,
        Err(Refusal::Said("INSUFFICIENT_ALLOWANCE".to_owned()))
    );
    let done = world.ask(
        STRANGER,
        token,
        take,
        &[GUEST.word(), STRANGER.word(), 5.word()],
    );
    assert_eq!(done.unwrap().word(), 1.word());
    let left = world
        .ask(
            HOST,
            token,
            "allowance(address,address)",
            &[GUEST.word(), STRANGER.word()],
        )
        .unwrap();
    assert_eq!(left.word(), 0.word());
    let nobody = world.ask(
        HOST,
        token,
        "transfer(address,uint256)",
        &[0.word(), 5.word()],
    );
    assert_eq!(nobody, Err(Refusal::Said("INVALID_RECIPIENT".to_owned())));
}

#[test]
fn names_and_verifications_are_what_anybody_set() {
    let mut chain = Twins::new(DAWN);
    let names = chain.deploy(OWNER, Contract::TestNames);
    let read = |chain: &mut Twins| {
        let data = calldata("primaryName(address)", &[GUEST.word()]);
        words(&chain.send(STRANGER, names, &data, 0).unwrap().data)
    };
    assert_eq!(read(&mut chain), [32.word(), 0.word()]);
    let mut data = calldata(
        "setPrimaryName(address,string)",
        &[GUEST.word(), 64.word(), 3.word()],
    );
    let mut label = b"ann".to_vec();
    label.resize(32, 0);
    data.extend(&label);
    chain.send(STRANGER, names, &data, 0).unwrap();
    assert_eq!(
        read(&mut chain),
        [32.word(), 3.word(), U256::from_be_slice(&label)]
    );

    let mirror = chain.deploy(OWNER, Contract::TestVerifications);
    let read = |chain: &mut Twins| {
        let data = calldata("verifiedAt(address)", &[GUEST.word()]);
        chain.send(STRANGER, mirror, &data, 0).unwrap().word()
    };
    assert_eq!(read(&mut chain), 0.word());
    let data = calldata(
        "setVerifiedAt(address,uint64)",
        &[GUEST.word(), DAWN.word()],
    );
    chain.send(STRANGER, mirror, &data, 0).unwrap();
    assert_eq!(read(&mut chain), DAWN.word());
}

/// Code that answers every call with this word.
fn answering(word: u8) -> Vec<u8> {
    // PUSH1 word, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN: eight bytes
    let runtime = [0x60, word, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];
    // PUSH1 8, DUP1, PUSH1 9, PUSH0, CODECOPY, PUSH0, RETURN: nine bytes
    let mut code = vec![0x60, 8, 0x80, 0x60, 9, 0x5f, 0x39, 0x5f, 0xf3];
    code.extend(runtime);
    code
}

#[test]
fn nothing_is_booked_with_a_token_that_says_no() {
    for contract in Contract::ESCROWS {
        for (word, is_booked) in [(0, false), (1, true)] {
            let mut world = World::new(contract);
            let token = world.chain.deploy_code(OWNER, &answering(word));
            let guest = world.guest;
            let slot = world.slot(Plan::USUAL);
            let escrow = world.escrow;
            let place = U256::from(
                contract
                    .artefact(session_testkit::contracts::Build::Normal)
                    .storage["paymentToken"],
            );
            world
                .chain
                .each(|chain| chain.write(escrow, place, token.word()));
            let booked = world.call(guest, "book(uint256)", &[slot]);
            if is_booked {
                assert_eq!(booked.unwrap().word(), 1.word());
                assert_eq!(world.held(), PRICE.word());
            } else {
                let refused = Refusal::Said("TRANSFER_FAILED".to_owned());
                assert_eq!(booked, Err(refused));
                assert_eq!(world.held(), 0.word());
                assert_eq!(world.number("nextBookingId()", &[]), 1.word());
            }
        }
    }
}

#[test]
fn what_is_owed_stays_owed_where_the_token_says_no() {
    for mut world in World::each() {
        let guest = world.guest;
        let booking = world.booked(Plan::USUAL);
        world
            .call(guest, "cancelBookingAsGuest(uint256)", &[booking])
            .unwrap();
        let token = world.token;
        let code = world.chain.deploy_code(OWNER, &answering(0));
        world.chain.each(|chain| chain.copy(code, token));
        world.refuses("TRANSFER_FAILED", guest, "withdrawOwed()", &[]);
        assert_eq!(world.owed(guest), PRICE.word());
        assert_eq!(world.held(), PRICE.word());
        assert_eq!(world.owed(Address::ZERO), 0.word());
    }
}
