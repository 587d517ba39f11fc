//! Signatures of 65 bytes, and who made them.

use core::fmt;

use k256::ecdsa::{RecoveryId, VerifyingKey};

use super::hash::keccak256;
use crate::types::{Wallet, decode_hex_array, encode_hex};

/// Text or numbers that are no signature of any wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid signature")]
pub struct InvalidSignature;

/// A secp256k1 signature as wallets hand it out: `r`, `s` and `v` in 65 bytes.
///
/// Any well-formed signature recovers to *some* address. It says something only once that address
/// has been compared with the one that was expected, which is the caller's part; so is
/// [`is_low_s`](Self::is_low_s), where a protocol asks for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 65]);

impl Signature {
    /// The signature of these bytes.
    ///
    /// # Errors
    /// [`InvalidSignature`] where `v`, the last byte, is none of 0, 1, 27 and 28.
    pub const fn from_bytes(bytes: [u8; 65]) -> Result<Self, InvalidSignature> {
        match bytes[64] {
            0 | 1 | 27 | 28 => Ok(Self(bytes)),
            _ => Err(InvalidSignature),
        }
    }

    /// Parses `0x` and 130 hex digits of either case.
    ///
    /// # Errors
    /// [`InvalidSignature`] for any other text (the compact form of 64 bytes is another text) and
    /// for a `v` that is none of 0, 1, 27 and 28.
    pub fn parse(text: &str) -> Result<Self, InvalidSignature> {
        let digits = text.strip_prefix("0x").ok_or(InvalidSignature)?;
        Self::from_bytes(decode_hex_array(digits).map_err(|_| InvalidSignature)?)
    }

