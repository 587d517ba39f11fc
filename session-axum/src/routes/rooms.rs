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

use super::run;
use crate::App;
use crate::extract::{Caller, Members, RawBody};
use crate::problem::{Code, Problem};
use crate::{observe, shown};

#[derive(Serialize)]
pub(crate) struct ActiveAnswer {
    rooms: Vec<ActiveRoom>,
}

#[derive(Serialize)]
struct ActiveRoom {
    room_id: RoomId,
    host_wallet: Wallet,
    participant_count: u8,
    created_at: String,
}

/// `GET /rooms/active`
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

#[derive(Serialize)]
pub(crate) struct CreateAnswer {
    room_id: RoomId,
    channel: String,
    visibility: &'static str,
}

/// `POST /rooms/create`; an absent or broken body is an empty one.
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

#[derive(Serialize)]
pub(crate) struct JoinAnswer {
    room_id: RoomId,
    channel: String,
    connection_id: ConnectionId,
    agora_uid: u32,
    host_wallet: Wallet,
    is_host: bool,
    agora_token: String,
    token_expires_in_seconds: u64,
    renew_after_seconds: u64,
    heartbeat_interval_seconds: u64,
    remaining_seconds: u64,
}

/// `POST /rooms/join`
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

/// `POST /rooms/heartbeat`
pub(crate) async fn heartbeat(
    State(app): State<App>,
    Caller(wallet): Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<Value>, Problem> {
    let stay = stay_name(wallet, &body.members(&["room_id", "connection_id"])?)?;
    let command = Heartbeat(stay);
    let reply = match run("rooms.heartbeat", &command, wallet, &body, &headers, &app).await {
        Ok(reply) => reply,
        Err(problem) => return Err(with_receipt(problem, &stay, &app).await),
    };
    Ok(Json(json!({
        "ok": true,
        "remaining_seconds": reply.remaining.get(),
        "events": events(&reply.thresholds, wallet),
    })))
}

/// `POST /rooms/token/renew`; a denial for lack of credit is a 200, as recorded.
pub(crate) async fn renew(
    State(app): State<App>,
    Caller(wallet): Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<Value>, Problem> {
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
        } => json!({
            "denied": true,
            "reason": "credits_exhausted",
            "remaining_seconds": remaining.get(),
            "events": events(&thresholds, wallet),
        }),
        RenewReply::Renewed {
            grant,
            remaining,
            thresholds,
        } => json!({
            "agora_token": token(&grant, &app)?,
            "token_expires_in_seconds": grant.ttl.seconds().get(),
            "remaining_seconds": remaining.get(),
            "events": events(&thresholds, wallet),
        }),
    }))
}

/// `POST /rooms/leave`
pub(crate) async fn leave(
    State(app): State<App>,
    Caller(wallet): Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<Value>, Problem> {
    let stay = stay_name(wallet, &body.members(&["room_id", "connection_id"])?)?;
    let command = LeaveRoom(stay);
    let left = match run("rooms.leave", &command, wallet, &body, &headers, &app).await {
        Ok(left) => left,
        Err(problem) => return Err(with_receipt(problem, &stay, &app).await),
    };
    let mut answer = json!({
        "ok": true,
        "debited_seconds": left.charged.get(),
        "remaining_seconds": left.remaining.get(),
        "closed": left.closed,
    });
    if let Some(receipt) = left.receipt.and_then(|receipt| app.receipt(&receipt)) {
        answer["receipt"] = receipt.into();
    }
    Ok(Json(answer))
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

fn events(thresholds: &[Threshold], wallet: Wallet) -> Vec<Value> {
    let event = |threshold: &Threshold| {
        json!({
            "type": match threshold.kind {
                ThresholdKind::CreditsLow => "credits_low",
                ThresholdKind::CreditsExhausted => "credits_exhausted",
            },
            "wallet": wallet,
            "remaining_seconds": threshold.remaining.get(),
            "at_epoch": threshold.at.unix(),
        })
    };
    thresholds.iter().map(event).collect()
}

fn token(grant: &MediaGrant, app: &App) -> Result<String, Problem> {
    app.media().issue(grant).map_err(|error: MediaTokenError| {
        tracing::error!(error = shown::in_full(&error), "no media token can be made");
        Problem::new(Code::Internal)
    })
}
