//! The journal: every fact that anybody may later want proved, and the chain that keeps it whole.
//!
//! An [`Entry`] is appended by the commit that makes it true. A worker seals what was appended into
//! [`Block`]s, each of which holds the hash of the one before: whoever knows the hash of a block
//! can tell whether anything up to there was changed, left out or put in since. See
//! `docs/adr/0004-journal.md`.

mod block;
mod entry;
mod seal;

pub use block::{Block, BlockNumber, Chain, Sealing};
pub use entry::{Entry, Fact};
pub use seal::{SealBlock, TendChain};

use crate::types::Seconds;

/// The most entries that a block holds.
pub const BLOCK_ENTRIES_MAX: u32 = 1_000;

/// How the journal is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalPolicy {
    /// How often a worker looks for entries to seal. What happened since is in no block yet.
    pub seal_every_seconds: Seconds,
    /// Entries in one block, at most [`BLOCK_ENTRIES_MAX`]. More are sealed at once into further
    /// blocks.
    pub block_entries_max: u32,
}

impl JournalPolicy {
    /// How many entries get into one block.
    #[must_use]
    pub fn block_entries(&self) -> u32 {
        self.block_entries_max.min(BLOCK_ENTRIES_MAX)
    }
}

impl Default for JournalPolicy {
    fn default() -> Self {
        Self {
            seal_every_seconds: Seconds::new(5),
            block_entries_max: BLOCK_ENTRIES_MAX,
        }
    }
}
