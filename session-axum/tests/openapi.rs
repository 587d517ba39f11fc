//! The checked-in OpenAPI document is the one that the routes make, it has all of them, and what
//! it says of access tokens is so. Whether answers are as it says is looked at by `common`, for
//! every answer of the other files' tests.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::collections::BTreeSet;

use common::Server;
use common::document::document;
use serde_json::Value;

const METHODS: [&str; 6] = ["delete", "get", "patch", "post", "put", "trace"];

/// Every operation of the document: method, path, and what is said of it.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&'_ String, &'_ Value)| {
        let methods = METHODS.iter().filter(|method| !item[**method].is_null());
        methods
            .map(|method| (*method, path.clone()))
            .collect::<Vec<_>>()
    };
    let named: Vec<_> = paths.iter().flat_map(of_path).collect();
    let found = named.into_iter().map(|(method, path)| {
        let (path, item) = paths.get_key_value(&path).unwrap();
        (method, path.as_str(), &item[method])
    });
    found.collect()
}

#[test]
fn the_file_is_the_document_of_this_code() {
    let file = include_str!("../../docs/openapi.json");
    assert!(
        file == session_axum::openapi_json(),
        "docs/openapi.json is not the document of this code. Where the change is meant, write it:\n\
         cargo run -q -p session-server -- openapi > docs/openapi.json"
    );
}

/// What the router says of itself: `METHOD path`.
fn routed(router: &axum::Router) -> BTreeSet<String> {
    let text = format!("{router:?}");
    // The routes come first, then the fallbacks.
    let (routes, _) = text.split_once("fallback_router").unwrap();
    let (routes, paths) = routes.split_once("node: Node { paths: {").unwrap();
    let mut found = BTreeSet::new();
    for path in paths.split("RouteId(").skip(1) {
        let (id, path) = path.split_once("): \"").unwrap();
        let (path, _) = path.split_once('"').unwrap();
        let (_, route) = routes.split_once(&format!("RouteId({id}): ")).unwrap();
        let (route, _) = route.split_once("fallback:").unwrap();
        for method in METHODS {
            if !route.contains(&format!("{method}: None")) {
                found.insert(format!("{method} {path}"));
            }
        }
    }
    found
}

#[test]
fn every_route_is_in_the_document() {
    let document = document();
    let documented: BTreeSet<_> = operations(&document)
        .into_iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    let everything = Server::with(session_axum::App::with_timestamp_sign_in);
    let routed = routed(&everything.routes);
    assert!(routed.contains("post /rooms/join"), "{routed:?}");
    assert_eq!(routed, documented);
}

#[test]
fn every_operation_says_what_a_stranger_needs() {
    let document = document();
    let tags = document["tags"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let has_text = |member: &str| {
            operation[member]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        };
        for member in ["summary", "description", "operationId"] {
            assert!(has_text(member), "{method} {path} has no {member}");
        }
        assert!(ids.insert(operation["operationId"].as_str().unwrap()));
        let tag = &operation["tags"][0];
        assert!(tags.iter().any(|known| known["name"] == *tag), "{tag}");
        let succeeds = ["200", "201", "204"]
            .iter()
            .any(|status| !operation["responses"][status].is_null());
        assert!(succeeds, "{method} {path} never succeeds");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn visit(value: &Value, document: &Value) {
        if let Some(Value::String(reference)) = value.get("$ref") {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| visit(item, document)),
            Value::Object(members) => members.values().for_each(|member| visit(member, document)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    visit(&document, &document);
}

#[tokio::test]
async fn what_needs_a_token_says_so_and_nothing_else_does() {
    let server = Server::new();
    let document = document();
    for (method, path, operation) in operations(&document) {
        let path = path.replace(['{', '}'], "");
        let answer = server.raw(&method.to_uppercase(), &path, None, "").await;
        assert_eq!(
            answer.status == 401,
            operation["security"][0]["access_token"].is_array(),
            "{method} {path}: {}",
            answer.status
        );
    }
}

#[tokio::test]
async fn the_document_is_served() {
    let answer = Server::new().raw("GET", "/openapi.json", None, "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.text, session_axum::openapi_json());
}
