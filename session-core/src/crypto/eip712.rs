//! Typed data (EIP-712), as wallets sign it for one contract on one chain.
//!
//! Only what is signed here can be said: domains of name, version, chain and contract, and structs
//! whose members each take one word.

use alloc::vec::Vec;

use super::keccak256;
use crate::types::{U256, Wallet};

/// The type of every [`Domain`].
pub const DOMAIN_TYPE: &str =
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";

/// Whom a signature is meant for. Two contracts, two chains or two versions never take each
/// other's signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its type names these members")]
pub struct Domain<'a> {
    /// What the contract calls itself here.
    pub name: &'a str,
    /// Which version of its statements.
    pub version: &'a str,
    /// The chain, as EIP-155 numbers it.
    pub chain_id: u64,
    /// The contract that takes the signature.
    pub verifying_contract: Wallet,
}

impl Domain<'_> {
    /// The hash of this domain: the separator that keeps its statements apart from all others.
    #[must_use]
    pub fn separator(&self) -> [u8; 32] {
        struct_hash(
            DOMAIN_TYPE,
            &[
                keccak256(self.name.as_bytes()),
                keccak256(self.version.as_bytes()),
                U256::from(self.chain_id).to_be_bytes(),
                word_of(self.verifying_contract),
            ],
        )
    }

    /// What a wallet signs for a struct of this hash. The two bytes before it keep such a signature
    /// from ever being one of a transaction or of a personal message.
    #[must_use]
    pub fn digest(&self, struct_hash: &[u8; 32]) -> [u8; 32] {
        let mut preimage = Vec::from([0x19, 0x01]);
        preimage.extend_from_slice(&self.separator());
        preimage.extend_from_slice(struct_hash);
        keccak256(&preimage)
    }
}

/// The hash of a struct: of its type and its members, each as one word. A member of a dynamic type
/// is given as the hash of its bytes.
#[must_use]
pub fn struct_hash(struct_type: &str, members: &[[u8; 32]]) -> [u8; 32] {
    let mut preimage = Vec::from(keccak256(struct_type.as_bytes()));
    preimage.extend_from_slice(members.as_flattened());
    keccak256(&preimage)
}

/// An address as a member: 20 bytes at the end of a word.
#[must_use]
pub fn word_of(address: Wallet) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(&address.to_bytes());
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{decode_hex_array, encode_hex};

    /// The example of EIP-712 itself.
    const MAIL: Domain<'static> = Domain {
        name: "Ether Mail",
        version: "1",
        chain_id: 1,
        verifying_contract: Wallet::from_bytes([0xcc; 20]),
    };

    #[test]
    fn the_published_example_has_its_published_hashes() {
        assert_eq!(
            encode_hex(&keccak256(DOMAIN_TYPE.as_bytes())),
            "8b73c3c69bb8fe3d512ecc4cf759cc79239f7b179b0ffacaa9a75d522b39400f"
        );
        // The example's contract is 0xCcCCccccCCCCcCCCCCCcCcCccCcCCCcCcccccccC.
        assert_eq!(
            encode_hex(&MAIL.separator()),
            "f2cee375fa42b42143804025fc449deafd50cc031ca257e0b194a650a912090f"
        );
        let mail: [u8; 32] =
            decode_hex_array("c52c0ee5d84264471806290a3f2c4cecfc5490626bf912d01f240d7a274b371e")
                .unwrap();
        assert_eq!(
            encode_hex(&MAIL.digest(&mail)),
            "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
        );
        let person = "Person(string name,address wallet)";
        let cow = decode_hex_array("cd2a3d9f938e13cd947ec05abc7fe734df8dd826").unwrap();
        assert_eq!(
            encode_hex(&struct_hash(
                person,
                &[keccak256(b"Cow"), word_of(Wallet::from_bytes(cow))]
            )),
            "fc71e5fa27ff56c350aa531bc129ebdf613b772b6604664f5d8dbe21b85eb0c8"
        );
    }

    #[test]
    fn every_member_of_a_domain_counts() {
        let others = [
            Domain {
                name: "Ether Mai",
                ..MAIL
            },
            Domain {
                version: "2",
                ..MAIL
            },
            Domain {
                chain_id: 2,
                ..MAIL
            },
            Domain {
                verifying_contract: Wallet::from_bytes([0xcd; 20]),
                ..MAIL
            },
        ];
        for other in others {
            assert_ne!(other.separator(), MAIL.separator(), "{other:?}");
        }
    }
}
