//! The engine: one history, step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use session_core::changeset::{Draft, Key, Lane, World};
use session_core::ledger::{AccountKey, AccountKind, Action, Owner, Reason, Reference, Transfer};
use session_core::policy::Policy;
use session_core::service::{Ports, beat, work_lane};
use session_core::types::{Seconds, Timestamp, TransferId, Unit};

use super::chain::Chains;
use super::fault::{Chances, Fault};
use super::hub::{Hub, Inner, Server};
use super::invariants::{self, Seen};
use super::ports::ports_of;
use super::tasks::{Kind, Output, Task, TaskId, Work};
use super::{Choices, Outcome, Plan, Request, Scenery, System, Violation};

/// True time when a run begins.
const BEGIN: u64 = 1_800_000_000;

/// How far a clock may be off true time, so that no two are further apart than twice this: in half
/// of the runs little, in the others as far as the house promises to hold. Where two are a minute
/// apart it does not: when the one ahead can beat again after a while, the time that servers share
/// jumps by the difference, and somebody pays for it (`docs/proof.md`).
const OFFSET_MAX_SECONDS: [u64; 2] = [5, 15];

/// Longest span in which no beat is written while servers run.
const BEAT_EVERY_SECONDS: u64 = 2;

/// Runs one history to its end, or to the first violation.
#[must_use]
pub fn run(plan: Plan) -> Outcome {
    let mut run = Run::new(plan);
    // The state of a run that panicked is only looked at for the report.
    let played = catch_unwind(AssertUnwindSafe(|| {
        run.play();
        run.heal();
    }));
    let mut inner = run.hub.lock();
    if played.is_err() {
        let step = inner.step;
        Violation::first(
            &mut inner.violation,
            "no_panic",
            "it panicked".to_owned(),
            step,
        );
    }
    if let Some(violation) = inner.violation.clone() {
        inner.log.add(format_args!("{violation}"));
    }
    Outcome {
        steps: inner.step,
        healed_after_seconds: run.healed_after,
        faults: inner.tally.faults.clone(),
        points: inner.tally.points.clone(),
        violation: inner.violation.clone(),
        digest: inner.log.digest(),
        choices: inner.choices.taken().to_vec(),
        lines: std::mem::take(&mut inner.log.lines),
    }
}

pub(super) struct Run {
    pub(super) hub: Arc<Hub>,
    pub(super) system: Box<dyn System>,
    pub(super) tasks: Vec<Task>,
    pub(super) late_until: BTreeMap<(usize, Lane), u64>,
    /// Lanes that nobody looks at, until something is due there: only then does it matter.
    pub(super) neglected: BTreeSet<Lane>,
    pub(super) busy_until: u64,
    pub(super) healed_after: u64,
    pub(super) retries: Vec<(u64, Request)>,
    pub(super) held: Vec<Request>,
    pub(super) late_commits: Vec<super::events::LateCommit>,
    pub(super) ports: Vec<Ports>,
    pub(super) sent: Vec<Request>,
    steps: u64,
    unrest: u32,
    was_alive: bool,
}

