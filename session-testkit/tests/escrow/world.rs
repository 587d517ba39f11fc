//! An escrow with its token, its people, and the calls that most tests begin with.

use revm::primitives::{Address, B256, U256};
use session_core::crypto::keccak256;
use session_core::types::{Seconds, TokenAmount, Wallet};
use session_testkit::contracts::{Build, Contract, EscrowSettings};

use super::abi::{Refusal, Word, calldata, words};
use super::twins::{Done, Twins};

pub(crate) const OWNER: Address = Address::repeat_byte(0x01);
pub(crate) const ORACLE: Address = Address::repeat_byte(0x02);
pub(crate) const TREASURY: Address = Address::repeat_byte(0x03);
pub(crate) const HOST: Address = Address::repeat_byte(0xa1);
pub(crate) const GUEST: Address = Address::repeat_byte(0xb2);
pub(crate) const STRANGER: Address = Address::repeat_byte(0x55);

/// When sessions begin, unless a test says otherwise.
pub(crate) const START: u64 = 1_800_000_000;
/// When a world begins.
pub(crate) const DAWN: u64 = START - 100_000;
pub(crate) const PRICE: u64 = 25_000_001;
pub(crate) const METRICS: B256 = B256::repeat_byte(0x44);

pub(crate) const COMPLETED: u64 = 1;
pub(crate) const NO_SHOW_HOST: u64 = 2;
pub(crate) const NO_SHOW_GUEST: u64 = 3;

/// Numbers of `BookingStatus`.
pub(crate) const BOOKED: u64 = 1;
pub(crate) const CANCELLED: u64 = 2;
pub(crate) const ATTESTED: u64 = 3;
pub(crate) const DISPUTED: u64 = 4;
pub(crate) const RESOLVED: u64 = 5;
pub(crate) const FINALIZED: u64 = 6;

/// Numbers of `SlotStatus`.
pub(crate) const SLOT_OPEN: u64 = 0;
pub(crate) const SLOT_BOOKED: u64 = 1;
pub(crate) const SLOT_CANCELLED: u64 = 2;
pub(crate) const SLOT_SETTLED: u64 = 3;

/// What a slot is created with: a start, and minutes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) start: u64,
    pub(crate) duration: u64,
    pub(crate) grace: u64,
    pub(crate) overlap: u64,
    pub(crate) cutoff: u64,
}

impl Plan {
    pub(crate) const USUAL: Self = Self {
        start: START,
        duration: 30,
        grace: 5,
        overlap: 10,
        cutoff: 60,
    };

    pub(crate) const fn end(self) -> u64 {
        self.start + self.duration * 60
    }

    pub(crate) fn words(self) -> Vec<U256> {
        [
            self.start,
            self.duration,
            self.grace,
            self.overlap,
            self.cutoff,
        ]
        .map(Word::word)
        .to_vec()
    }
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) chain: Twins,
    pub(crate) contract: Contract,
    pub(crate) token: Address,
    pub(crate) escrow: Address,
    pub(crate) host: Address,
    pub(crate) guest: Address,
    /// What the creation of the escrow used.
    pub(crate) creation_gas: u64,
}

pub(crate) fn settings(token: Address) -> EscrowSettings {
    let wallet = |address: Address| Wallet::from_bytes(address.into());
    EscrowSettings::reference(wallet(token), wallet(ORACLE), wallet(TREASURY))
}

impl World {
    /// With the settings of the reference deployment.
    pub(crate) fn new(contract: Contract) -> Self {
        Self::with(contract, |_| {})
    }

    pub(crate) fn with(contract: Contract, change: impl FnOnce(&mut EscrowSettings)) -> Self {
        let mut chain = Twins::new(DAWN);
        let token = chain.deploy(OWNER, Contract::TestToken);
        let mut settings = settings(token);
        change(&mut settings);
        let deployed = chain.deploy_escrow(OWNER, contract, &settings);
        let (escrow, creation_gas) = deployed.unwrap();
        let mut world = Self {
            chain,
            contract,
            token,
            escrow,
            host: HOST,
            guest: GUEST,
            creation_gas,
        };
        for who in [HOST, GUEST, STRANGER] {
            world.fund(who, U256::from(1_000_000_000_u64));
        }
        world
    }

    /// One of each variant.
    pub(crate) fn each() -> impl Iterator<Item = Self> {
        Contract::ESCROWS.into_iter().map(Self::new)
    }

    /// Mints tokens, and lets the escrow take whatever the account has.
    pub(crate) fn fund(&mut self, who: Address, amount: U256) {
        let (token, escrow) = (self.token, self.escrow);
        self.ask(who, token, "mint(address,uint256)", &[who.word(), amount])
            .unwrap();
        let all = [escrow.word(), U256::MAX];
        self.ask(who, token, "approve(address,uint256)", &all)
            .unwrap();
    }

    pub(crate) fn ask(
        &mut self,
        from: Address,
        to: Address,
        signature: &str,
        arguments: &[U256],
    ) -> Result<Done, Refusal> {
        self.chain
            .send(from, to, &calldata(signature, arguments), 0)
    }

    /// Calls the escrow.
    pub(crate) fn call(
        &mut self,
        from: Address,
        signature: &str,
        arguments: &[U256],
    ) -> Result<Done, Refusal> {
        self.ask(from, self.escrow, signature, arguments)
    }

    /// Calls the escrow, which must refuse with this string.
    #[track_caller]
    pub(crate) fn refuses(
        &mut self,
        why: &str,
        from: Address,
        signature: &str,
        arguments: &[U256],
    ) {
        let said = self.call(from, signature, arguments);
        assert_eq!(said, Err(Refusal::Said(why.to_owned())), "{signature}");
    }

