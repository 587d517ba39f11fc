//! Escrows: calldata, returndata, logs and reverts as contracts and encoders made them, statements
//! as a chain recomputed them, payouts as a chain credited them.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::str::FromStr;

use serde_json::{Map, Value};
use session_core::crypto::{LocalSigner, keccak256};
use session_core::escrow::Side;
use session_core::escrow::abi::{AbiValue, Uint48, Uint64};
use session_core::escrow::call::Call;
use session_core::escrow::event::Event;
use session_core::escrow::payout::{Credited, Ending, credited};
use session_core::escrow::returned::Returned;
use session_core::escrow::revert::Revert;
use session_core::escrow::statement::{STATEMENT_TYPE, Statement, StatementSignature, domain};
use session_core::escrow::{
    Booking, BookingKey, BookingStatus, ContractOutcome, EscrowId, Outcome, Slot, SlotStatus, Terms,
};
use session_core::types::{
    BookingId, Seconds, Timestamp, TokenAmount, Wallet, decode_hex, decode_hex_array, encode_hex,
};

/// The cases of a section, which must be this many.
fn cases(section: &str, count: usize) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/settlement.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = vectors[section].as_array().unwrap().clone();
    assert_eq!(cases.len(), count, "{section}");
    cases
}

/// The members of an object, which must be these and no others.
fn members<'a>(value: &'a Value, names: &[&str]) -> &'a Map<String, Value> {
    let object = value.as_object().unwrap();
    let mut found: Vec<_> = object.keys().map(String::as_str).collect();
    let mut known = names.to_vec();
    found.sort_unstable();
    known.sort_unstable();
    assert_eq!(found, known, "{value}");
    object
}

fn text(value: &Value) -> &str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
}

/// A number of any width: those of more than 32 bits may be written as decimal texts.
fn digits(value: &Value) -> String {
    match value {
        Value::Number(number) => number.as_u64().unwrap().to_string(),
        other => text(other).to_owned(),
    }
}

/// Whatever is written in decimal digits or as a text.
fn parsed<T: FromStr<Err: Debug>>(value: &Value) -> T {
    digits(value).parse().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    decode_hex(text(value).strip_prefix("0x").unwrap()).unwrap()
}

fn word(value: &Value) -> [u8; 32] {
    decode_hex_array(text(value).strip_prefix("0x").unwrap()).unwrap()
}

fn instant(value: &Value) -> Timestamp {
    Timestamp::from_unix(parsed(value))
}

fn seconds48(value: &Value) -> Uint48 {
    Uint48::new(parsed(value)).unwrap()
}

fn outcome(value: &Value) -> ContractOutcome {
    ContractOutcome::from_code(parsed(value)).unwrap()
}

