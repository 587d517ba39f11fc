//! What clients rely on besides the recorded exchanges: repeats, nesting, origins, readiness.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use common::{Server, app};
use serde_json::{Value, json};
use session_axum::{CorsOrigins, Workers, router};
use session_core::changeset::Lane;
use session_core::crypto::LocalSigner;
use session_core::receipt;
use session_core::service::{beat, work_lane};
use session_core::types::Seconds;
use session_testkit::bench::Bench;
use tower::ServiceExt;

async fn once(server: &Server, path: &str, token: &str, key: &str, body: &Value) -> (u16, Value) {
    let request = Request::post(path)
        .header("authorization", format!("Bearer {token}"))
        .header("idempotency-key", key)
        .body(Body::from(body.to_string()))
        .unwrap();
    let answer = server.send(request).await;
    let mut json = answer.json();
    if let Some(members) = json.as_object_mut() {
        members.remove("request_id");
    }
    (answer.status.as_u16(), json)
}

#[tokio::test]
async fn a_repeat_with_the_same_key_gets_the_first_answer_and_no_second_effect() {
    let server = Server::new();
    let wallet = server.funded(1, 1800).await;
    let token = server.token(wallet);
    let created = once(&server, "/rooms/create", &token, "k", &json!({})).await;
    assert_eq!(
        created,
        once(&server, "/rooms/create", &token, "k", &json!({})).await
    );
    let join = json!({"room_id": created.1["room_id"]});
    let joined = once(&server, "/rooms/join", &token, "k", &join).await;
    server.bench.clock.advance(Seconds::new(20));
    assert_eq!(
        joined,
        once(&server, "/rooms/join", &token, "k", &join).await
    );

    let stay = json!({
        "room_id": joined.1["room_id"],
        "connection_id": joined.1["connection_id"],
    });
    let left = once(&server, "/rooms/leave", &token, "l", &stay).await;
    assert_eq!((left.0, &left.1["debited_seconds"]), (200, &json!(20)));
    server.bench.clock.advance(Seconds::new(20));
    assert_eq!(
        left,
        once(&server, "/rooms/leave", &token, "l", &stay).await
    );
    assert_eq!(server.remaining(wallet).await, 1780);
}

#[tokio::test]
async fn a_key_belongs_to_its_caller_and_route() {
    let server = Server::new();
    let (a, b) = (server.funded(1, 1800).await, server.funded(2, 1800).await);
    let first = once(&server, "/rooms/create", &server.token(a), "k", &json!({})).await;
    let second = once(&server, "/rooms/create", &server.token(b), "k", &json!({})).await;
    assert_eq!((first.0, second.0), (200, 200));
    assert_ne!(first.1["room_id"], second.1["room_id"]);
}

#[tokio::test]
async fn a_kept_answer_is_forgotten_after_a_day() {
    let server = Server::new();
    let wallet = server.funded(1, 1800).await;
    let unknown = json!({"room_id": "x"});
    once(&server, "/rooms/join", &server.token(wallet), "k", &unknown).await;
    for (hours, kept) in [(23, true), (1, false)] {
        server.bench.clock.advance(Seconds::new(hours * 3600));
        work_lane(&server.bench.ports, Lane::Expire).await.unwrap();
        let other = json!({"room_id": "y"});
        let answer = once(&server, "/rooms/join", &server.token(wallet), "k", &other).await;
        assert_eq!(answer.0 == 422, kept);
    }
}

