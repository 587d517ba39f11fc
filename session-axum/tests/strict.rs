//! The switch `strict`, in both positions: what the recorded routes take as the original did, and
//! what they refuse where nobody needs that.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use axum::body::Body;
use axum::http::Request;
use common::{Answer, Server};
use serde_json::{Value, json};
use session_axum::{App, CorsOrigins};
use session_core::crypto::{LocalSigner, eip191};
use session_core::types::{Seconds, Wallet};

/// The same request to a server of each position: as recorded, then strict.
async fn both<T>(ask: impl AsyncFn(Server) -> T) -> [T; 2] {
    [
        ask(Server::new()).await,
        ask(Server::with(App::strict)).await,
    ]
}

fn signer() -> LocalSigner {
    LocalSigner::from_bytes(&[3; 32]).unwrap()
}

async fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server
        .send(request.body(Body::from(body.to_owned())).unwrap())
        .await
}

const JSON: (&str, &str) = ("content-type", "application/json");

async fn nonce(server: &Server, wallet: &str) -> Answer {
    let body = json!({ "wallet": wallet }).to_string();
    post(server, "/auth/nonce", &[JSON], &body).await
}

async fn verify(server: &Server, wallet: &str, nonce: &str, signature: &str) -> Answer {
    let body = json!({ "wallet": wallet, "nonce": nonce, "signature": signature });
    post(server, "/auth/verify", &[JSON], &body.to_string()).await
}

async fn fresh_nonce(server: &Server) -> String {
    let answer = nonce(server, &signer().wallet().to_string()).await;
    answer.json()["nonce"].as_str().unwrap().to_owned()
}

fn sign(text: &str) -> String {
    let digest = eip191::digest(text.as_bytes());
    signer().sign_prehash(&digest).to_string()
}

/// The token of a wallet that signs in by the recorded routes.
async fn token(server: &Server) -> String {
    let nonce = fresh_nonce(server).await;
    let wallet = signer().wallet().to_string();
    let answer = verify(server, &wallet, &nonce, &sign(&nonce)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["token"].as_str().unwrap().to_owned()
}

async fn funded(server: &Server) -> Wallet {
    let wallet = signer().wallet();
    let credit = Seconds::new(1800);
    server.bench.endow(wallet, credit).await.unwrap();
    wallet
}

fn payload(token: &str) -> Value {
    use base64::Engine;
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
    serde_json::from_slice(&bytes.unwrap()).unwrap()
}

#[tokio::test]
async fn a_wrong_signature_uses_up_a_nonce_where_it_is_strict() {
    let statuses = both(async |server| {
        let nonce = fresh_nonce(&server).await;
        let wallet = signer().wallet().to_string();
        let wrong = verify(&server, &wallet, &nonce, &sign("other")).await;
        assert_eq!(wrong.status, 401);
        let right = verify(&server, &wallet, &nonce, &sign(&nonce)).await;
        right.status.as_u16()
    });
    assert_eq!(statuses.await, [200, 401]);
}

#[tokio::test]
async fn a_signature_of_the_upper_half_is_wrong_where_it_is_strict() {
    let statuses = both(async |server| {
        let nonce = fresh_nonce(&server).await;
        let wallet = signer().wallet().to_string();
        let answer = verify(&server, &wallet, &nonce, &twin(&sign(&nonce))).await;
        answer.status.as_u16()
    });
    assert_eq!(statuses.await, [200, 401]);
}

/// The same signature with the other `s`.
fn twin(signature: &str) -> String {
    /// The order of the group.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36,
        0x41, 0x41,
    ];
    let mut bytes = session_core::crypto::Signature::parse(signature)
        .unwrap()
        .to_bytes();
    let mut borrow = 0;
    for place in (0..32).rev() {
        let digit = i32::from(ORDER[place]) - i32::from(bytes[32 + place]) - borrow;
        borrow = i32::from(digit < 0);
        bytes[32 + place] = u8::try_from(digit.rem_euclid(256)).unwrap();
    }
    bytes[64] = 27 + 28 - bytes[64];
    session_core::crypto::Signature::from_bytes(bytes)
        .unwrap()
        .to_string()
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_where_it_is_strict() {
    let right = signer().wallet().to_eip55();
    let place = right.rfind(|c: char| c.is_ascii_alphabetic()).unwrap();
    let mut wrong = right.clone();
    let letter = wrong.remove(place);
    let other = if letter.is_ascii_uppercase() {
        letter.to_ascii_lowercase()
    } else {
        letter.to_ascii_uppercase()
    };
    wrong.insert(place, other);
    let wrong = &wrong;
    let codes = both(async |server| nonce(&server, wrong).await.code());
    assert_eq!(codes.await, ["", "invalid_wallet"]);
    let right = &right;
    let codes = both(async |server| nonce(&server, right).await.code());
    assert_eq!(codes.await, ["", ""]);
}

#[tokio::test]
async fn tokens_are_of_the_strict_form_alone_where_it_is_strict() {
    let members = both(async |server| {
        let token = token(&server).await;
        let authorization = format!("Bearer {token}");
        let request = Request::get("/credits").header("authorization", authorization);
        let answer = server.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200);
        let names = payload(&token);
        let names = names.as_object().unwrap().keys().cloned();
        let recorded = server.get("/credits", signer().wallet()).await;
        (names.collect::<Vec<_>>(), recorded.status.as_u16())
    });
    let [recorded, strict] = members.await;
    assert_eq!(
        recorded,
        (["exp", "iat", "sub"].map(str::to_owned).to_vec(), 200)
    );
    let all = ["aud", "exp", "iat", "iss", "jti", "sub"];
    assert_eq!(strict, (all.map(str::to_owned).to_vec(), 401));
}

