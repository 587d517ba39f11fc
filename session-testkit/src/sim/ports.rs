//! Ports of one simulated server. Each call waits before and after it takes effect, and may fail
//! in either place.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use session_core::attestation::Done;
use session_core::changeset::{Changeset, Expect, Fact, Key, Receipt, Rejection, Row, Write};
use session_core::escrow;
use session_core::journal::Block;
use session_core::outbox::{Intent, IntentClass, IntentState, Outcome};
use session_core::policy::Policy;
use session_core::ports::{
    Claim, Claimed, Clock, CommitError, Dispatcher, Effects, Entropy, NameRegistry, PortError,
    PortErrorKind, Read, Store, StoreError, StoreErrorKind, StoredRow, VerificationMirror,
};
use session_core::room::{Closing, Departure};
use session_core::service::{Ports, deliver};
use session_core::types::{IntentKey, Timestamp, Wallet};

use super::fault::Fault;
use super::hub::{Hub, Inner, Waiting};
use super::invariants::Seen;
use super::tasks::{Kind, Output, Spawned};

/// How long a request waits for an intent.
const AWAIT_SECONDS: u64 = 5;

/// How long the outside takes at most: whoever performs gives up before its lease ends.
const SLOW_MAX_SECONDS: u64 = 20;

/// All ports of a server.
pub(crate) fn ports_of(hub: &Arc<Hub>, server: usize, policy: Policy) -> Ports {
    let port = Arc::new(Port {
        hub: hub.clone(),
        server,
    });
    Ports {
        store: port.clone(),
        clock: port.clone(),
        entropy: port.clone(),
        names: port.clone(),
        verifications: port.clone(),
        escrows: port.clone(),
        effects: port.clone(),
        dispatcher: port,
        policy,
    }
}

/// Every port at once.
pub(super) struct Port {
    pub(super) hub: Arc<Hub>,
    server: usize,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({})", self.server)
    }
}

#[async_trait]
impl Store for Port {
    async fn read(&self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        self.hub.pause().await;
        let found = self.hub.lock().read(reads);
        self.hub.lock().tell(&found);
        self.hub.pause_after().await;
        found
    }

    async fn commit(&self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        self.hub.lock().begin_commit(changeset);
        self.hub.pause().await;
        let committed = self.hub.lock().commit(changeset);
        self.hub.lock().tell(&committed);
        self.hub.pause_after().await;
        committed
    }

    async fn claim_due(&self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        self.hub.pause().await;
        let claimed = self.hub.lock().claim(claim);
        self.hub.lock().tell(&claimed);
        self.hub.pause_after_claim().await;
        claimed
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.hub.lock().check_up()
    }
}

impl Clock for Port {
    fn now(&self) -> Timestamp {
        let mut inner = self.hub.lock();
        let shown = inner.look(self.server);
        inner.looked(self.server, shown);
        inner.tell(&shown);
        shown
    }

    fn alive_since(&self) -> Option<Timestamp> {
        self.hub.lock().alive_since(self.server)
    }
}

