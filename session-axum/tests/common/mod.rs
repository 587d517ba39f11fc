//! The router in process, around fakes.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "a part of each test file"
)]

pub mod document;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use session_axum::{App, Limits, router};
use session_core::auth::{AccessClaims, JwtKeys};
use session_core::crypto::Secret;
use session_core::ledger::Credits;
use session_core::media::agora::{AgoraIssuer, AppCertificate, AppId};
use session_core::ports::Clock;
use session_core::types::{Seconds, Wallet};
use session_testkit::bench::Bench;
use session_testkit::memory::MemoryStore;
use tower::ServiceExt;

pub struct Server {
    pub bench: Bench,
    pub store: Arc<MemoryStore>,
    pub routes: Router,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub fn keys() -> JwtKeys {
    JwtKeys::new(Secret::new(*b"sixteen bytes or more"), Vec::new()).unwrap()
}

pub fn app(bench: &Bench) -> App {
    let media = AgoraIssuer::new(
        AppId::parse("970ca35de60c44645bbae8a215061b33").unwrap(),
        AppCertificate::parse("5cfd2fd1755d40ecb72977518be15d3b").unwrap(),
    );
    App::new(bench.ports.clone(), Arc::new(media), Arc::new(keys()))
        .with_limits(Limits::without_rates())
}

impl Server {
    pub fn new() -> Self {
        Self::with(|app| app)
    }

    pub fn with(change: impl FnOnce(App) -> App) -> Self {
        Self::of(|bench| change(app(bench)))
    }

    pub fn of(app: impl FnOnce(&Bench) -> App) -> Self {
        let (bench, store) = Bench::in_memory(7);
        let routes = router(app(&bench));
        Self {
            bench,
            store,
            routes,
        }
    }

    /// Sends a request; the answer is one that the document promises.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        };
        document::check(&method, &uri, &answer);
        answer
    }

    pub async fn raw(
        &self,
        method: &str,
        path: &str,
        wallet: Option<Wallet>,
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(wallet) = wallet {
            request = request.header("authorization", format!("Bearer {}", self.token(wallet)));
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    pub async fn post(&self, path: &str, wallet: Wallet, body: Value) -> Answer {
        self.raw("POST", path, Some(wallet), &body.to_string())
            .await
    }

    pub async fn get(&self, path: &str, wallet: Wallet) -> Answer {
        self.raw("GET", path, Some(wallet), "").await
    }

    pub fn token(&self, wallet: Wallet) -> String {
        let iat = self.bench.clock.now();
        keys().sign(&AccessClaims {
            sub: wallet,
            iat,
            exp: iat.after(Seconds::new(3600)),
        })
    }

    /// A wallet with this much credit of its base grant left.
    pub async fn funded(&self, n: u32, remaining: u64) -> Wallet {
        let wallet = Bench::wallet(n);
        let base = remaining.max(1800);
        let credits = Credits {
            base_granted: Seconds::new(base),
            bonus_granted: Seconds::ZERO,
            remaining: Seconds::new(remaining),
        };
        self.bench.set_credits(wallet, credits).await.unwrap();
        wallet
    }

    /// A new room of this host.
    pub async fn room(&self, host: Wallet) -> String {
        let created = self.post("/rooms/create", host, json!({})).await;
        assert_eq!(created.status, StatusCode::OK, "{}", created.text);
        created.json()["room_id"].as_str().unwrap().to_owned()
    }

    /// A seat in a room: the body that names the stay.
    pub async fn seat(&self, wallet: Wallet, room: &str) -> Value {
        let joined = self
            .post("/rooms/join", wallet, json!({ "room_id": room }))
            .await;
        assert_eq!(joined.status, StatusCode::OK, "{}", joined.text);
        json!({ "room_id": room, "connection_id": joined.json()["connection_id"] })
    }

    pub async fn remaining(&self, wallet: Wallet) -> u64 {
        self.get("/credits", wallet).await.json()["remaining_seconds"]
            .as_u64()
            .unwrap()
    }
}

/// A body of which nothing ever comes.
pub struct NeverEnds;

impl http_body::Body for NeverEnds {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Pending
    }
}
