//! A chain of escrow contracts that lives in memory: a fake, with the rules of the real ones.
//!
//! It keeps the history of every booking, so that it can lag behind, and take back what happened a
//! while ago. What it does otherwise than it says is chosen by a [`ChainFault`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use session_core::attestation::{Place, Window};
use session_core::crypto::digest256;
use session_core::escrow::statement::{Statement, StatementSignature};
use session_core::escrow::{
    Booking, BookingKey, BookingStatus, Capabilities, ContractOutcome, EscrowReading, Outcome,
    Slot, SlotStatus, Terms, abi::Uint64,
};
use session_core::ports::{
    Attestation, Clock, Escrows, MutualProof, PortError, PortErrorKind, Sent,
};
use session_core::types::{Seconds, SlotId, Timestamp, TokenAmount, U256, Wallet, Word};

/// What goes wrong with one attestation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainFault {
    /// It happens, and the answer is lost.
    AnswerLost,
    /// It does not happen, and the answer says that it was sent.
    Dropped,
    /// It does not happen, and the answer says so.
    Refused,
    /// It happens so much later, and the answer comes before.
    Late(Seconds),
}

/// An attestation that the chain took.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// What.
    pub attestation: Attestation,
    /// At which block time.
    pub at: Timestamp,
    /// Whether the chain took it back.
    pub reorganised: bool,
}

/// What was booked, and how the booking went on from block to block.
#[derive(Debug, Clone)]
struct History {
    slot: Slot,
    terms: Terms,
    states: Vec<(Timestamp, Booking)>,
}

impl History {
    fn at(&self, now: Timestamp) -> Option<&Booking> {
        let known = self.states.iter().rev().find(|(since, _)| *since <= now);
        known.map(|(_, booking)| booking)
    }

    fn is_booked(&self) -> bool {
        let last = self.states.last();
        last.is_some_and(|(_, booking)| booking.status == BookingStatus::Booked)
    }

    fn attest(&mut self, outcome: Outcome, hash: Word, now: Timestamp, finalizable_at: Timestamp) {
        let attested = self.states.last().map(|(_, last)| Booking {
            status: BookingStatus::Attested,
            oracle_outcome: outcome_of(outcome),
            metrics_hash: hash.to_bytes(),
            attested_at: now,
            finalizable_at,
            ..*last
        });
        self.states.extend(attested.map(|booking| (now, booking)));
    }
}

#[derive(Debug, Default)]
struct Chain {
    everybody: Option<(Wallet, Wallet, Timestamp)>,
    bookings: BTreeMap<BookingKey, History>,
    pending: Vec<(Timestamp, Attestation)>,
    accepted: Vec<Accepted>,
    faults: VecDeque<ChainFault>,
    sent: u64,
    oracle: Option<Wallet>,
    attester: Option<Wallet>,
    mutual_outcome: bool,
    mutual_at: BTreeMap<Wallet, bool>,
    is_lenient: bool,
    is_down: bool,
    lag: Seconds,
    behind: Seconds,
}

/// Escrow contracts that live in memory.
#[derive(Debug)]
pub struct FakeEscrows {
    clock: Arc<dyn Clock>,
    chain: Mutex<Chain>,
}

/// The address of a mock contract whose bookings began at an instant: it says so itself, so that a
/// server that starts again finds the bookings of before as they were.
#[must_use]
pub fn mock_escrow(start: Timestamp) -> Wallet {
    let mut bytes = [0; 20];
    bytes[..4].copy_from_slice(MOCK_MARK);
    bytes[12..].copy_from_slice(&start.unix().to_be_bytes());
    Wallet::from_bytes(bytes)
}

/// What the address of a mock contract begins with.
const MOCK_MARK: &[u8] = b"mock";

fn mock_start(escrow: Wallet) -> Option<Timestamp> {
    let [mark @ .., a, b, c, d, e, f, g, h] = escrow.to_bytes();
    let start = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    mark.starts_with(MOCK_MARK)
        .then(|| Timestamp::from_unix(start))
}

/// Whom fakes attest as.
pub const FAKE_ORACLE: Wallet = Wallet::from_bytes([0x0a; 20]);

