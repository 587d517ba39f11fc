//! Booked sessions: parties that come, leave and come back, an operator that attests by hand, and
//! others that cancel or attest on the chain.

use std::sync::Arc;

use session_core::attestation::{AttestationPolicy, Evidence, EvidenceKind, Window};
use session_core::booking::{
    AttachEvidence, BookingRefusal, Consider, Considered, JoinSession, LeaveSession, ProveLife,
    SessionJoined, SessionLeft, StateOutcome, StatementRefusal, StatementState, TrackBooking,
    Trigger,
};
use session_core::changeset::{Row, World};
use session_core::crypto::{LocalSigner, sha256};
use session_core::escrow::abi::Uint64;
use session_core::escrow::statement::Statement;
use session_core::escrow::{BookingKey, Outcome, Slot};
use session_core::media::Channel;
use session_core::types::{BookingId, Seconds, U256, Wallet, Word};

use super::once;
use crate::escrows::usual_slot;
use crate::sim::chain::{Booked, MUTUAL, PLAIN};
use crate::sim::invariants::{Invariant, of_bookings};
use crate::sim::{Ask, Asked, Choices, Reply, Request, Scenery, Stage, System};

/// Parties of booked sessions, and who else has to do with them.
#[derive(Debug, Default)]
pub struct Bookings {
    signers: Vec<LocalSigner>,
    sessions: Vec<Session>,
    keys: u64,
}

/// A booking, and what its parties know.
#[derive(Debug)]
struct Session {
    booked: Booked,
    parties: [Party; 2],
    /// What most say of it, once somebody does.
    outcome: Outcome,
    /// On which metrics.
    metrics_hash: Word,
    /// Until when that is to count.
    deadline: u64,
    /// Whether whoever looks for bookings on the chain heard that this one is on record.
    is_tracked: bool,
    /// How often a developer may still force an outcome.
    forced: u32,
}

/// One party, as it is: who it is, how it behaves, what it heard.
#[derive(Debug, Clone, Copy)]
struct Party {
    /// Which of the signers.
    signer: usize,
    manner: Manner,
    is_in: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It comes and goes.
    Plain,
    /// It comes, proves its life, and goes.
    Lively,
    /// It never comes.
    Absent,
}

impl Bookings {
    /// Nobody yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

const POINTS: &[&str] = &[
    "a booking was cancelled on the chain",
    "a decision was sent anew",
    "a guest did not show",
    "a host did not show",
    "a booking was taken on record that nobody had come to",
    "a manual attestation came too early",
    "a manual attestation decided",
    "a manual attestation met another",
    "a session ended without an attestation",
    "a session was attested by another",
    "a session was completed",
    "a window was missed",
    "an attestation was confirmed",
    "a party came before the doors opened",
    "a party came to a session that was over",
    "a party's statement came after the decision",
    "a party's statement came too late",
    "a statement contradicted the party's own",
    "a stranger came",
    "another writer attested",
    "both parties signed different outcomes",
    "both parties signed the same outcome",
    "somebody proved its life who was not in",
    "the contract did not take what both parties signed",
];

impl System for Bookings {
    fn name(&self) -> &'static str {
        "bookings"
    }

    fn set_up(&mut self, choices: &mut Choices, scenery: &mut Scenery) {
        for n in 0_u64..4 {
            let secret = sha256(&[&b"booked"[..], &n.to_be_bytes()].concat());
            self.signers.extend(LocalSigner::from_bytes(&secret));
        }
        scenery.chain_behind = Seconds::new(choices.between(0, 30));
        if choices.chance(300) {
            scenery.policy.bookings.full_metrics = true;
        }
        let forced = if choices.chance(150) { 1 } else { 0 };
        let sessions = 1 + choices.below(4);
        for n in 1..=sessions {
            let session = self.draw(n, forced, choices, scenery);
            let slot = &session.booked.slot;
            // What any outcome waits for, and the time that clocks may differ by.
            let opens = Outcome::ALL.map(|outcome| Window::of(slot, outcome).earliest);
            let due = AttestationPolicy::default().due(slot).max(slot.end());
            let due = opens
                .into_iter()
                .fold(due, Ord::max)
                .after(Seconds::new(60));
            scenery.busy_until = scenery.busy_until.max(due);
            scenery.bookings.push(session.booked);
            self.sessions.push(session);
        }
    }