impl Run {
    fn new(plan: Plan) -> Self {
        let mut system = plan.system;
        let mut inner = Inner::new(plan.choices, plan.backend, BEGIN);
        inner.log.is_kept = plan.keeps_lines;
        let mut scenery = Scenery::bare(Timestamp::from_unix(BEGIN));
        system.set_up(&mut inner.choices, &mut scenery);
        inner.policy = scenery.policy;
        (inner.named, inner.verified) = (scenery.named.clone(), scenery.verified.clone());
        inner.invariants = invariants::common();
        inner.invariants.extend(system.invariants());
        if let Some(judge) = plan.judge {
            inner
                .invariants
                .retain(|invariant| invariant.name() == judge);
        }
        inner.chances = Chances::draw(&mut inner.choices);
        if !scenery.bookings.is_empty() {
            inner.chances.draw_of_chains(&mut inner.choices);
            let behind = scenery.chain_behind;
            inner.chains = Some(Chains::new(scenery.begin, behind, &scenery.bookings));
        }
        inner.entropy = inner.choices.between(0, u64::from(u32::MAX) - 1);
        draw_sealing(inner.entropy, &mut scenery.policy);
        inner.policy = scenery.policy;
        inner.offset_max_seconds = OFFSET_MAX_SECONDS[place(inner.entropy / 12, 2)];
        let servers = 1 + inner.choices.weighted(&[2, 4, 3]);
        let clocks_differ = inner.choices.weighted(&[2, 3]) == 1;
        for _ in 0..servers {
            let offset = if clocks_differ {
                let max = inner.offset_max_seconds;
                offset(&mut inner.choices, max)
            } else {
                0
            };
            inner.servers.push(Server {
                offset,
                ..Server::default()
            });
        }
        let unrest = [0, 1, 3][inner.choices.weighted(&[1, 2, 2])];
        endow(&mut inner, &scenery);
        let hub = Arc::new(Hub::new(inner));
        let wrap = plan.wrap.unwrap_or_else(|| Arc::new(|ports| ports));
        let policy = scenery.policy;
        let ports = (0..servers).map(|server| wrap(ports_of(&hub, server, policy)));
        let mut run = Self {
            ports: ports.collect(),
            hub,
            system,
            tasks: Vec::new(),
            sent: Vec::new(),
            late_until: BTreeMap::new(),
            neglected: BTreeSet::new(),
            busy_until: scenery.busy_until.unix(),
            healed_after: 0,
            retries: Vec::new(),
            held: Vec::new(),
            late_commits: Vec::new(),
            steps: plan.steps,
            unrest,
            was_alive: false,
        };
        for server in 0..servers {
            run.start(server);
        }
        run
    }

