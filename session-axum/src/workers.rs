//! The loops that run beside the routes: the shared beat, and one worker for each lane.
//!
//! Workers hold no state. Any number of servers may run them on one store: a due row is claimed by
//! one of them, and what a worker of a dead server had claimed comes up again when its lease ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use session_core::changeset::Lane;
use session_core::outage::Span;
use session_core::outbox::Intent;
use session_core::ports::Dispatcher;
use session_core::service::{
    CLAIM_ROWS_MAX, ExecuteError, Ports, Worked, beat, deliver, work_lane,
};
use session_core::types::IntentKey;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::measure::{MEASURE_EVERY, Measured};
use crate::revoked::{REVOKED_EVERY, Revoked};
use crate::{metric, shown};

/// How often a worker looks for due rows.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Beats missed in a row before the server says that it is not ready.
pub(crate) const BEATS_MISSED_MAX: u64 = 5;

/// Running workers. Dropping them ends them at once; [`Workers::stop`] lets them finish.
#[derive(Debug)]
pub struct Workers {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    pulse: Pulse,
    waker: Waker,
    revoked: Revoked,
}

/// Makes workers look now instead of at their next tick.
#[derive(Debug, Clone, Default)]
pub struct Waker([Arc<Notify>; Lane::ALL.len()]);

impl Waker {
    /// Something may be due in this lane.
    pub fn wake(&self, lane: Lane) {
        self.of(lane).notify_one();
    }

    fn of(&self, lane: Lane) -> Arc<Notify> {
        let [attest, deliver, expire, rooms, seal, seats] = &self.0;
        match lane {
            Lane::Attest => attest.clone(),
            Lane::Deliver => deliver.clone(),
            Lane::Expire => expire.clone(),
            Lane::Rooms => rooms.clone(),
            Lane::Seal => seal.clone(),
            Lane::Seats => seats.clone(),
        }
    }
}

impl Workers {
    /// Writes the first beat, which records the outage before it, and starts the loops. To be
    /// called before the first request is served: a request served earlier could take our outage
    /// for the client's silence.
    ///
    /// # Errors
    /// [`ExecuteError`] where the first beat cannot be written.
    pub async fn start(ports: Ports) -> Result<Self, ExecuteError> {
        metric::describe();
        if let Some(outage) = beat(&ports).await? {
            tracing::info!(from = %outage.from, to = %outage.to, "no server was alive");
            count_outage(outage);
        }
        let revoked = Revoked::default();
        revoked.refresh(&ports).await?;
        let (stop, stopped) = watch::channel(false);
        let pulse = Pulse::new(Duration::from_secs(ports.policy.outage.beat_seconds.get()));
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_looking(
            ports.clone(),
            pulse.running(),
            stopped.clone(),
        ));
        tasks.spawn(keep_beating(
            ports.clone(),
            pulse.running(),
            stopped.clone(),
        ));
        tasks.spawn(keep_reading_revoked(
            revoked.clone(),
            ports.clone(),
            pulse.running(),
            stopped.clone(),
        ));
        tasks.spawn(keep_measuring(
            ports.clone(),
            pulse.running(),
            stopped.clone(),
        ));
        let waker = Waker::default();
        for lane in Lane::ALL {
            // Of the highest level, so that it is there for whatever line is let through.
            let span = tracing::error_span!("worker", lane = lane.name());
            let work = keep_working(
                lane,
                waker.of(lane),
                ports.clone(),
                pulse.running(),
                stopped.clone(),
            );
            tasks.spawn(work.instrument(span));
        }
        Ok(Self {
            tasks,
            stop,
            pulse,
            waker,
            revoked,
        })
    }

    /// For whoever knows that something is due: a host that has committed it in a transaction of
    /// its own.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Ends the loops, each after the pass it is in, so that no claim is left behind.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }

    /// What is known of revoked tokens.
    pub(crate) fn revoked(&self) -> Revoked {
        self.revoked.clone()
    }

    pub(crate) fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }
}

