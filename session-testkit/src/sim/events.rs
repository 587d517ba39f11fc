//! What happens to processes, clocks and the store, whatever anybody asks for.

use session_core::changeset::{Changeset, Lane};

use super::Fault;
use super::run::{Run, offset};
use super::tasks::{Kind, Task};

/// A commit whose caller is gone, and when it happens all the same.
#[derive(Debug)]
pub(super) struct LateCommit {
    at_step: u64,
    changeset: Changeset,
    by: super::invariants::By,
}

impl Run {
    /// One event, where this run has the kind that is drawn.
    pub(super) fn event(&mut self) {
        let kinds = [
            Fault::ServerCrashed,
            Fault::TaskPaused,
            Fault::ClientGone,
            Fault::ServiceGap,
            Fault::ProcessPaused,
            Fault::ClockForward,
            Fault::ClockBack,
            Fault::ClockSlewed,
            Fault::StoreDown,
            Fault::LaneLate,
        ];
        let kind = {
            let mut inner = self.hub.lock();
            let weights: Vec<u32> = kinds.iter().map(|&kind| inner.chances.of(kind)).collect();
            if weights.iter().all(|&weight| weight == 0) {
                return;
            }
            kinds[inner.choices.weighted(&weights)]
        };
        match kind {
            Fault::ServerCrashed => self.crash_one(),
            Fault::TaskPaused => self.pause_task(),
            Fault::ClientGone => self.hang_up(),
            Fault::ServiceGap => self.crash_all(),
            Fault::ProcessPaused => self.pause_process(),
            Fault::ClockForward | Fault::ClockBack | Fault::ClockSlewed => self.move_clock(kind),
            Fault::StoreDown => {
                let mut inner = self.hub.lock();
                let span = inner.choices.between(1, 50);
                inner.store_down_until = inner.now + span;
                inner.meet(Fault::StoreDown);
            }
            _ => self.neglect_lane(),
        }
        self.tell_alive();
    }

    fn crash_one(&mut self) {
        let server = {
            let mut inner = self.hub.lock();
            let up = inner.servers.iter().enumerate();
            let up: Vec<usize> = up
                .filter(|(_, s)| s.is_up)
                .map(|(place, _)| place)
                .collect();
            let Some(&server) = inner.choices.pick(&up) else {
                return;
            };
            inner.meet(Fault::ServerCrashed);
            server
        };
        let down = self.hub.lock().choices.between(1, 40);
        self.crash(server, down);
    }

    fn crash_all(&mut self) {
        let servers = {
            let mut inner = self.hub.lock();
            inner.meet(Fault::ServiceGap);
            inner.servers.len()
        };
        let down = self.hub.lock().choices.between(1, 200);
        for server in 0..servers {
            let later = self.hub.lock().choices.between(0, 3);
            self.crash(server, down + later);
        }
    }

    /// A process dies: whatever it was doing ends where it waits.
    fn crash(&mut self, server: usize, down_seconds: u64) {
        {
            let mut inner = self.hub.lock();
            inner.note(format_args!("server {server} dies for {down_seconds} s"));
            let restart_at = inner.now + down_seconds;
            let process = &mut inner.servers[server];
            (process.is_up, process.is_ready) = (false, false);
            (process.paused_until, process.restart_at) = (0, restart_at);
        }
        let (dead, alive) = std::mem::take(&mut self.tasks)
            .into_iter()
            .partition(|task| task.server == server);
        self.tasks = alive;
        self.drop_tasks(dead);
    }

    /// Tasks end where they wait. A client whose request it was may ask again, and a commit that
    /// was under way may happen later.
    fn drop_tasks(&mut self, tasks: Vec<Task>) {
        for task in tasks {
            let left = {
                let mut inner = self.hub.lock();
                inner.current = task.id;
                let by = inner.by();
                inner
                    .in_flight
                    .remove(&task.id)
                    .map(|changeset| (by, changeset))
            };
            if let Some((by, changeset)) = left {
                let mut inner = self.hub.lock();
                if inner.strike(&[Fault::CommitLate]).is_some() {
                    let at_step = inner.step + inner.choices.between(1, 30);
                    self.late_commits.push(LateCommit {
                        at_step,
                        changeset,
                        by,
                    });
                }
            }
            if let Some(request) = self.request_of(&task) {
                self.maybe_retry(request);
            }
            self.forget(task.id);
        }
    }

