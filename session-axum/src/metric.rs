//! The names of all metrics, and what they mean. `docs/operations.md` has them in a table, which a
//! test compares with what a process really shows.

use session_core::changeset::Lane;

/// Requests at this moment.
pub(crate) const HTTP_IN_FLIGHT: &str = "session_http_requests_in_flight";
/// Requests whose client went before the answer.
pub(crate) const HTTP_ABANDONED: &str = "session_http_requests_abandoned_total";
/// Requests that were answered.
pub(crate) const HTTP_REQUESTS: &str = "session_http_requests_total";
/// How long that took.
pub(crate) const HTTP_SECONDS: &str = "session_http_request_seconds";
/// Answers that say no, by the code of the refusal.
pub(crate) const HTTP_REFUSALS: &str = "session_http_refusals_total";
/// Calls that came too often.
pub(crate) const RATE_LIMITED: &str = "session_rate_limited_total";
/// Wallets that signed in.
pub(crate) const SIGN_INS: &str = "session_sign_ins_total";
/// How long a call of the store took.
pub(crate) const STORE_SECONDS: &str = "session_store_call_seconds";
/// Calls of the store that came to nothing.
pub(crate) const STORE_FAILURES: &str = "session_store_failures_total";
/// Rows that workers took, by what came of them.
pub(crate) const WORK_ROWS: &str = "session_work_rows_total";
/// How long the longest due row of a claim had been due.
pub(crate) const WORK_LATENESS: &str = "session_work_lateness_seconds";
/// Spans in which no server was alive, as this one recorded them.
pub(crate) const OUTAGE_SECONDS: &str = "session_outage_seconds_total";
/// Age of the oldest entry of the journal that is in no block.
pub(crate) const UNSEALED_SECONDS: &str = "session_journal_unsealed_seconds";
/// How far this clock is behind the one that servers follow.
pub(crate) const CLOCK_BEHIND_SECONDS: &str = "session_clock_behind_seconds";

/// What may come of a row that a worker took.
pub(crate) const WORK_OUTCOMES: [&str; 6] = [
    "changed",
    "evicted",
    "room_closed",
    "sealed",
    "lost",
    "failed",
];

/// What a store can be asked.
pub(crate) const STORE_CALLS: [&str; 4] = ["read", "commit", "claim", "ping"];

/// Why a call of the store comes to nothing: the store, then the world that moved on, then a fault.
pub(crate) const STORE_FAILURE_KINDS: [&str; 7] = [
    "unavailable",
    "corrupt",
    "conflict",
    "fenced",
    "ledger",
    "taken",
    "malformed",
];

/// Tells the recorder, if there is one, what the metrics mean, and begins at zero what would
/// otherwise not be there until it first happens: an alert on a rate needs a beginning.
pub(crate) fn describe() {
    use metrics::{describe_counter, describe_gauge, describe_histogram};

    describe_gauge!(HTTP_IN_FLIGHT, "requests at this moment");
    describe_counter!(
        HTTP_ABANDONED,
        "requests whose client went before the answer"
    );
    describe_counter!(HTTP_REQUESTS, "answered requests");
    describe_histogram!(HTTP_SECONDS, "from the head of a request to its answer");
    describe_counter!(HTTP_REFUSALS, "answers that say no, by their code");
    describe_counter!(RATE_LIMITED, "calls that came too often");
    describe_counter!(SIGN_INS, "wallets that signed in");
    describe_histogram!(STORE_SECONDS, "calls of the store");
    describe_counter!(STORE_FAILURES, "calls of the store that came to nothing");
    describe_counter!(WORK_ROWS, "rows that workers took, by what came of them");
    describe_histogram!(
        WORK_LATENESS,
        "how long the longest due row of a claim was due"
    );
    describe_counter!(OUTAGE_SECONDS, "outages that this server recorded");
    describe_gauge!(UNSEALED_SECONDS, "age of the oldest entry in no block");
    describe_gauge!(
        CLOCK_BEHIND_SECONDS,
        "how far this clock is behind the shared one"
    );

    metrics::gauge!(HTTP_IN_FLIGHT).increment(0.0);
    metrics::gauge!(UNSEALED_SECONDS).increment(0.0);
    metrics::gauge!(CLOCK_BEHIND_SECONDS).increment(0.0);
    for counter in [HTTP_ABANDONED, SIGN_INS, OUTAGE_SECONDS] {
        metrics::counter!(counter).increment(0);
    }
    for group in ["auth", "enter", "other"] {
        metrics::counter!(RATE_LIMITED, "group" => group, "by" => "address").increment(0);
    }
    for group in ["enter", "other"] {
        metrics::counter!(RATE_LIMITED, "group" => group, "by" => "wallet").increment(0);
    }
    for call in STORE_CALLS {
        // Only a commit can be refused.
        let kinds = if call == "commit" { 7 } else { 2 };
        for kind in STORE_FAILURE_KINDS.into_iter().take(kinds) {
            metrics::counter!(STORE_FAILURES, "call" => call, "kind" => kind).increment(0);
        }
    }
    for lane in Lane::ALL {
        for outcome in WORK_OUTCOMES {
            metrics::counter!(WORK_ROWS, "lane" => lane.name(), "outcome" => outcome).increment(0);
        }
    }
}
