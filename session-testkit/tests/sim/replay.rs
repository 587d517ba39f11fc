//! The same choices give the same history; a failing one is made short; old ones stay clean.

use std::fs;
use std::path::Path;

use session_testkit::sim::corpus::Case;
use session_testkit::sim::shrink::{shrink, story};
use session_testkit::sim::{Choices, Fault, Plan, run, systems};

use crate::planted::{Bug, Planted};

const STEPS: u64 = 500;

#[test]
fn the_same_seed_gives_the_same_history_byte_for_byte() {
    for system in systems::all() {
        for seed in 0..8 {
            let name = system.name();
            let plan = || Plan::of_seed(systems::named(name).unwrap(), seed).with_steps(STEPS);
            let (first, second) = (run(plan().with_lines()), run(plan().with_lines()));
            assert_eq!(first, second, "seed {seed} of {name}");
            assert!(first.lines.len() > 50, "seed {seed} of {name} is empty");

            let again = Plan::of_choices(
                systems::named(name).unwrap(),
                Choices::recorded(first.choices.clone()),
            );
            assert_eq!(run(again.with_steps(STEPS).with_lines()), first);
        }
    }
}

#[test]
fn plain_choices_are_a_history_without_a_fault() {
    for system in systems::all() {
        let plan = Plan::of_choices(system, Choices::recorded(Vec::new())).with_steps(STEPS);
        let outcome = run(plan);
        assert_eq!(outcome.violation, None);
        assert!(outcome.faults.is_empty(), "{:?}", outcome.faults);
        assert_eq!(outcome.steps, STEPS);
    }
}

#[test]
fn two_hundred_seeds_are_clean_and_meet_most_kinds_of_fault() {
    let mut met = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let systems = systems::all();
        let place = usize::try_from(seed).unwrap() % systems.len();
        let system = systems.into_iter().nth(place).unwrap();
        let outcome = run(Plan::of_seed(system, seed).with_steps(STEPS));
        assert_eq!(outcome.violation, None, "seed {seed}");
        met.extend(outcome.faults.into_keys());
    }
    assert!(met.len() + 10 >= Fault::ALL.len(), "{met:?}");
}

#[test]
fn a_failing_history_is_made_short_and_fails_in_the_same_way() {
    let plan_for = |choices: Choices, steps: u64| {
        Plan::of_choices(systems::named("free-rooms").unwrap(), choices)
            .with_steps(steps)
            .on(Planted::on_its_own(Bug::TransferTwice))
            .judged_by("charged_once")
    };
    let failing =
        |seed| Some(run(plan_for(Choices::of_seed(seed), STEPS))).filter(|o| o.violation.is_some());
    let first = (0..1000).find_map(failing).expect("it is found");
    let violation = first.violation.clone().unwrap();
    let short = shrink(&violation, &first.choices, STEPS, 300, &plan_for);
    assert!(
        short.choices.len() < first.choices.len(),
        "{}",
        short.choices.len()
    );

    let again = run(plan_for(Choices::recorded(short.choices), short.steps).with_lines());
    let told = again.violation.as_ref().expect("it still fails");
    assert_eq!(told.invariant, violation.invariant);
    let story = story(&again, "session-sim --seeds 1");
    assert!(
        story.contains("charged_once is broken") && story.ends_with("--seeds 1\n"),
        "{story}"
    );
}

#[test]
fn what_was_once_found_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sim/corpus");
    let mut tried = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "case") {
            continue;
        }
        let case: Case = fs::read_to_string(&file).unwrap().parse().unwrap();
        assert!(
            !case.about.is_empty() && !case.invariant.is_empty(),
            "{}",
            file.display()
        );
        let outcome = run(case.plan().expect("the system is there"));
        assert_eq!(
            outcome.violation,
            None,
            "{}: {}",
            file.display(),
            case.about
        );
        tried += 1;
    }
    assert!(tried > 0, "the corpus is empty");
}
