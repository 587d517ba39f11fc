//! What is read from outside: selectors, topics, the order of words, what is refused altogether.

use std::collections::{BTreeMap, BTreeSet};

use revm::primitives::U256;
use session_core::crypto::sha256;
use session_core::types::encode_hex;
use session_testkit::contracts::{Build, Contract};

use super::abi::{Refusal, Word, address, selector, topic};
use super::world::{DAWN, ORACLE, OWNER, PRICE, Plan, START, STRANGER, TREASURY, World};

/// Selectors of the first escrow, as `settlement.md` section 2.3 lists them.
const FUNCTIONS: &str = "
7314e04c createSlot(uint48,uint32,uint32,uint32,uint32)
0d9d763e cancelSlot(uint256)
1116fd04 book(uint256)
81e4f660 createRequest(address,uint48,uint48,uint32,uint256,uint48)
3015394c cancelRequest(uint256)
4053ef0b acceptRequest(uint256,uint48,uint32,uint32,uint32)
f7c40510 cancelBookingAsGuest(uint256)
4244c4a2 cancelBookingAsHost(uint256)
33fe248b attest(uint256,uint8,bytes32)
bdbc4834 claimIfUnattested(uint256)
ab82d9a0 challenge(uint256)
e55e4211 resolveDispute(uint256,uint8)
90955aa7 finalizeDisputeByTimeout(uint256)
05261aea finalize(uint256)
39a72c5c withdrawOwed()
84ff6985 withdrawOwed(address)
26bc522c setHostBasePrice(uint256)
ab803a76 sweepNative()
43d859bf sweepTokenExcess()
6a5c841a getBooking(uint256)
7eba7ba6 getSlot(uint256)
699eb23f getBookingTerms(uint256)
c58343ef getRequest(uint256)
1dab301e bookings(uint256)
387dd9e9 slots(uint256)
7ae15ac1 bookingTerms(uint256)
81d12c58 requests(uint256)
475b0193 slotToBooking(uint256)
df18e047 owed(address)
f3ac7d77 hostBasePrice(address)
f43cc773 totalHeld()
26f20c79 nextBookingId()
804ebda7 nextSlotId()
6a84a985 nextRequestId()
3013ce29 paymentToken()
7dc0d1d0 oracle()
8da5cb5b owner()
e30c3978 pendingOwner()
61d027b3 treasury()
24a9d853 feeBps()
861a1412 challengeWindow()
52305151 challengeBond()
046570ea lateCancelPenaltyBps()
b8a02e98 noAttestBuffer()
c04c22a4 disputeTimeout()
249d39e9 BPS()
51586ecb MAX_CHALLENGE_WINDOW()
60c58491 MAX_NO_ATTEST_BUFFER()
5bdfbeb5 MAX_DISPUTE_TIMEOUT()
7adbf973 setOracle(address)
f0f44260 setTreasury(address)
023b1fc9 setFeeBps(uint16)
856b9b03 setChallengeWindow(uint48)
18c281a6 setChallengeBond(uint256)
0ec95c49 setLateCancelPenaltyBps(uint16)
42cc019a setNoAttestBuffer(uint48)
ff2d438b setDisputeTimeout(uint48)
f2fde38b transferOwnership(address)
79ba5097 acceptOwnership()
";

const EXPLICIT_PRICE: &str =
    "35f0ae53 createSlotWithPrice(uint48,uint32,uint32,uint32,uint32,uint256)";
/// No selector is written down for it.
const MUTUAL: &str = "attestMutual(uint256,uint8,bytes32,uint64,bytes,bytes)";

/// Topics, as section 2.4 lists them. `*` stands before what is a topic of its own.
const EVENTS: &str = "
24864fe9462927cd9bc51f0ddd3cfcaa0bf2716a83459138d79d7e1e35a36f4c Attested(*uint256,uint8,bytes32,uint64)
f2cbc3bae809b898e4918c93cc3a0617e734ec62b3fccc2f3e58ce66cb15ad28 Challenged(*uint256,*address,uint256)
8a1c7850cb95b6648c597d19ad5a66ce32698f83f344546e66f4229ce5dacff9 Resolved(*uint256,uint8)
d96b99f82f8b864e76999d053eb26c3447b27db4b1ac5bbdb7ca128edc47e8af Finalized(*uint256,uint8,uint256,uint256,uint256)
917c69b2cefdfea85d4c0c2794149409e80aa6c099826d9dfcfc306ba043d69b UnattestedRefunded(*uint256,uint256)
629dc84b4562ce5134c489592d47293cdad8e89d7ea6523a2bf064bb954a3057 SessionBooked(*uint256,*uint256,*address,uint256)
c933a7a4f002c0d60bdc00ce06c642f38f9e3f02dc9887ac471261e20cf0e76d SessionBookingCancelled(*uint256,uint8,uint256,uint256,uint256,uint256)
0a7485cbe2641ede2fefae85de83e7807d709f95d409e3c32aa6cbc795e860d2 SessionSlotCreated(*uint256,*address,uint48,uint32,uint256)
d04692252eb386bc1bc47a15f8bf6bc81bc702521ef547c018d2afa2fb2d384b SessionSlotCancelled(*uint256)
907d10db0ff880252feccfc2b663663b3bdc8c93b135e429d9c9f157af4fe1aa SessionRequestCreated(*uint256,*address,*address,uint48,uint48,uint32,uint256,uint48)
e6d90ea495ccfaee0ee4e68d1bc346d0f33e53f9853f691c4f2c9b3284994ddb SessionRequestAccepted(*uint256,*address,uint256,uint256,uint48)
94684a270daf50c31a66751a64dea889bc82836f26721c7fc1bab4ff445b6912 SessionRequestCancelled(*uint256,uint256)
a6cd4410234ac9de9d1307f26fd9ec5124f511a9135d59c0904879dd8ae28e10 OwedWithdrawn(*address,*address,uint256)
4e6c8dfd21634b9172efbe1eeee02b6311ba19d102e37d9570677a3ad47212fe HostBasePriceSet(*address,uint256)
078c3b417dadf69374a59793b829c52001247130433427049317bde56607b1b7 OracleUpdated(*address,*address)
";

