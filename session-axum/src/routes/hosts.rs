//! Whether hosts take bookings.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use session_core::booking::{SetHost, host};
use session_core::types::Wallet;
use utoipa::ToSchema;

use super::sessions::run_again;
use crate::App;
use crate::extract::{Caller, RawBody};
use crate::openapi::refusals::refusals;
use crate::openapi::{Once, schema};
use crate::problem::{Code, Problem};

#[derive(Serialize, ToSchema)]
pub(crate) struct HostAnswer {
    /// Whoever has said nothing does not.
    accepting_bookings: bool,
}

refusals!(HostRefusals: [READ]);

/// Whether one takes bookings oneself
///
/// A wish that pages show; the contract does not know it.
#[utoipa::path(
    get, path = "/hosts/me", tag = "sessions", operation_id = "own_availability",
    security(("access_token" = [])),
    responses((status = 200, description = "As it was said.", body = HostAnswer), HostRefusals)
)]
pub(crate) async fn own(
    State(app): State<App>,
    Caller(wallet): Caller,
) -> Result<Json<HostAnswer>, Problem> {
    answer(&app, wallet).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read member by member")]
pub(crate) struct HostRequest {
    accepting_bookings: bool,
}

refusals!(SetHostRefusals: [COMMAND]);

/// Say whether one takes bookings
///
/// A wish that pages show; the contract does not know it.
#[utoipa::path(
    put, path = "/hosts/me", tag = "sessions", operation_id = "set_availability",
    params(Once), security(("access_token" = [])),
    request_body = HostRequest,
    responses((status = 200, description = "Said.", body = HostAnswer), SetHostRefusals)
)]
pub(crate) async fn set(
    State(app): State<App>,
    Caller(wallet): Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<HostAnswer>, Problem> {
    let members = body.strict_members(&["accepting_bookings"])?;
    let command = SetHost {
        wallet,
        accepting_bookings: members
            .flag("accepting_bookings")
            .ok_or(Problem::new(Code::InvalidBody))?,
    };
    let accepting_bookings =
        run_again(("hosts.set", ""), &command, wallet, &body, &headers, &app).await?;
    Ok(Json(HostAnswer { accepting_bookings }))
}

refusals!(OtherHostRefusals: [READ], InvalidWallet);

/// Whether a host takes bookings
///
/// Needs no access token.
#[utoipa::path(
    get, path = "/hosts/{wallet}", tag = "sessions", operation_id = "availability",
    params(("wallet" = schema::Wallet, Path)),
    responses((status = 200, description = "As it was said.", body = HostAnswer), OtherHostRefusals)
)]
pub(crate) async fn other(
    State(app): State<App>,
    Path(wallet): Path<String>,
) -> Result<Json<HostAnswer>, Problem> {
    let wallet = Wallet::parse_checked(&wallet).map_err(|_| Problem::new(Code::InvalidWallet))?;
    answer(&app, wallet).await
}

async fn answer(app: &App, wallet: Wallet) -> Result<Json<HostAnswer>, Problem> {
    let accepting_bookings = host(app.ports(), wallet).await?;
    Ok(Json(HostAnswer { accepting_bookings }))
}
