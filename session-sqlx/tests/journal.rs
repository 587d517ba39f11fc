//! The journal and its blocks: of a database that had entries before there were blocks, by several
//! who seal at once, and under a role with few rights.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by a panic"
)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use session_core::booking::{BookedSession, Host};
use session_core::changeset::{
    Changeset, Draft, Entry, Expect, Fact, Fence, Key, Lane, Loaded, Rejection, Row, Version,
};
use session_core::journal::{Block, Chain, SealBlock, Sealing, TendChain};
use session_core::ledger::{AccountKey, AccountKind, Action, Owner, Reason, Reference, Transfer};
use session_core::ports::{
    Archive, Claim, Claimed, CommitError, CreditEntries, Found, Read, Snapshot, Store, StoredRow,
    Visitor,
};
use session_core::service::{ExecuteError, execute, work_lane};
use session_core::types::{ChainId, EntryId, Seconds, Timestamp, TransferId, Unit};
use session_sqlx::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore};
use session_testkit::bench::Bench;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Connection, Executor};

use support::bookings::{booked, wallet};
use support::{Database, Level, On, Place};

const EVERYWHERE: [On; 4] = [
    On::Sqlite,
    On::Postgres(Level::ReadCommitted),
    On::Postgres(Level::Serializable),
    On::Pooler,
];

fn at(unix: u64) -> Timestamp {
    Timestamp::from_unix(unix)
}

fn outage(n: u64) -> Entry {
    let (from, to) = (at(n), at(n + 1));
    // Several are of one instant.
    Entry::new(at(n / 4), Fact::Outage { from, to })
}

fn telling(entries: impl IntoIterator<Item = Entry>) -> Changeset {
    let mut draft = Draft::new();
    for entry in entries {
        draft.journal(entry.at, entry.fact);
    }
    draft.finish()
}

/// What an archive shows of the journal.
#[derive(Debug, Default)]
struct Journal {
    chain: Option<Chain>,
    blocks: Vec<Block>,
    entries: Vec<EntryId>,
    unsealed: Vec<EntryId>,
    digests: Vec<[u8; 32]>,
}

impl Visitor for Journal {
    fn visit(&mut self, found: Found) {
        match found {
            Found::Row(_, Row::Chain(chain)) => self.chain = Some(chain),
            Found::Row(_, Row::Block(block)) => self.blocks.push(block),
            Found::Row(_, Row::Entry(entry)) => {
                self.entries.push(entry.id);
                self.digests.push(entry.digest());
            }
            Found::Unsealed(entry) => self.unsealed.push(entry),
            Found::Unreadable { table, detail } => panic!("{table}: {detail}"),
            Found::Row(..) | Found::Transfer(_) | Found::Totals { .. } => {}
        }
    }
}

impl Journal {
    /// Each entry is in one block, the blocks hang together, and nothing is left out.
    async fn sealed(archive: &dyn Archive, told: u64) -> Self {
        let mut journal = Self::default();
        archive.show(&mut journal).await.unwrap();
        let chain = journal.chain.clone().unwrap();
        assert_eq!(journal.unsealed, []);
        let mut digests = journal.digests.iter();
        let mut head = [0; 32];
        for (number, block) in (1..).zip(&journal.blocks) {
            assert_eq!(block.number.get(), number);
            assert_eq!(block.previous, head);
            let own: Vec<[u8; 32]> = digests
                .by_ref()
                .take(block.entries.len())
                .copied()
                .collect();
            assert_eq!(Sealing::root_of(&own), block.root);
            assert_eq!(block.sealing(chain.id).hash(), block.hash);
            head = block.hash;
        }
        assert_eq!(
            (chain.head, chain.blocks.get()),
            (head, journal.blocks.len() as u64)
        );
        let once: BTreeSet<EntryId> = journal.entries.iter().copied().collect();
        assert_eq!(once.len(), journal.entries.len());
        assert_eq!(once, (0..told).map(|n| outage(n).id).collect());
        journal
    }
}

