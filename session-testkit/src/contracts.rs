//! The contracts of `contracts/`, compiled: the escrow in its three variants, and what stands around
//! it. No compiler is needed here; `contracts/README.md` says what each contract is and how the
//! artefacts are made.
//!
//! ```
//! use session_core::types::Wallet;
//! use session_testkit::contracts::{Build, Contract, EscrowSettings};
//!
//! let [token, oracle, treasury] = [1, 2, 3].map(|n| Wallet::from_bytes([n; 20]));
//! let settings = EscrowSettings::reference(token, oracle, treasury);
//! // What a transaction without a receiver carries.
//! let code = settings.init_code(Contract::SessionEscrowV2, Build::Stripped);
//! # assert!(code.len() > 10_000);
//! ```

#![allow(
    clippy::expect_used,
    reason = "the artefacts are a part of this crate, and a test reads them all"
)]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use session_core::escrow::Capabilities;
use session_core::types::{Seconds, TokenAmount, U256, Wallet, decode_hex, decode_hex_array};

/// What can be deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "a chain of tests has these")]
pub enum Contract {
    /// The escrow: a slot costs what its host asks for.
    SessionEscrowV1,
    /// The same, with slots that have a price of their own.
    SessionEscrowV1p,
    /// The same again, with outcomes that host and guest signed.
    SessionEscrowV2,
    /// A registry of primary names, which anybody sets.
    TestNames,
    /// A token of six decimals, which anybody mints.
    TestToken,
    /// A mirror of verifications, which anybody sets.
    TestVerifications,
}

impl Contract {
    /// Every contract.
    pub const ALL: [Self; 6] = [
        Self::SessionEscrowV1,
        Self::SessionEscrowV1p,
        Self::SessionEscrowV2,
        Self::TestNames,
        Self::TestToken,
        Self::TestVerifications,
    ];

    /// Every variant of the escrow, the first first.
    pub const ESCROWS: [Self; 3] = [
        Self::SessionEscrowV1,
        Self::SessionEscrowV1p,
        Self::SessionEscrowV2,
    ];

    /// Its name in Solidity.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionEscrowV1 => "SessionEscrowV1",
            Self::SessionEscrowV1p => "SessionEscrowV1p",
            Self::SessionEscrowV2 => "SessionEscrowV2",
            Self::TestNames => "TestNames",
            Self::TestToken => "TestToken",
            Self::TestVerifications => "TestVerifications",
        }
    }

    /// What it can do beyond the first escrow; nothing where it is none.
    #[must_use]
    pub const fn capabilities(self) -> Capabilities {
        Capabilities {
            explicit_price: matches!(self, Self::SessionEscrowV1p | Self::SessionEscrowV2),
            mutual_outcome: matches!(self, Self::SessionEscrowV2),
        }
    }

    /// What was compiled of it. Read once.
    #[must_use]
    pub fn artefact(self, build: Build) -> &'static Artefact {
        static ALL: LazyLock<BTreeMap<(Contract, Build), Artefact>> = LazyLock::new(|| {
            let all = Contract::ALL.into_iter().flat_map(Contract::read);
            all.map(|it| ((it.contract, it.build), it)).collect()
        });
        &ALL[&(self, build)]
    }

    /// Both builds.
    fn read(self) -> [Artefact; 2] {
        let file: File = serde_json::from_str(self.text()).expect("an artefact");
        let functions = file.functions.into_iter().map(|(signature, selector)| {
            let selector = decode_hex_array(&selector).expect("four bytes");
            (signature, selector)
        });
        let functions: BTreeMap<_, _> = functions.collect();
        [
            (Build::Normal, file.normal),
            (Build::Stripped, file.stripped),
        ]
        .map(|(build, code)| Artefact {
            contract: self,
            build,
            init_code: decode_hex(&code.creation).expect("bytes"),
            runtime_bytes: code.runtime_bytes,
            constructor: file.constructor.clone(),
            functions: functions.clone(),
            events: file.events.clone(),
            storage: file.storage.clone(),
            sources: file.sources.clone(),
        })
    }

    const fn text(self) -> &'static str {
        match self {
            Self::SessionEscrowV1 => include_str!("../contracts/artefacts/SessionEscrowV1.json"),
            Self::SessionEscrowV1p => include_str!("../contracts/artefacts/SessionEscrowV1p.json"),
            Self::SessionEscrowV2 => include_str!("../contracts/artefacts/SessionEscrowV2.json"),
            Self::TestNames => include_str!("../contracts/artefacts/TestNames.json"),
            Self::TestToken => include_str!("../contracts/artefacts/TestToken.json"),
            Self::TestVerifications => {
                include_str!("../contracts/artefacts/TestVerifications.json")
            }
        }
    }
}

