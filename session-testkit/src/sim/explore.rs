//! Small models, every interleaving of which is tried.
//!
//! A model is a world, and a few tasks on a few servers. Each run plays one list of choices: which
//! task goes on at each await, whether it dies there instead, and when time passes. The next run
//! takes the last choice that had an alternative and takes that one, until there is none: stateless
//! model checking, on the core's own code.
//!
//! Calls wait before they take effect and not after: between an effect and the next wait nothing
//! happens that others could see, so a wait there would only repeat interleavings. A reply that is
//! lost after its effect is the same as a death at the next wait, or after the end. Where time may
//! pass that is not so: a holder looks at its clock after its claim, and is late only if time
//! passes between the two. Claims of such models wait afterwards too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use session_core::changeset::{Lane, World};
use session_core::policy::Policy;
use session_core::service::{deliver, work_lane};
use session_core::types::{IntentKey, Seconds, Timestamp, Wallet};

use super::backend::Backend;
use super::chain::{Booked, Chains};
use super::hub::{Hub, Inner, Server};
use super::invariants::Invariant;
use super::ports::ports_of;
use super::tasks::{Kind, Output, Task, TaskId, Work};
use super::{Ask, Choices, Reply, Violation};
use crate::escrows::ChainFault;

/// A small model.
#[derive(Debug)]
#[non_exhaustive]
pub struct Model {
    /// True time when it begins.
    pub begin: Timestamp,
    /// How far each server's clock is ahead; negative is behind.
    pub clocks: Vec<i64>,
    /// The numbers.
    pub policy: Policy,
    /// Who is verified.
    pub verified: Vec<Wallet>,
    /// What goes on at once.
    pub tasks: Vec<Step>,
    /// How many tasks may die where they wait.
    pub deaths_max: usize,
    /// Spans of time of which each passes once, at any instant.
    pub passes: Vec<Seconds>,
    /// Whether a history ends where it comes to a state that an earlier one was in: what follows
    /// was or will be tried from there. What a task holds is known by what its ports told it.
    pub merges: bool,
    /// What is booked on the chain, where there is one.
    pub bookings: Vec<Booked>,
    /// What may become of each attestation that is sent: every one of these is tried.
    pub fates: Vec<Option<ChainFault>>,
    /// What must hold besides what must hold of all.
    pub invariants: Vec<Box<dyn Invariant>>,
}

/// One of the tasks of a model.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_enums, reason = "a task is one of the four")]
pub enum Step {
    /// A request on a server.
    Ask(usize, Arc<dyn Ask>),
    /// The first attempt at an intent, by the request that wrote it down.
    Dispatch(usize, IntentKey),
    /// One pass over each of these lanes on a server, one after the other.
    Sweep(usize, &'static [Lane]),
    /// One pass over a lane on a server.
    Work(usize, Lane),
}

/// How one run of a model ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct Ended<'a> {
    /// What is stored.
    pub world: &'a World,
    /// The escrow contracts, where there are any.
    pub chains: Option<&'a Chains>,
    /// The replies to requests, in the order of the tasks; `None` for what died or is no request.
    pub replies: &'a [Option<Reply>],
}

/// What trying everything came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explored {
    /// How many histories there are.
    pub runs: u64,
    /// How many states they went through, where states are merged.
    pub states: usize,
    /// Of the first that broke something: what, and its choices.
    pub broken: Option<(Violation, Vec<u32>)>,
}

impl Model {
    /// One server after another with true clocks, nobody dies, no time passes.
    #[must_use]
    pub fn new(begin: Timestamp, servers: usize) -> Self {
        Self {
            begin,
            clocks: vec![0; servers],
            policy: Policy::default(),
            verified: Vec::new(),
            tasks: Vec::new(),
            deaths_max: 0,
            passes: Vec::new(),
            merges: false,
            bookings: Vec::new(),
            fates: Vec::new(),
            invariants: super::invariants::common(),
        }
    }
}

