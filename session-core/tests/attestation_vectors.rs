//! The attestation policy against recorded cases, and what must hold of it on any.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use session_core::attestation::{
    AttestationPolicy, Class, FullMetrics, Inputs, Measures, PlainMetrics, Reread, Ruling, Stay,
    Window, classify, judge, too_late,
};
use session_core::crypto::keccak256;
use session_core::escrow::{Booking, BookingStatus, ContractOutcome, Outcome, Slot, SlotStatus};
use session_core::outage::Span;
use session_core::types::{
    BookingId, Seconds, SlotId, Timestamp, TokenAmount, U256, Wallet, Word, encode_hex,
};

fn section(name: &str, expected: usize) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/settlement.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = vectors[name].as_array().unwrap().clone();
    assert_eq!(cases.len(), expected, "{name}");
    cases
}

const fn at(unix: u64) -> Timestamp {
    Timestamp::from_unix(unix)
}

const fn slot(start: u64, duration_mins: u32, grace_mins: u32, min_overlap_mins: u32) -> Slot {
    Slot {
        host: Wallet::from_bytes([0xa1; 20]),
        start_time: at(start),
        duration_mins,
        price: TokenAmount::new(U256::ONE),
        grace_mins,
        min_overlap_mins,
        cancel_cutoff_mins: 0,
        status: SlotStatus::Booked,
    }
}

