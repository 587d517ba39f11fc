//! Booked sessions over HTTP.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use common::{Answer, Server, app};
use serde_json::{Value, json};
use session_axum::{App, Bookings, Escrow};
use session_core::booking::bundle::SignedSessionBundle;
use session_core::changeset::{Key, Lane, Row};
use session_core::crypto::{LocalSigner, Secret};
use session_core::escrow::abi::Uint64;
use session_core::escrow::statement::Statement;
use session_core::escrow::{BookingKey, BookingStatus, Capabilities, EscrowId, Outcome};
use session_core::ports::Clock;
use session_core::service::work_lane;
use session_core::types::{Seconds, Timestamp, U256, Wallet};
use session_testkit::bench::Bench;
use session_testkit::escrows::{ChainFault, FakeEscrows, usual_slot};
use session_testkit::fakes::InlineDispatcher;

const SERVICE_TOKEN: &str = "sixteen bytes of a token";

const fn escrow() -> EscrowId {
    EscrowId {
        chain_id: 42431,
        address: Wallet::from_bytes([0xe5; 20]),
    }
}

fn key(id: &str) -> BookingKey {
    BookingKey {
        escrow: escrow(),
        booking: id.parse().unwrap(),
    }
}

fn signer(byte: u8) -> LocalSigner {
    LocalSigner::from_bytes(&[byte; 32]).unwrap()
}

fn host() -> Wallet {
    signer(1).wallet()
}

fn guest() -> Wallet {
    signer(2).wallet()
}

fn bookings(mutual_outcome: bool) -> Bookings {
    Bookings::at(Escrow {
        id: escrow(),
        capabilities: Capabilities {
            explicit_price: mutual_outcome,
            mutual_outcome,
        },
    })
    .with_service_token(Secret::new(SERVICE_TOKEN.to_owned()))
    .with_oracle_key()
    .allowing_force()
}

/// A server with booking 7, which begins in a minute, on a chain of its own.
struct Place {
    server: Server,
    escrows: Arc<FakeEscrows>,
}

impl Place {
    fn new() -> Self {
        Self::of(|app| app.with_bookings(bookings(false)), true)
    }

    fn of(change: impl FnOnce(App) -> App, waits_for_chain: bool) -> Self {
        let mut escrows = None;
        let server = Server::of(|bench| {
            let mut bench = Bench {
                ports: bench.ports.clone(),
                clock: bench.clock.clone(),
                names: bench.names.clone(),
                verifications: bench.verifications.clone(),
                escrows: bench.escrows.clone(),
                effects: bench.effects.clone(),
            };
            if waits_for_chain {
                bench.ports.dispatcher = Arc::new(InlineDispatcher);
            }
            escrows = Some(bench.escrows.clone());
            change(app(&bench).with_receipts(Arc::new(signer(9))))
        });
        let place = Self {
            server,
            escrows: escrows.unwrap(),
        };
        place.put("7", 60, BookingStatus::Booked);
        place
    }

    fn now(&self) -> Timestamp {
        self.server.bench.clock.now()
    }

    fn put(&self, id: &str, starts_in: u64, status: BookingStatus) {
        let slot = usual_slot(host(), self.now().after(Seconds::new(starts_in)));
        self.escrows.put(key(id), slot, guest(), status);
    }

    fn advance(&self, seconds: u64) {
        self.server.bench.clock.advance(Seconds::new(seconds));
    }

    async fn work(&self) {
        for lane in Lane::ALL {
            let worked = work_lane(&self.server.bench.ports, lane).await.unwrap();
            assert_eq!(worked.failed, []);
        }
    }

    async fn join(&self, id: impl Into<Value>, wallet: Wallet) -> Answer {
        let body = json!({ "booking_id": id.into() });
        self.server.post("/session/join", wallet, body).await
    }

    async fn call(&self, method: &str, path: &str, wallet: Wallet, body: Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header(
                "authorization",
                format!("Bearer {}", self.server.token(wallet)),
            )
            .body(Body::from(body.to_string()));
        self.server.send(request.unwrap()).await
    }

