//! `decided`: what was decided of booked sessions follows from what is on record, and the journal
//! tells of each time that it was sent.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Invariant;
use crate::attestation::Stay;
use crate::booking::{BookedSession, InvalidDecision, Settlement};
use crate::changeset::{Fact, Row};
use crate::escrow::{BookingKey, Outcome, Side};
use crate::ports::Found;
use crate::types::{EvidenceId, Timestamp, Wallet, Word};

/// What the journal tells of a booked session.
#[derive(Debug, Default)]
struct Told {
    rounds: BTreeMap<u32, (Outcome, Word)>,
    is_over: bool,
    joined: BTreeMap<Wallet, usize>,
    left: BTreeSet<(Wallet, Timestamp)>,
    evidence: BTreeSet<EvidenceId>,
    stated: BTreeMap<Wallet, (Outcome, Word, u64)>,
}

impl Told {
    /// What is on record of who was there, what was attached and what was signed, and is not told.
    fn untold(&self, session: &BookedSession) -> Vec<&'static str> {
        let mut untold = Vec::new();
        for side in Side::ALL {
            let (wallet, on_record) = (session.agreement.wallet(side), session.attendance(side));
            let joined = self.joined.get(&wallet).copied().unwrap_or_default();
            let is_told = |stay: &Stay| {
                stay.left_at
                    .is_none_or(|left_at| self.left.contains(&(wallet, left_at)))
            };
            if on_record.stays.len() > joined || !on_record.stays.iter().all(is_told) {
                untold.push("was attended otherwise than the journal tells");
            }
            let stated = on_record.statement.as_ref();
            let stated = stated.map(|said| (said.outcome, said.metrics_hash, said.deadline));
            if stated != self.stated.get(&wallet).copied() {
                untold.push("has statements that the journal does not tell");
            }
        }
        let attached: BTreeSet<EvidenceId> = session
            .evidence
            .iter()
            .map(|attached| attached.id)
            .collect();
        if attached != self.evidence {
            untold.push("has evidence that the journal does not tell");
        }
        untold
    }
}

#[derive(Debug, Default)]
pub(super) struct Decided {
    sessions: BTreeMap<BookingKey, Told>,
}

impl Decided {
    fn hear(&mut self, fact: &Fact, complaints: &mut Vec<String>) {
        match fact {
            Fact::SessionDecided {
                booking,
                outcome,
                metrics_hash,
                round,
            } => {
                let told = self.sessions.entry(*booking).or_default();
                let again = told.rounds.insert(*round, (*outcome, *metrics_hash));
                if again.is_some() {
                    complaints.push(format!("booking {booking} was decided twice in a round"));
                }
            }
            Fact::SessionMissed { booking, .. } | Fact::SessionSettled { booking, .. } => {
                self.sessions.entry(*booking).or_default().is_over = true;
            }
            Fact::SessionJoined {
                booking, wallet, ..
            } => {
                let told = self.sessions.entry(*booking).or_default();
                let joined = told.joined.entry(*wallet).or_default();
                *joined = joined.saturating_add(1);
            }
            Fact::SessionLeft {
                booking,
                wallet,
                left_at,
                ..
            } => {
                let told = self.sessions.entry(*booking).or_default();
                told.left.insert((*wallet, *left_at));
            }
            Fact::EvidenceAttached {
                booking, evidence, ..
            } => {
                let told = self.sessions.entry(*booking).or_default();
                told.evidence.insert(*evidence);
            }
            Fact::OutcomeStated {
                booking,
                wallet,
                outcome,
                metrics_hash,
                deadline,
            } => {
                let told = self.sessions.entry(*booking).or_default();
                let stated = (*outcome, *metrics_hash, *deadline);
                told.stated.insert(*wallet, stated);
            }
            _ => {}
        }
    }