/// The call of a function with these arguments.
fn call(function: &str, args: &[Value]) -> Call {
    match (function, args) {
        ("attest", [booking, code, hash]) => Call::Attest {
            booking: parsed(booking),
            outcome: outcome(code),
            metrics_hash: word(hash),
        },
        ("createSlot", [start, duration, grace, overlap, cutoff]) => Call::CreateSlot {
            start_time: seconds48(start),
            duration_mins: parsed(duration),
            grace_mins: parsed(grace),
            min_overlap_mins: parsed(overlap),
            cancel_cutoff_mins: parsed(cutoff),
        },
        ("createSlotWithPrice", [start, duration, grace, overlap, cutoff, price]) => {
            Call::CreateSlotWithPrice {
                start_time: seconds48(start),
                duration_mins: parsed(duration),
                grace_mins: parsed(grace),
                min_overlap_mins: parsed(overlap),
                cancel_cutoff_mins: parsed(cutoff),
                price: parsed(price),
            }
        }
        ("createRequest", [host, from, to, duration, amount, expiry]) => Call::CreateRequest {
            host_target: parsed(host),
            window_start: seconds48(from),
            window_end: seconds48(to),
            duration_mins: parsed(duration),
            amount: parsed(amount),
            expiry: seconds48(expiry),
        },
        ("withdrawOwed(address)", [to]) => Call::WithdrawOwedTo { to: parsed(to) },
        ("hostBasePrice", [host]) => Call::HostBasePrice { host: parsed(host) },
        ("setHostBasePrice", [price]) => Call::SetHostBasePrice {
            price: parsed(price),
        },
        (of_one_number, [number]) => {
            let (booking, slot) = (parsed(number), parsed(number));
            match of_one_number {
                "book" => Call::Book { slot },
                "bookings" => Call::Bookings { booking },
                "cancelBookingAsGuest" => Call::CancelBookingAsGuest { booking },
                "cancelBookingAsHost" => Call::CancelBookingAsHost { booking },
                "cancelRequest" => Call::CancelRequest {
                    request: parsed(number),
                },
                "cancelSlot" => Call::CancelSlot { slot },
                "claimIfUnattested" => Call::ClaimIfUnattested { booking },
                "finalize" => Call::Finalize { booking },
                "getBooking" => Call::GetBooking { booking },
                "getBookingTerms" => Call::GetBookingTerms { booking },
                "getSlot" => Call::GetSlot { slot },
                other => panic!("a function that this test does not know: {other}"),
            }
        }
        ("challengeBond", []) => Call::ChallengeBond,
        ("challengeWindow", []) => Call::ChallengeWindow,
        ("disputeTimeout", []) => Call::DisputeTimeout,
        ("feeBps", []) => Call::FeeBps,
        ("lateCancelPenaltyBps", []) => Call::LateCancelPenaltyBps,
        ("nextSlotId", []) => Call::NextSlotId,
        ("owner", []) => Call::Owner,
        ("paymentToken", []) => Call::PaymentToken,
        ("totalHeld", []) => Call::TotalHeld,
        ("withdrawOwed()", []) => Call::WithdrawOwed,
        (other, args) => panic!("a call that this test does not know: {other} {args:?}"),
    }
}

fn booking(decoded: &Value) -> Booking {
    let names = [
        "slotId",
        "guest",
        "amount",
        "status",
        "oracleOutcome",
        "metricsHash",
        "attestedAt",
        "finalizableAt",
        "challenger",
        "bondAmount",
        "disputedAt",
    ];
    let of = members(decoded, &names);
    Booking {
        slot: parsed(&of["slotId"]),
        guest: parsed(&of["guest"]),
        amount: parsed(&of["amount"]),
        status: BookingStatus::from_code(parsed(&of["status"])).unwrap(),
        oracle_outcome: outcome(&of["oracleOutcome"]),
        metrics_hash: word(&of["metricsHash"]),
        attested_at: instant(&of["attestedAt"]),
        finalizable_at: instant(&of["finalizableAt"]),
        challenger: parsed(&of["challenger"]),
        bond: parsed(&of["bondAmount"]),
        disputed_at: instant(&of["disputedAt"]),
    }
}

const SLOT: [&str; 8] = [
    "host",
    "startTime",
    "durationMins",
    "price",
    "graceMins",
    "minOverlapMins",
    "cancelCutoffMins",
    "status",
];

/// A getter of a mapping was decoded without names.
fn slot(decoded: &Value) -> Slot {
    let of: BTreeMap<&str, &Value> = match decoded {
        Value::Array(list) => {
            assert_eq!(list.len(), SLOT.len());
            SLOT.into_iter().zip(list).collect()
        }
        object => {
            let of = members(object, &SLOT);
            of.iter().map(|(name, value)| (&**name, value)).collect()
        }
    };
    Slot {
        host: parsed(of["host"]),
        start_time: instant(of["startTime"]),
        duration_mins: parsed(of["durationMins"]),
        price: parsed(of["price"]),
        grace_mins: parsed(of["graceMins"]),
        min_overlap_mins: parsed(of["minOverlapMins"]),
        cancel_cutoff_mins: parsed(of["cancelCutoffMins"]),
        status: SlotStatus::from_code(parsed(of["status"])).unwrap(),
    }
}

