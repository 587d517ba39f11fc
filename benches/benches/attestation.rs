//! What a decision on a booked session costs: of one, ten and a thousand intervals on each side.
//!
//! `judge` is the policy alone; `sort` is what the intervals cost by themselves: sorting as many
//! pairs of numbers twice. `metrics` is the text of schema 2 and its hash, `verify` everything that
//! whoever checks a bundle works out again.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use session_core::attestation::{
    AttestationPolicy, Inputs, Metrics, MetricsSchema, Ruling, Stay, judge,
};
use session_core::booking::{Agreement, DecidedBy, Decision};
use session_core::escrow::{BookingKey, Outcome, Slot};
use session_core::outage::Span;
use session_core::types::{SlotId, Timestamp, TokenAmount, U256, Wallet};
use session_testkit::escrows::{usual_slot, usual_terms};

type Failure = Box<dyn std::error::Error>;

const START: u64 = 1_800_000_000;

const fn at(second: u64) -> Timestamp {
    Timestamp::from_unix(START + second)
}

/// Four hours, the longest slot.
fn slot() -> Slot {
    Slot {
        duration_mins: 240,
        ..usual_slot(Wallet::from_bytes([0xa1; 20]), at(0))
    }
}

/// As many stays, 13 seconds of each 14, in no order.
fn stays(count: u64, late: u64) -> Vec<Stay> {
    let each = 14_000 / count.max(1);
    let stay = |n: u64| Stay {
        joined_at: at(late + n * each),
        left_at: Some(at(late + n * each + each * 13 / 14)),
        last_seen_at: None,
    };
    // 7 and any power of ten have no common divisor, so every number comes once.
    (0..count).map(|n| stay(n * 7 % count)).collect()
}

fn attestation(c: &mut Criterion) -> Result<(), Failure> {
    let slot = slot();
    let policy = AttestationPolicy::default();
    let key: BookingKey = "42431/0xe5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5/7".parse()?;
    let guest = Wallet::from_bytes([0xb2; 20]);
    let outages: Vec<Span> = (0..4_u64)
        .map(|n| Span {
            from: at(n * 3000 + 500),
            to: at(n * 3000 + 520),
        })
        .collect();
    let mut group = c.benchmark_group("attestation");
    for count in [1, 10, 1000] {
        let (host_stays, guest_stays) = (stays(count, 0), stays(count, 3));
        let inputs = Inputs {
            slot: &slot,
            host: &host_stays,
            guest: &guest_stays,
            outages: &outages,
            now: at(14_460),
            chain_now: at(14_460),
        };
        let judgement = judge(&inputs, &policy);
        let Ruling::Attest { outcome } = judgement.ruling else {
            return Err("nothing to attest".into());
        };
        if outcome != Outcome::Completed {
            return Err("not completed".into());
        }
        group.bench_function(BenchmarkId::new("judge", count), |b| {
            b.iter(|| judge(black_box(&inputs), &policy));
        });
        let pairs = |stays: &[Stay]| -> Vec<(Timestamp, Option<Timestamp>)> {
            stays
                .iter()
                .map(|stay| (stay.joined_at, stay.left_at))
                .collect()
        };
        let both = [pairs(&host_stays), pairs(&guest_stays)];
        group.bench_function(BenchmarkId::new("sort", count), |b| {
            b.iter_batched(
                || both.clone(),
                |mut both| {
                    for pairs in &mut both {
                        pairs.sort();
                    }
                    both
                },
                BatchSize::SmallInput,
            );
        });
        let slot_id = SlotId::new(U256::from(3));
        let metrics = || {
            Metrics::of(
                MetricsSchema::Full,
                &key,
                (slot_id, &slot),
                guest,
                (&judgement, outcome),
                at(14_460),
                &[],
            )
        };
        group.bench_function(BenchmarkId::new("metrics", count), |b| {
            b.iter(|| black_box(metrics()).hash());
        });
        let agreement = Agreement {
            slot_id,
            slot,
            guest,
            amount: TokenAmount::new(U256::ONE),
            terms: usual_terms(),
        };
        let decision = Decision {
            outcome,
            by: DecidedBy::Presence,
            metrics_hash: metrics().hash(),
            metrics: Some(metrics()),
            decided_at: at(14_460),
            chain_now: at(14_460),
            host: host_stays.clone(),
            guest: guest_stays.clone(),
            outages: outages.clone(),
            evidence: Vec::new(),
            policy,
        };
        decision.verify(&key, &agreement)?;
        group.bench_function(BenchmarkId::new("verify", count), |b| {
            b.iter(|| black_box(&decision).verify(&key, &agreement));
        });
    }
    group.finish();
    Ok(())
}

fn all(c: &mut Criterion) {
    if let Err(failure) = attestation(c) {
        eprintln!("attestation: {failure}");
        std::process::exit(1);
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