    fn compare(&mut self, session: &BookedSession, complaints: &mut Vec<String>) {
        let told = self.sessions.remove(&session.key).unwrap_or_default();
        let untold = told.untold(session);
        let mut complain = |what: &str| complaints.push(format!("booking {} {what}", session.key));
        if !told.rounds.keys().copied().eq(1..=session.round) {
            complain("was sent as often as the journal does not tell");
        }
        if session.settlement.is_terminal() && !told.is_over {
            complain("is over, which the journal does not tell");
        }
        for what in untold {
            complain(what);
        }
        let Some(decision) = &session.decision else {
            if session.settlement == Settlement::Attesting {
                complain("is being attested without a decision");
            }
            return;
        };
        if told.rounds.get(&session.round) != Some(&(decision.outcome, decision.metrics_hash)) {
            complain("was decided otherwise than the journal tells");
        }
        match decision.verify(&session.key, &session.agreement) {
            // Whoever forces an outcome is a developer, who knows.
            Ok(()) | Err(InvalidDecision::Forced) => {}
            Err(why) => complain(&format!("has a decision that does not follow: {why}")),
        }
    }
}

impl Invariant for Decided {
    const NAME: &'static str = "decided";

    fn see(&mut self, found: &Found, complaints: &mut Vec<String>) {
        match found {
            Found::Row(_, Row::Entry(entry)) => self.hear(&entry.fact, complaints),
            Found::Row(_, Row::BookedSession(session)) => self.compare(session, complaints),
            _ => {}
        }
    }