    /// Commits whose callers are gone happen now, if it is their time.
    pub(super) fn land_late_commits(&mut self) {
        let step = self.hub.lock().step;
        let (due, later) = std::mem::take(&mut self.late_commits)
            .into_iter()
            .partition(|late| late.at_step <= step);
        self.late_commits = later;
        let due: Vec<LateCommit> = due;
        for late in due {
            let mut inner = self.hub.lock();
            inner.current = late.by.task;
            inner.acting.insert(late.by.task, late.by);
            if inner.commit_now(&late.changeset).is_ok() {
                inner.reach("a commit landed after its caller was gone");
            }
            drop(inner);
            self.forget(late.by.task);
        }
    }

    fn pause_task(&mut self) {
        let mut inner = self.hub.lock();
        let lease = inner.policy.outbox.lease_seconds.get();
        let can_wait = |task: &&mut Task| !matches!(task.kind, Kind::Beat | Kind::Start);
        let mut tasks: Vec<&mut Task> = self.tasks.iter_mut().filter(can_wait).collect();
        let place = inner.choices.below(tasks.len());
        if let Some(task) = tasks.get_mut(place) {
            task.not_before = inner.now + inner.choices.between(lease + 1, 4 * lease);
            inner.current = task.id;
            inner.meet(Fault::TaskPaused);
        }
    }

    fn hang_up(&mut self) {
        let is_request = |task: &Task| matches!(task.kind, Kind::Request(_));
        let places = self.tasks.iter().enumerate();
        let places: Vec<usize> = places
            .filter(|(_, task)| is_request(task))
            .map(|(place, _)| place)
            .collect();
        let picked = self.hub.lock().choices.pick(&places).copied();
        if let Some(place) = picked {
            let task = self.tasks.remove(place);
            let mut inner = self.hub.lock();
            inner.current = task.id;
            inner.meet(Fault::ClientGone);
            drop(inner);
            self.drop_tasks(vec![task]);
        }
    }

    fn pause_process(&mut self) {
        let mut inner = self.hub.lock();
        let servers = inner.servers.len();
        let server = inner.choices.below(servers);
        let span = inner.choices.between(1, 90);
        let until = inner.now + span;
        if inner.servers[server].is_up {
            inner.servers[server].paused_until = until;
            inner.meet(Fault::ProcessPaused);
            inner.note(format_args!("server {server} stands still for {span} s"));
        }
    }

    fn move_clock(&mut self, how: Fault) {
        let mut inner = self.hub.lock();
        let servers = inner.servers.len();
        let server = inner.choices.below(servers);
        let old = inner.servers[server].offset;
        let new = match how {
            Fault::ClockSlewed if inner.choices.weighted(&[1, 1]) == 0 => old + 1,
            Fault::ClockSlewed => old - 1,
            _ => {
                let max = inner.offset_max_seconds;
                offset(&mut inner.choices, max)
            }
        };
        let max = i64::try_from(inner.offset_max_seconds).unwrap_or(i64::MAX);
        let fits = (-max..=max).contains(&new);
        let kind = match new - old {
            0 => return,
            1 | -1 => Fault::ClockSlewed,
            more if more > 0 => Fault::ClockForward,
            _ => Fault::ClockBack,
        };
        if fits {
            inner.servers[server].offset = new;
            inner.meet(kind);
            inner.note(format_args!(
                "server {server}'s clock is {new} s off, was {old} s"
            ));
        }
    }

    fn neglect_lane(&mut self) {
        let (servers, lane, until) = {
            let mut inner = self.hub.lock();
            let lane = *inner.choices.pick(&Lane::ALL).unwrap_or(&Lane::Seats);
            let until = inner.now + inner.choices.between(10, 200);
            (inner.servers.len(), lane, until)
        };
        self.neglected.insert(lane);
        for server in 0..servers {
            self.late_until.insert((server, lane), until);
        }
    }

    /// Processes that died come back when it is time.
    pub(super) fn restart_what_is_due(&mut self) {
        let due: Vec<usize> = {
            let inner = self.hub.lock();
            let servers = inner.servers.iter().enumerate();
            let is_due =
                |server: &super::hub::Server| !server.is_up && server.restart_at <= inner.now;
            servers
                .filter(|(_, s)| is_due(s))
                .map(|(place, _)| place)
                .collect()
        };
        for server in due {
            self.start(server);
        }
    }
}
