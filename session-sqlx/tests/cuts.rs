//! Connections to PostgreSQL that are cut: before, during and after a commit, at every message in
//! turn. Whatever was cut is there whole or not at all, what was answered is there, and nothing is
//! there twice.
//!
//! A proxy stands between the store and the cluster and counts messages; a second store, past the
//! proxy, says what is there.

#![allow(clippy::expect_used, reason = "a test fails by a panic")]

mod support;

use std::num::NonZeroU32;
use std::sync::Arc;

use session_core::changeset::{Changeset, Draft, Fact, Key, Lane, Receipt, Rejection};
use session_core::idempotency::{IdempotencyKey, IdempotencyRecord};
use session_core::ledger::{AccountKey, AccountKind, Action, Owner, Reason, Reference, Transfer};
use session_core::ports::{Claim, CommitError, Read, Store, StoreError, StoreErrorKind};
use session_core::room::{CreateRoom, Heartbeat, JoinRoom, Room, RoomState, StayName, Visibility};
use session_core::service::{ExecuteError, execute};
use session_core::types::{RoomId, Seconds, Timestamp, TransferId, Unit, Wallet};
use session_sqlx::{PostgresOptions, PostgresStore};
use session_testkit::bench::Bench;
use session_testkit::invariants;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinSet;

use support::proxy::{Cut, Proxy, Side};
use support::{Database, Level};

/// No call exchanges so many messages.
const MESSAGES_MAX: usize = 400;

/// Looks at what the server is doing, each of which is an exchange of messages.
const LOOKS_MAX: usize = 100_000;

/// A database, a store behind the proxy, and one that is not.
struct Rig {
    database: Database,
    proxy: Proxy,
    cut: PostgresStore,
    direct: PostgresStore,
    hand: PgConnection,
}

impl Rig {
    /// `None` where there is no cluster and need not be. The store behind the proxy has so many
    /// connections.
    async fn new(connections: u32, pooler: bool) -> Option<Self> {
        let database = Database::new(Level::ReadCommitted, false).await?;
        let direct = database.open().await;
        let url = database.url();
        let (before, host, after) = around_host(&url);
        let proxy = Proxy::before(host);
        let mut options = PostgresOptions::default();
        options.connections_max = NonZeroU32::new(connections).expect("not zero");
        options.pooler = pooler;
        // The proxy must be able to read along.
        let url = format!("{before}{}{after}?sslmode=disable", proxy.address);
        let cut = PostgresStore::open(&url, options).await.expect("it opens");
        let hand = database.by_hand().await;
        Some(Self {
            database,
            proxy,
            cut,
            direct,
            hand,
        })
    }

    /// Waits until the server has noticed every cut: what a lost connection was about to do is
    /// done then or undone.
    async fn settle(&mut self) {
        const BUSY: &str = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'";
        for _ in 0..LOOKS_MAX {
            let busy: i64 = sqlx::query_scalar(BUSY)
                .fetch_one(&mut self.hand)
                .await
                .expect("it answers");
            if busy == 0 {
                return;
            }
        }
        panic!("the server is still busy with a connection that was cut");
    }

    async fn count(&mut self, question: &'static str, wallet: Wallet) -> i64 {
        let count = sqlx::query_scalar(question).bind(wallet.to_string());
        count.fetch_one(&mut self.hand).await.expect("it answers")
    }

    /// How many of the parts of a wallet's changeset are there, and whether they are whole.
    async fn is_there(&mut self, wallet: Wallet, parts: &[&'static str]) -> bool {
        let all = format!("SELECT ARRAY[({})]", parts.join("), ("));
        let counts: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(all))
            .bind(wallet.to_string())
            .fetch_one(&mut self.hand)
            .await
            .expect("it answers");
        let is_whole = counts.iter().all(|count| *count == 1);
        let is_absent = counts.iter().all(|count| *count == 0);
        assert!(is_whole || is_absent, "in parts: {counts:?} of {parts:?}");
        is_whole
    }