/// A folder with the first migration alone, as an earlier version of this crate had it.
fn first_migration(database: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let name = "0001_rooms_and_ledger.sql";
    let of = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(database);
    std::fs::copy(of.join(name), folder.path().join(name)).unwrap();
    folder
}

/// Entries as the version before wrote them.
fn earlier_entries(told: u64) -> Vec<String> {
    (0..told).map(|n| inserted(&outage(n))).collect()
}

fn inserted(entry: &Entry) -> String {
    let fact = serde_json::to_string(&entry.fact).unwrap();
    format!(
        "INSERT INTO journal (id, decided_at, kind, fact) VALUES ('{}', {}, '{}', '{fact}')",
        entry.id,
        entry.at.unix(),
        entry.fact.name(),
    )
}

/// A place as the version before left it.
async fn earlier(on: On, told: u64) -> Option<Place> {
    let place = Place::new(on).await?;
    match &place {
        Place::File(folder) => {
            let path = folder.path().join("session.db");
            let options = sqlx::sqlite::SqliteConnectOptions::new();
            let options = options.filename(path).create_if_missing(true);
            let mut hand = sqlx::SqliteConnection::connect_with(&options)
                .await
                .unwrap();
            let migrations = first_migration("sqlite");
            let mut first = Migrator::new(migrations.path()).await.unwrap();
            first.dangerous_set_table_name("session_migrations");
            first.run_direct(None, &mut hand, false).await.unwrap();
        }
        Place::Database(database) => {
            let mut hand = database.by_hand().await;
            let migrations = first_migration("postgres");
            let mut first = Migrator::new(migrations.path()).await.unwrap();
            first.dangerous_set_table_name("session_migrations");
            first.run_direct(None, &mut hand, false).await.unwrap();
        }
    }
    let statements = earlier_entries(told);
    let mut statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    statements.push(
        "INSERT INTO work (row_key, lane, due_at, fence, leased_until) \
        VALUES ('intent/00000000000000000000000000000000', 'deliver', 7, 3, 9)",
    );
    place.change(&statements).await;
    Some(place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_told_before_there_were_blocks_is_sealed_too() {
    for on in EVERYWHERE {
        let Some(place) = earlier(on, 40).await else {
            return;
        };
        let (store, archive) = place.open_archive().await;
        let mut expected: Vec<Entry> = (0..40).map(outage).collect();
        expected.sort_by_key(|entry| (entry.at, entry.id));
        let found = store.read(&[Read::UnsealedEntries(9)]).await.unwrap();
        let expected = expected.into_iter().map(|entry| StoredRow {
            version: Version::FIRST,
            row: entry.into(),
        });
        assert_eq!(found[0], expected.take(9).collect::<Vec<_>>(), "{on:?}");
        // What waited for a worker waits on, as it was.
        let claim = Claim {
            lane: Lane::Deliver,
            now: at(9),
            lease: Seconds::new(1),
            rows_max: 9,
        };
        let claimed = store.claim_due(&claim).await.unwrap();
        let fences: Vec<u64> = claimed.iter().map(|claimed| claimed.fence.get()).collect();
        assert_eq!(fences, [4], "{on:?}");
        // And sessions have a place among it, which there was not.
        let mut draft = Draft::new();
        draft.insert(booked(2));
        store.commit(&draft.finish()).await.unwrap();
        let (lane, now) = (Lane::Attest, at(9000));
        let claimed = store
            .claim_due(&Claim { lane, now, ..claim })
            .await
            .unwrap();
        let key = Key::BookedSession(booked(2).key);
        let fence = Fence::new(1);
        assert_eq!(claimed, [Claimed { key, fence }], "{on:?}");

        // Told once more, they are not new.
        store.commit(&telling((0..50).map(outage))).await.unwrap();
        let bench = Bench::new(store.clone(), 1);
        let worked = work_lane(&bench.ports, Lane::Seal).await.unwrap();
        assert_eq!((worked.sealed, &worked.failed[..]), (50, &[][..]), "{on:?}");
        let journal = Journal::sealed(&*archive, 50).await;
        assert_eq!(journal.blocks.len(), 1, "{on:?}");
        store.commit(&telling((0..50).map(outage))).await.unwrap();
        Journal::sealed(&*archive, 50).await;
        drop((store, archive, bench));
        place.remove().await;
    }
}

/// Whose credit an entry is about was not said before there were lists of it.
#[tokio::test]
async fn what_moved_credit_before_there_were_lists_of_it_is_in_them() {
    let wallet = Bench::wallet(1);
    let account = |kind| AccountKey::new(Owner::Wallet(wallet), kind, Unit::Seconds);
    let moved = |n: u64, debit, credit| Transfer {
        id: TransferId::derive("earlier", &[&n.to_be_bytes()]),
        debit: account(debit),
        credit: account(credit),
        amount: n + 1,
        action: Action::Posted,
        reason: Reason::AdminAdjust,
        reference: Reference::None,
        at: at(n),
    };
    let transfers = [
        moved(0, AccountKind::GrantBase, AccountKind::Wallet),
        moved(1, AccountKind::Wallet, AccountKind::Revenue),
        moved(2, AccountKind::GrantBonus, AccountKind::Revenue),
    ];
    let entries = transfers.map(|transfer| {
        let fact = Fact::Transferred {
            transfer,
            debit_balance: Some(7),
            credit_balance: None,
        };
        Entry::new(transfer.at, fact)
    });
    for on in EVERYWHERE {
        let Some(place) = earlier(on, 3).await else {
            return;
        };
        let inserts = entries.each_ref().map(inserted);
        let inserts: Vec<&str> = inserts.iter().map(String::as_str).collect();
        place.change(&inserts).await;
        let store = place.open().await;
        let (before, max) = (None, 9);
        let page = CreditEntries {
            wallet,
            before,
            max,
        };
        let found = store.read(&[Read::CreditEntriesOf(page)]).await.unwrap();
        let found: Vec<Row> = found[0].iter().map(|stored| stored.row.clone()).collect();
        let expected = [&entries[1], &entries[0]].map(|entry| Row::Entry(entry.clone()));
        assert_eq!(found, expected, "{on:?}");
        // And those that are about nobody's are read as they were.
        let read = Read::Row(Key::Entry(entries[2].id));
        let found = store.read(&[read]).await.unwrap();
        assert_eq!(found[0].len(), 1, "{on:?}");
        drop(store);
        place.remove().await;
    }
}

/// Takes over from whoever seals at every step, and seals.
async fn seal_against_others(bench: Bench, blocks: usize) -> (usize, usize) {
    let (mut sealed, mut lost) = (0, 0);
    for _ in 0..blocks {
        let claim = Claim {
            lane: Lane::Seal,
            now: Timestamp::MAX.before(Seconds::new(1)),
            lease: Seconds::ZERO,
            rows_max: 1,
        };
        let claimed = bench.ports.store.claim_due(&claim).await.unwrap();
        for Claimed { fence, .. } in claimed {
            match execute(&bench.ports, &SealBlock { fence }).await {
                Ok(Ok(entries)) => sealed += entries,
                Ok(Err(never)) => match never {},
                Err(ExecuteError::Rejected(Rejection::Fenced(_)) | ExecuteError::Busy) => lost += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    (sealed, lost)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_who_seal_at_once_each_entry_gets_into_one_block() {
    const TOLD: u64 = 240;
    for on in EVERYWHERE {
        let Some(place) = Place::new(on).await else {
            return;
        };
        let (one, archive) = place.open_archive().await;
        let stores = [one, place.open().await];
        let bench = |number: usize| {
            let mut bench = Bench::new(stores[number % 2].clone(), number as u64);
            bench.ports.policy.journal.block_entries_max = 7;
            bench
        };
        execute(&bench(0).ports, &TendChain).await.unwrap().unwrap();
        let telling = stores.clone().into_iter().enumerate().map(|(half, store)| {
            tokio::spawn(async move {
                for n in (0..TOLD).filter(|n| *n % 2 == half as u64) {
                    // Some are told by both.
                    let again = outage(n / 3);
                    store.commit(&telling([outage(n), again])).await.unwrap();
                }
            })
        });
        let telling: Vec<_> = telling.collect();
        let sealing = (0..4).map(|number| tokio::spawn(seal_against_others(bench(number), 12)));
        let sealing: Vec<_> = sealing.collect();
        let mut sealed = 0;
        for sealer in sealing {
            sealed += sealer.await.unwrap().0;
        }
        for teller in telling {
            teller.await.unwrap();
        }
        // What is left, in any case more than nothing is for one to seal.
        let last = bench(5);
        for _ in 0..TOLD {
            let (more, lost) = seal_against_others(last.clone(), 1).await;
            assert_eq!(lost, 0, "{on:?}");
            sealed += more;
            if more == 0 {
                break;
            }
        }
        assert_eq!(sealed as u64, TOLD, "{on:?}");
        Journal::sealed(&*archive, TOLD).await;
        drop((stores, archive, last));
        place.remove().await;
    }
}

/// A group in which some tell what is there, some tell what is new, and some seal: each verdict is
/// what it would have been alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_told_again_beside_a_block_stays_in_its_block() {
    for on in EVERYWHERE {
        let Some(place) = Place::new(on).await else {
            return;
        };
        let (store, archive) = place.open_archive().await;
        let chain = Chain::new(ChainId::from_random([3; 16]), at(1));
        let first = chain.seal(&[&outage(0)], at(9));
        let mut draft = Draft::new();
        draft.insert(chain.after(&first, at(9)));
        store.commit(&draft.finish()).await.unwrap();
        store
            .commit(&telling([outage(0), outage(1)]))
            .await
            .unwrap();
        store.commit(&inserting(&first)).await.unwrap();
        let mut commits = Vec::new();
        for n in 0..30 {
            let after = chain.after(&first, at(9));
            // Sealed already, or a second time, or for the first.
            let again = Block {
                number: session_core::journal::BlockNumber::new(100 + n),
                ..after.seal(&[&outage(0)], at(9))
            };
            for changeset in [telling([outage(0)]), inserting(&again)] {
                let store = store.clone();
                commits.push(tokio::spawn(async move { store.commit(&changeset).await }));
            }
        }
        for (number, commit) in commits.into_iter().enumerate() {
            match (number % 2, commit.await.unwrap()) {
                (0, Ok(_)) => {}
                (1, Err(CommitError::Rejected(Rejection::Conflict(Key::Block(_))))) => {}
                (_, answer) => panic!("{on:?}: {answer:?}"),
            }
        }
        let mut journal = Journal::default();
        archive.show(&mut journal).await.unwrap();
        assert_eq!(journal.unsealed, [outage(1).id], "{on:?}");
        drop((store, archive));
        place.remove().await;
    }
}

fn inserting(block: &Block) -> Changeset {
    let mut draft = Draft::new();
    draft.insert(block.clone());
    draft.finish()
}

/// The statements of `roles.sql`, without what only `psql` understands.
fn role_statements(role: &str) -> Vec<String> {
    let text = include_str!("../migrations/roles.sql");
    let lines = text.lines().filter(|line| {
        let said = line.trim_start();
        !said.starts_with(['\\', '-']) && !said.contains("\\gset") && !said.contains("DO $$")
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let text = text
        .replace(":\"role\"", role)
        .replace(":\"schema\"", "public");
    let statements = text.split(';').map(|statement| statement.trim().to_owned());
    statements
        .filter(|statement| !statement.is_empty())
        .collect()
}

/// What the role may not do, whoever it is.
const FORBIDDEN: &[&str] = &[
    "UPDATE journal SET decided_at = 0",
    "DELETE FROM journal",
    "UPDATE block SET sealed_at = 0",
    "DELETE FROM block",
    "UPDATE transfer SET amount = 1",
    "DELETE FROM transfer",
    "DELETE FROM chain",
    "TRUNCATE unsealed",
    "ALTER TABLE block DROP CONSTRAINT block_pkey",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_a_role_with_few_rights_the_journal_is_told_and_sealed() {
    let Some(database) = Database::new(Level::ReadCommitted, false).await else {
        return;
    };
    database.open().await.close().await;
    let role = format!("{}_role", database.name);
    let mut hand = database.by_hand().await;
    let creating = format!("CREATE ROLE {role} LOGIN");
    for statement in std::iter::once(creating).chain(role_statements(&role)) {
        let done = hand.execute(AssertSqlSafe(statement.clone())).await;
        done.map_err(|error| format!("{statement}: {error}"))
            .unwrap();
    }
    let (before, rest) = {
        let url = database.url();
        let (before, rest) = url.split_once('@').unwrap();
        let (scheme, _) = before.split_once("//").unwrap();
        (format!("{scheme}//{role}"), rest.to_owned())
    };
    let url = format!("{before}@{rest}");
    let store = PostgresStore::open(&url, PostgresOptions::default())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let bench = Bench::new(Arc::new(store.clone()), 1);
    store.commit(&telling((0..20).map(outage))).await.unwrap();
    let worked = work_lane(&bench.ports, Lane::Seal).await.unwrap();
    assert_eq!((worked.sealed, &worked.failed[..]), (20, &[][..]));

    // Whoever lost its claim hears that it did, and not that a right is missing.
    store.commit(&telling([outage(20)])).await.unwrap();
    let late = execute(
        &bench.ports,
        &SealBlock {
            fence: Fence::new(77),
        },
    )
    .await;
    let lost = Rejection::Fenced(Key::Chain(()));
    assert_eq!(late, Err(ExecuteError::Rejected(lost)));
    // Nor does whoever expects an entry need one.
    let entry = Key::Entry(outage(0).id);
    let mut odd = telling([outage(21)]);
    odd.expect.push(Expect::Absent(entry));
    let verdict = store.commit(&odd).await;
    assert!(matches!(
        verdict,
        Err(CommitError::Rejected(Rejection::Malformed(_)))
    ));
    bench.clock.advance(Seconds::new(5));
    let worked = work_lane(&bench.ports, Lane::Seal).await.unwrap();
    assert_eq!(worked.sealed, 1, "{worked:?}");
    Journal::sealed(&store, 21).await;

    // What is neither appended nor counted comes, changes and goes.
    let (booking, of) = (Key::BookedSession(booked(0).key), Key::Host(wallet(0)));
    for written in 0..3 {
        let reads = [booking.clone(), of.clone()].map(Read::Row);
        let found = Snapshot::load(&store, &reads).await.unwrap();
        let session: Loaded<BookedSession> = found.row(booking.clone());
        let host: Loaded<Host> = found.row(of.clone());
        assert_eq!(session.version().map_or(0, Version::get), written);
        assert_eq!(host.version().map_or(0, Version::get), written);
        let mut draft = Draft::new();
        if written < 2 {
            draft.update(&session, booked(0));
            let said = Host {
                wallet: wallet(0),
                accepting_bookings: true,
                changed_at: at(written),
            };
            draft.update(&host, said);
        } else {
            draft.delete(&session);
            draft.delete(&host);
        }
        store.commit(&draft.finish()).await.unwrap();
    }

    let mut as_role = sqlx::PgConnection::connect(&url).await.unwrap();
    for statement in FORBIDDEN {
        let refused = as_role.execute(*statement).await.expect_err(statement);
        let code = refused
            .as_database_error()
            .and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("42501"), "{statement}: {refused}");
    }
    as_role.close().await.unwrap();
    store.close().await;
    let gone = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    hand.execute(AssertSqlSafe(gone)).await.unwrap();
    hand.close().await.unwrap();
    database.remove().await;
}

/// A reading of everything is refused where every other call is.
#[tokio::test]
async fn a_closed_store_shows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("session.db").display());
    let store = SqliteStore::open(&url, SqliteOptions::default())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    store.show(&mut Journal::default()).await.unwrap();
    store.close().await;
    store.show(&mut Journal::default()).await.unwrap_err();
}
