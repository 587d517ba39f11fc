//! Free rooms.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Value, json};
use session_core::media::{MediaGrant, MediaTokenError};
use session_core::room::{
    CreateRoom, Heartbeat, JoinRoom, LeaveRoom, Renew, RenewReply, Room, StayName, Threshold,
    ThresholdKind, Visibility,
};
use session_core::service::{active_rooms, stay_receipt};
use session_core::types::{ConnectionId, RoomId, Wallet};
use utoipa::ToSchema;

use super::run;
use crate::App;
use crate::extract::{Caller, Members, RawBody};
use crate::openapi::refusals::refusals;
use crate::openapi::{Once, schema};
use crate::problem::{Code, Problem};
use crate::{observe, shown};

#[derive(Serialize, ToSchema)]
pub(crate) struct ActiveAnswer {
    rooms: Vec<ActiveRoom>,
}

#[derive(Serialize, ToSchema)]
struct ActiveRoom {
    #[schema(value_type = schema::RoomId)]
    room_id: RoomId,
    #[schema(value_type = schema::Wallet)]
    host_wallet: Wallet,
    /// A room that nobody has joined yet is listed with 0.
    #[schema(maximum = 6)]
    participant_count: u8,
    #[schema(format = DateTime, example = "2026-11-20T21:40:46.000Z")]
    created_at: String,
}

refusals!(ActiveRefusals: [READ]);

/// Open rooms
///
/// Newest first, at most 50. Needs no access token.
#[utoipa::path(
    get, path = "/rooms/active", tag = "rooms", operation_id = "active_rooms",
    responses((status = 200, description = "Rooms to join.", body = ActiveAnswer), ActiveRefusals)
)]
pub(crate) async fn active(State(app): State<App>) -> Result<Json<ActiveAnswer>, Problem> {
    let item = |room: Room| ActiveRoom {
        room_id: room.id,
        host_wallet: room.host,
        participant_count: room.live_seats,
        created_at: room.created_at.to_rfc3339(),
    };
    let rooms = active_rooms(app.ports())
        .await?
        .into_iter()
        .map(item)
        .collect();
    Ok(Json(ActiveAnswer { rooms }))
}

