//! What the engine and all simulated ports share.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use session_core::changeset::Changeset;
use session_core::outage::Service;
use session_core::outbox::Intent;
use session_core::policy::Policy;
use session_core::service::INSTANT_KEPT_MAX;
use session_core::types::{IntentKey, Timestamp, Wallet};

use super::backend::Backend;
use super::chain::Chains;
use super::fault::{Chances, Fault};
use super::invariants::{By, Invariant, Seen, Truth};
use super::tasks::{Spawned, TaskId};
use super::{Choices, Violation};

/// Longest time between two looks at the clock in which a process counts as running, as in the
/// clock of `session-axum`.
const PAUSE_MAX_SECONDS: u64 = 3;

/// The state of a run behind one lock, which nobody ever waits for: there is one thread.
#[derive(Debug)]
pub(crate) struct Hub(Mutex<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) choices: Choices,
    pub(crate) chances: Chances,
    /// True time, in seconds since 1970.
    pub(crate) now: u64,
    pub(crate) step: u64,
    pub(crate) policy: Policy,
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) invariants: Vec<Box<dyn Invariant>>,
    pub(crate) violation: Option<Violation>,
    pub(crate) world_has_changed: bool,
    pub(crate) log: Log,
    pub(crate) tally: Tally,
    /// No waiting and no faults: what happens is of no interest by itself.
    pub(crate) is_quiet: bool,
    /// Whether a call also waits after it took effect.
    pub(crate) waits_after: bool,
    /// Whether a claim does, where others do not.
    pub(crate) waits_after_claims: bool,
    pub(crate) servers: Vec<Server>,
    /// How far a clock may be off true time.
    pub(crate) offset_max_seconds: u64,
    pub(crate) store_down_until: u64,
    pub(crate) entropy: u64,
    /// Who has just drawn random values: an execution begins so, and looks at its clock next.
    pub(crate) has_drawn: Option<TaskId>,
    pub(crate) named: Vec<Wallet>,
    pub(crate) verified: Vec<Wallet>,
    pub(crate) outside: Outside,
    /// The escrow contracts, where there are any.
    pub(crate) chains: Option<Chains>,
    pub(crate) current: TaskId,
    pub(crate) acting: BTreeMap<TaskId, By>,
    pub(crate) waiting: BTreeMap<TaskId, Waiting>,
    pub(crate) in_flight: BTreeMap<TaskId, Changeset>,
    pub(crate) written: BTreeMap<TaskId, Vec<Changeset>>,
    pub(crate) spawned: Vec<Spawned>,
    pub(crate) task_next: TaskId,
    pub(crate) delivered: BTreeMap<TaskId, Option<Intent>>,
    /// What each task was told by its ports, as a digest, where that is to be known: with the same
    /// it goes on the same.
    pub(crate) told: Option<BTreeMap<TaskId, Fnv>>,
}

/// A process as the others see it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Server {
    /// How far its clock is ahead of true time.
    pub(crate) offset: i64,
    pub(crate) is_up: bool,
    /// Whether its first beat is written, so that it serves.
    pub(crate) is_ready: bool,
    pub(crate) paused_until: u64,
    pub(crate) restart_at: u64,
    pub(crate) looked_at: u64,
    pub(crate) alive_since: u64,
}

/// What has happened outside.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) done: BTreeMap<IntentKey, u32>,
    /// Until when somebody may still be doing it.
    pub(crate) trying: BTreeMap<IntentKey, u64>,
}

/// What a task waits for: an instant, or the end of another task if that is sooner.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) until: u64,
    pub(crate) on: Option<TaskId>,
}

/// How often what was met.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) faults: BTreeMap<Fault, u64>,
    pub(crate) points: BTreeMap<&'static str, u64>,
}

/// The history: always its digest, its lines where somebody wants to read them.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) is_kept: bool,
    /// Nobody wants even the digest.
    pub(crate) is_off: bool,
    pub(crate) lines: Vec<String>,
    digest: Fnv,
}

#[derive(Debug, Clone)]
pub(crate) struct Fnv(u64);

