//! The document that the server gives away, and whether an answer is one that it promises.

use axum::http::{Method, Uri};
use serde_json::Value;

use super::Answer;

/// The document as the code makes it.
pub fn document() -> Value {
    serde_json::from_str(session_axum::openapi_json()).unwrap()
}

/// Fails where the document has the operation, but not this answer of it.
pub fn check(method: &Method, uri: &Uri, answer: &Answer) {
    let document = document();
    let Some(operation) = operation(&document, method, uri.path()) else {
        return;
    };
    let what = format!("{method} {} {}: {}", uri.path(), answer.status, answer.text);
    let promised = &operation["responses"][answer.status.as_str()];
    assert!(!promised.is_null(), "no such status: {what}");
    let promised = match promised["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap();
            document.pointer(pointer).unwrap()
        }
        None => promised,
    };
    let media_type = answer.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap();
    let contents = promised["content"].as_object();
    let is_promised = contents.is_some_and(|contents| contents.contains_key(media_type));
    assert!(
        is_promised || (media_type.is_empty() && contents.is_none()),
        "no such content type {media_type:?}: {what}"
    );
    if let Some(codes) = promised["x-codes"].as_array()
        && media_type.ends_with("json")
    {
        let code = &answer.json()["code"];
        assert!(codes.contains(code), "no such code: {what}");
    }
}

/// The operation of a request, if the document has it.
fn operation<'d>(document: &'d Value, method: &Method, path: &str) -> Option<&'d Value> {
    let paths = document["paths"].as_object().unwrap();
    let is_of = |template: &str| {
        let (pattern, path) = (template.split('/'), path.split('/'));
        pattern.clone().count() == path.clone().count()
            && pattern
                .zip(path)
                .all(|(pattern, part)| pattern.starts_with('{') || pattern == part)
    };
    // A path of its own comes before a pattern, as in the router.
    let exact = paths.get(path);
    let item = exact.or_else(|| {
        let mut matching = paths.iter().filter(|(template, _)| is_of(template));
        matching.next().map(|(_, item)| item)
    })?;
    item.get(method.as_str().to_lowercase())
}