    fn next(&mut self, stage: &mut Stage<'_>) -> Option<Request> {
        let place = stage.choices.below(self.sessions.len());
        let ask = match stage.choices.weighted(&[70, 8, 8, 1]) {
            0 => return self.of_party(place, stage),
            1 => self.by_hand(place, stage)?,
            2 => self.by_the_house(place, stage)?,
            _ => {
                self.on_the_chain(place, stage);
                return None;
            }
        };
        let wallet = self.wallet(self.sessions.get(place)?.parties[0]);
        let once = once(stage.choices, &mut self.keys, wallet, &*ask);
        Some(Request {
            client: place,
            ask,
            once,
        })
    }

    fn heard(&mut self, request: &Request, reply: &Reply, stage: &mut Stage<'_>) {
        let (place, side) = (request.client >> 1, request.client & 1);
        let name = request.ask.name();
        let refusal = reply.refused::<BookingRefusal>();
        match name {
            "bookings.attest" => match (reply.granted::<Considered>(), refusal) {
                (Some(Considered::Decided { .. }), _) => {
                    stage.reach("a manual attestation decided");
                }
                (_, Some(BookingRefusal::Busy)) => {
                    stage.reach("a manual attestation met another");
                }
                (_, Some(BookingRefusal::Waiting { .. })) => {
                    stage.reach("a manual attestation came too early");
                }
                _ => {}
            },
            "bookings.track" => {
                let is_new = reply.granted::<bool>();
                if is_new == Some(true) {
                    stage.reach("a booking was taken on record that nobody had come to");
                }
                if let Some(session) = self.sessions.get_mut(request.client) {
                    session.is_tracked |= is_new.is_some();
                }
            }
            "bookings.state" => heard_of_statement(reply, stage),
            _ => {
                let session = self.sessions.get_mut(place);
                let party = session.and_then(|session| session.parties.get_mut(side));
                if let Some(party) = party {
                    party.heard(name, reply, refusal, stage);
                }
            }
        }
    }

    fn at_last(&mut self) -> Vec<Request> {
        let track = |(client, session): (usize, &Session)| Request {
            client,
            ask: asked(
                "bookings.track",
                TrackBooking {
                    key: session.booked.key,
                },
            ),
            once: None,
        };
        self.sessions.iter().enumerate().map(track).collect()
    }

    fn invariants(&self) -> Vec<Box<dyn Invariant>> {
        of_bookings()
    }

    fn unresolved(&self, world: &World) -> Vec<String> {
        let left = world.rows().filter_map(|(key, _, row)| match row {
            Row::Intent(intent) if !intent.is_settled() => Some(format!("{key} is not settled")),
            Row::BookedSession(session) if !session.settlement.is_terminal() => {
                Some(format!("{key} is {}", session.settlement.name()))
            }
            _ => None,
        });
        left.collect()
    }

    fn points(&self) -> &'static [&'static str] {
        POINTS
    }
}