#[tokio::test]
async fn bodies_are_read_closely_where_it_is_strict() {
    let wallet = signer().wallet();
    for (headers, body, code) in [
        (
            &[][..],
            json!({ "wallet": wallet }).to_string(),
            "unsupported_media_type",
        ),
        (
            &[("content-type", "text/plain")][..],
            json!({ "wallet": wallet }).to_string(),
            "unsupported_media_type",
        ),
        (
            &[JSON][..],
            json!({ "wallet": wallet, "x": 1 }).to_string(),
            "unknown_member",
        ),
        (
            &[JSON][..],
            format!(r#"{{"wallet":"{wallet}","wallet":"{wallet}"}}"#),
            "invalid_body",
        ),
    ] {
        let body = &body;
        let codes = both(async |server| post(&server, "/auth/nonce", headers, body).await.code());
        assert_eq!(codes.await, ["", code], "{body}");
    }
}

#[tokio::test]
async fn what_moves_credit_needs_a_key_where_it_is_strict() {
    let codes = both(async |server| {
        funded(&server).await;
        let authorization = format!("Bearer {}", token(&server).await);
        let without = [JSON, ("authorization", authorization.as_str())];
        let refused = post(&server, "/rooms/create", &without, "{}").await.code();
        let with = [
            JSON,
            ("authorization", authorization.as_str()),
            ("idempotency-key", "k"),
        ];
        let server_again = post(&server, "/rooms/create", &with, "{}").await;
        (refused, server_again.code())
    });
    let [recorded, strict] = codes.await;
    // The host has its room already.
    assert_eq!(
        recorded,
        (String::new(), "already_hosting_free_room".to_owned())
    );
    assert_eq!(
        strict,
        ("idempotency_key_missing".to_owned(), String::new())
    );
}

#[tokio::test]
async fn somebody_elses_stay_looks_like_none_where_it_is_strict() {
    let answers = both(async |server| {
        funded(&server).await;
        let authorization = format!("Bearer {}", token(&server).await);
        let headers = [
            JSON,
            ("authorization", authorization.as_str()),
            ("idempotency-key", "k"),
        ];
        let id = "0c0c0c0c-0c0c-4c0c-8c0c-0c0c0c0c0c0c";
        let body = json!({ "room_id": id, "connection_id": id }).to_string();
        let answer = post(&server, "/rooms/heartbeat", &headers, &body).await;
        (answer.status.as_u16(), answer.code())
    });
    let [recorded, strict] = answers.await;
    assert_eq!(recorded, (403, "not_your_connection".to_owned()));
    assert_eq!(strict, (404, "stay_not_found".to_owned()));
}

#[tokio::test]
async fn an_unknown_method_is_named_where_it_is_strict() {
    let answers = both(async |server| {
        let answer = server.raw("DELETE", "/auth/nonce", None, "").await;
        (
            answer.status.as_u16(),
            answer.header("allow").map(str::to_owned),
        )
    });
    let [recorded, strict] = answers.await;
    assert_eq!(recorded.0, 404);
    assert_eq!(strict, (405, Some("POST".to_owned())));
}

#[tokio::test]
async fn no_other_origin_reads_where_it_is_strict_but_those_that_are_listed() {
    let origin = async |server: Server, origin: &str| {
        let request = Request::get("/health").header("origin", origin);
        let answer = server.send(request.body(Body::empty()).unwrap()).await;
        let allowed = answer.header("access-control-allow-origin");
        allowed.map(str::to_owned)
    };
    let allowed = both(async |server| origin(server, "https://a.example").await).await;
    assert_eq!(allowed, [Some("*".to_owned()), None]);
    let listed = || {
        Server::with(|app| {
            let origins = vec!["https://a.example".to_owned()];
            app.strict().with_cors(CorsOrigins::Listed(origins))
        })
    };
    for (asked, is_allowed) in [
        ("https://a.example", true),
        ("https://a.example.evil", false),
        ("https://evil-a.example", false),
        ("http://a.example", false),
        ("null", false),
    ] {
        let allowed = origin(listed(), asked).await;
        assert_eq!(allowed.is_some(), is_allowed, "{asked}");
    }
}

#[tokio::test]
async fn pages_may_send_the_headers_that_are_asked_for() {
    let preflight = async |server: Server, asked: &str| {
        let request = Request::builder()
            .method("OPTIONS")
            .uri("/rooms/join")
            .header("origin", "https://a.example")
            .header("access-control-request-headers", asked);
        let answer = server.send(request.body(Body::empty()).unwrap()).await;
        let allowed = answer.header("access-control-allow-headers");
        allowed.unwrap().to_owned()
    };
    let recorded = "Content-Type,Authorization,PAYMENT-SIGNATURE";
    let more = "Content-Type,Authorization,PAYMENT-SIGNATURE,Idempotency-Key,Last-Event-ID";
    let plain = both(async |server| preflight(server, "content-type, authorization").await);
    assert_eq!(plain.await, [recorded, more]);
    let keyed = both(async |server| preflight(server, "Idempotency-Key").await);
    assert_eq!(keyed.await, [more, more]);
    let resuming = both(async |server| preflight(server, "authorization,last-event-id").await);
    assert_eq!(resuming.await, [more, more]);
}
