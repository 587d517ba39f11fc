//! From a request to values that a command can be made of.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use session_core::crypto::digest128;
use session_core::idempotency::{IdempotencyKey, Once};
use session_core::types::Wallet;

use crate::App;
use crate::problem::{Code, Problem};

/// The wallet of the access token. The guard puts it in; a route that takes it cannot be reached
/// without one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller(pub(crate) Wallet);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .copied()
            .ok_or(Problem::new(Code::Unauthorized))
    }
}

/// The bytes of the body. The limits have read it before, within their bounds.
#[derive(Debug)]
pub(crate) struct RawBody(pub(crate) Bytes);

impl FromRequest<App> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &App) -> Result<Self, Problem> {
        let body = request.into_body().collect().await;
        let body = body.map_err(|_| Problem::new(Code::InvalidBody))?;
        Ok(Self(body.to_bytes()))
    }
}

impl RawBody {
    /// The members of the JSON object that the body is.
    pub(crate) fn fields(&self) -> Result<Fields, Problem> {
        match serde_json::from_slice(&self.0) {
            Ok(Value::Object(members)) => Ok(Fields(members)),
            Ok(_) | Err(_) => Err(Problem::new(Code::InvalidBody)),
        }
    }

    /// What the caller asked to be answered once; `None` where it did not.
    pub(crate) fn once(
        &self,
        command: &str,
        caller: Wallet,
        headers: &HeaderMap,
    ) -> Result<Option<Once>, Problem> {
        let Some(value) = headers.get("idempotency-key") else {
            return Ok(None);
        };
        let invalid = || Problem::new(Code::InvalidIdempotencyKey);
        let text = value.to_str().map_err(|_| invalid())?;
        let key = IdempotencyKey::parse(caller, command, text).map_err(|_| invalid())?;
        let fingerprint = digest128("request 1", &[command.as_bytes(), &self.0]);
        Ok(Some(Once { key, fingerprint }))
    }
}

/// The members of a JSON object. Unknown ones are ignored, as recorded.
#[derive(Debug, Default)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// A text; `None` where it is absent, null or empty, which the original takes for missing.
    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                Err(Problem::new(Code::InvalidBody))
            }
        }
    }

    /// Whether a member is exactly this text.
    pub(crate) fn is_text(&self, name: &str, text: &str) -> bool {
        self.0.get(name).and_then(Value::as_str) == Some(text)
    }

    /// Whether a member is literally `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }
}
