//! The escrow contracts of a run: one chain that all servers share, and what each of them is told
//! of it.
//!
//! What the contracts do is [`FakeEscrows`]'s; here it waits, fails, lags and lies.

use std::sync::Arc;

use async_trait::async_trait;
use session_core::escrow::{BookingKey, BookingStatus, EscrowId, EscrowReading, Outcome, Slot};
use session_core::ports::{Attestation, Escrows, PortError, Sent};
use session_core::types::{Seconds, SlotId, Timestamp, U256, Wallet, Word};

use super::fault::Fault;
use super::hub::Inner;
use super::invariants::Seen;
use super::ports::{Port, unavailable_port};
use crate::escrows::{Accepted, ChainFault, FAKE_ORACLE, FakeEscrows};
use crate::time::ManualClock;

/// The longest span that the chain takes back. An attestation is looked at again after two minutes
/// ([`recheck_seconds`](session_core::booking::BookingPolicy::recheck_seconds)), by clocks that may
/// be half a minute apart: what is taken back later than that is not noticed before the last look.
const TAKEN_BACK_SECONDS_MAX: u64 = 60;

/// How far a node lags behind at most.
const LAG_SECONDS_MAX: u64 = 40;

/// How long an attestation takes at most after its sender gave up.
const LATE_SECONDS_MAX: u64 = 90;

/// How long another account may be the oracle.
const AWAY_SECONDS_MAX: u64 = 150;

/// Whose word the contracts take meanwhile.
const OTHER_ORACLE: Wallet = Wallet::from_bytes([0x0b; 20]);

/// The contract that takes the oracle's word alone.
pub(super) const PLAIN: EscrowId = EscrowId {
    chain_id: 42_431,
    address: Wallet::from_bytes([0xe1; 20]),
};

/// The contract that takes what both parties signed, too.
pub(super) const MUTUAL: EscrowId = EscrowId {
    chain_id: 42_431,
    address: Wallet::from_bytes([0xe2; 20]),
};

/// A booking on the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a booking is these three")]
pub struct Booked {
    /// Which.
    pub key: BookingKey,
    /// The slot.
    pub slot: Slot,
    /// Who booked it.
    pub guest: Wallet,
}

/// The escrow contracts of a run.
#[derive(Debug)]
pub struct Chains {
    clock: Arc<ManualClock>,
    plain: Arc<FakeEscrows>,
    mutual: Arc<FakeEscrows>,
    behind: Seconds,
    bookings: Vec<Booked>,
    oracle_away_until: u64,
    /// How many attestations of each contract were heard of.
    heard: [usize; 2],
    /// What may become of an attestation, where every history is tried.
    pub(super) tries: Vec<Option<ChainFault>>,
}

impl Chains {
    /// Two contracts with these bookings, whose blocks are so far behind true time.
    #[must_use]
    pub fn new(now: Timestamp, behind: Seconds, bookings: &[Booked]) -> Self {
        let clock = Arc::new(ManualClock::at(now));
        let contract = || {
            let escrows = FakeEscrows::new(clock.clone());
            escrows.set_behind(behind);
            Arc::new(escrows)
        };
        let (plain, mutual) = (contract(), contract());
        mutual.set_mutual(true);
        let chains = Self {
            plain,
            mutual,
            clock: clock.clone(),
            behind,
            bookings: bookings.to_vec(),
            oracle_away_until: 0,
            heard: [0; 2],
            tries: Vec::new(),
        };
        for booked in bookings {
            let (key, slot) = (booked.key, booked.slot);
            chains
                .of(&key)
                .put(key, slot, booked.guest, BookingStatus::Booked);
        }
        chains
    }

    /// The contract of a booking.
    #[must_use]
    pub fn of(&self, key: &BookingKey) -> Arc<FakeEscrows> {
        if key.escrow == MUTUAL {
            self.mutual.clone()
        } else {
            self.plain.clone()
        }
    }

    /// The clock that the contracts go by.
    #[must_use]
    pub const fn clock(&self) -> &Arc<ManualClock> {
        &self.clock
    }

    /// The time of the latest block.
    #[must_use]
    pub fn block_time(&self, now: u64) -> Timestamp {
        Timestamp::from_unix(now).before(self.behind)
    }

    /// Everything that is booked.
    #[must_use]
    pub fn bookings(&self) -> &[Booked] {
        &self.bookings
    }

    /// What is booked.
    #[must_use]
    pub fn booked(&self, key: &BookingKey) -> Option<&Booked> {
        self.bookings.iter().find(|booked| booked.key == *key)
    }

