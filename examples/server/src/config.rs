//! The settings: read once, refused whole.
//!
//! A value that is present and invalid stops the start and names its variable; nothing falls back
//! silently. Names and meanings are the operator's contract.

use std::fmt;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use session_axum::CorsOrigins;
use session_core::auth::JwtKeys;
use session_core::crypto::{LocalSigner, Secret};
use session_core::types::decode_hex_array;
use thiserror::Error;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt as lines};

use crate::cli::Flags;
use crate::database::Database;
use crate::escrow::EscrowSetting;
use crate::failpoints::Failpoints;
use crate::media::Media;
use crate::otlp::{Boxed, Endpoint};
use crate::secrets::{DevSecrets, Keeping, SecretError, read_secret};
use crate::sign_in::SignIn;

const LISTEN_DEFAULT: &str = "127.0.0.1:3338";
pub(crate) const SHUTDOWN_SECONDS_DEFAULT: u64 = 20;
/// A year: no clock that is further off is a test of restarts or of clocks that differ.
pub(crate) const CLOCK_OFFSET_SECONDS_MAX: u64 = 366 * 24 * 3600;
pub(crate) const JWT_SECRET_BYTES_MIN_DEVELOPMENT: usize = 16;
pub(crate) const JWT_SECRET_BYTES_MIN_PRODUCTION: usize = 32;
pub(crate) const JWT_SECRET_DISTINCT_BYTES_MIN: usize = 16;

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub(crate) enum ConfigError {
    #[error("{name}: {why}")]
    Invalid { name: &'static str, why: String },
    #[error("{name} is missing: {why}")]
    Missing {
        name: &'static str,
        why: &'static str,
    },
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// What is real and what is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Environment {
    Development,
    Production,
}

/// How logs look.
#[derive(Debug)]
pub(crate) struct Log {
    is_json: bool,
    filter: String,
}

/// Every setting, valid.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) environment: Environment,
    pub(crate) listen: SocketAddr,
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) database: Database,
    pub(crate) media: Media,
    pub(crate) jwt_keys: JwtKeys,
    pub(crate) cors_origins: CorsOrigins,
    pub(crate) sign_in: SignIn,
    pub(crate) escrow: EscrowSetting,
    pub(crate) is_strict: bool,
    pub(crate) clock_offset_seconds: i64,
    pub(crate) failpoints: Failpoints,
    pub(crate) shutdown: Duration,
    pub(crate) log: Log,
    /// Where spans of requests go.
    pub(crate) traces: Endpoint,
    /// Whether the token secret was drawn.
    pub(crate) is_jwt_drawn: bool,
    /// What receipts and exports are signed with; without it there are none.
    pub(crate) receipt_key: Option<Arc<LocalSigner>>,
    /// Whether that was drawn.
    pub(crate) is_receipt_key_drawn: bool,
}

impl Config {
    /// Reads flags and environment. Secrets that are drawn for development are kept beside the
    /// database only where `keeping` says so.
    pub(crate) fn read(flags: &Flags, keeping: Keeping) -> Result<Self, ConfigError> {
        refuse_unbuilt()?;
        let environment = environment(flags)?;
        let database = Database::read(flags, environment)?;
        let listen = listen(flags)?;
        let metrics_listen = setting("METRICS_LISTEN", flags.metrics_listen.as_ref())?
            .map(|text| parse("METRICS_LISTEN", &text, "an address such as 127.0.0.1:9100"))
            .transpose()?;
        let cors_origins = cors_origins(flags)?;
        let sign_in = SignIn::read(flags, environment, listen)?;
        let escrow = EscrowSetting::read(flags, environment)?;
        let is_strict = switch("SESSION_STRICT", flags.strict.as_ref())?;
        if is_strict && sign_in.takes_timestamps {
            let why = "cannot be on while SESSION_STRICT is".to_owned();
            return Err(invalid("SESSION_LEGACY_AUTH", why));
        }
        let clock_offset_seconds = clock_offset(flags, environment)?;
        let failpoints = failpoints(flags, environment)?;
        let shutdown = shutdown(flags)?;
        let log = log(flags, environment)?;
        let traces = Endpoint::read()?;
        // Secrets come last: a start that is refused for anything else draws and keeps none.
        let mut dev = match environment {
            Environment::Development => Some(DevSecrets::beside(&database, keeping)),
            Environment::Production => None,
        };
        let (jwt_keys, is_jwt_drawn) = jwt_keys(environment, dev.as_mut())?;
        let media = Media::read(flags, environment, dev.as_mut())?;
        let (receipt_key, is_receipt_key_drawn) = receipt_key(dev.as_mut())?;
        Ok(Self {
            environment,
            listen,
            metrics_listen,
            database,
            media,
            jwt_keys,
            cors_origins,
            sign_in,
            escrow,
            is_strict,
            clock_offset_seconds,
            failpoints,
            shutdown,
            log,
            traces,
            is_jwt_drawn,
            receipt_key,
            is_receipt_key_drawn,
        })
    }

