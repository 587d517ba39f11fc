//! Accounts.

use session_core::ledger::Account;
use session_core::ports::StoreError;

use crate::columns::Columns;
use crate::statement::{Statement, Table, table, text};
use crate::value::{Type, Values};

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

/// Which column names the owner.
pub(crate) const OWNER: usize = 2;

/// Those of the house.
pub(crate) const OF_THE_HOUSE: Statement = Statement {
    sqlite: text!("SELECT ", TABLE.list, " FROM account WHERE owner = 'house'"),
    postgres: text!("SELECT ", TABLE.list, " FROM account WHERE owner = 'house'"),
    takes: &[],
    finds: TABLE.select.finds,
};

/// Those of owners after one, by owner, at most so many.
pub(crate) const OF_WALLETS_PAGE: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM account WHERE owner > ?1 AND owner <> 'house' ORDER BY owner LIMIT ?2"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM account WHERE owner > ($1::text[])[1] AND owner <> 'house' ORDER BY owner \
        LIMIT ($2::bigint[])[1]"
    ),
    takes: &[Type::Text, Type::Number],
    finds: TABLE.select.finds,
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
