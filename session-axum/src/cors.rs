//! Cross-origin answers, header for header as recorded.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::App;

const ALLOW_METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,PUT,POST,DELETE,PATCH");
const ALLOW_HEADERS: HeaderValue =
    HeaderValue::from_static("Content-Type,Authorization,PAYMENT-SIGNATURE");
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
    let mut response = if request.method() == Method::OPTIONS {
        let mut preflight = StatusCode::NO_CONTENT.into_response();
        let headers = preflight.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOW_METHODS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOW_HEADERS);
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