    /// Which parts are fake, in plain words.
    pub(crate) fn fakes(&self) -> Vec<&'static str> {
        let mut fakes = Vec::new();
        if self.environment == Environment::Development {
            fakes.push("the name registry: every wallet owns a primary name");
            fakes.push("the verification mirror: every wallet is verified");
        }
        fakes.extend(self.escrow.fake());
        fakes.extend(self.media.fake());
        if self.is_jwt_drawn {
            fakes.push("the token secret: drawn at random and kept beside the database");
        }
        if self.is_receipt_key_drawn {
            fakes.push("the key of receipts: drawn at random, so nobody knows whose they are");
        }
        if self.database == Database::Memory {
            fakes.push("the database: memory, gone when the process ends");
        }
        if self.clock_offset_seconds != 0 {
            fakes.push("the clock: moved by SESSION_CLOCK_OFFSET_SECONDS");
        }
        if !self.failpoints.is_empty() {
            fakes.push("the store: it fails where SESSION_FAILPOINTS says");
        }
        fakes
    }
}

impl fmt::Display for Config {
    /// Every setting by its variable, secrets redacted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environment = match self.environment {
            Environment::Development => "development",
            Environment::Production => "production",
        };
        let drawn = |is_drawn| {
            if is_drawn {
                "(drawn at random)"
            } else {
                "(redacted)"
            }
        };
        let metrics = self
            .metrics_listen
            .map_or("off".to_owned(), |address| address.to_string());
        let origins = match &self.cors_origins {
            CorsOrigins::Listed(origins) => origins.join(","),
            _ => "*".to_owned(),
        };
        writeln!(f, "ENVIRONMENT={environment}")?;
        writeln!(f, "SESSION_LISTEN={}", self.listen)?;
        writeln!(f, "DATABASE_URL={}", self.database)?;
        writeln!(f, "SESSION_DB_POOLER={}", on_off(self.database.pooler()))?;
        writeln!(f, "JWT_SECRET={}", drawn(self.is_jwt_drawn))?;
        write!(f, "{}{}{}", self.sign_in, self.escrow, self.media)?;
        writeln!(f, "SESSION_STRICT={}", on_off(self.is_strict))?;
        match &self.receipt_key {
            Some(key) => writeln!(
                f,
                "RECEIPT_SIGNING_KEY={} # signs as {}",
                drawn(self.is_receipt_key_drawn),
                key.wallet()
            )?,
            None => writeln!(f, "RECEIPT_SIGNING_KEY= # no receipts, no exports")?,
        }
        writeln!(f, "CORS_ALLOW_ORIGINS={origins}")?;
        writeln!(f, "METRICS_LISTEN={metrics}")?;
        writeln!(
            f,
            "SESSION_CLOCK_OFFSET_SECONDS={}",
            self.clock_offset_seconds
        )?;
        writeln!(f, "SESSION_SHUTDOWN_SECONDS={}", self.shutdown.as_secs())?;
        writeln!(
            f,
            "LOG_FORMAT={}",
            if self.log.is_json { "json" } else { "pretty" }
        )?;
        writeln!(f, "RUST_LOG={}", self.log.filter)?;
        writeln!(f, "OTEL_EXPORTER_OTLP_ENDPOINT={}", self.traces)?;
        if self.environment == Environment::Development {
            writeln!(f, "SESSION_FAILPOINTS={}", self.failpoints)?;
            for point in Failpoints::points() {
                writeln!(f, "# failpoint {point}")?;
            }
        }
        Ok(())
    }
}

pub(crate) const fn on_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

