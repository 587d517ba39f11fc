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
use crate::escrow::{BookingKey, BookingStatus};
use crate::room::EventNumber;
use crate::types::{EntryId, RevocationId, RoomId, Seconds, Timestamp, Wallet};

/// A row and how often it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// How often it was written.
    pub version: Version,
    /// The row at that version.
    pub row: Row,
}

/// What can be read. What each finds is said exactly by [`World::find`].
///
/// [`World::find`]: crate::changeset::World::find
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "stores answer every read")]
pub enum Read {
    /// The newest active open rooms, at most this many, newest first; those of one instant by
    /// identifier.
    ActiveOpenRooms(u32),
    /// The active room of a host.
    ActiveRoomOf(Wallet),
    /// Booked sessions that a wallet is host or guest of, those that begin last first; those of one
    /// instant by the text of their keys, greatest first.
    BookedSessionsOf(BookedSessions),
    /// Entries that tell of a change of a wallet's credit
    /// ([`Fact::moves_credit_of`](crate::changeset::Fact::moves_credit_of)), newest first, those of
    /// one instant by identifier, greatest first.
    CreditEntriesOf(CreditEntries),
    /// Outstanding nonces of a wallet, oldest first; those of one instant by nonce.
    ChallengesOf(Wallet),
    /// The last stay of a wallet in a room: the live one, else the one that began last; of several
    /// that began at one instant the one of the greatest identifier.
    LastSeatIn(RoomId, Wallet),
    /// The live seat of a wallet.
    LiveSeatOf(Wallet),
    /// The live seats of a room, by slot.
    LiveSeatsIn(RoomId),
    /// Access tokens that were revoked, by instant of revocation and identifier.
    RevokedTokens(RevokedTokens),
    /// Events of a room, by number.
    RoomEvents(RoomEvents),
    /// The row of this name, or nothing where there is none.
    Row(Key),
    /// The oldest entries of the journal that are in no block, at most this many and at most
    /// [`BLOCK_ENTRIES_MAX`](crate::journal::BLOCK_ENTRIES_MAX), oldest first; those of one instant
    /// by identifier.
    UnsealedEntries(u32),
}

/// A page of [`Read::BookedSessionsOf`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_structs, reason = "stores answer every part")]
pub struct BookedSessions {
    /// Whose.
    pub wallet: Wallet,
    /// Only those that were last read at this status.
    pub status: Option<BookingStatus>,
    /// Only those that come after this one in the order of the list.
    pub before: Option<(Timestamp, BookingKey)>,
    /// At most so many.
    pub max: u32,
}

/// A page of [`Read::CreditEntriesOf`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_structs, reason = "stores answer every part")]
pub struct CreditEntries {
    /// Whose.
    pub wallet: Wallet,
    /// Only those that come after this one in the order of the list, which is older.
    pub before: Option<(Timestamp, EntryId)>,
    /// At most so many.
    pub max: u32,
}

/// A page of [`Read::RevokedTokens`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_structs, reason = "stores answer every part")]
pub struct RevokedTokens {
    /// Only those after this one in the order of the list.
    pub after: (Timestamp, RevocationId),
    /// At most so many.
    pub max: u32,
}

/// A page of [`Read::RoomEvents`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_structs, reason = "stores answer every part")]
pub struct RoomEvents {
    /// Of which room.
    pub room: RoomId,
    /// Only those after this one.
    pub after: EventNumber,
    /// At most so many.
    pub max: u32,
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
/// This page is the contract between the core and whoever writes a store. Each promise has a name,
/// by which the checks of the public suite (`session_testkit::conformance`) say what is broken.
/// Those of every call come first, the others stand with their method.
///
/// - **G1, shared.** Any number of handles in any number of processes may use one state at once.
///   Whatever is promised here holds between all of them.
/// - **G2, left alone.** A caller may stop waiting at any point. Its commit or its claim has then
///   happened whole, or will, or never does; whoever calls next is served as if nothing had been.
/// - **G3, unavailable.** [`StoreErrorKind::Unavailable`] says that the store is gone, locked or
///   too slow. A read did nothing; of a claim or a commit it is not known whether it happened, as
///   under G2. It is no answer to contention: of two calls in each other's way the store lets one
///   wait, or does one over by itself, and both are answered.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// Reads rows.
    ///
    /// - **R1, shape.** The answer is one list for each read, in the order of the reads. A read
    ///   that is asked twice is answered twice; no reads, no lists.
    /// - **R2, absence.** What is not there is an empty list, never an error. A new store holds
    ///   nothing.
    /// - **R3, order.** A list holds what [`Read`] says and nothing else, in the order that it
    ///   says, so that the same state always gives the same list.
    /// - **R4, instant.** All lists of one call are of one instant between two commits. Decisions
    ///   add up what they read: a room and its seats of two instants are a room that never was.
    /// - **R5, recency.** That instant is not before the read began: it comes after every commit
    ///   that had returned by then, to whomever, and after whatever an earlier read had found.
    /// - **R6, fidelity.** A row comes back as it was written, to the last field and to the ends of
    ///   each field's range, except that a number above `i64::MAX` may be refused with an error of
    ///   the commit that brings it.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Nothing is changed.
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError>;

