//! Many requests at one instant, at two servers on one database whose clocks are half a minute
//! apart (`security.md` J1).

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};

use crate::client::{number, text};
use crate::clock::pass_seconds;
use crate::people::{Person, parsed, refusal};
use crate::place::{On, Place};
use crate::server::Server;

/// How far the clock of the second server is ahead.
const AHEAD: &str = "30";

/// Rounds of each race.
const ROUNDS: usize = 2;

type Answer = (u16, Value);

/// Two servers on one database.
struct Stage {
    servers: [Server; 2],
    place: Place,
    round: usize,
}

impl Stage {
    fn server(&self, number: usize) -> &Server {
        &self.servers[number % 2]
    }

    /// A wallet of this round alone.
    fn person(&self, name: &str) -> Person {
        Person::new(&format!("{name} {}", self.round))
    }

    /// Makes calls all at one instant, every other one at the other server.
    fn at_once<T: Send>(&self, calls: Vec<impl FnOnce(&Server) -> T + Send>) -> Vec<T> {
        let barrier = Barrier::new(calls.len());
        thread::scope(|scope| {
            let started: Vec<_> = calls
                .into_iter()
                .enumerate()
                .map(|(number, call)| {
                    let (barrier, server) = (&barrier, self.server(number));
                    scope.spawn(move || {
                        barrier.wait();
                        call(server)
                    })
                })
                .collect();
            let joined = started.into_iter().map(thread::ScopedJoinHandle::join);
            joined.map(|answer| answer.expect("a call")).collect()
        })
    }

    /// One call so many times at once.
    fn times(&self, times: usize, who: &Person, path: &str, body: &Value) -> Vec<Answer> {
        let calls = (0..times).map(|_| move |server: &Server| who.call(server, path, body));
        self.at_once(calls.collect())
    }

    fn count(&self, query: &str, who: &Person) -> i64 {
        self.place
            .count(&format!("SELECT count(*) FROM {query} = '{}'", who.wallet))
    }
}

/// How many were granted; all others must have been refused for one of these reasons.
fn granted(answers: &[Answer], refusals: &[(u16, &str)]) -> usize {
    let refused = answers.iter().filter(|(status, _)| *status != 200);
    let mut count = answers.len();
    for answer in refused {
        assert!(refusals.contains(&refusal(answer)), "{answer:?}");
        count -= 1;
    }
    count
}

fn fifty_joins_seat_six(stage: &Stage) {
    let host = stage.person("host of fifty");
    let room = &host.opens(stage.server(0));
    let guests: Vec<Person> = (0..50)
        .map(|n| stage.person(&format!("guest {n}")))
        .collect();
    let joins = guests
        .iter()
        .map(|guest| move |server: &Server| guest.call(server, "/rooms/join", room));
    let answers = stage.at_once(joins.collect());
    assert_eq!(granted(&answers, &[(409, "room_full")]), 6);
    let room = text(room, "room_id");
    let seats = format!("SELECT count(*) FROM seat WHERE gone_at IS NULL AND room = '{room}'");
    assert_eq!(stage.place.count(&seats), 6);
}

fn one_wallet_takes_one_seat(stage: &Stage) {
    let rooms = [0, 1].map(|n| {
        stage
            .person(&format!("host of room {n}"))
            .opens(stage.server(n))
    });
    let guest = &stage.person("in two rooms");
    // Each room at each server.
    let joins = (0..8).map(|n| {
        let room = &rooms[n / 2 % 2];
        move |server: &Server| guest.call(server, "/rooms/join", room)
    });
    let answers = stage.at_once(joins.collect());
    assert_eq!(granted(&answers, &[(409, "already_in_free_room")]), 1);
    assert_eq!(stage.count("seat WHERE wallet", guest), 1);
}

fn one_host_opens_one_room(stage: &Stage) {
    let host = stage.person("host of several");
    let answers = stage.times(8, &host, "/rooms/create", &json!({}));
    assert_eq!(granted(&answers, &[(409, "already_hosting_free_room")]), 1);
    assert_eq!(stage.count("room WHERE host", &host), 1);
}

fn a_second_is_charged_once(stage: &Stage) {
    let host = stage.person("host who beats");
    let room = host.opens(stage.server(0));
    let stay = host.joins(stage.server(1), &room);
    for _ in 0..2 {
        pass_seconds(2, stage.server(0));
        let answers = stage.times(10, &host, "/rooms/heartbeat", &stay);
        assert_eq!(granted(&answers, &[]), 10);
    }
    let of = |column: &str| {
        let query = format!("SELECT {column} FROM seat WHERE wallet = '{}'", host.wallet);
        stage.place.count(&query)
    };
    let (joined_at, metered_to) = (of("joined_at"), of("metered_to"));
    let present = metered_to - joined_at;
    // A machine that stalled had outages, which are not charged.
    let out = stage.place.outage_seconds(joined_at, metered_to);
    let paid = stage.place.count(&format!(
        "SELECT debits_posted FROM account WHERE kind = 'wallet' AND owner = '{}'",
        host.wallet
    ));
    assert!(
        present >= 2,
        "two seconds passed twice, {present} were seen"
    );
    assert!(
        (present - out..=present).contains(&paid),
        "{paid} of {present}"
    );
}

