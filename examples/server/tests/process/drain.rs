//! A server that is told to stop while much is under way.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use serde_json::{Value, json};

use crate::clock::unix_now;
use crate::people::Person;
use crate::place::{On, Place};
use crate::server::{PATIENCE, Server};

/// Connections that are kept busy.
const BUSY: usize = 8;
/// Answers that each of them has had before the server is told to stop.
const ANSWERS_FIRST: usize = 20;
/// Rows that are under a claim which still holds.
const CLAIMED: &str = "SELECT count(*) FROM work WHERE leased_until > ";

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// All of an answer, and whether it says that the connection ends.
    Whole {
        status: u16,
        body: Value,
        is_last: bool,
    },
    /// Not a byte of an answer.
    Closed,
    /// A part of an answer.
    Cut(String),
}

/// A connection that is used for one request after the other.
struct Connection {
    stream: TcpStream,
    address: String,
}

impl Connection {
    fn to(server: &Server) -> Self {
        let stream = TcpStream::connect(&server.address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
        let address = server.address.clone();
        Self { stream, address }
    }

    /// Sends a request and reads its answer to the end, and not further.
    fn ask(&mut self, path: &str, token: &str, body: &str) -> Outcome {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
            content-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        // Where this fails there may still be an answer to the one before, but none is owed.
        if self.stream.write_all(request.as_bytes()).is_err() {
            return Outcome::Closed;
        }
        self.answer()
    }

    fn answer(&mut self) -> Outcome {
        let mut text = String::new();
        let mut piece = [0; 4096];
        loop {
            let read = match self.stream.read(&mut piece) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
                Err(error) => panic!("the server neither answers nor closes: {error}"),
            };
            if read == 0 {
                return match text.is_empty() {
                    true => Outcome::Closed,
                    false => Outcome::Cut(text),
                };
            }
            text.push_str(std::str::from_utf8(&piece[..read]).expect("text"));
            if let Some(whole) = whole(&text) {
                return whole;
            }
        }
    }
}

/// The answer, if the text is all of it.
fn whole(text: &str) -> Option<Outcome> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let head = head.to_lowercase();
    let value = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let length: usize = value("content-length")?.parse().expect("a length");
    assert!(body.len() <= length, "more than one answer: {text}");
    let status = head.split(' ').nth(1)?.parse().expect("a status");
    let is_last = value("connection") == Some("close");
    (body.len() == length).then(|| Outcome::Whole {
        status,
        body: serde_json::from_str(body).expect("a body of JSON"),
        is_last,
    })
}

/// What a connection asks for all the time.
enum Doing {
    /// Heartbeats of a stay.
    Beating(Value),
    /// Joins a room, and leaves it again.
    Visiting(Value),
}

impl Doing {
    /// What it asks next, after this answer.
    fn next(&self, last: Option<&Outcome>) -> (&'static str, Value) {
        match self {
            Self::Beating(stay) => ("/rooms/heartbeat", stay.clone()),
            Self::Visiting(room) => {
                let body = match last {
                    Some(Outcome::Whole { body, .. }) => body.clone(),
                    _ => Value::Null,
                };
                if body["connection_id"].is_string() {
                    ("/rooms/leave", body)
                } else {
                    ("/rooms/join", room.clone())
                }
            }
        }
    }

    /// Asks on and on, until the connection ends. What came of every request.
    fn keep_busy(
        &self,
        mut connection: Connection,
        token: &str,
        is_warm: &Sender<()>,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        loop {
            let (path, body) = self.next(outcomes.last());
            let outcome = connection.ask(path, token, &body.to_string());
            let goes_on = matches!(outcome, Outcome::Whole { .. });
            outcomes.push(outcome);
            if outcomes.len() == ANSWERS_FIRST {
                // Nobody waits for it where the test has failed.
                let _ = is_warm.send(());
            }
            if !goes_on {
                return outcomes;
            }
        }
    }
}

/// Knocks for a while. Something is held up meanwhile, for which the server has to wait: one that
/// does not would be gone by then.
fn nobody_comes_in(server: &Server) {
    let until = unix_now() + 3;
    while unix_now() < until {
        let refused = TcpStream::connect(&server.address).map(|_| ());
        let refused = refused.map_err(|error| error.kind());
        assert_eq!(refused, Err(ErrorKind::ConnectionRefused));
    }
}

