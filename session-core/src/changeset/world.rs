//! The rows that a changeset is applied to.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Bound;

use super::apply::Delta;
use super::{Due, Entry, Fact, Fence, Key, Lane, Row, Unique, Version};
use crate::auth::{ChallengeKey, Revoked};
use crate::booking::BookedSession;
use crate::journal::{BLOCK_ENTRIES_MAX, BlockNumber};
use crate::ledger::{Action, Transfer};
use crate::ports::{BookedSessions, CreditEntries, Found, Read, RevokedTokens, StoredRow, Visitor};
use crate::room::{EventNumber, Room, RoomEventKey, Visibility};
use crate::types::{
    ConnectionId, EntryId, Id128, RevocationId, RoomId, Timestamp, TransferId, Wallet,
};

/// A due row's place in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// When, and in which queue.
    pub due: Due,
    /// How often it was claimed.
    pub fence: Fence,
    /// Until when the last claim holds.
    pub leased_until: Option<Timestamp>,
}

/// The rows that a store holds, or those of them that a changeset names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    pub(super) rows: BTreeMap<Key, (Version, Row)>,
    pub(super) uniques: BTreeMap<Unique, Key>,
    pub(super) transfers: BTreeMap<TransferId, Transfer>,
    pub(super) resolutions: BTreeMap<TransferId, TransferId>,
    pub(super) work: BTreeMap<Key, Work>,
    /// Entries that are in no block, and when they were decided.
    pub(super) unsealed: BTreeMap<EntryId, Timestamp>,
}

impl World {
    /// Nothing at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a row in place as a store found it.
    pub fn put_row(&mut self, version: Version, row: Row) {
        for unique in row.uniques() {
            self.uniques.insert(unique, row.key());
        }
        self.rows.insert(row.key(), (version, row));
    }

    /// Puts a transfer in place as a store found it.
    pub fn put_transfer(&mut self, transfer: Transfer) {
        if let Action::Post { of } | Action::Void { of } = transfer.action {
            self.resolutions.insert(of, transfer.id);
        }
        self.transfers.insert(transfer.id, transfer);
    }

    /// Puts a due row's place in its queue in place as a store found it.
    pub fn put_work(&mut self, key: Key, work: Work) {
        self.work.insert(key, work);
    }

    /// Puts an entry among those that are in no block as a store found it.
    pub fn put_unsealed(&mut self, at: Timestamp, entry: EntryId) {
        self.unsealed.insert(entry, at);
    }

    /// The row of this name and its version, if there is one.
    #[must_use]
    pub fn row(&self, key: &Key) -> Option<&(Version, Row)> {
        self.rows.get(key)
    }

    /// Every row, by name.
    pub fn rows(&self) -> impl Iterator<Item = (&Key, Version, &Row)> {
        self.rows
            .iter()
            .map(|(key, (version, row))| (key, *version, row))
    }

    /// Who has what only one may have.
    #[must_use]
    pub fn holder(&self, unique: &Unique) -> Option<&Key> {
        self.uniques.get(unique)
    }

    /// Every transfer, by identifier.
    pub fn transfers(&self) -> impl Iterator<Item = &Transfer> {
        self.transfers.values()
    }

    /// Every journal entry, by identifier.
    pub fn journal(&self) -> impl Iterator<Item = &Entry> {
        let name = |byte| Key::Entry(EntryId::from_bytes([byte; 16]));
        let rows = self.rows.range(name(0)..=name(0xff));
        rows.filter_map(|(_, (_, row))| match row {
            Row::Entry(entry) => Some(entry),
            _ => None,
        })
    }

    /// Every entry that is in no block, by instant and identifier.
    #[must_use]
    pub fn unsealed(&self) -> Vec<EntryId> {
        let mut unsealed: Vec<_> = self.unsealed.iter().map(|(id, at)| (*at, *id)).collect();
        unsealed.sort_unstable();
        unsealed.into_iter().map(|(_, id)| id).collect()
    }

    /// A due row's place in its queue.
    #[must_use]
    pub fn work(&self, key: &Key) -> Option<&Work> {
        self.work.get(key)
    }

