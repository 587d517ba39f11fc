//! Randomness as a value.

use std::sync::atomic::{AtomicU64, Ordering};

use session_core::crypto::sha256;
use session_core::ports::{Entropy, PortError};

/// The same bytes for the same seed, block by block: repeatable, and no secret at all.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    blocks_drawn: AtomicU64,
}

impl SeededEntropy {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            blocks_drawn: AtomicU64::new(0),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), PortError> {
        for chunk in buffer.chunks_mut(32) {
            let block = self.blocks_drawn.fetch_add(1, Ordering::SeqCst);
            let mut input = [0; 16];
            input[..8].copy_from_slice(&self.seed.to_be_bytes());
            input[8..].copy_from_slice(&block.to_be_bytes());
            chunk.copy_from_slice(&sha256(&input)[..chunk.len()]);
        }
        Ok(())
    }
}