    fn end(&mut self, complaints: &mut Vec<String>) {
        for booking in core::mem::take(&mut self.sessions).into_keys() {
            complaints.push(format!("booking {booking} is told of and is not there"));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use super::super::{Audit, Report};
    use super::*;
    use crate::attestation::{Metrics, MetricsSchema, Ruling, Stay};
    use crate::booking::{Agreement, Attendance, DecidedBy, Decision, OutcomeStatement};
    use crate::changeset::{Changeset, Draft, World, apply};
    use crate::crypto::LocalSigner;
    use crate::escrow::{BookingStatus, EscrowId, Slot, SlotStatus, Terms};
    use crate::policy::Policy;
    use crate::types::{BookingId, Seconds, SlotId, Timestamp, TokenAmount, U256, Wallet};

    const START: u64 = 10_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix(START + seconds)
    }

    fn key_of_host() -> LocalSigner {
        LocalSigner::from_bytes(&[1; 32]).unwrap()
    }

    fn key_of_guest() -> LocalSigner {
        LocalSigner::from_bytes(&[2; 32]).unwrap()
    }

    /// Ten minutes, of which five have to be together. The guest was there alone from the first
    /// second to the last.
    fn session() -> BookedSession {
        let slot = Slot {
            host: key_of_host().wallet(),
            start_time: at(0),
            duration_mins: 10,
            price: TokenAmount::new(U256::from(7)),
            grace_mins: 5,
            min_overlap_mins: 5,
            cancel_cutoff_mins: 60,
            status: SlotStatus::Booked,
        };
        let terms = Terms {
            fee_bps: 500,
            late_cancel_penalty_bps: 2000,
            challenge_window: Seconds::new(86_400),
            no_attest_buffer: Seconds::new(3600),
            dispute_timeout: Seconds::new(604_800),
            challenge_bond: TokenAmount::new(U256::from(3)),
        };
        let booking = BookingId::new(U256::from(7));
        let stay = Stay {
            joined_at: at(0),
            left_at: Some(at(600)),
            last_seen_at: None,
        };
        BookedSession {
            key: BookingKey {
                escrow: EscrowId {
                    chain_id: 42431,
                    address: Wallet::from_bytes([0xe5; 20]),
                },
                booking,
            },
            agreement: Agreement {
                slot_id: SlotId::new(U256::from(3)),
                slot,
                guest: key_of_guest().wallet(),
                amount: slot.price,
                terms,
            },
            status: BookingStatus::Booked,
            finalizable_at: None,
            disputed_at: None,
            host: Attendance::default(),
            guest: Attendance {
                stays: vec![stay],
                ..Attendance::default()
            },
            evidence: Vec::new(),
            settlement: Settlement::Open,
            decision: None,
            round: 0,
            mutual_failed: false,
            transaction: None,
            attempts: Vec::new(),
            look_at: None,
        }
    }

    /// What the policy decides of it, a minute after its end.
    fn decision(session: &BookedSession, schema: MetricsSchema) -> Decision {
        let mut decision = Decision {
            outcome: Outcome::NoShowHost,
            by: DecidedBy::Presence,
            metrics: None,
            metrics_hash: Word::ZERO,
            decided_at: at(660),
            chain_now: at(655),
            host: session.host.stays.clone(),
            guest: session.guest.stays.clone(),
            outages: Vec::new(),
            evidence: Vec::new(),
            policy: crate::attestation::AttestationPolicy::default(),
        };
        let judgement = decision.judgement(&session.agreement);
        let outcome = Outcome::NoShowHost;
        assert_eq!(judgement.ruling, Ruling::Attest { outcome });
        let agreement = &session.agreement;
        let metrics = Metrics::of(
            schema,
            &session.key,
            (agreement.slot_id, &agreement.slot),
            agreement.guest,
            (&judgement, outcome),
            decision.decided_at,
            &[],
        );
        decision.metrics_hash = metrics.hash();
        decision.metrics = Some(metrics);
        decision
    }

    /// What both parties signed.
    fn agreed(session: &BookedSession) -> Decision {
        let signed = |key: &LocalSigner| {
            let mut statement = OutcomeStatement {
                outcome: Outcome::Completed,
                metrics_hash: Word::new([9; 32]),
                deadline: u64::MAX,
                signature: String::new(),
                at: at(700),
            };
            let said = statement.signed(session.key).unwrap();
            statement.signature = said.sign(key).to_string();
            statement
        };
        Decision {
            outcome: Outcome::Completed,
            by: DecidedBy::Statements {
                host: signed(&key_of_host()),
                guest: signed(&key_of_guest()),
            },
            metrics: None,
            metrics_hash: Word::new([9; 32]),
            ..decision(session, MetricsSchema::Plain)
        }
    }

    fn decided(session: &BookedSession, decision: Decision) -> BookedSession {
        BookedSession {
            settlement: Settlement::Attesting,
            decision: Some(decision),
            round: 1,
            ..session.clone()
        }
    }

    fn settled(session: BookedSession) -> BookedSession {
        let (done, at) = (crate::attestation::Done::Submitted, at(670));
        BookedSession {
            settlement: Settlement::Settled { done, at },
            ..session
        }
    }

    /// The journal tells it once for each round of the session.
    fn told(session: &BookedSession) -> Vec<Fact> {
        let decision = session.decision.as_ref().unwrap();
        let rounds = 1..=session.round;
        rounds
            .map(|round| Fact::SessionDecided {
                booking: session.key,
                outcome: decision.outcome,
                metrics_hash: decision.metrics_hash,
                round,
            })
            .collect()
    }

    fn told_over(session: &BookedSession) -> Fact {
        Fact::SessionSettled {
            booking: session.key,
            done: crate::attestation::Done::Submitted,
            round: session.round,
        }
    }

    /// Who came and went, what was attached and signed.
    fn told_attended(session: &BookedSession) -> Vec<Fact> {
        let booking = session.key;
        let mut facts = Vec::new();
        for side in Side::ALL {
            let (wallet, on_record) = (session.agreement.wallet(side), session.attendance(side));
            for (stay, n) in on_record.stays.iter().zip(1_u8..) {
                let connection = crate::types::ConnectionId::from_random([n; 16]);
                facts.push(Fact::SessionJoined {
                    connection,
                    booking,
                    wallet,
                    uid: crate::media::MediaUid::new(n.into()).unwrap(),
                });
                facts.extend(stay.left_at.map(|left_at| Fact::SessionLeft {
                    connection,
                    booking,
                    wallet,
                    left_at,
                    why: crate::room::Departure::Left,
                }));
            }
            facts.extend(on_record.statement.iter().map(|said| Fact::OutcomeStated {
                booking,
                wallet,
                outcome: said.outcome,
                metrics_hash: said.metrics_hash,
                deadline: said.deadline,
            }));
        }
        let evidence = session.evidence.iter();
        facts.extend(evidence.map(|attached| Fact::EvidenceAttached {
            booking,
            evidence: attached.id,
            by: attached.by,
        }));
        facts
    }

    fn audit(sessions: &[BookedSession], facts: Vec<Fact>) -> Report {
        let mut draft = Draft::new();
        for session in sessions {
            draft.insert(session.clone());
            for fact in told_attended(session) {
                draft.journal(at(700), fact);
            }
        }
        for fact in facts {
            draft.journal(at(700), fact);
        }
        let changeset: Changeset = draft.finish();
        let mut world = World::new();
        let delta = apply(&world, &changeset).unwrap();
        world.absorb(&delta);
        let mut audit = Audit::new(&Policy::default());
        world.show(&mut audit);
        audit.finish()
    }

    /// The only complaint is this invariant's, and says so.
    fn assert_complains(report: &Report, expected: &str) {
        let complaints: Vec<_> = report.complaints.iter().collect();
        let [complaint] = complaints[..] else {
            panic!("{expected}: {complaints:?}");
        };
        assert_eq!(complaint.invariant, "decided");
        assert!(complaint.what.contains(expected), "{}", complaint.what);
        assert!(complaint.what.contains("/7 "), "{}", complaint.what);
    }

    #[test]
    fn what_followed_and_was_told_is_clean() {
        let session = session();
        let on_presence = decided(&session, decision(&session, MetricsSchema::Full));
        let mut over = told(&on_presence);
        over.push(told_over(&on_presence));
        let signed = decided(&session, agreed(&session));
        let plain = decided(&session, decision(&session, MetricsSchema::Plain));
        let forced = Decision {
            by: DecidedBy::Force,
            ..decision(&session, MetricsSchema::Plain)
        };
        let forced = decided(&session, forced);
        let thrice = BookedSession {
            round: 3,
            ..on_presence.clone()
        };
        let missed = BookedSession {
            settlement: Settlement::WindowMissed {
                outcome: Outcome::NoShowHost,
                at: at(5000),
            },
            ..session.clone()
        };
        let missing = Fact::SessionMissed {
            booking: session.key,
            outcome: Outcome::NoShowHost,
        };
        for (session, facts) in [
            (session, vec![]),
            (on_presence.clone(), told(&on_presence)),
            (settled(on_presence), over),
            (plain.clone(), told(&plain)),
            (signed.clone(), told(&signed)),
            (forced.clone(), told(&forced)),
            (thrice.clone(), told(&thrice)),
            (missed, vec![missing]),
        ] {
            let report = audit(core::slice::from_ref(&session), facts);
            assert!(report.is_clean(), "{:?}\n{session:?}", report.complaints);
            assert_eq!(report.bookings, 1);
        }
    }

    #[test]
    fn rounds_that_are_not_those_of_the_journal_are_found() {
        let session = session();
        let session = decided(&session, decision(&session, MetricsSchema::Full));
        let often = "as often as the journal does not tell";
        let twice = BookedSession {
            round: 2,
            ..session.clone()
        };
        let report = audit(core::slice::from_ref(&session), told(&twice));
        assert_complains(&report, often);
        let report = audit(core::slice::from_ref(&twice), told(&twice)[1..].to_vec());
        assert_complains(&report, often);
        // As many as there were, and not the first.
        let thrice = BookedSession {
            round: 3,
            ..session.clone()
        };
        let report = audit(core::slice::from_ref(&twice), told(&thrice)[1..].to_vec());
        assert_complains(&report, often);
        // A round that is told with two outcomes is told twice.
        let mut facts = told(&session);
        facts.push(Fact::SessionDecided {
            booking: session.key,
            outcome: Outcome::Completed,
            metrics_hash: Word::ZERO,
            round: 1,
        });
        let report = audit(core::slice::from_ref(&session), facts);
        let twice = "was decided twice in a round";
        assert!(report.complaints.iter().any(|it| it.what.ends_with(twice)));
    }

    #[test]
    fn a_decision_that_the_journal_tells_otherwise_is_found() {
        let session = session();
        let session = decided(&session, decision(&session, MetricsSchema::Full));
        let [Fact::SessionDecided { metrics_hash, .. }] = told(&session)[..] else {
            panic!("one round");
        };
        for (outcome, metrics_hash) in [
            (Outcome::NoShowGuest, metrics_hash),
            (Outcome::NoShowHost, Word::ZERO),
        ] {
            let told = Fact::SessionDecided {
                booking: session.key,
                outcome,
                metrics_hash,
                round: 1,
            };
            let report = audit(core::slice::from_ref(&session), vec![told]);
            assert_complains(&report, "decided otherwise than the journal tells");
        }
    }

    #[test]
    fn a_decision_that_does_not_follow_is_found() {
        let session = session();
        let sound = decision(&session, MetricsSchema::Full);
        let signed = agreed(&session);
        let mut later = sound.clone();
        later.decided_at = at(661);
        let mut longer = sound.clone();
        longer.guest[0].left_at = Some(at(599));
        let mut reworded = sound.clone();
        let metrics = reworded.metrics.as_mut().unwrap();
        metrics.text = metrics.text.replace("no-show-host", "completed");
        reworded.metrics_hash = metrics.hash();
        let mut unhashed = sound.clone();
        unhashed.metrics_hash = Word::ZERO;
        let mut textless = sound.clone();
        textless.metrics = None;
        // The plain text does not name the outcome, so that this fits but for the policy.
        let mut turned = decision(&session, MetricsSchema::Plain);
        turned.outcome = Outcome::NoShowGuest;
        let mut unsigned = signed.clone();
        if let DecidedBy::Statements { host, guest } = &mut unsigned.by {
            guest.signature.clone_from(&host.signature);
        }
        let mut of_another = signed.clone();
        of_another.outcome = Outcome::NoShowHost;
        for (wrong, why) in [
            (later, InvalidDecision::Metrics),
            (longer, InvalidDecision::Metrics),
            (reworded, InvalidDecision::Metrics),
            (textless, InvalidDecision::Metrics),
            (unhashed, InvalidDecision::Hash),
            (turned, InvalidDecision::Outcome),
            (unsigned, InvalidDecision::Statements),
            (of_another, InvalidDecision::Statements),
        ] {
            let session = decided(&session, wrong);
            let report = audit(core::slice::from_ref(&session), told(&session));
            assert_complains(&report, &format!("does not follow: {why}"));
        }
    }

    #[test]
    fn what_is_over_or_attested_without_reason_is_found() {
        let session = session();
        let untold = "is over, which the journal does not tell";
        let over = settled(decided(&session, decision(&session, MetricsSchema::Full)));
        assert_complains(&audit(core::slice::from_ref(&over), told(&over)), untold);
        let missed = BookedSession {
            settlement: Settlement::WindowMissed {
                outcome: Outcome::NoShowHost,
                at: at(5000),
            },
            ..session.clone()
        };
        assert_complains(&audit(&[missed], vec![]), untold);
        let undecided = BookedSession {
            settlement: Settlement::Attesting,
            ..session
        };
        let report = audit(&[undecided], vec![]);
        assert_complains(&report, "being attested without a decision");
    }

    #[test]
    fn a_session_that_is_told_of_and_not_there_is_found() {
        let session = session();
        let session = decided(&session, decision(&session, MetricsSchema::Full));
        let gone = "is told of and is not there";
        assert_complains(&audit(&[], told(&session)), gone);
        assert_complains(&audit(&[], vec![told_over(&session)]), gone);
        let missed = Fact::SessionMissed {
            booking: session.key,
            outcome: Outcome::NoShowHost,
        };
        assert_complains(&audit(&[], vec![missed]), gone);
        // Another that is there is not it.
        let mut other = self::session();
        other.key.booking = BookingId::new(U256::from(8));
        assert_complains(&audit(&[other], told(&session)), gone);
    }
}
