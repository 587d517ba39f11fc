//! The manual's page of defaults says what this crate does.

#[path = "../../session-core/src/manual/rows.rs"]
mod rows;

use std::collections::BTreeMap;

use crate::bookings::BOOKING_ID_BYTES_MAX;
use crate::clock::PAUSE_MAX_MS;
use crate::json::DEPTH_MAX;
use crate::limits::{CHECKS_BETWEEN_FORGETTING, KEYS_MAX, Limits, Rate};
use crate::measure::{CLOCK_BEHIND_SECONDS_WARNED, MEASURE_EVERY, UNSEALED_SECONDS_WARNED};
use crate::observe::REQUEST_ID_CHARS_MAX;
use crate::page::{CURSOR_CHARS_MAX, LIMIT_DEFAULT, LIMIT_MAX};
use crate::problem::RETRY_AFTER_SECONDS;
use crate::revoked::{REVOKED_EVERY, REVOKED_FRESH_FOR, REVOKED_KEPT_MAX, REVOKED_OVERLAP};
use crate::routes::stream::{EVENTS_EVERY, EVENTS_FAILURES_MAX, EVENTS_KEEP_ALIVE, EVENTS_PAGE};
use crate::workers::{BEATS_MISSED_MAX, LOOK_EVERY};

const PAGE: &str = include_str!("../../session-core/src/manual/defaults.md");

fn size(number: usize) -> u64 {
    u64::try_from(number).unwrap()
}

#[test]
fn the_page_says_every_number_of_this_crate() {
    // Taken apart by all of its members, so that one more does not compile until it is here.
    let Limits {
        body_bytes_max,
        body_seconds,
        uri_bytes_max,
        handler_seconds,
        in_flight_max,
        streams_max,
        streams_per_wallet_max,
        auth_per_address,
        other_per_address,
        enter_per_wallet,
        other_per_wallet,
    } = Limits::default();
    let mut code: BTreeMap<String, u64> = [
        ("Limits::body_bytes_max", size(body_bytes_max)),
        ("Limits::body_seconds", body_seconds),
        ("Limits::uri_bytes_max", size(uri_bytes_max)),
        ("Limits::handler_seconds", handler_seconds),
        ("Limits::in_flight_max", size(in_flight_max)),
        ("Limits::streams_max", size(streams_max)),
        (
            "Limits::streams_per_wallet_max",
            size(streams_per_wallet_max),
        ),
        ("REVOKED_EVERY", REVOKED_EVERY.as_secs()),
        ("REVOKED_FRESH_FOR", REVOKED_FRESH_FOR.as_secs()),
        ("REVOKED_OVERLAP", REVOKED_OVERLAP.get()),
        ("REVOKED_KEPT_MAX", size(REVOKED_KEPT_MAX)),
        ("EVENTS_EVERY", EVENTS_EVERY.as_secs()),
        ("EVENTS_KEEP_ALIVE", EVENTS_KEEP_ALIVE.as_secs()),
        ("EVENTS_PAGE", EVENTS_PAGE.into()),
        ("EVENTS_FAILURES_MAX", EVENTS_FAILURES_MAX.into()),
        ("LIMIT_DEFAULT", LIMIT_DEFAULT.into()),
        ("LIMIT_MAX", LIMIT_MAX.into()),
        ("CURSOR_CHARS_MAX", size(CURSOR_CHARS_MAX)),
        ("DEPTH_MAX", size(DEPTH_MAX)),
        ("KEYS_MAX", size(KEYS_MAX)),
        ("CHECKS_BETWEEN_FORGETTING", CHECKS_BETWEEN_FORGETTING),
        ("REQUEST_ID_CHARS_MAX", size(REQUEST_ID_CHARS_MAX)),
        ("RETRY_AFTER_SECONDS", RETRY_AFTER_SECONDS),
        ("LOOK_EVERY", LOOK_EVERY.as_secs()),
        ("BEATS_MISSED_MAX", BEATS_MISSED_MAX),
        ("MEASURE_EVERY", MEASURE_EVERY.as_secs()),
        ("UNSEALED_SECONDS_WARNED", UNSEALED_SECONDS_WARNED),
        ("CLOCK_BEHIND_SECONDS_WARNED", CLOCK_BEHIND_SECONDS_WARNED),
        ("PAUSE_MAX_MS", PAUSE_MAX_MS),
        ("BOOKING_ID_BYTES_MAX", size(BOOKING_ID_BYTES_MAX)),
    ]
    .map(|(name, number)| (name.to_owned(), number))
    .into();
    for (name, rate) in [
        ("auth_per_address", auth_per_address),
        ("other_per_address", other_per_address),
        ("enter_per_wallet", enter_per_wallet),
        ("other_per_wallet", other_per_wallet),
    ] {
        let Rate { burst, per_minute } = rate.unwrap();
        code.insert(format!("Limits::{name}.burst"), burst.get().into());
        code.insert(
            format!("Limits::{name}.per_minute"),
            per_minute.get().into(),
        );
    }
    let page: BTreeMap<String, u64> = rows::rows(PAGE, "HTTP")
        .map(|(name, number)| (name.to_owned(), number.unwrap()))
        .collect();
    assert_eq!(page, code);
}