    /// Cuts every connection of the store at once, as a server that restarts does. How many there
    /// were: none where the last one was cut just after its answer.
    async fn terminate_all(&mut self) -> i64 {
        const TERMINATE: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid() \
            AND backend_type = 'client backend'";
        const LEFT: &str = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid() \
            AND backend_type = 'client backend'";
        let ended: i64 = sqlx::query_scalar(TERMINATE)
            .fetch_one(&mut self.hand)
            .await
            .expect("a superuser may");
        for _ in 0..LOOKS_MAX {
            let left: i64 = sqlx::query_scalar(LEFT)
                .fetch_one(&mut self.hand)
                .await
                .expect("it answers");
            if left == 0 {
                return ended;
            }
        }
        panic!("connections do not end");
    }

    async fn remove(self) {
        self.cut.close().await;
        self.direct.close().await;
        self.hand.close().await.expect("it closes");
        self.database.remove().await;
    }
}

/// An address as it is before, in and after its host and port.
fn around_host(url: &str) -> (&str, &str, &str) {
    let start = url.find('@').expect("a user") + 1;
    let end = start + url[start..].find('/').expect("a database");
    (&url[..start], &url[start..end], &url[end..])
}

/// What a changeset of [`opening`] writes, each part counted for a wallet.
const ROOM: &str = "SELECT count(*) FROM room WHERE host = $1";
const WORK: &str = "SELECT count(*) FROM work JOIN room ON row_key = 'room/' || id WHERE host = $1";
const TRANSFER: &str = "SELECT count(*) FROM transfer WHERE credit_owner = $1";
const ACCOUNT: &str = "SELECT count(*) FROM account \
    WHERE kind = 'wallet' AND owner = $1 AND credits_posted = 1800";
const JOURNAL: &str = "SELECT count(*) FROM journal WHERE kind = 'room_created' \
    AND position($1 IN fact) > 0";
const RECORD: &str = "SELECT count(*) FROM idempotency WHERE caller = $1";
const PLAIN: [&str; 5] = [ROOM, WORK, TRANSFER, ACCOUNT, JOURNAL];
const KEYED: [&str; 6] = [ROOM, WORK, TRANSFER, ACCOUNT, JOURNAL, RECORD];

const fn at(unix: u64) -> Timestamp {
    Timestamp::from_unix(1_800_000_000 + unix)
}

/// A wallet is granted its credit and opens a room: rows, a transfer, facts, a place in a queue,
/// and where it is wanted the answer for a repeat.
fn opening(wallet: Wallet, is_keyed: bool) -> Changeset {
    let mut id = [0; 16];
    id.copy_from_slice(&wallet.to_bytes()[4..]);
    let room = Room {
        last_event: session_core::room::EventNumber::NONE,
        id: RoomId::from_random(id),
        host: wallet,
        visibility: Visibility::Open,
        ai_enabled: false,
        created_at: at(0),
        state: RoomState::Active,
        unjoined_until: Some(at(120)),
        live_seats: 0,
    };
    let mut draft = Draft::new();
    draft.journal(
        at(0),
        Fact::RoomCreated {
            room: room.id,
            host: wallet,
            visibility: Visibility::Open,
        },
    );
    draft.insert(room);
    let owner = Owner::Wallet(wallet);
    draft.transfer(Transfer {
        id: TransferId::derive("cut", &[&wallet.to_bytes()]),
        debit: AccountKey::new(owner, AccountKind::GrantBase, Unit::Seconds),
        credit: AccountKey::new(owner, AccountKind::Wallet, Unit::Seconds),
        amount: 1800,
        action: Action::Posted,
        reason: Reason::GrantBase,
        reference: Reference::None,
        at: at(0),
    });
    let mut changeset = draft.finish();
    if is_keyed {
        changeset.idempotency = Some(IdempotencyRecord {
            key: IdempotencyKey::parse(wallet, "rooms.create", "1").expect("a key"),
            fingerprint: [1; 16],
            answer: "{}".to_owned(),
            expires_at: at(86_400),
        });
    }
    changeset
}

type Answer = Result<Receipt, CommitError>;

fn is_unavailable(answer: &Answer) -> bool {
    matches!(
        answer,
        Err(CommitError::Store(StoreError {
            kind: StoreErrorKind::Unavailable,
            ..
        }))
    )
}

fn is_conflict(answer: &Answer) -> bool {
    matches!(answer, Err(CommitError::Rejected(Rejection::Conflict(_))))
}

