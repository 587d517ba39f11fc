//! Outstanding sign-in nonces.

use session_core::auth::{Challenge, ChallengeKey};
use session_core::ports::StoreError;
use session_core::types::{decode_hex_array, encode_hex};

use super::Statements;
use crate::columns::Columns;
use crate::error::corrupt;
use crate::statement::Parameters;

pub(super) const STATEMENTS: Statements = Statements {
    by_names: "SELECT challenge.* FROM json_each($1) AS named CROSS JOIN challenge \
        ON challenge.wallet = named.value ->> 0 AND challenge.nonce = named.value ->> 1",
    insert: "INSERT INTO challenge (wallet, nonce, issued_at, forget_at, version) \
        VALUES ($1, $2, $3, $4, $5)",
    update: "UPDATE challenge SET issued_at = $3, forget_at = $4, version = $5 \
        WHERE wallet = $1 AND nonce = $2 AND version = $6",
    delete: "DELETE FROM challenge WHERE wallet = $1 AND nonce = $2 AND version = $3",
};

/// Of one wallet, oldest first.
pub(crate) const OF_WALLET: &str =
    "SELECT challenge.* FROM challenge WHERE wallet = $1 ORDER BY issued_at, nonce";

pub(super) fn values(challenge: &Challenge) -> Parameters {
    Parameters::new()
        .text(challenge.key.wallet)
        .text(encode_hex(&challenge.key.nonce))
        .time(challenge.issued_at)
        .time(challenge.forget_at)
}

pub(super) fn decode(columns: Columns<'_>) -> Result<Challenge, StoreError> {
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
