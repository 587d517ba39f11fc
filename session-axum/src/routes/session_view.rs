//! Booked sessions as their parties see them.

use axum::Json;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use session_core::attestation::{Interval, Judgement, Measures, Presence, Stay};
use session_core::booking::bundle::SessionBundle;
use session_core::booking::{
    self, AttachedEvidence, Attempt, BookedSession, DecidedBy, Decision, OutcomeStatement,
    Settlement, Step, next_steps, own_sessions, session_now, statements_of,
};
use session_core::escrow::statement::{DOMAIN_NAME, DOMAIN_VERSION};
use session_core::escrow::{BookingKey, BookingStatus, Side};
use session_core::types::{Timestamp, Wallet, Word};
use utoipa::ToSchema;

use super::sessions::{AtEscrow, Named};
use crate::App;
use crate::extract::Caller;
use crate::openapi::refusals::refusals;
use crate::openapi::schema;
use crate::page::{Cursor, Page, PageParams};
use crate::problem::{Code, Problem};

/// What of a booking every view shows.
#[derive(Serialize, ToSchema)]
struct BookingView {
    #[schema(value_type = schema::BookingId)]
    booking_id: String,
    /// The chain, as EIP-155 numbers it.
    #[schema(pattern = "^[0-9]+$", example = "42431")]
    chain_id: String,
    /// The contract.
    #[schema(value_type = schema::Wallet)]
    escrow: Wallet,
    /// Which side the caller is: `host` or `guest`.
    #[schema(value_type = String, pattern = "^(host|guest)$")]
    role: &'static str,
    #[schema(value_type = schema::Wallet)]
    host: Wallet,
    #[schema(value_type = schema::Wallet)]
    guest: Wallet,
    /// How far the contract was when it was last read: `booked`, `cancelled`, `attested`,
    /// `disputed`, `resolved` or `finalized`.
    #[schema(example = "booked")]
    status: String,
    /// Unix seconds.
    starts_at: u64,
    /// Unix seconds.
    ends_at: u64,
    /// What was paid, in the token's smallest unit.
    #[schema(pattern = "^[0-9]+$", example = "25000000")]
    amount: String,
    /// From when on the contract credits the money, where it is attested.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    finalizable_at: Option<u64>,
    settlement: SettlementView,
    /// What was decided; null before.
    decision: Option<DecisionView>,
}

/// How far the settlement is, as far as it is this server's.
#[derive(Serialize, ToSchema)]
struct SettlementView {
    /// `open`, `attesting`, `settled` or `window_missed`.
    #[schema(value_type = String, pattern = "^(open|attesting|settled|window_missed)$")]
    state: &'static str,
    /// Why it is settled: `submitted`, `already_attested`, `already_settled`, `booking_not_found`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    since: Option<u64>,
    /// From when on the parties can take an unattested booking back, in block time.
    refund_from: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = schema::Word, required = false)]
    transaction: Option<Word>,
}

#[derive(Serialize, ToSchema)]
struct DecisionView {
    /// `completed`, `no-show-host` or `no-show-guest`.
    #[schema(value_type = String, example = "completed")]
    outcome: &'static str,
    /// On whose word: `presence`, `force` or `statements`.
    #[schema(value_type = String, pattern = "^(presence|force|statements)$")]
    by: &'static str,
    /// Unix seconds.
    decided_at: u64,
    /// What the contract is told.
    #[schema(value_type = schema::Word)]
    metrics_hash: Word,
}

impl BookingView {
    fn of(session: &BookedSession, side: Side) -> Self {
        let (key, agreement) = (&session.key, &session.agreement);
        Self {
            booking_id: key.booking.to_string(),
            chain_id: key.escrow.chain_id.to_string(),
            escrow: key.escrow.address,
            role: side.name(),
            host: agreement.slot.host,
            guest: agreement.guest,
            status: session.status.name().to_lowercase(),
            starts_at: agreement.slot.start_time.unix(),
            ends_at: agreement.slot.end().unix(),
            amount: agreement.amount.to_string(),
            finalizable_at: session.finalizable_at.map(Timestamp::unix),
            settlement: SettlementView::of(session),
            decision: session.decision.as_ref().map(DecisionView::of),
        }
    }
}

