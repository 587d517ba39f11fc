//! The store: many windows, one door, one turnstile.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;

use async_trait::async_trait;

use crate::changeset::{
    Changeset, Fence, Key, Lane, Loaded, Receipt, Record, Rejection, Row, Version,
};
use crate::types::{RoomId, Seconds, Timestamp, Wallet};

/// A row and how often it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// How often it was written.
    pub version: Version,
    /// The row.
    pub row: Row,
}

/// What can be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "stores answer every read")]
pub enum Read {
    /// The newest active open rooms, at most this many, newest first.
    ActiveOpenRooms(u32),
    /// The active room of a host.
    ActiveRoomOf(Wallet),
    /// Outstanding nonces of a wallet, oldest first.
    ChallengesOf(Wallet),
    /// The live seat of a wallet.
    LiveSeatOf(Wallet),
    /// The live seats of a room, by slot.
    LiveSeatsIn(RoomId),
    /// One row.
    Row(Key),
}

/// A worker's request for work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Which queue.
    pub lane: Lane,
    /// What time it is.
    pub now: Timestamp,
    /// How long the claim is to hold.
    pub lease: Seconds,
    /// How many rows at most.
    pub rows_max: usize,
}

/// A row that this worker may work on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Which row.
    pub key: Key,
    /// To be expected by the changeset of the outcome.
    pub fence: Fence,
}

/// What a caller may do about a [`StoreError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "adapters map every kind")]
pub enum StoreErrorKind {
    /// The store holds something that cannot be.
    Corrupt,
    /// Locked, gone or too slow: try again later. Of a commit it is not known whether it happened.
    Unavailable,
}

/// The store could not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("store {}: {detail}", match .kind {
    StoreErrorKind::Corrupt => "holds nonsense",
    StoreErrorKind::Unavailable => "is unavailable",
})]
pub struct StoreError {
    /// What a caller may do about it.
    pub kind: StoreErrorKind,
    /// For logs. Never shown to clients.
    pub detail: String,
}

/// A changeset was not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "drivers map both")]
pub enum CommitError {
    /// The changeset was refused; nothing of it is written.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The store failed. With [`StoreErrorKind::Unavailable`] the changeset may have been written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where state lives.
///
/// Any number of processes may use one store at once. What each method promises is what the public
/// suite of the testkit checks.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Reads rows, one list per read and in the order of the reads; an absent row is an empty
    /// list. All lists are of one instant.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError>;

    /// Commits a changeset whole or not at all, as [`apply`](crate::changeset::apply) says, and
    /// durably: once this returns, a crash does not undo it.
    ///
    /// Isolation: what the changeset expects holds at the instant of its commit, against any other
    /// commit.
    ///
    /// # Errors
    /// [`CommitError`].
    ///
    /// # Cancel safety
    /// A caller that stops waiting does not know whether the changeset was committed; it never is
    /// in part.
    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError>;

    /// Takes due rows of a lane, the longest due first, and raises each one's fence. A row under a
    /// claim that still holds is not handed out. Two callers at once get different rows.
    ///
    /// # Errors
    /// [`StoreError`].
    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError>;

    /// Whether the store answers.
    ///
    /// # Errors
    /// [`StoreError`] where it does not.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Rows as one decision found them.
///
/// A decision may read in several steps (the accounts of whoever sits in a room). Each step is of
/// one instant, and later steps are of later ones, so a set must be read in the same step as the
/// row that guards it, or later: a change of the set in between then shows in the guard's version.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    rows: BTreeMap<Key, Option<StoredRow>>,
    lists: BTreeMap<Read, Vec<Key>>,
}

impl Snapshot {
    /// Reads rows.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load(store: &dyn Store, reads: &[Read]) -> Result<Self, StoreError> {
        let mut snapshot = Self::default();
        snapshot.load_more(store, reads).await?;
        Ok(snapshot)
    }

    /// Reads more rows. A row that was read before stays as it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load_more(&mut self, store: &dyn Store, reads: &[Read]) -> Result<(), StoreError> {
        if reads.is_empty() {
            return Ok(());
        }
        for (read, found) in reads.iter().zip(store.read(reads).await?) {
            let keys = found.iter().map(|stored| stored.row.key()).collect();
            self.lists.insert(read.clone(), keys);
            if let Read::Row(key) = read
                && found.is_empty()
            {
                self.rows.entry(key.clone()).or_insert(None);
            }
            for stored in found {
                self.rows.entry(stored.row.key()).or_insert(Some(stored));
            }
        }
        Ok(())
    }

    /// A row that was read.
    #[must_use]
    pub fn row<T: Record>(&self, key: Key) -> Loaded<T> {
        debug_assert!(self.rows.contains_key(&key), "{key} was not read");
        let found = self.rows.get(&key).and_then(Option::as_ref);
        match found.and_then(|stored| Some((stored.version, T::from_row(stored.row.clone())?))) {
            Some((version, value)) => Loaded::present(key, version, value),
            None => Loaded::absent(key),
        }
    }

    /// The rows of a list that was read, in the store's order.
    #[must_use]
    pub fn list<T: Record>(&self, read: &Read) -> Vec<Loaded<T>> {
        debug_assert!(self.lists.contains_key(read), "{read:?} was not read");
        let keys = self.lists.get(read).into_iter().flatten();
        keys.map(|key| self.row(key.clone())).collect()
    }

    /// The first row of a list that was read.
    #[must_use]
    pub fn first<T: Record>(&self, read: &Read) -> Option<Loaded<T>> {
        self.list(read).into_iter().next()
    }
}
