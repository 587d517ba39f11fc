//! What the routes promise, as an OpenAPI 3.1 document that is made from the handlers.
//!
//! How a route gets into it:
//!
//! 1. `#[utoipa::path(…)]` above the handler, with method, path, tag, `operation_id`, and
//!    `security(("access_token" = []))` where the guard asks for a token. The handler's doc comment
//!    is its text for strangers: the first paragraph becomes the summary, the others the
//!    description.
//! 2. `#[derive(ToSchema)]` on what it answers, `request_body = …` with a type for what it reads.
//!    Texts of a form of their own (wallets, identifiers) are in [`schema`]; fields name them by
//!    `#[schema(value_type = schema::Wallet)]`.
//! 3. [`refusals!`] beside it names the [`Code`]s that only this route can answer, and the set that
//!    its reads or its command bring along; the name goes into `responses(…)`. What every route can
//!    answer, what goes with a token and what goes with an `Idempotency-Key` is added here, so it
//!    is never named.
//! 4. `.routes(routes!(module::handler))` in `routes::documented`.
//!
//! `session-server openapi > docs/openapi.json` writes the file; `tests/openapi.rs` compares it,
//! and fails for a route that is not in it. The tests of the other files check each answer they get
//! against the document.

pub(crate) mod refusals;
pub(crate) mod schema;

use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Components, Object, OpenApi, Ref, RefOr, Response as Answer, Type};
use utoipa::{IntoParams, OpenApi as _};

use crate::problem::Code;
use crate::routes;

/// What any request can be refused for, by the layers around all routes.
const EVERYWHERE: &[Code] = &[
    Code::BodyTooLarge,
    Code::Overloaded,
    Code::RateLimited,
    Code::Timeout,
    Code::UriTooLong,
];
/// What a request with an `Idempotency-Key` can be refused for.
const WITH_KEY: &[Code] = &[
    Code::IdempotencyKeyReused,
    Code::InvalidIdempotencyKey,
    Code::MissingIdempotencyKey,
];
/// What a request with a body can be refused for where the server, or the route, is strict.
const STRICT_BODY: &[Code] = &[
    Code::InvalidBody,
    Code::UnknownMember,
    Code::UnsupportedMediaType,
];

/// The header of each answer that names its request.
const REQUEST_ID: &str = "x-request-id";
const RETRY_AFTER: &str = "retry-after";

/// The frame of the document; operations come from the handlers.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "session",
        description = include_str!("guide.md"),
        license(name = "MIT OR Apache-2.0")
    ),
    servers((url = "./", description = "where this document is")),
    tags(
        (name = "sign-in", description = "From a wallet to an access token."),
        (name = "credits", description = "The seconds that a wallet may spend in rooms."),
        (name = "rooms", description = "Live voice rooms, metered to the second."),
        (name = "sessions", description = "Booked sessions, paid through an escrow."),
        (name = "operation", description = "For those who run the server."),
    ),
    components(schemas(schema::Error, schema::Problem))
)]
struct Frame;

/// The document's frame, to which [`utoipa_axum`] adds the operations.
pub(crate) fn frame() -> OpenApi {
    let mut document = Frame::openapi();
    let components = document.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "The `token` that `POST /auth/verify` answers, good for an hour. The scheme is \
             case-sensitive and followed by exactly one blank.",
        ))
        .build();
    let service = ApiKeyValue::with_description(
        "x-service-token",
        "The operator's token for calls between its own services.",
    );
    components.add_security_scheme("access_token", SecurityScheme::Http(bearer));
    components.add_security_scheme(
        "service_token",
        SecurityScheme::ApiKey(ApiKey::Header(service)),
    );
    let request_id = described_header(
        Type::String,
        "Names the request in the server's log: yours where you sent one of 1 to 64 letters, \
         digits, `-` and `_`, else one of the server's.",
    );
    let retry_after = described_header(Type::Integer, "Seconds to wait before the next try.");
    components
        .headers
        .insert(REQUEST_ID.into(), request_id.into());
    components
        .headers
        .insert(RETRY_AFTER.into(), retry_after.into());
    document
}

fn described_header(of: Type, description: &str) -> Header {
    let mut header = Header::new(Object::with_type(of));
    header.description = Some(description.to_owned());
    header
}

/// The OpenAPI 3.1 document of all routes, in JSON, the same on each call.
#[must_use]
pub fn openapi_json() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let document = complete(routes::documented().into_openapi());
        // Names and texts only: there is nothing in it that JSON cannot say.
        let mut text = in_order(&document).unwrap_or_default();
        text.push('\n');
        text
    });
    &DOCUMENT
}

