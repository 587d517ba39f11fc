//! How steps are taken on a world.

use std::collections::BTreeMap;

use revm::primitives::{Address, U256};
use session_core::crypto::LocalSigner;
use session_testkit::contracts::Contract;

use super::abi::{Refusal, Word, address};
use super::mutual::{Statement, signer, wallet};
use super::steps::{Kind, Step};
use super::world::{
    ATTEST, ATTESTED, BOOKED, CREATE_PRICED, CREATE_SLOT, DISPUTED, METRICS, ORACLE, OWNER,
    SLOT_OPEN, STRANGER, TREASURY, World,
};

/// A world in which two hosts and two guests have keys, tokens and prices.
pub(crate) struct Walk {
    pub(crate) world: World,
    signers: [LocalSigner; 4],
    /// How often each step was taken and refused.
    pub(crate) tally: BTreeMap<Kind, (u32, u32)>,
}

impl Walk {
    pub(crate) fn new(contract: Contract) -> Self {
        let mut world = World::new(contract);
        let signers = [1, 2, 3, 4].map(signer);
        for party in &signers {
            world.fund(wallet(party), 10_000_000_000.word());
        }
        for host in &signers[..2] {
            let price = [12_345_678.word()];
            let host = wallet(host);
            world
                .call(host, "setHostBasePrice(uint256)", &price)
                .unwrap();
        }
        let mut walk = Self {
            world,
            signers,
            tally: BTreeMap::new(),
        };
        walk.populate();
        walk
    }

    /// Slots, bookings and a request to begin with.
    fn populate(&mut self) {
        for n in 0..4 {
            let step = Step {
                kind: Kind::CreateSlot,
                who: n,
                which: n,
                value: 4_000 + 1_111 * u64::from(n),
            };
            self.take(step).unwrap();
            let next = match n {
                0 | 1 => Kind::Book,
                2 => Kind::Ask,
                _ => continue,
            };
            // Who is 2 or 3 picks what fits, and which is 0 the first of it.
            let step = Step {
                kind: next,
                who: 2 + n,
                which: 0,
                ..step
            };
            self.take(step).unwrap();
        }
    }

    /// Whoever can be owed something.
    pub(crate) fn people(&self) -> Vec<Address> {
        let mut people: Vec<_> = self.signers.iter().map(wallet).collect();
        people.extend([OWNER, ORACLE, TREASURY, STRANGER]);
        people
    }

    fn host(&self, step: Step) -> Address {
        wallet(&self.signers[usize::from(step.who % 2)])
    }

    fn guest(&self, step: Step) -> Address {
        wallet(&self.signers[2 + usize::from(step.who % 2)])
    }

    /// Whoever may do this, but at times somebody else.
    fn rightly(&self, step: Step, right: Address) -> Address {
        if step.who.is_multiple_of(8) {
            let people = self.people();
            people[usize::from(step.which) % people.len()]
        } else {
            right
        }
    }

    /// One of the identifiers below `next`, or at times that one. As far as there are any, it is one
    /// that `fits`; at times not.
    fn pick(&mut self, step: Step, next: &str, fits: impl Fn(&mut World, U256) -> bool) -> U256 {
        let next: u64 = self.world.number(next, &[]).to();
        let all = (1..next).map(Word::word);
        let fitting: Vec<_> = all.filter(|id| fits(&mut self.world, *id)).collect();
        if fitting.is_empty() || step.who % 8 == 1 {
            return (1 + u64::from(step.which) % next).word();
        }
        fitting[usize::from(step.which) % fitting.len()]
    }

    /// A slot that can still be booked.
    fn pick_slot(&mut self, step: Step) -> U256 {
        self.pick(step, "nextSlotId()", |world, id| {
            let slot = world.read("getSlot(uint256)", &[id]);
            slot[7] == SLOT_OPEN.word() && slot[1] > (world.chain.now() + 60).word()
        })
    }

    /// A request that is open.
    fn pick_request(&mut self, step: Step) -> U256 {
        self.pick(step, "nextRequestId()", |world, id| {
            world.read("getRequest(uint256)", &[id])[7] == 1.word()
        })
    }

    /// A booking that has come as far as this.
    fn pick_booking(&mut self, step: Step, statuses: &[u64]) -> U256 {
        self.pick(step, "nextBookingId()", |world, id| {
            statuses.contains(&world.booking(id).status())
        })
    }

    /// Takes a step. Whether it was refused is all the same, but it must not be by arithmetic.
    pub(crate) fn step(&mut self, step: Step) {
        let result = self.take(step);
        if let Err(Refusal::Panicked(code)) = &result {
            panic!("{step:?} is a panic of the contract: {code:#x}");
        }
        let tally = self.tally.entry(step.kind).or_default();
        match result {
            Ok(()) => tally.0 += 1,
            Err(_) => tally.1 += 1,
        }
    }

