//! Attesting by hand.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use session_core::attestation::Done;
use session_core::booking::{
    AttemptClass, BookedSession, BookingRefusal, Consider, Considered, Settlement, Trigger, session,
};
use session_core::escrow::{BookingKey, BookingStatus, Outcome};
use session_core::types::Word;
use utoipa::ToSchema;

use super::sessions::{AtEscrow, Named, SERVICE, run_again};
use crate::App;
use crate::extract::RawBody;
use crate::openapi::refusals::refusals;
use crate::openapi::{Once, schema};
use crate::problem::{Code, Problem};

#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "it is only described")]
pub(crate) struct Forced {
    /// In development: what to attest, whoever was there. Empty is absent.
    #[param(
        pattern = "^(completed|no-show-host|no-show-guest)?$",
        required = false
    )]
    force_outcome: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct AttestAnswer {
    /// `completed`, `no-show-host` or `no-show-guest`.
    #[schema(value_type = String, pattern = "^(completed|no-show-host|no-show-guest)$")]
    outcome: &'static str,
    /// The transaction.
    #[schema(value_type = schema::Word)]
    tx_hash: Word,
}

refusals!(AttestRefusals: [COMMAND, CHAIN],
    AlreadySettled, AttestationPending, BookingNotBooked, BookingNotFound, Busy, CompletedTooLate,
    Forbidden, ForceNotAllowed, GraceNotOver, InvalidBookingId, InvalidForceOutcome, NoShowTooLate,
    NotOracle, OracleKeyNotConfigured, OracleNotConfigured, OverlapNotMet, SlotNotFound);

/// Attest what came of a booked session
///
/// For the operator's services: `x-service-token`. Decides as the workers do, but does not wait for
/// a minute after the end, and waits for the chain. What is decided is pursued, whatever this call
/// answers: with `attestation_pending` it is on its way.
#[utoipa::path(
    post, path = "/session/{id}/attest", tag = "sessions", operation_id = "attest",
    params(("id" = schema::BookingId, Path), AtEscrow, Forced, Once), security(("service_token" = [])),
    responses((status = 200, description = "Attested.", body = AttestAnswer), AttestRefusals)
)]
pub(crate) async fn attest(
    State(app): State<App>,
    named: Named,
    headers: HeaderMap,
    body: RawBody,
) -> Result<Json<AttestAnswer>, Problem> {
    let bookings = app.bookings()?;
    bookings.check_service(&headers)?;
    if !bookings.has_oracle_key() {
        return Err(Problem::new(Code::OracleKeyNotConfigured));
    }
    let key = named.booking(&app)?;
    let force = match named.member("force_outcome") {
        None | Some("") => None,
        Some(text) => Some(forced(text, key, &app).await?),
    };
    let command = Consider {
        key,
        trigger: Trigger::Manual { force },
    };
    let target = format!("{key} {}", force.map_or("", Outcome::name));
    let target = ("session.attest", target.as_str());
    let considered = run_again(target, &command, SERVICE, &body, &headers, &app).await?;
    let Considered::Decided { outcome, .. } = considered else {
        // By hand it is decided or refused.
        return Err(Problem::new(Code::Internal));
    };
    let found = session(app.ports(), key).await?;
    let found = found.ok_or(Problem::new(Code::Internal))?;
    let tx_hash = settled(&found, outcome)?;
    Ok(Json(AttestAnswer {
        outcome: outcome.name(),
        tx_hash,
    }))
}

/// The outcome that is forced. What is wrong with the booking is told before what is wrong with the
/// outcome, as recorded.
async fn forced(text: &str, key: BookingKey, app: &App) -> Result<Outcome, Problem> {
    let may_force = app.bookings()?.may_force();
    if let (Ok(outcome), true) = (text.parse(), may_force) {
        return Ok(outcome);
    }
    let reading = app.ports().escrows.read(&key).await?;
    let refusal = match reading.booking.status {
        BookingStatus::None => Some(BookingRefusal::BookingNotFound),
        BookingStatus::Booked if reading.slot.exists() => None,
        BookingStatus::Booked => Some(BookingRefusal::SlotNotFound),
        other => Some(BookingRefusal::NotBooked(other)),
    };
    if let Some(refusal) = refusal {
        return Err(refusal.into());
    }
    Err(Problem::new(match text.parse::<Outcome>() {
        Ok(_) => Code::ForceNotAllowed,
        Err(_) => Code::InvalidForceOutcome,
    }))
}

/// The transaction, where the chain holds what was decided.
fn settled(session: &BookedSession, outcome: Outcome) -> Result<Word, Problem> {
    match session.settlement {
        Settlement::Settled {
            done: Done::Submitted,
            ..
        } => session
            .transaction
            .ok_or(Problem::new(Code::AlreadySettled)),
        Settlement::Settled { .. } => Err(Problem::new(Code::AlreadySettled)),
        Settlement::WindowMissed { outcome, .. } => Err(BookingRefusal::TooLate(outcome).into()),
        Settlement::Attesting => Err(Problem::new(Code::AttestationPending)),
        // What was forced and refused is given up; the last attempt says why.
        Settlement::Open => Err(match session.attempts.last().map(|last| last.class) {
            Some(AttemptClass::NotOracle) => Problem::new(Code::NotOracle),
            Some(AttemptClass::WindowMissed(_)) => BookingRefusal::TooLate(outcome).into(),
            Some(AttemptClass::Early) => Problem::new(match outcome {
                Outcome::Completed => Code::OverlapNotMet,
                Outcome::NoShowHost | Outcome::NoShowGuest => Code::GraceNotOver,
            }),
            _ => Problem::new(Code::AttestationPending),
        }),
    }
}
