//! Whatever a client sends, the answer is a clear 4xx, and nothing half is stored.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use common::Server;
use serde_json::json;
use session_testkit::bench::Bench;

const POSTS: [&str; 8] = [
    "/auth/nonce",
    "/auth/verify",
    "/credits/verify-celo",
    "/rooms/create",
    "/rooms/join",
    "/rooms/heartbeat",
    "/rooms/token/renew",
    "/rooms/leave",
];

fn odd_bodies() -> Vec<String> {
    let deep = format!("{}{}", "[".repeat(4000), "]".repeat(4000));
    let members = [
        "wallet",
        "signature",
        "nonce",
        "room_id",
        "connection_id",
        "visibility",
    ];
    let values = [
        "5",
        "-1",
        "1e999",
        "true",
        "[]",
        "{}",
        "null",
        "\"\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"'; drop table seat; --\"",
        "\"0x\"",
        "\"../../etc\"",
    ];
    let mut bodies: Vec<String> = [
        "",
        "{",
        "{bad",
        "null",
        "5",
        "\"text\"",
        "[]",
        "{}",
        "\u{feff}{}",
        "{}{}",
        "{\"a\":1,}",
    ]
    .map(str::to_owned)
    .to_vec();
    bodies.push(deep);
    bodies.push(format!("{{\"wallet\":\"{}\"}}", "a".repeat(10_000)));
    for value in values {
        let all = members
            .map(|member| format!("\"{member}\":{value}"))
            .join(",");
        bodies.push(format!("{{{all}}}"));
        for member in members {
            bodies.push(format!("{{\"{member}\":{value}}}"));
        }
    }
    bodies
}

#[tokio::test]
async fn no_body_brings_about_a_5xx() {
    let server = Server::new();
    let wallet = server.funded(1, 1800).await;
    server
        .bench
        .verifications
        .verify(wallet, session_core::types::Timestamp::from_unix(1));
    for path in POSTS {
        for body in odd_bodies() {
            let answer = server.raw("POST", path, Some(wallet), &body).await;
            assert!(
                !answer.status.is_server_error(),
                "{path} {body:.80}: {}",
                answer.text
            );
            if !answer.status.is_success() {
                let error = answer.json()["error"].as_str().map(str::to_owned);
                assert!(
                    error.is_some_and(|error| !error.is_empty()),
                    "{path} {body:.80}"
                );
            }
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused() {
    let server = Server::new();
    let request = Request::post("/auth/nonce")
        .body(Body::from(vec![0xff, 0xfe, 0x00]))
        .unwrap();
    let answer = server.send(request).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.code(), "invalid_body");
}

#[tokio::test]
async fn wallets_of_other_forms_are_refused_and_nothing_is_stored() {
    let server = Server::new();
    let before = server.store.world();
    for wallet in [
        "hello",
        "0x",
        "0x5290840009852788",
        "0x52908400098527886E0F7030069857D2E4169EE70",
        "52908400098527886E0F7030069857D2E4169EE7",
        "0x52908400098527886E0F7030069857D2E4169EEg",
        " 0x52908400098527886E0F7030069857D2E4169EE7",
    ] {
        let body = json!({ "wallet": wallet }).to_string();
        let answer = server.raw("POST", "/auth/nonce", None, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "invalid_wallet")
        );
    }
    assert_eq!(server.store.world(), before);
}

#[tokio::test]
async fn signatures_of_other_forms_are_refused_as_invalid() {
    let server = Server::new();
    let wallet = Bench::wallet(1).to_string();
    for signature in [
        "0x00".to_owned(),
        "nonsense".to_owned(),
        format!("0x{}", "00".repeat(65)),
        format!("0x{}", "ff".repeat(65)),
        format!("0x{}", "ab".repeat(64)),
        format!("0x{}", "ab".repeat(66)),
        format!("0x{}1d", "ab".repeat(64)),
        "ab".repeat(65),
        "é".repeat(66),
    ] {
        let body = json!({"wallet": wallet, "signature": signature, "nonce": "11".repeat(32)});
        let answer = server
            .raw("POST", "/auth/verify", None, &body.to_string())
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (401, "invalid_signature")
        );
    }
}

#[tokio::test]
async fn tokens_of_other_forms_are_unauthorized() {
    let server = Server::new();
    let token = server.token(Bench::wallet(1));
    let (head, tail) = token.split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    for header in [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        token.clone(),
        format!("bearer {token}"),
        format!("Bearer  {token}"),
        format!("Bearer {token} "),
        format!("Bearer {token}."),
        format!("Bearer {token}="),
        format!("Bearer {none}.{tail}"),
        format!("Bearer {none}.{}.", tail.split_once('.').unwrap().0),
        format!("Bearer {head}.{head}.{head}"),
        format!("Bearer {}", "a".repeat(9000)),
    ] {
        let request = Request::get("/credits")
            .header("authorization", header.trim_end_matches('\n'))
            .body(Body::empty())
            .unwrap();
        let answer = server.send(request).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{header:.60}");
        assert_eq!(answer.code(), "unauthorized");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_404_in_text() {
    let server = Server::new();
    let wallet = server.funded(1, 1800).await;
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/nope"),
        ("GET", "/health/"),
        ("GET", "/auth/nonce"),
        ("DELETE", "/health"),
        ("GET", "/rooms/nope"),
        ("GET", "/rooms/join"),
        ("POST", "/rooms/active"),
        ("PUT", "/credits"),
        ("GET", "/credits/"),
        ("POST", "/session/7/nope"),
        ("GET", "/session/7/leave"),
    ] {
        let answer = server.raw(method, path, Some(wallet), "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        assert_eq!(answer.text, "404 Not Found");
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=UTF-8")
        );
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    for path in ["/rooms/nope", "/rooms", "/credits/nope", "/session/join"] {
        let answer = server.raw("GET", path, None, "").await;
        assert_eq!(
            answer.status,
            StatusCode::UNAUTHORIZED,
            "{path} without a token"
        );
    }
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let server = Server::new();
    for path in ["/health", "/rooms/active", "/nope", "/credits"] {
        let get = server.raw("GET", path, None, "").await;
        let head = server.raw("HEAD", path, None, "").await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.text, "");
        let length = get.text.len().to_string();
        assert_eq!(
            head.header("content-length"),
            Some(length.as_str()),
            "{path}"
        );
        assert_eq!(
            head.header("content-type"),
            get.header("content-type"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn ids_of_others_and_of_nobody_are_refused_alike() {
    let server = Server::new();
    let host = server.funded(1, 1800).await;
    let guest = server.funded(2, 1800).await;
    let room = server.room(host).await;
    let stay = server.seat(host, &room).await;
    let connection = stay["connection_id"].clone();
    let other = "00000000-0000-4000-8000-000000000000";
    for path in ["/rooms/heartbeat", "/rooms/token/renew", "/rooms/leave"] {
        for (wallet, room_id, connection_id) in [
            (guest, json!(room), connection.clone()),
            (host, json!(other), connection.clone()),
            (host, json!(room), json!(other)),
            (host, json!("other"), connection.clone()),
            (host, json!(room), json!("nope")),
            (host, json!(room.to_uppercase()), connection.clone()),
        ] {
            let body = json!({"room_id": room_id, "connection_id": connection_id});
            let answer = server.post(path, wallet, body.clone()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path} {body}");
            assert_eq!(answer.code(), "not_your_connection");
        }
    }
    assert_eq!(
        server.post("/rooms/heartbeat", host, stay).await.status,
        StatusCode::OK
    );
}