impl SettlementView {
    fn of(session: &BookedSession) -> Self {
        let (reason, since) = match session.settlement {
            Settlement::Open | Settlement::Attesting => (None, None),
            Settlement::Settled { done, at } => (Some(done.name()), Some(at)),
            Settlement::WindowMissed { at, .. } => (None, Some(at)),
        };
        Self {
            state: session.settlement.name(),
            reason,
            since: since.map(Timestamp::unix),
            refund_from: session.agreement.refund_from().unix(),
            transaction: session.transaction,
        }
    }
}

impl DecisionView {
    fn of(decision: &Decision) -> Self {
        Self {
            outcome: decision.outcome.name(),
            by: match decision.by {
                DecidedBy::Presence => "presence",
                DecidedBy::Force => "force",
                DecidedBy::Statements { .. } => "statements",
            },
            decided_at: decision.decided_at.unix(),
            metrics_hash: decision.metrics_hash,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct SessionsAnswer {
    items: Vec<BookingView>,
    /// Where the next page begins; null on the last one.
    next_cursor: Option<String>,
}

/// Which of them.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "it is only described")]
pub(crate) struct StatusParam {
    /// Only those that were last read at this status.
    #[param(
        pattern = "^(booked|cancelled|attested|disputed|resolved|finalized)$",
        required = false
    )]
    status: Option<String>,
}

refusals!(SessionsRefusals: [READ],
    InvalidCursor, InvalidLimit, InvalidStatus, NotConfigured, UnknownMember);

/// Own booked sessions
///
/// As host or guest, those that begin last first.
#[utoipa::path(
    get, path = "/session", tag = "sessions", operation_id = "own_sessions",
    security(("access_token" = [])), params(PageParams, StatusParam),
    responses((status = 200, description = "A page.", body = SessionsAnswer), SessionsRefusals)
)]
pub(crate) async fn list(
    State(app): State<App>,
    Caller(wallet): Caller,
    StatusPage { page, status }: StatusPage,
) -> Result<Json<SessionsAnswer>, Problem> {
    app.bookings()?;
    let status = status.as_deref().map(status_of).transpose()?;
    let before = match page.cursor() {
        None => None,
        Some(cursor) => Some(place(cursor).ok_or(Problem::new(Code::InvalidCursor))?),
    };
    let most = page.limit().saturating_add(1);
    let mut found = own_sessions(app.ports(), wallet, status, before, most).await?;
    let limit = usize::try_from(page.limit()).unwrap_or(usize::MAX);
    let is_more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| is_more).map(|last| {
        let starts_at = last.agreement.slot.start_time.unix().to_string();
        Cursor::of(&[&starts_at, &last.key.to_string()])
    });
    let view = |session: &BookedSession| {
        let side = session.agreement.side(wallet)?;
        Some(BookingView::of(session, side))
    };
    Ok(Json(SessionsAnswer {
        items: found.iter().filter_map(view).collect(),
        next_cursor,
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    limit: Option<String>,
    cursor: Option<String>,
    status: Option<String>,
}

/// A page, and of which status.
pub(crate) struct StatusPage {
    page: Page,
    status: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for StatusPage {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let asked = Query::<Asked>::try_from_uri(&parts.uri);
        let Query(asked) = asked.map_err(|_| Problem::new(Code::UnknownMember))?;
        Ok(Self {
            page: Page::of(asked.limit, asked.cursor)?,
            status: asked.status,
        })
    }
}

fn status_of(text: &str) -> Result<BookingStatus, Problem> {
    let known = BookingStatus::ALL.iter().copied();
    known
        .filter(|status| *status != BookingStatus::None)
        .find(|status| status.name().to_lowercase() == text)
        .ok_or(Problem::new(Code::InvalidStatus))
}

fn place(cursor: &Cursor) -> Option<(Timestamp, BookingKey)> {
    let [at, key] = cursor.parts()?;
    Some((Timestamp::from_unix(at.parse().ok()?), key.parse().ok()?))
}

#[derive(Serialize, ToSchema)]
pub(crate) struct TimelineAnswer {
    #[serde(flatten)]
    booking: BookingView,
    slot: SlotView,
    terms: TermsView,
    presence: PresenceView,
    /// Of the decision: schema, exact text and everything it was made on; null before.
    inputs: Option<InputsView>,
    /// The last attempts to settle; equal ones in a row are one.
    attempts: Vec<AttemptView>,
    evidence: Vec<EvidenceView>,
    statements: StatementsView,
    /// What each party may do next.
    next: NextView,
}

#[derive(Serialize, ToSchema)]
struct SlotView {
    #[schema(pattern = "^[0-9]+$")]
    slot_id: String,
    duration_mins: u32,
    grace_mins: u32,
    min_overlap_mins: u32,
    cancel_cutoff_mins: u32,
    #[schema(pattern = "^[0-9]+$")]
    price: String,
}

/// Copied when it was booked, never changed.
#[derive(Serialize, ToSchema)]
struct TermsView {
    fee_bps: u16,
    late_cancel_penalty_bps: u16,
    challenge_window_seconds: u64,
    no_attest_buffer_seconds: u64,
    dispute_timeout_seconds: u64,
    #[schema(pattern = "^[0-9]+$")]
    challenge_bond: String,
}

/// Who was there, as far as it is known now.
#[derive(Serialize, ToSchema)]
struct PresenceView {
    host: SideView,
    guest: SideView,
    overlap_seconds: u64,
}

#[derive(Serialize, ToSchema)]
struct SideView {
    /// As they were recorded.
    stays: Vec<StayView>,
    /// Within the session: from, to, and how the end is known (`left`, `last_seen`, `open`).
    #[schema(value_type = Vec<Vec<Value>>)]
    intervals: Vec<(u64, u64, &'static str)>,
    seconds: u64,
    alone_seconds: u64,
}

#[derive(Serialize, ToSchema)]
struct StayView {
    joined_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    left_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    last_seen_at: Option<u64>,
}

#[derive(Serialize, ToSchema)]
struct InputsView {
    /// 1 or 2; null where the parties named the hash themselves.
    schema: Option<u8>,
    /// Keccak-256 of its bytes is the hash that the contract was told.
    text: Option<String>,
    /// The time of the block that was read.
    chain_now: u64,
    host: Vec<StayView>,
    guest: Vec<StayView>,
    /// Spans in which no server was alive: from, to.
    #[schema(value_type = Vec<Vec<u64>>)]
    outages: Vec<(u64, u64)>,
    settle_delay_seconds: u64,
    no_show_margin_seconds: u64,
}

#[derive(Serialize, ToSchema)]
struct AttemptView {
    /// Unix seconds; of several in a row, the last.
    at: u64,
    #[schema(value_type = String, example = "submitted")]
    class: &'static str,
    times: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = schema::Word, required = false)]
    transaction: Option<Word>,
}

#[derive(Serialize, ToSchema)]
struct EvidenceView {
    evidence_id: String,
    #[schema(value_type = String)]
    kind: &'static str,
    uri: String,
    #[schema(value_type = schema::Word)]
    hash: Word,
    /// `host`, `guest` or `service`.
    #[schema(value_type = String)]
    by: &'static str,
    at: u64,
}

#[derive(Serialize, ToSchema)]
struct StatementsView {
    /// `waiting`, `matched` or `differs`; null where the contract knows none.
    #[schema(value_type = Option<String>)]
    state: Option<&'static str>,
    host: Option<StatementView>,
    guest: Option<StatementView>,
    /// The typed data of EIP-712 to sign, but for outcome and deadline; null where the contract
    /// knows none.
    #[schema(value_type = Option<Object>)]
    to_sign: Option<Value>,
}

#[derive(Serialize, ToSchema)]
struct StatementView {
    #[schema(value_type = String)]
    outcome: &'static str,
    #[schema(value_type = schema::Word)]
    metrics_hash: Word,
    #[schema(pattern = "^[0-9]+$")]
    deadline: String,
    signature: String,
    at: u64,
}

#[derive(Serialize, ToSchema)]
struct NextView {
    host: Vec<StepView>,
    guest: Vec<StepView>,
}

#[derive(Serialize, ToSchema)]
struct StepView {
    /// `join`, `cancel`, `cancel_late`, `state_outcome`, `claim_unattested`, `challenge`,
    /// `finalize`, `finalize_dispute` or `withdraw`.
    #[schema(value_type = String, example = "join")]
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    from: Option<u64>,
    /// The last second.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    until: Option<u64>,
}

refusals!(SessionRefusals: [READ, CHAIN], BookingNotFound, InvalidBookingId, UnknownMember);

/// Everything about a booked session
///
/// For host and guest: what was booked, who was there, what was decided and on what, what was tried,
/// and what each may do next. To everybody else there is no such booking.
#[utoipa::path(
    get, path = "/session/{id}", tag = "sessions", operation_id = "session",
    params(("id" = schema::BookingId, Path), AtEscrow), security(("access_token" = [])),
    responses((status = 200, description = "So far.", body = TimelineAnswer), SessionRefusals)
)]
pub(crate) async fn timeline(
    State(app): State<App>,
    Caller(wallet): Caller,
    named: Named,
) -> Result<Json<TimelineAnswer>, Problem> {
    let (found, side) = own(&app, wallet, &named).await?;
    let now = app.ports().clock.now();
    let judgement = match &found.decision {
        Some(decision) => decision.judgement(&found.agreement),
        None => booking::presence(app.ports(), &found).await?,
    };
    let capabilities = app.bookings()?.capabilities(&found.key);
    let policy = &app.ports().policy.bookings;
    let steps = |side| {
        let steps = next_steps(&found, side, capabilities, policy, now);
        steps.iter().map(StepView::of).collect()
    };
    let (state, _) = statements_of(&found);
    let takes_statements = capabilities.mutual_outcome;
    Ok(Json(TimelineAnswer {
        slot: SlotView::of(&found),
        terms: TermsView::of(&found),
        presence: PresenceView::of(&found, &judgement),
        inputs: found.decision.as_ref().map(InputsView::of),
        attempts: found.attempts.iter().map(AttemptView::of).collect(),
        evidence: found.evidence.iter().map(EvidenceView::of).collect(),
        statements: StatementsView {
            state: takes_statements.then(|| state.name()),
            host: found.host.statement.as_ref().map(StatementView::of),
            guest: found.guest.statement.as_ref().map(StatementView::of),
            to_sign: takes_statements.then(|| to_sign(&found.key)),
        },
        next: NextView {
            host: steps(Side::Host),
            guest: steps(Side::Guest),
        },
        booking: BookingView::of(&found, side),
    }))
}