/// An absent or broken body is an empty one.
#[derive(ToSchema)]
#[allow(dead_code, reason = "read leniently, member by member")]
pub(crate) struct CreateRequest {
    /// `private` keeps the room off the public list; anything else is `open`.
    #[schema(value_type = String, required = false, example = "open")]
    visibility: Option<String>,
    /// Whether an AI agent takes part; anything but `true` is `false`.
    #[schema(value_type = bool, required = false)]
    ai_enabled: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct CreateAnswer {
    #[schema(value_type = schema::RoomId)]
    room_id: RoomId,
    /// The media channel.
    #[schema(example = "heaven-free-7b1f6f4c-1f0e-4b2a-9d5e-0a4c9f8e2d11")]
    channel: String,
    #[schema(pattern = "^(open|private)$", example = "open")]
    visibility: &'static str,
}

refusals!(CreateRefusals: [COMMAND, CHAIN],
    AlreadyHosting, AlreadyInRoom, InsufficientCredits, NameRequired);

/// Open a room
///
/// Takes no seat in it: that is joining. A room that nobody joins closes after 120 seconds. The
/// first call of a wallet that owns a primary name grants it 1800 seconds of credit.
#[utoipa::path(
    post, path = "/rooms/create", tag = "rooms", operation_id = "create_room",
    params(Once), security(("access_token" = [])),
    request_body = Option<CreateRequest>,
    responses(
        (status = 200, description = "Opened.", body = CreateAnswer, links(
            ("join" = (operation_id = "join_room",
                request_body = json!({"room_id": "$response.body#/room_id"}))),
        )),
        CreateRefusals,
    )
)]
pub(crate) async fn create(
    State(app): State<App>,
    Caller(wallet): Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<CreateAnswer>, Problem> {
    // Where it is not strict, an absent or broken body is an empty one.
    let members = body.members(&["visibility", "ai_enabled"]);
    let members = if app.is_strict() && !body.is_empty() {
        members?
    } else {
        members.unwrap_or_default()
    };
    let is_known =
        members.is_one_of("visibility", &["open", "private"]) && members.is_flag("ai_enabled");
    if app.is_strict() && !is_known {
        return Err(Problem::new(Code::InvalidBody));
    }
    let visibility = if members.is_text("visibility", "private") {
        Visibility::Private
    } else {
        Visibility::Open
    };
    let command = CreateRoom {
        wallet,
        visibility,
        ai_enabled: members.is_true("ai_enabled"),
    };
    let created = run("rooms.create", &command, wallet, &body, &headers, &app).await?;
    observe::know_room(created.room);
    Ok(Json(CreateAnswer {
        room_id: created.room,
        channel: created.channel.to_string(),
        visibility: created.visibility.name(),
    }))
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "read leniently, member by member")]
pub(crate) struct JoinRequest {
    room_id: schema::RoomId,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct JoinAnswer {
    #[schema(value_type = schema::RoomId)]
    room_id: RoomId,
    /// The media channel.
    #[schema(example = "heaven-free-7b1f6f4c-1f0e-4b2a-9d5e-0a4c9f8e2d11")]
    channel: String,
    #[schema(value_type = schema::ConnectionId)]
    connection_id: ConnectionId,
    /// Who the caller is in the channel.
    #[schema(value_type = u64, minimum = 1, maximum = 4_294_967_295_u64)]
    agora_uid: u32,
    #[schema(value_type = schema::Wallet)]
    host_wallet: Wallet,
    is_host: bool,
    /// Lets this caller into this channel, whatever the vendor.
    agora_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    media: Option<MediaAnswer>,
    #[schema(value_type = schema::Seconds, example = 90)]
    token_expires_in_seconds: u64,
    #[schema(value_type = schema::Seconds, example = 45)]
    renew_after_seconds: u64,
    #[schema(value_type = schema::Seconds, example = 30)]
    heartbeat_interval_seconds: u64,
    #[schema(value_type = schema::Seconds)]
    remaining_seconds: u64,
}

refusals!(JoinRefusals: [COMMAND, CHAIN],
    AlreadyInRoom, InsufficientCredits, InvalidBody, MissingRoomId, NameRequired, RoomFull,
    RoomNotFound);

/// Take a seat in a room
///
/// Costs nothing by itself, and needs 90 seconds of credit. A wallet sits in one room at a time; a
/// private room is joined by its id. The answer holds a media token and says when to renew it.
#[utoipa::path(
    post, path = "/rooms/join", tag = "rooms", operation_id = "join_room",
    params(Once), security(("access_token" = [])),
    request_body = JoinRequest,
    responses(
        (status = 200, description = "Seated.", body = JoinAnswer, links(
            ("beat" = (operation_id = "heartbeat", request_body = json!(stay_of_answer()))),
            ("renew" = (operation_id = "renew_token", request_body = json!(stay_of_answer()))),
            ("leave" = (operation_id = "leave_room", request_body = json!(stay_of_answer()))),
        )),
        JoinRefusals,
    )
)]
pub(crate) async fn join(
    State(app): State<App>,
    Caller(wallet): Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<JoinAnswer>, Problem> {
    let members = body.members(&["room_id"])?;
    let room = members
        .text("room_id")?
        .ok_or(Problem::new(Code::MissingRoomId))?;
    let command = JoinRoom {
        wallet,
        room: known_room(room),
    };
    let joined = run("rooms.join", &command, wallet, &body, &headers, &app).await?;
    Ok(Json(JoinAnswer {
        room_id: joined.room,
        channel: joined.grant.channel.to_string(),
        connection_id: joined.connection,
        agora_uid: joined.grant.uid.get(),
        host_wallet: joined.host,
        is_host: joined.is_host,
        agora_token: token(&joined.grant, &app)?,
        media: MediaAnswer::of(&joined.grant, &app),
        token_expires_in_seconds: joined.grant.ttl.seconds().get(),
        renew_after_seconds: joined.renew_after.get(),
        heartbeat_interval_seconds: joined.heartbeat_interval.get(),
        remaining_seconds: joined.remaining.get(),
    }))
}

/// The room that a text names, if it names one.
fn known_room(text: &str) -> Option<RoomId> {
    text.parse().ok().inspect(|room| observe::know_room(*room))
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "read leniently, member by member")]
pub(crate) struct StayRequest {
    room_id: schema::RoomId,
    connection_id: schema::ConnectionId,
}

