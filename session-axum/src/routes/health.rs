//! Whether the process lives, and whether it can work.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::not_found;
use crate::problem::{Code, Problem};
use crate::workers::Pulse;
use crate::{App, shown};

/// `GET /health`: the process answers. Exactly this body.
pub(crate) async fn health() -> Json<Value> {
    Json(json!({"ok": true}))
}

/// `GET /ready`: the database answers and the workers beat; else 503 with the reasons. What an
/// operator should look at although the server works is a warning beside a 200.
pub(crate) async fn ready(State(app): State<App>) -> Result<Json<Value>, Problem> {
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
        Ok(Json(if warnings.is_empty() {
            json!({"ready": true})
        } else {
            json!({"ready": true, "warnings": warnings})
        }))
    } else {
        let problem = Problem::new(Code::NotReady).with("ready", false);
        Err(problem.with("reasons", reasons))
    }
}

/// `GET /metrics`, where the host wants it here.
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