fn table(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.trim()
        .lines()
        .map(|line| line.split_once(' ').unwrap())
}

#[test]
fn an_escrow_has_the_functions_of_its_interface_and_no_others() {
    for contract in Contract::ESCROWS {
        let can = contract.capabilities();
        let mut wanted = BTreeMap::new();
        for (hex, signature) in table(FUNCTIONS) {
            assert_eq!(encode_hex(&selector(signature)), hex, "{signature}");
            wanted.insert(signature.to_owned(), selector(signature));
        }
        if can.explicit_price {
            let (hex, signature) = EXPLICIT_PRICE.split_once(' ').unwrap();
            assert_eq!(encode_hex(&selector(signature)), hex, "{signature}");
            wanted.insert(signature.to_owned(), selector(signature));
        }
        if can.mutual_outcome {
            wanted.insert(MUTUAL.to_owned(), selector(MUTUAL));
        }
        for build in Build::ALL {
            assert_eq!(contract.artefact(build).functions, wanted, "{contract:?}");
        }
    }
}

#[test]
fn an_escrow_has_the_events_of_its_interface() {
    let mut wanted = BTreeSet::new();
    for (hex, event) in table(EVENTS) {
        let signature = event.replace('*', "");
        assert_eq!(encode_hex(topic(&signature).as_slice()), hex, "{event}");
        let (name, types) = event.trim_end_matches(')').split_once('(').unwrap();
        let types = types.split(',').map(|part| match part.strip_prefix('*') {
            Some(part) => format!("{part} indexed"),
            None => part.to_owned(),
        });
        wanted.insert(format!("{name}({})", types.collect::<Vec<_>>().join(",")));
    }
    for contract in Contract::ESCROWS {
        let events = &contract.artefact(Build::Normal).events;
        let had: BTreeSet<_> = events.iter().cloned().collect();
        let lacking: Vec<_> = wanted.difference(&had).collect();
        assert!(lacking.is_empty(), "{contract:?}: {lacking:?}");
    }
}

#[test]
fn a_contract_is_small_enough_for_every_chain() {
    for contract in Contract::ALL {
        for build in Build::ALL {
            let artefact = contract.artefact(build);
            let bytes = artefact.runtime_bytes;
            assert!(bytes > 0 && bytes <= 24_576, "{contract:?}: {bytes}");
            println!("{} {build:?}: {bytes} bytes", contract.name());
        }
    }
}

/// `build.mjs --check` compiles anew; this tells without a compiler that somebody forgot to.
#[test]
fn an_artefact_is_of_the_sources_beside_it() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts");
    for contract in Contract::ALL {
        let sources = &contract.artefact(Build::Normal).sources;
        assert!(sources.contains_key(&format!("{}.sol", contract.name())));
        for (file, hash) in sources {
            let source = std::fs::read(folder.join(file)).unwrap();
            assert_eq!(encode_hex(&sha256(&source)), *hash, "{file}: run build.mjs");
        }
    }
}

#[test]
fn identifiers_begin_at_one_and_what_is_unknown_reads_as_zero() {
    for mut world in World::each() {
        for next in ["nextSlotId()", "nextBookingId()", "nextRequestId()"] {
            assert_eq!(world.number(next, &[]), 1.word());
        }
        for (getter, mapping, words) in RECORDS {
            for id in [0.word(), 1.word(), U256::MAX] {
                assert_eq!(world.read(getter, &[id]), vec![U256::ZERO; words]);
                assert_eq!(world.read(mapping, &[id]), vec![U256::ZERO; words]);
            }
        }
        assert_eq!(world.booked(Plan::USUAL), 1.word());
        assert_eq!(world.booked(Plan::USUAL), 2.word());
        assert_eq!(world.number("nextSlotId()", &[]), 3.word());
        assert_eq!(world.number("nextBookingId()", &[]), 3.word());
    }
}