/// How the next calls name the stay that was just answered.
fn stay_of_answer() -> Value {
    json!({
        "room_id": "$response.body#/room_id",
        "connection_id": "$response.body#/connection_id",
    })
}

refusals!(StayRefusals: [COMMAND], MissingStayParts, NotYourConnection, StayNotFound);

/// The stay that a body names.
fn stay_name(wallet: Wallet, members: &Members) -> Result<StayName, Problem> {
    let (room, connection) = members
        .text("room_id")?
        .zip(members.text("connection_id")?)
        .ok_or(Problem::new(Code::MissingStayParts))?;
    Ok(StayName {
        wallet,
        room: known_room(room),
        connection: connection.parse().ok(),
    })
}

#[derive(Serialize, ToSchema)]
pub(crate) struct HeartbeatAnswer {
    ok: bool,
    #[schema(value_type = schema::Seconds)]
    remaining_seconds: u64,
    /// What happened since the last call of this stay.
    events: Vec<Event>,
}

/// Each kind at most once in a stay.
#[derive(Serialize, ToSchema)]
pub(crate) struct Event {
    #[serde(rename = "type")]
    kind: EventKind,
    #[schema(value_type = schema::Wallet)]
    wallet: Wallet,
    #[schema(value_type = schema::Seconds, example = 300)]
    remaining_seconds: u64,
    /// Unix seconds.
    at_epoch: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    CreditsLow,
    CreditsExhausted,
}

/// Say that one is still there
///
/// Charges the seconds since the last call of this stay. Never refused for lack of credit.
#[utoipa::path(
    post, path = "/rooms/heartbeat", tag = "rooms", operation_id = "heartbeat",
    params(Once), security(("access_token" = [])),
    request_body = StayRequest,
    responses((status = 200, description = "Heard.", body = HeartbeatAnswer), StayRefusals)
)]
pub(crate) async fn heartbeat(
    State(app): State<App>,
    Caller(wallet): Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<HeartbeatAnswer>, Problem> {
    let stay = stay_name(wallet, &body.members(&["room_id", "connection_id"])?)?;
    let command = Heartbeat(stay);
    let reply = match run("rooms.heartbeat", &command, wallet, &body, &headers, &app).await {
        Ok(reply) => reply,
        Err(problem) => return Err(with_receipt(problem, &stay, &app).await),
    };
    Ok(Json(HeartbeatAnswer {
        ok: true,
        remaining_seconds: reply.remaining.get(),
        events: events(&reply.thresholds, wallet),
    }))
}

/// Another media token, or a denial; a denial is a 200, as recorded.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum RenewAnswer {
    Renewed {
        agora_token: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schema(required = false)]
        media: Option<MediaAnswer>,
        #[schema(value_type = schema::Seconds, example = 90)]
        token_expires_in_seconds: u64,
        #[schema(value_type = schema::Seconds)]
        remaining_seconds: u64,
        events: Vec<Event>,
    },
    Denied {
        /// Always true.
        denied: bool,
        /// Always `credits_exhausted`.
        reason: &'static str,
        #[schema(value_type = schema::Seconds, example = 12)]
        remaining_seconds: u64,
        events: Vec<Event>,
    },
}

