//! Booked sessions: coming, staying, leaving, and what parties say of it.

use std::collections::BTreeMap;
use std::convert::Infallible;

use axum::Json;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use session_core::attestation::{Evidence, EvidenceKind};
use session_core::booking::{
    self, AttachEvidence, JoinSession, LeaveSession, ProveLife, StateOutcome, session,
};
use session_core::escrow::{BookingKey, Outcome};
use session_core::service::{Command, execute_once};
use session_core::types::{EvidenceId, Wallet, Word};
use utoipa::ToSchema;

use super::rooms::{MediaAnswer, token};
use crate::App;
use crate::extract::{Caller, Members, RawBody};
use crate::openapi::refusals::refusals;
use crate::openapi::{Once, schema};
use crate::problem::{Code, Problem};

/// Which contract a booking is of.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "it is only described")]
pub(crate) struct AtEscrow {
    /// The contract's address, where it is not the primary one of this server.
    #[param(pattern = "^0x[0-9a-fA-F]{40}$", required = false)]
    escrow: Option<String>,
}

/// The booking that a path names, and the query. A path that is no text names none.
#[derive(Debug)]
pub(crate) struct Named {
    id: String,
    query: BTreeMap<String, String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let id = Path::<String>::from_request_parts(parts, state).await;
        let told = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let mut query = BTreeMap::new();
        for (name, value) in told.map_or_else(|_| Vec::new(), |Query(told)| told) {
            // What comes twice is neither of the two.
            query
                .entry(name)
                .and_modify(|both: &mut String| both.push_str(&format!(",{value}")))
                .or_insert(value);
        }
        Ok(Self {
            id: id.map_or_else(|_| String::new(), |Path(id)| id),
            query,
        })
    }
}

impl Named {
    /// The same, where the query has no members but the contract and these.
    pub(crate) fn strictly(&self, known: &[&str]) -> Result<&Self, Problem> {
        let is_known = |name: &String| name == "escrow" || known.contains(&name.as_str());
        if self.query.keys().all(is_known) {
            Ok(self)
        } else {
            Err(Problem::new(Code::UnknownMember))
        }
    }

    /// The same on a recorded route, where the server is strict.
    pub(crate) fn strict_where(&self, app: &App) -> Result<&Self, Problem> {
        if app.is_strict() {
            self.strictly(&[])
        } else {
            Ok(self)
        }
    }

