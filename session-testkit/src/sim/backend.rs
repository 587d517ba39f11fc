//! What the simulated store keeps its rows in.

use std::fmt::Debug;

use session_core::changeset::{Changeset, Receipt, Rejection, World, apply};
use session_core::ports::{Claim, Claimed, Read, StoredRow};

/// A store without waiting and without failures, which the simulator wraps in both. Everything
/// but [`Honest`] is a planted bug.
pub trait Backend: Debug + Send {
    /// The true world, by which invariants judge.
    fn world(&self) -> &World;

    /// What each read finds.
    fn read(&mut self, reads: &[Read]) -> Vec<Vec<StoredRow>>;

    /// Commits a changeset.
    ///
    /// # Errors
    /// [`Rejection`].
    fn commit(&mut self, changeset: &Changeset) -> Result<Receipt, Rejection>;

    /// Takes due rows.
    fn claim(&mut self, claim: &Claim) -> Vec<Claimed>;
}

/// [`apply`] on a [`World`], and nothing else.
#[derive(Debug, Clone, Default)]
pub struct Honest(World);

impl Honest {
    /// Around a world that holds something already.
    #[must_use]
    pub const fn around(world: World) -> Self {
        Self(world)
    }

    /// The world, to be changed behind the backs of all.
    pub const fn world_mut(&mut self) -> &mut World {
        &mut self.0
    }
}

impl Backend for Honest {
    fn world(&self) -> &World {
        &self.0
    }

    fn read(&mut self, reads: &[Read]) -> Vec<Vec<StoredRow>> {
        reads.iter().map(|read| self.0.find(read)).collect()
    }

    fn commit(&mut self, changeset: &Changeset) -> Result<Receipt, Rejection> {
        let delta = apply(&self.0, changeset)?;
        self.0.absorb(&delta);
        Ok(delta.receipt)
    }

    fn claim(&mut self, claim: &Claim) -> Vec<Claimed> {
        let until = claim.now.after(claim.lease);
        let claimed = self.0.claim(claim.lane, claim.now, until, claim.rows_max);
        let named = |(key, fence)| Claimed { key, fence };
        claimed.into_iter().map(named).collect()
    }
}
