//! Which escrow contracts, and who attests at them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use session_axum::{Bookings, Escrow};
use session_core::crypto::{LocalSigner, Secret};
use session_core::escrow::{Capabilities, EscrowId};
use session_core::ports::{Clock, Escrows, NoEscrows};
use session_core::types::{Timestamp, Wallet, decode_hex_array};
use session_testkit::escrows::{FakeEscrows, mock_escrow};

use crate::cli::Flags;
use crate::config::{ConfigError, Environment, invalid, parse, setting};
use crate::secrets::read_secret;

/// The chain of the mock escrow: the recorded one.
const MOCK_CHAIN_ID: u64 = 42431;
/// Networks where money is real: no fake stands in for them (`security.md` C5).
const MAIN_NETWORKS: [u64; 12] = [
    1, 10, 56, 100, 137, 324, 8453, 42161, 42220, 43114, 59144, 534_352,
];
/// The parties of every booking of the mock escrow: the recorded ones.
const MOCK_HOST: &str = "0x000000000000000000000000000000000000dEaD";
const MOCK_GUEST: &str = "0x0000000000000000000000000000000000000001";
/// The shortest token of other services that is taken.
pub(crate) const SERVICE_TOKEN_BYTES_MIN_DEVELOPMENT: usize = 16;
/// The same in production.
pub(crate) const SERVICE_TOKEN_BYTES_MIN_PRODUCTION: usize = 32;

/// The contract of booked sessions.
#[derive(Debug)]
pub(crate) enum EscrowSetting {
    /// Nothing of it is configured: the routes say so.
    Off,
    /// A fake in memory, where every booking exists.
    Mock(Mock),
}

/// The fake contract.
#[derive(Debug)]
pub(crate) struct Mock {
    chain_id: u64,
    /// `None`: named after the start of the process.
    address: Option<Wallet>,
    version: Version,
    extra: Vec<(Version, Wallet)>,
    host: Wallet,
    guest: Wallet,
    /// Whom we attest as, where a key is set.
    attester: Option<Wallet>,
    service_token: Option<Secret>,
}

/// Which contract, by what it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

impl Version {
    fn read(text: &str) -> Option<Self> {
        match text {
            "1" => Some(Self::V1),
            "2" => Some(Self::V2),
            _ => None,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    const fn capabilities(self) -> Capabilities {
        let is_second = matches!(self, Self::V2);
        Capabilities {
            explicit_price: is_second,
            mutual_outcome: is_second,
        }
    }
}

impl EscrowSetting {
    pub(crate) fn read(flags: &Flags, environment: Environment) -> Result<Self, ConfigError> {
        let name = "ESCROW_MODE";
        let mode = match setting(name, flags.escrow_mode.as_ref())? {
            Some(mode) => Some(mode),
            None => setting("SESSION_ESCROW_MODE", None)?,
        };
        let address = wallet_setting("ESCROW_ADDRESS", flags.escrow_address.as_ref())?;
        let is_production = environment == Environment::Production;
        match mode.as_deref() {
            Some("mock") if is_production => {
                return Err(invalid(name, "mock is for development only".to_owned()));
            }
            Some("mock") => {}
            None if !is_production => {}
            None if address.is_none() => return Ok(Self::Off),
            None | Some("live") => {
                return Err(invalid(
                    name,
                    "this build cannot read a chain yet".to_owned(),
                ));
            }
            Some(_) => return Err(invalid(name, "not live or mock".to_owned())),
        }
        let chain_id = setting("CHAIN_ID", flags.chain_id.as_ref())?
            .map(|text| parse("CHAIN_ID", &text, "a whole number"))
            .transpose()?;
        if let Some(id) = chain_id.filter(|id| MAIN_NETWORKS.contains(id)) {
            let why = format!("{id} is a main network, and the escrow is a fake");
            return Err(invalid("CHAIN_ID", why));
        }
        let named = |name, flag, default: &str| {
            let wallet = wallet_setting(name, flag)?;
            let default = || default.parse().map_err(|_| invalid(name, String::new()));
            wallet.map_or_else(default, Ok)
        };
        Ok(Self::Mock(Mock {
            chain_id: chain_id.unwrap_or(MOCK_CHAIN_ID),
            address,
            version: version(flags)?,
            extra: extra(flags)?,
            host: named("MOCK_HOST", flags.mock_host.as_ref(), MOCK_HOST)?,
            guest: named("MOCK_GUEST", flags.mock_guest.as_ref(), MOCK_GUEST)?,
            attester: oracle_key()?.map(|key| key.wallet()),
            service_token: service_token(environment)?,
        }))
    }

    /// What is fake of it, in plain words.
    pub(crate) const fn fake(&self) -> Option<&'static str> {
        match self {
            Self::Off => None,
            Self::Mock(_) => Some(
                "the escrow: every booking exists, began a minute before this process did, and is \
                 settled in memory",
            ),
        }
    }

    /// The chain as the rules see it.
    pub(crate) fn escrows(&self, clock: Arc<dyn Clock>) -> Arc<dyn Escrows> {
        match self {
            Self::Off => Arc::new(NoEscrows),
            Self::Mock(mock) => {
                let fake = FakeEscrows::every_booking(clock, mock.host, mock.guest);
                fake.set_mutual(mock.version == Version::V2);
                for (version, address) in &mock.extra {
                    fake.set_mutual_at(*address, *version == Version::V2);
                }
                if let Some(attester) = mock.attester {
                    fake.set_oracle(attester);
                    fake.set_attester(Some(attester));
                }
                Arc::new(fake)
            }
        }
    }

    /// What the routes need to know.
    pub(crate) fn bookings(&self, started: Timestamp) -> Option<Bookings> {
        let Self::Mock(mock) = self else {
            return None;
        };
        let began = started.before(session_core::types::Seconds::new(60));
        let at = |version: Version, address| Escrow {
            id: EscrowId {
                chain_id: mock.chain_id,
                address,
            },
            capabilities: version.capabilities(),
        };
        let address = mock.address.unwrap_or_else(|| mock_escrow(began));
        let extra = mock.extra.iter();
        let mut bookings = Bookings::at(at(mock.version, address))
            .and_at(extra.map(|(version, address)| at(*version, *address)))
            .allowing_force();
        if let Some(token) = &mock.service_token {
            bookings = bookings.with_service_token(token.clone());
        }
        if mock.attester.is_some() {
            bookings = bookings.with_oracle_key();
        }
        Some(bookings)
    }
}

impl fmt::Display for EscrowSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Mock(mock) = self else {
            return writeln!(f, "ESCROW_MODE= # no booked sessions");
        };
        writeln!(f, "ESCROW_MODE=mock # on chain {}", mock.chain_id)?;
        match mock.address {
            Some(address) => writeln!(f, "ESCROW_ADDRESS={address}")?,
            None => writeln!(f, "ESCROW_ADDRESS= # another at each start")?,
        }
        writeln!(f, "ESCROW_VERSION={}", mock.version.number())?;
        let extra = mock.extra.iter();
        let extra: Vec<String> = extra
            .map(|(version, address)| format!("{}:{address}", version.number()))
            .collect();
        writeln!(f, "ESCROW_EXTRA={}", extra.join(","))?;
        writeln!(f, "MOCK_HOST={}", mock.host)?;
        writeln!(f, "MOCK_GUEST={}", mock.guest)?;
        match mock.attester {
            Some(attester) => {
                writeln!(f, "ORACLE_PRIVATE_KEY=(redacted) # attests as {attester}")?;
            }
            None => writeln!(f, "ORACLE_PRIVATE_KEY= # nobody attests by hand")?,
        }
        let token = mock.service_token.as_ref();
        let token = token.map_or("", |_| "(redacted)");
        writeln!(f, "ORACLE_SERVICE_TOKEN={token}")
    }
}

