//! Rows and readings for the tests of this module.

use alloc::boxed::Box;

use super::BookedSession;
use crate::escrow::{
    Booking, BookingKey, BookingStatus, Capabilities, ContractOutcome, EscrowReading, Slot,
    SlotStatus, Terms,
};
use crate::ports::{Answer, Question};
use crate::service::Answers;
use crate::types::{Seconds, SlotId, Timestamp, TokenAmount, U256, Wallet};

pub(crate) const HOST: Wallet = Wallet::from_bytes([0xa1; 20]);
pub(crate) const GUEST: Wallet = Wallet::from_bytes([0xb2; 20]);
pub(crate) const ORACLE: Wallet = Wallet::from_bytes([0x0a; 20]);

pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix(1_000_000 + seconds)
}

pub(crate) fn key() -> BookingKey {
    "42431/0xe5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5/7"
        .parse()
        .unwrap()
}

/// Booking 7: half an hour from second 10,000 on, grace 5 minutes, overlap 10.
pub(crate) fn reading(now: u64, status: BookingStatus) -> EscrowReading {
    EscrowReading {
        booking: Booking {
            slot: SlotId::new(U256::from(3)),
            guest: GUEST,
            amount: TokenAmount::new(U256::from(25_000_000)),
            status,
            oracle_outcome: ContractOutcome::None,
            metrics_hash: [0; 32],
            attested_at: Timestamp::EPOCH,
            finalizable_at: Timestamp::EPOCH,
            challenger: Wallet::from_bytes([0; 20]),
            bond: TokenAmount::new(U256::ZERO),
            disputed_at: Timestamp::EPOCH,
        },
        slot: Slot {
            host: HOST,
            start_time: at(10_000),
            duration_mins: 30,
            price: TokenAmount::new(U256::from(25_000_000)),
            grace_mins: 5,
            min_overlap_mins: 10,
            cancel_cutoff_mins: 0,
            status: SlotStatus::Booked,
        },
        terms: Terms {
            fee_bps: 300,
            late_cancel_penalty_bps: 2000,
            challenge_window: Seconds::new(86_400),
            no_attest_buffer: Seconds::new(86_400),
            dispute_timeout: Seconds::new(604_800),
            challenge_bond: TokenAmount::new(U256::from(10_000_000)),
        },
        oracle: ORACLE,
        chain_now: at(now),
        capabilities: Capabilities::default(),
        attester: Some(ORACLE),
    }
}

pub(crate) fn session() -> BookedSession {
    BookedSession::of(key(), &reading(0, BookingStatus::Booked))
}

pub(crate) fn answers(reading: EscrowReading) -> Answers {
    Answers::default().with(Question::Booking(key()), Answer::Booking(Box::new(reading)))
}