/// How a contract was compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "an artefact holds these")]
pub enum Build {
    /// A call that fails says why.
    Normal,
    /// A call that fails returns nothing, as on the deployed contracts.
    Stripped,
}

impl Build {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Normal, Self::Stripped];
}

/// One contract, compiled in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Artefact {
    /// Of which contract.
    pub contract: Contract,
    /// In which way.
    pub build: Build,
    /// The code that deploys it. The arguments of its constructor go behind.
    pub init_code: Vec<u8>,
    /// How many bytes stay on the chain; they are the last ones of the deploying code.
    pub runtime_bytes: usize,
    /// The types of what its constructor takes.
    pub constructor: Vec<String>,
    /// Its functions with their selectors, getters among them, as `book(uint256)`.
    pub functions: BTreeMap<String, [u8; 4]>,
    /// Its events, with `indexed` behind the type of what is a topic, as
    /// `Resolved(uint256 indexed,uint8)`.
    pub events: Vec<String>,
    /// Where each of its variables begins in its storage.
    pub storage: BTreeMap<String, u64>,
    /// The files that it was compiled from, each with its SHA-256 in hex.
    pub sources: BTreeMap<String, String>,
}

impl Artefact {
    /// The code that the contract has once it is deployed.
    #[must_use]
    pub fn runtime_code(&self) -> &[u8] {
        &self.init_code[self.init_code.len() - self.runtime_bytes..]
    }
}

/// What an escrow is deployed with. All but the token can be changed by its owner, who is whoever
/// deploys it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "the constructor takes these")]
pub struct EscrowSettings {
    /// The token in which sessions are paid.
    pub payment_token: Wallet,
    /// Who attests.
    pub oracle: Wallet,
    /// Who gets the fees.
    pub treasury: Wallet,
    /// The fee, in ten-thousandths; 2000 at most.
    pub fee_bps: u16,
    /// For how long an attestation can be challenged; 30 days at most.
    pub challenge_window: Seconds,
    /// What a challenger puts down; not zero.
    pub challenge_bond: TokenAmount,
    /// What a late cancellation costs, in ten-thousandths; 10,000 at most.
    pub late_cancel_penalty_bps: u16,
    /// How long after the end the parties can ask for an unattested refund; 30 days at most.
    pub no_attest_buffer: Seconds,
    /// After how long a dispute ends as attested; 180 days at most.
    pub dispute_timeout: Seconds,
}

impl EscrowSettings {
    /// Those of the reference deployment (`settlement.md` section 1).
    #[must_use]
    pub const fn reference(payment_token: Wallet, oracle: Wallet, treasury: Wallet) -> Self {
        Self {
            payment_token,
            oracle,
            treasury,
            fee_bps: 300,
            challenge_window: Seconds::new(86_400),
            challenge_bond: TokenAmount::new(U256::from_limbs([10_000_000, 0, 0, 0])),
            late_cancel_penalty_bps: 2_000,
            no_attest_buffer: Seconds::new(86_400),
            dispute_timeout: Seconds::new(604_800),
        }
    }

    /// The code that deploys an escrow with these settings. They are written as they are: the
    /// constructor refuses what is beyond its limits.
    #[must_use]
    pub fn init_code(&self, contract: Contract, build: Build) -> Vec<u8> {
        let mut code = contract.artefact(build).init_code.clone();
        code.extend(self.words().into_iter().flatten());
        code
    }

    /// The arguments of the constructor, word by word.
    fn words(&self) -> [[u8; 32]; 9] {
        let address = |wallet: Wallet| padded(&wallet.to_bytes());
        let seconds = |span: Seconds| padded(&span.get().to_be_bytes());
        [
            address(self.payment_token),
            address(self.oracle),
            address(self.treasury),
            padded(&self.fee_bps.to_be_bytes()),
            seconds(self.challenge_window),
            self.challenge_bond.to_word(),
            padded(&self.late_cancel_penalty_bps.to_be_bytes()),
            seconds(self.no_attest_buffer),
            seconds(self.dispute_timeout),
        ]
    }
}

/// Bytes at the end of a word.
fn padded(bytes: &[u8]) -> [u8; 32] {
    let mut word = [0; 32];
    word[32 - bytes.len()..].copy_from_slice(bytes);
    word
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Code {
    runtime_bytes: usize,
    creation: String,
}

#[derive(Deserialize)]
struct File {
    constructor: Vec<String>,
    events: Vec<String>,
    functions: BTreeMap<String, String>,
    storage: BTreeMap<String, u64>,
    sources: BTreeMap<String, String>,
    normal: Code,
    stripped: Code,
}