refusals!(BundleRefusals: [READ, CHAIN], BookingNotFound, InvalidBookingId, UnknownMember);

/// A booked session as a document that anybody can check
///
/// Canonical JSON (RFC 8785) with the server's EIP-191 signature: presence, decision, exact text and
/// hash. `examples/verify-bundle` checks it without the server.
#[utoipa::path(
    get, path = "/session/{id}/bundle", tag = "sessions", operation_id = "session_bundle",
    params(("id" = schema::BookingId, Path), AtEscrow), security(("access_token" = [])),
    responses((status = 200, description = "The bundle.", body = Object), BundleRefusals)
)]
pub(crate) async fn bundle(
    State(app): State<App>,
    Caller(wallet): Caller,
    named: Named,
) -> Result<Response, Problem> {
    let key = app.signing_key().ok_or(Problem::new(Code::NotConfigured))?;
    let (found, _) = own(&app, wallet, &named).await?;
    let signed = SessionBundle::of(&found).signed(key);
    let text = signed.and_then(|signed| signed.text());
    let text = text.map_err(|_| Problem::new(Code::Internal))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// A session of which the caller is a party.
async fn own(app: &App, wallet: Wallet, named: &Named) -> Result<(BookedSession, Side), Problem> {
    let key = named.strictly(&[])?.booking(app)?;
    let found = session_now(app.ports(), key).await?;
    let own = found.and_then(|found| {
        let side = found.agreement.side(wallet)?;
        Some((found, side))
    });
    own.ok_or(Problem::new(Code::BookingNotFound))
}

impl SlotView {
    fn of(session: &BookedSession) -> Self {
        let slot = &session.agreement.slot;
        Self {
            slot_id: session.agreement.slot_id.to_string(),
            duration_mins: slot.duration_mins,
            grace_mins: slot.grace_mins,
            min_overlap_mins: slot.min_overlap_mins,
            cancel_cutoff_mins: slot.cancel_cutoff_mins,
            price: slot.price.to_string(),
        }
    }
}

impl TermsView {
    fn of(session: &BookedSession) -> Self {
        let terms = &session.agreement.terms;
        Self {
            fee_bps: terms.fee_bps,
            late_cancel_penalty_bps: terms.late_cancel_penalty_bps,
            challenge_window_seconds: terms.challenge_window.get(),
            no_attest_buffer_seconds: terms.no_attest_buffer.get(),
            dispute_timeout_seconds: terms.dispute_timeout.get(),
            challenge_bond: terms.challenge_bond.to_string(),
        }
    }
}

impl PresenceView {
    fn of(session: &BookedSession, judgement: &Judgement) -> Self {
        let Measures {
            overlap_seconds,
            host_alone_seconds,
            guest_alone_seconds,
            ..
        } = judgement.measures;
        Self {
            host: SideView::of(
                &session.host.stays,
                &judgement.host,
                host_alone_seconds.get(),
            ),
            guest: SideView::of(
                &session.guest.stays,
                &judgement.guest,
                guest_alone_seconds.get(),
            ),
            overlap_seconds: overlap_seconds.get(),
        }
    }
}

impl SideView {
    fn of(stays: &[Stay], presence: &Presence, alone_seconds: u64) -> Self {
        let told = |interval: &Interval| {
            let (from, to) = (interval.from.unix(), interval.to.unix());
            (from, to, interval.source.name())
        };
        Self {
            stays: stays.iter().map(StayView::of).collect(),
            intervals: presence.intervals.iter().map(told).collect(),
            seconds: presence.seconds().get(),
            alone_seconds,
        }
    }
}

impl StayView {
    fn of(stay: &Stay) -> Self {
        Self {
            joined_at: stay.joined_at.unix(),
            left_at: stay.left_at.map(Timestamp::unix),
            last_seen_at: stay.last_seen_at.map(Timestamp::unix),
        }
    }
}

impl InputsView {
    fn of(decision: &Decision) -> Self {
        let metrics = decision.metrics.as_ref();
        let stays = |stays: &[Stay]| stays.iter().map(StayView::of).collect();
        let spans = decision.outages.iter();
        Self {
            schema: metrics.map(|metrics| metrics.schema.into()),
            text: metrics.map(|metrics| metrics.text.clone()),
            chain_now: decision.chain_now.unix(),
            host: stays(&decision.host),
            guest: stays(&decision.guest),
            outages: spans
                .map(|span| (span.from.unix(), span.to.unix()))
                .collect(),
            settle_delay_seconds: decision.policy.settle_delay_seconds.get(),
            no_show_margin_seconds: decision.policy.no_show_margin_seconds.get(),
        }
    }
}

impl AttemptView {
    fn of(attempt: &Attempt) -> Self {
        Self {
            at: attempt.at.unix(),
            class: attempt.class.name(),
            times: attempt.times,
            transaction: attempt.transaction,
        }
    }
}

impl EvidenceView {
    fn of(attached: &AttachedEvidence) -> Self {
        Self {
            evidence_id: attached.id.to_string(),
            kind: attached.evidence.kind.name(),
            uri: attached.evidence.uri.clone(),
            hash: attached.evidence.hash,
            by: attached.by.name(),
            at: attached.at.unix(),
        }
    }
}

impl StatementView {
    fn of(statement: &OutcomeStatement) -> Self {
        Self {
            outcome: statement.outcome.name(),
            metrics_hash: statement.metrics_hash,
            deadline: statement.deadline.to_string(),
            signature: statement.signature.clone(),
            at: statement.at.unix(),
        }
    }
}

impl StepView {
    fn of(step: &Step) -> Self {
        Self {
            action: step.kind.name(),
            from: step.from.map(Timestamp::unix),
            until: step.until.map(Timestamp::unix),
        }
    }
}

/// The typed data of a statement, as wallets take it, without the two members that a party chooses.
fn to_sign(key: &BookingKey) -> Value {
    let member = |name: &str, kind: &str| json!({"name": name, "type": kind});
    json!({
        "types": {
            "EIP712Domain": [
                member("name", "string"),
                member("version", "string"),
                member("chainId", "uint256"),
                member("verifyingContract", "address"),
            ],
            "SessionOutcome": [
                member("bookingId", "uint256"),
                member("outcome", "uint8"),
                member("metricsHash", "bytes32"),
                member("deadline", "uint64"),
            ],
        },
        "primaryType": "SessionOutcome",
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": key.escrow.chain_id.to_string(),
            "verifyingContract": key.escrow.address,
        },
        "message": {
            "bookingId": key.booking,
            "metricsHash": Word::ZERO,
        },
        "outcomes": {"completed": 1, "no-show-host": 2, "no-show-guest": 3},
    })
}
