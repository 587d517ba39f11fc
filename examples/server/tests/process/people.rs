//! Wallets that call servers without a client of their own: their access tokens are signed here,
//! with the secret that the servers are given.

use serde_json::{Value, json};
use session_core::auth::siwe::{Message, Moment};
use session_core::auth::{AccessClaims, JwtKeys};
use session_core::crypto::{LocalSigner, Secret, eip191, sha256};
use session_core::types::Timestamp;

use crate::client::text;
use crate::clock::{pass_seconds, unix_now};
use crate::server::{Answer, Server};

/// The secret of every server that knows these wallets.
pub(crate) const JWT_SECRET: &str = "a secret that the tests of processes share";

/// A wallet, and a token that lets it in.
pub(crate) struct Person {
    pub(crate) wallet: String,
    signer: LocalSigner,
    token: String,
}

impl Person {
    /// The same wallet for the same name.
    pub(crate) fn new(name: &str) -> Self {
        let signer = LocalSigner::from_bytes(&sha256(name.as_bytes())).expect("a digest is a key");
        let keys = JwtKeys::new(Secret::new(JWT_SECRET.as_bytes()), vec![]).expect("a key");
        let now = Timestamp::from_unix(unix_now());
        let token = keys.sign(&AccessClaims::issued_to(signer.wallet(), now));
        Self {
            wallet: signer.wallet().to_string(),
            signer,
            token,
        }
    }

    /// What lets it in.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// A message of EIP-4361 that says what the server answered to a question for a nonce, and its
    /// signature: a body for `/auth/siwe/verify`.
    pub(crate) fn signed_message(&self, asked: &Value) -> Value {
        let message = Message {
            scheme: None,
            domain: text(asked, "domain"),
            address: self.signer.wallet(),
            statement: None,
            uri: format!("http://{}", text(asked, "domain")),
            chain_id: asked["chain_id"].as_u64().expect("a chain"),
            nonce: text(asked, "nonce"),
            issued_at: Moment::at(Timestamp::from_unix(unix_now())),
            expiration_time: None,
            not_before: None,
            request_id: None,
            resources: None,
        };
        let message = message.to_string();
        let digest = eip191::digest(message.as_bytes());
        let signature = self.signer.sign_prehash(&digest).to_string();
        json!({"message": message, "signature": signature})
    }

    /// How this wallet signs in with a nonce: a body for `/auth/verify`.
    pub(crate) fn signed(&self, nonce: &str) -> Value {
        let signature = self.signer.sign_prehash(&eip191::digest(nonce.as_bytes()));
        json!({"wallet": self.wallet, "nonce": nonce, "signature": signature.to_string()})
    }

    /// Signs in over HTTP: an access token that the server made.
    pub(crate) fn signs_in(&self, server: &Server) -> String {
        let asked = json!({"wallet": self.wallet}).to_string();
        let (status, issued) = parsed(&server.post("/auth/nonce", &asked));
        assert_eq!(status, 200, "{issued}");
        let signed = self.signed(&text(&issued, "nonce")).to_string();
        let (status, answer) = parsed(&server.post("/auth/verify", &signed));
        assert_eq!(status, 200, "{answer}");
        text(&answer, "token")
    }

    /// Calls a route; `None` where the server went without an answer.
    pub(crate) fn attempt(
        &self,
        server: &Server,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> Option<Answer> {
        let mut headers = vec![format!("authorization: Bearer {}", self.token)];
        headers.extend(key.map(|key| format!("idempotency-key: {key}")));
        server.post_with(path, &headers, &body.to_string())
    }

    /// Calls a route: the status, and the body.
    pub(crate) fn call(&self, server: &Server, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.attempt(server, path, None, body);
        parsed(&answer.expect("the server answers"))
    }

    /// Calls a route that must grant what it is asked.
    pub(crate) fn granted(&self, server: &Server, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(server, path, body);
        assert_eq!(status, 200, "{path} {answer}");
        answer
    }

    /// Opens a room: a body that names it.
    pub(crate) fn opens(&self, server: &Server) -> Value {
        let created = self.granted(server, "/rooms/create", &json!({}));
        json!({"room_id": created["room_id"]})
    }

    /// Takes a seat in a room: a body that names the stay.
    pub(crate) fn joins(&self, server: &Server, room: &Value) -> Value {
        let joined = self.granted(server, "/rooms/join", room);
        json!({"room_id": room["room_id"], "connection_id": joined["connection_id"]})
    }
}

/// The status and the body of an answer.
pub(crate) fn parsed(answer: &Answer) -> (u16, Value) {
    let body = serde_json::from_str(&answer.body);
    (answer.status, body.expect("a body of JSON"))
}

/// The name of a refusal.
pub(crate) fn refusal(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["error"].as_str().unwrap_or_default())
}

/// Two wallets go through a whole stay: every route of a room once.
pub(crate) fn whole_stay(server: &Server) {
    let (host, guest) = (Person::new("host"), Person::new("guest"));
    let room = host.opens(server);
    let hosting = host.joins(server, &room);
    let staying = guest.joins(server, &room);
    pass_seconds(2, server);
    for (person, stay) in [(&host, &hosting), (&guest, &staying)] {
        person.granted(server, "/rooms/heartbeat", stay);
        text(
            &person.granted(server, "/rooms/token/renew", stay),
            "agora_token",
        );
    }
    guest.granted(server, "/credits/verify-celo", &json!({}));
    guest.granted(server, "/rooms/leave", &staying);
    let left = host.granted(server, "/rooms/leave", &hosting);
    assert_eq!(left["closed"], true, "{left}");
    assert_eq!(server.get("/rooms/active").body, r#"{"rooms":[]}"#);
    assert_eq!(server.get("/ready").status, 200);
}
