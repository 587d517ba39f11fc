//! Showing everything that a store holds: as the reference does, and past what cannot be read.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by a panic"
)]

mod support;

use session_core::auth::{Challenge, ChallengeKey};
use session_core::booking::Host;
use session_core::changeset::{Changeset, Draft, Entry, Fact, Key, Row};
use session_core::idempotency::{IdempotencyKey, IdempotencyRecord};
use session_core::journal::Chain;
use session_core::ledger::{AccountKey, AccountKind, Action, Owner, Reason, Reference, Transfer};
use session_core::media::{Channel, MediaUid};
use session_core::outage::{Service, Span};
use session_core::outbox::{Effect, Intent, IntentClass};
use session_core::ports::{Archive, Found, Store, Visitor};
use session_core::room::{Closing, Departure, Room, RoomState, Seat, SeatState, Visibility};
use session_core::types::{
    ChainId, ConnectionId, IntentKey, RoomId, Seconds, Timestamp, TransferId, Unit,
};
use session_testkit::memory::MemoryStore;

use support::bookings::{booked, wallet};
use support::{Level, On, Place};

const EVERYWHERE: [On; 4] = [
    On::Sqlite,
    On::Postgres(Level::ReadCommitted),
    On::Postgres(Level::Serializable),
    On::Pooler,
];

/// More than one page of whatever has pages.
const MANY: u32 = 620;

/// Enough where pages do not matter.
const FEW: u32 = 30;

/// Notes what it is shown.
#[derive(Debug, Default)]
struct Notes(Vec<Found>);

impl Visitor for Notes {
    fn visit(&mut self, found: Found) {
        self.0.push(found);
    }
}

async fn shown(archive: &dyn Archive) -> Vec<Found> {
    let mut notes = Notes::default();
    archive.show(&mut notes).await.unwrap();
    notes.0
}

fn at(unix: u64) -> Timestamp {
    Timestamp::from_unix(unix)
}

fn id(n: u32) -> [u8; 16] {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_be_bytes());
    bytes
}

fn transfer(n: u32, debit: AccountKey, credit: AccountKey, action: Action) -> Transfer {
    Transfer {
        id: TransferId::derive("test", &[&n.to_be_bytes()]),
        debit,
        credit,
        amount: 9,
        action,
        reason: Reason::AdminAdjust,
        reference: if n.is_multiple_of(2) {
            Reference::None
        } else {
            Reference::Connection(ConnectionId::from_random(id(n)))
        },
        at: at(1000 + u64::from(n % 7)),
    }
}

/// Accounts of the house and of many wallets, of several kinds and units, and what moved.
fn moves(many: u32) -> Changeset {
    let mut draft = Draft::new();
    let account = |owner, kind, unit| AccountKey::new(owner, kind, unit);
    for n in 0..many {
        let owner = Owner::Wallet(wallet(n));
        let unit = [Unit::Seconds, Unit::Sats, Unit::UsdcAtomic][n as usize % 3];
        let grants = account(Owner::House, AccountKind::GrantBase, unit);
        let spendable = account(owner, AccountKind::Wallet, unit);
        draft.transfer(transfer(4 * n, grants, spendable, Action::Posted));
        let of = TransferId::derive("test", &[&(4 * n + 1).to_be_bytes()]);
        let refundable = account(owner, AccountKind::Refundable, unit);
        let deadline = at(5000);
        let hold = Action::Pending { deadline };
        draft.transfer(transfer(4 * n + 1, spendable, refundable, hold));
        if n.is_multiple_of(3) {
            let post = Action::Post { of };
            draft.transfer(transfer(4 * n + 2, spendable, refundable, post));
        }
    }
    draft.finish()
}

