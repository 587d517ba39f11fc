//! The log after a crash, wherever it happens.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by a panic"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use custom_store::{LogStore, OpenError};
use session_core::changeset::{Draft, Key, Lane};
use session_core::ledger::AccountKind;
use session_core::outage::Service;
use session_core::ports::{Claim, Read, Store, StoredRow};
use session_core::room::{CreateRoom, JoinRoom, Visibility};
use session_core::service::execute;
use session_core::types::{Seconds, Timestamp};
use session_testkit::bench::Bench;
use tempfile::TempDir;

/// A log that ends with a commit of everything that a room begins with, and what can be read of it
/// without its last line and with it.
struct Log {
    folder: TempDir,
    bytes: Vec<u8>,
    last_line: usize,
    before: Vec<Vec<StoredRow>>,
    after: Vec<Vec<StoredRow>>,
}

impl Log {
    async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("rooms.log");
        let store = Arc::new(LogStore::open(&path).unwrap());
        let bench = Bench::new(store.clone(), 1);
        let wallet = Bench::wallet(1);
        bench.endow(wallet, Seconds::new(1800)).await.unwrap();
        let create = CreateRoom {
            wallet,
            visibility: Visibility::Open,
            ai_enabled: false,
        };
        let room = execute(&bench.ports, &create).await.unwrap().unwrap().room;
        let claim = Claim {
            lane: Lane::Rooms,
            now: Timestamp::MAX,
            lease: Seconds::ZERO,
            rows_max: 1,
        };
        assert_eq!(store.claim_due(&claim).await.unwrap().len(), 1);
        let before = visible(&*store).await;
        let join = JoinRoom {
            wallet,
            room: Some(room),
        };
        execute(&bench.ports, &join).await.unwrap().unwrap();
        let after = visible(&*store).await;
        assert_ne!(before, after);
        let bytes = std::fs::read(&path).unwrap();
        let mut lines = bytes[..bytes.len() - 1].iter();
        let last_line = lines.rposition(|byte| *byte == b'\n').unwrap() + 1;
        Self {
            folder,
            bytes,
            last_line,
            before,
            after,
        }
    }

    /// A file of these bytes.
    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("crashed.log");
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

/// All that the log of these tests has in its rows.
async fn visible(store: &dyn Store) -> Vec<Vec<StoredRow>> {
    let wallet = Bench::wallet(1);
    let account = |kind| {
        let owner = session_core::ledger::Owner::Wallet(wallet);
        let unit = session_core::types::Unit::Seconds;
        Key::Account(session_core::ledger::AccountKey::new(owner, kind, unit))
    };
    let reads = [
        Read::ActiveOpenRooms(9),
        Read::LiveSeatOf(wallet),
        Read::Row(account(AccountKind::Wallet)),
        Read::Row(account(AccountKind::GrantBase)),
    ];
    store.read(&reads).await.unwrap()
}

/// Commits something, opens the log again, and looks whether it is there beside what was.
async fn goes_on(store: LogStore, path: &Path, expected: &[Vec<StoredRow>]) {
    let beat = Service {
        last_beat_at: Timestamp::EPOCH,
        outages: Vec::new(),
    };
    let mut draft = Draft::new();
    draft.insert(beat);
    store.commit(&draft.finish()).await.unwrap();
    drop(store);
    let store = LogStore::open(path).unwrap();
    assert_eq!(store.cut_off_bytes(), 0);
    assert_eq!(visible(&store).await, expected);
    let reads = [Read::Row(Key::Service(()))];
    assert_eq!(store.read(&reads).await.unwrap()[0].len(), 1);
}

#[tokio::test]
async fn a_log_cut_at_any_byte_of_its_last_line_is_the_one_before_it() {
    let log = Log::new().await;
    for end in log.last_line..log.bytes.len() {
        let path = log.file(&log.bytes[..end]);
        let store = LogStore::open(&path).unwrap();
        assert_eq!(store.cut_off_bytes(), (end - log.last_line) as u64);
        assert_eq!(visible(&store).await, log.before, "cut at byte {end}");
        if end % 16 == 0 {
            goes_on(store, &path, &log.before).await;
        }
    }
    let path = log.file(&log.bytes);
    let store = LogStore::open(&path).unwrap();
    assert_eq!(store.cut_off_bytes(), 0);
    assert_eq!(visible(&store).await, log.after);
    goes_on(store, &path, &log.after).await;
}

#[tokio::test]
async fn a_last_line_with_a_hole_is_cut_off() {
    let log = Log::new().await;
    // The disk wrote the end of the line, and not all before it.
    for hole in log.last_line..log.bytes.len() - 1 {
        let mut bytes = log.bytes.clone();
        bytes[hole] = 0;
        let store = LogStore::open(&log.file(&bytes)).unwrap();
        assert_eq!(visible(&store).await, log.before, "a hole at byte {hole}");
    }
}

#[tokio::test]
async fn damage_before_the_last_line_is_told_and_nothing_is_cut_off() {
    let log = Log::new().await;
    let mut bytes = log.bytes.clone();
    bytes[30] ^= 1;
    let path = log.file(&bytes);
    let error = LogStore::open(&path).unwrap_err();
    assert!(
        matches!(error, OpenError::Damaged { line: 1, .. }),
        "{error}"
    );
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    // A line that is whole, and was not written after those before it.
    let twice = [&log.bytes[..], &log.bytes[log.last_line..]].concat();
    let error = LogStore::open(&log.file(&twice)).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn one_process_has_the_log() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("rooms.log");
    let store = LogStore::open(&path).unwrap();
    let second = LogStore::open(&path).unwrap_err();
    assert!(matches!(second, OpenError::InUse), "{second}");
    drop(store);
    LogStore::open(&path).unwrap();
}

#[tokio::test]
async fn a_repeat_and_a_claim_of_nothing_write_no_line() {
    let log = Log::new().await;
    let path = log.file(&log.bytes);
    let store = LogStore::open(&path).unwrap();
    let claim = Claim {
        lane: Lane::Deliver,
        now: Timestamp::MAX,
        lease: Seconds::ZERO,
        rows_max: 9,
    };
    assert_eq!(store.claim_due(&claim).await.unwrap(), []);
    store.commit(&Draft::new().finish()).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), log.bytes);
}
