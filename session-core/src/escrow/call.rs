//! What can be called on an escrow, and as which bytes (`settlement.md` sections 2.3 and 8).

use alloc::vec::Vec;

use super::abi::{Abi, AbiError, AbiValue, Decoder, Uint48, Uint64, encode};
use super::record::ContractOutcome;
use super::statement::StatementSignature;
use crate::types::{BookingId, RequestId, SlotId, TokenAmount, Wallet};

/// A function as contracts list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "there is no more to a function")]
pub struct Function {
    /// Its name and the types that it takes.
    pub signature: &'static str,
    /// The first four bytes of the signature's hash, with which calldata begins.
    pub selector: [u8; 4],
    /// The types that it takes.
    pub params: &'static [&'static str],
}

/// The functions: a selector and a signature, written once, and what it takes.
macro_rules! calls {
    ($(
        $(#[$doc:meta])*
        $selector:literal $signature:literal
        $name:ident $({ $($field:ident: $ty:ty = $abi:literal),* $(,)? })?;
    )*) => {
        /// A call of an escrow. Fields are what the contract takes, in its order.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(clippy::exhaustive_enums, reason = "the interface is deployed")]
        pub enum Call {
            $(
                $(#[$doc])*
                $name $({ $(#[doc = concat!("`", $abi, "`")] $field: $ty,)* })?,
            )*
        }

        /// Every function that a [`Call`] can be of.
        pub const FUNCTIONS: &[Function] = &[$(
            Function {
                signature: $signature,
                selector: u32::to_be_bytes($selector),
                params: &[$($(<$ty as Abi>::TYPE,)*)?],
            },
        )*];

        impl Call {
            /// The signature of its function.
            #[must_use]
            pub const fn signature(&self) -> &'static str {
                match self { $(Self::$name { .. } => $signature,)* }
            }

            /// The selector of its function.
            #[must_use]
            pub const fn selector(&self) -> [u8; 4] {
                match self { $(Self::$name { .. } => u32::to_be_bytes($selector),)* }
            }

            /// What it takes as it is shown, under the names that the contract gives it.
            #[must_use]
            pub fn args(&self) -> Vec<(&'static str, AbiValue)> {
                match self {
                    $(Self::$name $({ $($field),* })? => {
                        Vec::from([$($(($abi, $field.value()),)*)?])
                    })*
                }
            }

            /// Reads calldata, exactly as [`encode`](Self::encode) writes it.
            ///
            /// # Errors
            /// [`AbiError`], with the reason.
            pub fn decode(calldata: &[u8]) -> Result<Self, AbiError> {
                let (selector, rest) = calldata.split_first_chunk().ok_or(AbiError::Length)?;
                match u32::from_be_bytes(*selector) {
                    $($selector => {
                        const NAMES: &[&str] = &[$($($abi,)*)?];
                        let decoder = &mut Decoder::new(rest, NAMES.len())?;
                        let call = Self::$name $({
                            $($field: <$ty as Abi>::take(decoder)?,)*
                        })?;
                        decoder.finish()?;
                        Ok(call)
                    })*
                    _ => Err(AbiError::Selector),
                }
            }
        }
    };
}

impl Call {
    /// The calldata.
    ///
    /// ```
    /// use session_core::escrow::call::Call;
    /// use session_core::types::encode_hex;
    ///
    /// let call = Call::Finalize { booking: "7".parse()? };
    /// assert_eq!(encode_hex(&call.encode()), format!("05261aea{:064x}", 7));
    /// # Ok::<(), session_core::types::InvalidU256>(())
    /// ```
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let values: Vec<_> = self.args().into_iter().map(|(_, value)| value).collect();
        let mut calldata = Vec::from(self.selector());
        calldata.extend(encode(&values));
        calldata
    }
}

calls! {
    // The life of a session.

    /// Offers a slot at the host's base price.
    0x7314e04c "createSlot(uint48,uint32,uint32,uint32,uint32)"
    CreateSlot {
        start_time: Uint48 = "startTime",
        duration_mins: u32 = "durationMins",
        grace_mins: u32 = "graceMins",
        min_overlap_mins: u32 = "minOverlapMins",
        cancel_cutoff_mins: u32 = "cancelCutoffMins",
    };
    /// Offers a slot at its own price, where the contract can
    /// ([`explicit_price`](super::Capabilities::explicit_price)).
    0x35f0ae53 "createSlotWithPrice(uint48,uint32,uint32,uint32,uint32,uint256)"
    CreateSlotWithPrice {
        start_time: Uint48 = "startTime",
        duration_mins: u32 = "durationMins",
        grace_mins: u32 = "graceMins",
        min_overlap_mins: u32 = "minOverlapMins",
        cancel_cutoff_mins: u32 = "cancelCutoffMins",
        price: TokenAmount = "price",
    };
    /// Takes an offer back.
    0x0d9d763e "cancelSlot(uint256)" CancelSlot { slot: SlotId = "slotId" };
    /// Books and pays a slot.
    0x1116fd04 "book(uint256)" Book { slot: SlotId = "slotId" };
    /// Asks for a session and pays it.
    0x81e4f660 "createRequest(address,uint48,uint48,uint32,uint256,uint48)"
    CreateRequest {
        host_target: Wallet = "hostTarget",
        window_start: Uint48 = "windowStart",
        window_end: Uint48 = "windowEnd",
        duration_mins: u32 = "durationMins",
        amount: TokenAmount = "amount",
        expiry: Uint48 = "expiry",
    };
    /// Takes a request back.
    0x3015394c "cancelRequest(uint256)" CancelRequest { request: RequestId = "requestId" };
    /// Makes a slot and its booking of a request.
    0x4053ef0b "acceptRequest(uint256,uint48,uint32,uint32,uint32)"
    AcceptRequest {
        request: RequestId = "requestId",
        start_time: Uint48 = "startTime",
        grace_mins: u32 = "graceMins",
        min_overlap_mins: u32 = "minOverlapMins",
        cancel_cutoff_mins: u32 = "cancelCutoffMins",
    };
    /// The guest gives up.
    0xf7c40510 "cancelBookingAsGuest(uint256)"
    CancelBookingAsGuest { booking: BookingId = "bookingId" };
    /// The host gives up.
    0x4244c4a2 "cancelBookingAsHost(uint256)"
    CancelBookingAsHost { booking: BookingId = "bookingId" };
    /// The oracle says what came of a session.
    0x33fe248b "attest(uint256,uint8,bytes32)"
    Attest {
        booking: BookingId = "bookingId",
        outcome: ContractOutcome = "outcome",
        metrics_hash: [u8; 32] = "metricsHash",
    };
    /// Host and guest said what came of it, where the contract can
    /// ([`mutual_outcome`](super::Capabilities::mutual_outcome)). Anybody may send it.
    0xc17deaf8 "attestMutual(uint256,uint8,bytes32,uint64,bytes,bytes)"
    AttestMutual {
        booking: BookingId = "bookingId",
        outcome: ContractOutcome = "outcome",
        metrics_hash: [u8; 32] = "metricsHash",
        deadline: Uint64 = "deadline",
        host_signature: StatementSignature = "hostSig",
        guest_signature: StatementSignature = "guestSig",
    };
    /// A party asks for the refund of what nobody attested.
    0xbdbc4834 "claimIfUnattested(uint256)" ClaimIfUnattested { booking: BookingId = "bookingId" };
    /// A party challenges what was attested, and puts down the bond.
    0xab82d9a0 "challenge(uint256)" Challenge { booking: BookingId = "bookingId" };
    /// The owner decides a dispute.
    0xe55e4211 "resolveDispute(uint256,uint8)"
    ResolveDispute {
        booking: BookingId = "bookingId",
        outcome: ContractOutcome = "finalOutcome",
    };
    /// Ends a dispute that the owner did not decide in time. Anybody may.
    0x90955aa7 "finalizeDisputeByTimeout(uint256)"
    FinalizeDisputeByTimeout { booking: BookingId = "bookingId" };
    /// Credits what is due. Anybody may.
    0x05261aea "finalize(uint256)" Finalize { booking: BookingId = "bookingId" };
    /// Pays out what is owed to the caller.
    0x39a72c5c "withdrawOwed()" WithdrawOwed;
    /// Pays out what is owed to the caller, to somebody else.
    0x84ff6985 "withdrawOwed(address)" WithdrawOwedTo { to: Wallet = "to" };
    /// A host's price for slots and requests.
    0x26bc522c "setHostBasePrice(uint256)" SetHostBasePrice { price: TokenAmount = "price" };
    /// Moves native coins that nobody should have sent.
    0xab803a76 "sweepNative()" SweepNative;
    /// Moves tokens that nobody holds.
    0x43d859bf "sweepTokenExcess()" SweepTokenExcess;

    // Reads.

    /// A [`Booking`](super::Booking).
    0x6a5c841a "getBooking(uint256)" GetBooking { booking: BookingId = "bookingId" };
    /// A [`Slot`](super::Slot).
    0x7eba7ba6 "getSlot(uint256)" GetSlot { slot: SlotId = "slotId" };
    /// The [`Terms`](super::Terms) of a booking.
    0x699eb23f "getBookingTerms(uint256)" GetBookingTerms { booking: BookingId = "bookingId" };
    /// A [`Request`](super::Request).
    0xc58343ef "getRequest(uint256)" GetRequest { request: RequestId = "requestId" };
    /// The same as [`GetBooking`](Self::GetBooking).
    0x1dab301e "bookings(uint256)" Bookings { booking: BookingId = "bookingId" };
    /// The same as [`GetSlot`](Self::GetSlot).
    0x387dd9e9 "slots(uint256)" Slots { slot: SlotId = "slotId" };
    /// The same as [`GetBookingTerms`](Self::GetBookingTerms).
    0x7ae15ac1 "bookingTerms(uint256)" BookingTerms { booking: BookingId = "bookingId" };
    /// The same as [`GetRequest`](Self::GetRequest).
    0x81d12c58 "requests(uint256)" Requests { request: RequestId = "requestId" };
    /// The booking of a slot, a [`BookingId`]; 0 where it has none.
    0x475b0193 "slotToBooking(uint256)" SlotToBooking { slot: SlotId = "slotId" };
    /// What a wallet can withdraw, a [`TokenAmount`].
    0xdf18e047 "owed(address)" Owed { account: Wallet = "account" };
    /// A host's price, a [`TokenAmount`].
    0xf3ac7d77 "hostBasePrice(address)" HostBasePrice { host: Wallet = "host" };
    /// All that is held for somebody, a [`TokenAmount`].
    0xf43cc773 "totalHeld()" TotalHeld;
    /// The [`BookingId`] of the booking after the last.
    0x26f20c79 "nextBookingId()" NextBookingId;
    /// The [`SlotId`] of the slot after the last.
    0x804ebda7 "nextSlotId()" NextSlotId;
    /// The [`RequestId`] of the request after the last.
    0x6a84a985 "nextRequestId()" NextRequestId;
    /// The token that is paid in, a [`Wallet`].
    0x3013ce29 "paymentToken()" PaymentToken;
    /// Who may attest, a [`Wallet`].
    0x7dc0d1d0 "oracle()" Oracle;
    /// Who decides disputes, a [`Wallet`].
    0x8da5cb5b "owner()" Owner;
    /// Who may become owner, a [`Wallet`].
    0xe30c3978 "pendingOwner()" PendingOwner;
    /// Who is credited the fees, a [`Wallet`].
    0x61d027b3 "treasury()" Treasury;
    /// The fee of new bookings, in ten-thousandths.
    0x24a9d853 "feeBps()" FeeBps;
    /// The challenge window of new bookings, in seconds.
    0x861a1412 "challengeWindow()" ChallengeWindow;
    /// The bond of new bookings, a [`TokenAmount`].
    0x52305151 "challengeBond()" ChallengeBond;
    /// What a late cancellation of new bookings costs, in ten-thousandths.
    0x046570ea "lateCancelPenaltyBps()" LateCancelPenaltyBps;
    /// From when on new bookings can be refunded unattested, in seconds after the end.
    0xb8a02e98 "noAttestBuffer()" NoAttestBuffer;
    /// When disputes of new bookings time out, in seconds.
    0xc04c22a4 "disputeTimeout()" DisputeTimeout;
    /// Ten-thousandths in a whole.
    0x249d39e9 "BPS()" Bps;
    /// The longest challenge window, in seconds.
    0x51586ecb "MAX_CHALLENGE_WINDOW()" MaxChallengeWindow;
    /// The longest buffer before an unattested refund, in seconds.
    0x60c58491 "MAX_NO_ATTEST_BUFFER()" MaxNoAttestBuffer;
    /// The longest time-out of a dispute, in seconds.
    0x5bdfbeb5 "MAX_DISPUTE_TIMEOUT()" MaxDisputeTimeout;

    // The owner's.

    /// Names who may attest.
    0x7adbf973 "setOracle(address)" SetOracle { oracle: Wallet = "oracle" };
    /// Names who is credited the fees.
    0xf0f44260 "setTreasury(address)" SetTreasury { treasury: Wallet = "treasury" };
    /// The fee of later bookings, in ten-thousandths.
    0x023b1fc9 "setFeeBps(uint16)" SetFeeBps { fee_bps: u16 = "feeBps" };
    /// The challenge window of later bookings, in seconds.
    0x856b9b03 "setChallengeWindow(uint48)"
    SetChallengeWindow { challenge_window: Uint48 = "challengeWindow" };
    /// The bond of later bookings.
    0x18c281a6 "setChallengeBond(uint256)"
    SetChallengeBond { challenge_bond: TokenAmount = "challengeBond" };
    /// What a late cancellation of later bookings costs, in ten-thousandths.
    0x0ec95c49 "setLateCancelPenaltyBps(uint16)"
    SetLateCancelPenaltyBps { late_cancel_penalty_bps: u16 = "lateCancelPenaltyBps" };
    /// The buffer before an unattested refund of later bookings, in seconds.
    0x42cc019a "setNoAttestBuffer(uint48)"
    SetNoAttestBuffer { no_attest_buffer: Uint48 = "noAttestBuffer" };
    /// The time-out of disputes of later bookings, in seconds.
    0xff2d438b "setDisputeTimeout(uint48)"
    SetDisputeTimeout { dispute_timeout: Uint48 = "disputeTimeout" };
    /// Offers the contract to a new owner.
    0xf2fde38b "transferOwnership(address)" TransferOwnership { owner: Wallet = "newOwner" };
    /// The new owner takes it.
    0x79ba5097 "acceptOwnership()" AcceptOwnership;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::keccak256;
    use crate::types::{U256, decode_hex_array, encode_hex};
    use alloc::collections::BTreeSet;
    use alloc::format;
    use alloc::string::String;

    #[test]
    fn every_selector_is_that_of_its_signature_and_every_signature_that_of_its_fields() {
        for function in FUNCTIONS {
            let hash = keccak256(function.signature.as_bytes());
            assert_eq!(
                encode_hex(&hash[..4]),
                encode_hex(&function.selector),
                "{}",
                function.signature
            );
            let (_, params) = function.signature.split_once('(').unwrap();
            assert_eq!(params, format!("{})", function.params.join(",")));
        }
        let selectors: BTreeSet<_> = FUNCTIONS.iter().map(|one| one.selector).collect();
        assert_eq!(selectors.len(), FUNCTIONS.len());
        // The page lists 20 of the life of a session, 30 reads and 10 of the owner; one is new.
        assert_eq!(FUNCTIONS.len(), 61);
    }

    fn signature(v: u8) -> StatementSignature {
        let mut bytes = [1; 65];
        bytes[64] = v;
        StatementSignature::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn signatures_come_behind_the_words_and_nowhere_else() {
        let call = Call::AttestMutual {
            booking: BookingId::new(U256::from(7)),
            outcome: ContractOutcome::Completed,
            metrics_hash: [0x44; 32],
            deadline: Uint64::MAX,
            host_signature: signature(27),
            guest_signature: signature(28),
        };
        let calldata = call.encode();
        let body = "01".repeat(64);
        let words: [String; 12] = [
            format!("{:064x}", 7),
            format!("{:064x}", 1),
            "44".repeat(32),
            format!("{:064x}", u64::MAX),
            format!("{:064x}", 6 * 32),
            format!("{:064x}", 6 * 32 + 4 * 32),
            format!("{:064x}", 65),
            body.clone(),
            format!("1b{}", "00".repeat(31)),
            format!("{:064x}", 65),
            body,
            format!("1c{}", "00".repeat(31)),
        ];
        assert_eq!(encode_hex(&calldata[4..]), words.concat());
        assert_eq!(Call::decode(&calldata), Ok(call));

        let altered = |at: usize, byte: u8| {
            let mut other = calldata.clone();
            other[at] = byte;
            Call::decode(&other)
        };
        // The first offset, the first length, the padding of the last, its `v`.
        let first_offset = 4 + 5 * 32 - 1;
        assert_eq!(altered(first_offset, 0xe0), Err(AbiError::Offset));
        assert_eq!(altered(first_offset - 31, 1), Err(AbiError::Offset));
        let first_length = 4 + 7 * 32 - 1;
        assert_eq!(altered(first_length, 64), Err(AbiError::Signature));
        assert_eq!(altered(first_length - 31, 0xff), Err(AbiError::Length));
        assert_eq!(altered(calldata.len() - 1, 1), Err(AbiError::Padding));
        assert_eq!(altered(calldata.len() - 32, 0), Err(AbiError::Signature));
    }

    #[test]
    fn calldata_of_another_length_or_function_is_none() {
        let call = Call::Owed {
            account: Wallet::from_bytes([0xa1; 20]),
        };
        let calldata = call.encode();
        for length in 0..calldata.len() {
            assert_eq!(Call::decode(&calldata[..length]), Err(AbiError::Length));
        }
        let longer = [calldata.as_slice(), &[0]].concat();
        assert_eq!(Call::decode(&longer), Err(AbiError::Length));
        let transfer: [u8; 4] = decode_hex_array("a9059cbb").unwrap();
        assert_eq!(Call::decode(&transfer), Err(AbiError::Selector));
    }
}
