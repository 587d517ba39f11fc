//! What a server lets others see of itself: its log, its metrics, its answers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::clock::until;
use crate::people::{JWT_SECRET, Person, parsed};
use crate::place::{On, Place};
use crate::server::{APP_CERTIFICATE, Answer, Server};

/// A password of the database that nobody is asked for.
const PASSWORD: &str = "canary-in-the-coal-mine-77";
/// What receipts are signed with.
const RECEIPT_KEY: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee42";
/// Longer than a nonce may get old.
const AFTER_NONCES: &str = "400";

/// Members of answers that are there to be told to whoever asked.
const HANDED_OUT: [&str; 3] = ["token", "nonce", "agora_token"];

/// All that must be found nowhere but where it belongs.
#[derive(Default)]
struct Secrets {
    /// Nowhere at all.
    own: Vec<String>,
    /// Not in logs and metrics; in answers where a route hands them out.
    handed_out: Vec<String>,
    /// Not in logs and metrics.
    wallets: Vec<String>,
    /// Every answer, and what its route may hand out.
    answers: Vec<(String, Answer)>,
}

impl Secrets {
    fn of_the_server() -> Self {
        let own = [JWT_SECRET, APP_CERTIFICATE, RECEIPT_KEY, PASSWORD];
        Self {
            own: own.map(str::to_owned).into(),
            ..Self::default()
        }
    }

    /// Keeps an answer, and what it hands out.
    fn keep(&mut self, path: &str, answer: Answer) -> Value {
        let body = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
        for name in HANDED_OUT {
            if let Some(text) = body[name].as_str() {
                self.handed_out.push(text.to_owned());
            }
        }
        self.answers.push((path.to_owned(), answer));
        body
    }

    fn post(&mut self, server: &Server, path: &str, headers: &[String], body: &str) -> Value {
        let answer = server.post_with(path, headers, body);
        self.keep(path, answer.expect("the server answers"))
    }

    /// Nothing of it is in a text of the server's own.
    fn assert_not_in(&self, what: &str, text: &str) {
        let all = [&self.own, &self.handed_out, &self.wallets]
            .into_iter()
            .flatten();
        for secret in all {
            let found = text
                .lines()
                .find(|line| line.to_lowercase().contains(&secret.to_lowercase()));
            assert_eq!(found, None, "{what} tells {secret}");
        }
    }

    /// Whether a text has something that is handed out.
    fn hands_out_in(&self, text: &str) -> bool {
        self.handed_out.iter().any(|secret| text.contains(secret))
    }

