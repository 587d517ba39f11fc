//! Cross-origin answers, header for header as recorded.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::App;

const ALLOW_METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,POST,DELETE,PATCH");
const ALLOW_HEADERS: HeaderValue =
    HeaderValue::from_static("Content-Type,Authorization,PAYMENT-SIGNATURE");
/// With those that only clients of today send: to be answered once, and to go on with a stream.
const ALLOW_MORE: HeaderValue = HeaderValue::from_static(
    "Content-Type,Authorization,PAYMENT-SIGNATURE,Idempotency-Key,Last-Event-ID",
);
const EXPOSE_HEADERS: HeaderValue = HeaderValue::from_static("PAYMENT-REQUIRED,PAYMENT-RESPONSE");

/// Which pages of other origins may read answers. Credentials are never allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorsOrigins {
    /// All, as the original does: access tokens go in a header, never in a cookie.
    #[default]
    Any,
    /// These, compared byte for byte.
    Listed(Vec<String>),
}

pub(crate) async fn layer(State(app): State<App>, request: Request, next: Next) -> Response {
    let allow_origin = allow_origin(&app, request.headers());
    let asks_more = app.is_strict() || asks_more(request.headers());
    let allowed = if asks_more { ALLOW_MORE } else { ALLOW_HEADERS };
    let mut response = if request.method() == Method::OPTIONS {
        let mut preflight = StatusCode::NO_CONTENT.into_response();
        let headers = preflight.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(
            header::VARY,
            HeaderValue::from_static("Access-Control-Request-Headers"),
        );
        preflight
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSE_HEADERS);
    if let Some(origin) = allow_origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    if let CorsOrigins::Listed(_) = app.cors_origins() {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    response
}

/// Whether a page asks for a header that the original does not know.
fn asks_more(headers: &HeaderMap) -> bool {
    let asked = headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS);
    let asked = asked.iter().filter_map(|value| value.to_str().ok());
    asked.flat_map(|value| value.split(',')).any(|name| {
        let name = name.trim();
        name.eq_ignore_ascii_case("idempotency-key") || name.eq_ignore_ascii_case("last-event-id")
    })
}

fn allow_origin(app: &App, headers: &HeaderMap) -> Option<HeaderValue> {
    match app.cors_origins() {
        // Nobody has said whose pages may read: the strict let none (`security.md` G5).
        CorsOrigins::Any => (!app.is_strict()).then_some(HeaderValue::from_static("*")),
        CorsOrigins::Listed(origins) => {
            let origin = headers.get(header::ORIGIN)?;
            let is_listed = origins
                .iter()
                .any(|listed| listed.as_bytes() == origin.as_bytes());
            is_listed.then(|| origin.clone())
        }
    }
}