    async fn service(&self, path: &str, token: Option<&str>, body: Value) -> Answer {
        let mut request = Request::builder()
            .method("POST")
            .uri(path)
            .header("content-type", "application/json");
        if let Some(token) = token {
            request = request.header("x-service-token", token);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        self.server.send(request).await
    }

    async fn attest(&self, path: &str) -> Answer {
        self.service(path, Some(SERVICE_TOKEN), Value::Null).await
    }

    /// Whether anything of a booking is stored.
    fn is_stored(&self, id: &str) -> bool {
        let world = self.server.store.world();
        world.row(&Key::BookedSession(key(id))).is_some()
    }

    /// Both come at the start and stay for so long.
    async fn meet(&self, id: &str, seconds: u64) {
        for wallet in [host(), guest()] {
            assert_eq!(self.join(id, wallet).await.status, 200);
        }
        self.advance(60 + seconds);
        for wallet in [host(), guest()] {
            let path = format!("/session/{id}/leave");
            assert_eq!(self.server.post(&path, wallet, json!({})).await.status, 200);
        }
    }
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.code())
}

fn is(answer: &Answer, status: u16, code: &str) {
    assert_eq!(told(answer), (status, code.to_owned()), "{}", answer.text);
}

#[tokio::test]
async fn a_session_is_held_attested_and_proved() {
    let place = Place::new();
    let joined = place.join("7", host()).await;
    assert_eq!(joined.json()["channel"], "heaven-42431-7");
    place.meet("7", 700).await;

    let stats = place.server.get("/session/7/stats", guest()).await;
    assert_eq!(stats.json()["overlapSeconds"], 700, "{}", stats.text);

    let attested = place.attest("/session/7/attest").await;
    assert_eq!(attested.status, 200, "{}", attested.text);
    assert_eq!(attested.json()["outcome"], "completed");
    let accepted = place.escrows.accepted();
    assert_eq!(accepted.len(), 1);

    let shown = place.server.get("/session/7", host()).await.json();
    let hash = accepted[0].attestation.metrics_hash.to_string();
    assert_eq!(shown["decision"]["metrics_hash"], hash);
    assert_eq!(shown["status"], "attested");
    assert_eq!(shown["settlement"]["reason"], "submitted");
    assert_eq!(shown["presence"]["overlap_seconds"], 700);
    assert_eq!(shown["next"]["guest"][0]["action"], "challenge");
    assert_eq!(
        shown["next"]["guest"][0]["until"].as_u64().unwrap() + 1,
        shown["finalizable_at"].as_u64().unwrap()
    );

    let bundle = place.server.get("/session/7/bundle", guest()).await;
    let signed = SignedSessionBundle::parse(&bundle.text).unwrap();
    assert_eq!(signed.signer, signer(9).wallet());
    assert_eq!(signed.verify().unwrap().unwrap().to_string(), hash);
    for (from, to) in [
        ("\"no_show_host\"", "\"completed\""),
        ("\"joined_at\":18", "\"joined_at\":17"),
        ("\"grace_mins\":5", "\"grace_mins\":6"),
    ] {
        let forged = bundle.text.replacen(from, to, 1);
        assert_eq!(
            SignedSessionBundle::parse(&forged).map(|forged| forged.verify().is_ok()),
            Ok(forged == bundle.text),
            "{from}"
        );
    }

    is(&place.join("7", host()).await, 400, "booking_not_active");
    is(
        &place.attest("/session/7/attest").await,
        400,
        "booking_not_booked",
    );
}

#[tokio::test]
async fn workers_settle_what_nobody_asks_about() {
    let place = Place::new();
    place.join("7", guest()).await;
    place.advance(60 + 1800 + 60);
    place.work().await;
    place.work().await;
    let accepted = place.escrows.accepted();
    assert_eq!(accepted.len(), 1);
    assert_eq!(accepted[0].attestation.outcome, Outcome::NoShowHost);
    place.advance(7200);
    place.work().await;
    place.work().await;
    assert_eq!(place.escrows.accepted().len(), 1);
    let world = place.server.store.world();
    assert_eq!(world.work(&Key::BookedSession(key("7"))), None);
}