impl FakeEscrows {
    /// Contracts without bookings, whose blocks come by this clock. We are their oracle.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let chain = Chain {
            oracle: Some(FAKE_ORACLE),
            attester: Some(FAKE_ORACLE),
            ..Chain::default()
        };
        Self {
            clock,
            chain: Mutex::new(chain),
        }
    }

    /// Contracts where every booking exists, between these two, and began a minute before now: 30
    /// minutes, grace 5, overlap 10. They take an outcome at any time, so that a developer can force
    /// one.
    #[must_use]
    pub fn every_booking(clock: Arc<dyn Clock>, host: Wallet, guest: Wallet) -> Self {
        let start = clock.now().before(Seconds::new(60));
        let escrows = Self::new(clock);
        escrows.lock().everybody = Some((host, guest, start));
        escrows.set_lenient(true);
        escrows
    }

    /// Puts a booking on the chain.
    pub fn put(&self, key: BookingKey, slot: Slot, guest: Wallet, status: BookingStatus) {
        let booking = booking(guest, status);
        let history = History {
            slot,
            terms: usual_terms(),
            states: vec![(Timestamp::EPOCH, booking)],
        };
        self.lock().bookings.insert(key, history);
    }

    /// Changes how far a booking is, from the next block on: what others do.
    pub fn set_status(&self, key: &BookingKey, status: BookingStatus) {
        let mut chain = self.lock();
        let now = self.clock.now().before(chain.behind);
        if let Some(history) = chain.bookings.get_mut(key)
            && let Some((_, last)) = history.states.last()
        {
            let booking = Booking { status, ..*last };
            history.states.push((now, booking));
        }
    }

    /// Whether a booking is there and waits for an attestation.
    #[must_use]
    pub fn is_booked(&self, key: &BookingKey) -> bool {
        let mut chain = self.lock();
        let now = self.clock.now().before(chain.behind);
        chain.include(now);
        chain.bookings.get(key).is_some_and(History::is_booked)
    }

    /// Another writer attests in the oracle's name. Whether the contract took it; it is not among
    /// what was [`accepted`](Self::accepted) of us.
    pub fn attest_as_another(&self, key: &BookingKey, outcome: Outcome, hash: Word) -> bool {
        let mut chain = self.lock();
        let now = self.clock.now().before(chain.behind);
        chain.include(now);
        let Some(history) = chain.bookings.get_mut(key) else {
            return false;
        };
        let is_booked = history.is_booked();
        let is_taken = is_booked && by_oracle(outcome, &history.slot, now).is_ok();
        if is_taken {
            let finalizable_at = now.after(history.terms.challenge_window);
            history.attest(outcome, hash, now, finalizable_at);
        }
        is_taken
    }

    /// Lets statements settle, as the second contract does.
    pub fn set_mutual(&self, mutual_outcome: bool) {
        self.lock().mutual_outcome = mutual_outcome;
    }

    /// The same of one contract alone.
    pub fn set_mutual_at(&self, escrow: Wallet, mutual_outcome: bool) {
        self.lock().mutual_at.insert(escrow, mutual_outcome);
    }

    /// Lets the oracle attest at any time, as the chain of the recorded exchanges did.
    pub fn set_lenient(&self, is_lenient: bool) {
        self.lock().is_lenient = is_lenient;
    }

    /// Whom we attest as; `None` takes the key away.
    pub fn set_attester(&self, attester: Option<Wallet>) {
        self.lock().attester = attester;
    }

    /// Whose word the contracts take.
    pub fn set_oracle(&self, oracle: Wallet) {
        self.lock().oracle = Some(oracle);
    }

    /// Lets every read fail as unavailable, or work again.
    pub fn set_down(&self, down: bool) {
        self.lock().is_down = down;
    }

    /// Shows the state of so long ago.
    pub fn set_lag(&self, lag: Seconds) {
        self.lock().lag = lag;
    }

    /// Puts the chain's clock behind.
    pub fn set_behind(&self, behind: Seconds) {
        self.lock().behind = behind;
    }

    /// The next attestations end like this; then all goes well.
    pub fn will(&self, faults: impl IntoIterator<Item = ChainFault>) {
        self.lock().faults.extend(faults);
    }

    /// Takes back what happened in the last seconds; nothing of it comes again by itself.
    pub fn reorganise(&self, seconds: Seconds) {
        self.take_back(seconds, None);
    }

    /// Takes back what happened in the last seconds; our attestations come again so much later,
    /// where the contract takes them then.
    pub fn reorganise_and_repeat(&self, seconds: Seconds, later: Seconds) {
        self.take_back(seconds, Some(later));
    }

    fn take_back(&self, seconds: Seconds, again_after: Option<Seconds>) {
        let mut chain = self.lock();
        let now = self.clock.now().before(chain.behind);
        chain.include(now);
        let from = now.before(seconds);
        for history in chain.bookings.values_mut() {
            let first = history.states.first().copied();
            history.states.retain(|(since, _)| *since <= from);
            if history.states.is_empty() {
                history.states.extend(first);
            }
        }
        let mut again = Vec::new();
        for accepted in &mut chain.accepted {
            if accepted.at > from && !accepted.reorganised {
                accepted.reorganised = true;
                let attestation = accepted.attestation.clone();
                again.extend(again_after.map(|later| (now.after(later), attestation)));
            }
        }
        chain.pending.extend(again);
    }

    /// What the chain took so far, whether or not it took it back.
    #[must_use]
    pub fn accepted(&self) -> Vec<Accepted> {
        let mut chain = self.lock();
        let now = self.clock.now().before(chain.behind);
        chain.include(now);
        chain.accepted.clone()
    }

    /// How often something was sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.lock().sent
    }

    fn lock(&self) -> MutexGuard<'_, Chain> {
        // Each holder leaves the chain whole between two statements.
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The terms of the reference deployment.
#[must_use]
pub fn usual_terms() -> Terms {
    Terms {
        fee_bps: 300,
        late_cancel_penalty_bps: 2000,
        challenge_window: Seconds::new(86_400),
        no_attest_buffer: Seconds::new(86_400),
        dispute_timeout: Seconds::new(604_800),
        challenge_bond: TokenAmount::new(U256::from(10_000_000)),
    }
}

