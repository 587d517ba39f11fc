//! The one row by which servers know of each other's life.

use session_core::outage::Service;
use session_core::ports::StoreError;

use crate::columns::Columns;
use crate::statement::{Table, table};
use crate::value::Values;

pub(crate) const TABLE: Table = table! {
    service by (1 id bigint)
    holds (
        2 last_beat_at bigint,
        3 outages text,
    )
    version 4 replaced 5 gone 2
};

/// What the one row is named.
pub(crate) const ONLY: u64 = 1;

pub(super) fn values(service: &Service) -> Values {
    Values::new()
        .number(ONLY)
        .time(service.last_beat_at)
        .json(&service.outages)
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Service, StoreError> {
    Ok(Service {
        last_beat_at: columns.time("last_beat_at")?,
        outages: columns.json("outages")?,
    })
}
