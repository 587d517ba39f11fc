//! The reference store.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use session_core::changeset::{Changeset, Receipt, World, apply};
use session_core::ports::{
    Archive, Claim, Claimed, CommitError, Read, Store, StoreError, StoreErrorKind, StoredRow,
    Visitor,
};

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

    /// Around a world that holds something already.
    #[must_use]
    pub fn around(world: World) -> Self {
        Self {
            world: Mutex::new(world),
            ..Self::default()
        }
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
        Ok(reads.iter().map(|read| world.find(read)).collect())
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

#[async_trait]
impl Archive for MemoryStore {
    async fn show(&self, visitor: &mut (dyn Visitor + Send)) -> Result<(), StoreError> {
        self.check_up()?;
        self.lock().show(visitor);
        Ok(())
    }
}
