//! After the last fault: everything that was begun comes to an end, in bounded time.

use session_core::changeset::World;

use super::invariants::Seen;
use super::run::Run;
use super::{Violation, hub::Inner};
use crate::invariants;

/// Within this everything but what is kept on purpose has come to an end.
const HEALED_AFTER_SECONDS_MAX: u64 = 1_200;

/// What is to be done at its time alone has come to an end so long after.
const SETTLED_AFTER_SECONDS_MAX: u64 = 400;

/// After this, what is kept on purpose may be forgotten: the answers of a day.
const KEPT_SECONDS: u64 = 25 * 3_600;

/// Within this a due row is worked on once nothing fails.
const OVERDUE_SECONDS_MAX: u64 = 40;

/// How much time passes between two rounds.
const ROUND_SECONDS: u64 = 4;

/// Polls that a round needs at most: more is a task that never ends.
const POLLS_MAX: usize = 100_000;

impl Run {
    /// Faults stop, clients are silent, all servers run with true clocks.
    pub(super) fn heal(&mut self) {
        if self.is_broken() {
            return;
        }
        self.calm_down();
        let begin = self.hub.lock().now;
        let allowed = HEALED_AFTER_SECONDS_MAX.max(
            self.busy_until
                .saturating_sub(begin)
                .saturating_add(SETTLED_AFTER_SECONDS_MAX),
        );
        loop {
            self.round();
            let now = self.hub.lock().now;
            self.hub.lock().see(&Seen::Calm(now - begin));
            let left = self.unresolved();
            if self.is_broken() {
                return;
            }
            self.healed_after = now - begin;
            if left.is_empty() {
                break;
            }
            if self.healed_after > allowed {
                return self.complain(&left, allowed);
            }
        }
        self.hub.lock().now += KEPT_SECONDS;
        for _ in 0..OVERDUE_SECONDS_MAX / ROUND_SECONDS {
            self.round();
        }
        if !self.is_broken() {
            let left = self.unresolved();
            if !left.is_empty() {
                return self.complain(&left, KEPT_SECONDS);
            }
            let now = self.hub.lock().now;
            self.hub.lock().see(&Seen::Calm(now - begin));
            self.audit();
        }
    }

    /// The chain of the journal, from its first block, and everything that follows from it.
    fn audit(&self) {
        let mut inner = self.hub.lock();
        let complaints = invariants::audited(inner.backend.world());
        if let Some(first) = complaints.into_iter().next() {
            let step = inner.step;
            Violation::first(&mut inner.violation, "sound", first, step);
        }
    }

    fn calm_down(&mut self) {
        let servers = {
            let mut inner = self.hub.lock();
            inner.current = 0;
            inner.note(format_args!("no more faults"));
            inner.chances.clear();
            inner.store_down_until = 0;
            if let Some(chains) = &mut inner.chains {
                chains.calm_down();
            }
            for server in &mut inner.servers {
                (server.offset, server.paused_until) = (0, 0);
            }
            inner.servers.len()
        };
        self.late_until.clear();
        self.retries.clear();
        self.held.clear();
        let now = self.hub.lock().now;
        for task in &mut self.tasks {
            task.not_before = task.not_before.min(now);
        }
        for server in 0..servers {
            let is_up = self.hub.lock().servers[server].is_up;
            if !is_up {
                self.start(server);
            }
        }
        self.tell_alive();
        let last = self.system.at_last();
        if !last.is_empty() {
            // Until then every server has looked for the first time.
            self.round();
        }
        for request in last {
            self.deliver(request, 0);
        }
    }

    /// Some time passes, and every task goes on until none can.
    fn round(&mut self) {
        self.pass(ROUND_SECONDS);
        self.look_for_work(0);
        for _ in 0..POLLS_MAX {
            let Some(&first) = self.ready().first() else {
                break;
            };
            self.poll(first);
            self.after_step();
            if self.is_broken() {
                return;
            }
        }
    }

    fn unresolved(&self) -> Vec<String> {
        let inner = self.hub.lock();
        let world = inner.backend.world();
        let mut left = self.system.unresolved(world);
        left.extend(overdue(world, &inner));
        let unsealed = world.unsealed().len();
        if unsealed > 0 {
            left.push(format!("{unsealed} entries are in no block"));
        }
        if !self.tasks.is_empty() {
            left.push(format!("{} tasks go on", self.tasks.len()));
        }
        left
    }

    fn complain(&self, left: &[String], seconds: u64) {
        let mut inner = self.hub.lock();
        let step = inner.step;
        let what = format!("after {seconds} s without faults: {}", left.join("; "));
        Violation::first(&mut inner.violation, "resolved", what, step);
    }
}

/// Rows whose time is long past.
fn overdue(world: &World, inner: &Inner) -> Vec<String> {
    let due = world
        .rows()
        .filter_map(|(key, _, row)| Some((key, row.due()?)));
    let overdue = due.filter(|(_, due)| due.at.unix() + OVERDUE_SECONDS_MAX < inner.now);
    overdue
        .map(|(key, due)| format!("{key} was due at {} in {}", due.at, due.lane.name()))
        .collect()
}
