//! Message authentication.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::hash::sha256;

/// HMAC-SHA256 of a message under a key of any length.
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let block = key_block(key);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Whether two byte strings are equal, in a time that depends on their lengths alone.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The key as the one block that RFC 2104 makes of it. A key of exactly a block is taken by a
/// constructor that cannot fail, which one of any length is not.
fn key_block(key: &[u8]) -> Zeroizing<[u8; 64]> {
    let mut block = Zeroizing::new([0; 64]);
    if let Some(head) = block.get_mut(..key.len()) {
        head.copy_from_slice(key);
    } else {
        let mut short = sha256(key);
        block[..32].copy_from_slice(&short);
        short.zeroize();
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::encode_hex;

    #[test]
    fn macs_are_those_of_rfc_4231() {
        let cases: [(&[u8], &[u8], &str); 5] = [
            (
                &[0x0b; 20],
                b"Hi There",
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 20],
                &[0xdd; 50],
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            ),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &[0xaa; 131],
                b"This is a test using a larger than block-size key and a larger than \
                  block-size data. The key needs to be hashed before being used by the HMAC \
                  algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (key, message, mac) in cases {
            assert_eq!(encode_hex(&hmac_sha256(key, message)), mac);
        }
    }

    #[test]
    fn keys_around_the_size_of_a_block_are_told_apart() {
        let key = [0xaa; 65];
        let macs = [63, 64, 65].map(|length| hmac_sha256(&key[..length], b"message"));
        assert_ne!(macs[0], macs[1]);
        assert_ne!(macs[1], macs[2]);
        assert_eq!(macs[2], hmac_sha256(&sha256(&key), b"message"));
    }

    #[test]
    fn equal_means_every_byte_and_the_length() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"secret", b"secret"));
        for other in [&b"secreT"[..], b"Secret", b"secre", b"secret ", b""] {
            assert!(!constant_time_eq(b"secret", other));
        }
    }
}