impl Log {
    /// Makes this the log of the process. Lines go to standard error: standard output belongs to
    /// what commands print. What is let through may be exported, too.
    pub(crate) fn install(&self, exported: Option<Boxed>) -> Result<(), ConfigError> {
        let filter = EnvFilter::try_new(&self.filter)
            .map_err(|error| invalid("RUST_LOG", error.to_string()))?;
        let log = lines::layer()
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal());
        let log = if self.is_json {
            log.json().boxed()
        } else {
            log.with_target(false).boxed()
        };
        tracing_subscriber::registry()
            .with(filter)
            .with(exported)
            .with(log)
            .init();
        Ok(())
    }
}

/// Settings of parts that this build does not have: taking them and using a fake instead would be
/// a silent fallback.
fn refuse_unbuilt() -> Result<(), ConfigError> {
    for name in ["RPC_URL", "REGISTRY_ADDRESS", "VERIFICATION_MIRROR_ADDRESS"] {
        if setting(name, None)?.is_some() {
            return Err(invalid(
                name,
                "this build cannot read a chain yet".to_owned(),
            ));
        }
    }
    Ok(())
}

fn environment(flags: &Flags) -> Result<Environment, ConfigError> {
    match setting("ENVIRONMENT", flags.environment.as_ref())?.as_deref() {
        None | Some("development") => Ok(Environment::Development),
        Some("production") => Ok(Environment::Production),
        Some(_) => Err(invalid(
            "ENVIRONMENT",
            "not development or production".to_owned(),
        )),
    }
}

