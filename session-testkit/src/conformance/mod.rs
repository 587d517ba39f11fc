#![doc = include_str!("manual.md")]

mod answers;
mod any;
mod bookings;
mod broken;
mod cancel;
mod dice;
mod expectations;
mod instants;
mod isolation;
mod journal;
mod ledger;
mod observe;
mod pages;
mod queue;
mod reads;
mod reservations;
mod rivals;
mod rows;
mod sessions;
mod stage;
mod uniques;
mod whole;

pub use broken::Broken;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use session_core::ports::Store;
use stage::Stage;

/// Where a store keeps its state: a file, a schema of a database server, a lock. Empty when it is
/// made, and gone when it is dropped.
///
/// A store behind an [`Arc`] is one, where all handles on its state are that one value.
#[async_trait]
pub trait Database: Send + Sync + 'static {
    /// A handle on the state, as a server has one that starts now. It is called several times: for
    /// servers that run side by side, and again after all of them have stopped. Where only one
    /// process may use the state, it gives the handle that there is, if there is one.
    ///
    /// # Panics
    /// Where the state cannot be reached: the check that asked for it has failed.
    async fn open(&self) -> Arc<dyn Store>;
}

#[async_trait]
impl<S: Store + 'static> Database for Arc<S> {
    async fn open(&self) -> Arc<dyn Store> {
        self.clone()
    }
}

/// How much is tried, where more finds more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effort {
    /// How often each race is run.
    pub rounds: usize,
    /// Chapters of the history of random changesets, each on rows of its own. A chapter's number
    /// is its seed.
    pub chapters: u32,
    /// Changesets in each chapter.
    pub steps: usize,
}

impl Effort {
    /// Enough to find what waits between looking and writing, as a store does that asks a
    /// database. Of one that waits for nothing a race is found by chance, in many more rounds.
    pub const ROUNDS: usize = 25;
    /// As many as give each kind of refusal some times.
    pub const CHAPTERS: u32 = 5;
    /// As many as it takes until the rows of a chapter are in each other's way.
    pub const STEPS: usize = 150;
}

impl Default for Effort {
    fn default() -> Self {
        Self {
            rounds: Self::ROUNDS,
            chapters: Self::CHAPTERS,
            steps: Self::STEPS,
        }
    }
}

/// One thing that every store does.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// What it does. Also the name of the test that [`tests!`] makes of it.
    pub name: &'static str,
    /// The name of the promise that is checked, in the contract of [`Store`]: `C5`.
    pub promise: &'static str,
    run: for<'a> fn(&'a mut Stage) -> Running<'a>,
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Broken>> + Send + 'a>>;

impl Check {
    /// Runs it on an empty database, in a task of its own. To be awaited on a tokio runtime, of
    /// several threads where races are to be any.
    ///
    /// # Errors
    /// [`Broken`] says how the promise is not kept. A panic of the store is told like that too.
    ///
    /// # Cancel safety
    /// The check goes on when nobody waits for it.
    pub async fn run(&self, database: impl Database, effort: Effort) -> Result<(), Broken> {
        let run = self.run;
        let task = tokio::spawn(async move {
            let mut stage = Stage::open(Box::new(database), effort).await;
            run(&mut stage).await
        });
        task.await.unwrap_or_else(|error| Err(error.into()))
    }
}

/// A promise that a store does not keep.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Failure {
    /// The check that found it.
    pub check: Check,
    /// What had to be, and what was.
    pub broken: Broken,
}

/// What came of all checks.
#[derive(Debug, Clone)]
#[must_use]
pub struct Report {
    failures: Vec<Failure>,
}

impl Report {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// Those that were not, in the order of [`CHECKS`].
    #[must_use]
    pub fn failures(&self) -> &[Failure] {
        &self.failures
    }
}

impl fmt::Display for Report {
    /// A line for each promise that is not kept, the difference under it, and the count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Failure { check, broken } in &self.failures {
            writeln!(f, "{} {}\n    {broken}\n", check.promise, check.name)?;
        }
        let kept = CHECKS.len().saturating_sub(self.failures.len());
        write!(f, "{kept} checks passed, {} failed", self.failures.len())
    }
}

/// Runs every check, each on a database of its own, one after the other. To be awaited on a tokio
/// runtime of several threads.
///
/// # Cancel safety
/// The check that runs goes on when nobody waits for it.
pub async fn check<D: Database>(fresh: impl AsyncFn() -> D, effort: Effort) -> Report {
    let mut failures = Vec::new();
    for check in CHECKS {
        if let Err(broken) = check.run(fresh().await, effort).await {
            let check = *check;
            failures.push(Failure { check, broken });
        }
    }
    Report { failures }
}

