//! Texts of SQL, put together by the compiler and by nothing else.
//!
//! Both databases get the same statements as far as they speak the same language. They differ in
//! how a statement gets many rows at once: SQLite executes it once for each row, with a row's
//! values as its parameters; PostgreSQL executes it once, with a parameter for each column that
//! is a list of all rows' values, and joins them.

use crate::value::Type;

/// One statement, in both languages.
#[derive(Debug)]
pub(crate) struct Statement {
    /// Executed for each row of parameters.
    pub(crate) sqlite: &'static str,
    /// Executed for all rows of parameters.
    pub(crate) postgres: &'static str,
    /// The types of the parameters of one row.
    pub(crate) takes: &'static [Type],
    /// The types of the columns that it finds.
    pub(crate) finds: &'static [Type],
}

/// A table, and the statements that every table has. A row's parameters are its columns in their
/// order, its version last.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [&'static str],
    /// The columns as a list.
    pub(crate) list: &'static str,
    /// The columns as one list of texts, for statements that find rows of several tables.
    pub(crate) packed: &'static str,
    /// By the columns that name a row.
    pub(crate) select: Statement,
    /// The same, and nobody else changes the rows until the transaction ends.
    pub(crate) lock: Statement,
    /// The same, but others may rely on the rows as well.
    pub(crate) share: Statement,
    /// By name, those after one, at most so many.
    pub(crate) page: Statement,
    pub(crate) insert: Statement,
    /// By name and the version that is replaced, which comes after the columns.
    pub(crate) update: Statement,
    /// By name and the version that goes away.
    pub(crate) delete: Statement,
}

impl Table {
    /// How many columns name a row. They come first.
    pub(crate) const fn named_by(&self) -> usize {
        self.select.takes.len()
    }
}

macro_rules! column_type {
    (text) => {
        crate::value::Type::Text
    };
    (bigint) => {
        crate::value::Type::Number
    };
}

