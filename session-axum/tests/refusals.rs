//! Every code of the table is reached over HTTP, with its recorded text.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use common::{Answer, Server, app};
use serde_json::{Value, json};
use session_axum::problem::Code;
use session_axum::{Limits, Rate, router};
use session_core::types::{Seconds, Timestamp};
use session_testkit::bench::Bench;

const ONE: Rate = Rate {
    burst: std::num::NonZeroU32::MIN,
    per_minute: std::num::NonZeroU32::MIN,
};

#[derive(Default)]
struct Seen(BTreeSet<&'static str>);

impl Seen {
    fn check(&mut self, code: Code, answer: &Answer) {
        let body = answer.json();
        assert_eq!(answer.status, code.status(), "{body}");
        assert_eq!(body["error"], code.error());
        assert_eq!(body["code"], code.name());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        self.0.insert(code.name());
    }
}

/// Codes that no request of an ordinary client of the original can bring about; each has a test of
/// its own.
const ELSEWHERE: [(Code, &str); 48] = [
    (Code::Contended, "needs 64 lost races in a row"),
    (Code::AlreadyDecided, "see `sessions.rs`"),
    (Code::AttestationPending, "see `sessions.rs`"),
    (Code::BookingNotActive, "see `sessions.rs`"),
    (Code::BookingNotBooked, "see `sessions.rs`"),
    (Code::BookingNotFound, "see `sessions.rs`"),
    (Code::Busy, "see `sessions.rs`"),
    (Code::CompletedTooLate, "see `sessions.rs`"),
    (Code::ForceNotAllowed, "see `sessions.rs`"),
    (Code::Forbidden, "see `sessions.rs`"),
    (Code::GraceNotOver, "see `sessions.rs`"),
    (Code::InvalidBookingId, "see `sessions.rs`"),
    (Code::InvalidEvidence, "see `sessions.rs`"),
    (Code::InvalidForceOutcome, "see `sessions.rs`"),
    (Code::InvalidStatement, "see `sessions.rs`"),
    (Code::InvalidStatus, "see `sessions.rs`"),
    (Code::MissingBookingId, "see `sessions.rs`"),
    (Code::NoShowTooLate, "see `sessions.rs`"),
    (Code::NotInSession, "see `sessions.rs`"),
    (Code::NotOracle, "see `sessions.rs`"),
    (Code::NotParticipant, "see `sessions.rs`"),
    (Code::OracleKeyNotConfigured, "see `sessions.rs`"),
    (Code::OracleNotConfigured, "see `sessions.rs`"),
    (Code::OutcomeConflict, "see `sessions.rs`"),
    (Code::OverlapNotMet, "see `sessions.rs`"),
    (Code::SessionHasEnded, "see `sessions.rs`"),
    (Code::SessionNotFound, "see `sessions.rs`"),
    (Code::SlotNotFound, "see `sessions.rs`"),
    (Code::StatementExpired, "see `sessions.rs`"),
    (Code::StatementsNotSupported, "see `sessions.rs`"),
    (Code::TooEarlyToJoin, "see `sessions.rs`"),
    (Code::TooMuchEvidence, "see `sessions.rs`"),
    (
        Code::AlreadySettled,
        "needs another writer within one request",
    ),
    (Code::Internal, "needs a broken store"),
    (Code::InvalidCursor, "see `events.rs`"),
    (Code::InvalidLimit, "see `events.rs`"),
    (Code::InvalidMessage, "see `sign_in.rs`"),
    (Code::MethodNotAllowed, "see `sign_in.rs`"),
    (Code::MissingIdempotencyKey, "see `strict.rs`"),
    (Code::MissingMessageParts, "see `sign_in.rs`"),
    (Code::MissingTimestampSignInParts, "see `sign_in.rs`"),
    (Code::NotFound, "see `events.rs`"),
    (Code::OtherParty, "see `sign_in.rs`"),
    (Code::StayNotFound, "see `strict.rs`"),
    (Code::UnknownMember, "see `strict.rs`"),
    (Code::UnsupportedMediaType, "see `strict.rs`"),
    (Code::Untimely, "see `sign_in.rs`"),
    (
        Code::NotConfigured,
        "needs a deployment without a chain: see `unconfigured_parts_are_503`",
    ),
];

#[tokio::test]
async fn every_code_is_reached_with_its_text_and_status() {
    let mut seen = Seen::default();
    sign_in(&mut seen).await;
    credit(&mut seen).await;
    rooms(&mut seen).await;
    requests(&mut seen).await;
    limits(&mut seen).await;

    let elsewhere: BTreeSet<_> = ELSEWHERE.iter().map(|(code, _)| code.name()).collect();
    for code in Code::ALL {
        let reached = seen.0.contains(code.name());
        assert_ne!(reached, elsewhere.contains(code.name()), "{}", code.name());
    }
}

async fn sign_in(seen: &mut Seen) {
    let server = Server::new();
    let post = |path: &'static str, body: Value| {
        let server = &server;
        async move { server.raw("POST", path, None, &body.to_string()).await }
    };
    let wallet = Bench::wallet(1).to_string();
    seen.check(Code::MissingWallet, &post("/auth/nonce", json!({})).await);
    seen.check(
        Code::InvalidWallet,
        &post("/auth/nonce", json!({"wallet": "hello"})).await,
    );
    seen.check(
        Code::InvalidBody,
        &post("/auth/nonce", json!({"wallet": 5})).await,
    );
    seen.check(
        Code::MissingSignInParts,
        &post("/auth/verify", json!({"wallet": wallet})).await,
    );
    let wrong = json!({"wallet": wallet, "signature": "0x00", "nonce": "00"});
    seen.check(Code::InvalidSignature, &post("/auth/verify", wrong).await);

    let signer = session_core::crypto::LocalSigner::from_bytes(&[5; 32]).unwrap();
    let nonce = "11".repeat(32);
    let digest = session_core::crypto::eip191::digest(nonce.as_bytes());
    let unissued = json!({
        "wallet": signer.wallet(),
        "signature": signer.sign_prehash(&digest).to_string(),
        "nonce": nonce,
    });
    seen.check(Code::InvalidNonce, &post("/auth/verify", unissued).await);
    seen.check(Code::Unauthorized, &post("/rooms/create", json!({})).await);
}

