//! A signing key in memory, for tests, tools and local oracles.

use core::fmt;

use k256::ecdsa::SigningKey;

use super::recover::{Signature, wallet_of};
use crate::types::Wallet;

/// Bytes that are no signing key: zero, or not below the order of the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bytes are no secp256k1 signing key")]
pub struct InvalidSigningKey;

/// Signs with a key that this process holds. The key is wiped on drop.
///
/// Signatures need no randomness: they are deterministic as RFC 6979 says, and always the twin
/// with the low `s`.
///
/// ```
/// use session_core::crypto::{LocalSigner, eip191};
///
/// let signer = LocalSigner::from_bytes(&[1; 32])?;
/// let signature = signer.sign_prehash(&eip191::digest(b"hello"));
/// assert!(eip191::signed_by("hello", &signature, signer.wallet()));
/// # Ok::<(), session_core::crypto::InvalidSigningKey>(())
/// ```
pub struct LocalSigner {
    key: SigningKey,
    wallet: Wallet,
}

impl LocalSigner {
    /// The signer of this key.
    ///
    /// # Errors
    /// [`InvalidSigningKey`] for zero and for a number that is not below the order of the group.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, InvalidSigningKey> {
        let key = SigningKey::from_slice(bytes).map_err(|_| InvalidSigningKey)?;
        let wallet = wallet_of(key.verifying_key());
        Ok(Self { key, wallet })
    }

    /// The wallet that signatures of this key recover to.
    #[must_use]
    pub const fn wallet(&self) -> Wallet {
        self.wallet
    }

    /// Signs a hash. `v` is 27 or 28, as wallets write it.
    #[must_use]
    pub fn sign_prehash(&self, prehash: &[u8; 32]) -> Signature {
        let (signature, recovery) = self.key.sign_prehash_recoverable(prehash);
        Signature::from_parts(signature.to_bytes().into(), recovery.is_y_odd())
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSigner")
            .field("wallet", &self.wallet)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{eip191, sha256};
    use crate::types::{decode_hex_array, encode_hex};
    use alloc::format;
    use alloc::string::ToString;

    fn key_one() -> LocalSigner {
        let mut one = [0; 32];
        one[31] = 1;
        LocalSigner::from_bytes(&one).unwrap()
    }

    #[test]
    fn signatures_are_the_published_ones_of_rfc_6979() {
        let cases = [
            (
                "Satoshi Nakamoto",
                "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
                 2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
            ),
            (
                "All those moments will be lost in time, like tears in rain. Time to die...",
                "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b\
                 547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21",
            ),
        ];
        for (message, expected) in cases {
            let signature = key_one().sign_prehash(&sha256(message.as_bytes()));
            assert_eq!(encode_hex(&signature.to_bytes()[..64]), expected);
        }
    }

    #[test]
    fn a_personal_message_is_signed_as_the_web3_library_signs_it() {
        let key = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";
        let signer = LocalSigner::from_bytes(&decode_hex_array(key).unwrap()).unwrap();
        assert_eq!(
            signer.wallet().to_string(),
            "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23"
        );
        assert_eq!(
            signer
                .sign_prehash(&eip191::digest(b"Some data"))
                .to_string(),
            "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd\
             6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c"
        );
    }

    #[test]
    fn every_signature_has_a_low_s_and_recovers_to_the_signer() {
        for seed in 1..=40 {
            let signer = LocalSigner::from_bytes(&[seed; 32]).unwrap();
            let hash = sha256(&[seed]);
            let signature = signer.sign_prehash(&hash);
            assert!(signature.is_low_s());
            assert_eq!(signature.recover(&hash), Ok(signer.wallet()));
        }
    }

    #[test]
    fn zero_and_numbers_beyond_the_order_are_no_keys() {
        for bytes in [[0; 32], [0xff; 32]] {
            assert_eq!(
                LocalSigner::from_bytes(&bytes).err(),
                Some(InvalidSigningKey)
            );
        }
    }

    #[test]
    fn debug_output_names_the_wallet_and_hides_the_key() {
        assert_eq!(
            format!("{:?}", key_one()),
            "LocalSigner { wallet: Wallet(0x7e5f4552091a69125d5dfcb7b8c2659029395bdf), .. }"
        );
    }
}
