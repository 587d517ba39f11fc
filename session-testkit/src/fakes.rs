//! Stand-ins for the outside world. Each is named a fake; the bundled server links them in
//! development and says so.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use session_core::outbox::{Intent, Outcome};
use session_core::ports::{
    Dispatcher, Effects, NameRegistry, PortError, PortErrorKind, VerificationMirror,
};
use session_core::service::{Ports, deliver};
use session_core::types::{IntentKey, Timestamp, Wallet};

/// A registry of names that lives in memory.
#[derive(Debug, Default)]
pub struct FakeNames {
    everybody: Option<String>,
    names: Mutex<BTreeMap<Wallet, String>>,
    is_down: Mutex<bool>,
}

impl FakeNames {
    /// Nobody owns a name until told.
    #[must_use]
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Everybody owns a name.
    #[must_use]
    pub fn everybody() -> Self {
        Self {
            everybody: Some("fake-name".to_owned()),
            ..Self::default()
        }
    }

    /// Gives a wallet a name.
    pub fn give(&self, wallet: Wallet, name: &str) {
        lock(&self.names).insert(wallet, name.to_owned());
    }

    /// Lets every call fail as unavailable, or work again.
    pub fn set_down(&self, down: bool) {
        *lock(&self.is_down) = down;
    }
}

#[async_trait]
impl NameRegistry for FakeNames {
    async fn primary_name(&self, wallet: Wallet) -> Result<Option<String>, PortError> {
        check_up("name registry", &self.is_down)?;
        Ok(lock(&self.names)
            .get(&wallet)
            .or(self.everybody.as_ref())
            .cloned())
    }
}

/// A mirror of verifications that lives in memory.
#[derive(Debug, Default)]
pub struct FakeVerifications {
    everybody: Option<Timestamp>,
    verified: Mutex<BTreeMap<Wallet, Timestamp>>,
    is_down: Mutex<bool>,
}

impl FakeVerifications {
    /// Nobody is verified until told.
    #[must_use]
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Everybody is verified.
    #[must_use]
    pub fn everybody() -> Self {
        Self {
            everybody: Some(Timestamp::from_unix(1)),
            ..Self::default()
        }
    }

    /// Verifies a wallet.
    pub fn verify(&self, wallet: Wallet, at: Timestamp) {
        lock(&self.verified).insert(wallet, at);
    }

    /// Lets every call fail as unavailable, or work again.
    pub fn set_down(&self, down: bool) {
        *lock(&self.is_down) = down;
    }
}

#[async_trait]
impl VerificationMirror for FakeVerifications {
    async fn verified_at(&self, wallet: Wallet) -> Result<Option<Timestamp>, PortError> {
        check_up("verification mirror", &self.is_down)?;
        let known = lock(&self.verified)
            .get(&wallet)
            .copied()
            .or(self.everybody);
        Ok(known.filter(|at| *at > Timestamp::EPOCH))
    }
}

/// An outside world that does what a script says and remembers what it was asked.
#[derive(Debug, Default)]
pub struct FakeEffects {
    script: Mutex<VecDeque<Outcome>>,
    performed: Mutex<Vec<Intent>>,
    asked: Mutex<Vec<Intent>>,
}

impl FakeEffects {
    /// Everything succeeds.
    #[must_use]
    pub fn obliging() -> Self {
        Self::default()
    }

    /// The next calls end like this; then everything succeeds.
    pub fn will_answer(&self, outcomes: impl IntoIterator<Item = Outcome>) {
        lock(&self.script).extend(outcomes);
    }

    /// What was performed so far.
    #[must_use]
    pub fn performed(&self) -> Vec<Intent> {
        lock(&self.performed).clone()
    }

    /// What was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Intent> {
        lock(&self.asked).clone()
    }

    fn next(&self) -> Outcome {
        lock(&self.script).pop_front().unwrap_or(Outcome::Done)
    }
}

#[async_trait]
impl Effects for FakeEffects {
    async fn perform(&self, intent: &Intent) -> Outcome {
        lock(&self.performed).push(intent.clone());
        self.next()
    }

    async fn ask(&self, intent: &Intent) -> Outcome {
        lock(&self.asked).push(intent.clone());
        self.next()
    }
}

/// A dispatcher that starts nothing: what a request waits for stays pending until a worker comes.
#[derive(Debug, Default)]
pub struct FakeDispatcher;

#[async_trait]
impl Dispatcher for FakeDispatcher {
    async fn run(&self, _: IntentKey, _: &Ports) -> Option<Intent> {
        None
    }
}

/// A dispatcher that does at once what a request waits for, and lets it wait until it is done.
#[derive(Debug, Default)]
pub struct InlineDispatcher;

#[async_trait]
impl Dispatcher for InlineDispatcher {
    async fn run(&self, key: IntentKey, ports: &Ports) -> Option<Intent> {
        // What fails stays pending for a worker.
        deliver(ports, key, None).await.ok().flatten()
    }
}

fn check_up(port: &'static str, is_down: &Mutex<bool>) -> Result<(), PortError> {
    if *lock(is_down) {
        let detail = "fake was set down".to_owned();
        return Err(PortError {
            port,
            kind: PortErrorKind::Unavailable,
            detail,
        });
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Each holder only reads or replaces a value, so a panic cannot leave one half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
