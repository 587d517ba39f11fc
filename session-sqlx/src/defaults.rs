//! The manual's page of defaults says what this crate does.

#[path = "../../session-core/src/manual/rows.rs"]
mod rows;

use std::collections::BTreeMap;

use crate::lane::{GROUP_MAX, QUEUE_MAX};
use crate::{ACQUIRE_TIMEOUT, ALONE_MAX, BUSY_TIMEOUT, CONNECTIONS_MAX, READERS_MAX};
use crate::{PostgresOptions, SqliteOptions};

const PAGE: &str = include_str!("../../session-core/src/manual/defaults.md");

#[test]
fn the_page_says_every_number_of_this_crate() {
    let code: BTreeMap<&str, u64> = [
        ("ACQUIRE_TIMEOUT", ACQUIRE_TIMEOUT.as_secs()),
        ("BUSY_TIMEOUT", BUSY_TIMEOUT.as_secs()),
        ("READERS_MAX", READERS_MAX.get().into()),
        ("CONNECTIONS_MAX", CONNECTIONS_MAX.get().into()),
        ("ALONE_MAX", ALONE_MAX.into()),
        ("QUEUE_MAX", u64::try_from(QUEUE_MAX).unwrap()),
        ("GROUP_MAX", u64::try_from(GROUP_MAX).unwrap()),
    ]
    .into();
    let page: BTreeMap<&str, u64> = rows::rows(PAGE, "Databases")
        .map(|(name, number)| (name, number.unwrap()))
        .collect();
    assert_eq!(page, code);
}

#[test]
fn the_options_are_those_constants() {
    let file = SqliteOptions::default();
    assert_eq!(file.acquire_timeout, ACQUIRE_TIMEOUT);
    assert_eq!(file.busy_timeout, BUSY_TIMEOUT);
    let server = PostgresOptions::default();
    assert_eq!(server.acquire_timeout, ACQUIRE_TIMEOUT);
    assert_eq!(server.connections_max, CONNECTIONS_MAX);
    assert_eq!(server.alone_max, ALONE_MAX);
}