impl Entropy for Port {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), PortError> {
        let mut inner = self.hub.lock();
        // One draw of a request is four calls; it may fail in the first.
        if buffer.len() == 16 && inner.strike(&[Fault::EntropyFailed]).is_some() {
            return Err(unavailable_port("entropy"));
        }
        inner.has_drawn = Some(inner.current);
        for chunk in buffer.chunks_mut(8) {
            inner.entropy = inner.entropy.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = inner.entropy;
            word = (word ^ (word >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
            word = (word ^ (word >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
            chunk.copy_from_slice(&(word ^ (word >> 32)).to_be_bytes()[..chunk.len()]);
        }
        inner.tell(&buffer);
        Ok(())
    }
}

#[async_trait]
impl NameRegistry for Port {
    async fn primary_name(&self, wallet: Wallet) -> Result<Option<String>, PortError> {
        self.hub.pause().await;
        let struck = self
            .hub
            .lock()
            .strike(&[Fault::NamesFailed, Fault::NamesSlow]);
        match struck {
            Some(Fault::NamesFailed) => return Err(unavailable_port("name registry")),
            Some(_) => self.slowly().await,
            None => {}
        }
        let is_named = self.hub.lock().named.contains(&wallet);
        Ok(is_named.then(|| "named".to_owned()))
    }
}

#[async_trait]
impl VerificationMirror for Port {
    async fn verified_at(&self, wallet: Wallet) -> Result<Option<Timestamp>, PortError> {
        self.hub.pause().await;
        let mut inner = self.hub.lock();
        if inner.strike(&[Fault::VerificationsFailed]).is_some() {
            return Err(unavailable_port("verification mirror"));
        }
        let is_verified = inner.verified.contains(&wallet);
        Ok(is_verified.then(|| Timestamp::from_unix(1)))
    }
}

#[async_trait]
impl Effects for Port {
    async fn perform(&self, intent: &Intent) -> Outcome {
        let until = self.hub.lock().leave(intent);
        self.hub.pause().await;
        let is_slow = self.hub.lock().strike(&[Fault::EffectSlow]).is_some();
        if is_slow {
            self.slowly().await;
        }
        let outcome = self.hub.lock().perform(intent, until);
        self.hub.pause_after().await;
        outcome
    }

    async fn ask(&self, intent: &Intent) -> Outcome {
        self.hub.pause().await;
        let outcome = self.hub.lock().ask(intent);
        self.hub.pause_after().await;
        outcome
    }
}

#[async_trait]
impl Dispatcher for Port {
    async fn run(&self, key: IntentKey, ports: &Ports) -> Option<Intent> {
        let (hub, ports) = (self.hub.clone(), ports.clone());
        let task = {
            let mut inner = self.hub.lock();
            let task = inner.task_next;
            inner.task_next += 1;
            let future = Box::pin(async move {
                let intent = deliver(&ports, key, None).await.ok().flatten();
                hub.lock().delivered.insert(task, intent);
                Output::Over
            });
            inner.spawned.push(Spawned {
                task,
                server: self.server,
                kind: Kind::Dispatched,
                future,
            });
            let until = inner.now + AWAIT_SECONDS;
            let on = Some(task);
            inner.wait(Waiting { until, on });
            task
        };
        self.hub.pause().await;
        let mut inner = self.hub.lock();
        let intent = inner.delivered.remove(&task).flatten();
        inner.tell(&intent);
        let intent = intent.filter(Intent::is_settled);
        inner.reach(if intent.is_some() {
            "a request heard how its intent ended"
        } else {
            "a request answered before its intent ended"
        });
        intent
    }
}

impl Port {
    pub(super) async fn slowly(&self) {
        let seconds = self.hub.lock().choices.between(1, SLOW_MAX_SECONDS);
        self.hub.sleep(seconds).await;
    }
}

impl Inner {
    fn check_up(&self) -> Result<(), StoreError> {
        if self.is_store_down() {
            Err(unavailable("down"))
        } else {
            Ok(())
        }
    }

    fn read(&mut self, reads: &[Read]) -> Result<Vec<Vec<StoredRow>>, StoreError> {
        self.check_up()?;
        if self.strike(&[Fault::ReadFailed]).is_some() {
            return Err(unavailable("read failed"));
        }
        let found = self.backend.read(reads);
        self.see(&Seen::Read {
            reads,
            found: &found,
        });
        Ok(found)
    }

    fn begin_commit(&mut self, changeset: &Changeset) {
        if !self.is_quiet {
            self.in_flight.insert(self.current, changeset.clone());
        }
    }

    fn commit(&mut self, changeset: &Changeset) -> Result<Receipt, CommitError> {
        self.in_flight.remove(&self.current);
        self.check_up()?;
        let struck = self.draw(&[Fault::CommitFailed, Fault::CommitReplyLost]);
        if struck == Some(Fault::CommitFailed) {
            self.meet(Fault::CommitFailed);
            return Err(unavailable("commit failed").into());
        }
        let committed = self.commit_now(changeset);
        if let Some(fault) = struck {
            if committed.is_ok() {
                self.meet(fault);
            }
            return Err(unavailable("reply lost").into());
        }
        Ok(committed?)
    }

    /// Commits for whoever is current.
    pub(crate) fn commit_now(&mut self, changeset: &Changeset) -> Result<Receipt, Rejection> {
        let committed = self.backend.commit(changeset);
        match &committed {
            Ok(receipt) => {
                if !self.is_quiet {
                    self.note(format_args!("  commits {}", Summary(changeset)));
                    let written = self.written.entry(self.current).or_default();
                    written.push(changeset.clone());
                }
                self.world_has_changed = true;
                self.reach_facts(changeset);
                self.see(&Seen::Committed {
                    by: self.by(),
                    changeset,
                    receipt,
                });
            }
            Err(why) => {
                if changeset.rows.iter().any(|write| sealed(write).is_some()) {
                    self.reach("two sealers met: one was refused");
                }
                self.note(format_args!(
                    "  commit of {} refused: {why}",
                    Summary(changeset)
                ));
                match why {
                    Rejection::Fenced(_) => self.reach("a holder was fenced off"),
                    Rejection::Taken(_) => self.reach("two wanted what only one may have"),
                    Rejection::Conflict(_) => self.reach("a conflict was decided anew"),
                    Rejection::Ledger(_) => self.reach("the ledger refused"),
                    Rejection::Malformed(_) => self.reach("a changeset was malformed"),
                }
            }
        }
        committed
    }

    /// Rare branches that show in what was committed.
    fn reach_facts(&mut self, changeset: &Changeset) {
        for entry in &changeset.journal {
            match &entry.fact {
                Fact::Left { why, .. } => self.reach(match why {
                    Departure::Exhausted => "a stay ended for lack of credit",
                    Departure::Left => "a stay ended by leaving",
                    Departure::RoomClosed => "a stay ended with its room",
                    Departure::Silent => "a stay ended in silence",
                }),
                Fact::RoomClosed { why, .. } => self.reach(match why {
                    Closing::Emptied => "a room closed when its last guest was gone",
                    Closing::HostLeft => "a room closed when its host was gone",
                    Closing::Unjoined => "a room closed that nobody had joined",
                }),
                Fact::SessionDecided { outcome, round, .. } => {
                    if *round > 1 {
                        self.reach("a decision was sent anew");
                    }
                    self.reach(match outcome {
                        escrow::Outcome::Completed => "a session was completed",
                        escrow::Outcome::NoShowGuest => "a guest did not show",
                        escrow::Outcome::NoShowHost => "a host did not show",
                    });
                }
                Fact::SessionMissed { .. } => self.reach("a window was missed"),
                Fact::SessionSettled { done, .. } => self.reach(match done {
                    Done::AlreadyAttested => "a session was attested by another",
                    Done::AlreadySettled => "a session ended without an attestation",
                    Done::BookingNotFound => "a booking was gone",
                    Done::Submitted => "an attestation was confirmed",
                }),
                _ => {}
            }
        }
        for block in changeset.rows.iter().filter_map(sealed) {
            self.reach_sealed(block);
        }
        for write in &changeset.rows {
            if let Write::Update(Row::BookedSession(session)) = write
                && session.mutual_failed
                && session.decision.is_none()
            {
                self.reach("the contract did not take what both parties signed");
            }
            if let Write::Update(Row::Intent(intent)) = write
                && intent.state == IntentState::Failed
            {
                let is_given_up = intent.attempts >= self.policy.outbox.attempts_max;
                self.reach(match intent.class {
                    IntentClass::AtMostOnce => "what may leave once was given up",
                    _ if is_given_up => "an intent was given up after many attempts",
                    IntentClass::Queryable | IntentClass::Repeatable => "an intent was refused",
                });
            }
        }
    }

    fn reach_sealed(&mut self, block: &Block) {
        self.reach("a block was sealed");
        let entries = u32::try_from(block.entries.len()).unwrap_or(u32::MAX);
        if entries >= self.policy.journal.block_entries_max {
            self.reach("a full block was sealed");
        }
        let world = self.backend.world();
        let has_waited = block.entries.iter().any(|entry| {
            let entry = world.row(&Key::Entry(*entry));
            entry.is_some_and(
                |(_, row)| matches!(row, Row::Entry(entry) if entry.at.unix() + 60 < self.now),
            )
        });
        if has_waited {
            self.reach("entries waited for more than a minute");
        }
    }

    fn claim(&mut self, claim: &Claim) -> Result<Vec<Claimed>, StoreError> {
        self.check_up()?;
        let struck = self.draw(&[Fault::ClaimFailed, Fault::ClaimReplyLost]);
        if struck == Some(Fault::ClaimFailed) {
            self.meet(Fault::ClaimFailed);
            return Err(unavailable("claim failed"));
        }
        let claimed = self.backend.claim(claim);
        if !claimed.is_empty() {
            let (lane, rows) = (claim.lane.name(), claimed.len());
            self.note(format_args!("  claims {rows} of {lane}"));
            self.world_has_changed = true;
        }
        self.see(&Seen::Claimed {
            by: self.by(),
            claim,
            claimed: &claimed,
        });
        if let Some(fault) = struck {
            if !claimed.is_empty() {
                self.meet(fault);
            }
            return Err(unavailable("reply lost"));
        }
        Ok(claimed)
    }

    /// An intent leaves; until when it may be performed.
    fn leave(&mut self, intent: &Intent) -> u64 {
        self.note(format_args!("  performs {}", intent.key));
        self.see(&Seen::Leaving(intent));
        let until = self.by().looked_at + self.policy.outbox.lease_seconds.get();
        let trying = self.outside.trying.entry(intent.key).or_default();
        *trying = until.max(*trying);
        until
    }

    fn perform(&mut self, intent: &Intent, until: u64) -> Outcome {
        // `Effects::ask` promises that what has not happened cannot any more.
        if self.now >= until && intent.class != IntentClass::Repeatable {
            self.reach("an effect was given up for its lease");
            return Outcome::NoAnswer("out of time".to_owned());
        }
        let outcome = match self.strike(&[
            Fault::EffectDoneUnanswered,
            Fault::EffectNotDone,
            Fault::EffectRefused,
            Fault::EffectUnanswered,
        ]) {
            Some(Fault::EffectNotDone) => return Outcome::NotDone("not this time".to_owned()),
            Some(Fault::EffectRefused) => return Outcome::Refused("no".to_owned()),
            Some(Fault::EffectUnanswered) => return Outcome::NoAnswer("silence".to_owned()),
            Some(_) => Outcome::NoAnswer("silence".to_owned()),
            None => Outcome::Done,
        };
        *self.outside.done.entry(intent.key).or_default() += 1;
        self.see(&Seen::Done(intent));
        outcome
    }

    fn ask(&mut self, intent: &Intent) -> Outcome {
        self.note(format_args!("  asks for {}", intent.key));
        if self.strike(&[Fault::AskFailed]).is_some() {
            return Outcome::NoAnswer("silence".to_owned());
        }
        let until = self.outside.trying.get(&intent.key).copied().unwrap_or(0);
        if self.outside.done.contains_key(&intent.key) {
            self.reach("asked, and it was done");
            Outcome::Done
        } else if self.now < until {
            self.reach("asked too early to tell");
            Outcome::NoAnswer("too early to tell".to_owned())
        } else {
            self.reach("asked, and it was not done");
            Outcome::NotDone("never heard of it".to_owned())
        }
    }
}

/// The block that a write appends.
const fn sealed(write: &Write) -> Option<&Block> {
    match write {
        Write::Insert(Row::Block(block)) => Some(block),
        Write::Delete(_) | Write::Insert(_) | Write::Update(_) => None,
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError {
        kind: StoreErrorKind::Unavailable,
        detail: why.to_owned(),
    }
}

pub(super) fn unavailable_port(port: &'static str) -> PortError {
    PortError {
        port,
        kind: PortErrorKind::Unavailable,
        detail: "simulated".to_owned(),
    }
}

/// A changeset in a few words.
struct Summary<'a>(&'a Changeset);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for expect in &self.0.expect {
            if let Expect::Claimed(key, fence) = expect {
                write!(f, "{between}under claim {} of {}", fence.get(), short(key))?;
                between = ", ";
            }
        }
        for write in &self.0.rows {
            match write {
                Write::Delete(key) => write!(f, "{between}-{}", short(key))?,
                Write::Insert(row) => write!(f, "{between}+{}", short(&row.key()))?,
                Write::Update(row) => write!(f, "{between}{}", short(&row.key()))?,
            }
            between = ", ";
        }
        for order in &self.0.transfers {
            let transfer = &order.transfer;
            write!(f, "{between}{} {}", transfer.reason.name(), transfer.amount)?;
            between = ", ";
        }
        for entry in &self.0.journal {
            write!(f, "{between}“{}”", entry.fact.name())?;
            between = ", ";
        }
        for intent in &self.0.intents {
            write!(f, "{between}intent {}", intent.key)?;
            between = ", ";
        }
        if let Some(record) = &self.0.idempotency {
            write!(f, "{between}answer {}", record.key.key)?;
        }
        Ok(())
    }
}

/// The name of a row, long identifiers cut.
fn short(key: &Key) -> String {
    key.to_string().chars().take(16).collect()
}
