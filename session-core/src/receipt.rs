//! Receipts: the server's signed word to a participant on a stay that ended.
//!
//! A receipt is one line of text: the canonical JSON of a [`StayReceipt`], a full stop, and the
//! signature of that JSON as a personal message (EIP-191). Whoever keeps it can show later that the
//! journal told of the stay what it tells now, or that it does not.

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::changeset::{Entry, Fact};
use crate::crypto::{LocalSigner, eip191};
use crate::room::{Seat, SeatState};
use crate::types::{ConnectionId, EntryId, RoomId, Seconds, Timestamp, Unit, Wallet};

/// The longest text that is taken for a receipt, in bytes.
pub const RECEIPT_BYTES_MAX: usize = 1_024;

/// What a receipt says. Its members are in the order of their names, as canonical JSON has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "the signature covers these")]
pub struct StayReceipt {
    /// The stay.
    pub connection: ConnectionId,
    /// When it began.
    pub joined_at: Timestamp,
    /// The entry of the journal that tells of its end. Its place in the chain is decided when it
    /// is sealed, some seconds later.
    pub journal_position: EntryId,
    /// When it ended.
    pub left_at: Timestamp,
    /// Where.
    pub room: RoomId,
    /// What was charged for it in all, as a decimal text.
    #[serde(with = "decimal")]
    pub seconds: Seconds,
    /// What is counted.
    pub unit: Unit,
    /// Who.
    pub wallet: Wallet,
}

/// Text that is no receipt of the signer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(
    clippy::exhaustive_enums,
    reason = "it is a receipt of theirs, or why not"
)]
pub enum ReceiptError {
    /// It does not say what a receipt says, or in another form than the canonical one.
    #[error("text is no receipt")]
    Form,
    /// Somebody else signed it, or something else was signed.
    #[error("receipt is not signed by {0}")]
    Signature(Wallet),
}

impl StayReceipt {
    /// Of a stay that ended; `None` while it lasts.
    #[must_use]
    pub fn of(seat: &Seat) -> Option<Self> {
        let SeatState::Gone { at, .. } = seat.state else {
            return None;
        };
        Some(Self {
            connection: seat.connection,
            joined_at: seat.joined_at,
            journal_position: Entry::new(at, Fact::left(seat)?).id,
            left_at: at,
            room: seat.room,
            seconds: seat.charged,
            unit: Unit::Seconds,
            wallet: seat.wallet,
        })
    }

    /// The receipt, signed.
    #[must_use]
    pub fn sign(&self, key: &LocalSigner) -> String {
        let json = self.canonical_json();
        let signature = key.sign_prehash(&eip191::digest(json.as_bytes()));
        format!("{json}.{signature}")
    }

    fn canonical_json(&self) -> String {
        // Members of known types under names that are texts: nothing that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What a receipt says, if this signer signed it.
///
/// # Errors
/// [`ReceiptError`].
pub fn verify(text: &str, signer: Wallet) -> Result<StayReceipt, ReceiptError> {
    if text.len() > RECEIPT_BYTES_MAX {
        return Err(ReceiptError::Form);
    }
    let (json, signature) = text.rsplit_once('.').ok_or(ReceiptError::Form)?;
    let receipt: StayReceipt = serde_json::from_str(json).map_err(|_| ReceiptError::Form)?;
    // One receipt, one text: another spelling of the same would be a second receipt.
    if receipt.canonical_json() != json {
        return Err(ReceiptError::Form);
    }
    if eip191::signer_of(json, signature) == Some(signer) {
        Ok(receipt)
    } else {
        Err(ReceiptError::Signature(signer))
    }
}

/// Amounts are decimal texts on the wire (`spec/new-endpoints.md`).
mod decimal {
    use alloc::string::{String, ToString};

    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::types::Seconds;

    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "the form that serde asks for"
    )]
    pub(super) fn serialize<S: Serializer>(
        amount: &Seconds,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&amount.get())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Seconds, D::Error> {
        let text = String::deserialize(deserializer)?;
        let amount: u64 = text.parse().map_err(de::Error::custom)?;
        if amount.to_string() == text {
            Ok(Seconds::new(amount))
        } else {
            Err(de::Error::custom("not the canonical form"))
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::room::Departure;
    use crate::room::testing::{at, seat};

    fn gone() -> Seat {
        Seat {
            charged: Seconds::new(75),
            state: SeatState::Gone {
                at: at(80),
                why: Departure::Left,
            },
            ..seat(2)
        }
    }

    fn key() -> LocalSigner {
        LocalSigner::from_bytes(&[9; 32]).unwrap()
    }

    #[test]
    fn a_receipt_tells_of_a_stay_that_ended_and_points_into_the_journal() {
        assert_eq!(StayReceipt::of(&seat(2)), None);
        let receipt = StayReceipt::of(&gone()).unwrap();
        let told = Fact::Left {
            connection: gone().connection,
            room: gone().room,
            wallet: gone().wallet,
            why: Departure::Left,
            charged: Seconds::new(75),
        };
        assert_eq!(receipt.journal_position, Entry::new(at(80), told).id);
        assert_eq!(verify(&receipt.sign(&key()), key().wallet()), Ok(receipt));
    }

    #[test]
    fn members_are_sorted_and_the_amount_is_a_text() {
        let text = StayReceipt::of(&gone()).unwrap().sign(&key());
        let (json, _) = text.rsplit_once('.').unwrap();
        let sorted: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(sorted.to_string(), json);
        assert_eq!(sorted["seconds"], "75");
        assert!(text.len() < RECEIPT_BYTES_MAX);
    }

    #[test]
    fn every_other_text_is_refused() {
        let text = StayReceipt::of(&gone()).unwrap().sign(&key());
        let signer = key().wallet();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1;
            if let Ok(other) = String::from_utf8(bytes) {
                assert!(verify(&other, signer).is_err(), "{other}");
            }
        }
        for other in [
            String::new(),
            text.replace("\"seconds\":\"75\"", "\"seconds\":\"075\""),
            text.replace("\"seconds\":\"75\"", "\"seconds\":75"),
            text.replace('{', "{ "),
            text.replace("{\"", "{\"a\":1,\""),
            format!("{}{text}", " ".repeat(RECEIPT_BYTES_MAX)),
        ] {
            assert_eq!(verify(&other, signer), Err(ReceiptError::Form), "{other}");
        }
        let stranger = Wallet::from_bytes([1; 20]);
        assert_eq!(
            verify(&text, stranger),
            Err(ReceiptError::Signature(stranger))
        );
    }
}