/// One pass over every lane, over and over until nothing more is due.
///
/// # Errors
/// [`ExecuteError`] where nothing can be claimed.
pub async fn sweep(ports: &Ports) -> Result<Vec<(Lane, Worked)>, ExecuteError> {
    let mut swept = Vec::new();
    for lane in Lane::ALL {
        loop {
            let worked = work_lane(ports, lane).await?;
            let is_last = !more_is_due(&worked, ports);
            swept.push((lane, worked));
            if is_last {
                break;
            }
        }
    }
    Ok(swept)
}

/// Whether a pass left something: it took as many rows as it may, or filled a block.
fn more_is_due(worked: &Worked, ports: &Ports) -> bool {
    let block = usize::try_from(ports.policy.journal.block_entries()).unwrap_or(usize::MAX);
    worked.claimed >= CLAIM_ROWS_MAX || (worked.sealed > 0 && worked.sealed >= block)
}

/// When the last beat was written, as seen by this process.
#[derive(Debug, Clone)]
pub(crate) struct Pulse {
    every: Duration,
    started: Instant,
    last_ms: Arc<AtomicU64>,
    /// Loops that were started, and loops that still run.
    loops: Arc<[AtomicUsize; 2]>,
    measured: Arc<Measured>,
}

/// A loop that runs. One that panicked runs no more.
struct Running(Pulse);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.loops[1].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pulse {
    fn new(every: Duration) -> Self {
        Self {
            every,
            started: Instant::now(),
            last_ms: Arc::default(),
            loops: Arc::default(),
            measured: Arc::default(),
        }
    }

    fn running(&self) -> Running {
        for count in &*self.loops {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Running(self.clone())
    }

    /// What an operator should look at although the server works.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.measured.warnings()
    }

    /// Whether no loop has ended.
    pub(crate) fn all_run(&self) -> bool {
        let [started, running] = &*self.loops;
        started.load(Ordering::Relaxed) == running.load(Ordering::Relaxed)
    }

    fn beat(&self) {
        let since_start = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(since_start, Ordering::Relaxed);
    }

    /// Whether the last beat is recent.
    pub(crate) fn beats(&self) -> bool {
        let last = self.started + Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
        let missed = u32::try_from(BEATS_MISSED_MAX).unwrap_or(u32::MAX);
        last.elapsed() < self.every.saturating_mul(missed)
    }
}

/// Looks at the clock, so that it knows whether the process ran: the beat may wait for the store
/// longer than a pause lasts.
async fn keep_looking(ports: Ports, running: Running, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(running.0.every / 2);
    while next(&mut ticks, &mut stopped).await {
        let _ = ports.clock.now();
    }
}

async fn keep_beating(ports: Ports, running: Running, mut stopped: watch::Receiver<bool>) {
    let pulse = &running.0;
    let mut ticks = tokio::time::interval(pulse.every / 2);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while next(&mut ticks, &mut stopped).await {
        match beat(&ports).await {
            Ok(None) => pulse.beat(),
            Ok(Some(outage)) => {
                tracing::warn!(from = %outage.from, to = %outage.to, "no server was alive");
                count_outage(outage);
                pulse.beat();
            }
            Err(error) => tracing::warn!(error = shown::in_full(&error), "beat failed"),
        }
    }
}

fn count_outage(outage: Span) {
    metrics::counter!(metric::OUTAGE_SECONDS).increment(outage.to.since(outage.from).get());
}