/// Runs one check, on threads of its own: what [`tests!`] makes tests of.
///
/// # Panics
/// Where the promise is not kept.
#[doc(hidden)]
pub fn test<D: Database>(name: &str, fresh: impl AsyncFn() -> D, effort: Effort) {
    let check = CHECKS.iter().find(|check| check.name == name);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    match (check, runtime) {
        (Some(check), Ok(runtime)) => {
            let outcome = runtime.block_on(async { check.run(fresh().await, effort).await });
            if let Err(broken) = outcome {
                panic!("{} {}\n    {broken}\n", check.promise, check.name);
            }
        }
        (None, _) => panic!("there is no check {name}"),
        (_, Err(error)) => panic!("there is no runtime: {error}"),
    }
}

/// More than the fewest processors that a machine has, so that tasks get into each other's way.
const THREADS: usize = 4;

/// Makes one test of each check.
///
/// Takes an expression that makes an empty [`Database`], which is evaluated for each test and may
/// await, and an [`Effort`] where the default will not do.
///
/// ```
/// # use std::sync::Arc;
/// use session_testkit::{conformance, memory::MemoryStore};
///
/// conformance::tests!(Arc::new(MemoryStore::new()));
/// ```
#[doc(inline)]
pub use crate::conformance_tests as tests;

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($database:expr $(,)?) => {
        $crate::conformance_tests!($database, $crate::conformance::Effort::default());
    };
    ($database:expr, $effort:expr $(,)?) => {
        $crate::conformance_checks!([$crate::conformance_each_test] { $database, $effort });
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_each_test {
    (
        { $database:expr, $effort:expr }
        $($file:ident { $($name:ident: $promise:literal,)* })*
    ) => {
        $($(
            #[test]
            fn $name() {
                $crate::conformance::test(stringify!($name), async || $database, $effort);
            }
        )*)*
    };
}

/// The one list of all checks: hands them to a macro of this crate, with something else before.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_checks {
    ([$($then:tt)*] $with:tt) => {
        $($then)*! {
            $with
            reads {
                a_store_that_answers_says_so: "P1",
                what_is_not_there_is_an_empty_list: "R2",
                the_shared_beat_comes_back_as_it_was: "R6",
                a_nonce_comes_back_as_it_was: "R6",
                a_room_comes_back_as_it_was: "R6",
                a_seat_comes_back_as_it_was: "R6",
                an_answer_comes_back_as_it_was: "R6",
                an_intent_comes_back_as_it_was: "R6",
                every_read_is_answered_in_its_place: "R1",
                open_rooms_come_newest_first: "R3",
                seats_come_by_place: "R3",
                nonces_come_oldest_first: "R3",
            }
            pages {
                an_event_comes_back_as_it_was: "R6",
                a_revocation_comes_back_as_it_was: "R6",
                events_come_by_number: "R3",
                the_last_stay_in_a_room_is_found: "R3",
                revoked_tokens_come_page_by_page: "R3",
                changes_of_credit_come_newest_first: "R3",
                pages_are_answered_beside_other_reads: "R1",
            }
            bookings {
                a_booked_session_comes_back_as_it_was: "R6",
                what_counts_beyond_63_bits_comes_back_or_is_refused: "R6",
                a_host_comes_back_as_it_was: "R6",
                booked_sessions_come_last_first: "R3",
                booked_sessions_come_page_by_page: "R3",
                a_session_is_listed_by_what_it_came_to: "R3",
            }
            expectations {
                a_row_counts_its_writes: "C3",
                rows_of_one_changeset_are_written_together: "C3",
                a_write_on_a_stale_reading_is_a_conflict: "C2",
                what_was_only_relied_on_is_checked_too: "C2",
                the_first_row_that_has_changed_is_named: "C2",
                every_kind_of_row_can_be_relied_on: "C2",
                a_write_must_expect_what_it_replaces: "C4",
                a_row_is_written_once_in_a_changeset: "C4",
                accounts_change_by_transfers_alone: "C4",
                an_intent_stays_as_far_as_it_has_come: "C9",
                a_fact_told_twice_is_no_error: "C9",
            }
            uniques {
                a_host_has_one_active_room: "C5",
                a_place_a_number_and_a_wallet_are_taken_once: "C5",
                what_is_given_up_is_free: "C5",
                a_holder_keeps_what_it_has: "C5",
                a_value_changes_hands_within_a_changeset: "C5",
                two_rows_of_a_changeset_cannot_share: "C5",
            }
            ledger {
                a_transfer_moves_both_sums: "C6",
                derived_accounts_get_no_row: "C6",
                a_repeat_gets_the_first_answer: "C7",
                an_identifier_with_other_content_is_refused: "C6",
                a_refused_identifier_stays_free: "C6",
                guards_bound_what_moves: "C6",
                what_may_not_owe_never_does: "C6",
                transfers_of_a_changeset_see_each_other: "C6",
                sums_stop_at_the_limit: "C6",
                a_malformed_transfer_is_refused: "C6",
            }
            reservations {
                a_reservation_is_resolved_once: "C6",
                a_late_reservation_can_only_be_voided: "C6",
            }
            answers {
                an_answer_is_kept_with_its_effect: "C8",
                a_second_answer_is_a_conflict: "C8",
                a_key_is_of_one_caller_and_one_command: "C8",
                a_forgotten_answer_can_be_given_anew: "C8",
            }
            journal {
                an_entry_comes_back_as_it_was: "R6",
                a_block_comes_back_as_it_was: "R6",
                the_chain_comes_back_as_it_was: "R6",
                unsealed_entries_come_oldest_first: "R3",
                an_entry_stays_at_its_first_version: "C3",
                an_entry_is_told_and_never_written: "C4",
                a_block_is_inserted_and_never_changed: "C4",
                a_fact_that_is_sealed_is_not_told_anew: "C9",
                what_is_told_is_in_no_block_until_one_names_it: "C13",
                a_block_takes_only_what_is_in_none: "C13",
                an_entry_gets_into_one_of_several_blocks: "C11",
                one_of_several_sealers_goes_on: "C11",
                a_fact_told_by_many_is_told_once: "C11",
            }
            queue {
                what_is_due_is_handed_out_in_its_lane: "Q1",
                the_longest_due_come_first: "Q2",
                a_claimed_row_is_left_alone_for_its_lease: "Q3",
                a_claim_raises_the_fence_and_not_the_version: "Q4",
                who_writes_a_row_down_holds_fence_zero: "Q4",
                an_outcome_under_a_lost_claim_is_fenced: "Q6",
                the_holders_commit_ends_its_claim: "Q7",
                a_moved_due_time_ends_the_claim: "Q7",
                any_other_write_leaves_the_claim_alone: "Q7",
                what_is_due_no_more_leaves_its_queue: "Q8",
            }
            whole {
                a_failed_expectation_leaves_no_trace: "C10",
                a_malformed_part_leaves_no_trace: "C10",
                a_value_that_is_taken_leaves_no_trace: "C10",
                a_refused_transfer_leaves_no_trace: "C10",
                a_second_answer_leaves_no_trace: "C10",
            }
            instants {
                what_is_committed_is_seen_through_every_handle: "R5",
                nobody_sees_a_part_of_a_commit: "R4",
                what_is_committed_outlives_every_handle: "C12",
            }
            isolation {
                an_update_is_not_lost: "C11",
                counting_together_loses_nothing: "C11",
                no_write_skew_over_rows: "C11",
                no_write_skew_over_absent_rows: "C11",
                no_write_skew_between_a_row_and_an_absence: "C11",
                an_account_that_is_relied_on_stays: "C11",
                a_set_is_guarded_by_its_parent: "C11",
            }
            rivals {
                one_of_many_takes_a_unique_value: "C11",
                one_identifier_moves_once: "C11",
                guards_hold_at_the_instant_of_the_commit: "C11",
                a_reservation_is_resolved_by_one: "C11",
                a_request_is_answered_once: "C11",
                workers_at_once_get_different_rows: "Q5",
                an_outcome_and_a_takeover_exclude_each_other: "Q6",
                a_claim_does_not_undo_a_moved_due_time: "Q7",
            }
            cancel {
                a_commit_that_nobody_waits_for_is_whole_or_not_there: "G2",
                a_claim_that_nobody_waits_for_comes_up_again: "G2",
                callers_that_leave_take_nothing_with_them: "G2",
            }
            any {
                any_changeset_gets_the_verdict_of_apply: "C1",
            }
        }
    };
}

macro_rules! list {
    ({} $($file:ident { $($name:ident: $promise:literal,)* })*) => {
        /// Every check, in the order in which it is easiest to write a store: what an earlier one
        /// finds makes later ones fail too.
        pub const CHECKS: &[Check] = &[$($(
            Check {
                name: stringify!($name),
                promise: $promise,
                run: |stage| Box::pin($file::$name(stage)),
            },
        )*)*];
    };
}

crate::conformance_checks!([list] {});