/// Tries every history of a model, until one breaks something or `runs_max` is reached.
///
/// `model` and `backend` are asked for anew for each history. `judge` looks at how it ended.
pub fn explore(
    model: &dyn Fn() -> Model,
    backend: &dyn Fn() -> Box<dyn Backend>,
    judge: &dyn Fn(&Ended<'_>) -> Result<(), String>,
    runs_max: u64,
) -> Explored {
    let mut runs = 0;
    let mut known = BTreeSet::new();
    let mut prefix = Some(Vec::new());
    while let Some(list) = prefix {
        runs += 1;
        let list = Choices::recorded(list);
        let (violation, choices) = play(model(), backend(), judge, list, &mut known);
        let states = known.len();
        if violation.is_some() || runs >= runs_max {
            let broken = violation.map(|violation| (violation, choices.taken().to_vec()));
            return Explored {
                runs,
                states,
                broken,
            };
        }
        prefix = next(&choices);
    }
    Explored {
        runs,
        states: known.len(),
        broken: None,
    }
}

/// The next list in order: the last choice that has an alternative takes it.
fn next(choices: &Choices) -> Option<Vec<u32>> {
    let (taken, widths) = (choices.taken(), choices.widths());
    let place = taken
        .iter()
        .zip(widths)
        .rposition(|(choice, width)| choice + 1 < *width)?;
    let mut list = taken[..=place].to_vec();
    list[place] += 1;
    Some(list)
}

fn play(
    model: Model,
    backend: Box<dyn Backend>,
    judge: &dyn Fn(&Ended<'_>) -> Result<(), String>,
    choices: Choices,
    known: &mut BTreeSet<u64>,
) -> (Option<Violation>, Choices) {
    let replayed = choices.left();
    let mut inner = Inner::new(choices, backend, model.begin.unix());
    inner.policy = model.policy;
    inner.waits_after = false;
    inner.waits_after_claims = !model.passes.is_empty();
    inner.log.is_off = true;
    inner.invariants = model.invariants;
    inner.verified = model.verified;
    inner.told = model.merges.then(BTreeMap::new);
    if !model.bookings.is_empty() {
        let mut chains = Chains::new(model.begin, Seconds::ZERO, &model.bookings);
        chains.tries = model.fates;
        inner.chains = Some(chains);
    }
    inner
        .servers
        .extend(model.clocks.iter().map(|&offset| Server {
            offset,
            is_up: true,
            is_ready: true,
            ..Server::default()
        }));
    for server in 0..inner.servers.len() {
        inner.start_clock(server);
    }
    let hub = Arc::new(Hub::new(inner));
    let mut playing = Playing {
        tasks: Vec::new(),
        replies: vec![None; model.tasks.len()],
        deaths_left: model.deaths_max,
        passes: model.passes,
        hub,
    };
    for (place, step) in model.tasks.iter().enumerate() {
        playing.begin(place, step, model.policy);
    }
    loop {
        // Where it goes on as before, that was known already.
        if let Some(state) = playing.state()
            && !known.insert(state)
            && playing.hub.lock().choices.taken().len() > replayed
        {
            let mut inner = playing.hub.lock();
            return (inner.violation.take(), inner.choices.clone());
        }
        if !playing.go_on() {
            break;
        }
    }
    let mut inner = playing.hub.lock();
    let ended = Ended {
        world: inner.backend.world(),
        chains: inner.chains.as_ref(),
        replies: &playing.replies,
    };
    let judged = judge(&ended);
    if let Err(what) = judged {
        let step = inner.step;
        Violation::first(&mut inner.violation, "model", what, step);
    }
    (inner.violation.take(), inner.choices.clone())
}

struct Playing {
    hub: Arc<Hub>,
    /// With the place of each among the tasks of the model; `None` for what a task started.
    tasks: Vec<(Option<usize>, Task)>,
    replies: Vec<Option<Reply>>,
    deaths_left: usize,
    passes: Vec<Seconds>,
}

impl Playing {
    fn begin(&mut self, place: usize, step: &Step, policy: Policy) {
        let (server, work): (usize, Work) = match step {
            Step::Ask(server, ask) => {
                let asking = ask.run(ports_of(&self.hub, *server, policy), None);
                (
                    *server,
                    Box::pin(async move { Output::Answered(asking.await) }),
                )
            }
            Step::Dispatch(server, key) => {
                let (ports, key) = (ports_of(&self.hub, *server, policy), *key);
                let work = Box::pin(async move {
                    let _ = deliver(&ports, key, None).await;
                    Output::Over
                });
                (*server, work)
            }
            Step::Sweep(server, lanes) => {
                let (ports, lanes) = (ports_of(&self.hub, *server, policy), *lanes);
                let work = Box::pin(async move {
                    for lane in lanes {
                        let _ = work_lane(&ports, *lane).await;
                    }
                    Output::Over
                });
                (*server, work)
            }
            Step::Work(server, lane) => {
                let (ports, lane) = (ports_of(&self.hub, *server, policy), *lane);
                let work = Box::pin(async move { Output::Worked(work_lane(&ports, lane).await) });
                (*server, work)
            }
        };
        let id = {
            let mut inner = self.hub.lock();
            inner.task_next += 1;
            inner.task_next - 1
        };
        self.add(Some(place), id, server, work);
    }

    fn add(&mut self, place: Option<usize>, id: TaskId, server: usize, future: Work) {
        let task = Task {
            id,
            server,
            kind: place.map_or(Kind::Dispatched, Kind::Request),
            future,
            not_before: 0,
        };
        self.tasks.push((place, task));
    }

    /// What the rest of the history depends on.
    fn state(&self) -> Option<u64> {
        let inner = self.hub.lock();
        let mut state = inner.state()?;
        let tasks = self.tasks.iter().map(|(_, task)| u64::from(task.id));
        let left = [self.deaths_left, self.passes.len()].map(|n| u64::try_from(n).unwrap_or(0));
        for number in tasks.chain([u64::MAX]).chain(left) {
            state = (state ^ number).wrapping_mul(0x0100_0000_01b3);
        }
        Some(state)
    }

    /// The tasks that do not wait for another one.
    fn ready(&self) -> Vec<usize> {
        let inner = self.hub.lock();
        let goes_on = |id| self.tasks.iter().any(|(_, task)| task.id == id);
        let waits = |task: &Task| {
            let waiting = inner.waiting.get(&task.id);
            waiting
                .is_some_and(|waiting| waiting.until > inner.now && waiting.on.is_none_or(goes_on))
        };
        let places = self.tasks.iter().enumerate();
        places
            .filter(|(_, (_, task))| !waits(task))
            .map(|(place, _)| place)
            .collect()
    }

    /// One choice: who goes on, who dies, or that time passes. False when nothing is left.
    fn go_on(&mut self) -> bool {
        let ready = self.ready();
        let going = ready.len();
        let (dying, passing) = match (going, self.deaths_left) {
            // Once everything is over, that time passes makes no difference.
            (0, _) => return false,
            (_, 0) => (0, self.passes.len().min(1)),
            _ => (self.tasks.len(), self.passes.len().min(1)),
        };
        let choice = {
            let mut inner = self.hub.lock();
            inner.step += 1;
            inner.choices.below(going + passing + dying)
        };
        if choice < going {
            self.poll(ready[choice]);
        } else if choice < going + passing {
            let span = self.passes.remove(0);
            let mut inner = self.hub.lock();
            inner.now += span.get();
        } else {
            self.deaths_left -= 1;
            self.tasks.remove(choice - going - passing);
        }
        let mut inner = self.hub.lock();
        if inner.world_has_changed {
            inner.check();
        }
        inner.violation.is_none()
    }

    fn poll(&mut self, place: usize) {
        let Some((_, task)) = self.tasks.get_mut(place) else {
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
        if let Poll::Ready(output) = polled {
            let (number, _) = self.tasks.remove(place);
            if let (Some(number), Output::Answered(reply)) = (number, output) {
                self.replies[number] = Some(reply);
            }
        }
        for new in spawned {
            self.add(None, new.task, new.server, new.future);
        }
    }
}