fn listen(flags: &Flags) -> Result<SocketAddr, ConfigError> {
    if let Some(text) = setting("SESSION_LISTEN", flags.listen.as_ref())? {
        return parse("SESSION_LISTEN", &text, "an address such as 127.0.0.1:3338");
    }
    if let Some(port) = setting("PORT", None)? {
        let port: u16 = parse("PORT", &port, "a port number")?;
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    parse("SESSION_LISTEN", LISTEN_DEFAULT, "an address")
}

fn jwt_keys(
    environment: Environment,
    dev: Option<&mut DevSecrets>,
) -> Result<(JwtKeys, bool), ConfigError> {
    let name = "JWT_SECRET";
    let (text, is_drawn) = match (read_secret(name)?, dev) {
        (Some(text), _) => (text, false),
        (None, Some(dev)) => (dev.jwt_secret()?, true),
        (None, None) => {
            return Err(ConfigError::Missing {
                name,
                why: "access tokens are signed with it",
            });
        }
    };
    let mut secrets = Vec::new();
    for part in text.split(',') {
        check_jwt_secret(part, environment).map_err(|why| invalid(name, why))?;
        secrets.push(Secret::new(part.as_bytes()));
    }
    let signing = secrets.remove(0);
    let keys = JwtKeys::new(signing, secrets).map_err(|error| invalid(name, error.to_string()))?;
    Ok((keys, is_drawn))
}

fn check_jwt_secret(secret: &str, environment: Environment) -> Result<(), String> {
    let bytes_min = match environment {
        Environment::Development => JWT_SECRET_BYTES_MIN_DEVELOPMENT,
        Environment::Production => JWT_SECRET_BYTES_MIN_PRODUCTION,
    };
    if secret.len() < bytes_min {
        return Err(format!("each secret needs at least {bytes_min} bytes"));
    }
    let distinct: std::collections::BTreeSet<u8> = secret.bytes().collect();
    if environment == Environment::Production && distinct.len() < JWT_SECRET_DISTINCT_BYTES_MIN {
        return Err(format!(
            "fewer than {JWT_SECRET_DISTINCT_BYTES_MIN} distinct bytes"
        ));
    }
    Ok(())
}

/// The first of several keys signs. The others are checked, so that a slip is not found only when
/// they are turned around.
fn receipt_key(
    dev: Option<&mut DevSecrets>,
) -> Result<(Option<Arc<LocalSigner>>, bool), ConfigError> {
    let name = "RECEIPT_SIGNING_KEY";
    let wrong = || {
        invalid(
            name,
            "not keys of 64 hex digits, comma separated".to_owned(),
        )
    };
    let Some(text) = read_secret(name)? else {
        let Some(dev) = dev else {
            return Ok((None, false));
        };
        let key = LocalSigner::from_bytes(&dev.receipt_signing_key()?).map_err(|_| wrong())?;
        return Ok((Some(Arc::new(key)), true));
    };
    let mut first = None;
    for part in text.split(',') {
        let digits = part.strip_prefix("0x").unwrap_or(part);
        let bytes = decode_hex_array(digits).map_err(|_| wrong())?;
        let key = LocalSigner::from_bytes(&bytes).map_err(|_| wrong())?;
        first.get_or_insert(Arc::new(key));
    }
    Ok((first, false))
}

fn cors_origins(flags: &Flags) -> Result<CorsOrigins, ConfigError> {
    let name = "CORS_ALLOW_ORIGINS";
    let Some(text) = setting(name, flags.cors_allow_origins.as_ref())? else {
        return Ok(CorsOrigins::Any);
    };
    if text == "*" {
        return Ok(CorsOrigins::Any);
    }
    let origins: Vec<String> = text
        .split(',')
        .map(|origin| origin.trim().to_owned())
        .collect();
    let is_origin = |origin: &String| {
        let host = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', '@', ' ', '?', '#']))
    };
    if origins.iter().all(is_origin) {
        Ok(CorsOrigins::Listed(origins))
    } else {
        Err(invalid(
            name,
            "not * or origins such as https://app.example".to_owned(),
        ))
    }
}

fn clock_offset(flags: &Flags, environment: Environment) -> Result<i64, ConfigError> {
    let name = "SESSION_CLOCK_OFFSET_SECONDS";
    let Some(text) = setting(name, flags.clock_offset_seconds.as_ref())? else {
        return Ok(0);
    };
    let offset: i64 = parse(name, &text, "a whole number of seconds")?;
    if environment == Environment::Production && offset != 0 {
        return Err(invalid(name, "for development only".to_owned()));
    }
    if offset.unsigned_abs() > CLOCK_OFFSET_SECONDS_MAX {
        return Err(invalid(
            name,
            format!("more than {CLOCK_OFFSET_SECONDS_MAX}"),
        ));
    }
    Ok(offset)
}

fn failpoints(flags: &Flags, environment: Environment) -> Result<Failpoints, ConfigError> {
    let name = "SESSION_FAILPOINTS";
    let Some(text) = setting(name, flags.failpoints.as_ref())? else {
        return Ok(Failpoints::default());
    };
    if environment == Environment::Production {
        return Err(invalid(name, "for development only".to_owned()));
    }
    text.parse().map_err(|why| invalid(name, why))
}

fn shutdown(flags: &Flags) -> Result<Duration, ConfigError> {
    let name = "SESSION_SHUTDOWN_SECONDS";
    let seconds = match setting(name, flags.shutdown_seconds.as_ref())? {
        Some(text) => parse(name, &text, "a whole number of seconds")?,
        None => SHUTDOWN_SECONDS_DEFAULT,
    };
    Ok(Duration::from_secs(seconds))
}

fn log(flags: &Flags, environment: Environment) -> Result<Log, ConfigError> {
    let is_json = match setting("LOG_FORMAT", flags.log_format.as_ref())?.as_deref() {
        None => environment == Environment::Production,
        Some("pretty") => false,
        Some("json") => true,
        Some(_) => return Err(invalid("LOG_FORMAT", "not pretty or json".to_owned())),
    };
    let filter = setting("RUST_LOG", flags.rust_log.as_ref())?.unwrap_or_else(|| "info".to_owned());
    EnvFilter::try_new(&filter).map_err(|error| invalid("RUST_LOG", error.to_string()))?;
    Ok(Log { is_json, filter })
}

/// A setting that is no secret: the flag, else the variable; empty counts as not set.
pub(crate) fn setting(
    name: &'static str,
    flag: Option<&String>,
) -> Result<Option<String>, ConfigError> {
    if let Some(value) = flag {
        return Ok(Some(value.clone()));
    }
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(invalid(name, "not text".to_owned())),
    }
}

/// A setting that is `on` or `off`.
pub(crate) fn switch(name: &'static str, flag: Option<&String>) -> Result<bool, ConfigError> {
    match setting(name, flag)?.as_deref() {
        None | Some("off") => Ok(false),
        Some("on") => Ok(true),
        Some(_) => Err(invalid(name, "not on or off".to_owned())),
    }
}

pub(crate) fn parse<T: std::str::FromStr>(
    name: &'static str,
    text: &str,
    what: &str,
) -> Result<T, ConfigError> {
    text.parse()
        .map_err(|_| invalid(name, format!("{text:?} is not {what}")))
}

pub(crate) fn invalid(name: &'static str, why: String) -> ConfigError {
    ConfigError::Invalid { name, why }
}