#[tokio::test]
async fn the_router_nests_below_any_path() {
    let server = Server::new();
    let host = Router::new().nest("/voice", router(app(&server.bench)));
    let status = |path: &'static str| {
        let host = host.clone();
        async move {
            let request = Request::get(path).body(Body::empty()).unwrap();
            host.oneshot(request).await.unwrap().status()
        }
    };
    assert_eq!(status("/voice/health").await, StatusCode::OK);
    assert_eq!(status("/voice/rooms/active").await, StatusCode::OK);
    assert_eq!(status("/voice/credits").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("/voice/rooms/nope").await, StatusCode::UNAUTHORIZED);
    assert_eq!(status("/health").await, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_listed_origins_are_told_that_they_may_read() {
    let listed = CorsOrigins::Listed(vec!["https://app.example".to_owned()]);
    let server = Server::with(|app| app.with_cors(listed));
    for (origin, allowed) in [
        ("https://app.example", true),
        ("https://app.example.evil", false),
        ("https://evil-app.example", false),
        ("http://app.example", false),
        ("https://APP.example", false),
        ("null", false),
    ] {
        let request = Request::get("/health")
            .header("origin", origin)
            .body(Body::empty())
            .unwrap();
        let answer = server.send(request).await;
        let told = answer.header("access-control-allow-origin");
        assert_eq!(told, allowed.then_some(origin), "{origin}");
        assert_eq!(answer.header("vary"), Some("Origin"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
}

#[tokio::test]
async fn every_answer_carries_the_headers_of_a_careful_server() {
    let server = Server::new();
    for path in ["/health", "/nope", "/credits", "/rooms/active"] {
        let answer = server.raw("GET", path, None, "").await;
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(
            answer.header("referrer-policy"),
            Some("no-referrer"),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("server"), None, "{path}");
        assert!(answer.header("x-request-id").is_some(), "{path}");
    }
}

#[tokio::test]
async fn a_plain_request_id_is_taken_over_and_no_other() {
    let server = Server::new();
    for (sent, kept) in [("abc-1_2", true), ("a b", false), ("<script>", false)] {
        let request = Request::get("/health")
            .header("x-request-id", sent)
            .body(Body::empty())
            .unwrap();
        let answer = server.send(request).await;
        assert_eq!(answer.header("x-request-id") == Some(sent), kept, "{sent}");
    }
}

#[tokio::test]
async fn ready_says_what_is_missing() {
    let server = Server::new();
    assert_eq!(
        server.raw("GET", "/ready", None, "").await.status,
        StatusCode::OK
    );
    server.store.set_down(true);
    let down = server.raw("GET", "/ready", None, "").await;
    assert_eq!(down.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        down.json()["reasons"],
        json!(["the database does not answer"])
    );
}

#[tokio::test]
async fn workers_beat_at_once_and_stop_when_told() {
    let (bench, store) = Bench::in_memory(1);
    let workers = Workers::start(bench.ports.clone()).await.unwrap();
    let server = Server {
        routes: router(app(&bench).with_workers(&workers)),
        bench,
        store,
    };
    assert_eq!(
        server.raw("GET", "/ready", None, "").await.status,
        StatusCode::OK
    );
    assert_eq!(server.store.world().rows().count(), 1, "the shared beat");
    workers.stop().await;
}

#[tokio::test]
async fn an_outage_is_neither_charged_nor_silence() {
    let server = Server::new();
    beat(&server.bench.ports).await.unwrap();
    let wallet = server.funded(1, 1800).await;
    let room = server.room(wallet).await;
    let stay = server.seat(wallet, &room).await;
    server.bench.clock.advance(Seconds::new(2));
    beat(&server.bench.ports).await.unwrap();
    // No server is alive for 300 s; then one starts and hears the client 4 s later.
    server.bench.clock.advance(Seconds::new(300));
    let outage = beat(&server.bench.ports).await.unwrap();
    assert!(outage.is_some());
    for lane in Lane::ALL {
        let worked = work_lane(&server.bench.ports, lane).await.unwrap();
        assert_eq!(worked.evicted, 0);
    }
    for _ in 0..4 {
        server.bench.clock.advance(Seconds::new(1));
        beat(&server.bench.ports).await.unwrap();
    }
    let left = server.post("/rooms/leave", wallet, stay).await.json();
    assert_eq!(left["debited_seconds"], 6);
    assert_eq!(left["remaining_seconds"], 1794);
}

#[tokio::test]
async fn a_slow_sender_takes_no_place_from_those_who_are_served() {
    let mut limits = session_axum::Limits::without_rates();
    limits.in_flight_max = 1;
    let server = Server::with(|app| app.with_limits(limits));
    let request = Request::post("/auth/nonce")
        .body(Body::new(common::NeverEnds))
        .unwrap();
    let mut slow = std::pin::pin!(server.send(request));
    let polled = slow
        .as_mut()
        .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
    assert!(polled.is_pending(), "the body never ends");
    let answer = server.raw("GET", "/health", None, "").await;
    assert_eq!(answer.status, StatusCode::OK);
}

fn receipt_key() -> Arc<LocalSigner> {
    Arc::new(LocalSigner::from_bytes(&[5; 32]).unwrap())
}

#[tokio::test]
async fn whoever_leaves_gets_a_receipt_and_a_repeat_the_same_one() {
    let server = Server::with(|app| app.with_receipts(receipt_key()));
    let wallet = server.funded(1, 1800).await;
    let room = server.room(wallet).await;
    let stay = server.seat(wallet, &room).await;
    server.bench.clock.advance(Seconds::new(20));
    let token = server.token(wallet);
    let left = once(&server, "/rooms/leave", &token, "l", &stay).await;
    let text = left.1["receipt"].as_str().unwrap();
    let told = receipt::verify(text, receipt_key().wallet()).unwrap();
    assert_eq!((told.wallet, told.seconds), (wallet, Seconds::new(20)));
    assert_eq!(told.connection.to_string(), stay["connection_id"]);
    let again = once(&server, "/rooms/leave", &token, "l", &stay).await;
    assert_eq!(left, again);
}

#[tokio::test]
async fn the_evicted_get_their_receipt_with_the_refusal_and_nobody_else_does() {
    let server = Server::with(|app| app.with_receipts(receipt_key()));
    let (host, guest) = (server.funded(1, 1800).await, server.funded(2, 1800).await);
    let room = server.room(host).await;
    let stay = server.seat(host, &room).await;
    server.bench.clock.advance(Seconds::new(200));
    work_lane(&server.bench.ports, Lane::Seats).await.unwrap();
    for path in ["/rooms/heartbeat", "/rooms/token/renew", "/rooms/leave"] {
        let refused = server.post(path, host, stay.clone()).await;
        assert_eq!(refused.code(), "not_your_connection");
        let json = refused.json();
        let text = json["details"]["receipt"].as_str().unwrap();
        let told = receipt::verify(text, receipt_key().wallet()).unwrap();
        assert_eq!((told.wallet, told.seconds), (host, Seconds::new(90)));
        let other = server.post(path, guest, stay.clone()).await;
        assert_eq!(other.json()["details"], Value::Null);
    }
    let elsewhere = json!({"room_id": "x", "connection_id": stay["connection_id"]});
    let refused = server.post("/rooms/heartbeat", host, elsewhere).await;
    assert_eq!(
        refused.json()["details"],
        Value::Null,
        "the stay was not there"
    );
    let unknown = json!({"room_id": room, "connection_id": "x"});
    let refused = server.post("/rooms/heartbeat", host, unknown).await;
    assert_eq!(refused.json()["details"], Value::Null);
}

#[tokio::test]
async fn without_a_key_there_are_no_receipts() {
    let server = Server::new();
    let wallet = server.funded(1, 1800).await;
    let room = server.room(wallet).await;
    let stay = server.seat(wallet, &room).await;
    let left = server.post("/rooms/leave", wallet, stay.clone()).await;
    assert_eq!(left.json().get("receipt"), None);
    let refused = server.post("/rooms/leave", wallet, stay).await;
    assert_eq!(refused.json().get("details"), None);
}

#[tokio::test]
async fn a_token_of_livekit_says_where_to_bring_it() {
    use session_core::media::livekit::{
        ApiCredentials, ApiKey, ApiKeys, ApiSecret, LiveKitIssuer, ServerUrl,
    };
    use session_core::ports::Clock;

    let credentials = ApiCredentials {
        key: ApiKey::parse("APIkey").unwrap(),
        secret: ApiSecret::parse("a-secret-of-some-length").unwrap(),
    };
    let url = ServerUrl::parse("wss://media.example").unwrap();
    let issuer = LiveKitIssuer::new(credentials.clone(), url);
    let server = Server::of(|bench| {
        let keys = Arc::new(common::keys());
        session_axum::App::new(bench.ports.clone(), Arc::new(issuer), keys)
    });
    let host = server.funded(1, 1800).await;
    let room = server.room(host).await;
    let joined = server
        .post("/rooms/join", host, json!({ "room_id": room }))
        .await
        .json();
    let stay_id = joined["connection_id"].as_str().unwrap();
    let media = json!({
        "provider": "livekit", "url": "wss://media.example", "identity": stay_id,
    });
    assert_eq!(joined["media"], media);
    let stay = json!({ "room_id": room, "connection_id": joined["connection_id"] });
    server.bench.clock.advance(Seconds::new(45));
    let renewed = server.post("/rooms/token/renew", host, stay).await.json();
    assert_eq!(renewed["media"], media);
    let keys = ApiKeys::new(vec![credentials]).unwrap();
    let now = server.bench.clock.now();
    for (answer, expected) in [(&joined, 45), (&renewed, 90)] {
        let token = answer["agora_token"].as_str().unwrap();
        let claims = keys.verify(token, now, Seconds::ZERO).unwrap();
        assert_eq!(claims.identity(), Some(stay_id));
        assert_eq!(claims.exp.since(now), Seconds::new(expected));
    }
}
