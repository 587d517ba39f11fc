//! The server is killed while it answers: what was decided is there whole or not at all, and
//! whoever asks again finds out.

use serde_json::{Value, json};

use crate::clock::until;
use crate::people::{Person, parsed, refusal};
use crate::place::{On, Place};
use crate::server::Server;

/// What is asked of the server that is killed.
struct Asked<'a> {
    who: &'a Person,
    path: &'a str,
    body: Value,
    /// What counts the effect: 0 before it, 1 after it.
    effect: String,
    /// What a repeat without a key is told once it has happened.
    repeated: (u16, &'a str),
}

impl Asked<'_> {
    /// Asks a server that is killed at a point, and then another one twice.
    fn is_killed(&self, place: &Place, point: &str, key: Option<&str>) {
        let told = format!("{} killed at {point}, key {key:?}", self.path);
        let happened = || place.count(&self.effect);
        assert_eq!(happened(), 0, "{told}");
        let failpoints = format!("{point}=kill@1");
        let mut server = place.serve(&[("SESSION_FAILPOINTS", &failpoints)]);
        let answer = self.who.attempt(&server, self.path, key, &self.body);
        assert!(answer.is_none(), "{told} answers {answer:?}");
        let status = server.process.wait();
        assert!(!status.success(), "{told}: {status}");
        let is_there = point.ends_with("after");
        assert_eq!(happened(), i64::from(is_there), "{told}");

        let server = place.serve(&[]);
        let again = self.ask(&server, key);
        if is_there && key.is_none() {
            assert_eq!(refusal(&again), self.repeated, "{told}: {again:?}");
        } else {
            assert_eq!(again.0, 200, "{told}: {again:?}");
        }
        assert_eq!(happened(), 1, "{told}: {again:?}");
        if let Some(key) = key {
            assert_eq!(self.ask(&server, Some(key)), again, "{told}");
            assert_eq!(happened(), 1, "{told}");
        }
        assert_eq!(place.broken(), Vec::<String>::new(), "{told}");
    }

    fn ask(&self, server: &Server, key: Option<&str>) -> (u16, Value) {
        let answer = self.who.attempt(server, self.path, key, &self.body);
        parsed(&answer.expect("nothing ends this one"))
    }
}

/// Every route that changes something, one after the other, at each point and with a key or none.
fn everything_is_there_or_not(on: On) {
    let Some(place) = Place::new(on) else {
        return;
    };
    let (code, said) = place.run(&["migrate"], &[]);
    assert_eq!(code, Some(0), "{said}");
    let cases = [
        ("request.commit.before", None),
        ("request.commit.before", Some("key-1")),
        ("request.commit.after", None),
        ("request.commit.after", Some("key-1")),
    ];
    for (number, (point, key)) in cases.into_iter().enumerate() {
        let host = Person::new(&format!("host {number}"));
        let guest = Person::new(&format!("guest {number}"));
        let of =
            |from: &str, who: &Person| format!("SELECT count(*) FROM {from} = '{}'", who.wallet);
        Asked {
            who: &host,
            path: "/rooms/create",
            body: json!({}),
            effect: of("room WHERE host", &host),
            repeated: (409, "already_hosting_free_room"),
        }
        .is_killed(&place, point, key);

        let room = json!({"room_id": place.text(&format!(
            "SELECT id FROM room WHERE host = '{}'", host.wallet
        ))});
        Asked {
            who: &guest,
            path: "/rooms/join",
            body: room.clone(),
            // With the seat comes the credit to sit on it.
            effect: of(
                "seat JOIN transfer ON wallet = credit_owner AND reason = 'grant_base' WHERE wallet",
                &guest,
            ),
            repeated: (409, "already_in_free_room"),
        }
        .is_killed(&place, point, key);

        let connection = place.text(&format!(
            "SELECT connection FROM seat WHERE wallet = '{}'",
            guest.wallet
        ));
        Asked {
            who: &guest,
            path: "/rooms/leave",
            body: json!({"room_id": room["room_id"], "connection_id": connection}),
            effect: of("seat WHERE gone_why = 'left' AND wallet", &guest),
            repeated: (403, "not_your_connection"),
        }
        .is_killed(&place, point, key);

        Asked {
            who: &guest,
            path: "/credits/verify-celo",
            body: json!({}),
            effect: of(
                "transfer WHERE reason = 'grant_celo_bonus' AND credit_owner",
                &guest,
            ),
            // It is told that nothing was granted now.
            repeated: (200, ""),
        }
        .is_killed(&place, point, key);
    }
}

