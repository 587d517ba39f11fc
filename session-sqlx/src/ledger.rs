//! Transfers: appended, never changed.

use std::collections::BTreeSet;

use session_core::changeset::Key;
use session_core::ledger::{Action, Reason, Reference, Transfer};
use session_core::ports::{CommitError, StoreError};
use session_core::types::TransferId;
use sqlx::SqliteConnection;

use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::{Parameters, execute, fetch};

/// Those of a JSON list of identifiers, and those that resolve one of them.
pub(crate) const NAMED_OR_RESOLVING: &str = "SELECT transfer.* FROM json_each($1) AS named CROSS JOIN transfer \
    ON transfer.id = named.value \
    UNION ALL \
    SELECT transfer.* FROM json_each($1) AS named CROSS JOIN transfer \
    ON transfer.resolves = named.value";

/// `$6` is the unit of the credited account: the same, as [`post`](session_core::ledger::post) has
/// checked.
pub(crate) const INSERT: &str = "INSERT INTO transfer \
    (id, debit_kind, unit, debit_owner, credit_kind, credit_owner, amount, action, deadline, \
    resolves, reason, connection, decided_at) \
    VALUES ($1, $2, $3, $4, $5, $7, $8, $9, $10, $11, $12, $13, $14)";

/// The transfers of these identifiers, and the resolutions of those that are reservations.
pub(crate) async fn load(
    connection: &mut SqliteConnection,
    ids: &BTreeSet<TransferId>,
) -> Result<Vec<Transfer>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = fetch(connection, NAMED_OR_RESOLVING, Parameters::list(ids)).await?;
    found.iter().map(|row| decode(Columns(row))).collect()
}

/// Appends a transfer.
pub(crate) async fn append(
    connection: &mut SqliteConnection,
    transfer: &Transfer,
) -> Result<(), CommitError> {
    let (action, deadline, resolves) = match transfer.action {
        Action::Posted => ("posted", None, None),
        Action::Pending { deadline } => ("pending", Some(deadline), None),
        Action::Post { of } => ("post", None, Some(of)),
        Action::Void { of } => ("void", None, Some(of)),
    };
    let caused_by = match transfer.reference {
        Reference::Connection(connection) => Some(connection),
        Reference::None => None,
    };
    let parameters = Parameters::new()
        .text(transfer.id)
        .account(&transfer.debit)
        .account(&transfer.credit)
        .number(transfer.amount)
        .text(action)
        .time_or_null(deadline)
        .text_or_null(resolves)
        .text(transfer.reason.name())
        .text_or_null(caused_by)
        .time(transfer.at);
    // Whoever took the identifier or resolved the reservation moved the debited account.
    execute(
        connection,
        &Key::Account(transfer.debit),
        INSERT,
        parameters,
    )
    .await?;
    Ok(())
}

fn decode(columns: Columns<'_>) -> Result<Transfer, StoreError> {
    let resolves = columns.parsed_or_null("resolves")?;
    let action = match (
        columns.text("action")?,
        columns.time_or_null("deadline")?,
        resolves,
    ) {
        ("posted", None, None) => Action::Posted,
        ("pending", Some(deadline), None) => Action::Pending { deadline },
        ("post", None, Some(of)) => Action::Post { of },
        ("void", None, Some(of)) => Action::Void { of },
        _ => return Err(corrupt("column action contradicts the others")),
    };
    let reason = Reason::from_name(columns.text("reason")?);
    Ok(Transfer {
        id: columns.parsed("id")?,
        debit: columns.account("debit_kind", "unit", "debit_owner")?,
        credit: columns.account("credit_kind", "unit", "credit_owner")?,
        amount: columns.number("amount")?,
        action,
        reason: reason.ok_or_else(|| corrupt("column reason holds no reason"))?,
        reference: columns
            .parsed_or_null("connection")?
            .map_or(Reference::None, Reference::Connection),
        at: columns.time("decided_at")?,
    })
}