    fn take(&mut self, step: Step) -> Result<(), Refusal> {
        let value = step.value;
        let outcome = (value % 4).word();
        match step.kind {
            Kind::Jump => {
                let now = self.world.chain.now() + value % 2_000;
                self.world.chain.set_now(now);
                Ok(())
            }
            Kind::JumpToEdge => {
                self.jump_to_edge(step);
                Ok(())
            }
            Kind::SetPrice => {
                let price = [(value % 50_000_000).word()];
                self.call(self.host(step), "setHostBasePrice(uint256)", &price)
            }
            Kind::CreateSlot => self.call(self.host(step), CREATE_SLOT, &self.plan(step)),
            Kind::CreatePriced => {
                if !self.world.contract.capabilities().explicit_price {
                    return Ok(());
                }
                let mut plan = self.plan(step);
                plan.push((value % 99_999_999).word());
                self.call(self.host(step), CREATE_PRICED, &plan)
            }
            Kind::CancelSlot => {
                let slot = self.pick_slot(step);
                let host = address(self.world.read("getSlot(uint256)", &[slot])[0]);
                self.call(self.rightly(step, host), "cancelSlot(uint256)", &[slot])
            }
            Kind::Book => {
                let slot = self.pick_slot(step);
                self.call(self.guest(step), "book(uint256)", &[slot])
            }
            Kind::Ask => self.ask(step),
            Kind::TakeBack => {
                let request = self.pick_request(step);
                let guest = address(self.world.read("getRequest(uint256)", &[request])[1]);
                self.call(
                    self.rightly(step, guest),
                    "cancelRequest(uint256)",
                    &[request],
                )
            }
            Kind::Accept => self.accept(step),
            Kind::Withdraw => {
                let people = self.people();
                let who = people[usize::from(step.who) % people.len()];
                let to = people[usize::from(step.which) % people.len()];
                self.call(who, "withdrawOwed(address)", &[to.word()])
            }
            Kind::Give => {
                let (token, escrow) = (self.world.token, self.world.escrow);
                let gift = [escrow.word(), (value % 1_000).word()];
                self.world
                    .ask(self.guest(step), token, "transfer(address,uint256)", &gift)
                    .map(drop)
            }
            Kind::Sweep => self.call(STRANGER, "sweepTokenExcess()", &[]),
            Kind::ChangeSetting => {
                let (setter, most) = SETTINGS[usize::from(step.which) % SETTINGS.len()];
                self.call(OWNER, setter, &[(value % most).word()])
            }
            _ => {
                let booking = self.pick_booking(step, step.kind.begins_with());
                self.be_patient(step, booking);
                let record = self.world.booking(booking);
                let guest = address(record.0[1]);
                let slot = self.world.read("getSlot(uint256)", &[record.slot()]);
                let host = address(slot[0]);
                let party = if value.is_multiple_of(2) { host } else { guest };
                let by = |right| self.rightly(step, right);
                let (who, signature, arguments) = match step.kind {
                    Kind::CancelAsGuest => {
                        (by(guest), "cancelBookingAsGuest(uint256)", vec![booking])
                    }
                    Kind::CancelAsHost => (by(host), "cancelBookingAsHost(uint256)", vec![booking]),
                    Kind::Attest => (by(ORACLE), ATTEST, vec![booking, outcome, METRICS.word()]),
                    Kind::Claim => (by(party), "claimIfUnattested(uint256)", vec![booking]),
                    Kind::Challenge => (by(party), "challenge(uint256)", vec![booking]),
                    Kind::Resolve => (
                        by(OWNER),
                        "resolveDispute(uint256,uint8)",
                        vec![booking, outcome],
                    ),
                    Kind::TimeOut => (STRANGER, "finalizeDisputeByTimeout(uint256)", vec![booking]),
                    Kind::Finalize => (STRANGER, "finalize(uint256)", vec![booking]),
                    Kind::AttestMutual => {
                        return self.attest_mutual(booking, outcome, host, guest);
                    }
                    other => unreachable!("{other:?} is none of a booking"),
                };
                self.call(who, signature, &arguments)
            }
        }
    }

    fn call(&mut self, who: Address, signature: &str, words: &[U256]) -> Result<(), Refusal> {
        self.world.call(who, signature, words).map(drop)
    }

    /// A slot that begins within some hours.
    fn plan(&self, step: Step) -> Vec<U256> {
        let value = step.value;
        let start = self.world.chain.now() + 50 + value % 20_000;
        let duration = 1 + value % 60;
        [
            start,
            duration,
            value % 100,
            value % (duration + 1),
            value % 200,
        ]
        .map(Word::word)
        .to_vec()
    }

