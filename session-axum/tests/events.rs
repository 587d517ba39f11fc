//! Rooms as their participants see them, streams of events, and lists of changes of credit.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use common::{Server, app};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use session_axum::{App, Limits};
use session_core::crypto::LocalSigner;
use session_core::receipt;
use session_core::types::{Seconds, Wallet};
use tower::ServiceExt;

/// An event as it comes over the wire.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    id: u64,
    name: String,
    body: Value,
}

/// A stream of events.
struct Stream {
    body: Body,
    text: String,
}

impl Stream {
    /// The next event; `None` where the stream has ended.
    async fn next(&mut self) -> Option<Told> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let told = read(event);
                self.text = rest.to_owned();
                if told.is_some() {
                    return told;
                }
                continue;
            }
            let frame = self.body.frame().await?.unwrap();
            if let Ok(bytes) = frame.into_data() {
                self.text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        }
    }

    async fn named(&mut self, name: &str) -> Told {
        let told = self.next().await.unwrap();
        assert_eq!(told.name, name, "{told:?}");
        assert_eq!(told.body["type"], name);
        told
    }
}

/// `None` for a line that only keeps the connection alive.
fn read(event: &str) -> Option<Told> {
    let field = |name: &str| {
        let mut lines = event.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    Some(Told {
        id: field("id")?.parse().unwrap(),
        name: field("event")?.to_owned(),
        body: serde_json::from_str(field("data")?).unwrap(),
    })
}

async fn listen(server: &Server, wallet: Wallet, room: &str, after: Option<&str>) -> (u16, Stream) {
    let mut request = Request::get(format!("/rooms/{room}/events"))
        .header("authorization", format!("Bearer {}", server.token(wallet)));
    if let Some(after) = after {
        request = request.header("last-event-id", after);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = server.routes.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let stream = Stream {
        body: response.into_body(),
        text: String::new(),
    };
    (status, stream)
}

async fn stream(server: &Server, wallet: Wallet, room: &str, after: Option<&str>) -> Stream {
    let (status, stream) = listen(server, wallet, room, after).await;
    assert_eq!(status, 200);
    stream
}

async fn leave(server: &Server, wallet: Wallet, stay: &Value) {
    let left = server.post("/rooms/leave", wallet, stay.clone()).await;
    assert_eq!(left.status, 200, "{}", left.text);
}

fn with_receipts(app: App) -> App {
    app.with_receipts(Arc::new(LocalSigner::from_bytes(&[9; 32]).unwrap()))
}

fn receipt_of(told: &Told) -> receipt::StayReceipt {
    let text = told.body["receipt"].as_str().unwrap();
    let key = LocalSigner::from_bytes(&[9; 32]).unwrap();
    receipt::verify(text, key.wallet()).unwrap()
}

// Time of the runtime stands still and jumps to the next look, so nobody waits for anything.
#[tokio::test(start_paused = true)]
async fn a_listener_is_sent_the_room_and_then_what_happens_in_it() {
    let server = Server::with(with_receipts);
    let (host, guest) = (server.funded(1, 1800).await, server.funded(2, 1800).await);
    let room = server.room(host).await;
    server.seat(host, &room).await;
    let mut events = stream(&server, host, &room, None).await;
    let reset = events.named("reset").await;
    assert_eq!(
        reset.body["room"],
        server.get(&format!("/rooms/{room}"), host).await.json()
    );

    let stay = server.seat(guest, &room).await;
    let joined = events.named("joined").await;
    assert_eq!(joined.body["wallet"], guest.to_string());
    assert_eq!(joined.body["is_host"], false);
    assert_eq!(joined.id, reset.id + 1);
    server.bench.clock.advance(Seconds::new(5));
    leave(&server, guest, &stay).await;
    let left = events.named("left").await;
    assert_eq!(left.body["wallet"], guest.to_string());
    assert_eq!(left.body.get("receipt"), None, "somebody else's");
}

#[tokio::test(start_paused = true)]
async fn whoever_was_away_goes_on_after_what_it_has_heard_of() {
    let server = Server::new();
    let (host, guest) = (server.funded(1, 1800).await, server.funded(2, 1800).await);
    let room = server.room(host).await;
    server.seat(host, &room).await;
    let stay = server.seat(guest, &room).await;
    leave(&server, guest, &stay).await;
    let mut all = stream(&server, host, &room, Some("0")).await;
    let ids = [
        all.named("joined").await.id,
        all.named("joined").await.id,
        all.named("left").await.id,
    ];
    assert_eq!(ids, [1, 2, 3]);
    let mut rest = stream(&server, host, &room, Some("2")).await;
    assert_eq!(rest.named("left").await.id, 3);
    for odd in ["4", "-1", "x", ""] {
        let mut anew = stream(&server, host, &room, Some(odd)).await;
        assert_eq!(anew.named("reset").await.id, 3, "{odd}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_forgotten_is_made_up_for_by_the_whole_room() {
    let server = Server::new();
    let (host, guest) = (
        server.funded(1, 100_000).await,
        server.funded(2, 1800).await,
    );
    let room = server.room(host).await;
    let stay = server.seat(host, &room).await;
    let mut slow = stream(&server, host, &room, Some("0")).await;
    slow.named("joined").await;
    for _ in 0..130 {
        server.bench.pass(Seconds::new(30)).await.unwrap();
        let beat = server.post("/rooms/heartbeat", host, stay.clone()).await;
        assert_eq!(beat.status, 200);
    }
    server.bench.work().await.unwrap();
    server.seat(guest, &room).await;
    let mut late = stream(&server, host, &room, Some("0")).await;
    let reset = late.named("reset").await;
    assert_eq!(
        reset.body["room"]["participants"].as_array().unwrap().len(),
        2
    );
    assert_eq!(reset.id, 2);
}

#[tokio::test(start_paused = true)]
async fn credit_is_told_to_its_owner_alone() {
    let server = Server::new();
    let (host, guest) = (server.funded(1, 1800).await, server.funded(2, 310).await);
    let room = server.room(host).await;
    server.seat(host, &room).await;
    let stay = server.seat(guest, &room).await;
    let mut own = stream(&server, guest, &room, Some("2")).await;
    let mut others = stream(&server, host, &room, Some("2")).await;
    server.bench.pass(Seconds::new(10)).await.unwrap();
    server.post("/rooms/heartbeat", guest, stay.clone()).await;
    let low = own.named("credits_low").await;
    assert_eq!((low.id, &low.body["remaining_seconds"]), (3, &json!("300")));
    assert_eq!(low.body["wallet"], guest.to_string());
    leave(&server, guest, &stay).await;
    assert_eq!(others.named("left").await.id, 4, "3 was not theirs");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_evicted_or_in_a_room_that_closes_gets_a_receipt_and_the_end() {
    let server = Server::with(with_receipts);
    let hosts = [1, 2, 3].map(|n| server.funded(n, 1800));
    let [host, silent, guest] = {
        let [a, b, c] = hosts;
        [a.await, b.await, c.await]
    };
    let room = server.room(host).await;
    let host_stay = server.seat(host, &room).await;
    let silent_stay = server.seat(silent, &room).await;
    let guest_stay = server.seat(guest, &room).await;
    let mut evicted = stream(&server, silent, &room, None).await;
    let mut closed = stream(&server, guest, &room, None).await;
    evicted.named("reset").await;
    closed.named("reset").await;
    for _ in 0..4 {
        server.bench.pass(Seconds::new(25)).await.unwrap();
        for (wallet, stay) in [(host, &host_stay), (guest, &guest_stay)] {
            server.post("/rooms/heartbeat", wallet, stay.clone()).await;
        }
    }
    server.bench.work().await.unwrap();
    let told = evicted.named("evicted").await;
    assert_eq!(told.body["reason"], "silent");
    assert_eq!(receipt_of(&told).wallet, silent);
    assert_eq!(receipt_of(&told).seconds.get(), 90);
    assert_eq!(
        json!(receipt_of(&told).connection),
        silent_stay["connection_id"]
    );
    assert_eq!(evicted.next().await, None, "its stay is over");
    assert_eq!(closed.named("evicted").await.body.get("receipt"), None);

    leave(&server, host, &host_stay).await;
    closed.named("left").await;
    let end = closed.named("closed").await;
    assert_eq!(end.body["reason"], "host_left");
    assert_eq!(receipt_of(&end).wallet, guest);
    assert_eq!(closed.next().await, None);
    // A client that comes back after the last of it is told not to.
    let (status, _) = listen(&server, guest, &room, Some(&end.id.to_string())).await;
    assert_eq!(status, 204);
    let (status, mut again) = listen(&server, guest, &room, Some(&(end.id - 1).to_string())).await;
    assert_eq!(status, 200);
    again.named("closed").await;
    assert_eq!(again.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_room_is_there_for_its_own_alone() {
    let server = Server::new();
    let (host, guest) = (server.funded(1, 1800).await, server.funded(2, 1800).await);
    let room = server.room(host).await;
    let path = format!("/rooms/{room}");
    let missing = "/rooms/0c0c0c0c-0c0c-4c0c-8c0c-0c0c0c0c0c0c";
    for path in [path.as_str(), missing] {
        for end in ["", "/events"] {
            let answer = server.get(&format!("{path}{end}"), guest).await;
            assert_eq!(
                (answer.status.as_u16(), answer.code().as_str()),
                (404, "not_found")
            );
        }
    }
    for odd in ["/rooms/x", "/rooms/%00", "/rooms/%ff/events"] {
        let answer = server.get(odd, guest).await;
        assert_eq!(
            (answer.status.as_u16(), answer.text.as_str()),
            (404, "404 Not Found")
        );
    }
    let seen = server.get(&path, host).await.json();
    assert_eq!(seen["own"], Value::Null, "a host that has not come in");
    let stay = server.seat(guest, &room).await;
    let seen = server.get(&path, guest).await.json();
    assert_eq!(seen["own"]["connection_id"], stay["connection_id"]);
    assert_eq!(seen["own"]["charged_seconds"], "0");
    assert_eq!(seen["state"], "active");
    assert_eq!(seen["participants"][0]["wallet"], guest.to_string());
    server.bench.clock.advance(Seconds::new(7));
    leave(&server, guest, &stay).await;
    let seen = server.get(&path, guest).await.json();
    assert_eq!(seen["own"]["charged_seconds"], "7");
    assert_eq!(
        (&seen["state"], &seen["own"]["left_reason"]),
        (&json!("closed"), &json!("left"))
    );
    assert_eq!(seen["participants"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn what_happened_before_one_came_is_not_told() {
    let server = Server::new();
    let wallets = [1, 2, 3].map(|n| server.funded(n, 1800));
    let [host, early, late] = {
        let [a, b, c] = wallets;
        [a.await, b.await, c.await]
    };
    let room = server.room(host).await;
    server.seat(host, &room).await;
    let stay = server.seat(early, &room).await;
    leave(&server, early, &stay).await;
    server.bench.clock.advance(Seconds::new(1));
    server.seat(late, &room).await;
    let mut events = stream(&server, late, &room, Some("0")).await;
    let first = events.named("joined").await;
    assert_eq!((first.id, &first.body["wallet"]), (4, &json!(late)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_token_with_logout_and_with_the_server() {
    let (bench, store) = session_testkit::bench::Bench::in_memory(7);
    let app = app(&bench);
    let server = Server {
        routes: session_axum::router(app.clone()),
        bench,
        store,
    };
    let host = server.funded(1, 1800).await;
    let room = server.room(host).await;
    let open = async || {
        let mut events = stream(&server, host, &room, None).await;
        events.named("reset").await;
        events
    };
    let mut expiring = open().await;
    let mut logged_out = open().await;
    let logout = server.post("/auth/logout", host, json!({})).await;
    assert_eq!(logout.status, 204);
    assert_eq!(logged_out.next().await, None);
    assert_eq!(expiring.next().await, None, "the same token");
    server.bench.clock.advance(Seconds::new(1));
    let mut expiring = open().await;
    server.bench.clock.advance(Seconds::new(3601));
    assert_eq!(expiring.next().await, None);
    let room = server.room(host).await;
    let mut drained = stream(&server, host, &room, None).await;
    drained.named("reset").await;
    app.end_streams();
    assert_eq!(drained.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_wallet_may_listen_so_often_and_a_server_to_so_many() {
    let server = Server::with(|app| {
        let mut limits = Limits::without_rates();
        limits.streams_max = 3;
        limits.streams_per_wallet_max = 2;
        app.with_limits(limits)
    });
    let (host, other) = (server.funded(1, 1800).await, server.funded(2, 1800).await);
    let (room, others) = (server.room(host).await, server.room(other).await);
    let mut first = stream(&server, host, &room, None).await;
    let second = stream(&server, host, &room, None).await;
    first.named("reset").await;
    let mut third = stream(&server, host, &room, None).await;
    assert_eq!(first.next().await, None, "the newest pushes out the oldest");
    third.named("reset").await;
    drop(first);
    let fourth = stream(&server, other, &others, None).await;
    assert_eq!(listen(&server, other, &others, None).await.0, 503);
    drop((second, fourth));
    // One that is refused holds no place.
    let missing = "0c0c0c0c-0c0c-4c0c-8c0c-0c0c0c0c0c0c";
    for _ in 0..5 {
        assert_eq!(listen(&server, other, missing, None).await.0, 404);
    }
    assert_eq!(listen(&server, other, &others, None).await.0, 200);
}

#[tokio::test]
async fn changes_of_credit_come_newest_first_page_by_page_and_add_up() {
    let server = Server::new();
    let host = session_testkit::bench::Bench::wallet(1);
    server.bench.names.give(host, "host");
    let room = server.room(host).await;
    let stay = server.seat(host, &room).await;
    for _ in 0..30 {
        server.bench.clock.advance(Seconds::new(2));
        server.post("/rooms/heartbeat", host, stay.clone()).await;
    }
    let (mut cursor, mut items, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let path = format!("/credits/events?limit=7{cursor}");
        let page = server.get(&path, host).await.json();
        items.extend(page["items"].as_array().unwrap().clone());
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((items.len(), pages), (31, 5));
    let number = |item: &Value, name: &str| item[name].as_str().unwrap().parse::<i64>().unwrap();
    let sum: i64 = items.iter().map(|item| number(item, "delta_seconds")).sum();
    assert_eq!(u64::try_from(sum).unwrap(), server.remaining(host).await);
    assert_eq!(number(&items[0], "balance_after_seconds"), sum);
    for pair in items.windows(2) {
        let before = number(&pair[0], "balance_after_seconds") - number(&pair[0], "delta_seconds");
        assert_eq!(number(&pair[1], "balance_after_seconds"), before);
        assert!(pair[0]["created_at"].as_u64() >= pair[1]["created_at"].as_u64());
    }
    assert_eq!(items[0]["event_type"], "debit_usage");
    assert_eq!(items[0]["connection_id"], stay["connection_id"]);
    let first = items.last().unwrap();
    assert_eq!(
        (&first["event_type"], &first["connection_id"]),
        (&json!("grant_base"), &Value::Null)
    );
    let other = session_testkit::bench::Bench::wallet(2);
    let none = server.get("/credits/events", other).await.json();
    assert_eq!(
        (&none["items"], &none["next_cursor"]),
        (&json!([]), &Value::Null)
    );
    for (query, code) in [
        ("limit=0", "invalid_limit"),
        ("limit=101", "invalid_limit"),
        ("limit=x", "invalid_limit"),
        ("cursor=x", "invalid_cursor"),
        ("cursor=", "invalid_cursor"),
        ("limits=1", "unknown_member"),
        ("limit=1&limit=2", "unknown_member"),
        ("cursor=MToxOng", "invalid_cursor"),
    ] {
        let answer = server.get(&format!("/credits/events?{query}"), host).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, code),
            "{query}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_kept_by_nobody_on_the_way() {
    let server = Server::new();
    let host = server.funded(1, 1800).await;
    let room = server.room(host).await;
    let request = Request::get(format!("/rooms/{room}/events"))
        .header("authorization", format!("Bearer {}", server.token(host)))
        .body(Body::empty())
        .unwrap();
    let response = server.routes.clone().oneshot(request).await.unwrap();
    let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-accel-buffering"), "no");
    assert_eq!(header("x-content-type-options"), "nosniff");
}

#[tokio::test(start_paused = true)]
async fn whoever_has_left_does_not_look_on() {
    let server = Server::new();
    let (host, guest) = (server.funded(1, 1800).await, server.funded(2, 1800).await);
    let room = server.room(host).await;
    server.seat(host, &room).await;
    let stay = server.seat(guest, &room).await;
    let path = format!("/rooms/{room}");
    let participants = async |wallet| {
        let seen = server.get(&path, wallet).await.json();
        seen["participants"].as_array().unwrap().len()
    };
    assert_eq!(
        (participants(host).await, participants(guest).await),
        (2, 2)
    );
    leave(&server, guest, &stay).await;
    assert_eq!(
        (participants(host).await, participants(guest).await),
        (1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_end_behind_a_page_of_what_is_not_told_is_told() {
    let server = Server::new();
    let (host, guest) = (
        server.funded(1, 100_000).await,
        server.funded(2, 1800).await,
    );
    let room = server.room(host).await;
    server.seat(host, &room).await;
    // More than a page of events before the guest comes.
    for n in 10..65 {
        let other = server.funded(n, 1800).await;
        let stay = server.seat(other, &room).await;
        leave(&server, other, &stay).await;
    }
    server.bench.clock.advance(Seconds::new(1));
    let stay = server.seat(guest, &room).await;
    leave(&server, guest, &stay).await;
    let mut events = stream(&server, guest, &room, Some("0")).await;
    events.named("joined").await;
    assert_eq!(events.named("left").await.body["wallet"], guest.to_string());
    assert_eq!(events.next().await, None);
}
