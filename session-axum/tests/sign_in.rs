//! Sign-in by message, by time of day, and signing out.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use common::{Answer, Server, app};
use serde_json::{Value, json};
use session_axum::{App, router};
use session_core::auth::Audience;
use session_core::auth::siwe::{Message, Moment, RelyingParty};
use session_core::crypto::{LocalSigner, eip191};
use session_core::ports::Clock;
use session_core::types::Seconds;

const DOMAIN: &str = "voice.example";
const CHAIN: u64 = 5_042_002;

fn with_siwe(app: App) -> App {
    app.with_siwe(RelyingParty::new(DOMAIN, CHAIN).unwrap())
}

fn signer(n: u8) -> LocalSigner {
    LocalSigner::from_bytes(&[n; 32]).unwrap()
}

fn personal(text: &str, signer: &LocalSigner) -> String {
    signer
        .sign_prehash(&eip191::digest(text.as_bytes()))
        .to_string()
}

async fn post(server: &Server, path: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    server.send(request).await
}

async fn nonce(server: &Server) -> String {
    let answer = post(server, "/auth/siwe/nonce", &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["nonce"].as_str().unwrap().to_owned()
}

fn message(server: &Server, nonce: &str, signer: &LocalSigner) -> Message {
    Message {
        scheme: None,
        domain: DOMAIN.to_owned(),
        address: signer.wallet(),
        statement: Some("Sign in to talk.".to_owned()),
        uri: format!("https://{DOMAIN}/"),
        chain_id: CHAIN,
        nonce: nonce.to_owned(),
        issued_at: Moment::at(server.bench.clock.now()),
        expiration_time: None,
        not_before: None,
        request_id: None,
        resources: None,
    }
}

async fn verify(server: &Server, message: &str, signature: &str) -> Answer {
    let body = json!({ "message": message, "signature": signature });
    post(server, "/auth/siwe/verify", &body).await
}

async fn sign_in(server: &Server, signer: &LocalSigner) -> String {
    let nonce = nonce(server).await;
    let text = message(server, &nonce, signer).to_string();
    let answer = verify(server, &text, &personal(&text, signer)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let now = server.bench.clock.now().unix();
    assert_eq!(answer.json()["expires_at"], now + 3600);
    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn credits(server: &Server, token: &str) -> u16 {
    let request = Request::get("/credits").header("authorization", format!("Bearer {token}"));
    let answer = server.send(request.body(Body::empty()).unwrap()).await;
    answer.status.as_u16()
}

async fn log_out(server: &Server, token: &str) -> u16 {
    let request = Request::post("/auth/logout").header("authorization", format!("Bearer {token}"));
    let answer = server.send(request.body(Body::empty()).unwrap()).await;
    answer.status.as_u16()
}

#[tokio::test]
async fn a_signed_message_gives_a_token_for_all_routes() {
    let server = Server::with(with_siwe);
    let token = sign_in(&server, &signer(1)).await;
    assert_eq!(credits(&server, &token).await, 200);
    server.bench.clock.advance(Seconds::new(3600));
    assert_eq!(credits(&server, &token).await, 200);
    server.bench.clock.advance(Seconds::new(1));
    assert_eq!(credits(&server, &token).await, 401);
}

#[tokio::test]
async fn a_nonce_says_whom_to_name_and_until_when_it_is_good() {
    let server = Server::with(with_siwe);
    let answer = post(&server, "/auth/siwe/nonce", &json!({})).await.json();
    let now = server.bench.clock.now().unix();
    assert_eq!(answer["expires_at"], now + 300);
    assert_eq!(answer["domain"], DOMAIN);
    assert_eq!(answer["chain_id"], CHAIN);
    let nonce = answer["nonce"].as_str().unwrap();
    assert!(nonce.len() >= 17 && nonce.bytes().all(|c| c.is_ascii_alphanumeric()));
    let empty = server.raw("POST", "/auth/siwe/nonce", None, "").await;
    assert_eq!(empty.status, 200);
    let null = server
        .raw("POST", "/auth/siwe/nonce", None, " null\n")
        .await;
    assert_eq!(null.status, 200);
    assert_ne!(empty.json()["nonce"], answer["nonce"]);
}

#[tokio::test]
async fn a_wrong_signature_uses_up_the_nonce_and_so_does_a_right_one() {
    let server = Server::with(with_siwe);
    for first_signer in [1, 2] {
        let nonce = nonce(&server).await;
        let text = message(&server, &nonce, &signer(1)).to_string();
        let first = verify(&server, &text, &personal(&text, &signer(first_signer))).await;
        let expected = if first_signer == 1 {
            ""
        } else {
            "invalid_signature"
        };
        assert_eq!(first.code(), expected);
        let again = verify(&server, &text, &personal(&text, &signer(1))).await;
        assert_eq!(
            (again.status.as_u16(), again.code().as_str()),
            (401, "invalid_or_expired_nonce")
        );
    }
    // A text that is no signature is a wrong one.
    let nonce = nonce(&server).await;
    let text = message(&server, &nonce, &signer(1)).to_string();
    assert_eq!(
        verify(&server, &text, "0x00").await.code(),
        "invalid_signature"
    );
    let again = verify(&server, &text, &personal(&text, &signer(1))).await;
    assert_eq!(again.code(), "invalid_or_expired_nonce");
}

#[tokio::test]
async fn of_many_at_once_with_one_nonce_one_signs_in() {
    let server = Arc::new(Server::with(with_siwe));
    let nonce = nonce(&server).await;
    let text = message(&server, &nonce, &signer(1)).to_string();
    let signature = personal(&text, &signer(1));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (server, text, signature) = (server.clone(), text.clone(), signature.clone());
        tasks.spawn(async move { verify(&server, &text, &signature).await.status.as_u16() });
    }
    let statuses = tasks.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert!(statuses.iter().all(|status| [200, 401].contains(status)));
}

#[tokio::test]
async fn what_is_not_meant_for_this_server_is_refused_with_its_reason() {
    let server = Server::with(with_siwe);
    let late = server.bench.clock.now().after(Seconds::new(1));
    type Alter = fn(Message) -> Message;
    let cases: [(Alter, &str); 3] = [
        (
            |m| Message {
                domain: "evil.example".into(),
                ..m
            },
            "wrong_domain_or_chain",
        ),
        (|m| Message { chain_id: 1, ..m }, "wrong_domain_or_chain"),
        (
            |m| Message {
                expiration_time: Some(m.issued_at.clone()),
                ..m
            },
            "message_not_timely",
        ),
    ];
    for (alter, code) in cases {
        let nonce = nonce(&server).await;
        let text = alter(message(&server, &nonce, &signer(1))).to_string();
        let answer = verify(&server, &text, &personal(&text, &signer(1))).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (401, code)
        );
    }
    let nonce = nonce(&server).await;
    let early = Message {
        not_before: Some(Moment::at(late)),
        ..message(&server, &nonce, &signer(1))
    };
    let text = early.to_string();
    let answer = verify(&server, &text, &personal(&text, &signer(1))).await;
    assert_eq!(answer.code(), "message_not_timely");
}

#[tokio::test]
async fn malformed_messages_and_foreign_nonces_get_a_plain_answer() {
    let server = Server::with(with_siwe);
    let text = message(&server, "abcdefgh12345678", &signer(1)).to_string();
    let foreign = verify(&server, &text, &personal(&text, &signer(1))).await;
    assert_eq!(
        (foreign.status.as_u16(), foreign.code().as_str()),
        (401, "invalid_or_expired_nonce")
    );
    let broken = verify(&server, &text.replace('\n', "\r\n"), "0x").await;
    assert_eq!(
        (broken.status.as_u16(), broken.code().as_str()),
        (400, "invalid_message")
    );
    assert!(broken.json()["reason"].is_string());
    for (body, code) in [
        (json!({}), "missing_message_or_signature"),
        (
            json!({"message": "", "signature": "0x"}),
            "missing_message_or_signature",
        ),
        (json!({"message": 1, "signature": "0x"}), "invalid_body"),
        (
            json!({"message": "m", "signature": "0x", "more": 1}),
            "unknown_member",
        ),
        (json!([]), "invalid_body"),
    ] {
        let answer = post(&server, "/auth/siwe/verify", &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, code),
            "{body}"
        );
    }
    let twice = r#"{"message":"m","message":"m","signature":"0x"}"#;
    let request = Request::post("/auth/siwe/verify").header("content-type", "application/json");
    let answer = server.send(request.body(Body::from(twice)).unwrap()).await;
    assert_eq!(answer.code(), "invalid_body");
    let text = server.raw("POST", "/auth/siwe/verify", None, "{}").await;
    assert_eq!(
        (text.status.as_u16(), text.code().as_str()),
        (415, "unsupported_media_type")
    );
    let other = server.raw("GET", "/auth/siwe/verify", None, "").await;
    assert_eq!(
        (other.status.as_u16(), other.code().as_str()),
        (405, "method_not_allowed")
    );
    assert_eq!(other.header("allow"), Some("POST"));
}

