//! The journal: appended, sealed in blocks, never changed. Its entries as rows:
//! [`entry`](crate::rows::entry).

use session_core::changeset::{Changeset, Entry, Rejection, Row, World, Write};
use session_core::ports::StoreError;
use session_core::types::{EntryId, Timestamp};

use crate::columns::Columns;
use crate::rows::{Kind, entry};
use crate::session::{Session, Trouble};
use crate::statement::{Statement, text};
use crate::value::{Tuple, Type, Values};

/// An entry's identifier is a digest of its content, so one that is there already is the same.
/// `$1` to `$5`, or with other numbers in a longer statement.
macro_rules! appended {
    ($id:literal, $at:literal, $kind:literal, $fact:literal, $wallet:literal) => {
        concat!(
            "appended AS (INSERT INTO journal (id, decided_at, kind, fact, wallet, version) \
            SELECT told.*, 1 FROM unnest($",
            $id,
            "::text[], $",
            $at,
            "::bigint[], $",
            $kind,
            "::text[], $",
            $fact,
            "::text[], $",
            $wallet,
            "::text[]) AS told ON CONFLICT (id) DO NOTHING RETURNING decided_at, id)"
        )
    };
}

pub(crate) use appended;

/// What follows [`appended!`]: what was not there before is in no block yet.
pub(crate) const ENTER_APPENDED: &str =
    "INSERT INTO unsealed (decided_at, entry) SELECT decided_at, id FROM appended";

/// Appends entries that are not there, and finds those of them that are still to be
/// [entered](ENTER) among those that are in no block. PostgreSQL has done that in passing, and
/// finds none.
pub(crate) const APPEND: Statement = Statement {
    sqlite: "INSERT INTO journal (id, decided_at, kind, fact, wallet, version) \
        VALUES (?1, ?2, ?3, ?4, ?5, 1) ON CONFLICT (id) DO NOTHING RETURNING decided_at, id",
    postgres: text!("WITH ", appended!(1, 2, 3, 4, 5), " ", ENTER_APPENDED),
    takes: &[Type::Text, Type::Number, Type::Text, Type::Text, Type::Text],
    finds: &[Type::Number, Type::Text],
};

/// Entries that are in no block.
pub(crate) const ENTER: Statement = Statement {
    sqlite: "INSERT INTO unsealed (decided_at, entry) VALUES (?1, ?2)",
    postgres: "INSERT INTO unsealed (decided_at, entry) \
        SELECT * FROM unnest($1::bigint[], $2::text[])",
    takes: &[Type::Number, Type::Text],
    finds: &[],
};

/// Which of some entries are in no block. Nobody else seals them until the transaction ends.
pub(crate) const LOCK_UNSEALED: Statement = Statement {
    sqlite: "SELECT decided_at, entry FROM unsealed WHERE entry = ?1",
    postgres: "SELECT unsealed.decided_at, unsealed.entry FROM unnest($1::text[]) AS named (entry) \
        JOIN unsealed ON unsealed.entry = named.entry ORDER BY unsealed.entry \
        FOR UPDATE OF unsealed",
    takes: &[Type::Text],
    finds: &[Type::Number, Type::Text],
};

/// Entries that got into a block.
pub(crate) const SEAL: Statement = Statement {
    sqlite: "DELETE FROM unsealed WHERE entry = ?1",
    postgres: "DELETE FROM unsealed USING unnest($1::text[]) AS sealed (entry) \
        WHERE unsealed.entry = sealed.entry",
    takes: &[Type::Text],
    finds: &[],
};

/// Entries that are in no block, after one, by instant and name, at most so many.
pub(crate) const UNSEALED_PAGE: Statement = Statement {
    sqlite: "SELECT decided_at, entry FROM unsealed WHERE (decided_at, entry) > (?1, ?2) \
        ORDER BY decided_at, entry LIMIT ?3",
    postgres: "SELECT decided_at, entry FROM unsealed \
        WHERE (decided_at, entry) > (($1::bigint[])[1], ($2::text[])[1]) \
        ORDER BY decided_at, entry LIMIT ($3::bigint[])[1]",
    takes: &[Type::Number, Type::Text, Type::Number],
    finds: &[Type::Number, Type::Text],
};

