//! Booked sessions in every state, and what the journal tells of them.

use session_core::attestation::{
    AttestationPolicy, Done, Evidence, EvidenceKind, Metrics, MetricsSchema, Stay, Waiting,
};
use session_core::booking::{
    ATTEMPTS_KEPT_MAX, AttachedEvidence, Attempt, AttemptClass, Attendance, BookedSession,
    DecidedBy, Decision, EVIDENCE_MAX, EVIDENCE_URI_BYTES_MAX, EvidenceSource, OutcomeStatement,
    STAYS_MAX, Settlement,
};
use session_core::changeset::Fact;
use session_core::escrow::{BookingKey, BookingStatus, Outcome, Slot, SlotStatus, Terms};
use session_core::outage::Span;
use session_core::room::Departure;
use session_core::types::{
    BookingId, EvidenceId, Id128, Seconds, SlotId, Timestamp, TokenAmount, U256, Wallet, Word,
};

use super::rows::{booked, booking_key, connection, wallet};

/// What would end a text or a statement if either were put together by hand, and what some
/// databases do not take for text.
const HOSTILE: [&str; 5] = [
    "",
    "it's 503\n\u{1f600}",
    "'); DROP TABLE booked_session; --",
    "\"]}\\u0000$1?\\",
    "\0\u{1}\u{7f}\u{feff}\u{10ffff}",
];

/// Every list as long as it gets, every number as large.
pub(super) fn largest() -> BookedSession {
    let most = TokenAmount::new(U256::MAX);
    let longest = Seconds::new(i64::MAX.unsigned_abs());
    let slot = Slot {
        host: Wallet::from_bytes([0xff; 20]),
        start_time: Timestamp::MAX,
        duration_mins: u32::MAX,
        price: most,
        grace_mins: u32::MAX,
        min_overlap_mins: u32::MAX,
        cancel_cutoff_mins: u32::MAX,
        status: SlotStatus::Settled,
    };
    let terms = Terms {
        fee_bps: u16::MAX,
        late_cancel_penalty_bps: u16::MAX,
        challenge_window: longest,
        no_attest_buffer: longest,
        dispute_timeout: longest,
        challenge_bond: most,
    };
    let mut session = booked(1);
    session.agreement.slot_id = SlotId::new(U256::MAX);
    session.agreement.slot = slot;
    session.agreement.guest = Wallet::from_bytes([0; 20]);
    session.agreement.amount = most;
    session.agreement.terms = terms;
    BookedSession {
        status: BookingStatus::Finalized,
        finalizable_at: Some(Timestamp::MAX),
        disputed_at: Some(Timestamp::MAX),
        host: attendance(1),
        guest: attendance(2),
        evidence: evidence(),
        settlement: Settlement::Attesting,
        decision: Some(decision(Outcome::Completed, DecidedBy::Presence)),
        round: u32::MAX,
        mutual_failed: true,
        transaction: Some(Word::new([0xff; 32])),
        attempts: attempts().into_iter().take(ATTEMPTS_KEPT_MAX).collect(),
        look_at: Some(Timestamp::MAX),
        ..session
    }
}

/// Stays from 1970 to the end of time, some of which last.
fn stays() -> Vec<Stay> {
    let stays = (0..STAYS_MAX).map(|n| {
        let ends = [None, Some(Timestamp::EPOCH), Some(Timestamp::MAX)];
        Stay {
            joined_at: if n % 2 == 0 {
                Timestamp::EPOCH
            } else {
                Timestamp::MAX
            },
            left_at: ends[n % 3],
            last_seen_at: ends[n % 5 % 3],
        }
    });
    stays.collect()
}

fn attendance(n: u32) -> Attendance {
    Attendance {
        uid: Some(std::num::NonZeroU32::MAX.into()),
        connection: Some(connection(n)),
        stays: stays(),
        statement: Some(statement(Outcome::Completed)),
    }
}

pub(super) fn statement(outcome: Outcome) -> OutcomeStatement {
    OutcomeStatement {
        outcome,
        metrics_hash: Word::new([0xff; 32]),
        deadline: i64::MAX.unsigned_abs(),
        signature: format!("0x{}", "fe".repeat(65)),
        at: Timestamp::MAX,
    }
}

fn evidence() -> Vec<AttachedEvidence> {
    let sources = [
        EvidenceSource::Host,
        EvidenceSource::Guest,
        EvidenceSource::Service,
    ];
    let pieces = (0u8..).zip(EvidenceKind::ALL.into_iter().cycle());
    let pieces = pieces.take(EVIDENCE_MAX).map(|(n, kind)| {
        let place = usize::from(n);
        let mut uri = HOSTILE[place % HOSTILE.len()].to_owned();
        if n == 0 {
            uri = "u".repeat(EVIDENCE_URI_BYTES_MAX);
        }
        AttachedEvidence {
            id: EvidenceId::from_bytes([n; 16]),
            evidence: Evidence {
                kind,
                hash: Word::new([n; 32]),
                uri,
            },
            by: sources[place % sources.len()],
            at: Timestamp::MAX,
        }
    });
    pieces.collect()
}