async fn credit(seen: &mut Seen) {
    let server = Server::new();
    let nameless = Bench::wallet(1);
    seen.check(
        Code::NameRequired,
        &server.post("/rooms/create", nameless, json!({})).await,
    );
    let poor = server.funded(2, 89).await;
    let refused = server.post("/rooms/create", poor, json!({})).await;
    seen.check(Code::InsufficientCredits, &refused);
    assert_eq!(refused.json()["remaining_seconds"], 89);
    let unverified = server
        .post("/credits/verify-celo", nameless, json!({}))
        .await;
    seen.check(Code::NotVerified, &unverified);
    assert_eq!(unverified.json()["granted"], false);
    server.bench.verifications.set_down(true);
    let down = server
        .post("/credits/verify-celo", nameless, json!({}))
        .await;
    seen.check(Code::ChainUnavailable, &down);
    assert_eq!(down.header("retry-after"), Some("1"));
}

async fn rooms(seen: &mut Seen) {
    let server = Server::new();
    let host = server.funded(1, 1800).await;
    let room = server.room(host).await;
    seen.check(
        Code::AlreadyHosting,
        &server.post("/rooms/create", host, json!({})).await,
    );
    let stay = server.seat(host, &room).await;
    seen.check(
        Code::AlreadyInRoom,
        &server.post("/rooms/create", host, json!({})).await,
    );
    let guest = server.funded(2, 1800).await;
    seen.check(
        Code::MissingRoomId,
        &server.post("/rooms/join", guest, json!({})).await,
    );
    let unknown = json!({"room_id": "no-such-room"});
    seen.check(
        Code::RoomNotFound,
        &server.post("/rooms/join", guest, unknown).await,
    );
    seen.check(
        Code::MissingStayParts,
        &server.post("/rooms/leave", guest, json!({})).await,
    );
    seen.check(
        Code::NotYourConnection,
        &server.post("/rooms/leave", guest, stay).await,
    );
    for n in 3..8 {
        server.seat(server.funded(n, 1800).await, &room).await;
    }
    let full = server
        .post("/rooms/join", guest, json!({"room_id": room}))
        .await;
    seen.check(Code::RoomFull, &full);
}