fn terms(decoded: &Value) -> Terms {
    let names = [
        "feeBps",
        "lateCancelPenaltyBps",
        "challengeWindow",
        "noAttestBuffer",
        "disputeTimeout",
        "challengeBond",
    ];
    let of = members(decoded, &names);
    let span = |name: &str| Seconds::new(parsed(&of[name]));
    Terms {
        fee_bps: parsed(&of["feeBps"]),
        late_cancel_penalty_bps: parsed(&of["lateCancelPenaltyBps"]),
        challenge_window: span("challengeWindow"),
        no_attest_buffer: span("noAttestBuffer"),
        dispute_timeout: span("disputeTimeout"),
        challenge_bond: parsed(&of["challengeBond"]),
    }
}

/// Both ways: what was returned is the record, and the record returns what was returned.
fn assert_returned<T: Returned + PartialEq + Debug>(data: &[u8], expected: &T, id: &str) {
    assert_eq!(T::from_returndata(data).as_ref(), Ok(expected), "{id}");
    assert_eq!(expected.to_returndata().as_deref(), Ok(data), "{id}");
}

fn calldata(case: &Value, id: &str) {
    let of = members(case, &["id", "kind", "fn", "args", "calldata"]);
    let expected = bytes(&of["calldata"]);
    let call = call(text(&of["fn"]), of["args"].as_array().unwrap());
    assert_eq!(encode_hex(&call.encode()), encode_hex(&expected), "{id}");
    assert_eq!(Call::decode(&expected), Ok(call), "{id}");
}

fn returndata(case: &Value, id: &str) {
    // Some were read from a chain, and say so.
    let mut case = case.clone();
    let source = case.as_object_mut().unwrap().remove("source");
    assert!(source.is_none_or(|source| source == "chain"), "{id}");
    let of = members(
        &case,
        &["id", "kind", "fn", "args", "returndata", "decoded"],
    );
    let (data, decoded) = (bytes(&of["returndata"]), &of["decoded"]);
    match text(&of["fn"]) {
        "getBooking" => assert_returned(&data, &booking(decoded), id),
        "getSlot" | "slots" => assert_returned(&data, &slot(decoded), id),
        "getBookingTerms" => assert_returned(&data, &terms(decoded), id),
        "owed" => assert_returned::<TokenAmount>(&data, &parsed(decoded), id),
        "nextBookingId" => assert_returned::<BookingId>(&data, &parsed(decoded), id),
        "oracle" => assert_returned::<Wallet>(&data, &parsed(decoded), id),
        other => panic!("a function that this test does not know: {other}"),
    }
}

fn event(name: &str, args: &Value) -> Event {
    match name {
        "Attested" => {
            let names = ["bookingId", "outcome", "metricsHash", "finalizableAt"];
            let of = members(args, &names);
            Event::Attested {
                booking: parsed(&of["bookingId"]),
                outcome: outcome(&of["outcome"]),
                metrics_hash: word(&of["metricsHash"]),
                finalizable_at: Uint64::new(parsed(&of["finalizableAt"])).unwrap(),
            }
        }
        "Resolved" => {
            let of = members(args, &["bookingId", "finalOutcome"]);
            Event::Resolved {
                booking: parsed(&of["bookingId"]),
                outcome: outcome(&of["finalOutcome"]),
            }
        }
        "OwedWithdrawn" => {
            let of = members(args, &["from", "to", "amount"]);
            Event::OwedWithdrawn {
                from: parsed(&of["from"]),
                to: parsed(&of["to"]),
                amount: parsed(&of["amount"]),
            }
        }
        other => panic!("an event that this test does not know: {other}"),
    }
}

fn log(case: &Value, id: &str) {
    let of = members(case, &["id", "kind", "source", "topics", "data", "decoded"]);
    let topics: Vec<_> = of["topics"].as_array().unwrap().iter().map(word).collect();
    let data = bytes(&of["data"]);
    let decoded = members(&of["decoded"], &["event", "args"]);
    let event = event(text(&decoded["event"]), &decoded["args"]);
    assert_eq!(event.name(), text(&decoded["event"]), "{id}");
    assert_eq!(Event::decode(&topics, &data), Ok(Some(event)), "{id}");
    assert_eq!(event.encode(), (topics, data), "{id}");
    // Shown under the names of the contract.
    let names: Vec<_> = event.args().into_iter().map(|(name, _)| name).collect();
    let shown = decoded["args"].as_object().unwrap();
    assert_eq!(names.len(), shown.len(), "{id}");
    assert!(names.iter().all(|name| shown.contains_key(*name)), "{id}");
}