    /// The attestations of ours that the chain took of a booking, whether or not it took them back.
    #[must_use]
    pub fn accepted_of(&self, key: &BookingKey) -> Vec<Accepted> {
        let mut accepted = self.of(key).accepted();
        accepted.retain(|accepted| accepted.attestation.booking == *key);
        accepted
    }

    /// A party cancels, where it still can. Whether it could.
    #[must_use]
    pub fn cancel(&self, key: &BookingKey, now: u64) -> bool {
        let slot = self.booked(key).map(|booked| booked.slot);
        let can = slot.is_some_and(|slot| self.block_time(now) < slot.start_time)
            && self.of(key).is_booked(key);
        if can {
            self.of(key).set_status(key, BookingStatus::Cancelled);
        }
        can
    }

    /// Another writer attests. Whether the contract took it.
    #[must_use]
    pub fn attest_as_another(&self, key: &BookingKey, outcome: Outcome) -> bool {
        let hash = Word::new([0xee; 32]);
        self.of(key).attest_as_another(key, outcome, hash)
    }

    /// The contracts' clock shows true time.
    pub(super) fn tell_time(&self, now: u64) {
        self.clock.set(Timestamp::from_unix(now));
        let is_away = now < self.oracle_away_until;
        let oracle = if is_away { OTHER_ORACLE } else { FAKE_ORACLE };
        self.plain.set_oracle(oracle);
        self.mutual.set_oracle(oracle);
    }

    /// Nothing fails any more.
    pub(super) const fn calm_down(&mut self) {
        self.oracle_away_until = 0;
    }

    /// What the contracts took of us since the last time.
    fn news(&mut self) -> Vec<Accepted> {
        let mut news = Vec::new();
        for (heard, contract) in self.heard.iter_mut().zip([&self.plain, &self.mutual]) {
            let accepted = contract.accepted();
            news.extend(accepted.iter().skip(*heard).cloned());
            *heard = accepted.len();
        }
        news
    }
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy)]
enum Twist {
    AnotherSlot,
    Later,
    Nothing,
}

impl Inner {
    /// Shows what the contracts took since the last time.
    pub(super) fn hear_chains(&mut self) {
        let now = self.now;
        let Some(chains) = &mut self.chains else {
            return;
        };
        chains.tell_time(now);
        for accepted in chains.news() {
            let (key, outcome) = (accepted.attestation.booking, accepted.attestation.outcome);
            self.note(format_args!(
                "  the chain takes {outcome} of {key} at {}",
                accepted.at
            ));
            self.see(&Seen::Attested(&accepted));
        }
    }

    /// While time passes the chain may take back what it took of us a moment ago.
    pub(super) fn pass_on_chains(&mut self) {
        self.hear_chains();
        let now = self.now;
        let is_fresh = self.chains.as_ref().is_some_and(|chains| {
            let since = chains
                .block_time(now)
                .before(Seconds::new(TAKEN_BACK_SECONDS_MAX));
            let contracts = [&chains.plain, &chains.mutual].into_iter();
            let mut accepted = contracts.flat_map(|contract| contract.accepted());
            accepted.any(|accepted| !accepted.reorganised && accepted.at > since)
        });
        if is_fresh {
            let struck = self.strike(&[Fault::ChainReorganised]);
            self.befall(struck);
        }
    }

    /// What befalls the chain itself, whoever calls it.
    fn befall(&mut self, fault: Option<Fault>) {
        self.hear_chains();
        let now = self.now;
        match fault {
            Some(Fault::ChainReorganised) => {
                let span = Seconds::new(self.choices.between(1, TAKEN_BACK_SECONDS_MAX));
                let again_after = self.choices.between(0, 30);
                let Some(chains) = &self.chains else { return };
                let since = chains.block_time(now).before(span);
                for contract in [&chains.plain, &chains.mutual] {
                    if again_after > 15 {
                        contract.reorganise_and_repeat(span, Seconds::new(again_after));
                    } else {
                        contract.reorganise(span);
                    }
                }
                self.note(format_args!(
                    "  the chain takes back what came after {since}"
                ));
                self.see(&Seen::Reorganised(since));
            }
            Some(Fault::OracleRotated) => {
                let away = self.choices.between(5, AWAY_SECONDS_MAX);
                if let Some(chains) = &mut self.chains {
                    chains.oracle_away_until = now + away;
                    chains.tell_time(now);
                }
            }
            _ => {}
        }
    }

    /// An answer that is not so. Of what is not on record nobody could tell: the first answer is
    /// believed.
    fn twist(&mut self, key: &BookingKey, reading: &mut EscrowReading) {
        let is_known = self
            .backend
            .world()
            .row(&session_core::changeset::Key::BookedSession(*key))
            .is_some();
        let twists = [Twist::Nothing, Twist::AnotherSlot, Twist::Later];
        match twists[self.choices.below(if is_known { 3 } else { 1 })] {
            Twist::Nothing => reading.booking.status = BookingStatus::None,
            Twist::AnotherSlot => reading.booking.slot = SlotId::new(U256::from(2)),
            Twist::Later => {
                reading.slot.start_time = reading.slot.start_time.after(Seconds::new(3_600));
            }
        }
    }