pub(super) fn settlements() -> Vec<Settlement> {
    let mut settlements = vec![Settlement::Open, Settlement::Attesting];
    for done in [
        Done::Submitted,
        Done::AlreadyAttested,
        Done::AlreadySettled,
        Done::BookingNotFound,
    ] {
        let at = Timestamp::EPOCH;
        settlements.push(Settlement::Settled { done, at });
    }
    for outcome in Outcome::ALL {
        let at = Timestamp::MAX;
        settlements.push(Settlement::WindowMissed { outcome, at });
    }
    settlements
}

/// A decision, which need not follow from anything: no store asks.
pub(super) fn decision(outcome: Outcome, by: DecidedBy) -> Decision {
    let schema = match by {
        DecidedBy::Presence => Some(MetricsSchema::Full),
        DecidedBy::Force => Some(MetricsSchema::Plain),
        DecidedBy::Statements { .. } => None,
    };
    let metrics = schema.map(|schema| Metrics {
        schema,
        text: HOSTILE.concat(),
    });
    Decision {
        outcome,
        by,
        metrics,
        metrics_hash: Word::new([0xa5; 32]),
        decided_at: Timestamp::MAX,
        chain_now: Timestamp::EPOCH,
        host: stays(),
        guest: stays(),
        outages: vec![Span {
            from: Timestamp::EPOCH,
            to: Timestamp::MAX,
        }],
        evidence: evidence().into_iter().map(|it| it.evidence).collect(),
        policy: AttestationPolicy {
            settle_delay_seconds: Seconds::new(i64::MAX.unsigned_abs()),
            no_show_margin_seconds: Seconds::ZERO,
        },
    }
}

/// One of each class, with texts of all kinds.
pub(super) fn attempts() -> Vec<Attempt> {
    let mut classes = vec![
        AttemptClass::Early,
        AttemptClass::NotOracle,
        AttemptClass::Retry,
        AttemptClass::ChainUnavailable,
        AttemptClass::Contradiction,
        AttemptClass::NoKey,
    ];
    for outcome in Outcome::ALL {
        classes.push(AttemptClass::Decided(outcome));
        classes.push(AttemptClass::WindowMissed(outcome));
    }
    for waiting in [
        Waiting::NotStarted,
        Waiting::SessionInProgress,
        Waiting::OverlapNotMet,
        Waiting::GraceNotOver,
    ] {
        classes.push(AttemptClass::Waiting(waiting));
    }
    for done in [
        Done::Submitted,
        Done::AlreadyAttested,
        Done::AlreadySettled,
        Done::BookingNotFound,
    ] {
        classes.push(AttemptClass::Done(done));
    }
    let notes = HOSTILE.map(|note| Some(note.to_owned()));
    let notes = notes.into_iter().chain([None]).cycle();
    let attempts = classes.into_iter().zip(notes);
    attempts
        .map(|(class, note)| Attempt {
            at: Timestamp::MAX,
            class,
            times: u32::MAX,
            transaction: note.is_some().then_some(Word::ZERO),
            note,
        })
        .collect()
}

/// A fact of every kind that tells of a booked session.
pub(super) fn told_of_sessions() -> Vec<Fact> {
    let wallet = wallet(1);
    let booking = BookingKey {
        booking: BookingId::new(U256::MAX),
        ..booking_key(1)
    };
    vec![
        Fact::EvidenceAttached {
            booking,
            evidence: EvidenceId::from_bytes([0xff; 16]),
            by: EvidenceSource::Service,
        },
        Fact::OutcomeStated {
            booking,
            wallet,
            outcome: Outcome::NoShowGuest,
            metrics_hash: Word::new([0xff; 32]),
            deadline: i64::MAX.unsigned_abs(),
        },
        Fact::SessionDecided {
            booking,
            outcome: Outcome::Completed,
            metrics_hash: Word::ZERO,
            round: u32::MAX,
        },
        Fact::SessionJoined {
            connection: connection(1),
            booking,
            wallet,
            uid: std::num::NonZeroU32::MAX.into(),
        },
        Fact::SessionLeft {
            connection: connection(1),
            booking,
            wallet,
            left_at: Timestamp::MAX,
            why: Departure::Silent,
        },
        Fact::SessionMissed {
            booking,
            outcome: Outcome::NoShowHost,
        },
        Fact::SessionSettled {
            booking,
            done: Done::AlreadySettled,
            round: u32::MAX,
        },
    ]
}