    /// A member of the query.
    pub(crate) fn member(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    pub(crate) fn booking(&self, app: &App) -> Result<BookingKey, Problem> {
        app.booking(&self.id, self.member("escrow"))
    }
}

/// Executes a command that may be done twice without harm, once where the caller asks for that. What
/// it is done to is in the path, so it is part of what a key was used for (`security.md` D2).
pub(crate) async fn run_again<C: Command>(
    (name, target): (&str, &str),
    command: &C,
    caller: Wallet,
    body: &RawBody,
    headers: &HeaderMap,
    app: &App,
) -> Result<C::Reply, Problem>
where
    Problem: From<C::Refusal>,
{
    let once = body.once_if_asked((name, target), caller, headers)?;
    let result = execute_once(app.ports(), command, once.as_ref()).await?;
    result.map_err(|refusal| {
        let problem = Problem::from(refusal);
        if app.is_strict() {
            problem.strictly()
        } else {
            problem
        }
    })
}

#[derive(ToSchema)]
#[allow(dead_code, reason = "read leniently, member by member")]
pub(crate) struct JoinSessionRequest {
    /// The booking's number. A JSON number is taken as well.
    #[schema(value_type = schema::BookingId)]
    booking_id: String,
    /// The contract's address, where it is not the primary one of this server.
    #[schema(value_type = schema::Wallet, required = false)]
    escrow: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct JoinSessionAnswer {
    /// The media channel.
    #[schema(example = "heaven-42431-7")]
    channel: String,
    /// Lets this caller into this channel for an hour, whatever the vendor.
    agora_token: String,
    /// Who the caller is in the channel.
    #[schema(value_type = u64, minimum = 1, maximum = 4_294_967_295_u64)]
    user_uid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    media: Option<MediaAnswer>,
}

refusals!(JoinSessionRefusals: [COMMAND, CHAIN],
    BookingNotActive, BookingNotFound, InvalidBody, InvalidBookingId, MissingBookingId,
    NotParticipant, SessionHasEnded, SlotNotFound, TooEarlyToJoin);

/// Come to a booked session
///
/// Host or guest, from five minutes before the start to the end. Joining again gets the same place
/// and a fresh token.
#[utoipa::path(
    post, path = "/session/join", tag = "sessions", operation_id = "join_session",
    params(Once), security(("access_token" = [])),
    request_body = JoinSessionRequest,
    responses(
        (status = 200, description = "In.", body = JoinSessionAnswer), JoinSessionRefusals
    )
)]
pub(crate) async fn join(
    State(app): State<App>,
    Caller(wallet): Caller,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<JoinSessionAnswer>, Problem> {
    let bookings = app.bookings()?;
    let members = body.members(&["booking_id", "escrow"])?;
    let id = members.text_or_number("booking_id")?;
    let id = id.ok_or(Problem::new(Code::MissingBookingId))?;
    let key = app.booking(&id, members.text("escrow")?)?;
    let command = JoinSession {
        key,
        wallet,
        channel: bookings.channel(&key),
    };
    let joined = run_again(
        ("session.join", &key.to_string()),
        &command,
        wallet,
        &body,
        &headers,
        &app,
    )
    .await?;
    Ok(Json(JoinSessionAnswer {
        channel: joined.grant.channel.to_string(),
        agora_token: token(&joined.grant, &app)?,
        user_uid: joined.grant.uid.get(),
        media: MediaAnswer::of(&joined.grant, &app),
    }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LeaveSessionAnswer {
    ok: bool,
    /// How long the stay lasted: whole seconds, told in milliseconds. 0 for whoever was not in.
    #[schema(example = 61_000)]
    duration_ms: u64,
}

refusals!(LeaveSessionRefusals: [COMMAND], BookingNotFound, NotConfigured, UnknownMember);

/// Leave a booked session
///
/// Not refused to anybody: who is not in has left. Coming back is possible until the end.
#[utoipa::path(
    post, path = "/session/{id}/leave", tag = "sessions", operation_id = "leave_session",
    params(("id" = schema::BookingId, Path), AtEscrow, Once), security(("access_token" = [])),
    responses(
        (status = 200, description = "Out.", body = LeaveSessionAnswer), LeaveSessionRefusals
    )
)]
pub(crate) async fn leave(
    State(app): State<App>,
    Caller(wallet): Caller,
    named: Named,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<LeaveSessionAnswer>, Problem> {
    // Another contract than any of ours is a mistake; a booking that nobody knows is not.
    let named = named.strict_where(&app)?;
    app.bookings()?.escrow(named.member("escrow"))?;
    let Ok(key) = named.booking(&app) else {
        return Ok(Json(LeaveSessionAnswer {
            ok: true,
            duration_ms: 0,
        }));
    };
    let command = LeaveSession { key, wallet };
    let left = run_again(
        ("session.leave", &key.to_string()),
        &command,
        wallet,
        &body,
        &headers,
        &app,
    )
    .await?;
    Ok(Json(LeaveSessionAnswer {
        ok: true,
        duration_ms: left.duration.get().saturating_mul(1000),
    }))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StatsAnswer {
    /// The host's first join, in unix seconds; absent where the host has not come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    host_joined_at: Option<u64>,
    /// The host's last leave; absent while the host is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    host_left_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    guest_joined_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    guest_left_at: Option<u64>,
    /// How long both were there within the session, as far as it is known now.
    #[schema(value_type = schema::Seconds)]
    overlap_seconds: u64,
}

refusals!(StatsRefusals: [READ, CHAIN],
    BookingNotFound, InvalidBookingId, NotParticipant, SessionNotFound, SlotNotFound,
    UnknownMember);

/// Who came, and for how long both were there
///
/// For host and guest. Times are of the first join and of the last leave; the overlap is counted
/// within the session alone.
#[utoipa::path(
    get, path = "/session/{id}/stats", tag = "sessions", operation_id = "session_stats",
    params(("id" = schema::BookingId, Path), AtEscrow), security(("access_token" = [])),
    responses((status = 200, description = "So far.", body = StatsAnswer), StatsRefusals)
)]
pub(crate) async fn stats(
    State(app): State<App>,
    Caller(wallet): Caller,
    named: Named,
) -> Result<Json<StatsAnswer>, Problem> {
    let key = named.strict_where(&app)?.booking(&app)?;
    let found = session(app.ports(), key).await?;
    let found = found.ok_or(Problem::new(Code::BookingNotFound))?;
    if !found.agreement.slot.exists() {
        return Err(Problem::new(Code::SlotNotFound));
    }
    if found.agreement.side(wallet).is_none() {
        let problem = Problem::new(Code::NotParticipant);
        return Err(if app.is_strict() {
            problem.strictly()
        } else {
            problem
        });
    }
    if found.host.stays.is_empty() && found.guest.stays.is_empty() {
        return Err(Problem::new(Code::SessionNotFound));
    }
    let judgement = booking::presence(app.ports(), &found).await?;
    let (host, guest) = (found.host.span(), found.guest.span());
    Ok(Json(StatsAnswer {
        host_joined_at: host.map(|(joined_at, _)| joined_at.unix()),
        host_left_at: host.and_then(|(_, left_at)| left_at.map(|at| at.unix())),
        guest_joined_at: guest.map(|(joined_at, _)| joined_at.unix()),
        guest_left_at: guest.and_then(|(_, left_at)| left_at.map(|at| at.unix())),
        overlap_seconds: judgement.measures.overlap_seconds.get(),
    }))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct PresenceAnswer {
    ok: bool,
    /// Unix seconds.
    last_seen_at: u64,
}

refusals!(PresenceRefusals: [COMMAND, CHAIN],
    BookingNotFound, InvalidBookingId, NotInSession, SessionHasEnded, SlotNotFound, UnknownMember);

/// Prove that one is still there
///
/// Optional, every 30 seconds. Whoever begins is believed no further than its last proof: after 90
/// seconds of silence the stay ends where it was last heard.
#[utoipa::path(
    post, path = "/session/{id}/presence", tag = "sessions", operation_id = "prove_presence",
    params(("id" = schema::BookingId, Path), AtEscrow, Once), security(("access_token" = [])),
    responses((status = 200, description = "Heard.", body = PresenceAnswer), PresenceRefusals)
)]
pub(crate) async fn presence(
    State(app): State<App>,
    Caller(wallet): Caller,
    named: Named,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<PresenceAnswer>, Problem> {
    let key = named.strictly(&[])?.booking(&app)?;
    let command = ProveLife { key, wallet };
    let seen_at = run_again(
        ("session.presence", &key.to_string()),
        &command,
        wallet,
        &body,
        &headers,
        &app,
    )
    .await?;
    Ok(Json(PresenceAnswer {
        ok: true,
        last_seen_at: seen_at.unix(),
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read member by member")]
pub(crate) struct EvidenceRequest {
    /// `recording`, `transcript`, `diarization` or `other`.
    #[schema(
        pattern = "^(recording|transcript|diarization|other)$",
        example = "recording"
    )]
    kind: String,
    /// Where it is. Never fetched by this server.
    #[schema(
        max_length = 2048,
        pattern = r"^(https?|ipfs|ipns|ar|s3|gs|magnet|urn):([!#-$&-;=?-\[\]_a-z~]|%[0-9A-Fa-f]{2})+$",
        example = "https://example.org/recordings/7.ogg"
    )]
    uri: String,
    /// The hash of its bytes, as you say.
    #[schema(value_type = schema::Word)]
    hash: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct EvidenceAnswer {
    #[schema(value_type = String, pattern = "^[0-9a-f]{32}$")]
    evidence_id: EvidenceId,
}

refusals!(EvidenceRefusals: [COMMAND, CHAIN],
    AlreadyDecided, BookingNotFound, Forbidden, InvalidBookingId, InvalidEvidence,
    OracleNotConfigured, SlotNotFound, TooMuchEvidence, Unauthorized);

/// Attach evidence by reference
///
/// By a party, or by another service of the operator's with its `x-service-token`. It changes no
/// outcome; the full metrics list it. The same evidence twice is one. Refused once the outcome is
/// decided, and beyond 20.
#[utoipa::path(
    post, path = "/session/{id}/evidence", tag = "sessions", operation_id = "attach_evidence",
    params(("id" = schema::BookingId, Path), AtEscrow, Once),
    security(("access_token" = []), ("service_token" = [])),
    request_body = EvidenceRequest,
    responses((status = 201, description = "Attached.", body = EvidenceAnswer), EvidenceRefusals)
)]
pub(crate) async fn evidence(
    State(app): State<App>,
    caller: Option<Caller>,
    named: Named,
    headers: HeaderMap,
    body: RawBody,
) -> Result<(StatusCode, Json<EvidenceAnswer>), Problem> {
    let wallet = match caller {
        Some(Caller(wallet)) => Some(wallet),
        None => {
            app.bookings()?.check_service(&headers)?;
            None
        }
    };
    let key = named.strictly(&[])?.booking(&app)?;
    let members = body.strict_members(&["kind", "uri", "hash"])?;
    let evidence = read_evidence(&members).ok_or(Problem::new(Code::InvalidEvidence))?;
    let command = AttachEvidence {
        key,
        wallet,
        evidence,
    };
    let caller = wallet.unwrap_or(SERVICE);
    let target = ("session.evidence", key.to_string());
    let target = (target.0, target.1.as_str());
    let evidence_id = run_again(target, &command, caller, &body, &headers, &app).await?;
    Ok((StatusCode::CREATED, Json(EvidenceAnswer { evidence_id })))
}

/// Whose idempotency keys those of the operator's services are: nobody holds a key to it.
pub(crate) const SERVICE: Wallet = Wallet::from_bytes([0; 20]);

fn read_evidence(members: &Members) -> Option<Evidence> {
    let kind = members.text("kind").ok()??;
    Some(Evidence {
        kind: EvidenceKind::ALL
            .into_iter()
            .find(|known| known.name() == kind)?,
        hash: members.text("hash").ok()??.parse().ok()?,
        uri: members.text("uri").ok()??.to_owned(),
    })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "read member by member")]