/// Every place at which a call can be cut: before a message, and in its middle.
fn cuts() -> impl Iterator<Item = (Side, bool)> {
    [Side::Client, Side::Server]
        .into_iter()
        .flat_map(|side| [false, true].map(|within| (side, within)))
}

/// Commits changesets that are cut at every message in turn.
async fn commits_are_whole(is_keyed: bool, pooler: bool) {
    let Some(mut rig) = Rig::new(1, pooler).await else {
        return;
    };
    let parts: &[&str] = if is_keyed { &KEYED } else { &PLAIN };
    let mut wallets = (1..).map(Bench::wallet);
    let mut next = || wallets.next().expect("more than anybody needs");
    let (mut lost, mut written_unanswered) = (0, 0);
    for (side, within) in cuts() {
        for message in 0..MESSAGES_MAX {
            // So that the statements are prepared, whatever the last cut left.
            let warm = rig.cut.commit(&opening(next(), is_keyed)).await;
            warm.expect("the store works again");
            let wallet = next();
            let changeset = opening(wallet, is_keyed);
            rig.proxy.arm(Cut {
                side,
                message,
                within,
            });
            let answer = rig.cut.commit(&changeset).await;
            let was_cut = rig.proxy.disarm();
            rig.settle().await;
            let told = format!("{side:?} {message} within {within}: {answer:?}");
            let is_there = rig.is_there(wallet, parts).await;
            match &answer {
                Ok(receipt) => {
                    assert!(is_there, "answered and not there: {told}");
                    assert_eq!(receipt.moved.values().sum::<u64>(), 1800, "{told}");
                }
                Err(_) if is_keyed => {
                    // The first try was written, the second found its record.
                    assert!(is_conflict(&answer), "{told}");
                    assert!(is_there, "refused and not there: {told}");
                    written_unanswered += 1;
                }
                Err(_) => {
                    assert!(is_unavailable(&answer), "{told}");
                    lost += usize::from(!is_there);
                    written_unanswered += usize::from(is_there);
                }
            }
            // Whoever asks again finds it done, or does it now.
            let again = rig.cut.commit(&changeset).await;
            assert_eq!(again.is_ok(), !is_there, "{told}, then {again:?}");
            assert!(
                again.is_ok() || is_conflict(&again),
                "{told}, then {again:?}"
            );
            assert!(rig.is_there(wallet, parts).await, "{told}, then {again:?}");
            if !was_cut {
                assert!(message > 4, "a commit of {message} messages");
                break;
            }
        }
    }
    // The cuts were where they hurt: between the commit and its answer, and just before it.
    assert!(
        written_unanswered > 0,
        "no cut fell between commit and answer"
    );
    assert!(is_keyed || lost > 0, "no cut kept a commit from happening");
    rig.remove().await;
}

#[tokio::test]
async fn a_commit_that_is_cut_is_whole_or_not_there() {
    commits_are_whole(false, false).await;
}

#[tokio::test]
async fn a_commit_with_a_record_that_is_cut_happens_once() {
    commits_are_whole(true, false).await;
}

#[tokio::test]
async fn a_commit_without_prepared_statements_that_is_cut_is_whole_or_not_there() {
    commits_are_whole(false, true).await;
}

/// Several at once share a transaction, and each gets an answer that is true of it.
#[tokio::test]
async fn each_of_a_group_that_is_cut_gets_its_own_answer() {
    let Some(mut rig) = Rig::new(1, false).await else {
        return;
    };
    let mut number = 0;
    for (side, within) in cuts() {
        for message in 0..MESSAGES_MAX {
            let warm = rig.cut.commit(&opening(Bench::wallet(number), false)).await;
            warm.expect("the store works again");
            let members: Vec<(Wallet, bool)> = (1..=6)
                .map(|n| (Bench::wallet(number + n), n % 2 == 0))
                .collect();
            number += 7;
            rig.proxy.arm(Cut {
                side,
                message,
                within,
            });
            let mut asked = JoinSet::new();
            for (wallet, is_keyed) in members {
                let store = rig.cut.clone();
                asked.spawn(async move {
                    let answer = store.commit(&opening(wallet, is_keyed)).await;
                    (wallet, is_keyed, answer)
                });
            }
            let answers = asked.join_all().await;
            let was_cut = rig.proxy.disarm();
            rig.settle().await;
            for (wallet, is_keyed, answer) in answers {
                let told = format!("{side:?} {message} within {within}: {answer:?}");
                let parts: &[&str] = if is_keyed { &KEYED } else { &PLAIN };
                let is_there = rig.is_there(wallet, parts).await;
                if is_keyed {
                    assert!(is_there, "{told}");
                    assert!(answer.is_ok() || is_conflict(&answer), "{told}");
                } else {
                    assert!(answer.is_ok() || is_unavailable(&answer), "{told}");
                    assert!(is_there || answer.is_err(), "{told}");
                }
            }
            if !was_cut {
                break;
            }
        }
    }
    rig.remove().await;
}