#[tokio::test]
async fn a_server_that_nobody_told_its_name_signs_nobody_in() {
    let server = Server::new();
    for path in ["/auth/siwe/nonce", "/auth/siwe/verify"] {
        let answer = post(&server, path, &json!({})).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (503, "not_configured")
        );
    }
}

#[tokio::test]
async fn a_payment_signature_never_signs_in_nor_the_nonce_alone() {
    let server = Server::with(with_siwe);
    let signer = signer(1);
    let nonce = nonce(&server).await;
    let text = message(&server, &nonce, &signer).to_string();
    // Typed data is hashed in another way than a personal message, whatever it says.
    let typed = session_core::crypto::keccak256(&[b"\x19\x01", text.as_bytes()].concat());
    let answer = verify(&server, &text, &signer.sign_prehash(&typed).to_string()).await;
    assert_eq!(answer.code(), "invalid_signature");
    let body = json!({
        "wallet": signer.wallet(),
        "nonce": nonce,
        "signature": personal(&nonce, &signer),
    });
    let answer = post(&server, "/auth/verify", &body).await;
    assert_eq!(answer.code(), "invalid_or_expired_nonce");
}

#[tokio::test]
async fn whoever_logs_out_is_out_with_that_token_alone() {
    let server = Server::with(with_siwe);
    let (one, two) = (
        sign_in(&server, &signer(1)).await,
        sign_in(&server, &signer(1)).await,
    );
    assert_eq!(log_out(&server, &one).await, 204);
    assert_eq!(credits(&server, &one).await, 401);
    assert_eq!(log_out(&server, &one).await, 401);
    assert_eq!(credits(&server, &two).await, 200);
    // The recorded form of a token, too, and on a server that learns of it from the store.
    let wallet = signer(2).wallet();
    let token = server.token(wallet);
    let other = router(with_siwe(app(&server.bench)));
    let other = Server {
        bench: server.bench.clone(),
        store: server.store.clone(),
        routes: other,
    };
    assert_eq!(credits(&other, &token).await, 200);
    assert_eq!(log_out(&server, &token).await, 204);
    assert_eq!(credits(&other, &token).await, 401);
}

