//! Sending a request to the router, in process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{self, HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use tower::ServiceExt;

use super::record::{Request, RequestBody};
use super::template::Scope;
use crate::report::{Difference, quoted};

/// How long a request may take, by the clock on the wall: a router that hangs is a failure.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The longest body that is read, in bytes.
const BODY_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A request with its templates filled.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Option<String>,
    /// The body as JSON, where it was given so.
    pub(super) json: Option<Value>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Filled {
    pub(super) fn new(request: &Request, scope: &Scope<'_>) -> Result<Self, Difference> {
        let (body, json) = match &request.body {
            RequestBody::None => (None, None),
            RequestBody::Raw(raw) => (Some(scope.fill(raw)?), None),
            RequestBody::Json(json) => {
                let json = scope.fill_value(json)?;
                (Some(json.to_string()), Some(json))
            }
        };
        let headers = request.headers.iter();
        let header = |(name, value): &(String, String)| Ok((name.clone(), scope.fill(value)?));
        Ok(Self {
            method: request.method.clone(),
            path: scope.fill(&request.path)?,
            headers: headers.map(header).collect::<Result<_, Difference>>()?,
            body,
            json,
        })
    }

    /// Sends it.
    pub(super) async fn send(&self, router: Router) -> Result<Answer, Difference> {
        let request = self.to_http()?;
        let answer = async {
            let response = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let (parts, body) = response.into_parts();
            let body = to_bytes(body, BODY_MAX_BYTES).await;
            let body = body.map_err(|error| Difference::new(format!("body not read: {error}")))?;
            Ok(Answer {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: body.into(),
            })
        };
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(Difference::new(format!(
                "no answer within {ANSWER_WITHIN:?}"
            ))),
        }
    }

    /// The request as a client's HTTP library would send it.
    fn to_http(&self) -> Result<http::Request<Body>, Difference> {
        let odd = |what: &str, text: &str, error: &dyn std::fmt::Display| {
            Difference::not_understood(format!("{what} {}: {error}", quoted(text)))
        };
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        if let Some(body) = &self.body {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|error| odd("header", name, &error))?;
            let value =
                HeaderValue::from_str(value).map_err(|error| odd("header", value, &error))?;
            headers.insert(name, value);
        }
        let body = self.body.clone().map_or_else(Body::empty, Body::from);
        let mut request = http::Request::new(body);
        *request.method_mut() = http::Method::from_bytes(self.method.as_bytes())
            .map_err(|error| odd("method", &self.method, &error))?;
        *request.uri_mut() = self
            .path
            .parse()
            .map_err(|error: http::uri::InvalidUri| odd("path", &self.path, &error))?;
        *request.headers_mut() = headers;
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000);
        request.extensions_mut().insert(ConnectInfo(peer));
        Ok(request)
    }
}

impl Answer {
    /// The body as JSON.
    pub(super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The body as text, whatever it is.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// All values of a header as one.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let values = self.headers.get_all(name).iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }
}
