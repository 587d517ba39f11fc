//! A durable store in one file: a log of changesets.
//!
//! Each commit is one line of JSON, written to the disk before the commit returns. Opening the
//! file reads the lines again, in order, through the same function that decided them
//! ([`apply`]), and so comes to the same rows. What a store has to do beyond that is here in full:
//!
//! - one lock around "look, write down, change", so that commits come one after the other;
//! - the line is on the disk before anybody sees what it changed;
//! - claims are written down too: a fence that was handed out stays handed out;
//! - a line that a crash cut short was never answered, and is cut off;
//! - when the disk fails, nobody knows what is on it: the store refuses everything from then on,
//!   and opening it again finds out.
//!
//! `tests/conformance.rs` runs the public suite on it, and `tests/crash.rs` ends it at every byte.
//!
//! It is good for reading, for a demonstration, and for a house with one server and few guests. It
//! is not good for
//!
//! - **several servers**: one process may open the file, and a second is turned away;
//! - **much state, or a long life**: all rows are kept in memory, the file only grows, and opening
//!   it takes as long as everything that ever happened;
//! - **many guests at once**: each commit waits for the disk alone, and holds up its thread and
//!   everybody else meanwhile, readers too;
//! - **another version of the core** that decides otherwise: it would read other rows out of the
//!   same lines. `session-sqlx` keeps rows, not decisions.

use std::borrow::Cow;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use session_core::changeset::{Changeset, Delta, Lane, Receipt, Rejection, World, apply};
use session_core::crypto::sha256;
use session_core::ports::{
    Claim, Claimed, CommitError, Read, Store, StoreError, StoreErrorKind, StoredRow,
};
use session_core::types::{Timestamp, encode_hex};

/// A log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A line that is not the last cannot be read or cannot be: somebody changed the file.
    #[error("line {line} of the log is damaged: {why}")]
    Damaged {
        /// Which line, the first being 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Another process has the log open.
    #[error("the log is open in another process")]
    InUse,
    /// The file system failed.
    #[error("the log cannot be read or written")]
    Io(#[from] io::Error),
}

/// One thing that changed the state. A line of the log is a digest of the JSON, a space, and the
/// JSON, which has no line break in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
enum Line<'a> {
    /// A claim that found something.
    Claim {
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        rows_max: usize,
    },
    /// A changeset that was granted.
    Commit(Cow<'a, Changeset>),
}

/// A [`Store`] in one file. See the page of this crate for what it is not good for.
#[derive(Debug)]
pub struct LogStore {
    log: Mutex<Log>,
    cut_off_bytes: u64,
}

#[derive(Debug)]
struct Log {
    file: File,
    world: World,
    /// The disk failed: what it holds is not what `world` holds, perhaps.
    failed: bool,
}

impl LogStore {
    /// Opens the log at this path, which is created where it is missing, and reads it. A last line
    /// that is not whole is cut off.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::InUse),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut world = World::new();
        let whole = replay(&bytes, &mut world)?;
        let cut_off = &bytes[whole..];
        if !cut_off.is_empty() {
            file.set_len(whole as u64)?;
            file.sync_all()?;
        }
        // A file that was just created is in its folder only once that is on the disk too.
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if bytes.is_empty() {
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(Self {
            cut_off_bytes: cut_off.len() as u64,
            log: Mutex::new(Log {
                file,
                world,
                failed: false,
            }),
        })
    }

    /// How much of a line that a crash had cut short was cut off when the log was opened.
    #[must_use]
    pub const fn cut_off_bytes(&self) -> u64 {
        self.cut_off_bytes
    }

    /// The log, unless the disk has failed.
    fn log(&self) -> Result<MutexGuard<'_, Log>, StoreError> {
        // A panic under this lock cannot have left the rows half changed: `apply` does not change
        // them, and `absorb` cannot fail.
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.failed {
            return Err(unavailable(
                "the disk has failed, and the log must be opened again",
            ));
        }
        Ok(log)
    }
}

impl Log {
    /// Writes a line to the disk. When that fails, the line may be there, in part or whole.
    fn append(&mut self, line: &Line<'_>) -> Result<(), StoreError> {
        let json = serde_json::to_string(line).map_err(|error| unavailable(error.to_string()))?;
        let text = format!("{} {json}\n", digest(json.as_bytes()));
        let written = self.file.write_all(text.as_bytes());
        written
            .and_then(|()| self.file.sync_data())
            .map_err(|error| {
                self.failed = true;
                unavailable(format!("the log cannot be written: {error}"))
            })
    }
}

