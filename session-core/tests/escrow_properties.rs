//! What holds for all words of escrows, and for all bytes that are none; for every payout; for every
//! statement.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use proptest::collection::vec;
use proptest::prelude::*;
use session_core::crypto::LocalSigner;
use session_core::escrow::Side;
use session_core::escrow::abi::{AbiError, Uint64, encode};
use session_core::escrow::call::{Call, FUNCTIONS};
use session_core::escrow::event::{EVENTS, Event};
use session_core::escrow::payout::{Credited, Ending, credited};
use session_core::escrow::returned::Returned;
use session_core::escrow::revert::{REASON_CHARS_MAX, Revert};
use session_core::escrow::statement::{Statement, StatementSignature};
use session_core::escrow::{Booking, BookingKey, EscrowId, Outcome, Request, Slot, Terms};
use session_core::types::{BookingId, Seconds, TokenAmount, U256, Wallet};

type Word = [u8; 32];

/// Bits of a word that a type uses, from its end. Enumerations are shown by their greatest number.
fn word_of(kind: &str) -> BoxedStrategy<Word> {
    let bytes = match kind {
        "address" => 20,
        "bytes32" | "uint256" => 32,
        "uint16" => 2,
        "uint32" => 4,
        "uint48" => 6,
        "uint64" => 8,
        // Every number of an enumeration of the contract that a call or an event has.
        "uint8" => return (0..=5_u8).prop_map(|number| padded(&[number])).boxed(),
        other => panic!("a type that this test does not know: {other}"),
    };
    vec(any::<u8>(), bytes)
        .prop_map(|tail| padded(&tail))
        .boxed()
}

fn padded(tail: &[u8]) -> Word {
    let mut word = [0; 32];
    word[32 - tail.len()..].copy_from_slice(tail);
    word
}

fn words_of(kinds: &[&str]) -> BoxedStrategy<Vec<Word>> {
    let words: Vec<_> = kinds.iter().map(|kind| word_of(kind)).collect();
    words.boxed()
}

/// Calldata of any function whose members have one word each.
fn calldata() -> impl Strategy<Value = Vec<u8>> {
    let plain: Vec<_> = FUNCTIONS
        .iter()
        .filter(|function| !function.params.contains(&"bytes"))
        .collect();
    assert_eq!(plain.len(), FUNCTIONS.len() - 1);
    proptest::sample::select(plain).prop_flat_map(|function| {
        words_of(function.params)
            .prop_map(|words| [&function.selector, words.as_flattened()].concat())
    })
}

/// A log of any event.
fn log() -> impl Strategy<Value = (Vec<Word>, Vec<u8>)> {
    proptest::sample::select(EVENTS).prop_flat_map(|kind| {
        words_of(kind.members).prop_map(move |words| {
            let (indexed, data) = words.split_at(kind.indexed);
            let topics = [&[kind.topic], indexed].concat();
            (topics, data.as_flattened().to_vec())
        })
    })
}

const SLOT: [&str; 8] = [
    "address", "uint48", "uint32", "uint256", "uint32", "uint32", "uint32", "status",
];
const BOOKING: [&str; 11] = [
    "uint256", "address", "uint256", "uint8", "uint8", "bytes32", "uint64", "uint64", "address",
    "uint256", "uint64",
];
const TERMS: [&str; 6] = ["uint16", "uint16", "uint48", "uint48", "uint48", "uint256"];
const REQUEST: [&str; 11] = [
    "address", "address", "uint48", "uint48", "uint32", "uint256", "uint48", "status", "uint256",
    "uint256", "address",
];

/// A record's words, whose instants are within the calendar.
fn record(kinds: &'static [&'static str]) -> impl Strategy<Value = Vec<Word>> {
    let word = |kind: &&str| match *kind {
        "status" => (0..=3_u8).prop_map(|number| padded(&[number])).boxed(),
        "uint48" | "uint64" => (0..=253_402_300_799_u64)
            .prop_map(|at| padded(&at.to_be_bytes()))
            .boxed(),
        other => word_of(other),
    };
    kinds.iter().map(word).collect::<Vec<_>>()
}

/// How many bytes at the start of a word a type leaves at zero.
fn padding_bytes(kind: &str) -> usize {
    match kind {
        "address" => 12,
        "bytes32" | "uint256" => 0,
        "uint16" => 30,
        "uint32" => 28,
        "uint48" => 26,
        "uint64" => 24,
        "uint8" | "status" => 31,
        other => panic!("a type that this test does not know: {other}"),
    }
}