#[tokio::test]
async fn joining_again_is_the_same_place() {
    let place = Place::new();
    let first = place.join("7", host()).await.json();
    let again = place.join(json!(7), host()).await.json();
    let written = place.join(" 007 ", host()).await.json();
    for other in [&again, &written] {
        assert_eq!(other["user_uid"], first["user_uid"]);
        assert_eq!(other["channel"], first["channel"]);
        assert_ne!(other["agora_token"], first["agora_token"]);
    }
    assert_eq!(place.join("7", guest()).await.status, 200);
    let shown = place.server.get("/session/7", host()).await.json();
    let stays = shown["presence"]["host"]["stays"].as_array().unwrap();
    assert_eq!(stays.len(), 1);
}

#[tokio::test]
async fn each_refusal_of_a_join_has_its_code_and_stores_nothing() {
    let place = Place::new();
    let stranger = Bench::wallet(3);
    let nobody = Wallet::from_bytes([0; 20]);
    place.put("8", 301, BookingStatus::Booked);
    place.put("9", 0, BookingStatus::Cancelled);
    let no_host = usual_slot(nobody, place.now());
    let no_slot = (key("10"), no_host, guest(), BookingStatus::Booked);
    place
        .escrows
        .put(no_slot.0, no_slot.1, no_slot.2, no_slot.3);
    let above = format!("{}0", U256::MAX);
    for (id, wallet, status, code) in [
        (json!("8"), guest(), 400, "too_early_to_join"),
        (json!("8"), stranger, 403, "not_a_participant"),
        (json!("9"), guest(), 400, "booking_not_active"),
        (json!("10"), guest(), 404, "slot_not_found"),
        (json!("11"), guest(), 404, "booking_not_found"),
        (
            json!(U256::MAX.to_string()),
            guest(),
            404,
            "booking_not_found",
        ),
        (json!(above), guest(), 400, "invalid_booking_id"),
        (json!("9".repeat(300)), guest(), 400, "invalid_booking_id"),
        (json!(7.5), guest(), 400, "invalid_booking_id"),
        (json!(-7), guest(), 400, "invalid_booking_id"),
        (json!("٧"), guest(), 400, "invalid_booking_id"),
        (json!(""), guest(), 400, "missing_booking_id"),
        (json!(null), guest(), 400, "missing_booking_id"),
        (json!(["7"]), guest(), 400, "invalid_body"),
    ] {
        is(&place.join(id.clone(), wallet).await, status, code);
    }
    place.advance(60 + 1800);
    assert_eq!(place.join("7", guest()).await.status, 200);
    place.advance(1);
    is(&place.join("7", host()).await, 400, "session_has_ended");
    for id in ["8", "9", "10", "11"] {
        assert!(!place.is_stored(id), "{id}");
    }
    place.escrows.set_down(true);
    is(&place.join("7", guest()).await, 503, "chain_unavailable");
}

#[tokio::test]
async fn who_is_not_in_has_left() {
    let place = Place::new();
    for id in ["7", "nope", "%ff", "-1"] {
        let path = format!("/session/{id}/leave");
        let left = place.server.post(&path, guest(), json!({})).await;
        assert_eq!(left.json(), json!({"ok": true, "duration_ms": 0}), "{id}");
    }
    place.join("7", guest()).await;
    place.advance(5);
    let leave = || place.server.post("/session/7/leave", guest(), Value::Null);
    assert_eq!(leave().await.json()["duration_ms"], 5000);
    assert_eq!(leave().await.json()["duration_ms"], 0);
}

#[tokio::test]
async fn a_party_that_proves_its_life_is_believed_no_further() {
    let place = Place::new();
    let presence = || place.server.post("/session/7/presence", guest(), json!({}));
    is(&presence().await, 409, "not_in_session");
    place.join("7", guest()).await;
    place.advance(60);
    let seen_at = place.now().unix();
    assert_eq!(presence().await.json()["last_seen_at"], seen_at);
    place.advance(90);
    assert_eq!(presence().await.status, 200, "90 seconds are not too long");
    let last = place.now().unix();
    place.advance(91);
    assert_eq!(presence().await.status, 200);
    let shown = place.server.get("/session/7", guest()).await.json();
    let stays = shown["presence"]["guest"]["stays"].clone();
    assert_eq!(stays[0]["left_at"], last, "{stays}");
    assert_eq!(stays[1]["joined_at"], last + 91, "{stays}");
    place.advance(1800);
    is(&presence().await, 400, "session_has_ended");
    let stranger = Bench::wallet(3);
    let other = place
        .server
        .post("/session/7/presence", stranger, json!({}));
    is(&other.await, 404, "booking_not_found");
}

