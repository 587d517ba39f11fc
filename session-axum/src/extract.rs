//! From a request to values that a command can be made of.

use std::collections::BTreeSet;
use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, OptionalFromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use session_core::auth::Verified;
use session_core::crypto::digest128;
use session_core::idempotency::{IdempotencyKey, Once};
use session_core::types::Wallet;

use crate::App;
use crate::json;
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

impl<S: Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().copied())
    }
}

/// The access token itself, where the caller is known by one and not by the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Presented(pub(crate) Verified);

impl<S: Sync> FromRequestParts<S> for Presented {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .copied()
            .ok_or(Problem::new(Code::Unauthorized))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Presented {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get::<Self>().copied())
    }
}

/// The bytes of the body. The limits have read it before, within their bounds.
#[derive(Debug)]
pub(crate) struct RawBody {
    bytes: Bytes,
    is_json: bool,
    is_strict: bool,
}

impl FromRequest<App> for RawBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let is_json = says_json(request.headers());
        let body = request.into_body().collect().await;
        let body = body.map_err(|_| Problem::new(Code::InvalidBody))?;
        Ok(Self {
            bytes: body.to_bytes(),
            is_json,
            is_strict: app.is_strict(),
        })
    }
}

fn says_json(headers: &HeaderMap) -> bool {
    let sent = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = sent.and_then(|value| value.split(';').next());
    media_type.is_some_and(|text| text.trim().eq_ignore_ascii_case("application/json"))
}

impl RawBody {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether nothing was said, by no bytes or by those of JSON.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self.bytes.trim_ascii(), b"" | b"null")
    }

    /// The same, read as a body of a route that the original does not have.
    pub(crate) fn strictly(self) -> Self {
        Self {
            is_strict: true,
            ..self
        }
    }

    /// The members of the JSON object that the body is. The original takes any body for JSON and
    /// ignores members that it does not know; where it is strict, such bodies are refused, and so
    /// are members that come twice and values that nest too deep (`security.md` G1, G10).
    pub(crate) fn members(&self, known: &[&str]) -> Result<Members, Problem> {
        if !self.is_strict {
            return match serde_json::from_slice(&self.bytes) {
                Ok(Value::Object(members)) => Ok(Members(members)),
                Ok(_) | Err(_) => Err(Problem::new(Code::InvalidBody)),
            };
        }
        self.strict_members(known)
    }

    /// The same of a route that the original does not have: its rules are strict everywhere.
    pub(crate) fn strict_members(&self, known: &[&str]) -> Result<Members, Problem> {
        if !self.is_json {
            return Err(Problem::new(Code::UnsupportedMediaType));
        }
        let members = json::object(&self.bytes).ok_or(Problem::new(Code::InvalidBody))?;
        let known: BTreeSet<&str> = known.iter().copied().collect();
        match members.keys().find(|name| !known.contains(name.as_str())) {
            None => Ok(Members(members)),
            Some(_) => Err(Problem::new(Code::UnknownMember)),
        }
    }

    /// What the caller asked to be answered once; `None` where it did not, which the strict do not
    /// allow (`security.md` D1).
    pub(crate) fn once(
        &self,
        command: &str,
        caller: Wallet,
        headers: &HeaderMap,
    ) -> Result<Option<Once>, Problem> {
        if self.is_strict && !headers.contains_key("idempotency-key") {
            return Err(Problem::new(Code::MissingIdempotencyKey));
        }
        let fingerprint = digest128("request 1", &[command.as_bytes(), &self.bytes]);
        once(command, fingerprint, caller, headers)
    }

    /// The same where nothing is demanded: what no credit moves with, and what may be done twice.
    /// What it is done to counts as well.
    pub(crate) fn once_if_asked(
        &self,
        (command, target): (&str, &str),
        caller: Wallet,
        headers: &HeaderMap,
    ) -> Result<Option<Once>, Problem> {
        let parts = [command.as_bytes(), target.as_bytes(), &self.bytes];
        let fingerprint = digest128("request 2", &parts);
        once(command, fingerprint, caller, headers)
    }
}

/// What the caller marked with a key; `None` where it did not.
fn once(
    command: &str,
    fingerprint: [u8; 16],
    caller: Wallet,
    headers: &HeaderMap,
) -> Result<Option<Once>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let invalid = || Problem::new(Code::InvalidIdempotencyKey);
    let text = value.to_str().map_err(|_| invalid())?;
    let key = IdempotencyKey::parse(caller, command, text).map_err(|_| invalid())?;
    Ok(Some(Once { key, fingerprint }))
}

/// The members of a JSON object.
#[derive(Debug, Default)]
pub(crate) struct Members(Map<String, Value>);

impl Members {
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

    /// A text or a whole number as text; `None` where it is absent, null or empty.
    pub(crate) fn text_or_number(&self, name: &str) -> Result<Option<String>, Problem> {
        match self.0.get(name) {
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            _ => Ok(self.text(name)?.map(str::to_owned)),
        }
    }

    /// A whole number that is not negative, as one or as its decimal digits.
    pub(crate) fn whole_number(&self, name: &str) -> Option<u64> {
        match self.0.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok()
            }
            _ => None,
        }
    }

    /// What is literally true or false.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// Whether a member is exactly this text.
    pub(crate) fn is_text(&self, name: &str, text: &str) -> bool {
        self.0.get(name).and_then(Value::as_str) == Some(text)
    }

    /// Whether a member is absent or one of these texts.
    pub(crate) fn is_one_of(&self, name: &str, texts: &[&str]) -> bool {
        match self.0.get(name) {
            None => true,
            Some(value) => value.as_str().is_some_and(|text| texts.contains(&text)),
        }
    }

    /// Whether a member is absent, or true or false.
    pub(crate) fn is_flag(&self, name: &str) -> bool {
        self.0.get(name).is_none_or(Value::is_boolean)
    }

    /// Whether a member is literally `true`.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.0.get(name) == Some(&Value::Bool(true))
    }
}
