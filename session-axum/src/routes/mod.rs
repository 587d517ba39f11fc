//! The routes, and the layers around them.

mod attest;
mod auth;
mod credits;
mod health;
mod hosts;
mod room_view;
mod rooms;
mod session_view;
mod sessions;
mod sign_in;
pub(crate) mod stream;

pub(crate) use stream::Streams;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use session_core::service::{Command, execute_once};
use session_core::types::Wallet;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::extract::RawBody;
use crate::problem::{Code, Problem};
use crate::{App, cors, guard, limits, metric, observe, openapi};

/// All routes of the systems that are built so far. Nestable.
pub fn router(app: App) -> Router {
    metric::describe();
    // Whoever sees such a message can use it again, which strict servers do not allow.
    let recorded = if app.takes_timestamps() && !app.is_strict() {
        recorded().routes(routes!(sign_in::by_timestamp))
    } else {
        recorded()
    };
    let (recorded, _) = recorded.split_for_parts();
    #[cfg(feature = "pages")]
    let recorded = if app.has_pages() {
        recorded.merge(crate::site::routes())
    } else {
        recorded
    };
    // The original knows no method that is not allowed, only paths that it does not have.
    let recorded = if app.is_strict() {
        recorded.method_not_allowed_fallback(method_not_allowed)
    } else {
        recorded.method_not_allowed_fallback(not_found)
    };
    let (new, _) = new().split_for_parts();
    let routes = recorded
        .merge(new.method_not_allowed_fallback(method_not_allowed))
        .fallback(not_found)
        .with_state(app.clone());
    layered(app, routes)
}

/// Other routes behind the layers of [`router`]: limits, access tokens for what is below `/rooms` and
/// `/credits`, cross-origin answers, and problems with their bodies.
pub fn layered(app: App, routes: Router) -> Router {
    // The last layer is the outermost: every answer, refusals of the inner layers included, gets
    // its id and its body in `observe`, and its cross-origin headers in `cors`.
    routes
        .layer(from_fn_with_state(app.clone(), guard::layer))
        .layer(from_fn_with_state(app.clone(), limits::layer))
        .layer(from_fn_with_state(app.clone(), cors::layer))
        .layer(from_fn_with_state(app, observe::layer))
        .layer(from_fn(head_without_body))
}

/// The routes with what they promise: see [`openapi`] on how to add one.
pub(crate) fn documented() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::frame())
        .merge(recorded())
        .routes(routes!(sign_in::by_timestamp))
        .merge(new())
}

/// Below paths of the original, which answers an unknown method as an unknown path.
fn recorded() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::serve))
        .routes(routes!(auth::nonce))
        .routes(routes!(auth::verify))
        .routes(routes!(credits::balance))
        .routes(routes!(credits::events))
        .routes(routes!(credits::verify_celo))
        .routes(routes!(rooms::active))
        .routes(routes!(rooms::create))
        .routes(routes!(rooms::join))
        .routes(routes!(rooms::heartbeat))
        .routes(routes!(rooms::renew))
        .routes(routes!(rooms::leave))
        .routes(routes!(room_view::room))
        .routes(routes!(room_view::events))
        .routes(routes!(sessions::join))
        .routes(routes!(sessions::leave))
        .routes(routes!(sessions::stats))
        .routes(routes!(attest::attest))
}

/// Where the original has nothing.
fn new() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_in::siwe_nonce))
        .routes(routes!(sign_in::siwe_verify))
        .routes(routes!(sign_in::logout))
        .routes(routes!(session_view::list))
        .routes(routes!(session_view::timeline))
        .routes(routes!(session_view::bundle))
        .routes(routes!(sessions::presence))
        .routes(routes!(sessions::evidence))
        .routes(routes!(sessions::outcome))
        .routes(routes!(hosts::own, hosts::set))
        .routes(routes!(hosts::other))
}

/// Unknown paths and methods alike, text and all as recorded.
pub(crate) async fn not_found() -> Response {
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
