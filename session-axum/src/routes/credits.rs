//! Credits.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use session_core::changeset::{Entry, Fact};
use session_core::ledger::{Reference, VerifyCelo};
use session_core::service::{credit_entries, credits};
use session_core::types::{ConnectionId, EntryId, Timestamp};
use utoipa::ToSchema;

use super::run;
use crate::App;
use crate::extract::{Caller, RawBody};
use crate::openapi::refusals::refusals;
use crate::openapi::{Once, schema};
use crate::page::{Cursor, Page, PageParams};
use crate::problem::{Code, Problem};

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
pub(crate) struct CreditEventsAnswer {
    items: Vec<CreditEvent>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CreditEvent {
    /// The entry of the journal that tells of it.
    #[schema(value_type = String, pattern = "^[0-9a-f]{32}$")]
    event_id: EntryId,
    /// Why: `debit_usage`, `grant_base`, `grant_celo_bonus` or `admin_adjust`.
    #[schema(value_type = String, example = "debit_usage")]
    event_type: &'static str,
    /// What came or, below zero, went.
    #[schema(pattern = "^-?[0-9]+$", example = "-30")]
    delta_seconds: String,
    #[schema(pattern = "^[0-9]+$", example = "1770")]
    balance_after_seconds: Option<String>,
    /// The stay that it was charged for.
    #[schema(value_type = Option<schema::ConnectionId>)]
    connection_id: Option<ConnectionId>,
    /// Unix seconds.
    created_at: u64,
}

refusals!(CreditEventsRefusals: [READ], InvalidCursor, InvalidLimit, UnknownMember);

/// Where the credit came from and went
///
/// The caller's own changes of credit, the newest first.
#[utoipa::path(
    get, path = "/credits/events", tag = "credits", operation_id = "credit_events",
    security(("access_token" = [])), params(PageParams),
    responses(
        (status = 200, description = "A page.", body = CreditEventsAnswer), CreditEventsRefusals
    )
)]
pub(crate) async fn events(
    State(app): State<App>,
    Caller(wallet): Caller,
    page: Page,
) -> Result<Json<CreditEventsAnswer>, Problem> {
    let before = match page.cursor() {
        Some(cursor) => Some(
            cursor
                .parts::<2>()
                .and_then(place)
                .ok_or(invalid_cursor())?,
        ),
        None => None,
    };
    // One more than is shown says whether there are more.
    let more = page.limit().saturating_add(1);
    let mut entries = credit_entries(app.ports(), wallet, before, more).await?;
    let shown = usize::try_from(page.limit()).unwrap_or(usize::MAX);
    let has_more = entries.len() > shown;
    entries.truncate(shown);
    let last = entries.last().filter(|_| has_more);
    Ok(Json(CreditEventsAnswer {
        next_cursor: last
            .map(|entry| Cursor::of(&[&entry.at.unix().to_string(), &entry.id.to_string()])),
        items: entries.iter().filter_map(item).collect(),
    }))
}

fn invalid_cursor() -> Problem {
    Problem::new(Code::InvalidCursor)
}

fn place([at, id]: [&str; 2]) -> Option<(Timestamp, EntryId)> {
    Some((Timestamp::from_unix(at.parse().ok()?), id.parse().ok()?))
}

fn item(entry: &Entry) -> Option<CreditEvent> {
    let change = entry.fact.credit_change()?;
    let Fact::Transferred { transfer, .. } = &entry.fact else {
        return None;
    };
    Some(CreditEvent {
        event_id: entry.id,
        event_type: transfer.reason.name(),
        delta_seconds: change.delta_seconds.to_string(),
        balance_after_seconds: change.balance_after_seconds.map(|after| after.to_string()),
        connection_id: match transfer.reference {
            Reference::Connection(connection) => Some(connection),
            Reference::None => None,
        },
        created_at: entry.at.unix(),
    })
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