    /// What a read finds. Stores that load rows from elsewhere load at least those that a read
    /// may find, and let this say which of them it does, and in which order.
    #[must_use]
    pub fn find(&self, read: &Read) -> Vec<StoredRow> {
        match read {
            Read::Row(key) => self.stored(key).into_iter().collect(),
            Read::LiveSeatOf(wallet) => self.held(&Unique::LiveSeatOf(*wallet)),
            Read::ActiveRoomOf(wallet) => self.held(&Unique::ActiveRoomOf(*wallet)),
            Read::LiveSeatsIn(room) => {
                let slots = Unique::Slot(*room, u8::MIN)..=Unique::Slot(*room, u8::MAX);
                let holders = self.uniques.range(slots).map(|(_, key)| key);
                holders.filter_map(|key| self.stored(key)).collect()
            }
            Read::BookedSessionsOf(page) => self.booked_sessions(page),
            Read::CreditEntriesOf(page) => self.credit_entries(page),
            Read::LastSeatIn(room, wallet) => self.last_seat(*room, *wallet),
            Read::RevokedTokens(page) => self.revoked_tokens(page),
            Read::RoomEvents(page) => {
                let name = |number| {
                    let room = page.room;
                    Key::RoomEvent(RoomEventKey { room, number })
                };
                let after = (
                    Bound::Excluded(name(page.after)),
                    Bound::Included(name(EventNumber::new(u64::MAX))),
                );
                let found = self.rows.range(after).take(at_most(page.max));
                found
                    .map(|(_, (version, row))| stored(*version, row))
                    .collect()
            }
            Read::ChallengesOf(wallet) => {
                let name = |byte| {
                    Key::Challenge(ChallengeKey {
                        wallet: *wallet,
                        nonce: [byte; 32],
                    })
                };
                let mut found = Vec::new();
                for (_, (version, row)) in self.rows.range(name(0)..=name(0xff)) {
                    if let Row::Challenge(challenge) = row {
                        let place = (challenge.issued_at, challenge.key.nonce);
                        found.push((place, stored(*version, row)));
                    }
                }
                found.sort_by_key(|(place, _)| *place);
                found.into_iter().map(|(_, stored)| stored).collect()
            }
            Read::ActiveOpenRooms(max) => self.active_open_rooms(*max),
            Read::UnsealedEntries(max) => {
                let max = at_most(*max.min(&BLOCK_ENTRIES_MAX));
                let oldest = self.unsealed().into_iter().take(max);
                oldest
                    .filter_map(|id| self.stored(&Key::Entry(id)))
                    .collect()
            }
        }
    }

    fn active_open_rooms(&self, max: u32) -> Vec<StoredRow> {
        let name = |byte| Key::Room(RoomId::from_bytes([byte; 16]));
        let mut rooms: Vec<(&Room, Version, &Row)> = Vec::new();
        for (_, (version, row)) in self.rows.range(name(0)..=name(0xff)) {
            if let Row::Room(room) = row
                && room.is_active()
                && room.visibility == Visibility::Open
            {
                rooms.push((room, *version, row));
            }
        }
        rooms.sort_by_key(|(room, ..)| (core::cmp::Reverse(room.created_at), room.id));
        rooms.truncate(at_most(max));
        let found = rooms.into_iter();
        found
            .map(|(_, version, row)| stored(version, row))
            .collect()
    }

    fn booked_sessions(&self, page: &BookedSessions) -> Vec<StoredRow> {
        // By text, as stores that keep keys as text sort them.
        let place =
            |session: &BookedSession| (session.agreement.slot.start_time, session.key.to_string());
        let before = page.before.map(|(at, key)| (at, key.to_string()));
        let mut found = Vec::new();
        for (version, row) in self.rows.values() {
            if let Row::BookedSession(session) = row
                && session.agreement.side(page.wallet).is_some()
                && page.status.is_none_or(|status| session.status == status)
                && before
                    .as_ref()
                    .is_none_or(|before| place(session) < *before)
            {
                found.push((place(session), stored(*version, row)));
            }
        }
        found.sort_by(|(one, _), (other, _)| other.cmp(one));
        found.truncate(at_most(page.max));
        found.into_iter().map(|(_, stored)| stored).collect()
    }

    fn credit_entries(&self, page: &CreditEntries) -> Vec<StoredRow> {
        let place = |entry: &Entry| (entry.at, entry.id);
        let wanted = |entry: &&Entry| {
            entry.fact.moves_credit_of() == Some(page.wallet)
                && page.before.is_none_or(|before| place(entry) < before)
        };
        let mut found: Vec<&Entry> = self.journal().filter(wanted).collect();
        found.sort_by_key(|entry| core::cmp::Reverse(place(entry)));
        found.truncate(at_most(page.max));
        let found = found.into_iter();
        found
            .filter_map(|entry| self.stored(&Key::Entry(entry.id)))
            .collect()
    }

    fn last_seat(&self, room: RoomId, wallet: Wallet) -> Vec<StoredRow> {
        let name = |byte| Key::Seat(ConnectionId::from_bytes([byte; 16]));
        let seats = self.rows.range(name(0)..=name(0xff));
        let stays = seats.filter_map(|(key, (_, row))| match row {
            Row::Seat(seat) if seat.room == room && seat.wallet == wallet => {
                Some((seat.is_live(), seat.joined_at, seat.connection, key))
            }
            _ => None,
        });
        let last = stays
            .max_by_key(|(is_live, joined_at, connection, _)| (*is_live, *joined_at, *connection));
        last.and_then(|(.., key)| self.stored(key))
            .into_iter()
            .collect()
    }

    fn revoked_tokens(&self, page: &RevokedTokens) -> Vec<StoredRow> {
        let name = |byte| Key::Revocation(RevocationId::from_bytes([byte; 16]));
        let mut found = Vec::new();
        for (_, (version, row)) in self.rows.range(name(0)..=name(0xff)) {
            if let Row::Revocation(revocation) = row
                && revocation.what == Revoked::Token
                && (revocation.at, revocation.id) > page.after
            {
                found.push(((revocation.at, revocation.id), stored(*version, row)));
            }
        }
        found.sort_by_key(|(place, _)| *place);
        found.truncate(at_most(page.max));
        found.into_iter().map(|(_, stored)| stored).collect()
    }

