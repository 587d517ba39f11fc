//! Booked sessions as a seed draws them: stays that overlap, touch and make no sense, outages,
//! instants around every boundary.

#![allow(clippy::expect_used, reason = "tests panic")]

use session_core::attestation::{
    AttestationPolicy, Evidence, EvidenceKind, Inputs, Metrics, MetricsSchema, Ruling, Stay,
    Window, judge,
};
use session_core::booking::bundle::{SESSION_BUNDLE_FORM, SessionBundle};
use session_core::booking::{
    Agreement, AttachedEvidence, DecidedBy, Decision, EvidenceSource, OutcomeStatement, Settlement,
};
use session_core::crypto::LocalSigner;
use session_core::escrow::abi::Uint64;
use session_core::escrow::statement::Statement;
use session_core::escrow::{BookingKey, BookingStatus, Outcome, Slot};
use session_core::outage::Span;
use session_core::types::{EvidenceId, Seconds, SlotId, Timestamp, TokenAmount, U256, Word};
use session_testkit::escrows::{usual_slot, usual_terms};

const START: u64 = 1_800_000_000;

pub(crate) fn signer(byte: u8) -> LocalSigner {
    LocalSigner::from_bytes(&[byte; 32]).expect("a key")
}

/// Numbers that only look random: splitmix64.
pub(crate) struct Dice(u64);

impl Dice {
    /// From 0 to one less than `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let sides = u64::try_from(from.len()).expect("few");
        from[usize::try_from(self.roll(sides)).expect("few")]
    }

    fn minutes(&mut self, most: u32) -> u32 {
        u32::try_from(self.roll(u64::from(most) + 1)).expect("few")
    }

    /// An instant: often within two seconds of one that matters.
    fn instant(&mut self, slot: &Slot) -> Timestamp {
        let (start, end) = (slot.start_time, slot.end());
        let matters = [
            start,
            end,
            start.after(slot.grace()),
            start.after(slot.min_overlap()),
        ];
        let near = if self.one_in(3) {
            self.pick(&matters).before(Seconds::new(2))
        } else {
            start.before(Seconds::new(60))
        };
        let within = if near >= start.before(Seconds::new(2)) {
            5
        } else {
            slot.duration().get() + 120
        };
        near.after(Seconds::new(self.roll(within)))
    }

    fn stays(&mut self, slot: &Slot) -> Vec<Stay> {
        let many = if self.one_in(20) { 200 } else { 5 };
        let count = self.roll(many);
        let mut stays: Vec<Stay> = (0..count).map(|_| self.stay(slot)).collect();
        if self.one_in(2) {
            stays.sort_by_key(|stay| stay.joined_at);
        }
        stays
    }

    fn stay(&mut self, slot: &Slot) -> Stay {
        let joined_at = self.instant(slot);
        let ends = |dice: &mut Self| {
            let end = dice.instant(slot);
            // Now and then one ends before it begins.
            if dice.one_in(12) {
                end
            } else {
                end.max(joined_at)
            }
        };
        Stay {
            joined_at,
            left_at: (!self.one_in(4)).then(|| ends(self)),
            last_seen_at: self.one_in(3).then(|| ends(self)),
        }
    }

    fn outage(&mut self, slot: &Slot) -> Span {
        let from = self.instant(slot);
        let length = Seconds::new(self.roll(200));
        // One that ends before it begins is none.
        let to = if self.one_in(10) {
            from.before(length)
        } else {
            from.after(length)
        };
        Span { from, to }
    }

    fn evidence(&mut self) -> Evidence {
        Evidence {
            kind: self.pick(&EvidenceKind::ALL),
            hash: Word::new([u8::try_from(self.roll(3)).expect("few"); 32]),
            uri: self
                .pick(&[
                    "https://a.example/x?y=1",
                    "ipfs:bafy",
                    "a \"quoted\" \\ text",
                    "é 日本 \u{1f980} \u{7f}\u{1}\n\t/",
                    "",
                ])
                .to_owned(),
        }
    }
}

fn statement(key: BookingKey, outcome: Outcome, byte: u8, deadline: u64) -> OutcomeStatement {
    let metrics_hash = Word::new([byte % 2; 32]);
    let said = Statement {
        key,
        outcome,
        metrics_hash: metrics_hash.to_bytes(),
        deadline: Uint64::new(deadline).expect("64 bits"),
    };
    OutcomeStatement {
        outcome,
        metrics_hash,
        deadline,
        signature: said.sign(&signer(byte)).to_string(),
        at: Timestamp::from_unix(START),
    }
}

/// The same as one party says of another's statement.
fn same(key: BookingKey, other: &OutcomeStatement, byte: u8) -> OutcomeStatement {
    let said = Statement {
        key,
        outcome: other.outcome,
        metrics_hash: other.metrics_hash.to_bytes(),
        deadline: Uint64::new(other.deadline).expect("64 bits"),
    };
    OutcomeStatement {
        signature: said.sign(&signer(byte)).to_string(),
        ..other.clone()
    }
}