impl Hub {
    pub(crate) const fn new(inner: Inner) -> Self {
        Self(Mutex::new(inner))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic of a task ends the run; what it left behind is only looked at for the report.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the scheduler decide who goes next.
    pub(crate) fn pause(&self) -> Pause {
        Pause(self.lock().is_quiet)
    }

    /// As [`Hub::pause`], after a call took effect.
    pub(crate) fn pause_after(&self) -> Pause {
        let inner = self.lock();
        Pause(inner.is_quiet || !inner.waits_after)
    }

    /// As [`Hub::pause_after`], after a claim.
    pub(crate) fn pause_after_claim(&self) -> Pause {
        let inner = self.lock();
        Pause(inner.is_quiet || !inner.waits_after_claims)
    }

    /// Lets the current task wait until true time has passed.
    pub(crate) fn sleep(&self, seconds: u64) -> Pause {
        let mut inner = self.lock();
        let until = inner.now + seconds;
        inner.wait(Waiting { until, on: None });
        Pause(false)
    }
}

/// Ready when it is polled for the second time.
#[derive(Debug)]
pub(crate) struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Inner {
    pub(crate) fn new(choices: Choices, backend: Box<dyn Backend>, now: u64) -> Self {
        Self {
            choices,
            chances: Chances::default(),
            now,
            step: 0,
            policy: Policy::default(),
            backend,
            invariants: Vec::new(),
            violation: None,
            world_has_changed: false,
            log: Log::default(),
            tally: Tally::default(),
            is_quiet: false,
            waits_after: true,
            waits_after_claims: true,
            servers: Vec::new(),
            offset_max_seconds: 0,
            store_down_until: 0,
            entropy: 0,
            has_drawn: None,
            named: Vec::new(),
            verified: Vec::new(),
            outside: Outside::default(),
            chains: None,
            current: 0,
            acting: BTreeMap::new(),
            waiting: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            written: BTreeMap::new(),
            spawned: Vec::new(),
            task_next: 1,
            delivered: BTreeMap::new(),
            told: None,
        }
    }

    /// Who acts now.
    pub(crate) fn by(&self) -> By {
        let unknown = By {
            task: self.current,
            server: 0,
            looked_at: self.now,
            shown: Timestamp::from_unix(self.now),
            ahead: 0,
            alive_since: Timestamp::from_unix(self.now),
        };
        self.acting.get(&self.current).copied().unwrap_or(unknown)
    }

    /// The current task is told something by a port.
    pub(crate) fn tell(&mut self, what: &dyn fmt::Debug) {
        let task = self.current;
        if let Some(told) = &mut self.told {
            let digest = told.entry(task).or_default();
            // Writing to a digest cannot fail.
            let _ = write!(digest, "{what:?}");
        }
    }

    /// A digest of all that the rest of a history depends on; `None` where that is not known.
    pub(crate) fn state(&self) -> Option<u64> {
        let told = self.told.as_ref()?;
        let mut digest = Fnv::default();
        // Writing to a digest cannot fail.
        let _ = write!(digest, "{:?}{:?}", self.backend, self.chains);
        let _ = write!(digest, "{:?}{:?}", self.invariants, told);
        let _ = write!(digest, "{:?}{:?}", self.acting, self.waiting);
        let _ = write!(digest, "{:?}{:?}", self.delivered, self.has_drawn);
        let _ = write!(digest, "{:?}{}{}", self.servers, self.entropy, self.now);
        Some(digest.0)
    }

    /// Which of these faults happens now, if any, and counts it.
    pub(crate) fn strike(&mut self, faults: &[Fault]) -> Option<Fault> {
        let struck = self.draw(faults);
        if let Some(fault) = struck {
            self.meet(fault);
        }
        struck
    }

    /// As [`Inner::strike`], where only what comes of it says whether it counts.
    pub(crate) fn draw(&mut self, faults: &[Fault]) -> Option<Fault> {
        if self.is_quiet {
            return None;
        }
        let mut weights = vec![1000];
        weights.extend(faults.iter().map(|&fault| self.chances.of(fault)));
        if weights[1..].iter().all(|&weight| weight == 0) {
            return None;
        }
        let place = self.choices.weighted(&weights);
        faults.get(place.checked_sub(1)?).copied()
    }

    /// Counts a fault.
    pub(crate) fn meet(&mut self, fault: Fault) {
        *self.tally.faults.entry(fault).or_default() += 1;
        self.note(format_args!("  ! {}", fault.name()));
    }

    /// Counts that a rare branch was reached.
    pub(crate) fn reach(&mut self, point: &'static str) {
        *self.tally.points.entry(point).or_default() += 1;
    }

    /// Adds a line to the history.
    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        let (step, now, task) = (self.step, self.now, self.current);
        self.log
            .add(format_args!("{step:>5} {now} #{task:<4} {what}"));
    }