#[async_trait]
impl Store for LogStore {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        let log = self.log()?;
        Ok(reads.iter().map(|read| log.world.find(read)).collect())
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        // Nothing in here waits for another task, so that a caller who stops waiting cannot stop it
        // half way.
        let mut log = self.log()?;
        let delta = apply(&log.world, changeset)?;
        if is_written(&delta) {
            log.append(&Line::Commit(Cow::Borrowed(changeset)))?;
            log.world.absorb(&delta);
        }
        Ok(delta.receipt)
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        let mut log = self.log()?;
        let Claim {
            lane,
            now,
            rows_max,
            ..
        } = *claim;
        let until = now.after(claim.lease);
        let claimed = log.world.claim(lane, now, until, rows_max);
        // Workers look every second, and mostly find nothing.
        if !claimed.is_empty() {
            log.append(&Line::Claim {
                lane,
                now,
                until,
                rows_max,
            })?;
        }
        let claimed = claimed.into_iter();
        Ok(claimed.map(|(key, fence)| Claimed { key, fence }).collect())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.log().map(|_| ())
    }
}

/// Reads whole lines into a world. How many bytes they are.
fn replay(bytes: &[u8], world: &mut World) -> Result<usize, OpenError> {
    let mut whole = 0;
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    for (number, text) in (1..).zip(lines) {
        let is_last = whole + text.len() == bytes.len();
        let line = match parse(text) {
            Ok(line) => line,
            // Its commit never returned: the disk had not confirmed it.
            Err(_) if is_last => break,
            Err(why) => return Err(OpenError::Damaged { line: number, why }),
        };
        redo(world, line).map_err(|why| OpenError::Damaged {
            line: number,
            why: why.to_string(),
        })?;
        whole += text.len();
    }
    Ok(whole)
}

fn parse(text: &[u8]) -> Result<Line<'static>, String> {
    let text = text.strip_suffix(b"\n").ok_or("it does not end")?;
    let space = text.iter().position(|byte| *byte == b' ');
    let (expected, json) = text.split_at(space.ok_or("it has no digest")?);
    let json = &json[1..];
    // A disk may write the end of a line and not its beginning.
    if digest(json).as_bytes() != expected {
        return Err("its digest is another".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// Does again what a line says.
fn redo(world: &mut World, line: Line<'_>) -> Result<(), Rejection> {
    match line {
        Line::Claim {
            lane,
            now,
            until,
            rows_max,
        } => {
            world.claim(lane, now, until, rows_max);
        }
        Line::Commit(changeset) => {
            let delta = apply(world, &changeset)?;
            world.absorb(&delta);
        }
    }
    Ok(())
}

/// Whether anything changes. A repeat changes nothing, and need not be written down again.
fn is_written(delta: &Delta) -> bool {
    let nothing = Delta {
        receipt: delta.receipt.clone(),
        ..Delta::default()
    };
    *delta != nothing
}

fn digest(json: &[u8]) -> String {
    encode_hex(&sha256(json)[..8])
}

fn unavailable(detail: impl Into<String>) -> StoreError {
    StoreError {
        kind: StoreErrorKind::Unavailable,
        detail: detail.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use session_core::changeset::Draft;
    use session_core::outage::Service;

    use super::*;

    /// The value of a future that never waits.
    fn ready<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the store waited"),
        }
    }

    #[test]
    fn after_a_failed_write_the_store_refuses_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rooms.log");
        let store = LogStore::open(&path).unwrap();
        // A disk that takes no more: the file can only be read.
        store.log.lock().unwrap().file = File::open(&path).unwrap();
        let mut draft = Draft::new();
        draft.insert(Service {
            last_beat_at: Timestamp::EPOCH,
            outages: Vec::new(),
        });
        let changeset = draft.finish();
        for _ in 0..2 {
            let error = ready(store.commit(&changeset)).unwrap_err();
            let CommitError::Store(error) = error else {
                panic!("{error}");
            };
            assert_eq!(error.kind, StoreErrorKind::Unavailable);
        }
        ready(store.read(&[])).unwrap_err();
        ready(store.ping()).unwrap_err();
        drop(store);
        ready(LogStore::open(&path).unwrap().commit(&changeset)).unwrap();
    }
}
