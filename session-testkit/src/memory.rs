//! The reference store.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use session_core::auth::ChallengeKey;
use session_core::changeset::{Changeset, Key, Receipt, Row, Unique, Version, World, apply};
use session_core::ports::{
    Claim, Claimed, CommitError, Read, Store, StoreError, StoreErrorKind, StoredRow,
};
use session_core::room::{Room, Visibility};
use session_core::types::{Id128, RoomId};

/// Everything in memory, behind one lock. Nothing outlives the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    world: Mutex<World>,
    is_down: Mutex<bool>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of everything, for checking invariants.
    #[must_use]
    pub fn world(&self) -> World {
        self.lock().clone()
    }

    /// Lets every call fail as unavailable, or work again.
    pub fn set_down(&self, down: bool) {
        *self.is_down.lock().unwrap_or_else(PoisonError::into_inner) = down;
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // `apply` does not change the world and `absorb` cannot fail, so a panic of another
        // thread cannot have left it half written.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_up(&self) -> Result<(), StoreError> {
        if *self.is_down.lock().unwrap_or_else(PoisonError::into_inner) {
            let detail = "memory store was set down".to_owned();
            return Err(StoreError {
                kind: StoreErrorKind::Unavailable,
                detail,
            });
        }
        Ok(())
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        self.check_up()?;
        let world = self.lock();
        Ok(reads.iter().map(|read| read_from(&world, read)).collect())
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        self.check_up()?;
        let mut world = self.lock();
        let delta = apply(&world, changeset)?;
        world.absorb(&delta);
        Ok(delta.receipt)
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        self.check_up()?;
        let until = claim.now.after(claim.lease);
        let claimed = self
            .lock()
            .claim(claim.lane, claim.now, until, claim.rows_max);
        Ok(claimed
            .into_iter()
            .map(|(key, fence)| Claimed { key, fence })
            .collect())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.check_up()
    }
}

fn read_from(world: &World, read: &Read) -> Vec<StoredRow> {
    let by_key = |key: &Key| world.row(key).map(|(version, row)| stored(*version, row));
    match read {
        Read::Row(key) => by_key(key).into_iter().collect(),
        Read::LiveSeatOf(wallet) => world
            .holder(&Unique::LiveSeatOf(*wallet))
            .and_then(by_key)
            .into_iter()
            .collect(),
        Read::ActiveRoomOf(wallet) => world
            .holder(&Unique::ActiveRoomOf(*wallet))
            .and_then(by_key)
            .into_iter()
            .collect(),
        Read::LiveSeatsIn(room) => {
            let slots = Unique::Slot(*room, u8::MIN)..=Unique::Slot(*room, u8::MAX);
            world.holders_in(slots).filter_map(by_key).collect()
        }
        Read::ChallengesOf(wallet) => {
            let name = |byte| {
                Key::Challenge(ChallengeKey {
                    wallet: *wallet,
                    nonce: [byte; 32],
                })
            };
            let found = world.rows_in(name(0)..=name(0xff));
            let mut found: Vec<StoredRow> =
                found.map(|(version, row)| stored(version, row)).collect();
            found.sort_by_key(|stored| match &stored.row {
                Row::Challenge(challenge) => (challenge.issued_at, challenge.key.nonce),
                _ => Default::default(),
            });
            found
        }
        Read::ActiveOpenRooms(max) => active_open_rooms(world, *max),
    }
}

fn active_open_rooms(world: &World, max: u32) -> Vec<StoredRow> {
    let name = |byte| Key::Room(RoomId::from_bytes([byte; 16]));
    let mut rooms: Vec<(Version, &Room)> = world
        .rows_in(name(0)..=name(0xff))
        .filter_map(|(version, row)| match row {
            Row::Room(room) if room.is_active() && room.visibility == Visibility::Open => {
                Some((version, room))
            }
            _ => None,
        })
        .collect();
    rooms.sort_by_key(|(_, room)| (std::cmp::Reverse(room.created_at), room.id));
    rooms.truncate(usize::try_from(max).unwrap_or(usize::MAX));
    rooms
        .into_iter()
        .map(|(version, room)| stored(version, &room.clone().into()))
        .collect()
}

fn stored(version: Version, row: &Row) -> StoredRow {
    StoredRow {
        version,
        row: row.clone(),
    }
}
