//! What only an owner may do, the limits of the settings, and sweeps.

use revm::primitives::{Address, U256};
use session_core::types::Wallet;
use session_testkit::contracts::{Contract, EscrowSettings};

use super::abi::{Refusal, Word, address};
use super::twins::Twins;
use super::world::{
    DAWN, HOST, ORACLE, OWNER, PRICE, Plan, STRANGER, TREASURY, World, seconds, settings, tokens,
};

type Change = fn(&mut EscrowSettings);

#[test]
fn a_constructor_refuses_what_is_beyond_its_limits() {
    const NOBODY: Wallet = Wallet::from_bytes([0; 20]);
    let cases: [(&str, Change, Change); 9] = [
        ("BAD_ADDR", |it| it.payment_token = NOBODY, |_| {}),
        ("BAD_ADDR", |it| it.oracle = NOBODY, |_| {}),
        ("BAD_ADDR", |it| it.treasury = NOBODY, |_| {}),
        ("BAD_FEE", |it| it.fee_bps = 2_001, |it| it.fee_bps = 2_000),
        (
            "BAD_WINDOW",
            |it| it.challenge_window = seconds(2_592_001),
            |it| it.challenge_window = seconds(2_592_000),
        ),
        (
            "BAD_BOND",
            |it| it.challenge_bond = tokens(0),
            |it| it.challenge_bond = tokens(1),
        ),
        (
            "BAD_PENALTY",
            |it| it.late_cancel_penalty_bps = 10_001,
            |it| it.late_cancel_penalty_bps = 10_000,
        ),
        (
            "BAD_BUFFER",
            |it| it.no_attest_buffer = seconds(2_592_001),
            |it| it.no_attest_buffer = seconds(2_592_000),
        ),
        (
            "BAD_TIMEOUT",
            |it| it.dispute_timeout = seconds(15_552_001),
            |it| it.dispute_timeout = seconds(15_552_000),
        ),
    ];
    for contract in Contract::ESCROWS {
        for (why, wrong, right) in cases {
            let mut chain = Twins::new(DAWN);
            let mut bad = settings(Address::repeat_byte(9));
            let mut good = bad;
            wrong(&mut bad);
            right(&mut good);
            let said = chain.deploy_escrow(OWNER, contract, &bad);
            assert_eq!(said, Err(Refusal::Said(why.to_owned())));
            chain.deploy_escrow(OWNER, contract, &good).unwrap();
        }
        // No number of seconds that has 48 bits and no more.
        let mut wide = settings(Address::repeat_byte(9));
        wide.dispute_timeout = seconds(1 << 48);
        let said = Twins::new(DAWN).deploy_escrow(OWNER, contract, &wide);
        assert_eq!(said, Err(Refusal::Silent));
    }
}

/// A setter, its getter, the most it takes, why it takes no more, and its event.
const SETTERS: [(&str, &str, u64, &str, &str); 5] = [
    (
        "setFeeBps(uint16)",
        "feeBps()",
        2_000,
        "BAD_FEE",
        "FeeBpsUpdated(uint16,uint16)",
    ),
    (
        "setLateCancelPenaltyBps(uint16)",
        "lateCancelPenaltyBps()",
        10_000,
        "BAD_PENALTY",
        "LateCancelPenaltyBpsUpdated(uint16,uint16)",
    ),
    (
        "setChallengeWindow(uint48)",
        "challengeWindow()",
        2_592_000,
        "BAD_WINDOW",
        "ChallengeWindowUpdated(uint48,uint48)",
    ),
    (
        "setNoAttestBuffer(uint48)",
        "noAttestBuffer()",
        2_592_000,
        "BAD_BUFFER",
        "NoAttestBufferUpdated(uint48,uint48)",
    ),
    (
        "setDisputeTimeout(uint48)",
        "disputeTimeout()",
        15_552_000,
        "BAD_TIMEOUT",
        "DisputeTimeoutUpdated(uint48,uint48)",
    ),
];