    /// Answers tell no secret of the server's, and what is handed out only where it is.
    fn assert_answers(&self) {
        for (path, answer) in &self.answers {
            let text = format!("{answer:?}");
            for secret in &self.own {
                assert!(!text.contains(secret), "{path} tells {secret}: {text}");
            }
            let hands_out = [
                "/auth/nonce",
                "/auth/verify",
                "/auth/siwe/nonce",
                "/auth/siwe/verify",
                "/rooms/join",
                "/rooms/token/renew",
            ];
            let mut body = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
            if let Some(members) = body.as_object_mut()
                && answer.status == 200
                && hands_out.contains(&path.as_str())
            {
                members.retain(|name, _| !HANDED_OUT.contains(&name.as_str()));
            }
            let beside = format!("{} {body}", answer.head());
            for secret in &self.handed_out {
                assert!(!beside.contains(secret), "{path} tells {secret}: {text}");
            }
            // What is no object hands nothing out.
            assert!(
                body.is_object() || !self.hands_out_in(&answer.body),
                "{path}: {text}"
            );
        }
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

/// A wallet signs in, first wrongly. Its access token.
fn signs_in(person: &Person, server: &Server, seen: &mut Secrets) -> String {
    seen.wallets.push(person.wallet.clone());
    let ask = json!({"wallet": person.wallet}).to_string();
    let nonce = seen.post(server, "/auth/nonce", &[], &ask)["nonce"].clone();
    let nonce = nonce.as_str().expect("a nonce").to_owned();
    // Somebody else's signature, and a good one of a nonce that nobody handed out.
    let stranger = Person::new("a stranger");
    let mut wrong = stranger.signed(&nonce);
    wrong["wallet"] = json!(person.wallet);
    let unknown = person.signed(&"ab".repeat(32));
    for body in [&wrong, &unknown] {
        let signature = body["signature"].as_str().expect("a signature");
        seen.handed_out.push(signature.to_owned());
        let refused = seen.post(server, "/auth/verify", &[], &body.to_string());
        assert!(refused["error"].is_string(), "{refused}");
    }
    let right = person.signed(&nonce);
    let signature = right["signature"].as_str().expect("a signature");
    seen.handed_out.push(signature.to_owned());
    let signed_in = seen.post(server, "/auth/verify", &[], &right.to_string());
    signed_in["token"].as_str().expect("a token").to_owned()
}

/// A wallet signs in by a message, first wrongly, and out again.
fn signs_in_by_message(person: &Person, server: &Server, seen: &mut Secrets) {
    seen.wallets.push(person.wallet.clone());
    let json_body = "content-type: application/json".to_owned();
    let headers = [json_body];
    let stranger = Person::new("a stranger");
    for signer in [&stranger, person] {
        let asked = seen.post(server, "/auth/siwe/nonce", &headers, "{}");
        let mut body = person.signed_message(&asked);
        body["signature"] = signer.signed_message(&asked)["signature"].clone();
        let signature = body["signature"].as_str().expect("a signature").to_owned();
        seen.handed_out.push(signature);
        let answer = seen.post(server, "/auth/siwe/verify", &headers, &body.to_string());
        assert_eq!(answer["token"].is_string(), signer.wallet == person.wallet);
        // Its nonce is used up, and quoted back.
        seen.post(server, "/auth/siwe/verify", &headers, &body.to_string());
        if let Some(token) = answer["token"].as_str() {
            seen.post(server, "/auth/logout", &[bearer(token)], "");
            seen.post(server, "/auth/logout", &[bearer(token)], "");
        }
    }
}

/// Every route, well and badly.
fn tour(server: &Server, seen: &mut Secrets) {
    let (host, guest) = (Person::new("canary host"), Person::new("canary guest"));
    let host_token = signs_in(&host, server, seen);
    let guest_token = signs_in(&guest, server, seen);
    let key = "idempotency-key: once".to_owned();
    let mut room = Value::Null;
    for _ in 0..2 {
        let headers = [bearer(&host_token), key.clone()];
        room = json!({"room_id": seen.post(server, "/rooms/create", &headers, "{}")["room_id"]});
    }
    let mut stays = Vec::new();
    for token in [&host_token, &guest_token] {
        let body = room.to_string();
        let joined = seen.post(server, "/rooms/join", &[bearer(token)], &body);
        let stay = json!({"room_id": room["room_id"], "connection_id": joined["connection_id"]});
        stays.push((token.clone(), stay.to_string()));
    }
    let in_rooms = ["/rooms/heartbeat", "/rooms/token/renew", "/rooms/leave"];
    for path in in_rooms {
        for (token, stay) in stays.iter().rev() {
            let headers = [bearer(token), format!("idempotency-key: {path}")];
            for _ in 0..2 {
                seen.post(server, path, &headers, stay);
            }
        }
    }
    seen.post(server, "/credits/verify-celo", &[bearer(&host_token)], "{}");
    let id = room["room_id"].as_str().unwrap_or("none");
    for path in [
        "/credits".to_owned(),
        "/credits/events".to_owned(),
        format!("/rooms/{id}"),
        // The stay is over, and so is what there is to be told of it.
        format!("/rooms/{id}/events"),
    ] {
        let answer = server.get_with(&path, &[bearer(&host_token)]);
        seen.keep(&path, answer);
    }
    for token in [&guest_token, &guest_token] {
        seen.post(server, "/auth/logout", &[bearer(token)], "");
    }
    signs_in_by_message(&Person::new("canary messenger"), server, seen);
    let message = json!({"message": guest_token, "signature": host_token}).to_string();
    seen.post(server, "/auth/siwe/nonce", &[], "{}");
    seen.post(server, "/auth/siwe/verify", &[], &message);

    // Bodies and headers that quote secrets back.
    let signature = seen.handed_out.clone().join(" ");
    let bad_bodies = [
        format!("{{\"room_id\": \"{signature}\""),
        format!("[\"{signature}\"]"),
        json!({"room_id": signature, "connection_id": host_token}).to_string(),
        json!({"wallet": [host.wallet], "nonce": 7, "signature": signature}).to_string(),
        format!("{{\"x\": \"{}\"}}", "y".repeat(20_000)),
        "\u{0}".to_owned(),
    ];
    let paths = [
        "/auth/nonce",
        "/auth/verify",
        "/rooms/create",
        "/rooms/join",
    ];
    for path in paths.iter().chain(&in_rooms) {
        for body in &bad_bodies {
            seen.post(server, path, &[bearer(&host_token)], body);
        }
        let forged = format!("{}A", &host_token[..host_token.len() - 1]);
        let bad_headers = [
            bearer(&forged),
            bearer(JWT_SECRET),
            format!("authorization: Basic {host_token}"),
            format!("authorization: Bearer {}", "z".repeat(5_000)),
            format!("x-request-id: {host_token}"),
            format!("idempotency-key: {}", host_token.repeat(3)),
        ];
        for header in bad_headers {
            seen.post(server, path, &[header], &room.to_string());
        }
    }
    for path in [
        format!("/rooms/active?token={host_token}"),
        format!("/rooms/{host_token}"),
        format!("/{signature}"),
        "/rooms/active".to_owned(),
        "/health".to_owned(),
        "/ready".to_owned(),
        "/nowhere".to_owned(),
    ] {
        let path = path.replace(' ', "");
        let answer = server.get(&path);
        seen.keep("any", answer);
    }
}

/// A whole life of two servers, told to anybody who listens.
fn nobody_is_told_a_secret(on: On) {
    let Some(place) = Place::new(on) else {
        return;
    };
    let url = place.url().replacen('@', &format!(":{PASSWORD}@"), 1);
    let settings = [
        ("DATABASE_URL", url.as_str()),
        ("RECEIPT_SIGNING_KEY", RECEIPT_KEY),
        ("RUST_LOG", "trace"),
    ];
    let mut seen = Secrets::of_the_server();
    // Somebody's commit fails, which is told.
    let failing = [
        &settings[..],
        &[("SESSION_FAILPOINTS", "request.commit.before=error@9")],
    ];
    let mut first = place.serve(&failing.concat());
    tour(&first, &mut seen);
    // A nonce that is asked for and never used: a worker is to remove it.
    let unused = Person::new("canary who never signs");
    seen.wallets.push(unused.wallet.clone());
    let ask = json!({"wallet": unused.wallet}).to_string();
    seen.post(&first, "/auth/nonce", &[], &ask);
    seen.assert_not_in("the metrics", &first.get("/metrics").body);
    assert!(first.process.terminate().success(), "{}", first.process);

    // Workers fail at all that is due then, which is told with the names of rows.
    let all: Vec<String> = (1..=16)
        .map(|pass| format!("worker.commit.before=error@{pass}"))
        .collect();
    let all = all.join(",");
    let late = [
        ("SESSION_CLOCK_OFFSET_SECONDS", AFTER_NONCES),
        ("SESSION_FAILPOINTS", all.as_str()),
        ("LOG_FORMAT", "json"),
    ];
    let mut second = place.serve(&[&settings[..], &late].concat());
    let line = second.process.read_until(r#""key":"challenge/"#);
    assert!(line.contains('…'), "the name of the row is told: {line}");
    seen.assert_not_in("the metrics", &second.get("/metrics").body);
    assert!(second.process.terminate().success(), "{}", second.process);

    seen.assert_answers();
    let spoken = ["answered", "store failed", "0x", "…"];
    for (process, words) in [
        (&first.process, &spoken[..]),
        (&second.process, &spoken[..1]),
    ] {
        let log = process.to_string();
        // It does talk, and of these.
        for words in words {
            assert!(log.contains(words), "nothing of {words}: {log}");
        }
        seen.assert_not_in("the log", &log);
        let whole: Vec<&str> = log.lines().filter(|line| has_whole_wallet(line)).collect();
        let is_our_own = |line: &&str| line.contains("receipts are signed by");
        assert!(whole.iter().all(is_our_own), "whole wallets: {whole:?}");
    }
}

/// Whether a line has an address in full, whoever's.
fn has_whole_wallet(line: &str) -> bool {
    line.match_indices("0x").any(|(at, _)| {
        let digits = line[at + 2..].bytes().take_while(u8::is_ascii_hexdigit);
        digits.count() == 40
    })
}

#[test]
fn nobody_is_told_a_secret_by_a_server_on_a_file() {
    nobody_is_told_a_secret(On::Sqlite);
}

#[test]
fn nobody_is_told_a_secret_by_a_server_on_postgres() {
    nobody_is_told_a_secret(On::Postgres);
}

/// The names in the table of the operator's page.
fn documented() -> BTreeSet<String> {
    include_str!("../../../../docs/operations.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `session_"))
        .filter_map(|rest| rest.split_once('`'))
        // The tables of the database are on that page, too, and `session_migrations` in one of them.
        .filter(|(name, _)| *name != "migrations")
        .map(|(name, _)| format!("session_{name}"))
        .collect()
}

/// The metrics that a text of Prometheus declares, of those that say what they are.
fn exposed(text: &str) -> BTreeSet<String> {
    let named = |word: &str| -> BTreeSet<String> {
        text.lines()
            .filter_map(|line| line.strip_prefix(word)?.split(' ').next())
            .filter(|name| name.starts_with("session_"))
            .map(str::to_owned)
            .collect()
    };
    let typed = named("# TYPE ");
    assert_eq!(typed, named("# HELP "), "each is described");
    typed
}

#[test]
fn the_operators_page_names_the_metrics_that_there_are() {
    let place = Place::new(On::Sqlite).expect("a file");
    let server = place.serve(&[]);
    let person = Person::new("metered");
    let room = person.opens(&server);
    person.joins(&server, &room);
    let (status, _) = person.call(&server, "/rooms/join", &room);
    assert_eq!(status, 409);
    // Workers have sealed something, and so claimed what was due.
    until("every metric is there", &server, || {
        exposed(&server.get("/metrics").body).is_superset(&documented())
    });
    let text = server.get("/metrics").body;
    assert_eq!(exposed(&text), documented());
    for unit in exposed(&text) {
        let is_named = ["_seconds", "_total", "_in_flight"]
            .iter()
            .any(|end| unit.ends_with(end));
        assert!(is_named, "{unit} does not say what it counts");
    }
    for line in [
        r#"session_http_refusals_total{route="/rooms/join",code="already_in_free_room"} 1"#,
        "session_sign_ins_total 0",
        r#"session_store_failures_total{call="commit",kind="corrupt"} 0"#,
        // The request that asks.
        "session_http_requests_in_flight 1",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
}

#[test]
fn a_request_has_a_line_with_its_room_and_some_of_its_wallet() {
    let place = Place::new(On::Sqlite).expect("a file");
    let mut server = place.serve(&[]);
    let person = Person::new("told of");
    let room = person.opens(&server);
    let answer = person.attempt(&server, "/rooms/join", None, &room);
    let answer = answer.expect("an answer");
    let id = answer.header("x-request-id").expect("an id").to_owned();
    assert_eq!(parsed(&answer).0, 200);
    let line = server.process.read_until(&id);
    let wallet = &person.wallet;
    let shortened = format!("{}…{}", &wallet[..6], &wallet[wallet.len() - 4..]);
    let room = room["room_id"].as_str().expect("an id");
    for word in [
        "POST",
        "/rooms/join",
        "answered",
        "status=200",
        "duration_seconds=0.",
        &shortened,
        room,
    ] {
        assert!(line.contains(word), "no {word} in {line}");
    }
}