async fn keep_measuring(ports: Ports, running: Running, mut stopped: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(MEASURE_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while next(&mut ticks, &mut stopped).await {
        if let Err(error) = running.0.measured.measure(&ports).await {
            tracing::warn!(error = shown::in_full(&error), "nothing can be measured");
        }
    }
}

/// Reads over and over which tokens were revoked. While it cannot, requests ask for themselves.
async fn keep_reading_revoked(
    revoked: Revoked,
    ports: Ports,
    _running: Running,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(REVOKED_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while next(&mut ticks, &mut stopped).await {
        if let Err(error) = revoked.refresh(&ports).await {
            tracing::warn!(
                error = shown::in_full(&error),
                "revoked tokens cannot be read"
            );
        }
    }
}

async fn keep_working(
    lane: Lane,
    woken: Arc<Notify>,
    ports: Ports,
    _running: Running,
    mut stopped: watch::Receiver<bool>,
) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while next_or_woken(&mut ticks, &woken, &mut stopped).await {
        while let Some(worked) = pass(lane, &ports).await {
            // Otherwise the next tick is soon enough.
            if !more_is_due(&worked, &ports) || *stopped.borrow() {
                break;
            }
        }
    }
}

async fn next(ticks: &mut tokio::time::Interval, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        _ = stopped.wait_for(|stop| *stop) => false,
        _ = ticks.tick() => true,
    }
}

async fn next_or_woken(
    ticks: &mut tokio::time::Interval,
    woken: &Notify,
    stopped: &mut watch::Receiver<bool>,
) -> bool {
    tokio::select! {
        biased;
        goes_on = next(ticks, stopped) => goes_on,
        () = woken.notified() => true,
    }
}

async fn pass(lane: Lane, ports: &Ports) -> Option<Worked> {
    let worked = match work_lane(ports, lane).await {
        Ok(worked) => worked,
        Err(error) => {
            tracing::warn!(error = shown::in_full(&error), "no work can be claimed");
            return None;
        }
    };
    for (key, why) in &worked.failed {
        let (key, why) = (shown::shown(key), shown::shown(why));
        tracing::warn!(key, why, "work failed; it comes up again");
    }
    if worked.given_up > 0 {
        tracing::error!(
            rows = worked.given_up,
            "intents did not happen and are not tried again; their notes say why"
        );
    }
    if worked.decided > 0 {
        tracing::info!(rows = worked.decided, "booked sessions were decided");
    }
    if worked.windows_missed > 0 {
        tracing::error!(
            rows = worked.windows_missed,
            "booked sessions can be attested no more; only their parties can act"
        );
    }
    if worked.blocked > 0 {
        tracing::error!(
            rows = worked.blocked,
            "booked sessions cannot be attested: no key, or not the contract's oracle"
        );
    }
    if worked.lost > 0 {
        tracing::info!(
            rows = worked.lost,
            "claims ended before their work was written; somebody else does it"
        );
    }
    let count = |outcome: &'static str, rows: usize| {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        metrics::counter!(metric::WORK_ROWS, "lane" => lane.name(), "outcome" => outcome)
            .increment(rows);
    };
    if worked.claimed > 0 {
        let numbers = [
            worked.changed,
            worked.evicted,
            worked.rooms_closed,
            worked.sealed,
            worked.lost,
            worked.failed.len(),
        ];
        for (outcome, rows) in metric::WORK_OUTCOMES.into_iter().zip(numbers) {
            count(outcome, rows);
        }
    }
    Some(worked)
}

/// Runs intents that requests wait for, each in a task of its own: the client may hang up, the
/// task goes on.
#[derive(Debug, Clone)]
pub struct Dispatch {
    wait: Duration,
}

impl Dispatch {
    /// Lets a request wait this long for its intent.
    #[must_use]
    pub const fn waiting(wait: Duration) -> Self {
        Self { wait }
    }
}

#[async_trait]
impl Dispatcher for Dispatch {
    async fn run(&self, key: IntentKey, ports: &Ports) -> Option<Intent> {
        let ports = ports.clone();
        let task = tokio::spawn(async move { deliver(&ports, key, None).await });
        match tokio::time::timeout(self.wait, task).await {
            Ok(Ok(Ok(intent))) => intent.filter(Intent::is_settled),
            Ok(Ok(Err(error))) => {
                let error = shown::in_full(&error);
                tracing::warn!(error, %key, "outcome not written; a worker finds it");
                None
            }
            Ok(Err(error)) => {
                tracing::error!(%error, %key, "delivery panicked; a worker finds it");
                None
            }
            Err(_) => None,
        }
    }
}
