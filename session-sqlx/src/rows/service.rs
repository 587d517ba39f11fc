//! The one row by which servers know of each other's life.

use session_core::outage::Service;
use session_core::ports::StoreError;

use super::Statements;
use crate::columns::Columns;
use crate::statement::Parameters;

pub(super) const STATEMENTS: Statements = Statements {
    by_names: "SELECT service.* FROM json_each($1) AS named CROSS JOIN service",
    insert: "INSERT INTO service (id, last_beat_at, outages, version) VALUES (1, $1, $2, $3)",
    update: "UPDATE service SET last_beat_at = $1, outages = $2, version = $3 WHERE version = $4",
    delete: "DELETE FROM service WHERE version = $1",
};

/// Touches the file, finds at most one row, and fails where there is no schema.
pub(crate) const PING: &str = "SELECT version FROM service";

pub(super) fn values(service: &Service) -> Parameters {
    Parameters::new()
        .time(service.last_beat_at)
        .json(&service.outages)
}

pub(super) fn decode(columns: Columns<'_>) -> Result<Service, StoreError> {
    Ok(Service {
        last_beat_at: columns.time("last_beat_at")?,
        outages: columns.json("outages")?,
    })
}