fn revert(case: &Value, id: &str) {
    let of = members(case, &["id", "kind", "data", "reason"]);
    let revert = Revert::of(&bytes(&of["data"]));
    match &of["reason"] {
        Value::Null => assert_eq!(revert, Revert::Empty, "{id}"),
        reason => assert_eq!(revert.message(), Some(text(reason)), "{id}"),
    }
}

#[test]
fn the_words_of_the_contract_are_read_and_written_as_recorded() {
    let mut counts = BTreeMap::<String, u32>::new();
    for case in cases("abi", 60) {
        let (id, kind) = (text(&case["id"]), text(&case["kind"]));
        match kind {
            "calldata" => calldata(&case, id),
            "log" => log(&case, id),
            "returndata" => returndata(&case, id),
            "revert" => revert(&case, id),
            other => panic!("{id} is of a kind that this test does not know: {other}"),
        }
        *counts.entry(kind.to_owned()).or_default() += 1;
    }
    let counted: Vec<_> = counts.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
    assert_eq!(
        counted,
        [
            ("calldata", 34),
            ("log", 3),
            ("returndata", 14),
            ("revert", 9)
        ]
    );
}

#[test]
fn what_a_record_shows_has_the_names_of_the_contract() {
    let first = |function: &str| {
        let mut cases = cases("abi", 60).into_iter();
        cases
            .find(|case| case["kind"] == "returndata" && case["fn"] == function)
            .unwrap()
    };
    let case = first("getBooking");
    let record = Booking::from_returndata(&bytes(&case["returndata"])).unwrap();
    let decoded = case["decoded"].as_object().unwrap();
    let fields = record.fields().unwrap();
    assert_eq!(fields.len(), decoded.len());
    for (name, value) in fields {
        let expected = &decoded[name];
        match value {
            AbiValue::Address(wallet) => assert_eq!(wallet.to_eip55(), text(expected)),
            AbiValue::Bytes32(bytes) => assert_eq!(bytes, word(expected)),
            AbiValue::Uint(number) => assert_eq!(number.to_string(), digits(expected)),
            AbiValue::Bytes(_) => panic!("{name} is no bytes"),
        }
    }
}

#[test]
fn statements_hash_sign_and_recover_as_recorded() {
    for case in cases("eip712_mutual_outcome", 6) {
        let id = text(&case["id"]);
        let hashes = ["typehash", "domain_separator", "struct_hash", "digest"];
        let others = ["id", "domain", "message", "host", "guest"];
        let of = members(&case, &[&hashes[..], &others].concat());
        let names = ["name", "version", "chainId", "verifyingContract"];
        let named = members(&of["domain"], &names);
        let names = ["bookingId", "outcome", "metricsHash", "deadline"];
        let message = members(&of["message"], &names);
        let escrow = EscrowId {
            chain_id: parsed(&named["chainId"]),
            address: parsed(&named["verifyingContract"]),
        };
        let code: u8 = parsed(&message["outcome"]);
        let statement = Statement {
            key: BookingKey {
                escrow,
                booking: parsed(&message["bookingId"]),
            },
            outcome: Outcome::ALL
                .into_iter()
                .find(|outcome| outcome.code() == code)
                .unwrap(),
            metrics_hash: word(&message["metricsHash"]),
            deadline: Uint64::new(parsed(&message["deadline"])).unwrap(),
        };
        let domain = domain(&escrow);
        assert_eq!(domain.name, text(&named["name"]), "{id}");
        assert_eq!(domain.version, text(&named["version"]), "{id}");
        assert_eq!(keccak256(STATEMENT_TYPE.as_bytes()), word(&of["typehash"]));
        assert_eq!(domain.separator(), word(&of["domain_separator"]), "{id}");
        assert_eq!(statement.struct_hash(), word(&of["struct_hash"]), "{id}");
        assert_eq!(statement.digest(), word(&of["digest"]), "{id}");
        for (side, other) in [("host", "guest"), ("guest", "host")] {
            let of = members(&case[side], &["test_key", "address", "signature"]);
            let key = LocalSigner::from_bytes(&word(&of["test_key"])).unwrap();
            let address: Wallet = parsed(&of["address"]);
            assert_eq!(key.wallet(), address, "{id}");
            let signature = statement.sign(&key);
            assert_eq!(signature.to_string(), text(&of["signature"]), "{id}");
            let recorded = StatementSignature::parse(text(&of["signature"])).unwrap();
            assert_eq!(statement.signer(&recorded), Ok(address), "{id}");
            assert!(!statement.is_signed_by(parsed(&case[other]["address"]), &recorded));
        }
        // Two signatures of the record fit a call that nobody recorded.
        let signature = |side: &str| bytes(&case[side]["signature"]);
        let signature = |side| StatementSignature::from_bytes(&signature(side)).unwrap();
        let call = Call::AttestMutual {
            booking: statement.key.booking,
            outcome: ContractOutcome::from_code(code).unwrap(),
            metrics_hash: statement.metrics_hash,
            deadline: statement.deadline,
            host_signature: signature("host"),
            guest_signature: signature("guest"),
        };
        assert_eq!(Call::decode(&call.encode()), Ok(call), "{id}");
    }
}

