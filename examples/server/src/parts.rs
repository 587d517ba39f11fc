//! The ports of this process: real ones, and in development the testkit's fakes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_axum::{Dispatch, ObservedStore, ProcessClock};
use session_clients::HttpLimits;
use session_clients::livekit::LiveKitRooms;
use session_core::outbox::{Intent, Outcome};
use session_core::policy::Policy;
use session_core::ports::{
    Clock, Effects, Entropy, NameRegistry, PortError, PortErrorKind, VerificationMirror,
};
use session_core::service::Ports;
use session_core::types::{Timestamp, Wallet};
use session_testkit::fakes::{FakeNames, FakeVerifications};

use crate::config::{Config, Environment};
use crate::database::Opened;
use crate::media::Media;

/// How long a request waits for something outside before it answers "pending".
pub(crate) const DISPATCH_WAIT: Duration = Duration::from_secs(10);

/// A failure that ends the process, in words.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The ports, and what must be closed in the end.
pub(crate) struct Parts {
    /// For requests.
    pub(crate) ports: Ports,
    /// For workers: the same, but for the failpoints of the store.
    pub(crate) worker_ports: Ports,
    database: Opened,
}

impl Parts {
    /// Opens the database, migrates it, and puts everything together.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let database = config.database.open().await?;
        let (names, verifications) = outside(config.environment);
        // Inside the failpoints, so that what is looked at for its sake passes none of them.
        let observed = Arc::new(ObservedStore::around(database.store()));
        let [store, worker_store] = config.failpoints.clone().around(observed);
        let clock: Arc<dyn Clock> = Arc::new(ProcessClock::moved_by(config.clock_offset_seconds));
        let ports = Ports {
            store,
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
            names,
            verifications,
            escrows: config.escrow.escrows(clock.clone()),
            effects: effects(config, clock)?,
            dispatcher: Arc::new(Dispatch::waiting(DISPATCH_WAIT)),
            policy: policy(config),
        };
        let worker_ports = Ports {
            store: worker_store,
            ..ports.clone()
        };
        Ok(Self {
            ports,
            worker_ports,
            database,
        })
    }

    /// Closes the database.
    pub(crate) async fn close(self) {
        self.database.close().await;
    }
}

/// Who puts participants out of channels, where the vendor is asked to.
fn effects(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<dyn Effects>, Failure> {
    match &config.media {
        Media::Agora { .. } => Ok(Arc::new(Unconfigured)),
        Media::LiveKit { credentials, url } => {
            let limits = HttpLimits::default();
            let rooms = LiveKitRooms::new(url, credentials.clone(), clock, limits);
            let rooms = rooms.map_err(|error| format!("LIVEKIT_URL: {error}"))?;
            Ok(Arc::new(rooms))
        }
    }
}

/// The numbers of the rules: the defaults, as they are at the media vendor.
fn policy(config: &Config) -> Policy {
    let mut policy = Policy::default();
    policy.rooms = policy.rooms.at(config.media.vendor());
    policy
}

fn outside(environment: Environment) -> (Arc<dyn NameRegistry>, Arc<dyn VerificationMirror>) {
    match environment {
        Environment::Development => (
            Arc::new(FakeNames::everybody()),
            Arc::new(FakeVerifications::everybody()),
        ),
        Environment::Production => (Arc::new(Unconfigured), Arc::new(Unconfigured)),
    }
}

/// The generator of the operating system.
#[derive(Debug)]
struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), PortError> {
        getrandom::fill(buffer).map_err(|error| PortError {
            port: "system entropy",
            kind: PortErrorKind::Unavailable,
            detail: error.to_string(),
        })
    }
}

/// A part that this deployment does not have.
#[derive(Debug)]
struct Unconfigured;

impl Unconfigured {
    fn error(port: &'static str) -> PortError {
        let detail = "none of its settings is present".to_owned();
        PortError {
            port,
            kind: PortErrorKind::NotConfigured,
            detail,
        }
    }
}

#[async_trait]
impl NameRegistry for Unconfigured {
    async fn primary_name(&self, _: Wallet) -> Result<Option<String>, PortError> {
        Err(Self::error("name registry"))
    }
}

#[async_trait]
impl VerificationMirror for Unconfigured {
    async fn verified_at(&self, _: Wallet) -> Result<Option<Timestamp>, PortError> {
        Err(Self::error("verification mirror"))
    }
}

#[async_trait]
impl Effects for Unconfigured {
    async fn perform(&self, _: &Intent) -> Outcome {
        // No policy of this server writes intents, so this is a leftover of another configuration.
        Outcome::NotDone("channel management is not configured".to_owned())
    }

    async fn ask(&self, _: &Intent) -> Outcome {
        Outcome::NoAnswer("channel management is not configured".to_owned())
    }
}