#[test]
fn what_a_killed_server_had_decided_is_there_or_not_in_a_file() {
    everything_is_there_or_not(On::Sqlite);
}

#[test]
fn what_a_killed_server_had_decided_is_there_or_not_in_postgres() {
    everything_is_there_or_not(On::Postgres);
}

#[test]
fn a_repeat_after_the_crash_gets_the_seat_that_was_taken() {
    for on in [On::Sqlite, On::Postgres] {
        let Some(place) = Place::new(on) else {
            continue;
        };
        let (host, guest) = (Person::new("host"), Person::new("guest"));
        let mut server = place.serve(&[]);
        let room = host.opens(&server);
        server.process.kill();
        let mut server = place.serve(&[("SESSION_FAILPOINTS", "request.commit.after=kill@1")]);
        let answer = guest.attempt(&server, "/rooms/join", Some("once"), &room);
        assert!(answer.is_none(), "{answer:?}");
        server.process.wait();
        let connection = place.text("SELECT connection FROM seat");
        let uid = place.count("SELECT uid FROM seat");

        let server = place.serve(&[]);
        let repeated = guest.attempt(&server, "/rooms/join", Some("once"), &room);
        let (status, joined) = parsed(&repeated.expect("nothing ends this one"));
        assert_eq!(status, 200, "{joined}");
        assert_eq!(joined["connection_id"], connection.as_str(), "{joined}");
        assert_eq!(joined["agora_uid"], uid, "{joined}");
        let stay = json!({"room_id": room["room_id"], "connection_id": connection});
        guest.granted(&server, "/rooms/heartbeat", &stay);
    }
}

/// A server dies while it seals: what it had in hand is sealed once, by another.
#[test]
fn what_a_killed_server_was_sealing_is_sealed_once() {
    for on in [On::Sqlite, On::Postgres] {
        let Some(place) = Place::new(on) else {
            continue;
        };
        let blocks = || place.count("SELECT count(*) FROM block");
        for (point, is_there, later) in [
            ("seal.commit.after", 1, "0"),
            // What the dead one has claimed comes up again when its lease is over.
            ("seal.commit.before", 0, "600"),
        ] {
            let failpoints = format!("{point}=kill@1");
            let mut server = place.serve(&[("SESSION_FAILPOINTS", &failpoints)]);
            let before = blocks();
            // Whether it is answered before the server dies is chance.
            let host = Person::new(point);
            let _ = host.attempt(&server, "/rooms/create", None, &json!({}));
            let status = server.process.wait();
            assert!(!status.success(), "{point}: {status}");
            assert_eq!(blocks(), before + is_there, "{point}");
            assert_eq!(place.broken(), Vec::<String>::new(), "{point}");

            let server = place.serve(&[("SESSION_CLOCK_OFFSET_SECONDS", later)]);
            Person::new(&format!("after {point}")).opens(&server);
            until("it is sealed", &server, || {
                place.count("SELECT count(*) FROM unsealed") == 0
            });
            assert_eq!(place.broken(), Vec::<String>::new(), "{point}");
        }
    }
}

#[test]
fn a_call_that_fails_at_a_point_is_answered_with_when_to_come_again() {
    let place = Place::new(On::Sqlite).expect("a file is always there");
    let points = "request.commit.before=error@1,request.commit.after=error@1,request.read=error@9";
    let server = place.serve(&[("SESSION_FAILPOINTS", points)]);
    let host = Person::new("host");
    let rooms = "SELECT count(*) FROM room";
    for is_there in [0, 1] {
        let answer = host.attempt(&server, "/rooms/create", Some("once"), &json!({}));
        let answer = answer.expect("it is not killed");
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        assert!(!answer.body.contains("failpoint"), "{answer:?}");
        assert_eq!(place.count(rooms), is_there);
    }
    let answer = host.attempt(&server, "/rooms/create", Some("once"), &json!({}));
    assert_eq!(answer.expect("it is not killed").status, 200);
    assert_eq!(place.count(rooms), 1);
}
