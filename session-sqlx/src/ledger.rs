//! Transfers: appended, never changed.

use session_core::changeset::Rejection;
use session_core::ledger::{Action, Reason, Reference, Transfer};
use session_core::ports::StoreError;
use session_core::types::TransferId;

use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::{Statement, text};
use crate::value::{Tuple, Type, Value, Values};

pub(crate) const TABLE: &str = "transfer";

pub(crate) const COLUMNS: &[&str] = &[
    "id",
    "debit_kind",
    "debit_owner",
    "credit_kind",
    "credit_owner",
    "unit",
    "amount",
    "action",
    "deadline",
    "resolves",
    "reason",
    "connection",
    "decided_at",
];

const TYPES: &[Type] = &[
    Type::Text,
    Type::Text,
    Type::Text,
    Type::Text,
    Type::Text,
    Type::Text,
    Type::Number,
    Type::Text,
    Type::Number,
    Type::Text,
    Type::Text,
    Type::Text,
    Type::Number,
];

const LIST: &str = "transfer.id, transfer.debit_kind, transfer.debit_owner, transfer.credit_kind, \
    transfer.credit_owner, transfer.unit, transfer.amount, transfer.action, transfer.deadline, \
    transfer.resolves, transfer.reason, transfer.connection, transfer.decided_at";

/// Those of identifiers, and those that resolve one of them.
pub(crate) const NAMED_OR_RESOLVING: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        LIST,
        " FROM transfer WHERE id = ?1 UNION ALL SELECT ",
        LIST,
        " FROM transfer WHERE resolves = ?1"
    ),
    postgres: text!(
        "SELECT ",
        LIST,
        " FROM unnest($1::text[]) AS named (id) JOIN transfer ON transfer.id = named.id \
        UNION ALL SELECT ",
        LIST,
        " FROM unnest($1::text[]) AS named (id) JOIN transfer ON transfer.resolves = named.id"
    ),
    takes: &[Type::Text],
    finds: TYPES,
};

/// Those of identifiers.
pub(crate) const NAMED: Statement = Statement {
    sqlite: text!("SELECT ", LIST, " FROM transfer WHERE id = ?1"),
    postgres: text!(
        "SELECT ",
        LIST,
        " FROM unnest($1::text[]) AS named (id) JOIN transfer ON transfer.id = named.id"
    ),
    takes: &[Type::Text],
    finds: TYPES,
};

/// How many there are after one, counted up to so many, and the last of those.
pub(crate) const COUNT: Statement = Statement {
    sqlite: "SELECT count(*), max(id) FROM \
        (SELECT id FROM transfer WHERE id > ?1 ORDER BY id LIMIT ?2)",
    postgres: "SELECT count(*), max(id) FROM (SELECT id FROM transfer \
        WHERE id > ($1::text[])[1] ORDER BY id LIMIT ($2::bigint[])[1]) AS counted",
    takes: &[Type::Text, Type::Number],
    finds: &[Type::Number, Type::Text],
};

const INTO: &str = "INSERT INTO transfer (id, debit_kind, debit_owner, credit_kind, credit_owner, \
    unit, amount, action, deadline, resolves, reason, connection, decided_at) ";

pub(crate) const INSERT: Statement = Statement {
    sqlite: text!(
        INTO,
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
    ),
    postgres: text!(
        INTO,
        "SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], \
        $6::text[], $7::bigint[], $8::text[], $9::bigint[], $10::text[], $11::text[], \
        $12::text[], $13::bigint[])"
    ),
    takes: TYPES,
    finds: &[],
};

/// The parameter of what is asked of one transfer by name.
pub(crate) fn named(transfer: TransferId) -> Result<Tuple, Rejection> {
    Values::new().text(transfer).finish()
}

pub(crate) fn values(transfer: &Transfer) -> Result<Tuple, Rejection> {
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
    let [debit_kind, unit, debit_owner] = account(&transfer.debit)?;
    // The unit of both accounts is the same, as `post` of session-core has checked.
    let [credit_kind, _, credit_owner] = account(&transfer.credit)?;
    let mut tuple = Values::new().text(transfer.id).finish()?;
    tuple.extend([debit_kind, debit_owner, credit_kind, credit_owner, unit]);
    let rest = Values::new()
        .number(transfer.amount)
        .text(action)
        .time_or_null(deadline)
        .text_or_null(resolves)
        .text(transfer.reason.name())
        .text_or_null(caused_by)
        .time(transfer.at);
    tuple.extend(rest.finish()?);
    Ok(tuple)
}

fn account(key: &session_core::ledger::AccountKey) -> Result<[Value; 3], Rejection> {
    let named = Values::new().account(key).finish()?;
    <[Value; 3]>::try_from(named).map_err(|_| Rejection::Malformed("an account has three names"))
}

pub(crate) fn decode(tuple: &[Value]) -> Result<Transfer, StoreError> {
    let columns = Columns::new(COLUMNS, tuple);
    let action = match (
        columns.text("action")?,
        columns.time_or_null("deadline")?,
        columns.parsed_or_null("resolves")?,
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