fn ending(case: &Value) -> (Ending, &'static [&'static str]) {
    let outcome = |value: &Value| text(value).parse::<Outcome>().unwrap();
    match text(&case["kind"]) {
        "final" => (Ending::Final(outcome(&case["outcome"])), &["outcome"]),
        "guest_cancel_early" => (Ending::CancelledByGuestEarly, &[]),
        "guest_cancel_late" => (Ending::CancelledByGuestLate, &[]),
        "host_cancel" => (Ending::CancelledByHost, &[]),
        "unattested" => (Ending::Unattested, &[]),
        "dispute" => {
            let ending = Ending::Disputed {
                attested: outcome(&case["attested"]),
                challenger: match text(&case["challenger"]) {
                    "host" => Side::Host,
                    "guest" => Side::Guest,
                    other => panic!("a challenger that this test does not know: {other}"),
                },
                resolved: match &case["resolved"] {
                    Value::Null => None,
                    named => Some(outcome(named)),
                },
            };
            (ending, &["attested", "challenger", "resolved"])
        }
        other => panic!("an end that this test does not know: {other}"),
    }
}

#[test]
fn every_end_credits_what_the_chain_credited() {
    let mut counts = BTreeMap::<String, u32>::new();
    for case in cases("payout", 41) {
        let id = text(&case["id"]);
        let (ending, own) = ending(&case);
        let terms = ["fee_bps", "late_cancel_penalty_bps", "challenge_bond"];
        let common = ["id", "kind", "amount", "credited"];
        let of = members(&case, &[&terms[..], &common, own].concat());
        let to = members(&of["credited"], &["host", "guest", "treasury"]);
        let terms = Terms {
            fee_bps: parsed(&of["fee_bps"]),
            late_cancel_penalty_bps: parsed(&of["late_cancel_penalty_bps"]),
            challenge_window: Seconds::ZERO,
            no_attest_buffer: Seconds::ZERO,
            dispute_timeout: Seconds::ZERO,
            challenge_bond: parsed(&of["challenge_bond"]),
        };
        let expected = Credited {
            host: parsed(&to["host"]),
            guest: parsed(&to["guest"]),
            treasury: parsed(&to["treasury"]),
        };
        let amount = parsed(&of["amount"]);
        assert_eq!(credited(amount, &terms, ending), Ok(expected), "{id}");
        let kind = text(&of["kind"]).to_owned();
        *counts.entry(kind).or_default() += 1;
    }
    let counted: Vec<_> = counts.iter().map(|(kind, n)| (kind.as_str(), *n)).collect();
    assert_eq!(
        counted,
        [
            ("dispute", 16),
            ("final", 16),
            ("guest_cancel_early", 1),
            ("guest_cancel_late", 6),
            ("host_cancel", 1),
            ("unattested", 1)
        ]
    );
}
