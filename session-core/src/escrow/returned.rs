//! What a read returns. Records are their words in order, with nothing before them
//! (`settlement.md` section 2.2).

use alloc::vec::Vec;

use super::abi::{Abi, AbiError, AbiValue, Decoder, Uint48, Uint64, encode};
use super::record::{
    Booking, BookingStatus, ContractOutcome, Request, RequestStatus, Slot, SlotStatus, Terms,
};
use crate::types::{BookingId, SlotId, TokenAmount, Wallet};

/// What a read returns: a record, or one member.
///
/// ```
/// use session_core::escrow::returned::Returned;
/// use session_core::types::Wallet;
///
/// let mut returned = [0; 32];
/// returned[12..].fill(0xa1);
/// assert_eq!(Wallet::from_returndata(&returned)?, Wallet::from_bytes([0xa1; 20]));
/// // An address at which there is no contract answers with nothing.
/// assert!(Wallet::from_returndata(&[]).is_err());
/// # Ok::<(), session_core::escrow::abi::AbiError>(())
/// ```
pub trait Returned: Sized {
    /// Reads it. The length has to be exact.
    ///
    /// # Errors
    /// [`AbiError`], with the reason.
    fn from_returndata(data: &[u8]) -> Result<Self, AbiError>;

    /// What a contract that holds this would return, for chains that are played.
    ///
    /// # Errors
    /// [`AbiError::Range`] where a span does not fit the contract's width.
    fn to_returndata(&self) -> Result<Vec<u8>, AbiError>;
}

impl<T: Abi> Returned for T {
    fn from_returndata(data: &[u8]) -> Result<Self, AbiError> {
        let mut decoder = Decoder::new(data, 1)?;
        let value = Self::take(&mut decoder)?;
        decoder.finish()?;
        Ok(value)
    }

    fn to_returndata(&self) -> Result<Vec<u8>, AbiError> {
        Ok(encode(&[self.value()]))
    }
}

/// A record: each field, the type it has in the contract, and its name there.
macro_rules! record {
    ($name:ident { $($field:ident: $wire:ty = $abi:literal,)* }) => {
        impl $name {
            /// The fields as they are shown, under the names that the contract gives them.
            ///
            /// # Errors
            /// [`AbiError::Range`] where a span does not fit the contract's width.
            pub fn fields(&self) -> Result<Vec<(&'static str, AbiValue)>, AbiError> {
                Ok(Vec::from([$((
                    $abi,
                    <$wire>::try_from(self.$field).map_err(|_| AbiError::Range)?.value(),
                ),)*]))
            }
        }

        impl Returned for $name {
            fn from_returndata(data: &[u8]) -> Result<Self, AbiError> {
                const NAMES: &[&str] = &[$($abi,)*];
                let mut decoder = Decoder::new(data, NAMES.len())?;
                let record = Self {
                    $($field: <$wire as Abi>::take(&mut decoder)?.into(),)*
                };
                decoder.finish()?;
                Ok(record)
            }

            fn to_returndata(&self) -> Result<Vec<u8>, AbiError> {
                let values: Vec<_> = self.fields()?.into_iter().map(|(_, value)| value).collect();
                Ok(encode(&values))
            }
        }
    };
}

// An instant beyond the year 9999 is moved to its end, which every rule takes for as late: nobody
// can make a slot that this side cannot read.
record!(Slot {
    host: Wallet = "host",
    start_time: Uint48 = "startTime",
    duration_mins: u32 = "durationMins",
    price: TokenAmount = "price",
    grace_mins: u32 = "graceMins",
    min_overlap_mins: u32 = "minOverlapMins",
    cancel_cutoff_mins: u32 = "cancelCutoffMins",
    status: SlotStatus = "status",
});

record!(Booking {
    slot: SlotId = "slotId",
    guest: Wallet = "guest",
    amount: TokenAmount = "amount",
    status: BookingStatus = "status",
    oracle_outcome: ContractOutcome = "oracleOutcome",
    metrics_hash: [u8; 32] = "metricsHash",
    attested_at: Uint64 = "attestedAt",
    finalizable_at: Uint64 = "finalizableAt",
    challenger: Wallet = "challenger",
    bond: TokenAmount = "bondAmount",
    disputed_at: Uint64 = "disputedAt",
});

record!(Terms {
    fee_bps: u16 = "feeBps",
    late_cancel_penalty_bps: u16 = "lateCancelPenaltyBps",
    challenge_window: Uint48 = "challengeWindow",
    no_attest_buffer: Uint48 = "noAttestBuffer",
    dispute_timeout: Uint48 = "disputeTimeout",
    challenge_bond: TokenAmount = "challengeBond",
});

record!(Request {
    host_target: Wallet = "hostTarget",
    guest: Wallet = "guest",
    window_start: Uint48 = "windowStart",
    window_end: Uint48 = "windowEnd",
    duration_mins: u32 = "durationMins",
    amount: TokenAmount = "amount",
    expiry: Uint48 = "expiry",
    status: RequestStatus = "status",
    slot: SlotId = "slotId",
    booking: BookingId = "bookingId",
    host: Wallet = "host",
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Seconds, Timestamp, U256};
    use alloc::vec;

    fn words(numbers: &[u64]) -> Vec<u8> {
        let words = numbers
            .iter()
            .map(|number| U256::from(*number).to_be_bytes::<32>());
        words.flatten().collect()
    }

    #[test]
    fn a_slot_that_nobody_made_is_all_zero_and_says_so() {
        let slot = Slot::from_returndata(&[0; 8 * 32]).unwrap();
        assert!(!slot.exists());
        assert_eq!(slot.status, SlotStatus::Open);
        assert_eq!(slot.start_time, Timestamp::EPOCH);
    }

    #[test]
    fn an_instant_beyond_the_calendar_is_read_as_its_end() {
        let most = (1 << 48) - 1;
        let far = words(&[1, most, 30, 1, 5, 10, 60, 0]);
        assert_eq!(
            Slot::from_returndata(&far).unwrap().start_time,
            Timestamp::MAX
        );
        let wider = words(&[1, most + 1, 30, 1, 5, 10, 60, 0]);
        assert_eq!(Slot::from_returndata(&wider), Err(AbiError::Padding));
    }

    #[test]
    fn a_span_that_the_contract_cannot_hold_is_not_written() {
        let data = words(&[300, 2000, 1, 2, (1 << 48) - 1, 7]);
        let mut terms = Terms::from_returndata(&data).unwrap();
        assert_eq!(terms.to_returndata(), Ok(data));
        terms.dispute_timeout = Seconds::new(1 << 48);
        assert_eq!(terms.to_returndata(), Err(AbiError::Range));
    }

    #[test]
    fn enumerations_end_where_the_contract_ends_them() {
        let with_status = |status| words(&[1, 2, 3, 4, 5, 6, 7, status, 0, 0, 9]);
        assert_eq!(
            Request::from_returndata(&with_status(3)).unwrap().status,
            RequestStatus::Accepted
        );
        assert_eq!(
            Request::from_returndata(&with_status(4)),
            Err(AbiError::Range)
        );
        // Not cut to the byte that would be one.
        assert_eq!(
            Request::from_returndata(&with_status(0x101)),
            Err(AbiError::Padding)
        );
    }

    #[test]
    fn one_member_takes_one_word_and_no_more() {
        assert_eq!(u16::from_returndata(&words(&[300])), Ok(300));
        for length in [0, 1, 31, 33, 64] {
            assert_eq!(
                U256::from_returndata(&vec![0; length]),
                Err(AbiError::Length)
            );
        }
    }
}