#[tokio::test]
async fn tokens_of_another_audience_are_refused() {
    let server = Server::with(with_siwe);
    let token = sign_in(&server, &signer(1)).await;
    let foreign = with_siwe(app(&server.bench)).with_audience(Audience::new("us", "others"));
    let foreign = Server {
        bench: server.bench.clone(),
        store: server.store.clone(),
        routes: router(foreign),
    };
    assert_eq!(credits(&foreign, &token).await, 401);
}

#[tokio::test]
async fn the_oldest_sign_in_is_there_only_where_it_is_switched_on() {
    let signer = signer(1);
    let off = Server::new();
    let on = Server::with(App::with_timestamp_sign_in);
    let text = format!("heaven-session:{}", on.bench.clock.now());
    let body = json!({
        "wallet": signer.wallet(),
        "message": text,
        "signature": personal(&text, &signer),
    });
    let answer = post(&off, "/auth", &body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text.as_str()),
        (404, "404 Not Found")
    );
    let answer = post(&on, "/auth", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(credits(&on, &token).await, 200);
    on.bench.clock.advance(Seconds::new(301));
    assert_eq!(
        post(&on, "/auth", &body).await.json()["error"],
        "invalid signature"
    );
    for part in ["wallet", "message", "signature"] {
        let mut body = body.clone();
        body[part] = "".into();
        let answer = post(&on, "/auth", &body).await;
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.json()["error"],
            "missing wallet, message, or signature"
        );
    }
}