/// Get the next media token
///
/// Charges as a heartbeat does. With less than 90 seconds of credit left there is no token, and the
/// answer says `denied` with status 200.
#[utoipa::path(
    post, path = "/rooms/token/renew", tag = "rooms", operation_id = "renew_token",
    params(Once), security(("access_token" = [])),
    request_body = StayRequest,
    responses((status = 200, description = "Renewed or denied.", body = RenewAnswer), StayRefusals)
)]
pub(crate) async fn renew(
    State(app): State<App>,
    Caller(wallet): Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<RenewAnswer>, Problem> {
    let stay = stay_name(wallet, &body.members(&["room_id", "connection_id"])?)?;
    let command = Renew(stay);
    let reply = match run("rooms.renew", &command, wallet, &body, &headers, &app).await {
        Ok(reply) => reply,
        Err(problem) => return Err(with_receipt(problem, &stay, &app).await),
    };
    Ok(Json(match reply {
        RenewReply::Denied {
            remaining,
            thresholds,
        } => RenewAnswer::Denied {
            denied: true,
            reason: "credits_exhausted",
            remaining_seconds: remaining.get(),
            events: events(&thresholds, wallet),
        },
        RenewReply::Renewed {
            grant,
            remaining,
            thresholds,
        } => RenewAnswer::Renewed {
            agora_token: token(&grant, &app)?,
            media: MediaAnswer::of(&grant, &app),
            token_expires_in_seconds: grant.ttl.seconds().get(),
            remaining_seconds: remaining.get(),
            events: events(&thresholds, wallet),
        },
    }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LeaveAnswer {
    ok: bool,
    /// What the whole stay cost.
    #[schema(value_type = schema::Seconds, example = 61)]
    debited_seconds: u64,
    #[schema(value_type = schema::Seconds)]
    remaining_seconds: u64,
    /// Whether the room closed with this.
    closed: bool,
    /// The server's signed word on the stay, where it gives any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    receipt: Option<String>,
}

/// Give the seat back
///
/// Charges up to now. The room closes for everybody when its host leaves, and when nobody is left.
#[utoipa::path(
    post, path = "/rooms/leave", tag = "rooms", operation_id = "leave_room",
    params(Once), security(("access_token" = [])),
    request_body = StayRequest,
    responses((status = 200, description = "Left.", body = LeaveAnswer), StayRefusals)
)]
pub(crate) async fn leave(
    State(app): State<App>,
    Caller(wallet): Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<LeaveAnswer>, Problem> {
    let stay = stay_name(wallet, &body.members(&["room_id", "connection_id"])?)?;
    let command = LeaveRoom(stay);
    let left = match run("rooms.leave", &command, wallet, &body, &headers, &app).await {
        Ok(left) => left,
        Err(problem) => return Err(with_receipt(problem, &stay, &app).await),
    };
    Ok(Json(LeaveAnswer {
        ok: true,
        debited_seconds: left.charged.get(),
        remaining_seconds: left.remaining.get(),
        closed: left.closed,
        receipt: left.receipt.and_then(|receipt| app.receipt(&receipt)),
    }))
}

/// Whoever was evicted, or was in a room when it closed, has not asked for that and hears of it at
/// the next call: with the receipt of the stay.
async fn with_receipt(problem: Problem, stay: &StayName, app: &App) -> Problem {
    let (Code::NotYourConnection | Code::StayNotFound, Some(connection)) =
        (problem.code(), stay.connection)
    else {
        return problem;
    };
    match stay_receipt(app.ports(), stay.wallet, connection).await {
        Ok(ended) => {
            let named = ended.filter(|ended| Some(ended.room) == stay.room);
            match named.and_then(|ended| app.receipt(&ended)) {
                Some(receipt) => problem.with("details", json!({ "receipt": receipt })),
                None => problem,
            }
        }
        Err(error) => {
            // The refusal stands without it, and the next call asks again.
            tracing::warn!(error = shown::in_full(&error), "no receipt can be made");
            problem
        }
    }
}

fn events(thresholds: &[Threshold], wallet: Wallet) -> Vec<Event> {
    let event = |threshold: &Threshold| Event {
        kind: match threshold.kind {
            ThresholdKind::CreditsLow => EventKind::CreditsLow,
            ThresholdKind::CreditsExhausted => EventKind::CreditsExhausted,
        },
        wallet,
        remaining_seconds: threshold.remaining.get(),
        at_epoch: threshold.at.unix(),
    };
    thresholds.iter().map(event).collect()
}

/// Where to bring a token that is not one of Agora.
#[derive(Serialize, ToSchema)]
pub(crate) struct MediaAnswer {
    /// Whose token it is.
    #[schema(value_type = String, example = "livekit")]
    provider: &'static str,
    /// The media server.
    #[schema(example = "wss://media.example")]
    url: String,
    /// The participant that the token names.
    #[schema(example = "3735928559")]
    identity: String,
}

impl MediaAnswer {
    pub(crate) fn of(grant: &MediaGrant, app: &App) -> Option<Self> {
        let endpoint = app.media().endpoint(grant)?;
        Some(Self {
            provider: app.media().vendor().name(),
            url: endpoint.url,
            identity: endpoint.identity,
        })
    }
}

pub(crate) fn token(grant: &MediaGrant, app: &App) -> Result<String, Problem> {
    app.media().issue(grant).map_err(|error: MediaTokenError| {
        tracing::error!(error = shown::in_full(&error), "no media token can be made");
        Problem::new(Code::Internal)
    })
}
