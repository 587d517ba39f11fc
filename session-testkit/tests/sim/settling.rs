//! One booking that is due, and two that would settle it: every interleaving, with a crash anywhere
//! and every fate of an attestation. The chain takes one, of one decision.

use std::sync::Arc;

use session_core::attestation::Done;
use session_core::booking::{Consider, Settlement, TrackBooking, Trigger};
use session_core::changeset::{Fact, Key, Lane, Row};
use session_core::escrow::{BookingKey, BookingStatus};
use session_core::service::work_lane;
use session_core::types::Seconds;
use session_testkit::bench::Bench;
use session_testkit::escrows::{ChainFault, usual_slot};
use session_testkit::invariants::audited;
use session_testkit::memory::MemoryStore;
use session_testkit::sim::explore::{Ended, Model, Step, explore};
use session_testkit::sim::{Booked, invariants};

use crate::models::{RUNS_MAX, Stage, ask, assert_broken, assert_clean, honest, now};
use crate::planted::{Bug, Planted};

const LANES: &[Lane] = &[Lane::Attest, Lane::Deliver];

/// What may become of what is sent.
const FATES: [Option<ChainFault>; 4] = [
    None,
    Some(ChainFault::AnswerLost),
    Some(ChainFault::Dropped),
    Some(ChainFault::Refused),
];

/// A booking that nobody came to, on record, at the instant at which it is due.
fn booked() -> (Stage, Booked) {
    let stage = Stage::new(2);
    let start = stage.bench.ports.clock.now().after(Seconds::new(60));
    let key: BookingKey = "42431/0xe1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1/1"
        .parse()
        .unwrap();
    let slot = usual_slot(Bench::wallet(1), start);
    let guest = Bench::wallet(2);
    let escrows = &stage.bench.escrows;
    escrows.put(key, slot, guest, BookingStatus::Booked);
    assert!(stage.run(&TrackBooking { key }));
    (stage, Booked { key, slot, guest })
}

/// Whoever is left works on. One attestation, of one decision, is on the chain, and on record as
/// such.
fn settled(ended: &Ended<'_>, booked: &Booked) -> Result<(), String> {
    let chains = ended.chains.ok_or("no chain")?;
    let store = Arc::new(MemoryStore::around(ended.world.clone()));
    let mut bench = Bench::new(store.clone(), 9);
    bench.ports.escrows = chains.of(&booked.key);
    let due = booked.slot.end().after(Seconds::new(60));
    let is_open = || {
        let world = store.world();
        world.rows().any(|(_, _, row)| match row {
            Row::BookedSession(session) => !session.settlement.is_terminal(),
            Row::Intent(intent) => !intent.is_settled(),
            _ => false,
        })
    };
    for wait in [31, 62, 93, 124] {
        if !is_open() {
            break;
        }
        for clock in [&bench.clock, chains.clock()] {
            clock.set(due.after(Seconds::new(wait + 30)));
        }
        for lane in LANES {
            now(work_lane(&bench.ports, *lane)).map_err(|error| error.to_string())?;
        }
    }
    let world = store.world();
    let accepted = chains.accepted_of(&booked.key);
    let decisions: Vec<_> = world
        .journal()
        .filter_map(|entry| match entry.fact {
            Fact::SessionDecided {
                outcome,
                metrics_hash,
                ..
            } => Some((outcome, metrics_hash)),
            _ => None,
        })
        .collect();
    let [(outcome, hash)] = decisions[..] else {
        return Err(format!("decided {decisions:?}"));
    };
    let [taken] = &accepted[..] else {
        return Err(format!("taken {accepted:?}"));
    };
    if (taken.attestation.outcome, taken.attestation.metrics_hash) != (outcome, hash) {
        return Err(format!("decided {outcome}, taken {taken:?}"));
    }
    match world.row(&Key::BookedSession(booked.key)) {
        Some((_, Row::BookedSession(session)))
            if matches!(
                session.settlement,
                Settlement::Settled {
                    done: Done::Submitted,
                    ..
                }
            ) => {}
        other => return Err(format!("on record as {other:?}")),
    }
    let complaints = audited(&world);
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(format!("{complaints:?}"))
    }
}

fn model_of(
    stage: &Stage,
    booked: &Booked,
    tasks: Vec<Step>,
    deaths_max: usize,
    passes: &[u64],
) -> Model {
    let mut model = stage.model(tasks);
    model.begin = booked.slot.end().after(Seconds::new(60));
    model.bookings = vec![*booked];
    model.fates = FATES.to_vec();
    model.deaths_max = deaths_max;
    model.merges = true;
    model.passes = passes.iter().copied().map(Seconds::new).collect();
    // What must hold of rows alone is asked at the end of each history.
    model.invariants = invariants::of_bookings();
    model
}

fn tried(name: &str, tasks: &dyn Fn(BookingKey) -> Vec<Step>, deaths_max: usize, passes: &[u64]) {
    let (stage, booked) = booked();
    let model = || model_of(&stage, &booked, tasks(booked.key), deaths_max, passes);
    let world = stage.world();
    let judge = |ended: &Ended<'_>| settled(ended, &booked);
    let explored = explore(&model, &honest(&world), &judge, RUNS_MAX);
    println!("{name}: {} states", explored.states);
    assert_clean(name, &explored);
}

fn manual(server: usize, key: BookingKey) -> Step {
    let trigger = Trigger::Manual { force: None };
    ask(server, Consider { key, trigger })
}

/// Two triggers on two servers.
fn triggers(which: usize) -> impl Fn(BookingKey) -> Vec<Step> {
    move |key| match which {
        0 => vec![Step::Sweep(0, LANES), manual(1, key)],
        1 => vec![Step::Sweep(0, LANES), Step::Sweep(1, LANES)],
        _ => vec![manual(0, key), manual(1, key)],
    }
}

const TRIGGERS: [&str; 3] = [
    "a worker and a manual attestation",
    "two workers",
    "two manual attestations",
];

#[test]
fn a_worker_and_a_manual_attestation_and_a_crash() {
    tried(TRIGGERS[0], &triggers(0), 1, &[]);
}

#[test]
fn two_workers_and_a_crash() {
    tried(TRIGGERS[1], &triggers(1), 1, &[]);
}

#[test]
fn two_manual_attestations_and_a_crash() {
    tried(TRIGGERS[2], &triggers(2), 1, &[]);
}

#[test]
fn two_workers_and_a_lease_that_runs_out() {
    let name = "two workers and a lease that runs out";
    tried(name, &triggers(1), 0, &[30]);
}

#[test]
fn a_store_that_mixes_up_hashes_is_found() {
    let (stage, booked) = booked();
    let model = || model_of(&stage, &booked, triggers(2)(booked.key), 0, &[]);
    let world = stage.world();
    let judge = |ended: &Ended<'_>| settled(ended, &booked);
    let careless = || Planted::around(Bug::MixesUpHashes, world.clone());
    let explored = explore(&model, &careless, &judge, RUNS_MAX);
    assert_broken(TRIGGERS[2], "follows", &explored);
}
