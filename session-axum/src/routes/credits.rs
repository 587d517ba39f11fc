//! Credits.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use session_core::changeset::{Entry, Fact};
use session_core::ledger::{Reference, VerifyCelo};
use session_core::service::{credit_entries, credits};
use session_core::types::{ConnectionId, EntryId, Timestamp};

use super::run;
use crate::App;
use crate::extract::{Caller, RawBody};
use crate::page::{Cursor, Page};
use crate::problem::{Code, Problem};

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
pub(crate) struct CreditEventsAnswer {
    items: Vec<CreditEvent>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct CreditEvent {
    event_id: EntryId,
    event_type: &'static str,
    delta_seconds: String,
    balance_after_seconds: Option<String>,
    connection_id: Option<ConnectionId>,
    created_at: u64,
}

/// `GET /credits/events`
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
