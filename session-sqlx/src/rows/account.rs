//! Accounts.

use session_core::ledger::Account;
use session_core::ports::StoreError;

use crate::columns::Columns;
use crate::statement::{Table, table};
use crate::value::Values;

pub(crate) const TABLE: Table = table! {
    account by (1 kind text, 2 unit text, 3 owner text)
    holds (
        4 credits_posted bigint,
        5 debits_posted bigint,
        6 credits_pending bigint,
        7 debits_pending bigint,
    )
    version 8 replaced 9 gone 4
};

pub(super) fn values(account: &Account) -> Values {
    Values::new()
        .account(&account.key)
        .number(account.credits_posted)
        .number(account.debits_posted)
        .number(account.credits_pending)
        .number(account.debits_pending)
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Account, StoreError> {
    Ok(Account {
        key: columns.account("kind", "unit", "owner")?,
        credits_posted: columns.number("credits_posted")?,
        debits_posted: columns.number("debits_posted")?,
        credits_pending: columns.number("credits_pending")?,
        debits_pending: columns.number("debits_pending")?,
    })
}
