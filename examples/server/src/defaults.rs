//! The manual's page of defaults says what this server does.

#[path = "../../../session-core/src/manual/rows.rs"]
mod rows;

use std::collections::BTreeMap;

use crate::config::{
    CLOCK_OFFSET_SECONDS_MAX, JWT_SECRET_BYTES_MIN_DEVELOPMENT, JWT_SECRET_BYTES_MIN_PRODUCTION,
    JWT_SECRET_DISTINCT_BYTES_MIN, SHUTDOWN_SECONDS_DEFAULT,
};
use crate::escrow::{SERVICE_TOKEN_BYTES_MIN_DEVELOPMENT, SERVICE_TOKEN_BYTES_MIN_PRODUCTION};
use crate::parts::DISPATCH_WAIT;
use crate::serve::{CONNECTIONS_MAX, HEADER_BYTES_MAX, HEADER_SECONDS};

const PAGE: &str = include_str!("../../../session-core/src/manual/defaults.md");

fn size(number: usize) -> u64 {
    u64::try_from(number).unwrap()
}

#[test]
fn the_page_says_every_number_of_the_server() {
    let code: BTreeMap<&str, u64> = [
        ("SHUTDOWN_SECONDS_DEFAULT", SHUTDOWN_SECONDS_DEFAULT),
        ("HEADER_BYTES_MAX", size(HEADER_BYTES_MAX)),
        ("HEADER_SECONDS", HEADER_SECONDS),
        ("CONNECTIONS_MAX", size(CONNECTIONS_MAX)),
        ("DISPATCH_WAIT", DISPATCH_WAIT.as_secs()),
        (
            "JWT_SECRET_BYTES_MIN_DEVELOPMENT",
            size(JWT_SECRET_BYTES_MIN_DEVELOPMENT),
        ),
        (
            "JWT_SECRET_BYTES_MIN_PRODUCTION",
            size(JWT_SECRET_BYTES_MIN_PRODUCTION),
        ),
        (
            "JWT_SECRET_DISTINCT_BYTES_MIN",
            size(JWT_SECRET_DISTINCT_BYTES_MIN),
        ),
        ("CLOCK_OFFSET_SECONDS_MAX", CLOCK_OFFSET_SECONDS_MAX),
        (
            "SERVICE_TOKEN_BYTES_MIN_DEVELOPMENT",
            size(SERVICE_TOKEN_BYTES_MIN_DEVELOPMENT),
        ),
        (
            "SERVICE_TOKEN_BYTES_MIN_PRODUCTION",
            size(SERVICE_TOKEN_BYTES_MIN_PRODUCTION),
        ),
    ]
    .into();
    let page: BTreeMap<&str, u64> = rows::rows(PAGE, "The bundled server")
        .map(|(name, number)| (name, number.unwrap()))
        .collect();
    assert_eq!(page, code);
}