impl Bookings {
    fn draw(&self, n: usize, forced: u32, choices: &mut Choices, scenery: &Scenery) -> Session {
        let escrow = [PLAIN, MUTUAL][choices.weighted(&[1, 1])];
        let host = choices.below(self.signers.len());
        let guest = (host + 1 + choices.below(self.signers.len() - 1)) % self.signers.len();
        let manners = [Manner::Plain, Manner::Lively, Manner::Absent];
        let [host, guest] = [host, guest].map(|signer| Party {
            signer,
            manner: manners[choices.weighted(&[3, 3, 2])],
            is_in: false,
        });
        let start = scenery.begin.after(Seconds::new(choices.between(20, 700)));
        let minutes = |choices: &mut Choices, among: &[u32]| *choices.pick(among).unwrap_or(&1);
        let duration_mins = minutes(choices, &[4, 8, 12, 1, 2]);
        let grace_mins = minutes(choices, &[10, 15, 20, duration_mins + 2, 5, 3, 2, 1, 0]);
        let min_overlap_mins = minutes(choices, &[1, 0, duration_mins / 2, duration_mins]);
        let deadlines = [3_600, 60, 240, 900];
        let number = u64::try_from(n).unwrap_or(1);
        let slot = Slot {
            duration_mins,
            grace_mins,
            min_overlap_mins,
            ..usual_slot(self.wallet(host), start)
        };
        Session {
            booked: Booked {
                key: BookingKey {
                    escrow,
                    booking: BookingId::new(U256::from(number)),
                },
                slot,
                guest: self.wallet(guest),
            },
            parties: [host, guest],
            outcome: Outcome::ALL[choices.weighted(&[3, 1, 1])],
            metrics_hash: [Word::ZERO, Word::new([7; 32])][choices.weighted(&[2, 1])],
            deadline: start.unix() + deadlines[choices.weighted(&[3, 1, 2, 2])],
            is_tracked: false,
            forced,
        }
    }

    fn wallet(&self, party: Party) -> Wallet {
        let signer = self.signers.get(party.signer);
        signer.map_or(Wallet::from_bytes([0; 20]), LocalSigner::wallet)
    }

    /// A party asks for something.
    fn of_party(&mut self, place: usize, stage: &mut Stage<'_>) -> Option<Request> {
        let side = stage.choices.below(2);
        let session = self.sessions.get(place)?;
        let party = *session.parties.get(side)?;
        let key = session.booked.key;
        let choices = &mut *stage.choices;
        // Now and then it is somebody who has nothing to do with it.
        let wallet = if choices.chance(15) {
            Self::stranger()
        } else {
            self.wallet(party)
        };
        let weights = match (party.manner, party.is_in) {
            (Manner::Absent, _) => [0, 1, 1, 4, 4],
            (_, false) => [30, 2, 3, 4, 2],
            (Manner::Lively, true) => [4, 6, 40, 3, 2],
            (Manner::Plain, true) => [8, 10, 0, 6, 4],
        };
        let ask = match choices.weighted(&weights) {
            0 => {
                let channel = Channel::parse(&format!("booked-{}", key.booking)).ok()?;
                let command = JoinSession {
                    key,
                    wallet,
                    channel,
                };
                asked("bookings.join", command)
            }
            1 => asked("bookings.leave", LeaveSession { key, wallet }),
            2 => asked("bookings.prove", ProveLife { key, wallet }),
            3 => self.state(session, party, wallet, choices)?,
            _ => evidence(key, Some(wallet), choices),
        };
        let once = once(stage.choices, &mut self.keys, wallet, &*ask);
        Some(Request {
            client: 2 * place + side,
            ask,
            once,
        })
    }

    fn stranger() -> Wallet {
        Wallet::from_bytes([0x5a; 20])
    }

    /// A party signs an outcome: mostly the one that the other signs too.
    fn state(
        &self,
        session: &Session,
        party: Party,
        wallet: Wallet,
        choices: &mut Choices,
    ) -> Option<Arc<dyn Ask>> {
        let own = Outcome::ALL[choices.below(3)];
        let outcome = [session.outcome, own][choices.weighted(&[4, 1])];
        let statement = Statement {
            key: session.booked.key,
            outcome,
            metrics_hash: session.metrics_hash.to_bytes(),
            deadline: Uint64::new(session.deadline)?,
        };
        let signature = statement.sign(self.signers.get(party.signer)?);
        let command = StateOutcome {
            key: session.booked.key,
            wallet,
            outcome,
            metrics_hash: session.metrics_hash,
            deadline: session.deadline,
            signature: signature.to_string(),
        };
        Some(asked("bookings.state", command))
    }