/// A slot as fakes and tests use it.
#[must_use]
pub fn usual_slot(host: Wallet, start_time: Timestamp) -> Slot {
    Slot {
        host,
        start_time,
        duration_mins: 30,
        price: TokenAmount::new(U256::from(25_000_000)),
        grace_mins: 5,
        min_overlap_mins: 10,
        cancel_cutoff_mins: 0,
        status: SlotStatus::Booked,
    }
}

fn booking(guest: Wallet, status: BookingStatus) -> Booking {
    Booking {
        slot: SlotId::new(U256::ONE),
        guest,
        amount: TokenAmount::new(U256::from(25_000_000)),
        status,
        oracle_outcome: ContractOutcome::None,
        metrics_hash: [0; 32],
        attested_at: Timestamp::EPOCH,
        finalizable_at: Timestamp::EPOCH,
        challenger: Wallet::from_bytes([0; 20]),
        bond: TokenAmount::new(U256::ZERO),
        disputed_at: Timestamp::EPOCH,
    }
}

impl Chain {
    /// Takes what is due by now, in its order.
    fn include(&mut self, now: Timestamp) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_by_key(|(at, _)| *at);
        for (at, attestation) in pending {
            if at <= now {
                // Too late or not wanted: it fails, and nobody hears of it.
                let _ = self.take(&attestation, at);
            } else {
                self.pending.push((at, attestation));
            }
        }
    }

    /// The contract's own guards, in their order.
    fn take(&mut self, attestation: &Attestation, now: Timestamp) -> Result<(), &'static str> {
        self.ensure(&attestation.booking);
        let is_oracle = self.attester.is_some() && self.attester == self.oracle;
        let mutual = self.is_mutual(&attestation.booking);
        let is_lenient = self.is_lenient;
        let history = self.bookings.get_mut(&attestation.booking);
        let history = history.ok_or("NOT_BOOKED")?;
        if attestation.mutual.is_none() && !is_oracle {
            return Err("NOT_ORACLE");
        }
        if !history.is_booked() {
            return Err("NOT_BOOKED");
        }
        let challenge_window = match &attestation.mutual {
            None => {
                if !is_lenient {
                    by_oracle(attestation.outcome, &history.slot, now)?;
                }
                history.terms.challenge_window
            }
            Some(_) if !mutual => return Err(""),
            Some(proof) => {
                by_both(attestation, proof, history, now)?;
                Seconds::ZERO
            }
        };
        let finalizable_at = now.after(challenge_window);
        history.attest(
            attestation.outcome,
            attestation.metrics_hash,
            now,
            finalizable_at,
        );
        self.accepted.push(Accepted {
            attestation: attestation.clone(),
            at: now,
            reorganised: false,
        });
        Ok(())
    }

    /// Whether the contract of a booking settles by statements.
    fn is_mutual(&self, key: &BookingKey) -> bool {
        let own = self.mutual_at.get(&key.escrow.address);
        own.copied().unwrap_or(self.mutual_outcome)
    }

    /// Where every booking exists, this one does.
    fn ensure(&mut self, key: &BookingKey) {
        if let Some((host, guest, start)) = self.everybody
            && !self.bookings.contains_key(key)
        {
            let start = mock_start(key.escrow.address).unwrap_or(start);
            let history = History {
                slot: usual_slot(host, start),
                terms: usual_terms(),
                states: vec![(Timestamp::EPOCH, booking(guest, BookingStatus::Booked))],
            };
            self.bookings.insert(*key, history);
        }
    }
}