/// Entries that [`IDS`] finds at most.
pub(crate) const IDS_MAX: usize = 10_000;

/// The identifiers of entries after one. The bound is no parameter: PostgreSQL would plan for a
/// tenth of the table.
pub(crate) const IDS: Statement = Statement {
    sqlite: "SELECT id FROM journal WHERE id > ?1 ORDER BY id LIMIT 10000",
    postgres: "SELECT id FROM journal WHERE id > ($1::text[])[1] ORDER BY id LIMIT 10000",
    takes: &[Type::Text],
    finds: &[Type::Text],
};

/// The table of entries that are in no block.
pub(crate) const UNSEALED: &str = "unsealed";

const UNSEALED_COLUMNS: &[&str] = &["decided_at", "entry"];

pub(crate) fn values(entry: &Entry) -> Result<Tuple, Rejection> {
    entry::values(entry).finish()
}

/// The parameter of what is asked of one entry by name.
pub(crate) fn named(entry: EntryId) -> Result<Tuple, Rejection> {
    Values::new().text(entry).finish()
}

pub(crate) fn decode_unsealed(tuple: &Tuple) -> Result<(Timestamp, EntryId), StoreError> {
    let columns = Columns::new(UNSEALED_COLUMNS, tuple);
    Ok((columns.time("decided_at")?, columns.parsed("entry")?))
}

/// Which entry it is about, where no more of it can be read.
pub(crate) fn unsealed_name(tuple: &Tuple) -> Option<EntryId> {
    let columns = Columns::new(UNSEALED_COLUMNS, tuple);
    columns.parsed("entry").ok()
}

/// Appends entries, unless they are there already.
pub(crate) async fn append<S: Session>(session: &mut S, entries: &[Tuple]) -> Result<(), Trouble> {
    let new = session.fetch(&APPEND, entries).await?;
    if !new.is_empty() {
        session.execute(&ENTER, &new).await?;
    }
    Ok(())
}

/// What blocks are to be made of, locked until the transaction ends. Changesets without blocks
/// need none of it.
pub(crate) async fn lock<S: Session>(
    session: &mut S,
    changesets: &[&Changeset],
    world: &mut World,
) -> Result<(), Trouble> {
    let mut sealed: Vec<EntryId> = Vec::new();
    for write in changesets.iter().flat_map(|changeset| &changeset.rows) {
        if let Write::Insert(Row::Block(block)) = write {
            sealed.extend(&block.entries);
        }
    }
    if sealed.is_empty() {
        return Ok(());
    }
    for tuple in session.fetch(&LOCK_UNSEALED, &sorted(sealed)?).await? {
        let (at, entry) =
            decode_unsealed(&tuple).map_err(|error| Trouble::Poisoned(error.into()))?;
        world.put_unsealed(at, entry);
    }
    // Told once more in the same group, an entry that is in a block must not seem to be in none.
    let told = changesets.iter().flat_map(|changeset| &changeset.journal);
    let told = sorted(told.map(|entry| entry.id).collect())?;
    if !told.is_empty() {
        for tuple in session.fetch(&entry::TABLE.select, &told).await? {
            let (version, row) = Kind::Entry
                .decode(&tuple)
                .map_err(|error| Trouble::Poisoned(error.into()))?;
            world.put_row(version, row);
        }
    }
    Ok(())
}

fn sorted(mut entries: Vec<EntryId>) -> Result<Vec<Tuple>, Trouble> {
    entries.sort_unstable();
    entries.dedup();
    let names = entries.into_iter().map(named);
    names
        .collect::<Result<_, _>>()
        .map_err(|rejection| Trouble::Poisoned(rejection.into()))
}