    /// What becomes of an attestation that is sent.
    fn fate(&mut self, fault: Option<Fault>) -> Option<ChainFault> {
        let tries = self.chains.as_ref().map_or(0, |chains| chains.tries.len());
        if tries > 0 {
            let place = self.choices.below(tries);
            return self.chains.as_ref()?.tries.get(place).copied().flatten();
        }
        match fault? {
            Fault::ChainAnswerLost => Some(ChainFault::AnswerLost),
            Fault::ChainDropped => Some(ChainFault::Dropped),
            Fault::ChainLate => {
                let later = self.choices.between(1, LATE_SECONDS_MAX);
                Some(ChainFault::Late(Seconds::new(later)))
            }
            Fault::ChainRefused => Some(ChainFault::Refused),
            _ => None,
        }
    }
}

#[async_trait]
impl Escrows for Port {
    async fn read(&self, key: &BookingKey) -> Result<EscrowReading, PortError> {
        self.hub.pause().await;
        let struck = self.hub.lock().strike_chain(&[
            Fault::ChainDown,
            Fault::ChainLags,
            Fault::ChainNonsense,
            Fault::ChainReorganised,
            Fault::ChainSlow,
            Fault::OracleRotated,
        ]);
        match struck {
            Some(Fault::ChainDown) => return Err(unavailable_port("chain")),
            Some(Fault::ChainSlow) => self.slowly().await,
            _ => {}
        }
        let (contract, lag) = {
            let mut inner = self.hub.lock();
            inner.befall(struck);
            let is_behind = struck == Some(Fault::ChainLags);
            let lag = if is_behind {
                inner.choices.between(1, LAG_SECONDS_MAX)
            } else {
                0
            };
            let contract = inner.chains.as_ref().map(|chains| chains.of(key));
            (contract, lag)
        };
        let Some(contract) = contract else {
            return session_core::ports::NoEscrows.read(key).await;
        };
        // The fake never waits: nobody comes in between.
        contract.set_lag(Seconds::new(lag));
        let read = contract.read(key).await;
        contract.set_lag(Seconds::ZERO);
        let read = read.map(|mut reading| {
            let mut inner = self.hub.lock();
            if struck == Some(Fault::ChainNonsense) {
                inner.twist(key, &mut reading);
            }
            let (status, at) = (reading.booking.status.name(), reading.chain_now);
            inner.note(format_args!("  reads {key}: {status} at {at}"));
            let (by, key) = (inner.by(), *key);
            let reading_seen = &reading;
            inner.see(&Seen::ChainRead {
                by,
                key,
                reading: reading_seen,
            });
            reading
        });
        self.hub.lock().tell(&read);
        self.hub.pause_after().await;
        read
    }

    async fn attest(&self, attestation: &Attestation) -> Sent {
        {
            let mut inner = self.hub.lock();
            let (key, outcome) = (attestation.booking, attestation.outcome);
            inner.note(format_args!("  sends {outcome} of {key}"));
            let by = inner.by();
            inner.see(&Seen::Sending { by, attestation });
        }
        self.hub.pause().await;
        let struck = self.hub.lock().strike_chain(&[
            Fault::ChainAnswerLost,
            Fault::ChainDropped,
            Fault::ChainLate,
            Fault::ChainRefused,
            Fault::ChainReorganised,
            Fault::ChainSlow,
            Fault::OracleRotated,
        ]);
        if struck == Some(Fault::ChainSlow) {
            self.slowly().await;
        }
        let contract = {
            let mut inner = self.hub.lock();
            inner.befall(struck);
            let fate = inner.fate(struck);
            let chains = inner.chains.as_ref();
            let contract = chains.map(|chains| chains.of(&attestation.booking));
            if let Some(contract) = &contract {
                contract.will(fate);
            }
            contract
        };
        let Some(contract) = contract else {
            return session_core::ports::NoEscrows.attest(attestation).await;
        };
        let sent = contract.attest(attestation).await;
        self.hub.lock().hear_chains();
        self.hub.lock().tell(&sent);
        self.hub.pause_after().await;
        sent
    }
}

impl Inner {
    /// As [`Inner::strike`], where there is a chain that something could befall.
    fn strike_chain(&mut self, faults: &[Fault]) -> Option<Fault> {
        self.chains.is_some().then(|| self.strike(faults)).flatten()
    }
}
