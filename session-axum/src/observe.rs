//! What is seen of each request: an id, a log line, metrics, and the body of its problem.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use session_core::types::encode_hex;
use tracing::Instrument;

use crate::{App, problem};

/// Carries the request's id, in both directions.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from a client.
const REQUEST_ID_CHARS_MAX: usize = 64;

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
    let span = tracing::info_span!("request", id, %method, route);

    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let mut response = problem::render(response, &id, wants_rfc9457);
    seal(response.headers_mut(), &id);

    let elapsed = started.elapsed();
    span.in_scope(|| tracing::debug!(status, elapsed_ms = elapsed.as_millis(), "answered"));
    let labels = [
        ("route", route),
        ("method", known_method(&method).to_owned()),
        ("status", status.to_string()),
    ];
    metrics::counter!("session_http_requests_total", &labels).increment(1);
    metrics::histogram!("session_http_request_seconds", &labels[..2]).record(elapsed.as_secs_f64());
    response
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
