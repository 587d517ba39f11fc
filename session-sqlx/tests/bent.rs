//! Nobody bends what the journal tells: every column of every table that bears on it is changed by
//! hand, each once, and the database refuses the change or the audit finds it.

#![allow(clippy::expect_used, reason = "a test fails by a panic")]

mod support;

use std::sync::Arc;

use session_core::booking::{BookedSession, Settlement};
use session_core::changeset::{Draft, Fact, Lane};
use session_core::escrow::Outcome;
use session_core::ledger::{AccountKey, AccountKind, Action, Owner, Reason, Reference, Transfer};
use session_core::ports::Clock;
use session_core::room::{CreateRoom, Heartbeat, JoinRoom, LeaveRoom, StayName, Visibility};
use session_core::service::{execute, work_lane};
use session_core::types::{Seconds, TransferId, Unit};
use session_testkit::bench::Bench;
use session_testkit::invariants;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};

use support::bookings::booked;
use support::{Level, On, Place, Served};

/// Every table whose rows the journal tells of or is made of.
const TABLES: [&str; 9] = [
    "account",
    "block",
    "booked_session",
    "chain",
    "journal",
    "room",
    "seat",
    "transfer",
    "unsealed",
];

/// Columns that say nothing which the journal tells: how often a row was written, when a worker is
/// to look, what a host asked for; of a stay, when somebody was last heard, metered and leased, and
/// what a client was told of its credit. Of the record of a booked session, much says only how a
/// decision was come to, which is judged elsewhere. An entry's place among those to be sealed is its instant,
/// which the journal has.
const NOT_TOLD: [(&str, &str); 18] = [
    ("account", "version"),
    ("booked_session", "record"),
    ("booked_session", "version"),
    ("chain", "seal_at"),
    ("chain", "version"),
    ("room", "ai_enabled"),
    ("room", "last_event"),
    ("room", "unjoined_until"),
    ("room", "version"),
    ("seat", "check_at"),
    ("seat", "exhausted_at"),
    ("seat", "last_seen_at"),
    ("seat", "lease_until"),
    ("seat", "low_raised"),
    ("seat", "metered_to"),
    ("seat", "undelivered"),
    ("seat", "version"),
    ("unsealed", "decided_at"),
];

/// Ways in which one column is bent.
const BENDS_MAX: usize = 4;

#[tokio::test]
async fn every_bent_column_is_found_on_sqlite() {
    every_bent_column_is_found(On::Sqlite).await;
}

#[tokio::test]
async fn every_bent_column_is_found_on_postgres() {
    every_bent_column_is_found(On::Postgres(Level::ReadCommitted)).await;
}

async fn every_bent_column_is_found(on: On) {
    let Some(place) = Place::new(on).await else {
        return;
    };
    let store = place.open().await;
    history(&store).await;
    assert_eq!(complaints(&store).await, Vec::<String>::new());

    let mut hand = Hand::of(&place).await;
    for table in TABLES {
        let keep = format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}");
        hand.run(&keep).await.expect("a copy");
    }
    let (mut found, mut refused) = (0, Vec::new());
    for table in TABLES {
        for (column, is_number) in hand.columns(table).await {
            if NOT_TOLD.contains(&(table, column.as_str())) {
                continue;
            }
            let bends = hand.bends(table, &column, is_number).await;
            let mut bent = 0;
            for bend in bends {
                if bent == BENDS_MAX || hand.run(&bend).await.is_err() {
                    continue;
                }
                bent += 1;
                assert!(!complaints(&store).await.is_empty(), "not found: {bend}");
                hand.restore(table).await;
            }
            found += bent;
            if bent == 0 {
                refused.push(format!("{table}.{column}"));
            }
        }
    }
    assert_eq!(
        complaints(&store).await,
        Vec::<String>::new(),
        "all is back"
    );
    assert!(found > 100, "{found}");
    // Each has one value that the schema allows.
    let one_row = ["block.version", "chain.id", "journal.version"];
    assert_eq!(refused, one_row, "columns that could not be bent");

    // One that a block holds, in the place of one that none does: as many as before.
    let swap = "UPDATE unsealed SET entry = (SELECT id FROM journal WHERE kind = 'room_created' \
        AND id NOT IN (SELECT entry FROM unsealed) LIMIT 1) \
        WHERE entry = (SELECT min(entry) FROM unsealed)";
    hand.run(swap).await.expect("by force");
    assert!(!complaints(&store).await.is_empty(), "not found: {swap}");
    hand.restore("unsealed").await;

    // A server of before, which would not say that it is in no block.
    let fact = "INSERT INTO journal (id, decided_at, kind, fact) \
        VALUES ('00000000000000000000000000000000', 1, 'outage', '{}')";
    assert!(hand.run(fact).await.is_err(), "appended: {fact}");

    // And whole rows that are gone, however the schema holds on to them.
    for table in TABLES {
        let gone = format!(
            "DELETE FROM {table} WHERE {0} IN (SELECT {0} FROM {table} LIMIT 1)",
            row(table)
        );
        hand.run(&gone).await.expect("by force");
        assert!(!complaints(&store).await.is_empty(), "not found: {gone}");
        hand.restore(table).await;
    }
    hand.close().await;
    drop(store);
    place.remove().await;
}