#[test]
fn an_owner_changes_settings_within_the_same_limits() {
    for mut world in World::each() {
        for (setter, getter, most, why, event) in SETTERS {
            world.refuses("NOT_OWNER", ORACLE, setter, &[(most + 1).word()]);
            world.refuses(why, OWNER, setter, &[(most + 1).word()]);
            let before = world.number(getter, &[]);
            let done = world.call(OWNER, setter, &[most.word()]).unwrap();
            assert_eq!(done.log(event), [before, most.word()]);
            assert_eq!(world.number(getter, &[]), most.word());
            world.call(OWNER, setter, &[0.word()]).unwrap();
            assert_eq!(world.number(getter, &[]), 0.word());
        }
        let bond = "setChallengeBond(uint256)";
        world.refuses("NOT_OWNER", ORACLE, bond, &[0.word()]);
        world.refuses("BAD_BOND", OWNER, bond, &[0.word()]);
        world.call(OWNER, bond, &[U256::MAX]).unwrap();
        assert_eq!(world.number("challengeBond()", &[]), U256::MAX);
        for (setter, getter, event) in [
            (
                "setOracle(address)",
                "oracle()",
                "OracleUpdated(address,address)",
            ),
            (
                "setTreasury(address)",
                "treasury()",
                "TreasuryUpdated(address,address)",
            ),
        ] {
            world.refuses("NOT_OWNER", ORACLE, setter, &[0.word()]);
            world.refuses("BAD_ADDR", OWNER, setter, &[0.word()]);
            let done = world.call(OWNER, setter, &[STRANGER.word()]).unwrap();
            assert!(done.log(event).is_empty(), "both are topics");
            assert_eq!(address(world.number(getter, &[])), STRANGER);
        }
    }
}

#[test]
fn ownership_passes_when_the_next_owner_takes_it() {
    for mut world in World::each() {
        let (transfer, accept) = ("transferOwnership(address)", "acceptOwnership()");
        world.refuses("NOT_OWNER", STRANGER, transfer, &[STRANGER.word()]);
        world.refuses("BAD_ADDR", OWNER, transfer, &[0.word()]);
        world.refuses("NOT_PENDING_OWNER", STRANGER, accept, &[]);
        world.call(OWNER, transfer, &[HOST.word()]).unwrap();
        world.refuses("NOT_PENDING_OWNER", OWNER, accept, &[]);
        world.refuses("NOT_OWNER", HOST, "setFeeBps(uint16)", &[0.word()]);
        assert_eq!(address(world.number("pendingOwner()", &[])), HOST);
        world.call(HOST, accept, &[]).unwrap();
        assert_eq!(address(world.number("owner()", &[])), HOST);
        assert_eq!(world.number("pendingOwner()", &[]), 0.word());
        world.refuses("NOT_OWNER", OWNER, "setFeeBps(uint16)", &[0.word()]);
        world.call(HOST, "setFeeBps(uint16)", &[0.word()]).unwrap();
    }
}

#[test]
fn a_sweep_takes_what_belongs_to_nobody() {
    for mut world in World::each() {
        let (sweep, coins) = ("sweepTokenExcess()", "sweepNative()");
        let (token, escrow) = (world.token, world.escrow);
        world.booked(Plan::USUAL);
        world.refuses("NOTHING_TO_SWEEP", STRANGER, sweep, &[]);
        let gift = [escrow.word(), 77.word()];
        world
            .ask(HOST, token, "transfer(address,uint256)", &gift)
            .unwrap();
        let done = world.call(STRANGER, sweep, &[]).unwrap();
        assert_eq!(done.log("TokenSwept(address,uint256)"), [77.word()]);
        assert_eq!(world.balance(TREASURY), 77.word());
        assert_eq!(world.balance(escrow), PRICE.word());
        assert_eq!(world.held(), PRICE.word());
        world.refuses("NOTHING_TO_SWEEP", STRANGER, sweep, &[]);

        // A block reward asks nobody.
        world.refuses("NOTHING_TO_SWEEP", STRANGER, coins, &[]);
        world.chain.each(|chain| chain.endow(escrow, 5));
        let done = world.call(STRANGER, coins, &[]).unwrap();
        assert_eq!(done.log("NativeSwept(address,uint256)"), [5.word()]);
        assert_eq!(world.chain.each(|chain| chain.coins(TREASURY)), 5.word());
        assert_eq!(world.chain.each(|chain| chain.coins(escrow)), 0.word());
    }
}
