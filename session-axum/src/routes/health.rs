//! Whether the process lives, and whether it can work.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::not_found;
use crate::openapi::refusals::refusals;
use crate::problem::{Code, Problem};
use crate::workers::Pulse;
use crate::{App, shown};

#[derive(Serialize, ToSchema)]
pub(crate) struct HealthAnswer {
    ok: bool,
}

/// Whether the process lives
///
/// It answers, so it does.
#[utoipa::path(
    get, path = "/health", tag = "operation", operation_id = "health",
    responses((status = 200, description = "It lives.", body = HealthAnswer))
)]
pub(crate) async fn health() -> Json<HealthAnswer> {
    Json(HealthAnswer { ok: true })
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ReadyAnswer {
    ready: bool,
    /// What an operator should look at although the server works.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<String>,
}

refusals!(ReadyRefusals: [], NotReady);

/// Whether the server can work
///
/// The database answers and the workers beat; else 503, with the reasons. What an operator
/// should look at although the server works is a warning beside a 200.
#[utoipa::path(
    get, path = "/ready", tag = "operation", operation_id = "ready",
    responses((status = 200, description = "It can work.", body = ReadyAnswer), ReadyRefusals)
)]
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<ReadyAnswer>, Problem> {
    let mut reasons = Vec::new();
    if let Err(error) = app.ports().store.ping().await {
        tracing::warn!(error = shown::in_full(&error), "not ready");
        reasons.push("the database does not answer");
    }
    if app.pulse().is_some_and(|pulse| !pulse.beats()) {
        reasons.push("the workers do not beat");
    }
    if app.pulse().is_some_and(|pulse| !pulse.all_run()) {
        reasons.push("a worker has ended");
    }
    if reasons.is_empty() {
        let warnings = app.pulse().map(Pulse::warnings).unwrap_or_default();
        let ready = true;
        Ok(Json(ReadyAnswer { ready, warnings }))
    } else {
        let problem = Problem::new(Code::NotReady).with("ready", false);
        Err(problem.with("reasons", reasons))
    }
}

/// Metrics of the process
///
/// In the text format of Prometheus. Where they are served elsewhere or not at all this is 404.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "metrics",
    responses(
        (status = 200, description = "Counters and histograms.", body = String),
        (status = 404, description = "Not here.", body = String),
    )
)]
pub(crate) async fn metrics(State(app): State<App>) -> Response {
    let Some(text) = app.metrics() else {
        return not_found().await;
    };
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}