/// What an operator could do by hand, or whoever has the file.
enum Hand {
    File(rusqlite::Connection),
    Server(PgConnection),
}

impl Hand {
    async fn of(place: &Place) -> Self {
        match place {
            Place::File(folder) => {
                let path = folder.path().join("session.db");
                let hand = rusqlite::Connection::open(path).expect("the file opens");
                hand.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA busy_timeout = 5000")
                    .expect("a setting");
                Self::File(hand)
            }
            Place::Database(database) => {
                let mut hand = database.by_hand().await;
                // Foreign keys are triggers, which a superuser need not fire.
                hand.execute("SET session_replication_role = replica")
                    .await
                    .expect("a superuser may");
                Self::Server(hand)
            }
        }
    }

    async fn run(&mut self, statement: &str) -> Result<(), String> {
        match self {
            Self::File(hand) => hand
                .execute_batch(statement)
                .map_err(|error| error.to_string()),
            Self::Server(hand) => hand
                .execute(AssertSqlSafe(statement.to_owned()))
                .await
                .map(|_| ())
                .map_err(|error| error.to_string()),
        }
    }

    /// Two columns of text.
    async fn pairs(&mut self, query: &str) -> Vec<(String, Option<String>)> {
        match self {
            Self::File(hand) => {
                let mut statement = hand.prepare(query).expect("a query");
                let rows = statement
                    .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))
                    .expect("it runs");
                rows.map(|row| row.expect("two texts")).collect()
            }
            Self::Server(hand) => {
                let rows = hand
                    .fetch_all(AssertSqlSafe(query.to_owned()))
                    .await
                    .expect("a query");
                rows.iter().map(|row| (row.get(0), row.get(1))).collect()
            }
        }
    }

    /// The columns of a table, and whether each holds numbers.
    async fn columns(&mut self, table: &str) -> Vec<(String, bool)> {
        let query = match self {
            Self::File(_) => format!("SELECT name, type FROM pragma_table_info('{table}')"),
            Self::Server(_) => format!(
                "SELECT column_name::text, data_type::text FROM information_schema.columns \
                WHERE table_name = '{table}' AND table_schema = current_schema() \
                ORDER BY ordinal_position"
            ),
        };
        let found = self.pairs(&query).await;
        assert!(!found.is_empty(), "{table} has columns");
        let column = |(name, kind): (String, Option<String>)| {
            let is_text = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("text"));
            (name, !is_text)
        };
        found.into_iter().map(column).collect()
    }

    /// Statements that change a column of one row, of every row in turn, as long as it takes.
    async fn bends(&mut self, table: &str, column: &str, is_number: bool) -> Vec<String> {
        let row = row(table);
        let query = format!(
            "SELECT CAST({row} AS TEXT), CAST({column} AS TEXT) FROM {table} ORDER BY 2, 1"
        );
        let held = self.pairs(&query).await;
        let mut bends = Vec::new();
        for (at, value) in &held {
            let mut others = made_up(value.as_deref(), is_number);
            // Other rows' values fit where made-up ones do not: the names of kinds, say.
            let known = held.iter().map(|(_, other)| other.clone());
            others.extend(known);
            others.retain(|other| other != value);
            others.dedup();
            bends.extend(others.iter().map(|other| {
                let other = literal(other.as_deref(), is_number);
                format!("UPDATE {table} SET {column} = {other} WHERE CAST({row} AS TEXT) = '{at}'")
            }));
        }
        bends
    }

    /// Puts a table back to what it was.
    async fn restore(&mut self, table: &str) {
        for statement in [
            "BEGIN".to_owned(),
            format!("DELETE FROM {table}"),
            format!("INSERT INTO {table} SELECT * FROM kept_{table}"),
            "COMMIT".to_owned(),
        ] {
            self.run(&statement).await.expect("what was comes back");
        }
    }

    async fn close(self) {
        if let Self::Server(hand) = self {
            hand.close().await.expect("it closes");
        }
    }
}

/// What tells a row from the others.
fn row(table: &str) -> &'static str {
    match table {
        "account" => "kind || unit || owner",
        "block" => "number",
        "booked_session" => "key",
        "seat" => "connection",
        "unsealed" => "entry",
        _ => "id",
    }
}

