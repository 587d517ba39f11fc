//! The suite for stores finds what is planted: stores with one fault each, and the checks that
//! have to say so.

#![allow(clippy::expect_used, reason = "a test fails by a panic")]

mod bookings;
mod commits;
mod faulty;
mod journal;
mod reads;
mod transfers;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use faulty::{Fault, Planted, SOUND};
use session_core::changeset::{Changeset, Receipt};
use session_core::ports::{Claim, Claimed, CommitError, Read, Store, StoreError, StoredRow};
use session_testkit::conformance::{self, CHECKS, Effort};

/// Enough on one thread, where tasks take turns, and what can go wrong in a race does.
fn effort() -> Effort {
    let mut effort = Effort::default();
    (effort.rounds, effort.chapters) = (8, 1);
    effort
}

/// Names of the checks that fail, on one thread.
async fn caught(fault: Fault) -> Vec<&'static str> {
    let report = conformance::check(async || Planted::new(fault), effort()).await;
    let failures = report.failures().iter();
    failures.map(|failure| failure.check.name).collect()
}

#[tokio::test]
async fn without_a_fault_nothing_is_found() {
    let report = conformance::check(async || Planted::new(SOUND), effort()).await;
    assert!(report.is_clean(), "{report}");
    let last = format!("{} checks passed, 0 failed", CHECKS.len());
    assert_eq!(report.to_string(), last);
}

#[tokio::test]
async fn each_fault_is_found_by_the_checks_it_is_for() {
    let parts = [
        reads::FAULTS,
        bookings::FAULTS,
        commits::FAULTS,
        journal::FAULTS,
        transfers::FAULTS,
        work::FAULTS,
    ];
    let faults = parts.concat();
    let mut found: BTreeSet<&str> = BTreeSet::new();
    for fault in faults {
        let caught = caught(fault).await;
        for expected in fault.caught_by {
            let is_caught = caught.contains(expected);
            assert!(is_caught, "{}: not {expected}, but {caught:#?}", fault.name);
        }
        assert!(!fault.caught_by.is_empty(), "{}: {caught:#?}", fault.name);
        found.extend(fault.caught_by);
    }
    // Every check can fail.
    let idle: Vec<_> = CHECKS
        .iter()
        .filter(|check| !found.contains(&check.name))
        .collect();
    assert!(idle.is_empty(), "no fault is planted for {idle:#?}");
}

/// A store of which nothing is written yet.
#[derive(Debug)]
struct Unwritten;

#[async_trait]
impl Store for Unwritten {
    async fn read(&self, _: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        panic!("reads come next week")
    }

    async fn commit(&self, _: &Changeset) -> Result<Receipt, CommitError> {
        panic!("commits come next week")
    }

    async fn claim_due(&self, _: &Claim) -> Result<Vec<Claimed>, StoreError> {
        panic!("claims come next week")
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_store_that_panics_fails_its_checks_and_the_report_says_where() {
    let report = conformance::check(async || Arc::new(Unwritten), effort()).await;
    assert_eq!(report.failures().len(), CHECKS.len());
    let text = report.to_string();
    assert!(text.contains("R2 what_is_not_there_is_an_empty_list\n    it panicked: reads come"));
    assert!(text.ends_with(&format!("0 checks passed, {} failed", CHECKS.len())));
}

#[test]
fn the_contract_and_the_suite_name_the_same_promises() {
    let contract = include_str!("../../../session-core/src/ports/store.rs");
    let promised: BTreeSet<&str> = contract
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("/// - **"))
        .filter_map(|line| line.split_once(','))
        .map(|(name, _)| name)
        .collect();
    let checked: BTreeSet<&str> = CHECKS.iter().map(|check| check.promise).collect();
    // What holds of every call is what the others are made of, and no call can be made to be
    // unavailable.
    let said_by_others = BTreeSet::from(["C10", "C12", "G1", "G3"]);
    let left: Vec<_> = promised
        .difference(&checked)
        .filter(|p| !said_by_others.contains(*p))
        .collect();
    assert_eq!(left, Vec::<&&str>::new(), "promised and not checked");
    let left: Vec<_> = checked.difference(&promised).collect();
    assert_eq!(left, Vec::<&&str>::new(), "checked and not promised");
    assert!(promised.len() > 25, "{promised:?}");
}

#[test]
fn the_manual_says_of_each_check_what_it_means() {
    let manual = include_str!("../../src/conformance/manual.md");
    for check in CHECKS {
        let row = format!("| {} `{}` |", check.promise, check.name);
        assert!(manual.contains(&row), "{row}");
    }
    let rows = manual
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("_"))
        .count();
    assert_eq!(rows, CHECKS.len(), "rows about checks that there are not");
}
