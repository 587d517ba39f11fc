//! A room as its participants see it: at once, and as it goes on.

use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use session_core::receipt::StayReceipt;
use session_core::room::{Happening, RoomEvent, RoomState, Seat, SeatState};
use session_core::service::{OwnRoom, own_room};
use session_core::types::{ConnectionId, RoomId, Wallet};
use utoipa::ToSchema;

use super::not_found;
use super::stream::{self, Start};
use crate::App;
use crate::extract::{Caller, Presented};
use crate::openapi::refusals::refusals;
use crate::openapi::schema;
use crate::problem::{Code, Problem};

/// A room as one of its own sees it.
#[derive(Serialize, ToSchema)]
pub(crate) struct RoomAnswer {
    #[schema(value_type = schema::RoomId)]
    room_id: RoomId,
    /// At the media vendor.
    channel: String,
    #[schema(value_type = schema::Wallet)]
    host_wallet: Wallet,
    /// `open` or `private`.
    #[schema(value_type = String, example = "open")]
    visibility: &'static str,
    /// `active` or `closed`.
    #[schema(value_type = String, example = "active")]
    state: &'static str,
    /// Unix seconds.
    created_at: u64,
    /// Unix seconds.
    closed_at: Option<u64>,
    /// `emptied`, `host_left` or `unjoined`.
    #[schema(value_type = Option<String>)]
    closed_reason: Option<&'static str>,
    /// Who is in it now.
    participants: Vec<Participant>,
    /// The caller's last stay in it; null for a host that has not come in.
    own: Option<OwnStay>,
    /// The last event so far: what `Last-Event-ID` of its events may name.
    last_event_id: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Participant {
    #[schema(value_type = schema::Wallet)]
    wallet: Wallet,
    agora_uid: u32,
    is_host: bool,
    /// Unix seconds.
    joined_at: u64,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OwnStay {
    #[schema(value_type = schema::ConnectionId)]
    connection_id: ConnectionId,
    agora_uid: u32,
    /// Unix seconds.
    joined_at: u64,
    /// When the last media token ends, in unix seconds.
    lease_ends_at: u64,
    /// Charged so far.
    #[schema(pattern = "^[0-9]+$", example = "30")]
    charged_seconds: String,
    /// Unix seconds; null while it lasts.
    left_at: Option<u64>,
    /// `exhausted`, `left`, `room_closed` or `silent`.
    #[schema(value_type = Option<String>)]
    left_reason: Option<&'static str>,
    /// The server's signed word on a stay that has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<String>,
}

impl RoomAnswer {
    pub(super) fn of(found: &OwnRoom, app: &App) -> Self {
        let room = &found.room;
        let (state, closed) = match room.state {
            RoomState::Active => ("active", None),
            RoomState::Closed { at, why } => ("closed", Some((at, why))),
        };
        let participant = |seat: &Seat| Participant {
            wallet: seat.wallet,
            agora_uid: seat.uid.get(),
            is_host: seat.wallet == room.host,
            joined_at: seat.joined_at.unix(),
        };
        Self {
            room_id: room.id,
            channel: room.channel().to_string(),
            host_wallet: room.host,
            visibility: room.visibility.name(),
            state,
            created_at: room.created_at.unix(),
            closed_at: closed.map(|(at, _)| at.unix()),
            closed_reason: closed.map(|(_, why)| why.name()),
            participants: found.seats.iter().map(participant).collect(),
            own: found.own.as_ref().map(|seat| OwnStay::of(seat, app)),
            last_event_id: room.last_event.to_string(),
        }
    }
}

impl OwnStay {
    fn of(seat: &Seat, app: &App) -> Self {
        let gone = match seat.state {
            SeatState::Live => None,
            SeatState::Gone { at, why } => Some((at, why)),
        };
        Self {
            connection_id: seat.connection,
            agora_uid: seat.uid.get(),
            joined_at: seat.joined_at.unix(),
            lease_ends_at: seat.lease_until.unix(),
            charged_seconds: seat.charged.get().to_string(),
            left_at: gone.map(|(at, _)| at.unix()),
            left_reason: gone.map(|(_, why)| why.name()),
            receipt: StayReceipt::of(seat).and_then(|receipt| app.receipt(&receipt)),
        }
    }
}

refusals!(RoomRefusals: [READ], NotFound);

/// A room and who is in it
///
/// For its host and whoever is or was in it; to everybody else it is 404, as a room that there is
/// not.
#[utoipa::path(
    get, path = "/rooms/{id}", tag = "rooms", operation_id = "room",
    security(("access_token" = [])), params(("id" = schema::RoomId, Path)),
    responses((status = 200, description = "The room.", body = RoomAnswer), RoomRefusals)
)]
pub(crate) async fn room(
    State(app): State<App>,
    Caller(wallet): Caller,
    RoomPath(room): RoomPath,
) -> Result<Json<RoomAnswer>, Problem> {
    let found = find(&app, room, wallet).await?;
    Ok(Json(RoomAnswer::of(&found, &app)))
}