    fn play(&mut self) {
        while self.hub.lock().step < self.steps && !self.is_broken() {
            self.step();
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        self.hub.lock().violation.is_some()
    }

    fn step(&mut self) {
        let ready = self.ready();
        let next = {
            let mut inner = self.hub.lock();
            inner.step += 1;
            inner.current = 0;
            let now = inner.now;
            if !ready.is_empty() {
                inner.choices.weighted(&[80, 9, 8, self.unrest])
            } else if inner.servers.iter().any(|server| server.serves(now)) {
                1 + inner.choices.weighted(&[60, 35, self.unrest])
            } else {
                // Nobody to ask and nothing to do until one comes back.
                2
            }
        };
        match next {
            0 => {
                let place = self.hub.lock().choices.below(ready.len());
                if let Some(&task) = ready.get(place) {
                    self.poll(task);
                }
            }
            1 => self.request(),
            2 => {
                let spans = [1, 2, 4, 9, 20, 31, 46, 92, 125];
                let weights = [30, 16, 12, 10, 8, 6, 4, 2, 1];
                let span = spans[self.hub.lock().choices.weighted(&weights)];
                self.pass(span);
                self.look_for_work(60);
            }
            _ => self.event(),
        }
        self.after_step();
    }

    pub(super) fn after_step(&mut self) {
        self.land_late_commits();
        let mut inner = self.hub.lock();
        if inner.world_has_changed {
            inner.check();
        }
    }

    /// The tasks that can go on, oldest first.
    pub(super) fn ready(&self) -> Vec<usize> {
        let inner = self.hub.lock();
        let is_over = |id: TaskId| self.tasks.iter().all(|task| task.id != id);
        let is_ready = |task: &Task| {
            let runs = inner
                .servers
                .get(task.server)
                .is_some_and(|server| server.runs(inner.now));
            let waits = inner.waiting.get(&task.id).is_some_and(|waiting| {
                waiting.until > inner.now && waiting.on.is_none_or(|on| !is_over(on))
            });
            runs && !waits && task.not_before <= inner.now
        };
        let places = self.tasks.iter().enumerate();
        places
            .filter(|(_, task)| is_ready(task))
            .map(|(place, _)| place)
            .collect()
    }

    pub(super) fn poll(&mut self, place: usize) {
        let Some(task) = self.tasks.get_mut(place) else {
            return;
        };
        {
            let mut inner = self.hub.lock();
            inner.current = task.id;
            inner.waiting.remove(&task.id);
        }
        let polled = task
            .future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        let spawned = std::mem::take(&mut self.hub.lock().spawned);
        for new in spawned {
            self.add(new.task, new.server, new.kind, 0, new.future);
        }
        if let Poll::Ready(output) = polled {
            let task = self.tasks.remove(place);
            self.over(&task, output);
            self.forget(task.id);
        }
    }

    fn over(&mut self, task: &Task, output: Output) {
        match output {
            Output::Answered(reply) => self.answered(task, &reply),
            Output::Beaten(beaten) => {
                let mut inner = self.hub.lock();
                if beaten.as_ref().is_ok_and(Option::is_some) {
                    inner.reach("an outage was recorded");
                }
                if task.kind != Kind::Start {
                    return;
                }
                inner.note(format_args!("server {} starts: {beaten:?}", task.server));
                if beaten.is_ok() {
                    inner.servers[task.server].is_ready = true;
                } else {
                    let again = inner.now + 1;
                    drop(inner);
                    self.spawn_start(task.server, again);
                }
            }
            Output::Over => {}
            Output::Worked(worked) => {
                let mut inner = self.hub.lock();
                let Ok(worked) = worked else { return };
                let counts = [
                    (worked.lost, "a worker lost its claim"),
                    (worked.failed.len(), "a row failed in a worker's hands"),
                    (worked.evicted, "a worker evicted"),
                    (worked.rooms_closed, "a worker closed a room"),
                ];
                for (_, point) in counts.into_iter().filter(|(count, _)| *count > 0) {
                    inner.reach(point);
                }
            }
        }
    }

    /// Lets true time pass. Processes that run look at their clocks and write their beats.
    pub(super) fn pass(&mut self, seconds: u64) {
        let until = self.hub.lock().now + seconds;
        loop {
            let now = {
                let mut inner = self.hub.lock();
                inner.now = until.min(inner.now + BEAT_EVERY_SECONDS);
                inner.now
            };
            self.restart_what_is_due();
            self.tell_alive();
            for server in 0..self.ports.len() {
                self.tick(server);
            }
            if now >= until {
                break;
            }
        }
        let mut inner = self.hub.lock();
        inner.note(format_args!("{seconds} s pass"));
        inner.pass_on_chains();
    }

    /// What the loops of a process do every second.
    fn tick(&mut self, server: usize) {
        {
            let mut inner = self.hub.lock();
            let now = inner.now;
            // The loops begin after the first beat.
            if !inner.servers[server].serves(now) {
                return;
            }
            inner.current = 0;
            let shown = inner.look(server);
            inner.looked(server, shown);
            if inner.is_store_down() {
                return;
            }
            inner.is_quiet = true;
        }
        let mut beating = std::pin::pin!(beat(&self.ports[server]));
        let polled = Pin::as_mut(&mut beating).poll(&mut Context::from_waker(Waker::noop()));
        let mut inner = self.hub.lock();
        inner.is_quiet = false;
        if let Poll::Ready(Ok(Some(span))) = polled {
            inner.note(format_args!("outage from {} to {}", span.from, span.to));
            inner.reach("an outage was recorded");
        }
    }

    /// Starts beats and passes over lanes; over those in which nothing is due, this often in a
    /// thousand times.
    pub(super) fn look_for_work(&mut self, idle_per_mille: u32) {
        let first_due = first_due(self.hub.lock().backend.world());
        for server in 0..self.ports.len() {
            let (now, shown) = {
                let inner = self.hub.lock();
                let process = &inner.servers[server];
                if !process.serves(inner.now) {
                    continue;
                }
                (inner.now, inner.now.saturating_add_signed(process.offset))
            };
            let runs = |tasks: &[Task], kind| {
                tasks
                    .iter()
                    .any(|task| task.server == server && task.kind == kind)
            };
            if !runs(&self.tasks, Kind::Beat) && self.hub.lock().choices.chance(250) {
                let ports = self.ports[server].clone();
                let work = Box::pin(async move { Output::Beaten(beat(&ports).await) });
                self.spawn(server, Kind::Beat, now, work);
            }
            for lane in Lane::ALL {
                let is_late = self
                    .late_until
                    .get(&(server, lane))
                    .is_some_and(|at| *at > now);
                let is_due = first_due.get(&lane).is_some_and(|at| *at <= shown);
                let is_busy = runs(&self.tasks, Kind::Lane(lane));
                if is_late && is_due && self.neglected.remove(&lane) {
                    self.hub.lock().meet(Fault::LaneLate);
                }
                if is_late || is_busy {
                    continue;
                }
                if is_due || self.hub.lock().choices.chance(idle_per_mille) {
                    let ports = self.ports[server].clone();
                    let work =
                        Box::pin(async move { Output::Worked(work_lane(&ports, lane).await) });
                    self.spawn(server, Kind::Lane(lane), now, work);
                }
            }
        }
    }

    /// A process begins to run: it writes its first beat, then it serves.
    pub(super) fn start(&mut self, server: usize) {
        let now = {
            let mut inner = self.hub.lock();
            inner.servers[server].is_up = true;
            inner.servers[server].is_ready = false;
            inner.start_clock(server);
            inner.now
        };
        self.tell_alive();
        self.spawn_start(server, now);
    }

    fn spawn_start(&mut self, server: usize, not_before: u64) {
        let ports = self.ports[server].clone();
        let work = Box::pin(async move { Output::Beaten(beat(&ports).await) });
        self.spawn(server, Kind::Start, not_before, work);
    }

    pub(super) fn tell_alive(&mut self) {
        let mut inner = self.hub.lock();
        let now = inner.now;
        let is_alive = inner.servers.iter().any(|server| server.runs(now));
        if is_alive != self.was_alive {
            self.was_alive = is_alive;
            inner.see(&Seen::Alive(is_alive));
        }
    }

    pub(super) fn spawn(
        &mut self,
        server: usize,
        kind: Kind,
        not_before: u64,
        future: Work,
    ) -> TaskId {
        let task = {
            let mut inner = self.hub.lock();
            let task = inner.task_next;
            inner.task_next += 1;
            task
        };
        self.add(task, server, kind, not_before, future);
        task
    }

    fn add(&mut self, id: TaskId, server: usize, kind: Kind, not_before: u64, future: Work) {
        self.tasks.push(Task {
            id,
            server,
            kind,
            future,
            not_before,
        });
    }

    /// Forgets what is kept of a task that is over.
    pub(super) fn forget(&mut self, task: TaskId) {
        let mut inner = self.hub.lock();
        inner.acting.remove(&task);
        inner.waiting.remove(&task);
        inner.written.remove(&task);
        inner.in_flight.remove(&task);
    }
}

/// How far a clock is off.
pub(super) fn offset(choices: &mut Choices, max_seconds: u64) -> i64 {
    let off = choices.between(0, 2 * max_seconds);
    let ahead = i64::try_from(off.min(max_seconds)).unwrap_or(0);
    // Plain is none, then ahead by more and more, then behind.
    let behind = i64::try_from(off.saturating_sub(max_seconds)).unwrap_or(0);
    if behind > 0 { -behind } else { ahead }
}

/// How the journal of a run is sealed: by what its randomness begins with, so that recorded lists
/// of choices keep their meaning. Plain are the recorded numbers.
fn draw_sealing(entropy: u64, policy: &mut Policy) {
    let journal = &mut policy.journal;
    journal.block_entries_max = [journal.block_entries_max, 3, 1][[0, 1, 1, 2][place(entropy, 4)]];
    let every = journal.seal_every_seconds;
    journal.seal_every_seconds = [every, Seconds::new(1), Seconds::new(30)][place(entropy / 4, 3)];
}

/// One of a few, by a number.
fn place(number: u64, among: u64) -> usize {
    usize::try_from(number % among).unwrap_or(0)
}

/// Gives wallets the credit that they begin with.
fn endow(inner: &mut Inner, scenery: &Scenery) {
    let mut draft = Draft::new();
    for (wallet, seconds) in &scenery.credit_seconds {
        let account = |kind| AccountKey::new(Owner::Wallet(*wallet), kind, Unit::Seconds);
        draft.transfer(Transfer {
            id: TransferId::derive("scenery", &[&wallet.to_bytes()]),
            debit: account(AccountKind::GrantBase),
            credit: account(AccountKind::Wallet),
            amount: *seconds,
            action: Action::Posted,
            reason: Reason::AdminAdjust,
            reference: Reference::None,
            at: Timestamp::from_unix(inner.now),
        });
    }
    // A backend with a bug may refuse even this; the run then begins without.
    let _ = inner.commit_now(&draft.finish());
    inner.written.clear();
}

/// When each lane has something to do first.
fn first_due(world: &World) -> BTreeMap<Lane, u64> {
    let mut first_due: BTreeMap<Lane, u64> = BTreeMap::new();
    if world.row(&Key::Chain(())).is_none() {
        // Whoever looks first begins the chain.
        first_due.insert(Lane::Seal, 0);
    }
    for due in world.rows().filter_map(|(_, _, row)| row.due()) {
        let first = first_due.entry(due.lane).or_insert(u64::MAX);
        *first = due.at.unix().min(*first);
    }
    first_due
}