async fn requests(seen: &mut Seen) {
    let server = Server::new();
    let wallet = server.funded(1, 1800).await;
    let keyed = |key: &str, body: &str| {
        Request::post("/rooms/join")
            .header("authorization", format!("Bearer {}", server.token(wallet)))
            .header("idempotency-key", key)
            .body(Body::from(body.to_owned()))
            .unwrap()
    };
    let first = server.send(keyed("k", r#"{"room_id":"a"}"#)).await;
    assert_eq!(first.code(), "room_not_found");
    let reused = server.send(keyed("k", r#"{"room_id":"b"}"#)).await;
    seen.check(Code::IdempotencyKeyReused, &reused);
    let invalid = server.send(keyed("a b", r#"{"room_id":"b"}"#)).await;
    seen.check(Code::InvalidIdempotencyKey, &invalid);
    let large = "x".repeat(16 * 1024 + 1);
    seen.check(
        Code::BodyTooLarge,
        &server.raw("POST", "/auth/nonce", None, &large).await,
    );
    let long = format!("/health?{}", "x".repeat(4 * 1024));
    seen.check(Code::UriTooLong, &server.raw("GET", &long, None, "").await);
    server.store.set_down(true);
    seen.check(Code::NotReady, &server.raw("GET", "/ready", None, "").await);
    let down = server.get("/credits", wallet).await;
    seen.check(Code::StoreUnavailable, &down);
    assert_eq!(down.header("retry-after"), Some("1"));
}

async fn limits(seen: &mut Seen) {
    let mut limits = Limits::default();
    limits.enter_per_wallet = Some(ONE);
    let server = Server::with(|app| app.with_limits(limits));
    let wallet = server.funded(1, 1800).await;
    server.room(wallet).await;
    let limited = server.post("/rooms/create", wallet, json!({})).await;
    seen.check(Code::RateLimited, &limited);
    assert!(limited.header("retry-after").is_some());

    let mut none = Limits::without_rates();
    none.in_flight_max = 0;
    let server = Server::with(|app| app.with_limits(none));
    seen.check(
        Code::Overloaded,
        &server.raw("GET", "/health", None, "").await,
    );

    let mut hasty = Limits::without_rates();
    hasty.body_seconds = 0;
    let server = Server::with(|app| app.with_limits(hasty));
    let silent = Body::new(common::NeverEnds);
    let request = Request::post("/auth/nonce").body(silent).unwrap();
    seen.check(Code::Timeout, &server.send(request).await);
}

#[tokio::test]
async fn unconfigured_parts_are_503() {
    use session_core::ports::{NameRegistry, PortError, PortErrorKind};
    use session_core::types::Wallet;

    #[derive(Debug)]
    struct None;

    #[async_trait::async_trait]
    impl NameRegistry for None {
        async fn primary_name(&self, _: Wallet) -> Result<Option<String>, PortError> {
            let detail = "canary detail".to_owned();
            Err(PortError {
                port: "names",
                kind: PortErrorKind::NotConfigured,
                detail,
            })
        }
    }

    let mut server = Server::new();
    server.bench.ports.names = std::sync::Arc::new(None);
    server.routes = router(app(&server.bench));
    let answer = server
        .post("/rooms/create", Bench::wallet(1), json!({}))
        .await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.code(), "not_configured");
    assert!(
        !answer.text.contains("canary"),
        "a port's words never reach a client"
    );
}

#[tokio::test]
async fn a_client_may_ask_for_rfc_9457() {
    let server = Server::new();
    let request = Request::get("/credits")
        .header("accept", "text/html, application/problem+json;q=0.9")
        .body(Body::empty())
        .unwrap();
    let answer = server.send(request).await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let body = answer.json();
    assert_eq!(body["status"], 401);
    assert_eq!(body["code"], "unauthorized");
    assert_eq!(body["type"], "urn:session:problem:unauthorized");
    assert!(body["title"].is_string());
}

#[tokio::test]
async fn a_token_is_valid_until_its_last_second() {
    let server = Server::new();
    let wallet = Bench::wallet(1);
    let token = server.token(wallet);
    let issued = server.bench.ports.clock.now();
    for (age, status) in [(0, 200), (3600, 200), (3601, 401)] {
        server.bench.clock.set(issued.after(Seconds::new(age)));
        let request = Request::get("/credits")
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            server.send(request).await.status,
            status,
            "at an age of {age} s"
        );
    }
    server.bench.clock.set(Timestamp::from_unix(0));
}