/// A row of every kind, most of them in some states.
fn rows(many: u32) -> Changeset {
    let mut draft = Draft::new();
    draft.insert(Service {
        last_beat_at: at(9),
        outages: vec![Span {
            from: at(1),
            to: at(2),
        }],
    });
    for n in 0..many {
        let host = wallet(n);
        let closes = n.is_multiple_of(5);
        draft.insert(Room {
            last_event: session_core::room::EventNumber::NONE,
            id: RoomId::from_random(id(n)),
            host,
            visibility: Visibility::Open,
            ai_enabled: n.is_multiple_of(2),
            created_at: at(1000),
            state: if closes {
                RoomState::Closed {
                    at: at(2000),
                    why: Closing::HostLeft,
                }
            } else {
                RoomState::Active
            },
            unjoined_until: None,
            live_seats: u8::from(!closes),
        });
        draft.insert(Seat {
            connection: ConnectionId::from_random(id(n)),
            room: RoomId::from_random(id(n)),
            wallet: host,
            slot: 0,
            uid: MediaUid::new(n + 1).unwrap(),
            joined_at: at(1000),
            last_seen_at: at(1010),
            metered_to: at(1010),
            charged: Seconds::new(10),
            lease_until: at(1090),
            low_raised: false,
            exhausted_at: None,
            undelivered: Vec::new(),
            check_at: at(1045),
            state: if closes {
                SeatState::Gone {
                    at: at(1010),
                    why: Departure::RoomClosed,
                }
            } else {
                SeatState::Live
            },
        });
        draft.insert(Challenge {
            key: ChallengeKey {
                wallet: wallet(n / 4),
                nonce: [u8::try_from(n % 251).unwrap(); 32],
            },
            issued_at: at(n.into()),
            forget_at: at(9000),
        });
        draft.insert(booked(n));
        draft.insert(Host {
            wallet: host,
            accepting_bookings: n.is_multiple_of(2),
            changed_at: at(n.into()),
        });
        draft.insert(IdempotencyRecord {
            key: IdempotencyKey::parse(wallet(n % 4), "rooms.join", &n.to_string()).unwrap(),
            fingerprint: [1; 16],
            answer: r#" {"Ok": "it's so"} "#.to_owned(),
            expires_at: at(9000),
        });
        let effect = Effect::RemoveFromChannel {
            connection: None,
            channel: Channel::free_room(RoomId::from_random(id(n))),
            uid: MediaUid::new(n + 1).unwrap(),
        };
        let key = IntentKey::derive("test", &[&n.to_be_bytes()]);
        draft.intent(Intent::new(key, IntentClass::Repeatable, effect, at(1)));
    }
    draft.finish()
}

fn outage(n: u32) -> Entry {
    // Several are of one instant.
    let from = at(u64::from(n / 3));
    Entry::new(
        from,
        Fact::Outage {
            from,
            to: at(n.into()),
        },
    )
}

/// What is in no block yet.
fn facts(from: u32, to: u32) -> Changeset {
    let mut draft = Draft::new();
    for n in from..to {
        let entry = outage(n);
        draft.journal(entry.at, entry.fact);
    }
    draft.finish()
}

/// Commits to a store and to the reference.
async fn commit_both(store: &dyn Store, reference: &MemoryStore, changeset: &Changeset) {
    store.commit(changeset).await.unwrap();
    reference.commit(changeset).await.unwrap();
}

/// The journal of what moved is in small blocks and in a large one, some entries are in none.
async fn fill(store: &dyn Store, reference: &MemoryStore, many: u32) {
    commit_both(store, reference, &moves(many)).await;
    commit_both(store, reference, &rows(many)).await;
    let chain = Chain::new(ChainId::from_random([9; 16]), at(1));
    let mut draft = Draft::new();
    draft.insert(chain.clone());
    commit_both(store, reference, &draft.finish()).await;
    let mut chain = chain;
    for size in [1, 2, many as usize * 3 / 2] {
        let world = reference.world();
        let unsealed = world.unsealed();
        let entries: Vec<&Entry> = unsealed
            .iter()
            .take(size)
            .filter_map(|id| match world.row(&Key::Entry(*id)) {
                Some((_, Row::Entry(entry))) => Some(entry),
                _ => None,
            })
            .collect();
        assert_eq!(entries.len(), size);
        let block = chain.seal(&entries, at(2000));
        chain = chain.after(&block, at(2005));
        let mut draft = Draft::new();
        draft.insert(block);
        commit_both(store, reference, &draft.finish()).await;
    }
    // Enough blocks of nothing for another page of them.
    for _ in 0..7 {
        let block = chain.seal(&[], at(2000));
        chain = chain.after(&block, at(2005));
        let mut draft = Draft::new();
        draft.insert(block);
        commit_both(store, reference, &draft.finish()).await;
    }
    commit_both(store, reference, &facts(0, many)).await;
}

/// The first difference, and not ten thousand lines.
fn assert_same(on: On, found: &[Found], expected: &[Found]) {
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found, expected, "{on:?}, in place {place}");
    }
    assert_eq!(found.len(), expected.len(), "{on:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_shown_as_the_reference_shows_it() {
    for on in EVERYWHERE {
        let Some(place) = Place::new(on).await else {
            return;
        };
        let (store, archive) = place.open_archive().await;
        let reference = MemoryStore::new();
        let empty = shown(&reference).await;
        assert_eq!(empty.len(), 1, "the totals: {empty:?}");
        assert_same(on, &shown(&*archive).await, &empty);
        fill(&*store, &reference, MANY).await;
        let expected = shown(&reference).await;
        assert!(expected.len() > 11 * MANY as usize);
        assert_same(on, &shown(&*archive).await, &expected);
        drop((store, archive));
        place.remove().await;
    }
}

