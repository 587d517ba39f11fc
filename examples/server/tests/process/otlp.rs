//! Spans of requests on their way to a collector.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::json;

use crate::people::Person;
use crate::place::{On, Place};

/// A collector on the loopback interface: where it listens, and what it is sent.
fn collector() -> (String, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it has one");
    let (sender, sent) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            while !is_whole(&request) {
                let read = stream.read(&mut piece).expect("it reads");
                assert!(read > 0, "half a request");
                request.extend_from_slice(&piece[..read]);
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            // Told first, so that it is known when the server has ended.
            let _ = sender.send(request);
            stream.write_all(answer.as_bytes()).expect("it writes");
        }
    });
    (format!("http://{address}"), sent)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).into_owned();
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        line.to_lowercase()
            .strip_prefix("content-length: ")?
            .parse()
            .ok()
    });
    let length: usize = length.expect("a length");
    request.len() >= head.len() + 4 + length
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes
        .windows(word.len())
        .any(|window| window == word.as_bytes())
}

#[test]
fn spans_of_requests_arrive_and_tell_what_the_log_tells() {
    let (endpoint, sent) = collector();
    let place = Place::new(On::Sqlite).expect("a file");
    let mut server = place.serve(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    let person = Person::new("traced");
    let room = person.opens(&server);
    person.joins(&server, &room);
    let (status, _) = person.call(&server, "/rooms/join", &json!({"room_id": "nowhere"}));
    assert_eq!(status, 409);
    assert!(server.process.terminate().success(), "{}", server.process);
    // What was left has been sent when the process has ended.
    let sent: Vec<u8> = sent.try_iter().flatten().collect();
    let wallet = &person.wallet;
    let shortened = format!("{}…{}", &wallet[..6], &wallet[wallet.len() - 4..]);
    let id = room["room_id"].as_str().expect("an id");
    for word in [
        "POST /v1/traces ",
        "session-server",
        "/rooms/join",
        &shortened,
        id,
        "duration_seconds",
    ] {
        assert!(contains(&sent, word), "no {word} was sent");
    }
    for secret in [wallet.as_str(), person.token()] {
        assert!(!contains(&sent, secret), "{secret} was sent");
    }
}
