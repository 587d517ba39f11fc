//! Entries of the journal as rows. Appending them: [`journal`](crate::journal).

use session_core::journal::{Entry, Fact};
use session_core::ports::StoreError;

use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::{Statement, Table, table, text};
use crate::value::{Type, Values};

pub(crate) const TABLE: Table = table! {
    journal by (1 id text)
    holds (
        2 decided_at bigint,
        3 kind text,
        4 fact text,
        5 wallet text,
    )
    version 6 replaced 7 gone 2
};

/// The oldest that are in no block, up to a number that follows. The bound inside is
/// [`BLOCK_ENTRIES_MAX`](session_core::journal::BLOCK_ENTRIES_MAX), and no parameter: for one,
/// PostgreSQL plans a tenth of the table, and so reads all of the journal.
pub(crate) const OLDEST_UNSEALED: &str = " FROM (SELECT entry FROM (SELECT decided_at, entry \
    FROM unsealed ORDER BY decided_at, entry LIMIT 1000) AS most ORDER BY decided_at, entry LIMIT ";

/// The oldest that are in no block, at most so many.
pub(crate) const UNSEALED: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM (SELECT entry FROM unsealed ORDER BY decided_at, entry LIMIT ?1) AS oldest \
        JOIN journal ON journal.id = oldest.entry"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        OLDEST_UNSEALED,
        "($1::bigint[])[1]) AS oldest JOIN journal ON journal.id = oldest.entry"
    ),
    takes: &[Type::Number],
    finds: TABLE.select.finds,
};

/// Of a wallet's credit, the newest first, before an instant and a name, at most so many.
pub(crate) const CREDIT_BEFORE: Statement = Statement {
    sqlite: text!(
        "SELECT ",
        TABLE.list,
        " FROM journal WHERE wallet = ?1 AND wallet <> '' AND (decided_at, id) < (?2, ?3) \
        ORDER BY decided_at DESC, id DESC LIMIT ?4"
    ),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[]",
        CREDIT_BEFORE_REST
    ),
    takes: &[Type::Text, Type::Number, Type::Text, Type::Number],
    finds: TABLE.select.finds,
};

/// What follows the four parameters.
pub(crate) const CREDIT_BEFORE_REST: &str = ") AS named (wallet, at, id, most), LATERAL (\
    SELECT * FROM journal WHERE journal.wallet = named.wallet AND journal.wallet <> '' \
    AND (journal.decided_at, journal.id) < (named.at, named.id) \
    ORDER BY journal.decided_at DESC, journal.id DESC LIMIT named.most) AS journal";

/// Whose credit an entry tells a change of, as a column holds it.
fn wallet_of(fact: &Fact) -> String {
    let wallet = fact.moves_credit_of();
    wallet.map_or_else(String::new, |wallet| wallet.to_string())
}

pub(crate) fn values(entry: &Entry) -> Values {
    Values::new()
        .text(entry.id)
        .time(entry.at)
        .text(entry.fact.name())
        .json(&entry.fact)
        .text(wallet_of(&entry.fact))
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Entry, StoreError> {
    let id = columns.parsed("id")?;
    let at = columns.time("decided_at")?;
    let kind = columns.text("kind")?;
    let fact: Fact = columns.json("fact")?;
    if fact.name() != kind {
        return Err(corrupt("column kind contradicts the fact"));
    }
    if wallet_of(&fact) != columns.text("wallet")? {
        return Err(corrupt("column wallet contradicts the fact"));
    }
    Ok(Entry { id, at, fact })
}

#[cfg(test)]
mod tests {
    use session_core::journal::BLOCK_ENTRIES_MAX;

    use super::*;

    #[test]
    fn no_more_is_found_than_a_block_may_hold() {
        let bound = ["LIMIT ", &BLOCK_ENTRIES_MAX.to_string(), ")"].concat();
        assert!(OLDEST_UNSEALED.contains(&bound), "{OLDEST_UNSEALED}");
    }
}