/// Declares a [`Table`]: its columns with the number of their parameter and their type, first
/// those that name a row, then the others, then the number of `version`, that of the version that
/// an update replaces, and that of the version which a deletion expects.
macro_rules! table {
    (
        $table:ident by ($n1:literal $k1:ident $t1:ident $(, $n:literal $k:ident $t:ident)*)
        holds ($($m:literal $c:ident $u:ident),* $(,)?)
        version $version:literal replaced $replaced:literal gone $gone:literal
    ) => {
        $crate::statement::Table {
            name: stringify!($table),
            columns: &[stringify!($k1), $(stringify!($k),)* $(stringify!($c),)* "version"],
            list: concat!(
                stringify!($table), ".", stringify!($k1),
                $(", ", stringify!($table), ".", stringify!($k),)*
                $(", ", stringify!($table), ".", stringify!($c),)*
                ", ", stringify!($table), ".version"
            ),
            packed: concat!(
                "ARRAY[", stringify!($table), ".", stringify!($k1), "::text",
                $(", ", stringify!($table), ".", stringify!($k), "::text",)*
                $(", ", stringify!($table), ".", stringify!($c), "::text",)*
                ", ", stringify!($table), ".version::text]"
            ),
            select: $crate::statement::table!(@select "", $table ($n1 $k1 $t1 $(, $n $k $t)*) ($($c $u),*)),
            lock: $crate::statement::table!(@select concat!(
                " ORDER BY ", stringify!($table), ".", stringify!($k1)
                $(, ", ", stringify!($table), ".", stringify!($k))*,
                " FOR UPDATE OF ", stringify!($table)
            ), $table ($n1 $k1 $t1 $(, $n $k $t)*) ($($c $u),*)),
            share: $crate::statement::table!(@select concat!(
                " ORDER BY ", stringify!($table), ".", stringify!($k1)
                $(, ", ", stringify!($table), ".", stringify!($k))*,
                " FOR SHARE OF ", stringify!($table)
            ), $table ($n1 $k1 $t1 $(, $n $k $t)*) ($($c $u),*)),
            page: $crate::statement::Statement {
                sqlite: concat!(
                    "SELECT ", stringify!($k1), $(", ", stringify!($k),)* $(", ", stringify!($c),)*
                    ", version FROM ", stringify!($table), " WHERE (", stringify!($k1),
                    $(", ", stringify!($k),)* ") > (?", $n1, $(", ?", $n,)* ") ORDER BY ",
                    stringify!($k1), $(", ", stringify!($k),)* " LIMIT ?", $gone
                ),
                postgres: concat!(
                    "SELECT ", stringify!($k1), $(", ", stringify!($k),)* $(", ", stringify!($c),)*
                    ", version FROM ", stringify!($table), " WHERE (", stringify!($k1),
                    $(", ", stringify!($k),)* ") > (($", $n1, "::", stringify!($t1), "[])[1]",
                    $(", ($", $n, "::", stringify!($t), "[])[1]",)* ") ORDER BY ",
                    stringify!($k1), $(", ", stringify!($k),)*
                    " LIMIT ($", $gone, "::bigint[])[1]"
                ),
                takes: &[
                    $crate::statement::column_type!($t1), $($crate::statement::column_type!($t),)* $crate::value::Type::Number,
                ],
                finds: &[
                    $crate::statement::column_type!($t1), $($crate::statement::column_type!($t),)* $($crate::statement::column_type!($u),)*
                    $crate::value::Type::Number,
                ],
            },
            insert: $crate::statement::Statement {
                sqlite: concat!(
                    "INSERT INTO ", stringify!($table), " (", stringify!($k1),
                    $(", ", stringify!($k),)* $(", ", stringify!($c),)* ", version) VALUES (?",
                    $n1, $(", ?", $n,)* $(", ?", $m,)* ", ?", $version, ")"
                ),
                postgres: concat!(
                    "INSERT INTO ", stringify!($table), " (", stringify!($k1),
                    $(", ", stringify!($k),)* $(", ", stringify!($c),)*
                    ", version) SELECT * FROM unnest($", $n1, "::", stringify!($t1), "[]",
                    $(", $", $n, "::", stringify!($t), "[]",)*
                    $(", $", $m, "::", stringify!($u), "[]",)*
                    ", $", $version, "::bigint[])"
                ),
                takes: &[
                    $crate::statement::column_type!($t1), $($crate::statement::column_type!($t),)* $($crate::statement::column_type!($u),)*
                    $crate::value::Type::Number,
                ],
                finds: &[],
            },
            update: $crate::statement::Statement {
                sqlite: concat!(
                    "UPDATE ", stringify!($table), " SET ",
                    $(stringify!($c), " = ?", $m, ", ",)* "version = ?", $version,
                    " WHERE ", stringify!($k1), " = ?", $n1,
                    $(" AND ", stringify!($k), " = ?", $n,)*
                    " AND version = ?", $replaced
                ),
                postgres: concat!(
                    "UPDATE ", stringify!($table), " SET ",
                    $(stringify!($c), " = new.", stringify!($c), ", ",)* "version = new.version \
                    FROM unnest($", $n1, "::", stringify!($t1), "[]",
                    $(", $", $n, "::", stringify!($t), "[]",)*
                    $(", $", $m, "::", stringify!($u), "[]",)*
                    ", $", $version, "::bigint[], $", $replaced, "::bigint[]) AS new (",
                    stringify!($k1), $(", ", stringify!($k),)* $(", ", stringify!($c),)*
                    ", version, replaced) WHERE ", stringify!($table), ".", stringify!($k1),
                    " = new.", stringify!($k1),
                    $(" AND ", stringify!($table), ".", stringify!($k), " = new.", stringify!($k),)*
                    " AND ", stringify!($table), ".version = new.replaced"
                ),
                takes: &[
                    $crate::statement::column_type!($t1), $($crate::statement::column_type!($t),)* $($crate::statement::column_type!($u),)*
                    $crate::value::Type::Number, $crate::value::Type::Number,
                ],
                finds: &[],
            },
            delete: $crate::statement::Statement {
                sqlite: concat!(
                    "DELETE FROM ", stringify!($table), " WHERE ", stringify!($k1), " = ?", $n1,
                    $(" AND ", stringify!($k), " = ?", $n,)* " AND version = ?", $gone
                ),
                postgres: concat!(
                    "DELETE FROM ", stringify!($table), " USING unnest($", $n1, "::",
                    stringify!($t1), "[]", $(", $", $n, "::", stringify!($t), "[]",)*
                    ", $", $gone, "::bigint[]) AS gone (", stringify!($k1),
                    $(", ", stringify!($k),)* ", version) WHERE ",
                    stringify!($table), ".", stringify!($k1), " = gone.", stringify!($k1),
                    $(" AND ", stringify!($table), ".", stringify!($k), " = gone.", stringify!($k),)*
                    " AND ", stringify!($table), ".version = gone.version"
                ),
                takes: &[
                    $crate::statement::column_type!($t1), $($crate::statement::column_type!($t),)* $crate::value::Type::Number,
                ],
                finds: &[],
            },
        }
    };
    (@select $locking:expr, $table:ident ($n1:literal $k1:ident $t1:ident $(, $n:literal $k:ident $t:ident)*) ($($c:ident $u:ident),*)) => {
        $crate::statement::Statement {
            sqlite: concat!(
                "SELECT ", stringify!($k1), $(", ", stringify!($k),)* $(", ", stringify!($c),)*
                ", version FROM ", stringify!($table), " WHERE ", stringify!($k1), " = ?", $n1,
                $(" AND ", stringify!($k), " = ?", $n,)*
            ),
            postgres: concat!(
                "SELECT ", stringify!($table), ".", stringify!($k1),
                $(", ", stringify!($table), ".", stringify!($k),)*
                $(", ", stringify!($table), ".", stringify!($c),)*
                ", ", stringify!($table), ".version FROM unnest($", $n1, "::", stringify!($t1), "[]",
                $(", $", $n, "::", stringify!($t), "[]",)* ") AS named (",
                stringify!($k1), $(", ", stringify!($k),)* ") JOIN ", stringify!($table), " ON ",
                stringify!($table), ".", stringify!($k1), " = named.", stringify!($k1),
                $(" AND ", stringify!($table), ".", stringify!($k), " = named.", stringify!($k),)*
                $locking
            ),
            takes: &[$crate::statement::column_type!($t1), $($crate::statement::column_type!($t),)*],
            finds: &[
                $crate::statement::column_type!($t1), $($crate::statement::column_type!($t),)* $($crate::statement::column_type!($u),)*
                $crate::value::Type::Number,
            ],
        }
    };
}

/// Joins texts that are known to the compiler, as `concat!` joins literals.
macro_rules! text {
    ($($part:expr),+ $(,)?) => {{
        const PARTS: &[&str] = &[$($part),+];
        const BYTES: [u8; $crate::statement::length(PARTS)] = $crate::statement::join(PARTS);
        match str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => panic!("parts that are texts make a text"),
        }
    }};
}

/// How many bytes the parts have together.
pub(crate) const fn length(parts: &[&str]) -> usize {
    let (mut part, mut length) = (0, 0);
    while part < parts.len() {
        length += parts[part].len();
        part += 1;
    }
    length
}

/// The bytes of the parts, one after another.
pub(crate) const fn join<const N: usize>(parts: &[&str]) -> [u8; N] {
    let mut joined = [0; N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            joined[at] = bytes[index];
            at += 1;
            index += 1;
        }
        part += 1;
    }
    joined
}

pub(crate) use {column_type, table, text};
