//! What the host brings: a clock, randomness, and what it knows of the outside.

use std::sync::Arc;
use std::time::Duration;

use session_axum::{Dispatch, ProcessClock};
use session_core::policy::Policy;
use session_core::ports::{Entropy, NoEscrows, PortError, PortErrorKind, Store};
use session_core::service::Ports;
use session_testkit::fakes::{FakeEffects, FakeNames, FakeVerifications};

/// How long a request waits for something outside before it answers "pending".
const DISPATCH_WAIT: Duration = Duration::from_secs(10);

/// Real ports but for the outside: in this example everybody has a name and is verified.
pub(crate) fn ports(store: Arc<dyn Store>) -> Ports {
    Ports {
        store,
        clock: Arc::new(ProcessClock::moved_by(0)),
        entropy: Arc::new(SystemEntropy),
        names: Arc::new(FakeNames::everybody()),
        verifications: Arc::new(FakeVerifications::everybody()),
        escrows: Arc::new(NoEscrows),
        effects: Arc::new(FakeEffects::obliging()),
        dispatcher: Arc::new(Dispatch::waiting(DISPATCH_WAIT)),
        policy: Policy::default(),
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