async fn find(app: &App, room: RoomId, wallet: Wallet) -> Result<OwnRoom, Problem> {
    let found = own_room(app.ports(), room, wallet).await?;
    found.ok_or(Problem::new(Code::NotFound))
}

/// The room of a path. A text that can name none makes the path an unknown one.
pub(crate) struct RoomPath(RoomId);

impl<S: Send + Sync> FromRequestParts<S> for RoomPath {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let named = Path::<String>::from_request_parts(parts, state).await;
        match named.ok().and_then(|Path(text)| text.parse().ok()) {
            Some(room) => Ok(Self(room)),
            None => Err(not_found().await),
        }
    }
}

/// What happens in a room
///
/// Server-sent events for those of the room: `joined`, `left`, `evicted` and `closed`; of the caller
/// alone `credits_low` and `credits_exhausted`. Each has the `id` of its place among the room's;
/// whoever comes back with `Last-Event-ID` is told what came after. Without it, or where that has
/// been forgotten, the first event is `reset` with the whole `room`, as `GET /rooms/{id}` answers it.
/// The stream ends with the caller's stay, with the room and with the access token; 204 says that
/// nothing will come any more. Of a wallet's streams the newest 4 go on.
#[utoipa::path(
    get, path = "/rooms/{id}/events", tag = "rooms", operation_id = "room_events",
    security(("access_token" = [])),
    params(
        ("id" = schema::RoomId, Path),
        ("last-event-id" = Option<String>, Header, description = "The last event heard of.")
    ),
    responses(
        (status = 200, description = "Events.", body = String, content_type = "text/event-stream"),
        (status = 204, description = "Nothing will come any more."),
        RoomRefusals
    )
)]
pub(crate) async fn events(
    State(app): State<App>,
    Caller(wallet): Caller,
    token: Option<Presented>,
    RoomPath(room): RoomPath,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let place = app.streams().enter(wallet)?;
    let found = find(&app, room, wallet).await?;
    let asked = headers.get("last-event-id");
    let start = Start::of(asked.and_then(|id| id.to_str().ok()), &found.room);
    let listener = stream::Listener {
        app,
        wallet,
        token: token.map(|Presented(token)| token),
        place,
    };
    Ok(match listener.listen(found, start).await? {
        Some(events) => {
            let headers = [
                (header::CACHE_CONTROL, "no-store"),
                // What stands before the server must not hold events back.
                (HeaderName::from_static("x-accel-buffering"), "no"),
            ];
            let mut response = events.into_response();
            for (name, value) in headers {
                response
                    .headers_mut()
                    .insert(name, HeaderValue::from_static(value));
            }
            response
        }
        // Nothing will ever come, which a client learns by this and does not ask again.
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// An event as one of the room's own is told it; `None` where it is not told.
pub(super) fn told(
    event: &RoomEvent,
    found: &OwnRoom,
    wallet: Wallet,
    receipt: Option<String>,
) -> Option<Value> {
    if event.what.only_for().is_some_and(|whose| whose != wallet) {
        return None;
    }
    let mut body = match event.what {
        Happening::Closed { why } => json!({ "reason": why.name() }),
        Happening::CreditsExhausted { wallet, .. } => {
            json!({ "wallet": wallet, "remaining_seconds": "0" })
        }
        Happening::CreditsLow {
            wallet, remaining, ..
        } => json!({ "wallet": wallet, "remaining_seconds": remaining.get().to_string() }),
        Happening::Evicted {
            wallet, uid, why, ..
        } => json!({ "wallet": wallet, "agora_uid": uid.get(), "reason": why.name() }),
        Happening::Joined { wallet, uid, .. } => {
            let is_host = wallet == found.room.host;
            json!({ "wallet": wallet, "agora_uid": uid.get(), "is_host": is_host })
        }
        Happening::Left { wallet, uid, .. } => json!({ "wallet": wallet, "agora_uid": uid.get() }),
    };
    body["type"] = event.what.name().into();
    body["at_epoch"] = event.at.unix().into();
    if let Some(receipt) = receipt {
        body["receipt"] = receipt.into();
    }
    Some(body)
}