/// How a session is to be decided.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By the policy; where that waits or comes too late, by nothing that holds.
    Presence(MetricsSchema),
    /// By both parties.
    Statements,
    /// Not at all.
    Nothing,
}

/// A session; the host's key is 1, the guest's 2.
pub(crate) fn bundle(seed: u64, kind: Kind) -> SessionBundle {
    let dice = &mut Dice(seed);
    let duration_mins = dice.pick(&[2, 5, 30, 30, 240]);
    let key: BookingKey = "42431/0xe5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5/7"
        .parse()
        .expect("a booking");
    let slot = Slot {
        duration_mins,
        grace_mins: dice.minutes(duration_mins + 3),
        min_overlap_mins: dice.minutes(duration_mins),
        ..usual_slot(signer(1).wallet(), Timestamp::from_unix(START))
    };
    let agreement = Agreement {
        slot_id: SlotId::new(U256::from(3)),
        slot,
        guest: signer(2).wallet(),
        amount: TokenAmount::new(U256::MAX),
        terms: usual_terms(),
    };
    let (mut host, mut guest) = (dice.stays(&slot), dice.stays(&slot));
    let evidence: Vec<Evidence> = (0..dice.roll(4)).map(|_| dice.evidence()).collect();
    let mut bundle = SessionBundle {
        form: SESSION_BUNDLE_FORM.to_owned(),
        booking: key,
        agreement,
        status: BookingStatus::Booked,
        host: Vec::new(),
        guest: Vec::new(),
        evidence: evidence
            .iter()
            .map(|evidence| AttachedEvidence {
                id: EvidenceId::derive("evidence 1", &[evidence.uri.as_bytes()]),
                evidence: evidence.clone(),
                by: EvidenceSource::Service,
                at: Timestamp::from_unix(START),
            })
            .collect(),
        host_statement: None,
        guest_statement: None,
        decision: None,
        settlement: Settlement::Open,
        transaction: None,
    };
    if kind != Kind::Nothing {
        let decision = decided(dice, &bundle, kind, (&host, &guest), evidence);
        if let DecidedBy::Statements { host, guest } = &decision.by {
            bundle.host_statement = Some(host.clone());
            bundle.guest_statement = Some(guest.clone());
        } else if dice.one_in(4) {
            bundle.host_statement = Some(statement(key, decision.outcome, 1, START + 9));
        }
        bundle.decision = Some(decision);
        bundle.settlement = Settlement::Attesting;
        // The record goes on.
        for stays in [&mut host, &mut guest] {
            if dice.one_in(2) {
                stays.push(dice.stay(&slot));
            }
        }
    }
    bundle.host = host;
    bundle.guest = guest;
    bundle
}

fn decided(
    dice: &mut Dice,
    bundle: &SessionBundle,
    kind: Kind,
    (host, guest): (&[Stay], &[Stay]),
    evidence: Vec<Evidence>,
) -> Decision {
    let (agreement, key) = (&bundle.agreement, bundle.booking);
    let slot = &agreement.slot;
    let outages: Vec<Span> = (0..dice.roll(4)).map(|_| dice.outage(slot)).collect();
    let policy = if dice.one_in(3) {
        AttestationPolicy::default().by_hand()
    } else {
        AttestationPolicy::default()
    };
    let now = match dice.roll(3) {
        0 => dice.instant(slot),
        _ => slot.end().after(Seconds::new(60 + dice.roll(60))),
    };
    let mut inputs = Inputs {
        slot,
        host,
        guest,
        outages: &outages,
        now,
        chain_now: now,
    };
    if dice.one_in(4) {
        let window = Window::of(slot, dice.pick(&Outcome::ALL));
        let edge = dice.pick(&[window.earliest, window.latest]);
        inputs.chain_now = edge
            .before(Seconds::new(1))
            .after(Seconds::new(dice.roll(3)));
    }
    let judgement = judge(&inputs, &policy);
    let outcome = match judgement.ruling {
        Ruling::Attest { outcome } => outcome,
        Ruling::Wait { .. } | Ruling::WindowMissed { .. } => dice.pick(&Outcome::ALL),
    };
    let mut decision = Decision {
        outcome,
        by: DecidedBy::Presence,
        metrics: None,
        metrics_hash: Word::ZERO,
        decided_at: now,
        chain_now: inputs.chain_now,
        host: host.to_vec(),
        guest: guest.to_vec(),
        outages: outages.clone(),
        evidence,
        policy,
    };
    if let Kind::Presence(schema) = kind {
        let metrics = Metrics::of(
            schema,
            &key,
            (agreement.slot_id, slot),
            agreement.guest,
            (&judgement, outcome),
            now,
            &decision.evidence,
        );
        decision.metrics_hash = metrics.hash();
        decision.metrics = Some(metrics);
    } else {
        let said = statement(key, outcome, 1, START + 3600);
        decision.metrics_hash = said.metrics_hash;
        decision.by = DecidedBy::Statements {
            guest: same(key, &said, 2),
            host: said,
        };
    }
    decision
}