fn by_oracle(outcome: Outcome, slot: &Slot, now: Timestamp) -> Result<(), &'static str> {
    match (Window::of(slot, outcome).place(now), outcome) {
        (Place::Inside, _) => Ok(()),
        (Place::Before, Outcome::Completed) => Err("OVERLAP_NOT_MET"),
        (Place::Before, Outcome::NoShowHost | Outcome::NoShowGuest) => Err("GRACE_NOT_OVER"),
        (Place::After, Outcome::Completed) => Err("COMPLETED_TOO_LATE"),
        (Place::After, Outcome::NoShowHost | Outcome::NoShowGuest) => Err("NO_SHOW_TOO_LATE"),
    }
}

fn by_both(
    attestation: &Attestation,
    proof: &MutualProof,
    history: &History,
    now: Timestamp,
) -> Result<(), &'static str> {
    let guest = history.states.last().map(|(_, booking)| booking.guest);
    if now < history.slot.start_time {
        return Err("NOT_STARTED");
    }
    if now.unix() > proof.deadline {
        return Err("SIG_EXPIRED");
    }
    if now >= history.slot.end().after(history.terms.no_attest_buffer) {
        return Err("TOO_LATE");
    }
    let statement = Statement {
        key: attestation.booking,
        outcome: attestation.outcome,
        metrics_hash: attestation.metrics_hash.to_bytes(),
        deadline: Uint64::new(proof.deadline).ok_or("SIG_EXPIRED")?,
    };
    let signed = |signature: &str, wallet| {
        StatementSignature::parse(signature)
            .is_ok_and(|signature| statement.is_signed_by(wallet, &signature))
    };
    if !signed(&proof.host_signature, history.slot.host) {
        return Err("BAD_HOST_SIG");
    }
    if !guest.is_some_and(|guest| signed(&proof.guest_signature, guest)) {
        return Err("BAD_GUEST_SIG");
    }
    Ok(())
}

const fn outcome_of(outcome: Outcome) -> ContractOutcome {
    match outcome {
        Outcome::Completed => ContractOutcome::Completed,
        Outcome::NoShowHost => ContractOutcome::NoShowHost,
        Outcome::NoShowGuest => ContractOutcome::NoShowGuest,
    }
}

#[async_trait]
impl Escrows for FakeEscrows {
    async fn read(&self, key: &BookingKey) -> Result<EscrowReading, PortError> {
        let mut chain = self.lock();
        if chain.is_down {
            return Err(PortError {
                port: "chain",
                kind: PortErrorKind::Unavailable,
                detail: "fake was set down".to_owned(),
            });
        }
        let now = self.clock.now().before(chain.behind);
        chain.include(now);
        chain.ensure(key);
        let seen_at = now.before(chain.lag);
        let nobody = Wallet::from_bytes([0; 20]);
        let history = chain.bookings.get(key);
        let known = history.and_then(|history| Some((history, history.at(seen_at)?)));
        let (slot, terms, booking) = match known {
            Some((history, booking)) => (history.slot, history.terms, *booking),
            None => (
                usual_slot(nobody, Timestamp::EPOCH),
                usual_terms(),
                booking(nobody, BookingStatus::None),
            ),
        };
        Ok(EscrowReading {
            booking,
            slot,
            terms,
            oracle: chain.oracle.unwrap_or(nobody),
            chain_now: seen_at,
            capabilities: Capabilities {
                explicit_price: chain.is_mutual(key),
                mutual_outcome: chain.is_mutual(key),
            },
            attester: chain.attester,
        })
    }

    async fn attest(&self, attestation: &Attestation) -> Sent {
        let mut chain = self.lock();
        let now = self.clock.now().before(chain.behind);
        chain.include(now);
        chain.sent = chain.sent.saturating_add(1);
        let sent = chain.sent.to_be_bytes();
        let key = attestation.booking.to_string();
        let transaction = Word::new(digest256("fake transaction", &[key.as_bytes(), &sent]));
        let fault = chain.faults.pop_front();
        if chain.is_down {
            return Sent {
                transaction: None,
                trouble: Some("fake was set down".to_owned()),
            };
        }
        let taken = match fault {
            Some(ChainFault::Dropped) => Ok(()),
            Some(ChainFault::Refused) => Err("execution reverted: 0x"),
            Some(ChainFault::Late(by)) => {
                chain.pending.push((now.after(by), attestation.clone()));
                Ok(())
            }
            Some(ChainFault::AnswerLost) => {
                let _ = chain.take(attestation, now);
                return Sent {
                    // Signed here, so its hash is known whatever becomes of it.
                    transaction: Some(transaction),
                    trouble: Some("connection closed before an answer".to_owned()),
                };
            }
            None => chain.take(attestation, now),
        };
        Sent {
            transaction: Some(transaction),
            trouble: taken.err().map(ToOwned::to_owned),
        }
    }
}
