//! Outcomes that host and guest signed both (`settlement.md` section 8).

use revm::primitives::{Address, B256, U256};
use session_core::crypto::{LocalSigner, Signature, keccak256};
use session_testkit::contracts::Contract;

use super::abi::{Refusal, Word, attest_mutual, topic};
use super::chain::CHAIN_ID;
use super::twins::Done;
use super::vectors::{address, bytes, hash, section, word};
use super::world::{
    ATTESTED, CANCELLED, COMPLETED, FINALIZED, METRICS, NO_SHOW_GUEST, NO_SHOW_HOST, PRICE, Plan,
    START, STRANGER, World, seconds,
};

const DOMAIN_TYPEHASH: [u8; 32] =
    hex("8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f");
const OUTCOME_TYPEHASH: [u8; 32] =
    hex("425119cd2ec2fc76a914c6dceb0184474042826855528e1bf64bd1cdd582f123");
/// The order of secp256k1.
const ORDER: [u8; 32] = hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
const DEADLINE: u64 = START + 3_600;

const fn hex(digits: &str) -> [u8; 32] {
    match revm::primitives::hex::const_decode_to_array(digits.as_bytes()) {
        Ok(bytes) => bytes,
        Err(_) => panic!("32 bytes"),
    }
}

/// What is signed, and where it counts.
#[derive(Clone, Copy)]
pub(crate) struct Statement {
    pub(crate) chain_id: u64,
    pub(crate) contract: Address,
    pub(crate) booking: U256,
    pub(crate) outcome: U256,
    pub(crate) metrics: B256,
    pub(crate) deadline: u64,
}

impl Statement {
    /// As the page says it: hashes of words.
    fn digest(&self) -> [u8; 32] {
        let hash = |words: &[[u8; 32]]| keccak256(&words.concat());
        let word = |value: U256| value.to_be_bytes::<32>();
        let domain = hash(&[
            DOMAIN_TYPEHASH,
            keccak256(b"SessionEscrow"),
            keccak256(b"2"),
            word(self.chain_id.word()),
            word(self.contract.word()),
        ]);
        let statement = hash(&[
            OUTCOME_TYPEHASH,
            word(self.booking),
            word(self.outcome),
            self.metrics.0,
            word(self.deadline.word()),
        ]);
        keccak256(&[&[0x19, 0x01][..], &domain, &statement].concat())
    }

    pub(crate) fn signed_by(&self, signer: &LocalSigner) -> [u8; 65] {
        signer.sign_prehash(&self.digest()).to_bytes()
    }

    pub(crate) fn submit(
        &self,
        world: &mut World,
        host: &[u8],
        guest: &[u8],
    ) -> Result<Done, Refusal> {
        let head = [
            self.booking,
            self.outcome,
            self.metrics.word(),
            self.deadline.word(),
        ];
        let escrow = world.escrow;
        let data = attest_mutual(head, host, guest);
        world.chain.send(STRANGER, escrow, &data, 0)
    }
}