    /// Shows every invariant what happened.
    pub(crate) fn see(&mut self, seen: &Seen<'_>) {
        let truth = Truth {
            world: self.backend.world(),
            now: self.now,
            policy: &self.policy,
            chains: self.chains.as_ref(),
        };
        for invariant in &mut self.invariants {
            if let Err(what) = invariant.see(seen, truth) {
                Violation::first(&mut self.violation, invariant.name(), what, self.step);
            }
        }
    }

    /// Lets every invariant look at the world.
    pub(crate) fn check(&mut self) {
        let truth = Truth {
            world: self.backend.world(),
            now: self.now,
            policy: &self.policy,
            chains: self.chains.as_ref(),
        };
        for invariant in &mut self.invariants {
            if let Err(what) = invariant.check(truth) {
                Violation::first(&mut self.violation, invariant.name(), what, self.step);
            }
        }
        self.world_has_changed = false;
    }

    pub(crate) fn wait(&mut self, waiting: Waiting) {
        self.waiting.insert(self.current, waiting);
    }

    pub(crate) fn is_store_down(&self) -> bool {
        self.now < self.store_down_until
    }

    /// The clock of a server, which remembers since when its process runs without a pause.
    pub(crate) fn look(&mut self, server: usize) -> Timestamp {
        let now = self.now;
        let Some(server) = self.servers.get_mut(server) else {
            return Timestamp::from_unix(now);
        };
        let shown = now.saturating_add_signed(server.offset);
        if shown.saturating_sub(server.looked_at) > PAUSE_MAX_SECONDS {
            server.alive_since = shown;
        }
        server.looked_at = server.looked_at.max(shown);
        Timestamp::from_unix(shown)
    }

    pub(crate) fn alive_since(&self, server: usize) -> Option<Timestamp> {
        let server = self.servers.get(server)?;
        Some(Timestamp::from_unix(server.alive_since))
    }

    /// A process begins to run.
    pub(crate) fn start_clock(&mut self, server: usize) {
        let now = self.now;
        if let Some(server) = self.servers.get_mut(server) {
            let shown = now.saturating_add_signed(server.offset);
            (server.looked_at, server.alive_since) = (shown, shown);
        }
    }

    /// A task looked at its clock. The driver looks a second time to see whether the instant of its
    /// decision is too old; until it is, the first look counts.
    pub(crate) fn looked(&mut self, server: usize, shown: Timestamp) {
        let now = signed(self.now);
        let own = signed(shown.unix()) - now;
        let by = By {
            task: self.current,
            server,
            looked_at: self.now,
            shown,
            ahead: last_beat(self.backend.world()).map_or(own, |at| own.max(signed(at) - now)),
            alive_since: self.alive_since(server).unwrap_or(shown),
        };
        let begins = self.has_drawn.take() == Some(self.current);
        let is_kept = !begins
            && self.acting.get(&self.current).is_some_and(|before| {
                before.server == server && shown.since(before.shown) <= INSTANT_KEPT_MAX
            });
        if !is_kept {
            self.acting.insert(self.current, by);
        }
        self.see(&Seen::Looked(by));
    }
}

impl Server {
    pub(crate) fn runs(&self, now: u64) -> bool {
        self.is_up && self.paused_until <= now
    }

    pub(crate) fn serves(&self, now: u64) -> bool {
        self.runs(now) && self.is_ready
    }
}

impl Log {
    pub(crate) fn add(&mut self, line: fmt::Arguments<'_>) {
        if self.is_off {
            return;
        }
        // Writing to either cannot fail.
        let _ = self.digest.write_fmt(line);
        if self.is_kept {
            self.lines.push(line.to_string());
        }
    }

    pub(crate) const fn digest(&self) -> u64 {
        self.digest.0
    }
}

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

/// The last beat in a world, in seconds since 1970.
pub(crate) fn last_beat(world: &session_core::changeset::World) -> Option<u64> {
    use session_core::changeset::{Key, Row};
    match world.row(&Key::Service(())) {
        Some((_, Row::Service(Service { last_beat_at, .. }))) => Some(last_beat_at.unix()),
        _ => None,
    }
}

/// Instants and spans of a run are far below the limit.
pub(crate) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