fn wallet_setting(
    name: &'static str,
    flag: Option<&String>,
) -> Result<Option<Wallet>, ConfigError> {
    setting(name, flag)?
        .map(|text| parse(name, &text, "an address"))
        .transpose()
}

fn version(flags: &Flags) -> Result<Version, ConfigError> {
    let name = "ESCROW_VERSION";
    match setting(name, flags.escrow_version.as_ref())? {
        None => Ok(Version::V1),
        Some(text) => Version::read(&text).ok_or_else(|| invalid(name, "not 1 or 2".to_owned())),
    }
}

fn extra(flags: &Flags) -> Result<Vec<(Version, Wallet)>, ConfigError> {
    let name = "ESCROW_EXTRA";
    let Some(text) = setting(name, flags.escrow_extra.as_ref())? else {
        return Ok(Vec::new());
    };
    let one = |part: &str| {
        let (version, address) = part.trim().split_once(':')?;
        Some((Version::read(version)?, address.parse().ok()?))
    };
    let extra: Option<Vec<(Version, Wallet)>> = text.split(',').map(one).collect();
    let extra =
        extra.ok_or_else(|| invalid(name, "not version:address, comma separated".to_owned()))?;
    // Channels are told apart by these.
    let beginning = |(_, address): &(Version, Wallet)| {
        let [a, b, c, d, ..] = address.to_bytes();
        [a, b, c, d]
    };
    let distinct: BTreeSet<[u8; 4]> = extra.iter().map(beginning).collect();
    if distinct.len() < extra.len() {
        let why = "two of them begin with the same 8 digits".to_owned();
        return Err(invalid(name, why));
    }
    Ok(extra)
}

/// The key that attestations are signed with.
fn oracle_key() -> Result<Option<LocalSigner>, ConfigError> {
    let name = "ORACLE_PRIVATE_KEY";
    let Some(text) = read_secret(name)? else {
        return Ok(None);
    };
    let wrong = || invalid(name, "not a key of 64 hex digits".to_owned());
    let digits = text.strip_prefix("0x").unwrap_or(&text);
    let bytes = decode_hex_array(digits).map_err(|_| wrong())?;
    LocalSigner::from_bytes(&bytes)
        .map(Some)
        .map_err(|_| wrong())
}

fn service_token(environment: Environment) -> Result<Option<Secret>, ConfigError> {
    let name = "ORACLE_SERVICE_TOKEN";
    let Some(text) = read_secret(name)? else {
        return Ok(None);
    };
    let bytes_min = match environment {
        Environment::Development => SERVICE_TOKEN_BYTES_MIN_DEVELOPMENT,
        Environment::Production => SERVICE_TOKEN_BYTES_MIN_PRODUCTION,
    };
    if text.len() < bytes_min {
        return Err(invalid(name, format!("needs at least {bytes_min} bytes")));
    }
    Ok(Some(Secret::new(text)))
}