#[track_caller]
fn said(result: Result<Done, Refusal>) -> String {
    match result.unwrap_err() {
        Refusal::Said(why) => why,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn signer(byte: u8) -> LocalSigner {
    LocalSigner::from_bytes(&[byte; 32]).unwrap()
}

pub(crate) fn wallet(signer: &LocalSigner) -> Address {
    Address::from(signer.wallet().to_bytes())
}

/// The twin of a signature: another `s`, and the other `v`.
fn twin(signature: [u8; 65]) -> [u8; 65] {
    let s = U256::from_be_slice(&signature[32..64]);
    let mut twin = signature;
    twin[32..64].copy_from_slice(&(U256::from_be_bytes(ORDER) - s).to_be_bytes::<32>());
    twin[64] = 27 + 28 - signature[64];
    twin
}

/// A running session of two who can sign, and what they say of it.
fn session() -> (World, Statement, LocalSigner, LocalSigner) {
    let mut world = World::new(Contract::SessionEscrowV2);
    let (host, guest) = (signer(1), signer(2));
    world.host = wallet(&host);
    world.guest = wallet(&guest);
    for who in [world.host, world.guest] {
        world.fund(who, 1_000_000_000.word());
    }
    let booking = world.booked(Plan::USUAL);
    world.chain.set_now(START);
    let statement = Statement {
        chain_id: CHAIN_ID,
        contract: world.escrow,
        booking,
        outcome: COMPLETED.word(),
        metrics: METRICS,
        deadline: DEADLINE,
    };
    (world, statement, host, guest)
}

#[test]
fn what_both_signed_is_final_at_once() {
    for (outcome, credits) in [
        (COMPLETED, [PRICE - 750_000, 0, 750_000]),
        (NO_SHOW_HOST, [0, PRICE, 0]),
        (NO_SHOW_GUEST, [PRICE - 750_000, 0, 750_000]),
    ] {
        let (mut world, mut statement, host, guest) = session();
        statement.outcome = outcome.word();
        let signatures = [statement.signed_by(&host), statement.signed_by(&guest)];
        let done = statement
            .submit(&mut world, &signatures[0], &signatures[1])
            .unwrap();
        let mutual = "MutuallyAttested(uint256,uint8,bytes32)";
        let attested = "Attested(uint256,uint8,bytes32,uint64)";
        let said = [outcome.word(), METRICS.word()];
        assert_eq!(done.log(mutual), said);
        assert_eq!(done.log(attested), [said[0], said[1], START.word()]);
        let order: Vec<_> = done.logs.iter().map(|log| log.topics()[0]).collect();
        assert_eq!(order, [topic(mutual), topic(attested)]);
        assert_eq!(done.logs[0].topics()[1..], [B256::from(statement.booking)]);
        let record = world.booking(statement.booking);
        assert_eq!(record.status(), ATTESTED);
        let wanted = [outcome.word(), METRICS.word(), START.word(), START.word()];
        assert_eq!(record.0[4..8], wanted);
        println!("attestMutual: {} gas", done.gas);

        let party = world.guest;
        world.refuses(
            "WINDOW_OVER",
            party,
            "challenge(uint256)",
            &[statement.booking],
        );
        let again = statement.submit(&mut world, &signatures[0], &signatures[1]);
        assert_eq!(self::said(again), "NOT_BOOKED");
        world
            .call(STRANGER, "finalize(uint256)", &[statement.booking])
            .unwrap();
        assert_eq!(world.booking(statement.booking).status(), FINALIZED);
        assert_eq!(world.credits(), credits.map(Word::word));
    }
}

#[test]
fn the_signatures_of_the_vectors_are_taken() {
    let cases = section("eip712_mutual_outcome");
    assert_eq!(cases.len(), 6);
    for (id, case) in cases {
        let message = &case["message"];
        let contract = address(&case["domain"]["verifyingContract"]);
        let statement = Statement {
            chain_id: word(&case["domain"]["chainId"]).to(),
            contract,
            booking: word(&message["bookingId"]),
            outcome: word(&message["outcome"]),
            metrics: hash(&message["metricsHash"]),
            deadline: word(&message["deadline"]).to(),
        };
        assert_eq!(statement.digest(), hash(&case["digest"]).0, "{id}");
        let [host, guest] = ["host", "guest"].map(|who| bytes(&case[who]["signature"]));

        let (mut world, first, ..) = session();
        assert_eq!(world.host, address(&case["host"]["address"]));
        assert_eq!(world.guest, address(&case["guest"]["address"]));
        world.renumber(first.booking, statement.booking);
        let made_at = world.escrow;
        let elsewhere = statement.submit(&mut world, &host, &guest);
        assert_eq!(said(elsewhere), "BAD_HOST_SIG", "{id}");
        world.chain.each(|chain| chain.copy(made_at, contract));
        world.escrow = contract;
        statement.submit(&mut world, &host, &guest).unwrap();
        let record = world.booking(statement.booking);
        assert_eq!(record.status(), ATTESTED, "{id}");
        assert_eq!(
            record.0[4..6],
            [statement.outcome, statement.metrics.word()],
            "{id}"
        );
    }
}

#[test]
fn the_guards_in_their_order() {
    let (mut world, right, host, guest) = session();
    let nothing: [u8; 0] = [];
    // Unknown booking, no outcome, before the start, behind the deadline, nothing signed.
    world.chain.set_now(START - 1);
    let mut wrong = Statement {
        booking: 9.word(),
        outcome: 0.word(),
        deadline: START - 2,
        ..right
    };
    let refused = |world: &mut World, wrong: Statement, host: &[u8], guest: &[u8]| {
        said(wrong.submit(world, host, guest))
    };
    assert_eq!(refused(&mut world, wrong, &nothing, &nothing), "NOT_BOOKED");
    wrong.booking = right.booking;
    for outcome in [0, 4, 5] {
        wrong.outcome = outcome.word();
        assert_eq!(
            refused(&mut world, wrong, &nothing, &nothing),
            "BAD_ATTEST_OUTCOME"
        );
    }
    wrong.outcome = 6.word();
    assert_eq!(
        wrong.submit(&mut world, &nothing, &nothing),
        Err(Refusal::Silent)
    );
    wrong.outcome = right.outcome;
    assert_eq!(
        refused(&mut world, wrong, &nothing, &nothing),
        "NOT_STARTED"
    );
    let refundable = Plan::USUAL.end() + 86_400;
    world.chain.set_now(refundable);
    assert_eq!(
        refused(&mut world, wrong, &nothing, &nothing),
        "SIG_EXPIRED"
    );
    wrong.deadline = refundable;
    assert_eq!(refused(&mut world, wrong, &nothing, &nothing), "TOO_LATE");
    world.chain.set_now(refundable - 1);
    assert_eq!(
        refused(&mut world, wrong, &nothing, &nothing),
        "BAD_HOST_SIG"
    );
    let by_host = wrong.signed_by(&host);
    assert_eq!(
        refused(&mut world, wrong, &by_host, &nothing),
        "BAD_GUEST_SIG"
    );
    let by_guest = wrong.signed_by(&guest);
    wrong.submit(&mut world, &by_host, &by_guest).unwrap();
}

#[test]
fn windows_of_a_signed_outcome() {
    let (world, statement, host, guest) = session();
    let submit = |mut statement: Statement, deadline: u64, now: u64| {
        let mut world = world.clone();
        world.chain.set_now(now);
        statement.deadline = deadline;
        let signatures = [statement.signed_by(&host), statement.signed_by(&guest)];
        match statement.submit(&mut world, &signatures[0], &signatures[1]) {
            Ok(_) => "taken".to_owned(),
            Err(Refusal::Said(why)) => why,
            Err(other) => panic!("{other:?}"),
        }
    };
    let far = u64::MAX;
    assert_eq!(submit(statement, far, START - 1), "NOT_STARTED");
    assert_eq!(submit(statement, far, START), "taken");
    assert_eq!(submit(statement, far, START + 1), "taken");
    assert_eq!(submit(statement, DEADLINE, DEADLINE - 1), "taken");
    assert_eq!(submit(statement, DEADLINE, DEADLINE), "taken");
    assert_eq!(submit(statement, DEADLINE, DEADLINE + 1), "SIG_EXPIRED");
    // Later than any oracle could have attested.
    let refundable = Plan::USUAL.end() + 86_400;
    assert_eq!(submit(statement, far, refundable - 1), "taken");
    assert_eq!(submit(statement, far, refundable), "TOO_LATE");
    assert_eq!(submit(statement, far, refundable + 1), "TOO_LATE");
}

#[test]
fn without_a_buffer_it_closes_at_the_end_of_the_session() {
    let (host, guest) = (signer(1), signer(2));
    let mut world = World::with(Contract::SessionEscrowV2, |settings| {
        settings.no_attest_buffer = seconds(0);
    });
    world.host = wallet(&host);
    world.guest = wallet(&guest);
    let payer = world.guest;
    world.fund(payer, 1_000_000_000.word());
    let statement = Statement {
        chain_id: CHAIN_ID,
        contract: world.escrow,
        booking: world.booked(Plan::USUAL),
        outcome: NO_SHOW_HOST.word(),
        metrics: METRICS,
        deadline: DEADLINE,
    };
    let signatures = [statement.signed_by(&host), statement.signed_by(&guest)];
    world.chain.set_now(Plan::USUAL.end());
    let late = statement.submit(&mut world, &signatures[0], &signatures[1]);
    assert_eq!(said(late), "TOO_LATE");
    world.chain.set_now(Plan::USUAL.end() - 1);
    statement
        .submit(&mut world, &signatures[0], &signatures[1])
        .unwrap();
}

#[test]
fn nobody_else_and_nothing_else_counts_as_signed() {
    let (mut world, right, host, guest) = session();
    let [by_host, by_guest] = [right.signed_by(&host), right.signed_by(&guest)];
    let mut refused = |host: &[u8], guest: &[u8]| said(right.submit(&mut world, host, guest));
    assert_eq!(
        refused(&by_guest, &by_host),
        "BAD_HOST_SIG",
        "the two swapped"
    );
    assert_eq!(refused(&by_host, &by_host), "BAD_GUEST_SIG");
    let other = right.signed_by(&signer(3));
    assert_eq!(refused(&other, &by_guest), "BAD_HOST_SIG");
    assert_eq!(refused(&by_host, &other), "BAD_GUEST_SIG");

    // What was signed differs in one member, or counts elsewhere.
    for wrong in [
        Statement {
            chain_id: CHAIN_ID + 1,
            ..right
        },
        Statement {
            contract: STRANGER,
            ..right
        },
        Statement {
            booking: right.booking + U256::ONE,
            ..right
        },
        Statement {
            outcome: NO_SHOW_HOST.word(),
            ..right
        },
        Statement {
            metrics: B256::repeat_byte(1),
            ..right
        },
        Statement {
            deadline: DEADLINE + 1,
            ..right
        },
    ] {
        assert_eq!(refused(&wrong.signed_by(&host), &by_guest), "BAD_HOST_SIG");
        assert_eq!(refused(&by_host, &wrong.signed_by(&guest)), "BAD_GUEST_SIG");
    }

    // The twin of each recovers to the same wallet, and is refused for its `s`.
    for (signature, signer) in [(by_host, &host), (by_guest, &guest)] {
        let twin = Signature::from_bytes(twin(signature)).unwrap();
        assert_eq!(twin.recover(&right.digest()).unwrap(), signer.wallet());
    }
    assert_eq!(refused(&twin(by_host), &by_guest), "BAD_HOST_SIG");
    assert_eq!(refused(&by_host, &twin(by_guest)), "BAD_GUEST_SIG");

    // `v` is 27 or 28, and nothing is cut off or added.
    for v in [by_host[64] - 27, by_host[64] ^ 7, 26, 29, 255] {
        let mut odd = by_host;
        odd[64] = v;
        assert_eq!(refused(&odd, &by_guest), "BAD_HOST_SIG", "{v}");
    }
    let longer = [&by_host[..], &[0]].concat();
    for odd in [&by_host[..64], &longer, &[0; 65], &[]] {
        assert_eq!(refused(odd, &by_guest), "BAD_HOST_SIG");
    }
    right.submit(&mut world, &by_host, &by_guest).unwrap();
}

#[test]
fn half_the_order_is_the_greatest_s() {
    let (world, statement, _, guest) = session();
    let half: U256 = U256::from_be_bytes(ORDER) >> 1_usize;
    for (s, is_taken) in [(half, true), (half + U256::ONE, false)] {
        // Whoever could have signed so is the host.
        let mut signature = statement.signed_by(&signer(1));
        signature[32..64].copy_from_slice(&s.to_be_bytes::<32>());
        let recovered = Signature::from_bytes(signature).unwrap();
        let host = recovered.recover(&statement.digest()).unwrap();
        let mut world = world.clone();
        let slot = world.booking(statement.booking).slot();
        world.rewrite_host(slot, Address::from(host.to_bytes()));
        let result = statement.submit(&mut world, &signature, &statement.signed_by(&guest));
        assert_eq!(result.is_ok(), is_taken);
        if !is_taken {
            assert_eq!(said(result), "BAD_HOST_SIG");
        }
    }
}

#[test]
fn a_booking_that_came_to_another_end_is_not_attested_again() {
    let (world, statement, host, guest) = session();
    let [by_host, by_guest] = [statement.signed_by(&host), statement.signed_by(&guest)];
    let booking = statement.booking;

    let mut claimed = world.clone();
    let party = claimed.guest;
    claimed.chain.set_now(Plan::USUAL.end() + 86_400);
    claimed
        .call(party, "claimIfUnattested(uint256)", &[booking])
        .unwrap();
    let late = Statement {
        deadline: u64::MAX,
        ..statement
    };
    let signatures = [late.signed_by(&host), late.signed_by(&guest)];
    let refused = late.submit(&mut claimed, &signatures[0], &signatures[1]);
    assert_eq!(said(refused), "NOT_BOOKED");

    let mut attested = world.clone();
    attested.chain.set_now(START + 800);
    attested.attest(booking, NO_SHOW_GUEST).unwrap();
    let refused = statement.submit(&mut attested, &by_host, &by_guest);
    assert_eq!(said(refused), "NOT_BOOKED");

    let mut cancelled = world;
    cancelled.chain.set_now(START - 1);
    cancelled
        .call(party, "cancelBookingAsGuest(uint256)", &[booking])
        .unwrap();
    assert_eq!(cancelled.booking(booking).status(), CANCELLED);
    cancelled.chain.set_now(START);
    let refused = statement.submit(&mut cancelled, &by_host, &by_guest);
    assert_eq!(said(refused), "NOT_BOOKED");
}

#[test]
fn the_oracle_is_still_there_for_those_who_do_not_sign() {
    let (mut world, statement, host, _) = session();
    let by_host = statement.signed_by(&host);
    let alone = statement.submit(&mut world, &by_host, &[]);
    assert_eq!(said(alone), "BAD_GUEST_SIG");
    world.chain.set_now(START + 800);
    world.attest(statement.booking, COMPLETED).unwrap();
    assert_eq!(world.booking(statement.booking).status(), ATTESTED);
}
