//! What is seen of each request: an id, a log line, metrics, and the body of its problem.
//!
//! Nothing that a client sent is told but the pattern of its route, its method, its id where that is
//! plain, and, once they are known, the room and a few digits of the wallet.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use session_core::types::{RoomId, Wallet, encode_hex};
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};

use crate::problem::Problem;
use crate::{App, metric, problem};

/// Carries the request's id, in both directions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from a client.
pub(crate) const REQUEST_ID_CHARS_MAX: usize = 64;

pub(crate) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&app, request.headers());
    let method = request.method().clone();
    // The pattern, never the path: a path is a client's text and would make metrics endless.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unknown", MatchedPath::as_str);
    let route = route.to_owned();
    let wants_rfc9457 = accepts_problem_json(request.headers());
    // Of the highest level, so that it is there for whatever line is let through.
    let span = tracing::error_span!("request", id, %method, route, wallet = Empty, room = Empty);
    let mut seen = Seen {
        started,
        span: span.clone(),
        is_answered: false,
    };
    metrics::gauge!(metric::HTTP_IN_FLIGHT).increment(1.0);

    let response = next.run(request).instrument(span).await;
    seen.is_answered = true;
    let status = response.status().as_u16();
    if let Some(problem) = response.extensions().get::<Problem>() {
        let labels = [
            ("route", route.clone()),
            ("code", problem.code().name().to_owned()),
        ];
        metrics::counter!(metric::HTTP_REFUSALS, &labels).increment(1);
    }
    let mut response = problem::render(response, &id, wants_rfc9457);
    seal(response.headers_mut(), &id);

    let duration_seconds = started.elapsed().as_secs_f64();
    seen.span.in_scope(|| {
        if response.status().is_server_error() {
            tracing::warn!(status, duration_seconds, "answered");
        } else if is_asked_by_machines(&route) {
            tracing::debug!(status, duration_seconds, "answered");
        } else {
            tracing::info!(status, duration_seconds, "answered");
        }
    });
    let route = ("route", route);
    let method = ("method", known_method(&method).to_owned());
    let class = ("class", format!("{}xx", status / 100));
    let status = ("status", status.to_string());
    let counted = [route, method, status];
    metrics::counter!(metric::HTTP_REQUESTS, &counted).increment(1);
    let [route, method, _] = counted;
    metrics::histogram!(metric::HTTP_SECONDS, &[route, method, class]).record(duration_seconds);
    response
}

/// Whose request it is. To be called within the request.
pub(crate) fn know_wallet(wallet: Wallet) {
    Span::current().record("wallet", display(wallet.shortened()));
}

/// Which room it is about. To be called within the request.
pub(crate) fn know_room(room: RoomId) {
    Span::current().record("room", display(room));
}

/// A request that is under way. Its client may go: then nobody waits for the answer any more.
struct Seen {
    started: Instant,
    span: Span,
    is_answered: bool,
}

impl Drop for Seen {
    fn drop(&mut self) {
        metrics::gauge!(metric::HTTP_IN_FLIGHT).decrement(1.0);
        if !self.is_answered {
            metrics::counter!(metric::HTTP_ABANDONED).increment(1);
            let duration_seconds = self.started.elapsed().as_secs_f64();
            self.span
                .in_scope(|| tracing::info!(duration_seconds, "the client went before the answer"));
        }
    }
}

/// What is asked every few seconds for as long as the server lives: its lines would hide the others.
fn is_asked_by_machines(route: &str) -> bool {
    ["/health", "/ready", "/metrics"]
        .iter()
        .any(|end| route.ends_with(end))
}

/// Headers of every answer (`security.md` G8). Nothing here may be kept by a cache: nearly all of
/// it belongs to one wallet.
fn seal(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

/// The client's id where it is short and plain, else one of ours.
fn request_id(app: &App, headers: &HeaderMap) -> String {
    let sent = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        (1..=REQUEST_ID_CHARS_MAX).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if let Some(id) = sent.filter(plain) {
        return id.to_owned();
    }
    let mut bytes = [0; 8];
    match app.ports().entropy.fill(&mut bytes) {
        Ok(()) => encode_hex(&bytes),
        // An id only ties log lines together; a request is not refused for the lack of one.
        Err(_) => "none".to_owned(),
    }
}

fn accepts_problem_json(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|part| part.split(';').next().map(str::trim) == Some("application/problem+json"))
}

/// A method is a client's text, too: those that no route has share one name, since every name is a
/// series that is kept for ever.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_of_a_clients_own_is_no_series_of_its_own() {
        let invented = Method::from_bytes(b"M0X0").unwrap();
        assert_eq!(known_method(&invented), "other");
        assert_eq!(known_method(&Method::POST), "POST");
    }
}