    pub(crate) fn read(&mut self, signature: &str, arguments: &[U256]) -> Vec<U256> {
        words(&self.call(STRANGER, signature, arguments).unwrap().data)
    }

    pub(crate) fn number(&mut self, signature: &str, arguments: &[U256]) -> U256 {
        self.call(STRANGER, signature, arguments).unwrap().word()
    }

    /// Sets the host's price and creates a slot.
    pub(crate) fn slot(&mut self, plan: Plan) -> U256 {
        self.slot_at(plan, U256::from(PRICE))
    }

    pub(crate) fn slot_at(&mut self, plan: Plan, price: U256) -> U256 {
        let host = self.host;
        self.call(host, "setHostBasePrice(uint256)", &[price])
            .unwrap();
        self.call(host, CREATE_SLOT, &plan.words()).unwrap().word()
    }

    /// A slot that the guest booked.
    pub(crate) fn booked(&mut self, plan: Plan) -> U256 {
        let slot = self.slot(plan);
        let guest = self.guest;
        self.call(guest, "book(uint256)", &[slot]).unwrap().word()
    }

    /// A booking whose session was attested at `instant`.
    pub(crate) fn attested(&mut self, plan: Plan, outcome: u64, instant: u64) -> U256 {
        let booking = self.booked(plan);
        self.chain.set_now(instant);
        self.attest(booking, outcome).unwrap();
        booking
    }

    pub(crate) fn attest(&mut self, booking: U256, outcome: u64) -> Result<Done, Refusal> {
        let arguments = [booking, outcome.word(), METRICS.word()];
        self.call(ORACLE, ATTEST, &arguments)
    }

    pub(crate) fn booking(&mut self, id: U256) -> Booking {
        let words = self.read("getBooking(uint256)", &[id]);
        Booking(words.try_into().unwrap())
    }

    pub(crate) fn slot_status(&mut self, slot: U256) -> u64 {
        self.read("getSlot(uint256)", &[slot])[7].to()
    }

    pub(crate) fn owed(&mut self, who: Address) -> U256 {
        self.number("owed(address)", &[who.word()])
    }

    /// What host, guest and treasury are owed.
    pub(crate) fn credits(&mut self) -> [U256; 3] {
        [self.host, self.guest, TREASURY].map(|who| self.owed(who))
    }

    pub(crate) fn held(&mut self) -> U256 {
        self.number("totalHeld()", &[])
    }

    /// Writes one word of a mapping by hand; `key` is the whole key.
    pub(crate) fn write_mapping(&mut self, mapping: &str, key: U256, word: U256) {
        let place = self.place(mapping, key);
        let escrow = self.escrow;
        self.chain.each(|chain| chain.write(escrow, place, word));
    }

    /// Gives a booking another number, by hand.
    pub(crate) fn renumber(&mut self, from: U256, to: U256) {
        let escrow = self.escrow;
        for mapping in ["bookings", "bookingTerms"] {
            let (from, to) = (self.place(mapping, from), self.place(mapping, to));
            // No record takes more words than this.
            for word in (0..11).map(U256::from) {
                self.chain.each(|chain| {
                    let held = chain.read(escrow, from + word);
                    chain.write(escrow, to + word, held);
                });
            }
        }
    }

    /// Gives a slot another host, by hand. The host is the lower part of the record's first word.
    pub(crate) fn rewrite_host(&mut self, slot: U256, host: Address) {
        let (escrow, place) = (self.escrow, self.place("slots", slot));
        self.chain.each(|chain| {
            let kept = chain.read(escrow, place) >> 160 << 160;
            chain.write(escrow, place, kept | host.word());
        });
    }

    /// Where the entry of a mapping begins in the escrow's storage.
    pub(crate) fn place(&self, mapping: &str, key: U256) -> U256 {
        let slot = self.contract.artefact(Build::Normal).storage[mapping];
        let mut preimage = key.to_be_bytes::<32>().to_vec();
        preimage.extend(slot.word().to_be_bytes::<32>());
        U256::from_be_bytes(keccak256(&preimage))
    }

    pub(crate) fn balance(&mut self, who: Address) -> U256 {
        let token = self.token;
        self.ask(STRANGER, token, "balanceOf(address)", &[who.word()])
            .unwrap()
            .word()
    }
}

pub(crate) const CREATE_SLOT: &str = "createSlot(uint48,uint32,uint32,uint32,uint32)";
pub(crate) const CREATE_PRICED: &str =
    "createSlotWithPrice(uint48,uint32,uint32,uint32,uint32,uint256)";
pub(crate) const ATTEST: &str = "attest(uint256,uint8,bytes32)";

/// The eleven words of a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Booking(pub [U256; 11]);

impl Booking {
    pub(crate) fn slot(&self) -> U256 {
        self.0[0]
    }

    pub(crate) fn amount(&self) -> U256 {
        self.0[2]
    }

    pub(crate) fn status(&self) -> u64 {
        self.0[3].to()
    }

    pub(crate) fn outcome(&self) -> u64 {
        self.0[4].to()
    }

    pub(crate) fn finalizable_at(&self) -> u64 {
        self.0[7].to()
    }

    pub(crate) fn bond(&self) -> U256 {
        self.0[9]
    }

    pub(crate) fn disputed_at(&self) -> u64 {
        self.0[10].to()
    }
}

/// A number of seconds or tokens in settings.
pub(crate) const fn seconds(span: u64) -> Seconds {
    Seconds::new(span)
}

pub(crate) fn tokens(amount: u64) -> TokenAmount {
    TokenAmount::new(U256::from(amount))
}