    fn ask(&mut self, step: Step) -> Result<(), Refusal> {
        let now = self.world.chain.now();
        let value = step.value;
        let arguments = [
            self.host(step).word(),
            now.word(),
            (now + 30_000).word(),
            (1 + value % 60).word(),
            (value % 50_000_000).word(),
            (now + value % 20_000).word(),
        ];
        let create = "createRequest(address,uint48,uint48,uint32,uint256,uint48)";
        self.call(self.guest(step), create, &arguments)
    }

    fn accept(&mut self, step: Step) -> Result<(), Refusal> {
        let request = self.pick_request(step);
        let record = self.world.read("getRequest(uint256)", &[request]);
        let host = address(record[0]);
        let plan = self.plan(step);
        // Mostly at a time that the guest asked for.
        let start = if step.which.is_multiple_of(4) {
            plan[0]
        } else {
            plan[0].clamp(record[2], record[2].max(record[3]))
        };
        let arguments = [request, start, plan[2], 0.word(), plan[4]];
        let accept = "acceptRequest(uint256,uint48,uint32,uint32,uint32)";
        self.call(self.rightly(step, host), accept, &arguments)
    }

    fn attest_mutual(
        &mut self,
        booking: U256,
        outcome: U256,
        host: Address,
        guest: Address,
    ) -> Result<(), Refusal> {
        if !self.world.contract.capabilities().mutual_outcome {
            return Ok(());
        }
        let statement = Statement {
            chain_id: super::chain::CHAIN_ID,
            contract: self.world.escrow,
            booking,
            outcome,
            metrics: METRICS,
            deadline: self.world.chain.now() + 1,
        };
        let sign = |who: Address| {
            let known = self.signers.iter().find(|signer| wallet(signer) == who);
            known.map_or([0; 65], |signer| statement.signed_by(signer))
        };
        let (host, guest) = (sign(host), sign(guest));
        statement.submit(&mut self.world, &host, &guest).map(drop)
    }

    /// To an instant at which something opens or closes for a booking, or a second beside it.
    fn jump_to_edge(&mut self, step: Step) {
        let id = self.pick_booking(step, &[BOOKED, ATTESTED, DISPUTED]);
        let edges = self.edges(id);
        let edge = edges[usize::from(step.who) % edges.len()];
        self.wait_for((edge + step.value % 3).saturating_sub(1));
    }

    /// The clock never goes back.
    fn wait_for(&mut self, instant: u64) {
        let now = self.world.chain.now().max(instant);
        self.world.chain.set_now(now);
    }

    /// When something opens or closes for a booking: the start, the overlap, the grace, the end, the
    /// last no-show, the last completion, the refund, the finalisation, the end of its dispute.
    fn edges(&mut self, id: U256) -> [u64; 9] {
        let booking = self.world.booking(id);
        let slot = self.world.read("getSlot(uint256)", &[booking.slot()]);
        let terms = self.world.read("getBookingTerms(uint256)", &[id]);
        let seconds = |word: U256| -> u64 { word.to() };
        let start = seconds(slot[1]);
        let end = start + seconds(slot[2]) * 60;
        let grace = seconds(slot[4]) * 60;
        [
            start,
            start + seconds(slot[5]) * 60,
            start + grace,
            end,
            end + grace,
            end + 7_200,
            end + seconds(terms[3]),
            booking.finalizable_at(),
            booking.disputed_at() + seconds(terms[4]),
        ]
    }

    /// Mostly, whoever wants something of a booking waits until it is time.
    fn be_patient(&mut self, step: Step, id: U256) {
        let [
            start,
            overlap,
            grace,
            _,
            _,
            _,
            refund,
            finalizable,
            timed_out,
        ] = self.edges(id);
        let (opens, patience) = match step.kind {
            Kind::Attest if step.value % 4 == 1 => (overlap, 4),
            Kind::Attest => (grace, 4),
            Kind::AttestMutual => (start, 4),
            Kind::Claim => (refund, 2),
            Kind::Finalize => (finalizable, 2),
            Kind::TimeOut => (timed_out, 2),
            _ => return,
        };
        if step.which % 4 < patience - 1 {
            self.wait_for(opens);
        }
    }
}

/// Setters, and what their numbers stay below.
const SETTINGS: [(&str, u64); 6] = [
    ("setFeeBps(uint16)", 2_001),
    ("setLateCancelPenaltyBps(uint16)", 10_001),
    ("setChallengeWindow(uint48)", 100_000),
    ("setChallengeBond(uint256)", 50_000_000),
    ("setNoAttestBuffer(uint48)", 100_000),
    ("setDisputeTimeout(uint48)", 1_000_000),
];
