//! Credits.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use session_core::ledger::VerifyCelo;
use session_core::service::credits;
use utoipa::ToSchema;

use super::run;
use crate::App;
use crate::extract::{Caller, RawBody};
use crate::openapi::refusals::refusals;
use crate::openapi::{Once, schema};
use crate::problem::Problem;

/// What is left is what was granted less what was consumed.
#[derive(Serialize, ToSchema)]
pub(crate) struct BalanceAnswer {
    #[schema(value_type = schema::Seconds)]
    remaining_seconds: u64,
    #[schema(value_type = schema::Seconds)]
    base_granted_seconds: u64,
    #[schema(value_type = schema::Seconds)]
    bonus_granted_seconds: u64,
    #[schema(value_type = schema::Seconds)]
    consumed_seconds: u64,
}

refusals!(BalanceRefusals: [READ]);

/// What a wallet has left
///
/// A wallet that was never granted anything has zeros.
#[utoipa::path(
    get, path = "/credits", tag = "credits", operation_id = "credits",
    security(("access_token" = [])),
    responses((status = 200, description = "The balance.", body = BalanceAnswer), BalanceRefusals)
)]
pub(crate) async fn balance(
    State(app): State<App>,
    Caller(wallet): Caller,
) -> Result<Json<BalanceAnswer>, Problem> {
    let credits = credits(app.ports(), wallet).await?;
    Ok(Json(BalanceAnswer {
        remaining_seconds: credits.remaining.get(),
        base_granted_seconds: credits.base_granted.get(),
        bonus_granted_seconds: credits.bonus_granted.get(),
        consumed_seconds: credits.consumed().get(),
    }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct VerifyAnswer {
    /// Whether this call granted the bonus; only the first one does.
    granted: bool,
    #[schema(value_type = schema::Seconds)]
    remaining_seconds: u64,
}

refusals!(VerifyRefusals: [COMMAND, CHAIN], NotVerified);

/// Claim the bonus of a verified wallet
///
/// 1800 seconds, once for ever, for a wallet that the verification contract knows. No body is read.
#[utoipa::path(
    post, path = "/credits/verify-celo", tag = "credits", operation_id = "claim_bonus",
    params(Once), security(("access_token" = [])),
    responses((status = 200, description = "Verified.", body = VerifyAnswer), VerifyRefusals)
)]
pub(crate) async fn verify_celo(
    State(app): State<App>,
    Caller(wallet): Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<VerifyAnswer>, Problem> {
    let command = VerifyCelo { wallet };
    let reply = run(
        "credits.verify-celo",
        &command,
        wallet,
        &body,
        &headers,
        &app,
    )
    .await?;
    Ok(Json(VerifyAnswer {
        granted: reply.granted,
        remaining_seconds: reply.remaining.get(),
    }))
}
