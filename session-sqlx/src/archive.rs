//! Everything that a store holds, shown page by page in one transaction that reads one instant.

use std::collections::BTreeMap;

use async_trait::async_trait;
use session_core::changeset::{Rejection, Row, Version};
use session_core::journal::{Entry, Fact};
use session_core::ledger::Transfer;
use session_core::ports::{Archive, Found, StoreError, Visitor};
use session_core::types::{EntryId, Id128, Timestamp, TransferId};

use crate::error::corrupt;
use crate::postgres::PostgresStore;
use crate::rows::{self, Kind, account, entry};
use crate::session::{Session, Trouble};
use crate::sqlite::SqliteStore;
use crate::statement::Statement;
use crate::value::{Tuple, Type, Value};
use crate::{journal, ledger};

/// Rows in memory at once, but for those of [`BLOCKS_PER_PAGE`].
const ROWS_PER_PAGE: u64 = 500;

/// Blocks in memory at once. Each names a thousand entries.
const BLOCKS_PER_PAGE: u64 = 8;

/// Rows that are counted by one statement: few enough for any limit of time.
const ROWS_PER_COUNT: u64 = 10_000;

/// The kinds of rows that are shown last, in the order of their keys. Accounts come before them.
const OTHERS: [Kind; 10] = [
    Kind::BookedSession,
    Kind::Challenge,
    Kind::Host,
    Kind::Idempotency,
    Kind::Intent,
    Kind::Revocation,
    Kind::Room,
    Kind::RoomEvent,
    Kind::Seat,
    Kind::Service,
];

/// Who is shown what is found, one thing after another; an error ends it.
pub(crate) type Show<'v> = &'v mut (dyn FnMut(Found) -> Result<(), StoreError> + Send);

