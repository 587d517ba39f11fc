//! From the codes of the error table to the answers of the document, so that the two cannot drift.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::{AllOfBuilder, Schema};
use utoipa::openapi::{Content, ObjectBuilder, Ref, RefOr, Response, Type};

use crate::problem::{Code, Problem};

/// What a route that asks the store can be refused for.
pub(crate) const READ: &[Code] = &[Code::Internal, Code::StoreUnavailable];
/// What a route that executes a command can be refused for.
pub(crate) const COMMAND: &[Code] = &[Code::Contended, Code::Internal, Code::StoreUnavailable];
/// What a route that asks the chain can be refused for.
pub(crate) const CHAIN: &[Code] = &[Code::ChainUnavailable, Code::NotConfigured];

/// Says on an answer which codes it can carry.
const CODES: &str = "x-codes";

/// Names what a route refuses: `refusals!(JoinRefusals: [COMMAND, CHAIN], RoomFull, RoomNotFound)`.
/// The sets are those of this module, the names those of [`Code`].
macro_rules! refusals {
    ($name:ident: [$($set:ident),*] $(, $code:ident)* $(,)?) => {
        pub(crate) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                $crate::openapi::refusals::marked(&[
                    $($crate::openapi::refusals::$set,)*
                    &[$($crate::problem::Code::$code,)*],
                ])
            }
        }
    };
}
pub(crate) use refusals;

/// Answers that only say which codes they can carry; [`take`] reads them.
pub(crate) fn marked(sets: &[&[Code]]) -> BTreeMap<String, RefOr<Response>> {
    let answers = by_status(&sets.concat())
        .into_iter()
        .map(|(status, codes)| {
            let mut answer = Response::new(String::new());
            answer.extensions = Some(ExtensionsBuilder::new().add(CODES, names(&codes)).build());
            (status.as_str().to_owned(), RefOr::T(answer))
        });
    answers.collect()
}

/// Adds an answer's codes, where it is marked with any. Whether it is to be kept: it has none.
pub(super) fn take(answer: &Response, codes: &mut Vec<Code>) -> bool {
    let extensions = answer.extensions.as_ref();
    let Some(Value::Array(marks)) = extensions.and_then(|extensions| extensions.get(CODES)) else {
        return true;
    };
    let is_marked = |code: &&Code| marks.iter().any(|mark| mark == code.name());
    codes.extend(Code::ALL.iter().filter(is_marked));
    false
}

/// The codes of each status, each once, in the order of the table.
pub(super) fn by_status(codes: &[Code]) -> BTreeMap<StatusCode, Vec<Code>> {
    let mut groups: BTreeMap<StatusCode, Vec<Code>> = BTreeMap::new();
    for code in Code::ALL.iter().filter(|code| codes.contains(code)) {
        groups.entry(code.status()).or_default().push(*code);
    }
    groups
}

/// The answer of one status with any of these codes, and its name among the components.
pub(super) fn answer(codes: &[Code]) -> (String, Response) {
    let names: Vec<_> = codes.iter().map(|code| code.name()).collect();
    let lines = codes
        .iter()
        .map(|code| format!("`{}`: {}.", code.name(), code.message()));
    let mut answer = Response::new(lines.collect::<Vec<_>>().join("\n\n"));
    let plain = |problem: &Problem| problem.recorded_body(EXAMPLE_ID);
    answer.content.insert(
        "application/json".to_owned(),
        content("Error", codes, plain).into(),
    );
    let rfc9457 = |problem: &Problem| problem.rfc9457_body(EXAMPLE_ID);
    answer.content.insert(
        "application/problem+json".to_owned(),
        content("Problem", codes, rfc9457).into(),
    );
    if codes.contains(&Code::NotFound) {
        // What no path can name is an unknown path, in the text of all of them.
        let text = Content::new(Some(Schema::from(
            ObjectBuilder::new().schema_type(Type::String),
        )));
        answer.content.insert("text/plain".to_owned(), text.into());
    }
    answer.extensions = Some(ExtensionsBuilder::new().add(CODES, names.clone()).build());
    (names.join("."), answer)
}

/// A body of this schema with any of these codes, and an example of each.
fn content(schema: &str, codes: &[Code], body: impl Fn(&Problem) -> Value) -> Content {
    let mut content = Content::new(Some(narrowed(schema, codes)));
    for code in codes {
        let example = ExampleBuilder::new().value(Some(body(&example_of(*code))));
        content
            .examples
            .insert(code.name().to_owned(), example.build().into());
    }
    content
}

/// The request's id in examples.
const EXAMPLE_ID: &str = "9f3c2a7be1d04856";

/// A problem as a client may get it, with what its code brings along.
fn example_of(code: Code) -> Problem {
    let problem = Problem::new(code);
    if code == Code::InsufficientCredits {
        problem.with("remaining_seconds", 12)
    } else if code == Code::NotReady {
        let reasons = json!(["the database does not answer"]);
        problem.with("ready", false).with("reasons", reasons)
    } else if code == Code::NotVerified {
        problem.with("granted", false)
    } else {
        problem
    }
}

/// The shared body, with no other codes than these.
fn narrowed(schema: &str, codes: &[Code]) -> Schema {
    let code = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(codes.iter().map(|code| code.name())));
    let members = ObjectBuilder::new().property("code", code);
    AllOfBuilder::new()
        .item(Ref::from_schema_name(schema))
        .item(members)
        .build()
        .into()
}

fn names(codes: &[Code]) -> Value {
    codes.iter().map(|code| code.name()).collect()
}