#[derive(Deserialize)]
struct Case {
    id: String,
    slot: SlotCase,
    host: Vec<Stay>,
    guest: Vec<Stay>,
    now: Timestamp,
    chain_now: Timestamp,
    expect: Value,
    measures: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotCase {
    start_time: u64,
    duration_mins: u32,
    grace_mins: u32,
    min_overlap_mins: u32,
}

fn measured(measures: &Measures) -> Value {
    serde_json::json!({
        "host_secs": measures.host_seconds,
        "guest_secs": measures.guest_seconds,
        "overlap_secs": measures.overlap_seconds,
        "host_alone_secs": measures.host_alone_seconds,
        "guest_alone_secs": measures.guest_alone_seconds,
        "anomalies": measures.anomalies,
    })
}

fn told(ruling: &Ruling) -> Value {
    match *ruling {
        Ruling::Attest { outcome } => {
            serde_json::json!({"state": "attest", "outcome": outcome.name()})
        }
        Ruling::Wait {
            reason,
            outcome: None,
            ..
        } => serde_json::json!({"state": "wait", "reason": reason.name()}),
        Ruling::Wait {
            reason,
            outcome: Some(outcome),
            retry_at,
        } => serde_json::json!({
            "state": "wait",
            "reason": reason.name(),
            "outcome": outcome.name(),
            "retry_at": retry_at,
        }),
        Ruling::WindowMissed { outcome } => serde_json::json!({
            "state": "window_missed", "reason": too_late(outcome), "outcome": outcome.name(),
        }),
    }
}

#[test]
fn every_case_of_the_policy() {
    for case in section("attestation", 224) {
        let case: Case = serde_json::from_value(case).unwrap();
        let SlotCase {
            start_time,
            duration_mins,
            grace_mins,
            min_overlap_mins,
        } = case.slot;
        let judgement = judge(
            &Inputs {
                slot: &slot(start_time, duration_mins, grace_mins, min_overlap_mins),
                host: &case.host,
                guest: &case.guest,
                outages: &[],
                now: case.now,
                chain_now: case.chain_now,
            },
            &AttestationPolicy::default(),
        );
        assert_eq!(told(&judgement.ruling), case.expect, "{}", case.id);
        assert_eq!(measured(&judgement.measures), case.measures, "{}", case.id);
    }
}

#[test]
fn every_text_of_metrics() {
    for case in section("metrics_hash", 15) {
        let (input, text) = (&case["input"], case["preimage_utf8"].as_str().unwrap());
        let made = if case["schema"] == 1 {
            assert!(PlainMetrics::parse(text).is_ok());
            let number = |name: &str| input[name].as_u64().unwrap();
            PlainMetrics {
                booking_id: input["booking_id"].as_str().unwrap().to_string(),
                host_joined_at: at(number("host_joined_at")),
                host_left_at: at(number("host_left_at")),
                guest_joined_at: at(number("guest_joined_at")),
                guest_left_at: at(number("guest_left_at")),
                overlap_seconds: Seconds::new(number("overlap_seconds")),
            }
            .text()
        } else {
            let metrics: FullMetrics = serde_json::from_value(input.clone()).unwrap();
            assert_eq!(FullMetrics::parse(text).as_ref(), Ok(&metrics));
            metrics.text()
        };
        assert_eq!(made, text, "{}", case["id"]);
        let hash = "0x".to_string() + &encode_hex(&keccak256(text.as_bytes()));
        assert_eq!(case["hash"], hash, "{}", case["id"]);
    }
}

fn booking(status: BookingStatus, outcome: ContractOutcome, hash: [u8; 32]) -> Booking {
    Booking {
        slot: SlotId::new(U256::ONE),
        guest: Wallet::from_bytes([0xb2; 20]),
        amount: TokenAmount::new(U256::ONE),
        status,
        oracle_outcome: outcome,
        metrics_hash: hash,
        attested_at: Timestamp::EPOCH,
        finalizable_at: Timestamp::EPOCH,
        challenger: Wallet::from_bytes([0; 20]),
        bond: TokenAmount::new(U256::ZERO),
        disputed_at: Timestamp::EPOCH,
    }
}

/// What a recorded case says of the booking as it reads afterwards.
fn classified(case: &Value) -> Class {
    let us = Wallet::from_bytes([1; 20]);
    let window = Window {
        earliest: at(100),
        latest: at(200),
    };
    let after = case.get("status_after").or(case.get("status_before"));
    let booking = after.map(|name| {
        let status = BookingStatus::ALL
            .iter()
            .find(|status| status.name() == name);
        booking(*status.unwrap(), ContractOutcome::NoShowHost, [9; 32])
    });
    let reread = booking.as_ref().map(|booking| Reread {
        booking,
        chain_now: match case.get("window").and_then(Value::as_str) {
            Some("before") => at(99),
            Some("after") => at(201),
            None | Some("inside") => at(200),
            Some(other) => panic!("no such place: {other}"),
        },
        oracle: match case.get("oracle_matches") {
            Some(Value::Bool(false)) => Wallet::from_bytes([2; 20]),
            None | Some(Value::Bool(true)) => us,
            Some(other) => panic!("neither: {other}"),
        },
    });
    classify(
        reread.as_ref(),
        (Outcome::Completed, Word::new([7; 32])),
        &window,
        us,
    )
}

#[test]
fn every_class_of_an_attempt() {
    for case in section("submit_classification", 18) {
        let class = classified(&case);
        let (state, reason) = match class {
            Class::Done(done) => ("done", Some(done.name())),
            Class::Wait(_) => ("wait", None),
            Class::WindowMissed => ("window_missed", None),
            Class::NotOracle => ("blocked", Some("not_oracle")),
            Class::Retry => ("retry", None),
            Class::ChainUnavailable => ("retry", Some("chain_unavailable")),
        };
        let mut told = serde_json::json!({"state": state});
        if let Some(reason) = reason {
            told["reason"] = reason.into();
        }
        assert_eq!(told, case["expect"], "{}", case["id"]);
    }
}

#[test]
fn what_is_ours_is_told_by_outcome_and_hash() {
    use BookingStatus::{Attested, Disputed, Finalized, Resolved};
    let us = Wallet::from_bytes([1; 20]);
    let window = Window {
        earliest: at(1),
        latest: at(2),
    };
    let class = |status, outcome, hash| {
        let booking = booking(status, outcome, hash);
        let reread = Reread {
            booking: &booking,
            chain_now: at(9),
            oracle: us,
        };
        classify(Some(&reread), (Outcome::Completed, Word::ZERO), &window, us).name()
    };
    for status in [Attested, Disputed, Resolved, Finalized] {
        let ours = class(status, ContractOutcome::Completed, [0; 32]);
        assert_eq!(ours, "submitted");
        assert_ne!(ours, class(status, ContractOutcome::Completed, [1; 32]));
    }
    // A refund shows the zero hash too, and no outcome.
    let refunded = class(Finalized, ContractOutcome::None, [0; 32]);
    assert_eq!(refunded, "already_settled");
}

const START: u64 = 1_800_000_000;

/// Seconds of presence counted one by one: what the intervals must add up to.
fn is_there(stays: &[Stay], outages: &[Span], now: Timestamp, second: Timestamp) -> bool {
    let within_a_stay = stays.iter().any(|stay| {
        let end = stay
            .left_at
            .or(stay.last_seen_at.map(|seen| seen.max(stay.joined_at)))
            .unwrap_or(now)
            .min(now);
        let plausible =
            stay.joined_at <= now && stay.left_at.is_none_or(|left| left >= stay.joined_at);
        plausible && stay.joined_at <= second && second < end
    });
    let in_an_outage = outages
        .iter()
        .any(|span| span.from <= second && second < span.to);
    within_a_stay && !in_an_outage
}

fn stays() -> impl Strategy<Value = Vec<Stay>> {
    let instant = || (0_u64..260).prop_map(|second| at(START - 60 + second));
    let stay = (
        instant(),
        proptest::option::of(instant()),
        proptest::option::of(instant()),
    );
    let stay = stay.prop_map(|(joined_at, left_at, last_seen_at)| Stay {
        joined_at,
        left_at,
        last_seen_at,
    });
    proptest::collection::vec(stay, 0..5)
}

fn outages() -> impl Strategy<Value = Vec<Span>> {
    let span = (0_u64..240, 0_u64..60).prop_map(|(from, length)| Span {
        from: at(START - 60 + from),
        to: at(START - 60 + from + length),
    });
    proptest::collection::vec(span, 0..4)
}

proptest! {
    #[test]
    fn intervals_add_up_to_the_seconds_one_by_one(
        host in stays(),
        guest in stays(),
        outages in outages(),
        now in 0_u64..300,
    ) {
        let slot = slot(START, 2, 1, 1);
        let now = at(START - 60 + now);
        let inputs = Inputs {
            slot: &slot, host: &host, guest: &guest, outages: &outages, now, chain_now: now,
        };
        let judgement = judge(&inputs, &AttestationPolicy::default());
        let count = |counts: &dyn Fn(bool, bool) -> bool| {
            let seconds = (START..START + 120).map(at).filter(|second| counts(
                is_there(&host, &outages, now, *second),
                is_there(&guest, &outages, now, *second),
            ));
            Seconds::new(seconds.count() as u64)
        };
        let measures = &judgement.measures;
        prop_assert_eq!(measures.host_seconds, count(&|host, _| host));
        prop_assert_eq!(measures.guest_seconds, count(&|_, guest| guest));
        prop_assert_eq!(measures.overlap_seconds, count(&|host, guest| host && guest));
        prop_assert_eq!(measures.host_alone_seconds, count(&|host, guest| host && !guest));
        prop_assert_eq!(measures.guest_alone_seconds, count(&|host, guest| !host && guest));
        for presence in [&judgement.host, &judgement.guest] {
            prop_assert!(presence.intervals.iter().all(|interval| interval.from < interval.to));
            prop_assert!(presence.intervals.windows(2).all(|pair| pair[0].to <= pair[1].from));
        }
    }

    #[test]
    fn what_is_completed_stays_completed(
        host in stays(),
        guest in stays(),
        outages in outages(),
        now in 0_u64..300,
        later in 0_u64..5000,
    ) {
        let slot = slot(START, 2, 1, 1);
        // Only what is past can be on record.
        let now = at(START + 140 + now);
        let ruling = |now| {
            let inputs = Inputs {
                slot: &slot, host: &host, guest: &guest, outages: &outages, now, chain_now: now,
            };
            judge(&inputs, &AttestationPolicy::default()).ruling
        };
        if ruling(now) == (Ruling::Attest { outcome: Outcome::Completed }) {
            prop_assert_eq!(ruling(now.after(Seconds::new(later))), ruling(now));
        }
    }

    #[test]
    fn a_wait_ends_later_than_now_and_not_after_the_end(
        host in stays(),
        guest in stays(),
        now in 0_u64..300,
    ) {
        let slot = slot(START, 2, 1, 1);
        let now = at(START - 60 + now);
        let inputs = Inputs {
            slot: &slot, host: &host, guest: &guest, outages: &[], now, chain_now: now,
        };
        let policy = AttestationPolicy::default();
        if let Ruling::Wait { retry_at, .. } = judge(&inputs, &policy).ruling {
            prop_assert!(now < retry_at);
            prop_assert!(retry_at <= slot.end().max(policy.due(&slot)));
        }
    }
}

#[test]
fn an_outage_takes_the_same_from_both() {
    let slot = slot(START, 30, 5, 10);
    let stay = |joined: u64, left: Option<u64>| Stay {
        joined_at: at(START + joined),
        left_at: left.map(|left| at(START + left)),
        last_seen_at: None,
    };
    let outage = Span {
        from: at(START + 300),
        to: at(START + 900),
    };
    let judged = |outages: &[Span]| {
        let inputs = Inputs {
            slot: &slot,
            host: &[stay(0, Some(1500))],
            guest: &[stay(0, Some(700)), stay(800, Some(1000))],
            outages,
            now: at(START + 2000),
            chain_now: at(START + 2000),
        };
        judge(&inputs, &AttestationPolicy::default())
    };
    let completed = Ruling::Attest {
        outcome: Outcome::Completed,
    };
    assert_eq!(judged(&[]).ruling, completed);
    let cut = judged(&[outage]);
    assert_eq!(cut.measures.overlap_seconds, Seconds::new(400));
    assert_eq!(cut.measures.guest_alone_seconds, Seconds::ZERO);
    // One that ends before it begins is none: it makes no second count twice.
    let backwards = Span {
        from: at(START + 900),
        to: at(START + 300),
    };
    assert_eq!(judged(&[backwards]), judged(&[]));
    let told: Vec<_> = cut
        .host
        .intervals
        .iter()
        .map(|i| (i.from.unix() - START, i.to.unix() - START, i.source.name()))
        .collect();
    assert_eq!(told, [(0, 300, "last_seen"), (900, 1500, "left")]);
}

#[test]
fn a_text_of_an_unknown_schema_is_refused() {
    let known = &section("metrics_hash", 15);
    let known = known.iter().find(|case| case["schema"] == 2).unwrap();
    let text = known["preimage_utf8"].as_str().unwrap();
    assert!(FullMetrics::parse(text).is_ok());
    for (from, to) in [
        ("session-metrics/2", "session-metrics/3"),
        ("presence-overlap/1", "presence-overlap/2"),
        ("{\"bookingId\"", "{ \"bookingId\""),
        ("{\"bookingId\"", "{\"bonus\":1,\"bookingId\""),
        ("\"bookingId\":\"7\"", "\"bookingId\":\"07\""),
    ] {
        let other = text.replacen(from, to, 1);
        assert_ne!(other, text);
        assert!(FullMetrics::parse(&other).is_err(), "{other}");
    }
    assert!("7".parse::<BookingId>().is_ok());
}