    /// An operator, or a developer, attests by hand.
    fn by_hand(&mut self, place: usize, stage: &mut Stage<'_>) -> Option<Arc<dyn Ask>> {
        let session = self.sessions.get_mut(place)?;
        let force = if session.forced > 0 && stage.choices.chance(300) {
            session.forced -= 1;
            Some(Outcome::ALL[stage.choices.below(3)])
        } else {
            None
        };
        let command = Consider {
            key: session.booked.key,
            trigger: Trigger::Manual { force },
        };
        Some(asked("bookings.attest", command))
    }

    /// The house looks for bookings that nobody came to, or attaches evidence of its own.
    fn by_the_house(&self, place: usize, stage: &mut Stage<'_>) -> Option<Arc<dyn Ask>> {
        let session = self.sessions.get(place)?;
        let key = session.booked.key;
        let looks = if session.is_tracked { 1 } else { 4 };
        Some(match stage.choices.weighted(&[looks, 1]) {
            0 => asked("bookings.track", TrackBooking { key }),
            _ => evidence(key, None, stage.choices),
        })
    }

    /// Somebody does something on the chain.
    fn on_the_chain(&self, place: usize, stage: &mut Stage<'_>) {
        let (Some(session), Some(chains)) = (self.sessions.get(place), stage.chains) else {
            return;
        };
        let key = session.booked.key;
        let outcome = Outcome::ALL[stage.choices.below(3)];
        match stage.choices.weighted(&[3, 1]) {
            0 => {
                if chains.attest_as_another(&key, outcome) {
                    stage.reach("another writer attested");
                }
            }
            _ => {
                if chains.cancel(&key, stage.now) {
                    stage.reach("a booking was cancelled on the chain");
                }
            }
        }
    }
}

impl Party {
    fn heard(
        &mut self,
        name: &str,
        reply: &Reply,
        refusal: Option<BookingRefusal>,
        stage: &mut Stage<'_>,
    ) {
        match refusal {
            Some(BookingRefusal::TooEarly { .. }) => {
                stage.reach("a party came before the doors opened");
            }
            Some(BookingRefusal::NotParticipant) => stage.reach("a stranger came"),
            Some(BookingRefusal::Ended | BookingRefusal::NotActive) => {
                stage.reach("a party came to a session that was over");
            }
            Some(BookingRefusal::NotIn) => {
                stage.reach("somebody proved its life who was not in");
                self.is_in = false;
            }
            _ => {}
        }
        match name {
            "bookings.join" if reply.granted::<SessionJoined>().is_some() => self.is_in = true,
            "bookings.leave" if reply.granted::<SessionLeft>().is_some() => self.is_in = false,
            _ => {}
        }
    }
}

fn heard_of_statement(reply: &Reply, stage: &mut Stage<'_>) {
    match reply.granted::<StatementState>() {
        Some(StatementState::Matched) => stage.reach("both parties signed the same outcome"),
        Some(StatementState::Differs) => stage.reach("both parties signed different outcomes"),
        Some(StatementState::Waiting) | None => {}
    }
    match reply.refused::<StatementRefusal>() {
        Some(StatementRefusal::Conflict) => {
            stage.reach("a statement contradicted the party's own");
        }
        Some(StatementRefusal::Decided) => {
            stage.reach("a party's statement came after the decision");
        }
        Some(StatementRefusal::Expired) => stage.reach("a party's statement came too late"),
        _ => {}
    }
}

fn evidence(key: BookingKey, wallet: Option<Wallet>, choices: &mut Choices) -> Arc<dyn Ask> {
    let number = choices.below(4);
    let command = AttachEvidence {
        key,
        wallet,
        evidence: Evidence {
            kind: EvidenceKind::ALL[number],
            hash: Word::new(sha256(&[u8::try_from(number).unwrap_or(0)])),
            uri: format!("https://evidence.example/{number}"),
        },
    };
    asked("bookings.evidence", command)
}

fn asked<C>(name: &'static str, command: C) -> Arc<dyn Ask>
where
    Asked<C>: Ask + 'static,
{
    Arc::new(Asked { name, command })
}