/// Commits in the middle of what it is shown.
struct Meddler {
    store: std::sync::Arc<dyn Store>,
    runtime: tokio::runtime::Handle,
    notes: Notes,
    written: bool,
}

impl Visitor for Meddler {
    fn visit(&mut self, found: Found) {
        self.notes.visit(found);
        if !std::mem::replace(&mut self.written, true) {
            let (store, runtime) = (self.store.clone(), self.runtime.clone());
            let committed = std::thread::spawn(move || {
                runtime.block_on(async { store.commit(&facts(MANY, MANY + 5)).await })
            });
            committed.join().unwrap().unwrap();
        }
    }
}

/// Nobody waits for whoever looks at everything, and whoever looks sees nothing of what came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shown_is_of_one_instant_and_holds_nobody_up() {
    for on in EVERYWHERE {
        let Some(place) = Place::new(on).await else {
            return;
        };
        let (store, archive) = place.open_archive().await;
        let reference = MemoryStore::new();
        fill(&*store, &reference, MANY).await;
        let mut meddler = Meddler {
            store: store.clone(),
            runtime: tokio::runtime::Handle::current(),
            notes: Notes::default(),
            written: false,
        };
        archive.show(&mut meddler).await.unwrap();
        assert_same(on, &meddler.notes.0, &shown(&reference).await);
        reference.commit(&facts(MANY, MANY + 5)).await.unwrap();
        assert_same(on, &shown(&*archive).await, &shown(&reference).await);
        drop((store, archive, meddler));
        place.remove().await;
    }
}

/// What somebody does to a table, and what is said of it. The entries told of are outages.
const FORGED: &[(&str, &str, &str)] = &[
    (
        "UPDATE journal SET kind = 'joined' WHERE kind = 'outage'",
        "journal",
        "column kind",
    ),
    (
        "UPDATE journal SET fact = replace(fact, '\"from\"', '\"note\":1,\"from\"') \
        WHERE kind = 'outage'",
        "journal",
        "column fact holds more",
    ),
    (
        "UPDATE journal SET fact = replace(fact, '\"from\"', '\"from\":1,\"from\"') \
        WHERE kind = 'outage'",
        "journal",
        "column fact",
    ),
    (
        "UPDATE journal SET version = 2 WHERE kind = 'outage'",
        "journal",
        "column version",
    ),
    (
        "UPDATE journal SET fact = '[]' WHERE kind = 'outage'",
        "journal",
        "column fact",
    ),
    (
        "UPDATE journal SET decided_at = -1 WHERE kind = 'outage'",
        "journal",
        "column decided_at",
    ),
    (
        "UPDATE unsealed SET decided_at = decided_at + 1",
        "unsealed",
        "of another instant",
    ),
    (
        "UPDATE unsealed SET decided_at = -1 - decided_at",
        "unsealed",
        "column decided_at",
    ),
    (
        "UPDATE transfer SET reason = 'theft'",
        "transfer",
        "column reason",
    ),
    (
        "UPDATE transfer SET debit_owner = upper(debit_owner)",
        "transfer",
        "column",
    ),
    ("UPDATE block SET entries = '{}'", "block", "column entries"),
    (
        "UPDATE block SET root = upper(root)",
        "block",
        "column root",
    ),
    ("UPDATE block SET version = 2", "block", "column version"),
    ("UPDATE chain SET head = 'x'", "chain", "column head"),
    (
        "UPDATE service SET outages = '[{\"from\":1,\"to\":2,\"why\":3}]'",
        "service",
        "column outages holds more",
    ),
    ("UPDATE seat SET gone_why = NULL", "seat", "half gone"),
    ("UPDATE intent SET effect = '1'", "intent", "column effect"),
    (
        "UPDATE booked_session SET host = guest",
        "booked_session",
        "contradict",
    ),
    (
        "UPDATE booked_session SET guest = host",
        "booked_session",
        "contradict",
    ),
    (
        "UPDATE booked_session SET status = 'lost'",
        "booked_session",
        "contradict",
    ),
    (
        "UPDATE booked_session SET starts_at = starts_at + 1",
        "booked_session",
        "contradict",
    ),
    (
        "UPDATE booked_session SET key = replace(key, '42431/', '42432/')",
        "booked_session",
        "contradict",
    ),
    (
        "UPDATE booked_session SET record = replace(record, '\"round\"', '\"why\":1,\"round\"')",
        "booked_session",
        "column record holds more",
    ),
    (
        "UPDATE booked_session SET record = replace(record, '\"decision\":null,', '')",
        "booked_session",
        "column record",
    ),
    (
        "UPDATE host SET accepting_bookings = 2",
        "host",
        "column accepting_bookings",
    ),
    (
        "UPDATE host SET changed_at = -1",
        "host",
        "column changed_at",
    ),
];

