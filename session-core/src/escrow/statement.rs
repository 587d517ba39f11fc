//! What host and guest may sign together, so that nobody else has to attest
//! (`settlement.md` section 8).
//!
//! A statement names its contract and chain: a signature over it is good for one booking of one
//! escrow, until a deadline.

use core::fmt;

use super::abi::Uint64;
use super::key::{BookingKey, EscrowId};
use super::record::Outcome;
use crate::crypto::eip712::{self, Domain};
use crate::crypto::{InvalidSignature, LocalSigner, Signature};
use crate::types::{U256, Wallet, decode_hex};

/// The type of a statement, as wallets show it.
pub const STATEMENT_TYPE: &str =
    "SessionOutcome(uint256 bookingId,uint8 outcome,bytes32 metricsHash,uint64 deadline)";

/// What an escrow calls itself in its domain.
pub const DOMAIN_NAME: &str = "SessionEscrow";
/// The version of its statements.
pub const DOMAIN_VERSION: &str = "2";

/// Bytes or text that the contract would not take for a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "callers map each")]
pub enum InvalidStatementSignature {
    /// Text that is not `0x` and hexadecimal digits.
    #[error("statement signature is not hexadecimal")]
    Form,
    /// Not 65 bytes.
    #[error("statement signature has not 65 bytes")]
    Length,
    /// The twin with the greater `s`, which the contract refuses.
    #[error("statement signature has a high s")]
    HighS,
    /// A last byte that is neither 27 nor 28.
    #[error("statement signature has a v that is neither 27 nor 28")]
    V,
    /// Numbers that nobody's key makes.
    #[error("statement signature was made by nobody")]
    Nobody,
}

/// A signature in the one form that the contract takes: 65 bytes, low `s`, `v` 27 or 28. Whose it
/// is, only a statement tells.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatementSignature(Signature);

impl StatementSignature {
    /// The signature of these bytes.
    ///
    /// # Errors
    /// [`InvalidStatementSignature`], with the reason.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidStatementSignature> {
        let bytes: [u8; 65] = bytes
            .try_into()
            .map_err(|_| InvalidStatementSignature::Length)?;
        if !matches!(bytes[64], 27 | 28) {
            return Err(InvalidStatementSignature::V);
        }
        let signature = Signature::from_bytes(bytes).map_err(|_| InvalidStatementSignature::V)?;
        if !signature.is_low_s() {
            return Err(InvalidStatementSignature::HighS);
        }
        Ok(Self(signature))
    }

    /// Parses `0x` and 130 hexadecimal digits of either case.
    ///
    /// # Errors
    /// [`InvalidStatementSignature`], with the reason.
    pub fn parse(text: &str) -> Result<Self, InvalidStatementSignature> {
        let digits = text.strip_prefix("0x");
        let bytes = digits.and_then(|digits| decode_hex(digits).ok());
        Self::from_bytes(&bytes.ok_or(InvalidStatementSignature::Form)?)
    }

    /// The 65 bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 65] {
        self.0.to_bytes()
    }
}

impl fmt::Display for StatementSignature {
    /// `0x` and lower-case digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for StatementSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatementSignature({self})")
    }
}

/// What came of a session, in the words that a party signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "its type names these members")]
pub struct Statement {
    /// Of which booking.
    pub key: BookingKey,
    /// What came of it.
    pub outcome: Outcome,
    /// What it is said on; zero where there is nothing.
    pub metrics_hash: [u8; 32],
    /// The last second in which the contract takes it.
    pub deadline: Uint64,
}

impl Statement {
    /// The hash of what is said, without where.
    #[must_use]
    pub fn struct_hash(&self) -> [u8; 32] {
        eip712::struct_hash(
            STATEMENT_TYPE,
            &[
                self.key.booking.to_word(),
                U256::from(self.outcome.code()).to_be_bytes(),
                self.metrics_hash,
                U256::from(self.deadline.get()).to_be_bytes(),
            ],
        )
    }

    /// What a wallet signs.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        domain(&self.key.escrow).digest(&self.struct_hash())
    }

    /// Signs with a key that this process holds, as clients do with theirs.
    #[must_use]
    pub fn sign(&self, signer: &LocalSigner) -> StatementSignature {
        // A local signer makes the low `s` and a `v` of 27 or 28.
        StatementSignature(signer.sign_prehash(&self.digest()))
    }

    /// Who signed this. A signature over anything else recovers to a wallet that nobody knows: it
    /// says something only once it is compared with the party that was expected.
    ///
    /// # Errors
    /// [`InvalidStatementSignature::Nobody`].
    pub fn signer(
        &self,
        signature: &StatementSignature,
    ) -> Result<Wallet, InvalidStatementSignature> {
        let recovered = signature.0.recover(&self.digest());
        recovered.map_err(|InvalidSignature| InvalidStatementSignature::Nobody)
    }

    /// Whether this party signed this.
    #[must_use]
    pub fn is_signed_by(&self, party: Wallet, signature: &StatementSignature) -> bool {
        self.signer(signature) == Ok(party)
    }
}