    /// Commits a changeset.
    ///
    /// - **C1, verdict.** The answer is the one that [`apply`] gives on the state of one instant
    ///   during the call, and what [`Delta`] says is written at that instant. Where several things
    ///   are wrong, it is the first that `apply` finds. The text in [`Rejection::Malformed`] alone
    ///   may differ.
    /// - **C2, expectation.** Every [`Expect`] holds at that instant, of rows that the changeset
    ///   writes and of rows that it only relied on; else it is [`Rejection::Conflict`], naming the
    ///   first row that is not as expected. A conflict that there is not is as wrong as one
    ///   overlooked: the driver would decide anew for nothing.
    /// - **C3, version.** A row's version is 1 after its insertion and one more after each commit
    ///   that writes it. A row that comes again after it was removed begins at 1.
    /// - **C4, form.** [`Rejection::Malformed`] are: a write that does not expect what it replaces,
    ///   a second write of a row, a write of an account, a write or an expectation of an entry, a
    ///   write of a block that is not an insertion, an intent whose key has another effect.
    /// - **C5, uniqueness.** Of what [`Record::uniques`] names, no two rows have the same: else it
    ///   is [`Rejection::Taken`]. What counts is the state after the whole changeset, so that a
    ///   value may change hands within one.
    /// - **C6, ledger.** Transfers do what [`post`] says, in their order, each seeing those before
    ///   it. A transfer moves once for its identifier, for ever; the same identifier with other
    ///   content is an `IdMismatch`; a refused one stays free. Guards, limits and reservations hold
    ///   at the instant of the commit, whether or not an account's version is expected. Accounts
    ///   without a row ([`AccountKind::is_derived`]) get none.
    /// - **C7, receipt.** It tells for each transfer asked for how much moved under its identifier,
    ///   now or the first time: a repeat gets the first answer.
    /// - **C8, answer.** An idempotency record is written with what it answers for, or not at all.
    ///   Where there is one of the same key already, the changeset is a conflict on that row.
    /// - **C9, intents and facts.** An intent that is there with the same effect stays as it is,
    ///   however far it has come. A fact that is in the journal already is not one more.
    /// - **C10, whole.** All of the changeset is written or nothing: a refused one leaves no trace
    ///   in rows, versions, transfers, journal or queues. Nobody sees a part of it, ever.
    /// - **C11, isolation.** The instants of C1 put all commits and claims in one order, and each
    ///   finds what those before it left. So of two changesets of which each writes what the other
    ///   relied on, one is refused, also where what they relied on was an absence: a store of
    ///   snapshots that checks only written rows breaks this (write skew).
    /// - **C12, durability.** Once this returns, every process sees the commit, and no crash undoes
    ///   it.
    /// - **C13, sealing.** An entry is in no block from the commit that appends it to the commit
    ///   that inserts a block which names it. A block that names an entry which is in a block, or
    ///   nowhere, or twice in it, is a conflict on the block's row.
    ///
    /// # Errors
    /// [`CommitError`].
    ///
    /// # Cancel safety
    /// A caller that stops waiting does not know whether the changeset was committed; it never is
    /// in part.
    ///
    /// [`apply`]: crate::changeset::apply
    /// [`Delta`]: crate::changeset::Delta
    /// [`Expect`]: crate::changeset::Expect
    /// [`post`]: crate::ledger::post
    /// [`AccountKind::is_derived`]: crate::ledger::AccountKind::is_derived
    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError>;

    /// Takes due rows of a lane.
    ///
    /// - **Q1, due.** Handed out are rows of this lane whose [`Record::due`] is at or before `now`,
    ///   at most `rows_max` of them, and as many as there are.
    /// - **Q2, order.** The longest due come first, of all that could be handed out. Rows due at
    ///   one instant come in any order.
    /// - **Q3, lease.** A row under a claim is not handed out before the claim's lease is over; at
    ///   its last instant it is.
    /// - **Q4, fence.** A row that comes into a queue has fence 0, and each claim raises it by one.
    ///   A claim is no write: the row and its version stay as they are.
    /// - **Q5, one taker.** Callers at once get different rows.
    /// - **Q6, fenced.** A commit that expects [`Expect::Claimed`] with another fence than the row
    ///   has now is [`Rejection::Fenced`], and so is one about a row that is in no queue.
    /// - **Q7, end.** A commit that writes a row under its claim ends the claim, and so does any
    ///   that moves its due time; both leave the fence as it is. Every other write leaves the claim
    ///   alone.
    /// - **Q8, leaving.** A row that is removed, or due no more, leaves its queue.
    ///
    /// # Errors
    /// [`StoreError`].
    ///
    /// # Cancel safety
    /// Rows may be under a claim of which nobody knows. They come up again when its lease ends.
    ///
    /// [`Expect::Claimed`]: crate::changeset::Expect::Claimed
    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError>;

    /// Whether the store answers.
    ///
    /// - **P1, ping.** It succeeds where a read would, on an empty store too.
    ///
    /// # Errors
    /// [`StoreError`] where it does not.
    ///
    /// # Cancel safety
    /// Nothing is changed.
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
