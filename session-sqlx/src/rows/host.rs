//! What hosts say of themselves.

use session_core::booking::Host;
use session_core::ports::StoreError;

use crate::columns::Columns;
use crate::statement::{Table, table};
use crate::value::Values;

pub(crate) const TABLE: Table = table! {
    host by (1 wallet text)
    holds (
        2 accepting_bookings bigint,
        3 changed_at bigint,
    )
    version 4 replaced 5 gone 2
};

pub(super) fn values(host: &Host) -> Values {
    Values::new()
        .text(host.wallet)
        .flag(host.accepting_bookings)
        .time(host.changed_at)
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Host, StoreError> {
    Ok(Host {
        wallet: columns.parsed("wallet")?,
        accepting_bookings: columns.flag("accepting_bookings")?,
        changed_at: columns.time("changed_at")?,
    })
}