#[test]
fn every_request_is_answered_whole_or_not_at_all() {
    let place = Place::new(On::Sqlite).expect("a file");
    let mut server = place.serve(&[
        ("SESSION_FAILPOINTS", "request.commit.before=pause@200"),
        ("SESSION_SHUTDOWN_SECONDS", "100"),
    ]);
    let mut idle = Connection::to(&server);
    let people: Vec<Person> = (0..BUSY)
        .map(|number| Person::new(&format!("busy {number}")))
        .collect();
    let (is_warm, warm) = channel();
    let mut busy = Vec::new();
    for pair in people.chunks(2) {
        let room = pair[0].opens(&server);
        let stay = pair[0].joins(&server, &room);
        for (person, doing) in pair
            .iter()
            .zip([Doing::Beating(stay), Doing::Visiting(room)])
        {
            let (connection, token) = (Connection::to(&server), person.token().to_owned());
            let is_warm = is_warm.clone();
            busy.push(thread::spawn(move || {
                doing.keep_busy(connection, &token, &is_warm)
            }));
        }
    }
    // Of somebody else, since whoever is busy is soon told that it is too much.
    let answered = idle.ask("/rooms/heartbeat", Person::new("idle").token(), "{}");
    assert!(
        matches!(answered, Outcome::Whole { status: 400, .. }),
        "{answered:?}"
    );
    for _ in &people {
        warm.recv_timeout(PATIENCE).expect("everybody is served");
    }
    server.process.read_until("the call waits for SIGUSR1");

    server.process.signal("TERM");
    server.process.read_until("draining");
    nobody_comes_in(&server);
    server.process.signal("USR1");
    let status = server.process.wait();
    assert_eq!(status.code(), Some(0), "{}", server.process);
    let log = server.process.to_string();
    assert!(!log.contains("before everything had ended"), "{log}");

    assert_eq!(idle.answer(), Outcome::Closed);
    let mut answered_last = 0;
    for (number, connection) in busy.into_iter().enumerate() {
        let mut outcomes = connection.join().expect("it does not panic");
        assert_eq!(outcomes.pop(), Some(Outcome::Closed), "of {number}");
        for outcome in outcomes {
            let Outcome::Whole {
                status,
                body,
                is_last,
            } = outcome
            else {
                panic!("of {number}: {outcome:?}");
            };
            assert!(status < 500, "of {number}: {status}, {body}; {log}");
            answered_last += usize::from(is_last);
        }
    }
    assert!(answered_last > 0, "who was held up is answered");
    let claimed = place.count(&format!("{CLAIMED}{}", unix_now()));
    assert_eq!(claimed, 0, "no claim is left behind");
    assert_eq!(place.broken(), Vec::<String>::new());
}

#[test]
fn a_worker_ends_its_pass_and_leaves_no_claim_behind() {
    let place = Place::new(On::Sqlite).expect("a file");
    let first = place.serve(&[]);
    let person = Person::new("looked at");
    person.joins(&first, &person.opens(&first));
    drop(first);
    // Half a minute later somebody looks at the seat.
    let mut server = place.serve(&[
        ("SESSION_CLOCK_OFFSET_SECONDS", "40"),
        ("SESSION_FAILPOINTS", "worker.claim.after=pause@1"),
        ("SESSION_SHUTDOWN_SECONDS", "100"),
    ]);
    server.process.read_until("the call waits for SIGUSR1");
    let now = unix_now() + 40;
    let claimed = |which: &str| place.count(&format!("{CLAIMED}{now} {which}"));
    // Somebody may be sealing just now.
    assert_eq!(claimed("AND lane = 'seats'"), 1, "the worker holds it");
    server.process.signal("TERM");
    server.process.read_until("draining");
    nobody_comes_in(&server);
    server.process.signal("USR1");
    let status = server.process.wait();
    assert_eq!(status.code(), Some(0), "{}", server.process);
    assert_eq!(claimed(""), 0, "{}", server.process);
}

#[test]
fn a_stream_of_events_ends_whole_when_the_server_is_told_to_stop() {
    let place = Place::new(On::Sqlite).expect("a file");
    // Long before a silent participant is evicted, which would end its stream as well.
    let mut server = place.serve(&[("SESSION_SHUTDOWN_SECONDS", "20")]);
    let person = Person::new("listening");
    let room = person.opens(&server);
    person.joins(&server, &room);
    let id = room["room_id"].as_str().expect("an id");
    let mut stream = Connection::to(&server).stream;
    let request = format!(
        "GET /rooms/{id}/events HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\r\n",
        server.address,
        person.token()
    );
    stream.write_all(request.as_bytes()).expect("it is read");
    let mut text = String::new();
    let mut piece = [0; 4096];
    while !text.contains("event: reset") {
        let read = stream.read(&mut piece).expect("it goes on");
        assert!(read > 0, "it ended: {text}");
        text.push_str(std::str::from_utf8(&piece[..read]).expect("text"));
    }
    server.process.signal("TERM");
    stream.read_to_string(&mut text).expect("it ends");
    // The end of a body in chunks.
    assert!(text.ends_with("\r\n0\r\n\r\n"), "{text}");
    let status = server.process.wait();
    assert_eq!(status.code(), Some(0), "{}", server.process);
    let log = server.process.to_string();
    assert!(!log.contains("before everything had ended"), "{log}");
}

/// A request that does not end, a server that is told to stop, and what else is done to it.
fn with_a_request_that_hangs(shutdown_seconds: &str, then: impl Fn(&mut Server)) {
    let place = Place::new(On::Sqlite).expect("a file");
    let mut server = place.serve(&[
        ("SESSION_FAILPOINTS", "request.commit.before=pause@1"),
        ("SESSION_SHUTDOWN_SECONDS", shutdown_seconds),
    ]);
    let mut connection = Connection::to(&server);
    let ask = json!({"wallet": Person::new("hung").wallet}).to_string();
    let hung = thread::spawn(move || connection.ask("/auth/nonce", "", &ask));
    server.process.read_until("the call waits for SIGUSR1");
    server.process.signal("TERM");
    server.process.read_until("draining");
    then(&mut server);
    let status = server.process.wait();
    assert_eq!(status.code(), Some(0), "{}", server.process);
    let log = server.process.to_string();
    assert!(log.contains("stopped before everything had ended"), "{log}");
    assert_eq!(hung.join().expect("it does not panic"), Outcome::Closed);
    let nonces = place.count("SELECT count(*) FROM challenge");
    assert_eq!(nonces, 0, "nothing of it is written");
    assert_eq!(place.broken(), Vec::<String>::new());
}

#[test]
fn a_request_that_hangs_is_dropped_at_the_bound() {
    with_a_request_that_hangs("1", |_| {});
}

#[test]
fn a_second_signal_ends_it_at_once() {
    with_a_request_that_hangs("100000", |server| server.process.signal("TERM"));
}
