//! Removals, as a LiveKit server sees them. The server here is a listener that answers what each
//! test tells it to.
#![cfg(feature = "livekit")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::sync::Arc;

use serde_json::{Value, json};
use session_clients::HttpLimits;
use session_clients::livekit::LiveKitRooms;
use session_core::media::livekit::{ApiCredentials, ApiKey, ApiKeys, ApiSecret, ServerUrl};
use session_core::media::{Channel, MediaUid};
use session_core::outbox::{Effect, Intent, IntentClass, Outcome};
use session_core::ports::{Clock, Effects};
use session_core::types::{IntentKey, Seconds, Timestamp};
use session_testkit::time::ManualClock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const NOW: Timestamp = Timestamp::from_unix(1_800_000_000);

fn credentials() -> ApiCredentials {
    ApiCredentials {
        key: ApiKey::parse("APIkey").unwrap(),
        secret: ApiSecret::parse("canary-secret-canary-secret-canary").unwrap(),
    }
}

fn removal() -> Intent {
    let effect = Effect::RemoveFromChannel {
        connection: None,
        channel: Channel::parse("room-1").unwrap(),
        uid: MediaUid::new(42).unwrap(),
    };
    let created_at = NOW.before(Seconds::new(5));
    let key = IntentKey::derive("test", &[]);
    Intent::new(key, IntentClass::Repeatable, effect, created_at)
}

fn rooms(port: u16) -> LiveKitRooms {
    let url = ServerUrl::parse(&format!("ws://127.0.0.1:{port}/lk")).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(NOW));
    LiveKitRooms::new(&url, credentials(), clock, HttpLimits::default()).unwrap()
}

/// What comes of a removal at a server that gives this answer, and the request that it got.
async fn removed(answer: String) -> (Outcome, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !is_whole(&request) {
            let mut some = [0; 4096];
            let read = stream.read(&mut some).await.unwrap();
            assert!(read > 0, "the request ended early");
            request.extend_from_slice(&some[..read]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        String::from_utf8(request).unwrap()
    });
    let outcome = rooms(port).perform(&removal()).await;
    (outcome, server.await.unwrap())
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse::<usize>().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
        connection: close\r\n\r\n{body}"
    )
}

#[tokio::test]
async fn a_removal_names_room_and_participant_under_a_token_of_its_own() {
    let (outcome, request) = removed(answer("200 OK", "{}")).await;
    assert_eq!(outcome, Outcome::Done);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /lk/twirp/livekit.RoomService/RemoveParticipant HTTP/1.1"));
    let body: Value = serde_json::from_str(body).unwrap();
    let since = NOW.before(Seconds::new(5)).unix();
    assert_eq!(
        body,
        json!({ "room": "room-1", "identity": "42", "revoke_token_ts": since })
    );
    let mut lines = head.lines();
    let token = lines.find_map(|line| line.strip_prefix("authorization: Bearer "));
    let keys = ApiKeys::new(vec![credentials()]).unwrap();
    let claims = keys.verify(token.unwrap(), NOW, Seconds::ZERO).unwrap();
    assert_eq!(claims.exp, NOW.after(Seconds::new(60)));
    assert_eq!(claims.identity(), None, "of no participant");
    let video = claims.video.unwrap();
    assert_eq!(
        (video.room.as_deref(), video.room_admin),
        (Some("room-1"), Some(true))
    );
    assert_eq!(video.room_join, None);
}

#[tokio::test]
async fn who_is_not_there_is_out_and_a_wrong_address_is_no_such_answer() {
    let gone = r#"{"code":"not_found","msg":"participant does not exist"}"#;
    let (outcome, _) = removed(answer("404 Not Found", gone)).await;
    assert_eq!(outcome, Outcome::Done);
    for body in ["", "<html>", r#"{"code":"bad_route"}"#] {
        let (outcome, _) = removed(answer("404 Not Found", body)).await;
        let expected = "the media server answered 404".to_owned();
        assert_eq!(outcome, Outcome::NotDone(expected), "{body}");
    }
}

#[tokio::test]
async fn refusals_are_told_apart_from_silence_and_in_our_own_words() {
    for status in [
        "401 Unauthorized",
        "429 Too Many Requests",
        "500 Oops",
        "302 Found",
    ] {
        let canary = r#"{"code":"x","msg":"canary"}"#;
        let (outcome, _) = removed(answer(status, canary)).await;
        let code = status.split(' ').next().unwrap();
        let expected = format!("the media server answered {code}");
        assert_eq!(outcome, Outcome::NotDone(expected));
    }
    let (outcome, _) = removed(String::new()).await;
    assert!(matches!(outcome, Outcome::NoAnswer(_)), "{outcome:?}");
    let endless = answer("200 OK", &"x".repeat(100_000));
    let (outcome, _) = removed(endless).await;
    assert_eq!(outcome, Outcome::Done, "its body says nothing");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let outcome = rooms(port).perform(&removal()).await;
    assert!(matches!(outcome, Outcome::NotDone(_)), "{outcome:?}");
}

#[test]
fn nothing_of_the_secret_is_shown() {
    let shown = format!("{:?}", rooms(1));
    assert!(!shown.contains("canary"), "{shown}");
}