/// The domain of an escrow's statements.
#[must_use]
pub const fn domain(escrow: &EscrowId) -> Domain<'static> {
    Domain {
        name: DOMAIN_NAME,
        version: DOMAIN_VERSION,
        chain_id: escrow.chain_id,
        verifying_contract: escrow.address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::keccak256;
    use crate::types::{BookingId, decode_hex_array, encode_hex};
    use alloc::format;
    use alloc::string::ToString;

    fn statement() -> Statement {
        Statement {
            key: BookingKey {
                escrow: EscrowId {
                    chain_id: 42431,
                    address: Wallet::from_bytes([0xe5; 20]),
                },
                booking: BookingId::new(U256::from(7)),
            },
            outcome: Outcome::Completed,
            metrics_hash: [0x44; 32],
            deadline: Uint64::MAX,
        }
    }

    fn signer() -> LocalSigner {
        LocalSigner::from_bytes(&[1; 32]).unwrap()
    }

    #[test]
    fn the_type_has_the_hash_of_the_rule_book() {
        assert_eq!(
            encode_hex(&keccak256(STATEMENT_TYPE.as_bytes())),
            "425119cd2ec2fc76a914c6dceb0184474042826855528e1bf64bd1cdd582f123"
        );
    }

    #[test]
    fn every_member_counts_and_so_do_chain_and_contract() {
        let said = statement();
        let signature = said.sign(&signer());
        assert!(said.is_signed_by(signer().wallet(), &signature));
        let mut others = [said; 6];
        others[0].key.booking = BookingId::new(U256::from(8));
        others[1].key.escrow.chain_id += 1;
        others[2].key.escrow.address = Wallet::from_bytes([0xe6; 20]);
        others[3].outcome = Outcome::NoShowHost;
        others[4].metrics_hash[31] ^= 1;
        others[5].deadline = Uint64::new(u64::MAX - 1).unwrap();
        for other in others {
            assert_ne!(other.digest(), said.digest(), "{other:?}");
            assert!(!other.is_signed_by(signer().wallet(), &signature));
        }
    }

    #[test]
    fn only_the_form_that_the_contract_takes_is_a_signature() {
        use InvalidStatementSignature::{Form, HighS, Length, Nobody, V};
        let said = statement();
        let good = said.sign(&signer());
        let text = good.to_string();
        assert_eq!(StatementSignature::parse(&text), Ok(good));
        for (wrong, why) in [
            (text[2..].to_string(), Form),
            (format!("{text}0"), Form),
            (format!("{}zz", &text[..130]), Form),
            (format!("{text}00"), Length),
            (text[..130].to_string(), Length),
            ("0x".to_string(), Length),
        ] {
            assert_eq!(StatementSignature::parse(&wrong), Err(why), "{wrong}");
        }
        let bytes = good.to_bytes();
        for v in [0, 1, 2, 26, 29, 35, 255] {
            let mut other = bytes;
            other[64] = v;
            assert_eq!(StatementSignature::from_bytes(&other), Err(V), "{v}");
        }
        // The twin: the order of the group less s, and the other v.
        let order: [u8; 32] =
            decode_hex_array("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
                .unwrap();
        let s = U256::from_be_bytes::<32>(bytes[32..64].try_into().unwrap());
        let mut twin = bytes;
        let high: [u8; 32] = (U256::from_be_bytes(order) - s).to_be_bytes();
        twin[32..64].copy_from_slice(&high);
        twin[64] = 27 + 28 - bytes[64];
        let plain = Signature::from_bytes(twin).unwrap();
        assert_eq!(plain.recover(&said.digest()), Ok(signer().wallet()));
        assert_eq!(StatementSignature::from_bytes(&twin), Err(HighS));
        // An r of zero is a form that passes, made by nobody.
        let mut nobody = bytes;
        nobody[..32].fill(0);
        let nobody = StatementSignature::from_bytes(&nobody).unwrap();
        assert_eq!(said.signer(&nobody), Err(Nobody));
        assert!(!said.is_signed_by(Wallet::from_bytes([0; 20]), &nobody));
    }
}
