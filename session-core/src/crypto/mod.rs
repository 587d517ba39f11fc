//! Hashes, message authentication, secrets and recovery of signers.
//!
//! Everything here is deterministic: what needs randomness takes it as an argument elsewhere.
//!
//! | module | holds |
//! | --- | --- |
//! | `hash` | Keccak-256, SHA-256, digests of causes |
//! | `jcs` | the one text of a JSON value |
//! | `jws` | signed tokens of three parts, as the rest of the crate makes and reads them |
//! | `mac` | HMAC-SHA256, comparison in constant time |
//! | `secret` | bytes that hide in debug output and are wiped |
//! | `recover` | signatures of 65 bytes, and who made them |
//! | [`eip191`] | personal messages of wallets |
//! | [`eip712`] | typed data that wallets sign for one contract |
//! | `signer` | a key in memory, for tests and tools |

pub mod eip191;
pub mod eip712;
mod hash;
pub(crate) mod jcs;
pub(crate) mod jws;
mod mac;
mod recover;
mod secret;
mod signer;

pub use hash::{digest128, digest256, keccak256, sha256};
pub use mac::{constant_time_eq, hmac_sha256};
pub use recover::{InvalidSignature, Signature};
pub use secret::Secret;
pub use signer::{InvalidSigningKey, LocalSigner};
