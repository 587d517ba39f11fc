//! Accounts.

use session_core::ledger::Account;
use session_core::ports::StoreError;

use super::Statements;
use crate::columns::Columns;
use crate::statement::Parameters;

pub(super) const STATEMENTS: Statements = Statements {
    by_names: "SELECT account.* FROM json_each($1) AS named CROSS JOIN account \
        ON account.kind = named.value ->> 0 \
        AND account.unit = named.value ->> 1 \
        AND account.owner = named.value ->> 2",
    insert: "INSERT INTO account \
        (kind, unit, owner, credits_posted, debits_posted, credits_pending, debits_pending, \
        version) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    update: "UPDATE account SET credits_posted = $4, debits_posted = $5, credits_pending = $6, \
        debits_pending = $7, version = $8 \
        WHERE kind = $1 AND unit = $2 AND owner = $3 AND version = $9",
    delete: "DELETE FROM account WHERE kind = $1 AND unit = $2 AND owner = $3 AND version = $4",
};

pub(super) fn values(account: &Account) -> Parameters {
    Parameters::new()
        .account(&account.key)
        .number(account.credits_posted)
        .number(account.debits_posted)
        .number(account.credits_pending)
        .number(account.debits_pending)
}

pub(super) fn decode(columns: Columns<'_>) -> Result<Account, StoreError> {
    Ok(Account {
        key: columns.account("kind", "unit", "owner")?,
        credits_posted: columns.number("credits_posted")?,
        debits_posted: columns.number("debits_posted")?,
        credits_pending: columns.number("credits_pending")?,
        debits_pending: columns.number("debits_pending")?,
    })
}
