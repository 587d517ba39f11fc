//! What an escrow logs (`settlement.md` sections 2.4 and 8).

use alloc::vec::Vec;

use ruint::uint;

use super::abi::{Abi, AbiError, AbiValue, Decoder, Uint48, Uint64, WORD_BYTES, encode};
use super::record::ContractOutcome;
use crate::types::{BookingId, RequestId, SlotId, TokenAmount, U256, Wallet};

/// The most topics that a log has.
const TOPICS_MAX: usize = 4;

/// An event as contracts list it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "there is no more to an event")]
pub struct EventKind {
    /// Its name and the types of its members.
    pub signature: &'static str,
    /// The hash of the signature: the first topic of its logs.
    pub topic: [u8; WORD_BYTES],
    /// The types of its members. The first of them are topics.
    pub members: &'static [&'static str],
    /// How many of them are topics.
    pub indexed: usize,
}

/// The events: a topic and a signature, written once, the members that are topics, and the others.
macro_rules! events {
    ($(
        $(#[$doc:meta])*
        $topic:literal $signature:literal
        $name:ident
        [$($indexed:ident: $indexed_ty:ty = $indexed_abi:literal),*]
        {$($field:ident: $ty:ty = $abi:literal),*}
    )*) => {
        /// An event of an escrow.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(clippy::exhaustive_enums, reason = "the interface is deployed")]
        pub enum Event {
            $(
                $(#[$doc])*
                $name {
                    $(#[doc = concat!("`", $indexed_abi, "`, a topic")] $indexed: $indexed_ty,)*
                    $(#[doc = concat!("`", $abi, "`")] $field: $ty,)*
                },
            )*
        }

        /// Every event that an [`Event`] can be of.
        pub const EVENTS: &[EventKind] = &[$(
            EventKind {
                signature: $signature,
                topic: uint!($topic).to_be_bytes(),
                members: &[
                    $(<$indexed_ty as Abi>::TYPE,)*
                    $(<$ty as Abi>::TYPE,)*
                ],
                indexed: {
                    const NAMES: &[&str] = &[$($indexed_abi,)*];
                    NAMES.len()
                },
            },
        )*];

        impl Event {
            /// The name that the contract gives it.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name { .. } => stringify!($name),)* }
            }

            /// The first topic of its logs.
            #[must_use]
            pub const fn topic(&self) -> [u8; WORD_BYTES] {
                match self { $(Self::$name { .. } => uint!($topic).to_be_bytes(),)* }
            }

            /// Its members as they are shown, under the names that the contract gives them.
            #[must_use]
            pub fn args(&self) -> Vec<(&'static str, AbiValue)> {
                match self {
                    $(Self::$name { $($indexed,)* $($field,)* } => Vec::from([
                        $(($indexed_abi, $indexed.value()),)*
                        $(($abi, $field.value()),)*
                    ]),)*
                }
            }

            /// Reads a log of an escrow. `None` for an event that is not among these: contracts
            /// log more than anybody here needs.
            ///
            /// Whose log it is, the caller has to look at: any contract can log these words.
            ///
            /// # Errors
            /// [`AbiError`] where a log has the first topic of an event and is not one.
            pub fn decode(
                topics: &[[u8; WORD_BYTES]],
                data: &[u8],
            ) -> Result<Option<Self>, AbiError> {
                let Some((topic, indexed)) = topics.split_first() else {
                    return Ok(None);
                };
                $(if U256::from_be_bytes(*topic) == uint!($topic) {
                    const INDEXED: &[&str] = &[$($indexed_abi,)*];
                    const DATA: &[&str] = &[$($abi,)*];
                    let topics = &mut Decoder::new(indexed.as_flattened(), INDEXED.len())?;
                    let data = &mut Decoder::new(data, DATA.len())?;
                    let event = Self::$name {
                        $($indexed: <$indexed_ty as Abi>::take(topics)?,)*
                        $($field: <$ty as Abi>::take(data)?,)*
                    };
                    topics.finish()?;
                    data.finish()?;
                    return Ok(Some(event));
                })*
                Ok(None)
            }

            /// How many of the members are topics.
            const fn indexed(&self) -> usize {
                match self {
                    $(Self::$name { .. } => {
                        const NAMES: &[&str] = &[$($indexed_abi,)*];
                        NAMES.len()
                    })*
                }
            }
        }
    };
}

impl Event {
    /// The topics and the data of its log, for chains that are played.
    #[must_use]
    pub fn encode(&self) -> (Vec<[u8; WORD_BYTES]>, Vec<u8>) {
        let values: Vec<_> = self.args().into_iter().map(|(_, value)| value).collect();
        // There are as many members as topics, or more.
        let (indexed, data) = values.split_at(self.indexed().min(values.len()));
        let mut topics = Vec::with_capacity(TOPICS_MAX);
        topics.push(self.topic());
        // Members that are topics have one word each.
        topics.extend_from_slice(encode(indexed).as_chunks().0);
        (topics, encode(data))
    }
}

events! {
    /// An outcome was attested, by the oracle or by both parties.
    0x24864fe9462927cd9bc51f0ddd3cfcaa0bf2716a83459138d79d7e1e35a36f4c_U256
    "Attested(uint256,uint8,bytes32,uint64)"
    Attested
    [booking: BookingId = "bookingId"]
    {
        outcome: ContractOutcome = "outcome",
        metrics_hash: [u8; 32] = "metricsHash",
        finalizable_at: Uint64 = "finalizableAt"
    }

    /// Host and guest attested it themselves.
    0xb428b2a7cf123e4468fb94dd3e29bb3bae93edffa62447eb8d6b624e990bd789_U256
    "MutuallyAttested(uint256,uint8,bytes32)"
    MutuallyAttested
    [booking: BookingId = "bookingId"]
    {
        outcome: ContractOutcome = "outcome",
        metrics_hash: [u8; 32] = "metricsHash"
    }

    /// A party challenged what was attested.
    0xf2cbc3bae809b898e4918c93cc3a0617e734ec62b3fccc2f3e58ce66cb15ad28_U256
    "Challenged(uint256,address,uint256)"
    Challenged
    [booking: BookingId = "bookingId", challenger: Wallet = "challenger"]
    { bond: TokenAmount = "bondAmount" }

    /// The owner decided a dispute.
    0x8a1c7850cb95b6648c597d19ad5a66ce32698f83f344546e66f4229ce5dacff9_U256
    "Resolved(uint256,uint8)"
    Resolved
    [booking: BookingId = "bookingId"]
    { outcome: ContractOutcome = "finalOutcome" }

    /// The money was credited.
    0xd96b99f82f8b864e76999d053eb26c3447b27db4b1ac5bbdb7ca128edc47e8af_U256
    "Finalized(uint256,uint8,uint256,uint256,uint256)"
    Finalized
    [booking: BookingId = "bookingId"]
    {
        outcome: ContractOutcome = "finalOutcome",
        host_paid: TokenAmount = "hostPaid",
        guest_refund: TokenAmount = "guestRefund",
        fee_paid: TokenAmount = "feePaid"
    }

    /// What nobody attested was refunded.
    0x917c69b2cefdfea85d4c0c2794149409e80aa6c099826d9dfcfc306ba043d69b_U256
    "UnattestedRefunded(uint256,uint256)"
    UnattestedRefunded
    [booking: BookingId = "bookingId"]
    { refund: TokenAmount = "refund" }

    /// A guest booked and paid.
    0x629dc84b4562ce5134c489592d47293cdad8e89d7ea6523a2bf064bb954a3057_U256
    "SessionBooked(uint256,uint256,address,uint256)"
    SessionBooked
    [booking: BookingId = "bookingId", slot: SlotId = "slotId", guest: Wallet = "guest"]
    { amount: TokenAmount = "amount" }

    /// A booking was cancelled. What the numbers of the reason mean is not written down anywhere.
    0xc933a7a4f002c0d60bdc00ce06c642f38f9e3f02dc9887ac471261e20cf0e76d_U256
    "SessionBookingCancelled(uint256,uint8,uint256,uint256,uint256,uint256)"
    SessionBookingCancelled
    [booking: BookingId = "bookingId"]
    {
        reason: u8 = "reason",
        refund: TokenAmount = "refund",
        penalty: TokenAmount = "penalty",
        host_paid: TokenAmount = "hostPaid",
        fee_paid: TokenAmount = "feePaid"
    }

    /// A host offered a slot.
    0x0a7485cbe2641ede2fefae85de83e7807d709f95d409e3c32aa6cbc795e860d2_U256
    "SessionSlotCreated(uint256,address,uint48,uint32,uint256)"
    SessionSlotCreated
    [slot: SlotId = "slotId", host: Wallet = "host"]
    {
        start_time: Uint48 = "startTime",
        duration_mins: u32 = "durationMins",
        price: TokenAmount = "price"
    }

    /// A host took an offer back.
    0xd04692252eb386bc1bc47a15f8bf6bc81bc702521ef547c018d2afa2fb2d384b_U256
    "SessionSlotCancelled(uint256)"
    SessionSlotCancelled
    [slot: SlotId = "slotId"]
    {}

    /// A guest asked for a session and paid.
    0x907d10db0ff880252feccfc2b663663b3bdc8c93b135e429d9c9f157af4fe1aa_U256
    "SessionRequestCreated(uint256,address,address,uint48,uint48,uint32,uint256,uint48)"
    SessionRequestCreated
    [request: RequestId = "requestId", host_target: Wallet = "hostTarget", guest: Wallet = "guest"]
    {
        window_start: Uint48 = "windowStart",
        window_end: Uint48 = "windowEnd",
        duration_mins: u32 = "durationMins",
        amount: TokenAmount = "amount",
        expiry: Uint48 = "expiry"
    }

    /// A host made a slot and its booking of a request.
    0xe6d90ea495ccfaee0ee4e68d1bc346d0f33e53f9853f691c4f2c9b3284994ddb_U256
    "SessionRequestAccepted(uint256,address,uint256,uint256,uint48)"
    SessionRequestAccepted
    [request: RequestId = "requestId", host: Wallet = "host"]
    {
        slot: SlotId = "slotId",
        booking: BookingId = "bookingId",
        start_time: Uint48 = "startTime"
    }

    /// A guest took a request back.
    0x94684a270daf50c31a66751a64dea889bc82836f26721c7fc1bab4ff445b6912_U256
    "SessionRequestCancelled(uint256,uint256)"
    SessionRequestCancelled
    [request: RequestId = "requestId"]
    { refund: TokenAmount = "refund" }

    /// What was owed was paid out.
    0xa6cd4410234ac9de9d1307f26fd9ec5124f511a9135d59c0904879dd8ae28e10_U256
    "OwedWithdrawn(address,address,uint256)"
    OwedWithdrawn
    [from: Wallet = "from", to: Wallet = "to"]
    { amount: TokenAmount = "amount" }

    /// A host named a price.
    0x4e6c8dfd21634b9172efbe1eeee02b6311ba19d102e37d9570677a3ad47212fe_U256
    "HostBasePriceSet(address,uint256)"
    HostBasePriceSet
    [host: Wallet = "host"]
    { price: TokenAmount = "price" }

    /// Somebody else may attest from now on.
    0x078c3b417dadf69374a59793b829c52001247130433427049317bde56607b1b7_U256
    "OracleUpdated(address,address)"
    OracleUpdated
    [old_oracle: Wallet = "oldOracle", new_oracle: Wallet = "newOracle"]
    {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::keccak256;
    use crate::types::encode_hex;
    use alloc::collections::BTreeSet;
    use alloc::format;

    #[test]
    fn every_topic_is_that_of_its_signature_and_every_signature_that_of_its_members() {
        for kind in EVENTS {
            assert_eq!(
                encode_hex(&keccak256(kind.signature.as_bytes())),
                encode_hex(&kind.topic),
                "{}",
                kind.signature
            );
            let (_, members) = kind.signature.split_once('(').unwrap();
            assert_eq!(members, format!("{})", kind.members.join(",")));
            assert!(kind.indexed < TOPICS_MAX, "{}", kind.signature);
        }
        let topics: BTreeSet<_> = EVENTS.iter().map(|kind| kind.topic).collect();
        assert_eq!(topics.len(), EVENTS.len());
        // The page lists 15; one is new.
        assert_eq!(EVENTS.len(), 16);
    }

    #[test]
    fn a_log_of_another_event_is_nothing_and_a_broken_one_is_an_error() {
        let event = Event::Challenged {
            booking: BookingId::new(U256::from(4)),
            challenger: Wallet::from_bytes([0xb2; 20]),
            bond: TokenAmount::new(U256::from(10_000_000)),
        };
        let (topics, data) = event.encode();
        assert_eq!(topics.len(), 3);
        assert_eq!(data.len(), 32);
        assert_eq!(Event::decode(&topics, &data), Ok(Some(event)));
        assert_eq!(Event::decode(&[], &data), Ok(None));
        assert_eq!(Event::decode(&[keccak256(b"Other()")], &data), Ok(None));
        assert_eq!(Event::decode(&topics[..2], &data), Err(AbiError::Length));
        let more = [topics.clone(), topics.clone()].concat();
        assert_eq!(Event::decode(&more, &data), Err(AbiError::Length));
        assert_eq!(Event::decode(&topics, &data[1..]), Err(AbiError::Length));
        let longer = [data.clone(), data.clone()].concat();
        assert_eq!(Event::decode(&topics, &longer), Err(AbiError::Length));
        let mut dirty = topics;
        dirty[2][0] = 1;
        assert_eq!(Event::decode(&dirty, &data), Err(AbiError::Padding));
    }
}