    fn held(&self, unique: &Unique) -> Vec<StoredRow> {
        let holder = self.uniques.get(unique);
        holder
            .and_then(|key| self.stored(key))
            .into_iter()
            .collect()
    }

    fn stored(&self, key: &Key) -> Option<StoredRow> {
        let (version, row) = self.rows.get(key)?;
        Some(stored(*version, row))
    }

    /// Shows everything, in the order of [`Archive::show`](crate::ports::Archive::show).
    pub fn show(&self, visitor: &mut dyn Visitor) {
        self.show_row(&Key::Chain(()), visitor);
        let blocks = Key::Block(BlockNumber::new(0))..=Key::Block(BlockNumber::new(u64::MAX));
        for (key, (_, row)) in self.rows.range(blocks) {
            self.show_row(key, visitor);
            if let Row::Block(block) = row {
                for entry in &block.entries {
                    self.show_entry(*entry, visitor);
                }
            }
        }
        for entry in self.unsealed() {
            visitor.visit(Found::Unsealed(entry));
            self.show_entry(entry, visitor);
        }
        let count = |n| u64::try_from(n).unwrap_or(u64::MAX);
        visitor.visit(Found::Totals {
            entries: count(self.journal().count()),
            entry_sum: self.journal().fold(0, |sum: u128, entry| {
                sum.wrapping_add(u128::from_be_bytes(entry.id.to_bytes()))
            }),
            transfers: count(self.transfers.len()),
        });
        let is_other = |key: &&Key| !matches!(key, Key::Block(_) | Key::Chain(()) | Key::Entry(_));
        let mut others: Vec<&Key> = self.rows.keys().filter(is_other).collect();
        // By key, as they are already, but for booked sessions.
        others.sort_by_cached_key(|key| match key {
            Key::Account(_) => (0, String::new()),
            Key::BookedSession(session) => (1, session.to_string()),
            _ => (2, String::new()),
        });
        for key in others {
            self.show_row(key, visitor);
        }
    }

    fn show_row(&self, key: &Key, visitor: &mut dyn Visitor) {
        if let Some((version, row)) = self.rows.get(key) {
            visitor.visit(Found::Row(*version, row.clone()));
        }
    }

    fn show_entry(&self, id: EntryId, visitor: &mut dyn Visitor) {
        let key = Key::Entry(id);
        self.show_row(&key, visitor);
        if let Some((_, Row::Entry(entry))) = self.rows.get(&key)
            && let Fact::Transferred { transfer, .. } = &entry.fact
            && let Some(moved) = self.transfers.get(&transfer.id)
        {
            visitor.visit(Found::Transfer(*moved));
        }
    }

    /// Claims up to `n` rows of a lane that are due and not under a claim that still holds, the
    /// longest due first.
    pub fn claim(
        &mut self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        n: usize,
    ) -> Vec<(Key, Fence)> {
        let mut due: Vec<(Timestamp, Key)> = self
            .work
            .iter()
            .filter(|(_, work)| work.due.lane == lane && work.due.at <= now)
            .filter(|(_, work)| work.leased_until.is_none_or(|until| until <= now))
            .map(|(key, work)| (work.due.at, key.clone()))
            .collect();
        due.sort();
        due.truncate(n);
        let mut claimed = Vec::with_capacity(due.len());
        for (_, key) in due {
            if let Some(work) = self.work.get_mut(&key) {
                work.fence = work.fence.next();
                work.leased_until = Some(until);
                claimed.push((key, work.fence));
            }
        }
        claimed
    }

    /// Takes over what [`apply`](super::apply) found.
    pub fn absorb(&mut self, delta: &Delta) {
        // All uniques of changed rows go before any comes, so that a value may change hands.
        for key in delta.deletes.iter().chain(delta.puts.keys()) {
            self.free(key);
        }
        for key in &delta.deletes {
            self.rows.remove(key);
        }
        for put in delta.puts.values() {
            self.put_row(put.version, put.row.clone());
            if let Row::Block(block) = &put.row {
                for entry in &block.entries {
                    self.unsealed.remove(entry);
                }
            }
        }
        for transfer in &delta.transfers {
            self.put_transfer(*transfer);
        }
        for entry in &delta.journal {
            self.put_unsealed(entry.at, entry.id);
            self.put_row(Version::FIRST, entry.clone().into());
        }
        for (key, work) in &delta.work {
            match work {
                Some(work) => self.work.insert(key.clone(), *work),
                None => self.work.remove(key),
            };
        }
    }

    /// Lets others have what this row alone had.
    fn free(&mut self, key: &Key) {
        if let Some((_, row)) = self.rows.get(key) {
            for unique in row.uniques() {
                self.uniques.remove(&unique);
            }
        }
    }
}

fn at_most(max: u32) -> usize {
    usize::try_from(max).unwrap_or(usize::MAX)
}

fn stored(version: Version, row: &Row) -> StoredRow {
    StoredRow {
        version,
        row: row.clone(),
    }
}
