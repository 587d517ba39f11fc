//! The routes, and the layers around them.

mod auth;
mod credits;
mod health;
mod room_view;
mod rooms;
mod sign_in;
pub(crate) mod stream;

pub(crate) use stream::Streams;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use session_core::service::{Command, execute_once};
use session_core::types::Wallet;

use crate::extract::RawBody;
use crate::problem::{Code, Problem};
use crate::{App, cors, guard, limits, metric, observe};

/// All routes of the systems that are built so far. Nestable.
pub fn router(app: App) -> Router {
    metric::describe();
    let recorded = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/auth/nonce", post(auth::nonce))
        .route("/auth/verify", post(auth::verify))
        .route("/credits", get(credits::balance))
        .route("/credits/events", get(credits::events))
        .route("/credits/verify-celo", post(credits::verify_celo))
        .route("/rooms/active", get(rooms::active))
        .route("/rooms/create", post(rooms::create))
        .route("/rooms/join", post(rooms::join))
        .route("/rooms/heartbeat", post(rooms::heartbeat))
        .route("/rooms/token/renew", post(rooms::renew))
        .route("/rooms/leave", post(rooms::leave))
        .route("/rooms/{id}", get(room_view::room))
        .route("/rooms/{id}/events", get(room_view::events));
    let recorded = if app.takes_timestamps() {
        recorded.route("/auth", post(sign_in::by_timestamp))
    } else {
        recorded
    };
    // The original knows no method that is not allowed, only paths that it does not have.
    let recorded = if app.is_strict() {
        recorded.method_not_allowed_fallback(method_not_allowed)
    } else {
        recorded.method_not_allowed_fallback(not_found)
    };
    let new = Router::new()
        .route("/auth/siwe/nonce", post(sign_in::siwe_nonce))
        .route("/auth/siwe/verify", post(sign_in::siwe_verify))
        .route("/auth/logout", post(sign_in::logout))
        .method_not_allowed_fallback(method_not_allowed);
    let routes = recorded
        .merge(new)
        .fallback(not_found)
        .with_state(app.clone());
    // The last layer is the outermost: every answer, refusals of the inner layers included, gets
    // its id and its body in `observe`, and its cross-origin headers in `cors`.
    routes
        .layer(from_fn_with_state(app.clone(), guard::layer))
        .layer(from_fn_with_state(app.clone(), limits::layer))
        .layer(from_fn_with_state(app.clone(), cors::layer))
        .layer(from_fn_with_state(app, observe::layer))
        .layer(from_fn(head_without_body))
}

/// Unknown paths and methods alike, text and all as recorded.
async fn not_found() -> Response {
    let media_type = [(header::CONTENT_TYPE, "text/plain; charset=UTF-8")];
    (StatusCode::NOT_FOUND, media_type, "404 Not Found").into_response()
}

async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed)
}

/// A problem's body is written by an outer layer, so it is dropped for `HEAD` further out still.
async fn head_without_body(request: Request, next: axum::middleware::Next) -> Response {
    let is_head = request.method() == axum::http::Method::HEAD;
    let response = next.run(request).await;
    if is_head {
        let (mut parts, body) = response.into_parts();
        if let Some(length) = body.size_hint().exact() {
            parts.headers.insert(header::CONTENT_LENGTH, length.into());
        }
        return Response::from_parts(parts, axum::body::Body::empty());
    }
    response
}

/// Executes a caller's command, once where the caller asked for that.
async fn run<C: Command>(
    name: &str,
    command: &C,
    caller: Wallet,
    body: &RawBody,
    headers: &HeaderMap,
    app: &App,
) -> Result<C::Reply, Problem>
where
    Problem: From<C::Refusal>,
{
    let once = body.once(name, caller, headers)?;
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