/// Takes every constraint away from every table, as whoever may may.
const UNCONSTRAIN: &str = "DO $$ DECLARE c record; BEGIN \
    FOR c IN SELECT conrelid::regclass AS of, conname FROM pg_constraint \
        WHERE contype IN ('c', 'f') AND connamespace = 'public'::regnamespace \
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.of, c.conname); END LOOP; END $$";

/// What cannot be read is shown in its place, and all the rest as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_is_said_and_hides_nothing_else() {
    for on in [On::Sqlite, On::Postgres(Level::ReadCommitted)] {
        let Some(place) = Place::new(on).await else {
            return;
        };
        let (store, archive) = place.open_archive().await;
        let reference = MemoryStore::new();
        fill(&*store, &reference, FEW).await;
        let expected = shown(&reference).await;
        let tables = [
            "block",
            "booked_session",
            "chain",
            "host",
            "intent",
            "journal",
            "seat",
            "service",
            "transfer",
            "unsealed",
        ];
        for table in tables {
            place
                .change(&[&format!(
                    "CREATE TABLE kept_{table} AS SELECT * FROM {table}"
                )])
                .await;
        }
        if let Place::Database(_) = place {
            place.change(&[UNCONSTRAIN]).await;
        }
        for (statement, table, told) in FORGED {
            place.change(&[statement]).await;
            let found = shown(&*archive).await;
            let unreadable = |found: &&Found| matches!(found, Found::Unreadable { .. });
            let odd: Vec<_> = found.iter().filter(unreadable).collect();
            assert!(!odd.is_empty(), "{on:?}: {statement}");
            for odd in &odd {
                let Found::Unreadable { table: of, detail } = odd else {
                    continue;
                };
                assert_eq!(of, table, "{on:?}: {statement}: {detail}");
                assert!(detail.contains(told), "{on:?}: {statement}: {detail}");
                // It says which row.
                assert!(
                    detail
                        .split_once(": ")
                        .is_some_and(|(name, _)| !name.is_empty())
                );
            }
            let of_others = |found: &&Found| match found {
                Found::Row(_, row) => table_of(row) != *table,
                Found::Transfer(_) => !["block", "journal", "transfer"].contains(table),
                Found::Totals { .. } => true,
                Found::Unsealed(_) | Found::Unreadable { .. } => false,
            };
            let mut rest: Vec<_> = found.iter().filter(of_others).collect();
            let mut expected_rest: Vec<_> = expected.iter().filter(of_others).collect();
            let is_entry = |found: &&Found| matches!(found, Found::Row(_, Row::Entry(_)));
            match *table {
                "block" => {
                    // Below what block they were nobody can say.
                    rest.retain(|found| !is_entry(found));
                    expected_rest.retain(|found| !is_entry(found));
                }
                "unsealed" => {
                    // In another order.
                    rest.sort_by_cached_key(|found| format!("{found:?}"));
                    expected_rest.sort_by_cached_key(|found| format!("{found:?}"));
                }
                _ => {}
            }
            assert_eq!(rest.len(), expected_rest.len(), "{on:?}: {statement}");
            assert!(rest == expected_rest, "{on:?}: {statement}");
            place
                .change(&[
                    &format!("DELETE FROM {table}"),
                    &format!("INSERT INTO {table} SELECT * FROM kept_{table}"),
                ])
                .await;
            assert_same(on, &shown(&*archive).await, &expected);
        }
        drop((store, archive));
        place.remove().await;
    }
}

fn table_of(row: &Row) -> &'static str {
    match row {
        Row::Account(_) => "account",
        Row::Block(_) => "block",
        Row::BookedSession(_) => "booked_session",
        Row::Chain(_) => "chain",
        Row::Challenge(_) => "challenge",
        Row::Entry(_) => "journal",
        Row::Host(_) => "host",
        Row::Idempotency(_) => "idempotency",
        Row::Intent(_) => "intent",
        Row::Revocation(_) => "revocation",
        Row::RoomEvent(_) => "room_event",
        Row::Room(_) => "room",
        Row::Seat(_) => "seat",
        Row::Service(_) => "service",
    }
}
