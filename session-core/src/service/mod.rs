//! The driver: load, decide, commit, wait, answer. The same few lines for every command.

mod deliver;
mod execute;
mod query;
mod work;

pub use deliver::{Deliver, deliver};
pub use execute::{
    Answers, CONFLICTS_MAX, Command, Context, Decision, ExecuteError, INSTANT_KEPT_MAX, Never,
    QUESTIONS_MAX, Verdict, execute, execute_once,
};
pub use query::{
    ActiveRoom, OwnRoom, active_rooms, credit_entries, credits, own_room, room_events, stay_receipt,
};
pub use work::{CLAIM_ROWS_MAX, Expire, Worked, beat, work_lane};

use alloc::sync::Arc;

use crate::policy::Policy;
use crate::ports::{
    Clock, Dispatcher, Effects, Entropy, Escrows, NameRegistry, Store, VerificationMirror,
};

/// Everything the driver needs of the world.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Where state lives.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for identifiers, nonces and salts.
    pub entropy: Arc<dyn Entropy>,
    /// Names of wallets.
    pub names: Arc<dyn NameRegistry>,
    /// Verifications of wallets.
    pub verifications: Arc<dyn VerificationMirror>,
    /// The escrow contracts of booked sessions.
    pub escrows: Arc<dyn Escrows>,
    /// Performs intents.
    pub effects: Arc<dyn Effects>,
    /// Runs intents that requests wait for.
    pub dispatcher: Arc<dyn Dispatcher>,
    /// Every number a rule uses.
    pub policy: Policy,
}

impl Ports {
    /// Where state lives.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }
}
