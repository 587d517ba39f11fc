//! Outstanding sign-in nonces.

use session_core::auth::{Challenge, ChallengeKey};
use session_core::ports::StoreError;
use session_core::types::{decode_hex_array, encode_hex};

use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::{Statement, Table, table, text};
use crate::value::{Type, Values};

pub(crate) const TABLE: Table = table! {
    challenge by (1 wallet text, 2 nonce text)
    holds (
        3 issued_at bigint,
        4 forget_at bigint,
    )
    version 5 replaced 6 gone 3
};

/// Of wallets.
pub(crate) const OF_WALLETS: Statement = Statement {
    sqlite: text!("SELECT ", TABLE.list, " FROM challenge WHERE wallet = ?1"),
    postgres: text!(
        "SELECT ",
        TABLE.list,
        " FROM unnest($1::text[]) AS named (wallet) JOIN challenge \
        ON challenge.wallet = named.wallet"
    ),
    takes: &[Type::Text],
    finds: TABLE.select.finds,
};

pub(super) fn values(challenge: &Challenge) -> Values {
    Values::new()
        .text(challenge.key.wallet)
        .text(encode_hex(&challenge.key.nonce))
        .time(challenge.issued_at)
        .time(challenge.forget_at)
}

pub(super) fn decode(columns: &Columns<'_>) -> Result<Challenge, StoreError> {
    let nonce = decode_hex_array(columns.text("nonce")?);
    Ok(Challenge {
        key: ChallengeKey {
            wallet: columns.parsed("wallet")?,
            nonce: nonce.map_err(|_| corrupt("column nonce holds no nonce"))?,
        },
        issued_at: columns.time("issued_at")?,
        forget_at: columns.time("forget_at")?,
    })
}