fn a_nonce_is_used_once(stage: &Stage) {
    let person = stage.person("who signs in");
    let ask = json!({"wallet": person.wallet}).to_string();
    let issued = parsed(&stage.server(0).post("/auth/nonce", &ask)).1;
    let body = &person.signed(&text(&issued, "nonce")).to_string();
    let verify = |server: &Server| parsed(&server.post("/auth/verify", body));
    let answers = stage.at_once(vec![verify; 12]);
    assert_eq!(granted(&answers, &[(401, "invalid or expired nonce")]), 1);
}

fn the_base_grant_is_given_once(stage: &Stage) {
    let room = stage.person("another host").opens(stage.server(1));
    let person = &stage.person("who is new");
    let calls = (0..16).map(|n| {
        let (path, body) = if n / 2 % 2 == 0 {
            ("/rooms/create", json!({}))
        } else {
            ("/rooms/join", room.clone())
        };
        move |server: &Server| person.call(server, path, &body)
    });
    let answers = stage.at_once(calls.collect());
    let refusals = [
        (409, "already_hosting_free_room"),
        (409, "already_in_free_room"),
    ];
    assert!(
        (1..=2).contains(&granted(&answers, &refusals)),
        "{answers:?}"
    );
    let grants = "transfer WHERE reason = 'grant_base' AND amount = 1800 AND credit_owner";
    assert_eq!(stage.count(grants, person), 1);
}

fn the_bonus_is_given_once(stage: &Stage) {
    let person = stage.person("who is verified");
    let answers = stage.times(16, &person, "/credits/verify-celo", &json!({}));
    assert_eq!(granted(&answers, &[]), 16);
    let gave = answers.iter().filter(|(_, body)| body["granted"] == true);
    assert_eq!(gave.count(), 1, "{answers:?}");
    let grants = "transfer WHERE reason = 'grant_celo_bonus' AND credit_owner";
    assert_eq!(stage.count(grants, &person), 1);
}

fn nobody_pays_after_the_end(stage: &Stage) {
    let (host, guest) = (&stage.person("who closes"), &stage.person("who leaves"));
    let room = host.opens(stage.server(0));
    let hosting = &host.joins(stage.server(0), &room);
    let staying = &guest.joins(stage.server(1), &room);
    pass_seconds(2, stage.server(0));
    type Call<'a> = Box<dyn FnOnce(&Server) -> Answer + Send + 'a>;
    let mut calls: Vec<Call<'_>> = vec![
        Box::new(|server| host.call(server, "/rooms/leave", hosting)),
        Box::new(|server| guest.call(server, "/rooms/leave", staying)),
    ];
    for _ in 0..8 {
        calls.push(Box::new(|server| {
            guest.call(server, "/rooms/heartbeat", staying)
        }));
    }
    let answers = stage.at_once(calls);
    let gone = (403, "not_your_connection");
    assert_eq!(granted(&answers[..1], &[]), 1, "{answers:?}");
    granted(&answers[1..], &[gone]);

    let charged = stage.place.count(&format!(
        "SELECT charged FROM seat WHERE wallet = '{}'",
        guest.wallet
    ));
    if answers[1].0 == 200 {
        assert_eq!(
            number(&answers[1].1, "debited_seconds").cast_signed(),
            charged
        );
    }
    pass_seconds(2, stage.server(0));
    for number in 0..2 {
        let late = guest.call(stage.server(number), "/rooms/heartbeat", staying);
        assert_eq!(refusal(&late), gone);
    }
    let paid = stage.place.count(&format!(
        "SELECT debits_posted FROM account WHERE kind = 'wallet' AND owner = '{}'",
        guest.wallet
    ));
    assert_eq!(paid, charged);
}

fn race(on: On) {
    let Some(place) = Place::new(on) else {
        return;
    };
    let servers = [
        place.serve(&[]),
        place.serve(&[("SESSION_CLOCK_OFFSET_SECONDS", AHEAD)]),
    ];
    let mut stage = Stage {
        servers,
        place,
        round: 0,
    };
    for round in 0..ROUNDS {
        stage.round = round;
        for race in [
            fifty_joins_seat_six,
            one_wallet_takes_one_seat,
            one_host_opens_one_room,
            a_second_is_charged_once,
            a_nonce_is_used_once,
            the_base_grant_is_given_once,
            the_bonus_is_given_once,
            nobody_pays_after_the_end,
        ] {
            race(&stage);
            assert_eq!(stage.place.broken(), Vec::<String>::new());
        }
    }
    for server in &stage.servers {
        assert_eq!(server.get("/ready").status, 200);
    }
}

#[test]
fn two_servers_on_one_file_answer_as_one() {
    race(On::Sqlite);
}

#[test]
fn two_servers_on_one_postgres_database_answer_as_one() {
    race(On::Postgres);
}