pub(crate) struct OutcomeRequest {
    /// `completed`, `no-show-host` or `no-show-guest`.
    #[schema(
        pattern = "^(completed|no-show-host|no-show-guest)$",
        example = "completed"
    )]
    outcome: String,
    /// Until which block time the statement can be used, in unix seconds; digits are taken as well.
    deadline: u64,
    /// What the statement names as its metrics; the zero word where it names none.
    #[schema(value_type = schema::Word, required = false)]
    metrics_hash: Option<String>,
    /// This party's EIP-712 signature: 65 bytes with a low s and a v of 27 or 28.
    #[schema(pattern = "^0x[0-9a-fA-F]{130}$")]
    signature: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OutcomeAnswer {
    /// `waiting` for the other party, `matched`, or `differs`.
    #[schema(value_type = String, pattern = "^(waiting|matched|differs)$", example = "waiting")]
    state: &'static str,
}

refusals!(OutcomeRefusals: [COMMAND, CHAIN],
    AlreadyDecided, BookingNotActive, BookingNotFound, InvalidBookingId, InvalidStatement,
    OutcomeConflict, SlotNotFound, StatementExpired, StatementsNotSupported);

/// Sign an outcome
///
/// Where both parties sign the same, nobody else has to attest. `GET /session/{id}` says what to
/// sign. Each party signs once; a repeat of the same is no other.
#[utoipa::path(
    post, path = "/session/{id}/outcome", tag = "sessions", operation_id = "state_outcome",
    params(("id" = schema::BookingId, Path), AtEscrow, Once), security(("access_token" = [])),
    request_body = OutcomeRequest,
    responses((status = 200, description = "Taken.", body = OutcomeAnswer), OutcomeRefusals)
)]
pub(crate) async fn outcome(
    State(app): State<App>,
    Caller(wallet): Caller,
    named: Named,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<OutcomeAnswer>, Problem> {
    let key = named.strictly(&[])?.booking(&app)?;
    let members = body.strict_members(&["outcome", "deadline", "metrics_hash", "signature"])?;
    let command =
        read_statement(&members, key, wallet).ok_or(Problem::new(Code::InvalidStatement))?;
    let state = run_again(
        ("session.outcome", &key.to_string()),
        &command,
        wallet,
        &body,
        &headers,
        &app,
    )
    .await?;
    Ok(Json(OutcomeAnswer {
        state: state.name(),
    }))
}

fn read_statement(members: &Members, key: BookingKey, wallet: Wallet) -> Option<StateOutcome> {
    let outcome: Outcome = members.text("outcome").ok()??.parse().ok()?;
    let metrics_hash = match members.text("metrics_hash").ok()? {
        Some(text) => text.parse().ok()?,
        None => Word::ZERO,
    };
    Some(StateOutcome {
        key,
        wallet,
        outcome,
        metrics_hash,
        deadline: members.whole_number("deadline")?,
        signature: members.text("signature").ok()??.to_owned(),
    })
}