#[tokio::test]
async fn attesting_by_hand_is_refused_in_the_recorded_order() {
    let bare = Place::of(|app| app, true);
    is(&bare.join("7", guest()).await, 503, "not_configured");
    let tokenless = Place::of(
        |app| {
            app.with_bookings(Bookings::at(Escrow {
                id: escrow(),
                capabilities: Capabilities::default(),
            }))
        },
        true,
    );
    let answer = tokenless.attest("/session/7/attest").await;
    is(&answer, 503, "oracle_not_configured");
    let keyless = Place::of(
        |app| {
            let id = escrow();
            let capabilities = Capabilities::default();
            let token = Secret::new(SERVICE_TOKEN.to_owned());
            app.with_bookings(Bookings::at(Escrow { id, capabilities }).with_service_token(token))
        },
        true,
    );
    let answer = keyless.attest("/session/7/attest").await;
    is(&answer, 503, "oracle_key_not_configured");

    let place = Place::new();
    for token in [None, Some(""), Some("sixteen bytes of a tokem")] {
        let answer = place.service("/session/7/attest", token, Value::Null).await;
        is(&answer, 403, "forbidden");
    }
    place.put("9", 0, BookingStatus::Finalized);
    for (path, status, code) in [
        ("/session/x/attest", 400, "invalid_booking_id"),
        ("/session/%ff/attest", 400, "invalid_booking_id"),
        ("/session/11/attest", 404, "booking_not_found"),
        ("/session/9/attest", 400, "booking_not_booked"),
        (
            "/session/9/attest?force_outcome=maybe",
            400,
            "booking_not_booked",
        ),
        (
            "/session/7/attest?force_outcome=maybe",
            400,
            "invalid_force_outcome",
        ),
        ("/session/7/attest", 400, "grace_not_over"),
    ] {
        is(&place.attest(path).await, status, code);
    }
    place.advance(60 + 300);
    is(
        &place.attest("/session/7/attest").await,
        400,
        "overlap_not_met",
    );
    place.advance(1800 + 1);
    is(
        &place.attest("/session/7/attest").await,
        400,
        "no_show_too_late",
    );
    assert_eq!(place.escrows.sent(), 0);
    assert!(!place.is_stored("7"));

    let strict = Place::of(
        |app| {
            let id = escrow();
            let capabilities = Capabilities::default();
            let token = Secret::new(SERVICE_TOKEN.to_owned());
            let bookings = Bookings::at(Escrow { id, capabilities });
            app.with_bookings(bookings.with_service_token(token).with_oracle_key())
        },
        true,
    );
    let forced = strict.attest("/session/7/attest?force_outcome=completed");
    is(
        &forced.await,
        400,
        "force_outcome_not_allowed_in_production",
    );
}

#[tokio::test]
async fn what_the_chain_does_decides_what_is_answered() {
    // It happened, and the answer was lost: still ours.
    let place = Place::new();
    place.meet("7", 700).await;
    place.escrows.will([ChainFault::AnswerLost]);
    let answer = place.attest("/session/7/attest").await;
    assert_eq!(answer.status, 200, "{}", answer.text);

    // It did not, whatever was said: on its way, and pursued.
    let place = Place::new();
    place.meet("7", 700).await;
    place.escrows.will([ChainFault::Dropped]);
    is(
        &place.attest("/session/7/attest").await,
        503,
        "attestation_pending",
    );
    is(&place.attest("/session/7/attest").await, 409, "busy");
    place.advance(60);
    place.work().await;
    assert_eq!(place.escrows.accepted().len(), 1);

    // Somebody else was there first, between our reading and our sending.
    let place = Place::new();
    place.meet("7", 700).await;
    let other = Place::new();
    other.meet("7", 700).await;
    other.escrows.set_oracle(Wallet::from_bytes([9; 20]));
    is(&other.attest("/session/7/attest").await, 503, "not_oracle");
    other.escrows.set_down(true);
    is(
        &other.attest("/session/7/attest").await,
        503,
        "chain_unavailable",
    );

    // A session completed long ago.
    place.advance(1800 + 7200);
    is(
        &place.attest("/session/7/attest").await,
        400,
        "completed_too_late",
    );
}

