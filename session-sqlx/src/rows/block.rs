//! Blocks of the journal: inserted, never changed.

use session_core::journal::{Block, BlockNumber};
use session_core::ports::StoreError;
use session_core::types::encode_hex;

use crate::columns::Columns;
use crate::statement::{Table, table};
use crate::value::Values;

pub(crate) const TABLE: Table = table! {
    block by (1 number bigint)
    holds (
        2 previous text,
        3 sealed_at bigint,
        4 entries text,
        5 root text,
        6 hash text,
    )
    version 7 replaced 8 gone 2
};

pub(super) fn values(block: &Block) -> Values {
    Values::new()
        .number(block.number.get())
        .text(encode_hex(&block.previous))
        .time(block.sealed_at)
        .json(&block.entries)
        .text(encode_hex(&block.root))
        .text(encode_hex(&block.hash))
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Block, StoreError> {
    Ok(Block {
        number: BlockNumber::new(columns.number("number")?),
        previous: columns.hash("previous")?,
        sealed_at: columns.time("sealed_at")?,
        entries: columns.json("entries")?,
        root: columns.hash("root")?,
        hash: columns.hash("hash")?,
    })
}
