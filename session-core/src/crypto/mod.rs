//! Hashes, message authentication and recovery of signers.

use sha2::{Digest, Sha256};
use sha3::Keccak256;

/// Keccak-256, the hash of Ethereum.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// The first 16 bytes of SHA-256 over a domain and parts, each with its length before it.
#[must_use]
pub fn digest128(domain: &str, parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in core::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        // A part is held in memory, so its length fits 64 bits.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let full: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&full[..16]);
    id
}
