//! What a system brings to the simulator.

use std::any::Any;
use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use session_core::changeset::World;
use session_core::idempotency::Once;
use session_core::policy::Policy;
use session_core::service::{Command, ExecuteError, Ports, execute_once};
use session_core::types::{Seconds, Timestamp, Wallet};

use super::Choices;
use super::chain::{Booked, Chains};
use super::invariants::Invariant;

/// One system of the house, as its clients use it.
///
/// A system is asked again and again for the next request of some client. It keeps what its
/// clients know, which is what they heard and nothing else: replies are lost, come late and come
/// twice, so a client may well name a stay that is over. It should ask for sensible things most of
/// the time and for nonsense now and then.
///
/// # How to add one
///
/// 1. A file in `sim/systems` with a type that implements this, named in
///    [`systems::all`](super::systems::all).
/// 2. Requests are commands wrapped in [`Asked`], or an [`Ask`] of their own where a request is
///    more than one command.
/// 3. Every choice comes from the [`Choices`] it is given: nothing else is random.
/// 4. Invariants that need the history go to `sim/invariants`, one file each, and are named in
///    [`System::invariants`]; those on rows alone belong to [`crate::invariants`].
/// 5. What must have come to an end after the last fault is said by [`System::unresolved`].
/// 6. Rare branches that a run should reach are counted with [`Stage::reach`] and listed in
///    [`System::points`], so that one that is never reached shows.
pub trait System: Debug + Send {
    /// The name on the command line.
    fn name(&self) -> &'static str;

    /// Draws the numbers of this run, and who has what before it begins.
    fn set_up(&mut self, choices: &mut Choices, scenery: &mut Scenery);

    /// The next request of some client; `None` where nobody wants anything.
    fn next(&mut self, stage: &mut Stage<'_>) -> Option<Request>;

    /// An answer reached its client.
    fn heard(&mut self, request: &Request, reply: &Reply, stage: &mut Stage<'_>);

    /// What the house itself asks once nothing fails, whatever clients do: looks that are repeated
    /// for ever.
    fn at_last(&mut self) -> Vec<Request> {
        Vec::new()
    }

    /// What must hold of its histories, besides what must hold of all.
    fn invariants(&self) -> Vec<Box<dyn Invariant>>;

    /// What has not come to an end, some time after the last fault.
    fn unresolved(&self, world: &World) -> Vec<String>;

    /// The rare branches it counts.
    fn points(&self) -> &'static [&'static str];
}

/// What a run begins with.
#[derive(Debug)]
#[non_exhaustive]
pub struct Scenery {
    /// The numbers of all servers.
    pub policy: Policy,
    /// Who has a primary name.
    pub named: Vec<Wallet>,
    /// Who is verified.
    pub verified: Vec<Wallet>,
    /// Seconds of credit that a wallet begins with, as a base grant.
    pub credit_seconds: Vec<(Wallet, u64)>,
    /// True time when it begins.
    pub begin: Timestamp,
    /// What is booked on the chain.
    pub bookings: Vec<Booked>,
    /// How far the time of the chain's blocks is behind true time.
    pub chain_behind: Seconds,
    /// Until when there is something to do, however calm it is.
    pub busy_until: Timestamp,
}

impl Scenery {
    /// Nobody has anything.
    #[must_use]
    pub(super) fn bare(begin: Timestamp) -> Self {
        Self {
            policy: Policy::default(),
            named: Vec::new(),
            verified: Vec::new(),
            credit_seconds: Vec::new(),
            begin,
            bookings: Vec::new(),
            chain_behind: Seconds::ZERO,
            busy_until: begin,
        }
    }
}

/// What a system may look at and change while a run goes on.
#[derive(Debug)]
#[non_exhaustive]
pub struct Stage<'a> {
    /// Where decisions come from.
    pub choices: &'a mut Choices,
    /// True time, in seconds since 1970.
    pub now: u64,
    /// Who is verified.
    pub verified: &'a mut Vec<Wallet>,
    /// The numbers of the run.
    pub policy: &'a Policy,
    /// The escrow contracts, where there are any: what others do there is done here.
    pub chains: Option<&'a Chains>,
    pub(super) reached: &'a mut Vec<&'static str>,
}

impl Stage<'_> {
    /// Counts that a rare branch was reached.
    pub fn reach(&mut self, point: &'static str) {
        self.reached.push(point);
    }
}

/// A request as a client sends it; sent again, it is the same.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which client.
    pub client: usize,
    /// What it asks.
    pub ask: Arc<dyn Ask>,
    /// The `Idempotency-Key` and what it stands for.
    pub once: Option<Once>,
}

/// The work of a request on one server.
pub type Asking = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Something that a client can ask.
pub trait Ask: Debug + Send + Sync {
    /// The stable name of the command.
    fn name(&self) -> &'static str;

    /// Asks it on a server.
    fn run(&self, ports: Ports, once: Option<Once>) -> Asking;

    /// The command that it asks for, where it is one: for whoever wants to know what a client did.
    fn command(&self) -> Option<&dyn Any> {
        None
    }

    /// Whether another answer may follow this one under the same key: what the request waited for
    /// was not over yet.
    fn is_provisional(&self, _answer: &str) -> bool {
        false
    }
}

/// A command as a request.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "a name and a command")]
pub struct Asked<C> {
    /// The stable name.
    pub name: &'static str,
    /// What to execute.
    pub command: C,
}

impl<C: Command + Clone + 'static> Ask for Asked<C> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, ports: Ports, once: Option<Once>) -> Asking {
        let command = self.command.clone();
        Box::pin(async move { Reply::of(&execute_once(&ports, &command, once.as_ref()).await) })
    }

    fn command(&self) -> Option<&dyn Any> {
        Some(&self.command)
    }
}

/// What came of a request, granted or refused in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "an answer is one of the three")]
pub enum Reply {
    /// The request failed.
    Failed(ExecuteError),
    /// Yes.
    Granted(String),
    /// No.
    Refused(String),
}

impl Reply {
    /// The reply to a command.
    #[must_use]
    pub fn of<T: Serialize, E: Serialize>(result: &Result<Result<T, E>, ExecuteError>) -> Self {
        match result {
            Ok(Ok(reply)) => Self::Granted(serde_json::to_string(reply).unwrap_or_default()),
            Ok(Err(refusal)) => Self::Refused(serde_json::to_string(refusal).unwrap_or_default()),
            Err(error) => Self::Failed(error.clone()),
        }
    }

    /// What was granted.
    #[must_use]
    pub fn granted<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        match self {
            Self::Granted(json) => serde_json::from_str(json).ok(),
            Self::Failed(_) | Self::Refused(_) => None,
        }
    }

    /// Why it was refused.
    #[must_use]
    pub fn refused<T: serde::de::DeserializeOwned>(&self) -> Option<T> {
        match self {
            Self::Refused(json) => serde_json::from_str(json).ok(),
            Self::Failed(_) | Self::Granted(_) => None,
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Granted(json) => write!(f, "granted {json}"),
            Self::Refused(json) => write!(f, "refused {json}"),
        }
    }
}