#[tokio::test]
async fn somebody_else_in_between_is_told() {
    let place = Place::of(|app| app.with_bookings(bookings(false)), false);
    place.meet("7", 700).await;
    // Nobody performs what was decided, until the booking was settled by another.
    is(
        &place.attest("/session/7/attest").await,
        503,
        "attestation_pending",
    );
    place
        .escrows
        .set_status(&key("7"), BookingStatus::Cancelled);
    place.advance(31);
    place.work().await;
    let shown = place.server.get("/session/7", host()).await.json();
    assert_eq!(shown["settlement"]["reason"], "already_settled");
    assert_eq!(place.escrows.accepted(), []);
}

#[tokio::test]
async fn evidence_is_taken_until_the_decision_and_changes_nothing_else() {
    let place = Place::new();
    let hash = format!("0x{}", "ab".repeat(32));
    let path = "/session/7/evidence";
    let body = |uri: &str| json!({"kind": "recording", "uri": uri, "hash": hash});
    let attach = |body| place.call("POST", path, guest(), body);
    let first = attach(body("https://a.example/1")).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let again = attach(body("https://a.example/1")).await;
    assert_eq!(again.json(), first.json());
    for wrong in [
        json!({}),
        json!({"kind": "rumour", "uri": "https://a.example", "hash": hash}),
        json!({"kind": "recording", "uri": "no reference", "hash": hash}),
        json!({"kind": "recording", "uri": "https:é", "hash": hash}),
        json!({"kind": "recording", "uri": format!("https:{}", "a".repeat(2043)), "hash": hash}),
        json!({"kind": "recording", "uri": "https://a.example", "hash": "0xab"}),
        json!({"kind": "recording", "uri": 7, "hash": hash}),
    ] {
        is(&attach(wrong).await, 400, "invalid_evidence");
    }
    is(&attach(json!({"extra": 1})).await, 400, "unknown_member");
    let stranger = place.call("POST", path, Bench::wallet(3), body("https://a.example/2"));
    is(&stranger.await, 404, "booking_not_found");
    let service = |token| place.service(path, token, body("https://a.example/service"));
    is(&service(Some("not the token")).await, 403, "forbidden");
    is(&service(None).await, 401, "unauthorized");
    assert_eq!(service(Some(SERVICE_TOKEN)).await.status, 201);
    for n in 3..=20 {
        let attached = attach(body(&format!("https://a.example/{n}"))).await;
        assert_eq!(attached.status, 201, "{n}: {}", attached.text);
    }
    let more = attach(body("https://a.example/21")).await;
    is(&more, 409, "too_much_evidence");
    place.meet("7", 700).await;
    assert_eq!(place.attest("/session/7/attest").await.status, 200);
    let late = attach(body("https://a.example/22")).await;
    is(&late, 409, "already_decided");
    let shown = place.server.get("/session/7", host()).await.json();
    assert_eq!(shown["evidence"].as_array().unwrap().len(), 20);
    assert_eq!(shown["decision"]["outcome"], "completed");
}

fn stated(signer: &LocalSigner, outcome: Outcome, deadline: u64) -> Value {
    let statement = Statement {
        key: key("7"),
        outcome,
        metrics_hash: [0; 32],
        deadline: Uint64::new(deadline).unwrap(),
    };
    json!({
        "outcome": outcome.name(),
        "deadline": deadline,
        "signature": statement.sign(signer).to_string(),
    })
}

