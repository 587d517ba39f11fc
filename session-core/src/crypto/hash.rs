//! Hashes.

use sha2::{Digest, Sha256};
use sha3::Keccak256;

/// Keccak-256, the hash of Ethereum.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// The SHA-256 digest of these bytes (FIPS 180-4).
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 over a domain and parts, each with its length before it, as eight bytes, big-endian.
#[must_use]
pub fn digest256(domain: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in core::iter::once(domain.as_bytes()).chain(parts.iter().copied()) {
        // A part is held in memory, so its length fits 64 bits.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The first 16 bytes of [`digest256`].
#[must_use]
pub fn digest128(domain: &str, parts: &[&[u8]]) -> [u8; 16] {
    let full = digest256(domain, parts);
    let mut id = [0; 16];
    id.copy_from_slice(&full[..16]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::encode_hex;

    #[test]
    fn hashes_are_those_of_the_published_examples() {
        assert_eq!(
            encode_hex(&sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        // SHA3-256 pads in another way and gives another hash of nothing.
        assert_eq!(
            encode_hex(&keccak256(b"")),
            "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
        );
    }

    #[test]
    fn a_digest_covers_the_domain_and_where_each_part_ends() {
        let digest = digest128("d", &[b"ab", b"c"]);
        assert_eq!(digest, digest128("d", &[b"ab", b"c"]));
        assert_ne!(digest, digest128("d", &[b"a", b"bc"]));
        assert_ne!(digest, digest128("dab", &[b"c"]));
        assert_ne!(digest, digest128("d", &[b"ab", b"c", b""]));
    }
}