/// Heartbeats take a shorter way, and are charged once however they are cut.
async fn heartbeats_charge_once(pooler: bool) {
    let Some(mut rig) = Rig::new(1, pooler).await else {
        return;
    };
    let bench = Bench::new(Arc::new(rig.cut.clone()), 1);
    let witness = Bench {
        ports: session_core::service::Ports {
            store: Arc::new(rig.direct.clone()),
            ..bench.ports.clone()
        },
        ..bench.clone()
    };
    let wallet = Bench::wallet(1);
    let credit = 1_000_000;
    let endowed = bench.endow(wallet, Seconds::new(credit)).await;
    endowed.expect("the store works");
    let create = CreateRoom {
        wallet,
        visibility: Visibility::Open,
        ai_enabled: false,
    };
    let created = execute(&bench.ports, &create).await.expect("it works");
    let room = created.expect("hosts nothing yet").room;
    let join = JoinRoom {
        wallet,
        room: Some(room),
    };
    let joined = execute(&bench.ports, &join).await.expect("it works");
    let joined = joined.expect("the room is empty");
    let beat = Heartbeat(StayName {
        wallet,
        room: Some(room),
        connection: Some(joined.connection),
    });
    let mut passed = 0;
    let mut failed = Vec::new();
    let mut cut = 0;
    for (side, within) in cuts() {
        for message in 0..MESSAGES_MAX {
            for is_cut in [false, true] {
                // Nobody beats for the server, so that nothing else is written: up to here no
                // outage is noticed.
                bench.clock.advance(Seconds::new(1));
                passed += 1;
                if !is_cut {
                    let warm = execute(&bench.ports, &beat).await.expect("it works again");
                    let warm = warm.expect("the stay is live");
                    assert_eq!(warm.remaining, Seconds::new(credit - passed));
                }
            }
            rig.proxy.arm(Cut {
                side,
                message,
                within,
            });
            let answer = execute(&bench.ports, &beat).await;
            let was_cut = rig.proxy.disarm();
            rig.settle().await;
            let told = format!("{side:?} {message} within {within}: {answer:?}");
            let left = witness.account(wallet, AccountKind::Wallet).await;
            let left = left.expect("the store works").available();
            match answer {
                Ok(reply) => {
                    let remaining = reply.expect("the stay is live").remaining;
                    assert_eq!(remaining, Seconds::new(credit - passed), "{told}");
                    assert_eq!(left, credit - passed, "answered and not there: {told}");
                }
                Err(ExecuteError::Store(error)) => {
                    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{told}");
                    assert!(
                        (credit - passed..=credit - passed + 1).contains(&left),
                        "{told}"
                    );
                    failed.push(told.clone());
                }
                Err(error) => panic!("{told}: {error}"),
            }
            let complaints = invariants::check(&witness, &[wallet], &[room]).await;
            assert_eq!(
                complaints.expect("it reads"),
                Vec::<String>::new(),
                "{told}"
            );
            let again = execute(&bench.ports, &beat).await.expect("it works again");
            let again = again.expect("the stay is live");
            assert_eq!(again.remaining, Seconds::new(credit - passed), "{told}");
            if !was_cut {
                break;
            }
            cut += 1;
        }
    }
    assert!(
        !failed.is_empty(),
        "no cut fell on the writing of a heartbeat"
    );
    // Inside a transaction only its commit and the two messages of its answer leave a doubt, each
    // before them and within them. How many messages come before them depends on how long a
    // connection lay idle, so that a slow machine meets one of them twice.
    let doubts = failed.len();
    assert!(
        !pooler || doubts * 3 <= cut,
        "{doubts} of {cut} failed: {failed:#?}"
    );
    rig.remove().await;
}