#[tokio::test]
async fn two_signatures_settle_without_a_decision_of_ours() {
    let place = Place::of(|app| app.with_bookings(bookings(true)), true);
    place.escrows.set_mutual(true);
    let (host_key, guest_key) = (signer(1), signer(2));
    let deadline = place.now().unix() + 3600;
    let state = |wallet, body| place.call("POST", "/session/7/outcome", wallet, body);
    let shown = place.server.get("/session/7", host()).await.json();
    assert_eq!(shown["statements"]["state"], "waiting");
    assert_eq!(
        shown["statements"]["to_sign"]["primaryType"],
        "SessionOutcome"
    );

    let completed = || stated(&host_key, Outcome::Completed, deadline);
    let mut others = Vec::new();
    for (member, value) in [
        ("outcome", json!("perhaps")),
        ("deadline", json!(-1)),
        ("deadline", json!(deadline + 1)),
        ("metrics_hash", json!(format!("0x{}", "11".repeat(32)))),
        ("metrics_hash", json!("0x")),
        ("signature", json!("0x00")),
        ("signature", json!(null)),
    ] {
        let mut wrong = completed();
        wrong[member] = value;
        others.push(wrong);
    }
    others.push(stated(&guest_key, Outcome::Completed, deadline));
    for wrong in others {
        is(&state(host(), wrong).await, 400, "invalid_statement");
    }
    let past = stated(&host_key, Outcome::Completed, place.now().unix() - 1);
    is(&state(host(), past).await, 400, "statement_expired");
    let stranger = state(Bench::wallet(3), completed()).await;
    is(&stranger, 404, "booking_not_found");
    assert!(!place.is_stored("7"));

    assert_eq!(state(host(), completed()).await.json()["state"], "waiting");
    assert_eq!(state(host(), completed()).await.json()["state"], "waiting");
    let other = stated(&host_key, Outcome::NoShowGuest, deadline);
    is(&state(host(), other).await, 409, "outcome_conflict");
    let same = stated(&guest_key, Outcome::Completed, deadline);
    assert_eq!(state(guest(), same).await.json()["state"], "matched");

    place.advance(60);
    place.work().await;
    place.work().await;
    let accepted = place.escrows.accepted();
    assert_eq!(accepted.len(), 1);
    assert!(accepted[0].attestation.mutual.is_some());
    let bundle = place.server.get("/session/7/bundle", guest()).await;
    let signed = SignedSessionBundle::parse(&bundle.text).unwrap();
    assert!(signed.verify().unwrap().is_some());
}

#[tokio::test]
async fn statements_that_differ_leave_it_to_the_policy() {
    let place = Place::of(|app| app.with_bookings(bookings(true)), true);
    place.escrows.set_mutual(true);
    let deadline = place.now().unix() + 36_000;
    let state = |wallet, body| place.call("POST", "/session/7/outcome", wallet, body);
    state(host(), stated(&signer(1), Outcome::NoShowGuest, deadline)).await;
    let other = stated(&signer(2), Outcome::NoShowHost, deadline);
    assert_eq!(state(guest(), other).await.json()["state"], "differs");
    place.meet("7", 700).await;
    assert_eq!(
        place.attest("/session/7/attest").await.json()["outcome"],
        "completed"
    );
    let late = stated(&signer(1), Outcome::NoShowGuest, deadline);
    let late = state(host(), late).await;
    is(&late, 400, "booking_not_active");
}

#[tokio::test]
async fn a_contract_without_statements_says_so() {
    let place = Place::new();
    let body = stated(&signer(1), Outcome::Completed, place.now().unix() + 99);
    let answer = place.call("POST", "/session/7/outcome", host(), body).await;
    is(&answer, 409, "statements_not_supported");
    assert!(!place.is_stored("7"));
    let shown = place.server.get("/session/7", host()).await.json();
    assert_eq!(shown["statements"]["to_sign"], Value::Null);
}