/// The parts of the document in the order in which people read them.
#[derive(Serialize, Deserialize)]
struct Parts {
    openapi: Value,
    info: Value,
    servers: Value,
    tags: Value,
    paths: Value,
    components: Value,
}

fn in_order(document: &OpenApi) -> serde_json::Result<String> {
    let mut document = serde_json::to_value(document)?;
    unwrap_texts(&mut document);
    serde_json::to_string_pretty(&Parts::deserialize(document)?)
}

/// Sources are wrapped at 100 columns; a reader's page takes each line's end for one of its own.
fn unwrap_texts(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => *text = unwrapped(text),
                    member => unwrap_texts(member),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A text whose paragraphs and items of lists are a line each.
fn unwrapped(text: &str) -> String {
    let mut unwrapped = String::new();
    for line in text.lines().map(str::trim) {
        let begins = line.is_empty() || line.starts_with('#') || begins_item(line);
        if !unwrapped.is_empty() {
            let is_open = !unwrapped.ends_with('\n');
            unwrapped.push(if is_open && !begins { ' ' } else { '\n' });
        }
        unwrapped.push_str(line);
    }
    unwrapped
}

fn begins_item(line: &str) -> bool {
    let is_number = |mark: &str| mark.bytes().all(|byte| byte.is_ascii_digit());
    line.split_once(' ')
        .is_some_and(|(mark, _)| mark == "-" || mark.strip_suffix('.').is_some_and(is_number))
}

/// This document
///
/// OpenAPI 3.1, made from the routes themselves.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operation", operation_id = "openapi",
    responses((status = 200, description = "An OpenAPI document.", body = Object))
)]
pub(crate) async fn serve() -> Response {
    let media_type = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::OK, media_type, openapi_json()).into_response()
}

/// The header that makes a repeat harmless.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "it is only described")]
pub(crate) struct Once {
    /// 1 to 255 visible ASCII characters of your choice, one for each thing you want done. A repeat
    /// of the request under the same key gets the first answer and changes nothing; another request
    /// under it is refused.
    #[param(rename = "idempotency-key", value_type = String, required = false,
        min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    key: Option<String>,
}

/// Adds to each operation what is true of many, and writes down once what is said often.
fn complete(mut document: OpenApi) -> OpenApi {
    let mut shared = Components::new();
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.post,
            &mut item.put,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            complete_operation(operation, &mut shared);
        }
    }
    let components = document.components.get_or_insert_default();
    components.responses.append(&mut shared.responses);
    document
}

fn complete_operation(operation: &mut Operation, shared: &mut Components) {
    let mut codes = EVERYWHERE.to_vec();
    if operation.security.is_some() {
        codes.push(Code::Unauthorized);
    }
    if takes_key(operation) {
        codes.extend(WITH_KEY);
    }
    if operation.request_body.is_some() {
        codes.extend(STRICT_BODY);
    }
    let answers = &mut operation.responses.responses;
    answers.retain(|_, answer| match answer {
        RefOr::T(answer) => refusals::take(answer, &mut codes),
        RefOr::Ref(_) => true,
    });
    for answer in answers.values_mut() {
        if let RefOr::T(answer) = answer {
            name_request(answer);
        }
    }
    for (status, codes) in refusals::by_status(&codes) {
        let (name, mut answer) = refusals::answer(&codes);
        name_request(&mut answer);
        if matches!(
            status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        ) {
            answer
                .headers
                .insert(RETRY_AFTER.into(), header_ref(RETRY_AFTER));
        }
        let reference = Ref::from_response_name(&name);
        answers.insert(status.as_str().to_owned(), RefOr::Ref(reference));
        shared.responses.insert(name, RefOr::T(answer));
    }
}

fn takes_key(operation: &Operation) -> bool {
    let parameters = operation.parameters.iter().flatten();
    parameters.into_iter().any(|parameter| match parameter {
        RefOr::T(parameter) => parameter.name == "idempotency-key",
        RefOr::Ref(_) => false,
    })
}

fn name_request(answer: &mut Answer) {
    answer
        .headers
        .insert(REQUEST_ID.into(), header_ref(REQUEST_ID));
}

fn header_ref(name: &str) -> RefOr<Header> {
    RefOr::Ref(Ref::new(format!("#/components/headers/{name}")))
}

#[cfg(test)]
mod tests {
    use super::unwrapped;

    #[test]
    fn a_paragraph_and_an_item_are_a_line_each() {
        let text = "# One\n\nTwo\nthree.\n\nFour:\n\n1. five\n   6 six\n2. seven\n";
        let lines = "# One\n\nTwo three.\n\nFour:\n\n1. five 6 six\n2. seven";
        assert_eq!(unwrapped(text), lines);
    }
}
