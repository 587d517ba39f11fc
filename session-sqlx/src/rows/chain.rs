//! The one row that says how far the journal is sealed.

use session_core::journal::{BlockNumber, Chain};
use session_core::ports::StoreError;
use session_core::types::encode_hex;

use crate::columns::Columns;
use crate::statement::{Table, table};
use crate::value::Values;

pub(crate) const TABLE: Table = table! {
    chain by (1 id bigint)
    holds (
        2 chain text,
        3 blocks bigint,
        4 head text,
        5 seal_at bigint,
    )
    version 6 replaced 7 gone 2
};

/// What the one row is named.
pub(crate) const ONLY: u64 = 1;

pub(super) fn values(chain: &Chain) -> Values {
    Values::new()
        .number(ONLY)
        .text(chain.id)
        .number(chain.blocks.get())
        .text(encode_hex(&chain.head))
        .time(chain.seal_at)
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Chain, StoreError> {
    Ok(Chain {
        id: columns.parsed("chain")?,
        blocks: BlockNumber::new(columns.number("blocks")?),
        head: columns.hash("head")?,
        seal_at: columns.time("seal_at")?,
    })
}
