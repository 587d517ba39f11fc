//! The pages for people, as far as no browser is needed to look at them.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use axum::Router;
use axum::http::StatusCode;
use common::{Answer, Server};
use session_axum::App;

/// What a page refers to.
fn references(page: &str) -> Vec<String> {
    let after = page
        .split("href=\"")
        .skip(1)
        .chain(page.split("src=\"").skip(1));
    after
        .map(|rest| rest.split_once('"').unwrap().0.to_owned())
        .collect()
}

fn assert_page(path: &str, answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK, "{path}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let policy = answer.header("content-security-policy").unwrap();
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.split("; ").any(|found| found == part), "{policy}");
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
}

async fn assert_all_links_lead_somewhere(server: &Server, base: &str) {
    let index = if base.is_empty() { "/" } else { base };
    for page in [index.to_owned(), format!("{base}/docs")] {
        let answer = server.raw("GET", &page, None, "").await;
        assert_page(&page, &answer);
        let references = references(&answer.text);
        assert!(references.len() > 3, "{page}: {references:?}");
        for reference in references {
            // Relative to the folder of the page, as a browser takes it.
            let folder = page.rsplit_once('/').unwrap().0;
            let path = format!("{folder}/{reference}");
            let found = server.raw("GET", &path, None, "").await;
            assert_eq!(found.status, StatusCode::OK, "{page} refers to {path}");
        }
    }
}

#[tokio::test]
async fn every_link_of_every_page_leads_somewhere() {
    let server = Server::with(|app| app.with_pages().with_metrics(|| "metrics".to_owned()));
    assert_all_links_lead_somewhere(&server, "").await;
}

#[tokio::test]
async fn every_link_of_pages_below_a_path_leads_somewhere() {
    for base in ["/voice", "/a/b"] {
        let mut server = Server::with(App::with_pages);
        server.routes = Router::new().nest(base, server.routes);
        assert_all_links_lead_somewhere(&server, base).await;
    }
}

#[tokio::test]
async fn a_host_that_does_not_ask_for_pages_has_none() {
    let server = Server::new();
    for path in ["/", "/docs", "/docs/docs.js", "/readme"] {
        let answer = server.raw("GET", path, None, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn only_metrics_that_are_here_are_linked() {
    let server = Server::with(App::with_pages);
    let page = server.raw("GET", "/", None, "").await.text;
    assert!(!page.contains("metrics\"") && !page.contains('{'), "{page}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_404_like_every_unknown_path() {
    let server = Server::with(App::with_pages);
    for path in [
        "/docs/",
        "/docs/nope.js",
        "/docs/..%2fCargo.toml",
        "/docs/docs.js/",
        "/docs/%ff",
    ] {
        let answer = server.raw("GET", path, None, "").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text.as_str()),
            (404, "404 Not Found")
        );
    }
}
