//! Replays recorded exchanges and vectors against this implementation.
//!
//! It is meant for files that it has never seen: each is recognised by its top-level shape, and
//! whatever in it is not understood counts as failed, never as skipped.
//!
//! | module | holds |
//! | --- | --- |
//! | [`shape`] | which kind of file it is, and the cases in it |
//! | [`scenario`] | exchanges over HTTP: templates, rules of comparison, the manual clock |
//! | [`mod@unit`] | sign-in, access tokens and media as plain functions |
//! | [`agora`] | the vectors of Agora's media tokens |
//! | [`livekit`] | the vectors of LiveKit's media tokens |
//! | [`settlement`] | the vectors of escrows and of what is attested |
//! | [`select`] | `--only` |
//! | [`report`] | what is printed |
//! | [`stores`] | the store of a scenario |
//!
//! HTTP scenarios run in process against the router of `session-axum`, on the fakes of
//! `session-testkit`.

pub mod agora;
mod app;
pub mod case;
pub mod livekit;
mod members;
pub mod report;
pub mod scenario;
pub mod select;
pub mod settlement;
pub mod shape;
pub mod stores;
pub mod unit;

use case::Case;
use report::{FileReport, Report};
use select::Selection;
use stores::StoreKind;

/// Runs the selected cases of all files, in order.
pub async fn run(files: &[String], mut selection: Selection, store: &StoreKind) -> Report {
    let mut reports = Vec::new();
    for file in files {
        reports.push(run_file(file, &mut selection, store).await);
    }
    Report {
        files: reports,
        idle_prefixes: selection.idle(),
    }
}

async fn run_file(file: &str, selection: &mut Selection, store: &StoreKind) -> FileReport {
    let mut report = FileReport {
        file: file.to_owned(),
        failures: Vec::new(),
        passed: 0,
        left_out: 0,
    };
    for Case {
        name,
        spellings,
        work,
    } in shape::cases_of_file(file)
    {
        if spellings.is_some_and(|spellings| !selection.takes(&spellings)) {
            report.left_out += 1;
            continue;
        }
        match work.run(store).await {
            Ok(()) => report.passed += 1,
            Err(difference) => report.failures.push((name, difference)),
        }
    }
    report
}