#[async_trait]
impl Archive for SqliteStore {
    async fn show(&self, visitor: &mut (dyn Visitor + Send)) -> Result<(), StoreError> {
        let mut shown = self.show_all().await?;
        while let Some(next) = shown.recv().await {
            match next {
                Ok(Some(found)) => visitor.visit(found),
                Ok(None) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Err(crate::error::unavailable("the reading ended half way"))
    }
}

#[async_trait]
impl Archive for PostgresStore {
    async fn show(&self, visitor: &mut (dyn Visitor + Send)) -> Result<(), StoreError> {
        let mut session = self.session();
        let begun = session.begin_reading().await;
        begun.map_err(Trouble::into_store_error)?;
        let mut out = |found| {
            visitor.visit(found);
            Ok(())
        };
        let shown = all(&mut session, &mut out).await;
        session.rollback().await;
        shown.map_err(Trouble::into_store_error)
    }
}

/// Shows everything. The session must be in a transaction that reads one instant.
pub(crate) async fn all<S: Session>(session: &mut S, out: Show<'_>) -> Result<(), Trouble> {
    let mut walk = Walk { session, out };
    walk.rows(Kind::Chain).await?;
    walk.blocks().await?;
    walk.unsealed().await?;
    let (entries, entry_sum) = walk.total().await?;
    let totals = Found::Totals {
        entries,
        entry_sum,
        transfers: walk.count(&ledger::COUNT).await?,
    };
    walk.tell(totals)?;
    walk.accounts().await?;
    for kind in OTHERS {
        walk.rows(kind).await?;
    }
    Ok(())
}

struct Walk<'s, 'v, S> {
    session: &'s mut S,
    out: Show<'v>,
}

/// An entry to show.
#[derive(Clone, Copy)]
struct Named {
    id: EntryId,
    is_unsealed: bool,
    /// When it was decided, as the table of those that are in no block says.
    at: Option<Timestamp>,
}

impl<S: Session> Walk<'_, '_, S> {
    fn tell(&mut self, found: Found) -> Result<(), Trouble> {
        (self.out)(found).map_err(Trouble::Failed)
    }

    fn tell_unreadable(&mut self, table: &'static str, detail: String) -> Result<(), Trouble> {
        self.tell(Found::Unreadable { table, detail })
    }

    fn tell_row(&mut self, kind: Kind, tuple: &Tuple) -> Result<Option<Row>, Trouble> {
        match exactly(kind, tuple) {
            Ok((version, row)) => {
                self.tell(Found::Row(version, row.clone()))?;
                Ok(Some(row))
            }
            Err(error) => {
                let table = kind.table();
                self.tell_unreadable(table.name, detail(tuple, table.named_by(), &error))?;
                Ok(None)
            }
        }
    }

    async fn fetch(
        &mut self,
        statement: &'static Statement,
        parameters: Tuple,
    ) -> Result<Vec<Tuple>, Trouble> {
        self.session.fetch(statement, &[parameters]).await
    }

    /// All rows of a kind, by name.
    async fn rows(&mut self, kind: Kind) -> Result<(), Trouble> {
        let statement = &kind.table().page;
        let mut after = before_all(statement);
        loop {
            let page = self.page(statement, &after, ROWS_PER_PAGE).await?;
            for tuple in &page {
                self.tell_row(kind, tuple)?;
            }
            match next(&page, kind.table().named_by(), ROWS_PER_PAGE)? {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }

    /// What comes after a place.
    async fn page(
        &mut self,
        statement: &'static Statement,
        after: &[Value],
        rows_max: u64,
    ) -> Result<Vec<Tuple>, Trouble> {
        let mut parameters = after.to_vec();
        parameters.push(number(rows_max));
        self.fetch(statement, parameters).await
    }

    /// Blocks, each followed by its entries.
    async fn blocks(&mut self) -> Result<(), Trouble> {
        let statement = &Kind::Block.table().page;
        let mut after = before_all(statement);
        loop {
            let page = self.page(statement, &after, BLOCKS_PER_PAGE).await?;
            for tuple in &page {
                if let Some(Row::Block(block)) = self.tell_row(Kind::Block, tuple)? {
                    for ids in block.entries.chunks(chunk()) {
                        let named = ids.iter().map(|id| Named {
                            id: *id,
                            is_unsealed: false,
                            at: None,
                        });
                        self.entries(&named.collect::<Vec<_>>()).await?;
                    }
                }
            }
            match next(&page, 1, BLOCKS_PER_PAGE)? {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }

    /// Entries that are in no block.
    async fn unsealed(&mut self) -> Result<(), Trouble> {
        let statement = &journal::UNSEALED_PAGE;
        let mut after = before_all(statement);
        loop {
            let page = self.page(statement, &after, ROWS_PER_PAGE).await?;
            let mut named = Vec::with_capacity(page.len());
            for tuple in &page {
                let (id, at) = match journal::decode_unsealed(tuple) {
                    Ok((at, id)) => (Some(id), Some(at)),
                    Err(error) => {
                        self.entries(&std::mem::take(&mut named)).await?;
                        self.tell_unreadable(journal::UNSEALED, detail(tuple, 2, &error))?;
                        (journal::unsealed_name(tuple), None)
                    }
                };
                named.extend(id.map(|id| Named {
                    id,
                    is_unsealed: true,
                    at,
                }));
            }
            self.entries(&named).await?;
            match next(&page, 2, ROWS_PER_PAGE)? {
                Some(last) => after = last,
                None => return Ok(()),
            }
        }
    }

    /// Entries in this order, each followed by the transfer that it tells of.
    async fn entries(&mut self, named: &[Named]) -> Result<(), Trouble> {
        if named.is_empty() {
            return Ok(());
        }
        let ids = named.iter().map(|named| journal::named(named.id));
        let ids: Vec<Tuple> = ids.collect::<Result<_, _>>().map_err(poisoned)?;
        let found = by_name(self.session.fetch(&entry::TABLE.select, &ids).await?);
        let mut transfers = Vec::new();
        for tuple in found.values() {
            if let Some(transfer) = told_transfer(tuple) {
                transfers.push(ledger::named(transfer).map_err(poisoned)?);
            }
        }
        let mut moved = BTreeMap::new();
        if !transfers.is_empty() {
            moved = by_name(self.session.fetch(&ledger::NAMED, &transfers).await?);
        }
        for named in named {
            let tuple = found.get(&named.id.to_string());
            if named.is_unsealed {
                // An entry that cannot be read is said to be so below.
                let of_another = |entry: Entry| named.at.is_some_and(|at| at != entry.at);
                if tuple.and_then(read_entry).is_some_and(of_another) {
                    let detail = [&named.id.to_string(), ": it is of another instant"].concat();
                    self.tell_unreadable(journal::UNSEALED, detail)?;
                }
                self.tell(Found::Unsealed(named.id))?;
            }
            let Some(tuple) = tuple else { continue };
            self.tell_row(Kind::Entry, tuple)?;
            let transfer = told_transfer(tuple).and_then(|id| moved.get(&id.to_string()));
            if let Some(tuple) = transfer {
                self.tell_transfer(tuple)?;
            }
        }
        Ok(())
    }

    fn tell_transfer(&mut self, tuple: &Tuple) -> Result<(), Trouble> {
        match exact_transfer(tuple) {
            Ok(transfer) => self.tell(Found::Transfer(transfer)),
            Err(error) => self.tell_unreadable(ledger::TABLE, detail(tuple, 1, &error)),
        }
    }

    /// How many entries there are, and the sum of their identifiers.
    async fn total(&mut self) -> Result<(u64, u128), Trouble> {
        let (mut entries, mut sum): (u64, u128) = (0, 0);
        let mut after = vec![Value::Text(String::new())];
        loop {
            let page = self.fetch(&journal::IDS, after).await?;
            let is_full = page.len() == journal::IDS_MAX;
            for tuple in &page {
                entries = entries.saturating_add(1);
                // What is no identifier is no entry that could be shown.
                if let Some(Value::Text(id)) = tuple.first()
                    && let Ok(id) = id.parse::<EntryId>()
                {
                    sum = sum.wrapping_add(u128::from_be_bytes(id.to_bytes()));
                }
            }
            match page.into_iter().next_back() {
                Some(last) if is_full => after = last,
                _ => return Ok((entries, sum)),
            }
        }
    }

    /// How many rows there are.
    async fn count(&mut self, statement: &'static Statement) -> Result<u64, Trouble> {
        let mut counted: u64 = 0;
        let mut after = before_all(statement);
        loop {
            let found = self.page(statement, &after, ROWS_PER_COUNT).await?;
            let Some([Value::Number(rows), last]) = found.first().map(Vec::as_slice) else {
                return Err(Trouble::Failed(corrupt("rows cannot be counted")));
            };
            counted = counted.saturating_add(rows.unsigned_abs());
            if rows.unsigned_abs() < ROWS_PER_COUNT {
                return Ok(counted);
            }
            after = vec![last.clone()];
        }
    }

    /// Accounts by key, which is not the order of their names: the house comes first, and of one
    /// owner the kinds are in an order of their own.
    async fn accounts(&mut self) -> Result<(), Trouble> {
        let house = self.fetch(&account::OF_THE_HOUSE, Vec::new()).await?;
        self.accounts_of_one(house)?;
        let mut after = before_all(&account::OF_WALLETS_PAGE);
        loop {
            let statement = &account::OF_WALLETS_PAGE;
            let mut page = self.page(statement, &after, ROWS_PER_PAGE).await?;
            let is_full = u64::try_from(page.len()) == Ok(ROWS_PER_PAGE);
            let owner = |tuple: &Tuple| tuple.get(account::OWNER).cloned();
            let Some(last) = page.last().and_then(owner) else {
                return Ok(());
            };
            // Of the last owner there may be more on the next page.
            if is_full {
                page.retain(|tuple| owner(tuple).as_ref() != Some(&last));
            }
            let Some(done) = page.last().and_then(owner) else {
                let detail = "an owner has more accounts than there are kinds of";
                return Err(Trouble::Failed(corrupt(detail)));
            };
            while let Some(first) = page.first().and_then(owner) {
                let ends = page
                    .iter()
                    .position(|tuple| owner(tuple).as_ref() != Some(&first));
                let rest = page.split_off(ends.unwrap_or(page.len()));
                self.accounts_of_one(std::mem::replace(&mut page, rest))?;
            }
            if !is_full {
                return Ok(());
            }
            after = followed(vec![done])?;
        }
    }

    fn accounts_of_one(&mut self, mut tuples: Vec<Tuple>) -> Result<(), Trouble> {
        let key = |tuple: &Tuple| {
            let decoded = Kind::Account.decode(tuple).ok();
            decoded.map(|(_, row)| row.key())
        };
        tuples.sort_by_cached_key(key);
        for tuple in tuples {
            self.tell_row(Kind::Account, &tuple)?;
        }
        Ok(())
    }
}

/// The row, where the columns hold it and nothing else.
fn exactly(kind: Kind, tuple: &Tuple) -> Result<(Version, Row), StoreError> {
    let (version, row) = kind.decode(tuple)?;
    let is_appended = matches!(kind, Kind::Block | Kind::Entry);
    if is_appended && version != Version::FIRST {
        return Err(corrupt("column version says that it was written again"));
    }
    let written = rows::values(&row).version(version).finish();
    holds_no_more(
        kind.table().columns,
        tuple,
        &written.map_err(|rejection| unwritable(&rejection))?,
    )?;
    Ok((version, row))
}

fn exact_transfer(tuple: &Tuple) -> Result<Transfer, StoreError> {
    let transfer = ledger::decode(tuple)?;
    let written = ledger::values(&transfer).map_err(|rejection| unwritable(&rejection))?;
    holds_no_more(ledger::COLUMNS, tuple, &written)?;
    Ok(transfer)
}

/// What is there must be what would be written: reading passes over much that it has no use for,
/// and nobody could tell where it came from.
fn holds_no_more(
    columns: &[&'static str],
    stored: &[Value],
    written: &[Value],
) -> Result<(), StoreError> {
    for (column, values) in columns.iter().zip(stored.iter().zip(written)) {
        if !is_same(values) {
            let detail = ["column ", column, " holds more than is read of it"];
            return Err(corrupt(detail.concat()));
        }
    }
    Ok(())
}

fn is_same((stored, written): (&Value, &Value)) -> bool {
    if stored == written {
        return true;
    }
    let (Value::Text(stored), Value::Text(written)) = (stored, written) else {
        return false;
    };
    // What JSON leaves open, such as spaces, says nothing.
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let is_json = written.starts_with(['{', '[', '"']);
    is_json && parsed(stored).is_some_and(|stored| parsed(written) == Some(stored))
}

fn read_entry(tuple: &Tuple) -> Option<Entry> {
    match Kind::Entry.decode(tuple) {
        Ok((_, Row::Entry(entry))) => Some(entry),
        _ => None,
    }
}

/// The transfer that a stored entry tells of.
fn told_transfer(tuple: &Tuple) -> Option<TransferId> {
    match read_entry(tuple)?.fact {
        Fact::Transferred { transfer, .. } => Some(transfer.id),
        _ => None,
    }
}

/// Rows by their first column, which names them.
fn by_name(found: Vec<Tuple>) -> BTreeMap<String, Tuple> {
    let named = found.into_iter().filter_map(|tuple| match tuple.first() {
        Some(Value::Text(name)) => Some((name.clone(), tuple)),
        _ => None,
    });
    named.collect()
}

/// Parameters of a page before which there is nothing.
fn before_all(statement: &Statement) -> Tuple {
    let (_, names) = statement.takes.split_last().unwrap_or((&Type::Number, &[]));
    let lowest = names.iter().map(|name| match name {
        Type::Number => Value::Number(i64::MIN),
        Type::Text => Value::Text(String::new()),
    });
    lowest.collect()
}

/// Where the next page begins; `None` after the last.
fn next(page: &[Tuple], named_by: usize, rows_max: u64) -> Result<Option<Tuple>, Trouble> {
    match page.last() {
        Some(last) if u64::try_from(page.len()) == Ok(rows_max) => {
            let name = last.iter().take(named_by).cloned();
            followed(name.collect()).map(Some)
        }
        _ => Ok(None),
    }
}

/// Nothing comes after what is no name.
fn followed(name: Tuple) -> Result<Tuple, Trouble> {
    if name
        .iter()
        .any(|value| matches!(value, Value::Null | Value::Odd))
    {
        let detail = "a row has a name that none can have, and hides those after it";
        return Err(Trouble::Failed(corrupt(detail)));
    }
    Ok(name)
}

/// What is wrong with a row, and which it is.
fn detail(tuple: &[Value], named_by: usize, error: &StoreError) -> String {
    let name = tuple.iter().take(named_by).map(|value| match value {
        Value::Null | Value::Odd => "?".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
    });
    let name: Vec<String> = name.collect();
    [&name.join("/"), ": ", &error.detail].concat()
}

fn chunk() -> usize {
    usize::try_from(ROWS_PER_PAGE).unwrap_or(usize::MAX)
}

fn number(value: u64) -> Value {
    Value::Number(i64::try_from(value).unwrap_or(i64::MAX))
}

fn unwritable(rejection: &Rejection) -> StoreError {
    corrupt(rejection.to_string())
}

fn poisoned(rejection: Rejection) -> Trouble {
    Trouble::Poisoned(rejection.into())
}