#[tokio::test]
async fn a_heartbeat_that_is_cut_is_charged_once() {
    heartbeats_charge_once(false).await;
}

#[tokio::test]
async fn a_heartbeat_without_prepared_statements_that_is_cut_is_charged_once() {
    heartbeats_charge_once(true).await;
}

/// Reads and claims are tried again until they are answered, wherever they are cut, with a
/// connection at hand or without.
#[tokio::test]
async fn reads_and_claims_that_are_cut_are_answered() {
    let Some(mut rig) = Rig::new(2, false).await else {
        return;
    };
    let wallet = Bench::wallet(1);
    let opened = rig.cut.commit(&opening(wallet, false)).await;
    opened.expect("it works");
    let reads = [
        Read::ActiveRoomOf(wallet),
        Read::Row(Key::Account(AccountKey::new(
            Owner::Wallet(wallet),
            AccountKind::Wallet,
            Unit::Seconds,
        ))),
    ];
    let mut now = 1000;
    for is_cold in [false, true] {
        for (side, within) in cuts() {
            for message in 0..MESSAGES_MAX {
                if is_cold {
                    rig.terminate_all().await;
                } else {
                    rig.cut.read(&reads).await.expect("it works again");
                }
                rig.proxy.arm(Cut {
                    side,
                    message,
                    within,
                });
                let told = format!("{side:?} {message} within {within} cold {is_cold}");
                let found = rig.cut.read(&reads).await;
                let found = found.unwrap_or_else(|error| panic!("{told}: {error}"));
                assert!(found.iter().all(|list| list.len() == 1), "{told}");
                // Longer than any claim holds.
                now += 100;
                let claim = Claim {
                    lane: Lane::Rooms,
                    now: at(now),
                    lease: Seconds::new(30),
                    rows_max: 1,
                };
                let claimed = rig.cut.claim_due(&claim).await;
                let claimed = claimed.unwrap_or_else(|error| panic!("{told}: {error}"));
                let was_cut = rig.proxy.disarm();
                rig.settle().await;
                let leased = "SELECT count(*) FROM work JOIN room ON row_key = 'room/' || id \
                    WHERE host = $1 AND leased_until IS NOT NULL";
                // A claim whose answer was lost is nobody's, and holds until its lease ends.
                assert_eq!(rig.count(leased, wallet).await, 1, "{told}: {claimed:?}");
                if !was_cut {
                    break;
                }
            }
        }
    }
    rig.remove().await;
}

/// The cluster restarts, or an operator ends all connections: those who only read notice nothing,
/// and those who write hear at most that nothing was written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_may_be_cut_at_once() {
    let Some(mut rig) = Rig::new(20, false).await else {
        return;
    };
    let wallet = Bench::wallet(0);
    rig.cut
        .commit(&opening(wallet, false))
        .await
        .expect("it works");
    for round in 0..5u32 {
        // As many connections as there may be.
        let mut claims = JoinSet::new();
        for _ in 0..40 {
            let store = rig.cut.clone();
            claims.spawn(async move { store.ping().await });
        }
        for pinged in claims.join_all().await {
            pinged.expect("it works");
        }
        assert!(rig.terminate_all().await > 0, "there was no connection");
        let mut readers = JoinSet::new();
        let mut writers = JoinSet::new();
        for n in 1..=20u32 {
            let store = rig.cut.clone();
            readers.spawn(async move { store.read(&[Read::ActiveRoomOf(wallet)]).await });
            let store = rig.cut.clone();
            let wallet = Bench::wallet(round * 100 + n);
            writers.spawn(async move {
                let answer = store.commit(&opening(wallet, n % 2 == 0)).await;
                (wallet, n % 2 == 0, answer)
            });
        }
        for found in readers.join_all().await {
            assert_eq!(found.expect("reads are tried again")[0].len(), 1);
        }
        for (wallet, is_keyed, answer) in writers.join_all().await {
            answer.expect("nothing was about to commit, so all are tried again");
            let parts: &[&str] = if is_keyed { &KEYED } else { &PLAIN };
            assert!(rig.is_there(wallet, parts).await);
        }
    }
    rig.remove().await;
}