/// A getter, the getter of its mapping, and how many words both return.
const RECORDS: [(&str, &str, usize); 4] = [
    ("getSlot(uint256)", "slots(uint256)", 8),
    ("getBooking(uint256)", "bookings(uint256)", 11),
    ("getBookingTerms(uint256)", "bookingTerms(uint256)", 6),
    ("getRequest(uint256)", "requests(uint256)", 11),
];

#[test]
fn a_record_is_its_words_in_order() {
    for mut world in World::each() {
        let guest = world.guest;
        let host = world.host;
        let request = [
            host.word(),
            (START - 10).word(),
            (START + 10).word(),
            45.word(),
            (PRICE + 5).word(),
            (DAWN + 99).word(),
        ];
        let id = world
            .call(
                guest,
                "createRequest(address,uint48,uint48,uint32,uint256,uint48)",
                &request,
            )
            .unwrap()
            .word();
        let asked = world.read("getRequest(uint256)", &[id]);
        let [target, from, to, mins, amount, expiry] = request;
        let mut wanted = vec![
            target,
            guest.word(),
            from,
            to,
            mins,
            amount,
            expiry,
            1.word(),
        ];
        wanted.extend([0.word(); 3]);
        assert_eq!(asked, wanted);

        // So that the slot and the booking have numbers of their own.
        world.slot(Plan::USUAL);
        let slot = world.slot(Plan::USUAL);
        let booking = world.call(guest, "book(uint256)", &[slot]).unwrap().word();
        assert_eq!((slot, booking), (2.word(), 1.word()));
        assert_eq!(
            world.read("getSlot(uint256)", &[slot]),
            [
                host.word(),
                START.word(),
                30.word(),
                PRICE.word(),
                5.word(),
                10.word(),
                60.word(),
                1.word()
            ]
        );
        let mut wanted = vec![slot, guest.word(), PRICE.word(), 1.word()];
        wanted.extend([0.word(); 7]);
        assert_eq!(world.booking(booking).0.to_vec(), wanted);
        assert_eq!(
            world.read("getBookingTerms(uint256)", &[booking]),
            [300, 2_000, 86_400, 86_400, 604_800, 10_000_000].map(Word::word)
        );
        assert_eq!(world.number("slotToBooking(uint256)", &[slot]), booking);
        for (id, (getter, mapping, _)) in [slot, booking, booking, id].into_iter().zip(RECORDS) {
            assert_eq!(world.read(getter, &[id]), world.read(mapping, &[id]));
        }
    }
}

#[test]
fn settings_read_as_they_were_deployed() {
    for mut world in World::each() {
        for (getter, wanted) in [
            ("paymentToken()", world.token.word()),
            ("oracle()", ORACLE.word()),
            ("treasury()", TREASURY.word()),
            ("owner()", OWNER.word()),
            ("pendingOwner()", 0.word()),
            ("feeBps()", 300.word()),
            ("challengeWindow()", 86_400.word()),
            ("challengeBond()", 10_000_000.word()),
            ("lateCancelPenaltyBps()", 2_000.word()),
            ("noAttestBuffer()", 86_400.word()),
            ("disputeTimeout()", 604_800.word()),
            ("BPS()", 10_000.word()),
            ("MAX_CHALLENGE_WINDOW()", 2_592_000.word()),
            ("MAX_NO_ATTEST_BUFFER()", 2_592_000.word()),
            ("MAX_DISPUTE_TIMEOUT()", 15_552_000.word()),
            ("totalHeld()", 0.word()),
        ] {
            assert_eq!(world.number(getter, &[]), wanted, "{getter}");
        }
        assert_eq!(address(world.number("oracle()", &[])), ORACLE);
    }
}

#[test]
fn what_is_no_function_is_refused_and_so_is_native_coin() {
    for mut world in World::each() {
        let escrow = world.escrow;
        world.chain.each(|chain| chain.endow(STRANGER, 10));
        let mut refused = |data: &[u8], value| {
            let said = world.chain.send(STRANGER, escrow, data, value);
            assert_eq!(said, Err(Refusal::Silent), "{data:02x?}");
        };
        refused(&[], 0);
        refused(&[], 1);
        refused(&[0x0a], 0);
        refused(&selector("attestations(uint256)"), 0);
        // A function that exists takes no coin either.
        refused(&selector("withdrawOwed()"), 1);
        refused(&selector("totalHeld()"), 1);
        let can = world.contract.capabilities();
        let plan = [Plan::USUAL.words(), vec![0.word()]].concat();
        let priced = world.call(STRANGER, super::world::CREATE_PRICED, &plan);
        let wanted = if can.explicit_price {
            Refusal::Said("BAD_PRICE".to_owned())
        } else {
            Refusal::Silent
        };
        assert_eq!(priced, Err(wanted));
        assert_eq!(world.chain.each(|chain| chain.coins(escrow)), U256::ZERO);
    }
}