/// That every word of a record is read and written as it is; that a dirty, missing or additional
/// byte makes it none.
fn assert_strict<T: Returned + PartialEq + std::fmt::Debug>(words: &[Word], kinds: &[&str]) {
    let data = words.as_flattened();
    let record = T::from_returndata(data).unwrap();
    assert_eq!(record.to_returndata().as_deref(), Ok(data));
    for length in 0..data.len() {
        assert_eq!(T::from_returndata(&data[..length]), Err(AbiError::Length));
    }
    assert_eq!(
        T::from_returndata(&[data, &[0]].concat()),
        Err(AbiError::Length)
    );
    // As a record with an offset before it would be.
    let offset = padded(&[32]);
    assert!(T::from_returndata(&[&offset, data].concat()).is_err());
    for (index, kind) in kinds.iter().enumerate() {
        for byte in 0..padding_bytes(kind) {
            let mut dirty = words.to_vec();
            dirty[index][byte] = 0x80;
            assert_eq!(
                T::from_returndata(dirty.as_flattened()),
                Err(AbiError::Padding),
                "{kind} {index} {byte}"
            );
        }
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    proptest::sample::select(&Outcome::ALL[..])
}

fn ending() -> impl Strategy<Value = Ending> {
    let dispute = (outcome(), any::<bool>(), proptest::option::of(outcome())).prop_map(
        |(attested, by_host, resolved)| Ending::Disputed {
            attested,
            challenger: if by_host { Side::Host } else { Side::Guest },
            resolved,
        },
    );
    prop_oneof![
        dispute,
        outcome().prop_map(Ending::Final),
        Just(Ending::CancelledByHost),
        Just(Ending::CancelledByGuestEarly),
        Just(Ending::CancelledByGuestLate),
        Just(Ending::Unattested),
    ]
}

fn number() -> impl Strategy<Value = U256> {
    prop_oneof![
        any::<Word>().prop_map(U256::from_be_bytes),
        any::<u64>().prop_map(U256::from),
    ]
}

fn statement() -> impl Strategy<Value = Statement> {
    (
        any::<u64>(),
        any::<[u8; 20]>(),
        any::<Word>(),
        outcome(),
        any::<Word>(),
        any::<u64>(),
    )
        .prop_map(
            |(chain_id, address, booking, outcome, metrics_hash, deadline)| Statement {
                key: BookingKey {
                    escrow: EscrowId {
                        chain_id,
                        address: Wallet::from_bytes(address),
                    },
                    booking: BookingId::from_word(booking),
                },
                outcome,
                metrics_hash,
                deadline: Uint64::new(deadline).unwrap(),
            },
        )
}

proptest! {
    #[test]
    fn calls_are_read_and_written_as_they_are(calldata in calldata()) {
        let call = Call::decode(&calldata).unwrap();
        prop_assert_eq!(call.encode(), calldata.clone());
        let values: Vec<_> = call.args().into_iter().map(|(_, value)| value).collect();
        prop_assert_eq!(&encode(&values), &calldata[4..]);
        prop_assert_eq!(Call::decode(&[&*calldata, &[0]].concat()), Err(AbiError::Length));
        prop_assert_eq!(
            Call::decode(&calldata[..calldata.len() - 1]),
            Err(AbiError::Length)
        );
    }

    #[test]
    fn logs_are_read_and_written_as_they_are((topics, data) in log()) {
        let event = Event::decode(&topics, &data).unwrap().unwrap();
        prop_assert_eq!(event.encode(), (topics.clone(), data.clone()));
        prop_assert_eq!(
            Event::decode(&topics, &[&*data, &[0]].concat()),
            Err(AbiError::Length)
        );
        prop_assert_eq!(
            Event::decode(&topics[..topics.len() - 1], &data).ok().flatten(),
            None
        );
    }

    #[test]
    fn records_are_read_as_they_are_and_nothing_else_is_one(
        slot in record(&SLOT),
        booking in record(&BOOKING),
        terms in record(&TERMS),
        request in record(&REQUEST),
    ) {
        assert_strict::<Slot>(&slot, &SLOT);
        assert_strict::<Booking>(&booking, &BOOKING);
        assert_strict::<Terms>(&terms, &TERMS);
        assert_strict::<Request>(&request, &REQUEST);
    }

    #[test]
    fn a_number_that_an_enumeration_does_not_have_is_out_of_range(
        slot in record(&SLOT),
        booking in record(&BOOKING),
        number in 0..=255_u8,
    ) {
        let with = |mut words: Vec<Word>, at: usize| {
            words[at] = padded(&[number]);
            words.as_flattened().to_vec()
        };
        let expect = |count: u8| if number < count { None } else { Some(AbiError::Range) };
        prop_assert_eq!(Slot::from_returndata(&with(slot, 7)).err(), expect(4));
        prop_assert_eq!(Booking::from_returndata(&with(booking.clone(), 3)).err(), expect(7));
        prop_assert_eq!(Booking::from_returndata(&with(booking, 4)).err(), expect(6));
    }

    #[test]
    fn whatever_a_node_answers_is_read_without_a_panic(
        words in vec(prop_oneof![
            any::<Word>(),
            any::<u8>().prop_map(|number| padded(&[number])),
        ], 0..16),
        cut in 0..32_usize,
        selector in proptest::sample::select(FUNCTIONS),
        kind in proptest::sample::select(EVENTS),
        topics in 0..5_usize,
    ) {
        let whole = words.as_flattened();
        let data = &whole[..whole.len().saturating_sub(cut)];
        let is_booking = Booking::from_returndata(data).is_ok();
        prop_assert!(!is_booking || data.len() == 11 * 32);
        let is_slot = Slot::from_returndata(data).is_ok();
        prop_assert!(!is_slot || data.len() == 8 * 32);
        let is_terms = Terms::from_returndata(data).is_ok();
        prop_assert!(!is_terms || data.len() == 6 * 32);
        let is_wallet = Wallet::from_returndata(data).is_ok();
        prop_assert!(!is_wallet || data.len() == 32);
        let calldata = [&selector.selector, data].concat();
        if let Ok(call) = Call::decode(&calldata) {
            prop_assert_eq!(call.encode(), calldata);
        }
        let topics = [vec![kind.topic], words.iter().copied().take(topics).collect()].concat();
        if let Ok(Some(event)) = Event::decode(&topics, data) {
            prop_assert_eq!(event.encode(), (topics, data.to_vec()));
        }
        for start in [&[][..], &[0x08, 0xc3, 0x79, 0xa0], &[0x4e, 0x48, 0x7b, 0x71]] {
            let told = Revert::of(&[start, data].concat()).to_string();
            prop_assert!(told.chars().count() <= REASON_CHARS_MAX);
            prop_assert!(told.chars().all(|character| (' '..='~').contains(&character)));
        }
    }

    #[test]
    fn a_payout_credits_all_of_the_amount_and_of_the_bond(
        amount in number(),
        bond in number(),
        fee_bps in 0..=2_000_u16,
        late_cancel_penalty_bps in 0..=10_000_u16,
        ending in ending(),
    ) {
        let terms = Terms {
            fee_bps,
            late_cancel_penalty_bps,
            challenge_window: Seconds::ZERO,
            no_attest_buffer: Seconds::ZERO,
            dispute_timeout: Seconds::ZERO,
            challenge_bond: TokenAmount::new(bond),
        };
        let put_in = match ending {
            Ending::Disputed { .. } => amount.checked_add(bond),
            _ => Some(amount),
        };
        let is_small = amount < (U256::MAX >> 16) && put_in.is_some();
        match credited(TokenAmount::new(amount), &terms, ending) {
            Ok(Credited { host, guest, treasury }) => {
                let out = [host, guest, treasury].map(TokenAmount::get);
                let sum = out.into_iter().try_fold(U256::ZERO, U256::checked_add);
                prop_assert_eq!(sum, put_in);
                // The fee is of the amount, never of a bond.
                let most = U256::from(fee_bps).checked_mul(amount);
                prop_assert!(most.is_none_or(|most| treasury.get() <= most / U256::from(10_000)));
            }
            Err(_) => prop_assert!(!is_small, "refused without need"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_statement_is_signed_for_one_contract_and_nothing_else(
        said in statement(),
        other in statement(),
        // Bytes of 255 are beyond the order of the group.
        seed in 1..=254_u8,
    ) {
        let key = LocalSigner::from_bytes(&[seed; 32]).unwrap();
        let signature = said.sign(&key);
        prop_assert_eq!(StatementSignature::parse(&signature.to_string()), Ok(signature));
        prop_assert_eq!(said.signer(&signature), Ok(key.wallet()));
        prop_assume!(said.key.escrow != other.key.escrow);
        let mut elsewhere = said;
        elsewhere.key.escrow = other.key.escrow;
        prop_assert!(!elsewhere.is_signed_by(key.wallet(), &signature));
    }

    #[test]
    fn bytes_of_another_length_are_no_signature(bytes in vec(any::<u8>(), 0..200)) {
        prop_assume!(bytes.len() != 65);
        prop_assert!(StatementSignature::from_bytes(&bytes).is_err());
    }
}
