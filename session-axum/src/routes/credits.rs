//! Credits.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use session_core::ledger::VerifyCelo;
use session_core::service::credits;

use super::run;
use crate::App;
use crate::extract::{Caller, RawBody};
use crate::problem::Problem;

#[derive(Serialize)]
pub(crate) struct BalanceAnswer {
    remaining_seconds: u64,
    base_granted_seconds: u64,
    bonus_granted_seconds: u64,
    consumed_seconds: u64,
}

/// `GET /credits`
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

#[derive(Serialize)]
pub(crate) struct VerifyAnswer {
    granted: bool,
    remaining_seconds: u64,
}

/// `POST /credits/verify-celo`; the body is not read.
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
