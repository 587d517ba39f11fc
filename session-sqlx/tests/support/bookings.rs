//! Booked sessions of some contracts.

use session_core::booking::{Agreement, Attendance, BookedSession, OutcomeStatement, Settlement};
use session_core::escrow::{BookingKey, BookingStatus, EscrowId, Outcome, Slot, SlotStatus, Terms};
use session_core::types::{BookingId, Seconds, SlotId, Timestamp, TokenAmount, U256, Wallet, Word};
use session_testkit::bench::Bench;

fn at(unix: u64) -> Timestamp {
    Timestamp::from_unix(unix)
}

pub(crate) fn wallet(n: u32) -> Wallet {
    // Neighbours do not follow each other.
    Bench::wallet(n.wrapping_mul(0x9e37_79b9))
}

/// A session of a contract on one of two chains: their numbers and those of the bookings have
/// several lengths, so that they sort otherwise as texts.
pub(crate) fn booked(n: u32) -> BookedSession {
    let most = TokenAmount::new(U256::MAX);
    let slot = Slot {
        host: wallet(n),
        start_time: at(n.into()),
        duration_mins: 30,
        price: most,
        grace_mins: 5,
        min_overlap_mins: 10,
        cancel_cutoff_mins: 60,
        status: SlotStatus::Booked,
    };
    let terms = Terms {
        fee_bps: 500,
        late_cancel_penalty_bps: 2000,
        challenge_window: Seconds::new(86_400),
        no_attest_buffer: Seconds::new(3600),
        dispute_timeout: Seconds::new(604_800),
        challenge_bond: most,
    };
    let statement = n.is_multiple_of(3).then(|| OutcomeStatement {
        outcome: Outcome::Completed,
        metrics_hash: Word::ZERO,
        deadline: u64::MAX,
        signature: "it's 0x\0".to_owned(),
        at: at(9),
    });
    BookedSession {
        key: BookingKey {
            escrow: EscrowId {
                chain_id: [42431, 5, u64::MAX][n as usize % 3],
                address: wallet(n % 7),
            },
            booking: BookingId::new(U256::from(n)),
        },
        agreement: Agreement {
            slot_id: SlotId::new(U256::from(n)),
            slot,
            guest: wallet(n + 1),
            amount: most,
            terms,
        },
        status: BookingStatus::ALL[n as usize % BookingStatus::ALL.len()],
        finalizable_at: None,
        disputed_at: None,
        host: Attendance {
            statement,
            ..Attendance::default()
        },
        guest: Attendance::default(),
        evidence: Vec::new(),
        settlement: Settlement::Open,
        decision: None,
        round: 0,
        mutual_failed: false,
        transaction: None,
        attempts: Vec::new(),
        look_at: n.is_multiple_of(2).then_some(at(9000)),
    }
}