/// Other values for a value.
fn made_up(value: Option<&str>, is_number: bool) -> Vec<Option<String>> {
    let Some(text) = value else {
        return ["1800000100", "0"].map(|made| Some(made.to_owned())).into();
    };
    if is_number {
        let number: i64 = text.parse().expect("a number");
        let near = [number + 1, number - 1, number + 30];
        return near.map(|number| Some(number.to_string())).into();
    }
    let mut others = Vec::new();
    // Another digit, at the end and in the middle: of an identifier, or within a text of JSON.
    for (from, to) in [('7', '8'), ('1', '2'), ('0', '3'), ('a', 'b')] {
        for place in [text.rfind(from), text.find(from)].into_iter().flatten() {
            let mut other = text.to_owned();
            other.replace_range(place..=place, &to.to_string());
            others.push(Some(other));
        }
    }
    // What an enumerated column may hold.
    let words = [
        "grant_bonus",
        "wallet",
        "sats",
        "private",
        "emptied",
        "host_left",
        "silent",
        "left",
        "void",
        "post",
        "admin_adjust",
        "debit_usage",
    ];
    others.extend(words.map(|word| Some(word.to_owned())));
    if let Some(members) = text.strip_prefix('{') {
        others.push(Some(format!("{{\"a\":1,{members}")));
    }
    others.push(None);
    others
}

fn literal(value: Option<&str>, is_number: bool) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(number) if is_number => number.to_owned(),
        Some(text) => format!("'{}'", text.replace('\'', "''")),
    }
}

/// Two rooms, three people, one of whom leaves; some of it sealed in several blocks, some not.
async fn history(store: &Arc<dyn Served>) {
    let bench = Bench::new(store.clone(), 11);
    let ports = &bench.ports;
    let wallets = [1, 2, 3].map(Bench::wallet);
    let mut rooms = Vec::new();
    for wallet in wallets {
        bench
            .endow(wallet, Seconds::new(1800))
            .await
            .expect("store");
        if rooms.len() < 2 {
            let create = CreateRoom {
                wallet,
                visibility: Visibility::Open,
                ai_enabled: false,
            };
            let created = execute(ports, &create).await.expect("store");
            rooms.push(created.expect("hosts nothing").room);
        }
    }
    let mut stays = Vec::new();
    for (wallet, room) in wallets.into_iter().zip([rooms[0], rooms[1], rooms[0]]) {
        let join = JoinRoom {
            wallet,
            room: Some(room),
        };
        let joined = execute(ports, &join).await.expect("store");
        stays.push(StayName {
            wallet,
            room: Some(room),
            connection: Some(joined.expect("there is a place").connection),
        });
    }
    for _ in 0..3 {
        bench.pass(Seconds::new(20)).await.expect("store");
        for stay in &stays {
            let beat = Heartbeat(*stay);
            execute(ports, &beat).await.expect("store").expect("is in");
        }
        work_lane(ports, Lane::Seal).await.expect("store");
    }
    let leave = LeaveRoom(stays[2]);
    execute(ports, &leave).await.expect("store").expect("is in");
    // The host of the second room leaves, so that it closes.
    bench.pass(Seconds::new(7)).await.expect("store");
    let leave = LeaveRoom(stays[1]);
    execute(ports, &leave).await.expect("store").expect("is in");
    work_lane(ports, Lane::Seal).await.expect("store");
    bench.pass(Seconds::new(3)).await.expect("store");
    let beat = Heartbeat(stays[0]);
    execute(ports, &beat).await.expect("store").expect("is in");
    reserve_and_post(&bench).await;
    miss_two_windows(&bench).await;
}

/// Two sessions whose windows closed, read at two statuses.
async fn miss_two_windows(bench: &Bench) {
    let (outcome, at) = (Outcome::NoShowHost, bench.clock.now());
    for n in [1, 2] {
        let session = BookedSession {
            settlement: Settlement::WindowMissed { outcome, at },
            look_at: None,
            ..booked(n)
        };
        let booking = session.key;
        let mut draft = Draft::new();
        draft.insert(session);
        draft.journal(at, Fact::SessionMissed { booking, outcome });
        let committed = bench.ports.store.commit(&draft.finish()).await;
        committed.expect("they are new");
    }
}

/// Nothing that is built so far reserves: a hold of 20 seconds, of which 15 are taken.
async fn reserve_and_post(bench: &Bench) {
    let payer = Owner::Wallet(Bench::wallet(1));
    let held = Transfer {
        id: TransferId::derive("hold", &[]),
        debit: AccountKey::new(payer, AccountKind::Wallet, Unit::Seconds),
        credit: AccountKey::new(Owner::House, AccountKind::Pool, Unit::Seconds),
        amount: 20,
        action: Action::Pending {
            deadline: bench.clock.now().after(Seconds::new(60)),
        },
        reason: Reason::AdminAdjust,
        reference: Reference::None,
        at: bench.clock.now(),
    };
    let posted = Transfer {
        id: TransferId::derive("post", &[]),
        amount: 15,
        action: Action::Post { of: held.id },
        ..held
    };
    for transfer in [held, posted] {
        let mut draft = Draft::new();
        draft.transfer(transfer);
        let committed = bench.ports.store.commit(&draft.finish()).await;
        committed.expect("it is covered");
    }
}

async fn complaints(store: &Arc<dyn Served>) -> Vec<String> {
    invariants::audit(&**store).await.expect("it is shown")
}