#[tokio::test]
async fn a_booking_of_others_is_none() {
    let place = Place::new();
    place.join("7", host()).await;
    let stranger = Bench::wallet(3);
    for path in ["/session/7", "/session/7/bundle", "/session/11"] {
        let answer = place.server.get(path, stranger).await;
        is(&answer, 404, "booking_not_found");
    }
    let stats = place.server.get("/session/7/stats", stranger).await;
    is(&stats, 403, "not_a_participant");
    let other_contract = format!("/session/7?escrow=0x{}", "11".repeat(20));
    let answer = place.server.get(&other_contract, host()).await;
    is(&answer, 404, "booking_not_found");
    let unknown = place.server.get("/session/7?escrows=1", host()).await;
    is(&unknown, 400, "unknown_member");
    let own = format!("/session/7?escrow={}", escrow().address.to_eip55());
    assert_eq!(place.server.get(&own, host()).await.status, 200);
    place.put("8", 60, BookingStatus::Booked);
    let nobody_came = place.server.get("/session/8/stats", host()).await;
    is(&nobody_came, 404, "session_not_found");
    assert_eq!(place.server.get("/session/8", host()).await.status, 200);
    assert!(!place.is_stored("8"));
}

#[tokio::test]
async fn own_sessions_come_page_by_page() {
    let place = Place::new();
    for n in 20..25_u64 {
        place.put(&n.to_string(), n, BookingStatus::Booked);
        assert_eq!(place.join(n.to_string(), guest()).await.status, 200);
    }
    let mut seen = Vec::new();
    let mut path = "/session?limit=2".to_owned();
    loop {
        let page = place.server.get(&path, host()).await.json();
        for item in page["items"].as_array().unwrap() {
            seen.push(item["booking_id"].as_str().unwrap().to_owned());
            assert_eq!(item["role"], "host");
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/session?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, ["24", "23", "22", "21", "20"]);
    let count = async |query: &str| {
        let answer = place.server.get(&format!("/session{query}"), guest()).await;
        answer.json()["items"].as_array().map(Vec::len)
    };
    assert_eq!(count("?status=booked").await, Some(5));
    assert_eq!(count("?status=attested").await, Some(0));
    for (query, code) in [
        ("?status=none", "invalid_status"),
        ("?status=Booked", "invalid_status"),
        ("?cursor=MTox", "invalid_cursor"),
        ("?limit=0", "invalid_limit"),
        ("?state=booked", "unknown_member"),
    ] {
        let answer = place.server.get(&format!("/session{query}"), guest()).await;
        is(&answer, 400, code);
    }
    let stranger = place.server.get("/session", Bench::wallet(3)).await;
    assert_eq!(stranger.json(), json!({"items": [], "next_cursor": null}));
}

#[tokio::test]
async fn hosts_say_whether_they_take_bookings() {
    let place = Place::new();
    let public = format!("/hosts/{}", host());
    let shown = || place.server.raw("GET", &public, None, "");
    assert_eq!(shown().await.json(), json!({"accepting_bookings": false}));
    let set = |body| place.call("PUT", "/hosts/me", host(), body);
    let answer = set(json!({"accepting_bookings": true})).await;
    assert_eq!(answer.json(), json!({"accepting_bookings": true}));
    assert_eq!(shown().await.json(), json!({"accepting_bookings": true}));
    let own = place.server.get("/hosts/me", host()).await;
    assert_eq!(own.json(), json!({"accepting_bookings": true}));
    for wrong in [json!({}), json!({"accepting_bookings": "yes"})] {
        is(&set(wrong).await, 400, "invalid_body");
    }
    let malformed = place.server.raw("GET", "/hosts/0x1", None, "").await;
    is(&malformed, 400, "invalid_wallet");
    is(
        &place.server.raw("GET", "/hosts/me", None, "").await,
        401,
        "unauthorized",
    );
}

#[tokio::test]
async fn a_forced_outcome_that_the_contract_refuses_is_given_up() {
    let place = Place::new();
    let force = || place.attest("/session/7/attest?force_outcome=completed");
    is(&force().await, 400, "overlap_not_met");
    let world = place.server.store.world();
    let stored = world.row(&Key::BookedSession(key("7"))).cloned();
    let Some((_, Row::BookedSession(session))) = stored else {
        panic!("not on record");
    };
    assert_eq!(session.decision, None);
    place.advance(60 + 600);
    assert_eq!(force().await.json()["outcome"], "completed");
    assert_eq!(place.escrows.accepted().len(), 1);
}