    /// The signature of `r` and `s`, with `v` as wallets write it.
    pub(super) fn from_parts(rs: [u8; 64], is_y_odd: bool) -> Self {
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&rs);
        bytes[64] = if is_y_odd { 28 } else { 27 };
        Self(bytes)
    }

    /// The 65 bytes, as they were given.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 65] {
        self.0
    }

    /// Whether `s` is in the lower half of its range.
    ///
    /// Every signature has a twin with the other `s`, which recovers to the same wallet. A protocol
    /// that takes a signature for an identity must refuse one of the two.
    #[must_use]
    pub fn is_low_s(&self) -> bool {
        self.0[32..64] <= HALF_ORDER[..]
    }

    /// The wallet whose key made this signature over a hash, with either half of `s`.
    ///
    /// # Errors
    /// [`InvalidSignature`] where `r` or `s` is zero or not below the order of the group, or where
    /// no public key fits.
    pub fn recover(&self, prehash: &[u8; 32]) -> Result<Wallet, InvalidSignature> {
        let signature =
            k256::ecdsa::Signature::from_slice(&self.0[..64]).map_err(|_| InvalidSignature)?;
        // The second bit of a recovery id would say that `r` wrapped around the order. `v` cannot
        // express it, and no wallet has ever met it.
        let is_y_odd = matches!(self.0[64], 1 | 28);
        // The recovered key is made so that the signature verifies: to verify it again would
        // double the cost and tell nothing.
        VerifyingKey::recover_from_prehash(prehash, &signature, RecoveryId::new(is_y_odd, false))
            .map(|key| wallet_of(&key))
            .map_err(|_| InvalidSignature)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        f.write_str(&encode_hex(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

/// The address of a public key: the last 20 bytes of the hash of its coordinates.
pub(super) fn wallet_of(key: &VerifyingKey) -> Wallet {
    let point = key.to_sec1_point(false);
    // The first byte names the encoding and is not part of the coordinates.
    let hash = keccak256(&point.as_bytes()[1..]);
    let mut address = [0; 20];
    address.copy_from_slice(&hash[12..]);
    Wallet::from_bytes(address)
}

/// Half the order of the group, rounded down: the greatest `s` that is low (EIP-2, BIP-62).
const HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;

    /// Published with the web3 library: "Some data" signed with a known key.
    const WALLET: &str = "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23";
    const HASH: &str = "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655";
    const SIGNATURE: &str = "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd\
                             6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c";
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36,
        0x41, 0x41,
    ];
    /// The first coordinate of the group's generator.
    const GENERATOR_X: &str = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

    fn hash() -> [u8; 32] {
        decode_hex_array(HASH).unwrap()
    }

    fn signature(r: [u8; 32], s: [u8; 32], v: u8) -> Signature {
        let mut bytes = [0; 65];
        bytes[..32].copy_from_slice(&r);
        bytes[32..64].copy_from_slice(&s);
        bytes[64] = v;
        Signature::from_bytes(bytes).unwrap()
    }

    /// `ORDER - s`, by the school's method.
    fn negated(s: [u8; 32]) -> [u8; 32] {
        let mut difference = [0; 32];
        let mut borrow = 0_i16;
        for index in (0..32).rev() {
            let digit = i16::from(ORDER[index]) - i16::from(s[index]) - borrow;
            borrow = i16::from(digit < 0);
            difference[index] = u8::try_from(digit.rem_euclid(256)).unwrap();
        }
        difference
    }

    #[test]
    fn a_published_signature_recovers_to_its_wallet() {
        let signature = Signature::parse(SIGNATURE).unwrap();
        assert_eq!(signature.recover(&hash()), Ok(WALLET.parse().unwrap()));
        assert_eq!(signature.to_string(), SIGNATURE);
        assert_eq!(format!("{signature:?}"), format!("Signature({SIGNATURE})"));
    }

    #[test]
    fn both_spellings_of_v_mean_the_same() {
        let bytes = Signature::parse(SIGNATURE).unwrap().to_bytes();
        for (v, is_right) in [(0, false), (1, true), (27, false), (28, true)] {
            let mut other = bytes;
            other[64] = v;
            let recovered = Signature::from_bytes(other).unwrap().recover(&hash());
            assert_eq!(recovered == Ok(WALLET.parse().unwrap()), is_right, "{v}");
        }
    }

    #[test]
    fn every_other_v_is_refused() {
        let bytes = Signature::parse(SIGNATURE).unwrap().to_bytes();
        for v in (2..=26).chain(29..=255) {
            let mut other = bytes;
            other[64] = v;
            assert_eq!(Signature::from_bytes(other), Err(InvalidSignature), "{v}");
        }
    }

    #[test]
    fn other_lengths_prefixes_and_characters_are_refused() {
        let digits = &SIGNATURE[2..];
        for text in [
            "",
            "0x",
            digits,
            &format!("0X{digits}"),
            &format!("0x{}", &digits[..128]),
            &format!("0x{}", &digits[..129]),
            &format!("{SIGNATURE}0"),
            &format!("{SIGNATURE}00"),
            &format!(" {SIGNATURE}"),
            &format!("0x+{}", &digits[1..]),
            &format!("0xé{}", &digits[2..]),
        ] {
            assert_eq!(Signature::parse(text), Err(InvalidSignature), "{text}");
        }
        assert!(Signature::parse(&format!("0x{}", digits.to_uppercase())).is_ok());
    }

    #[test]
    fn the_high_twin_recovers_to_the_same_wallet_and_is_told_apart() {
        let low = Signature::parse(SIGNATURE).unwrap();
        let bytes = low.to_bytes();
        let [r, s] = [&bytes[..32], &bytes[32..64]].map(|half| half.try_into().unwrap());
        let high = signature(r, negated(s), 27);
        assert_eq!(high.recover(&hash()), low.recover(&hash()));
        assert!(low.is_low_s());
        assert!(!high.is_low_s());
    }

    #[test]
    fn the_lower_half_ends_at_half_the_order() {
        let mut next = HALF_ORDER;
        next[31] += 1;
        assert!(signature([1; 32], HALF_ORDER, 27).is_low_s());
        assert!(!signature([1; 32], next, 27).is_low_s());
        // The order is odd: its halves are one apart.
        assert_eq!(negated(HALF_ORDER), next);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let mut beyond = ORDER;
        beyond[31] += 1;
        let mut least = [0; 32];
        least[31] = 1;
        for wrong in [[0; 32], ORDER, beyond, [0xff; 32]] {
            for v in [0, 1, 27, 28] {
                assert_eq!(
                    signature(wrong, least, v).recover(&hash()),
                    Err(InvalidSignature)
                );
                assert_eq!(
                    signature(least, wrong, v).recover(&hash()),
                    Err(InvalidSignature)
                );
            }
        }
        assert!(signature(least, least, 27).recover(&hash()).is_ok());
    }

    #[test]
    fn an_r_that_is_on_no_point_is_refused() {
        let mut five = [0; 32];
        five[31] = 5;
        assert_eq!(
            signature(five, [1; 32], 27).recover(&hash()),
            Err(InvalidSignature)
        );
    }

    #[test]
    fn a_signature_made_for_no_key_at_all_is_refused() {
        // With R the generator and s equal to the hash, the recovered point is s*G - hash*G: the
        // identity, which is the public key of nobody.
        let r = decode_hex_array(GENERATOR_X).unwrap();
        assert_eq!(
            signature(r, hash(), 27).recover(&hash()),
            Err(InvalidSignature)
        );
        assert!(signature(r, hash(), 28).recover(&hash()).is_ok());
    }
}
