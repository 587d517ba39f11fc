//! Spans in which no server was alive: our outage is not their silence.
//!
//! Workers write a shared beat. A beat that comes late finds an outage: nobody could have been
//! heard in it, so it counts neither as silence nor as presence to be charged, and after it every
//! participant has one full interval to be heard again (`spec/README.md`).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::changeset::{Draft, Fact, Key, Loaded};
use crate::ports::{Read, Snapshot, StoreError};
use crate::service::{Answers, Command, Context, Decision, Never, Ports, Verdict};
use crate::types::{Seconds, Timestamp};

/// Outages kept in the row. One more joins the two oldest into one span that covers both and what
/// lies between, which errs in favour of who would pay.
pub const OUTAGES_KEPT_MAX: usize = 128;

/// How long an outage stays in the row: longer than any session and the windows after it.
pub const OUTAGES_KEPT_FOR: Seconds = Seconds::new(24 * 3600);

/// How the shared beat is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutagePolicy {
    /// How often some server writes the beat. Up to this much presence before a crash is not
    /// charged.
    pub beat_seconds: Seconds,
    /// A beat older than this was missed: no server was alive, unless the process that looks knows
    /// that it was itself.
    pub missed_after_seconds: Seconds,
    /// How far servers' clocks may differ. Within it all of them follow the one that is ahead;
    /// a beat further in the future is nonsense and is taken back.
    pub skew_max_seconds: Seconds,
}

impl Default for OutagePolicy {
    fn default() -> Self {
        Self {
            beat_seconds: Seconds::new(1),
            missed_after_seconds: Seconds::new(3),
            skew_max_seconds: Seconds::new(60),
        }
    }
}

/// A span of time, from its first instant up to and without its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends.
    pub to: Timestamp,
}

impl Span {
    /// How much of this span lies within another.
    #[must_use]
    pub fn overlap(self, other: Self) -> Seconds {
        self.to.min(other.to).since(self.from.max(other.from))
    }
}

/// The one row that all servers share: the last proof that any of them was alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// When a server last said that it was alive.
    pub last_beat_at: Timestamp,
    /// Past outages, oldest first, apart from each other.
    pub outages: Vec<Span>,
}

impl Service {
    /// The instant that all servers agree on: that of the clock which is ahead, as far as its
    /// beats told. Otherwise one server's worker would charge for the time by which its clock is
    /// ahead of the server that seated the participant.
    #[must_use]
    pub fn shared_now(&self, now: Timestamp, policy: &OutagePolicy) -> Timestamp {
        if self.is_nonsense(now, policy) {
            now
        } else {
            now.max(self.last_beat_at)
        }
    }

    /// Whether the last beat lies further in the future than clocks may differ.
    fn is_nonsense(&self, now: Timestamp, policy: &OutagePolicy) -> bool {
        self.last_beat_at.since(now) > policy.skew_max_seconds
    }

    /// Whether no server has been alive since the last beat. A process that has run since then
    /// without a pause was alive, however late its store lets it say so.
    fn was_nobody_alive(
        &self,
        now: Timestamp,
        alive_since: Option<Timestamp>,
        policy: &OutagePolicy,
    ) -> bool {
        let was_alive = alive_since.is_some_and(|since| since <= self.last_beat_at);
        now.since(self.last_beat_at) > policy.missed_after_seconds && !was_alive
    }

    /// The row after an outage ended.
    fn after_outage(&self, span: Span) -> Self {
        let mut outages = self.outages.clone();
        // Nothing that is still to be decided lies that far back.
        outages.retain(|outage| outage.to.after(OUTAGES_KEPT_FOR) > span.to);
        outages.push(span);
        if outages.len() > OUTAGES_KEPT_MAX {
            let oldest = outages.remove(0);
            if let Some(next) = outages.first_mut() {
                next.from = oldest.from;
            }
        }
        Self {
            last_beat_at: span.to,
            outages,
        }
    }
}

/// The instant that servers agree on, as far as the shared row tells.
pub(crate) fn shared_now(service: Option<&Service>, cx: &Context<'_>) -> Timestamp {
    service.map_or(cx.now, |service| {
        service.shared_now(cx.now, &cx.policy.outage)
    })
}

/// The outages as one decision sees them: those recorded, and the one that is only noticed now.
///
/// The row is context, like the clock: decisions do not expect its version, since a beat moves it
/// every second. An older reading can miss only an outage that ends now, and that one is noticed
/// here by the age of the last beat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outages(Vec<Span>);

impl Outages {
    /// The outages known at `now`. Without a row (no worker ever ran) there are none.
    #[must_use]
    pub fn known_at(
        now: Timestamp,
        service: Option<&Service>,
        alive_since: Option<Timestamp>,
        policy: &OutagePolicy,
    ) -> Self {
        let Some(service) = service else {
            return Self::default();
        };
        let mut spans = service.outages.clone();
        if service.was_nobody_alive(now, alive_since, policy) {
            spans.push(Span {
                from: service.last_beat_at,
                to: now,
            });
        }
        Self(spans)
    }

    /// Those that a span has to do with.
    #[must_use]
    pub fn touching(&self, span: Span) -> Vec<Span> {
        let touches = |outage: &&Span| outage.overlap(span) > Seconds::ZERO;
        self.0.iter().filter(touches).copied().collect()
    }

    /// How much of a span some server was alive for.
    #[must_use]
    pub fn alive_within(&self, span: Span) -> Seconds {
        let out = self.0.iter().fold(Seconds::ZERO, |sum, outage| {
            sum.saturating_add(outage.overlap(span))
        });
        span.to.since(span.from).saturating_sub(out)
    }

    /// Whether somebody last heard at an instant was silent for longer than it may be while some
    /// server was there to hear it. After an outage it has the whole interval once more.
    #[must_use]
    pub fn was_silent(&self, heard_at: Timestamp, now: Timestamp, longest: Seconds) -> bool {
        let mut outages = self.0.clone();
        outages.sort_unstable();
        let mut since = heard_at;
        for outage in outages.into_iter().filter(|outage| outage.to > heard_at) {
            if outage.from.min(now).since(since) > longest {
                return true;
            }
            since = since.max(outage.to);
        }
        now.since(since) > longest
    }

    /// From when on somebody last heard at `heard_at` counts as silent: an outage since then
    /// starts the interval anew.
    #[must_use]
    pub fn silent_from(&self, heard_at: Timestamp) -> Timestamp {
        self.0
            .iter()
            .map(|outage| outage.to)
            .max()
            .map_or(heard_at, |end| end.max(heard_at))
    }
}

/// A worker says that its server is alive, and records the outage that it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat;

impl Command for Beat {
    type View = Snapshot;
    /// The outage that this beat ended, if any.
    type Reply = Option<Span>;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Snapshot, StoreError> {
        Snapshot::load(ports.store(), &[Read::Row(Key::Service(()))]).await
    }

    fn decide(&self, view: &Snapshot, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let row: Loaded<Service> = view.row(Key::Service(()));
        let mut draft = Draft::new();
        let mut ended = None;
        match row.value() {
            None => draft.insert(Service {
                last_beat_at: cx.now,
                outages: Vec::new(),
            }),
            Some(service) => {
                let policy = &cx.policy.outage;
                let is_due = cx.now.since(service.last_beat_at) >= policy.beat_seconds;
                if service.was_nobody_alive(cx.now, cx.alive_since, policy) {
                    let span = Span {
                        from: service.last_beat_at,
                        to: cx.now,
                    };
                    draft.journal(
                        cx.now,
                        Fact::Outage {
                            from: span.from,
                            to: span.to,
                        },
                    );
                    draft.update(&row, service.after_outage(span));
                    ended = Some(span);
                } else if is_due || service.is_nonsense(cx.now, policy) {
                    draft.update(
                        &row,
                        Service {
                            last_beat_at: cx.now,
                            ..service.clone()
                        },
                    );
                }
            }
        }
        Verdict::Done(Decision::granted(draft, ended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, to: u64) -> Span {
        Span {
            from: Timestamp::from_unix(from),
            to: Timestamp::from_unix(to),
        }
    }

    fn service(outages: &[Span], last_beat_at: u64) -> Service {
        Service {
            last_beat_at: Timestamp::from_unix(last_beat_at),
            outages: outages.to_vec(),
        }
    }

    fn known(service: &Service, now: u64) -> Outages {
        Outages::known_at(
            Timestamp::from_unix(now),
            Some(service),
            None,
            &OutagePolicy::default(),
        )
    }

    #[test]
    fn an_outage_is_neither_presence_nor_silence() {
        let outages = known(&service(&[span(110, 230)], 240), 240);
        assert_eq!(outages.alive_within(span(100, 240)), Seconds::new(20));
        assert_eq!(outages.alive_within(span(120, 200)), Seconds::ZERO);
        assert_eq!(outages.alive_within(span(240, 250)), Seconds::new(10));
        assert_eq!(
            outages.silent_from(Timestamp::from_unix(100)),
            Timestamp::from_unix(230)
        );
        assert_eq!(
            outages.silent_from(Timestamp::from_unix(235)),
            Timestamp::from_unix(235)
        );
    }

    #[test]
    fn an_outage_counts_before_anybody_recorded_it() {
        let before = service(&[], 100);
        assert_eq!(
            known(&before, 103),
            Outages(Vec::new()),
            "one late beat is no outage"
        );
        assert_eq!(known(&before, 104), Outages(alloc::vec![span(100, 104)]));
    }

    #[test]
    fn a_late_beat_is_no_outage_to_a_process_that_was_alive_all_the_time() {
        let before = service(&[], 100);
        let policy = OutagePolicy::default();
        for (alive_since, is_outage) in [(99, false), (100, false), (101, true)] {
            let since = Some(Timestamp::from_unix(alive_since));
            let outages =
                Outages::known_at(Timestamp::from_unix(130), Some(&before), since, &policy);
            assert_eq!(
                outages != Outages::default(),
                is_outage,
                "alive since {alive_since}"
            );
        }
    }

    #[test]
    fn servers_follow_the_clock_that_is_ahead_unless_it_is_nonsense() {
        let policy = OutagePolicy::default();
        let ahead = service(&[], 1_000);
        let shared = |now| ahead.shared_now(Timestamp::from_unix(now), &policy).unix();
        assert_eq!(shared(970), 1_000);
        assert_eq!(shared(940), 1_000);
        assert_eq!(shared(939), 939);
        assert_eq!(shared(1_001), 1_001);
    }

    #[test]
    fn without_a_beat_there_is_no_outage() {
        let never = Outages::known_at(
            Timestamp::from_unix(9),
            None,
            None,
            &OutagePolicy::default(),
        );
        assert_eq!(never.alive_within(span(0, 9)), Seconds::new(9));
    }

    #[test]
    fn the_oldest_outages_merge_when_there_are_too_many() {
        let mut row = service(&[], 0);
        for n in 0..=OUTAGES_KEPT_MAX as u64 {
            row = row.after_outage(span(n * 100, n * 100 + 10));
        }
        assert_eq!(row.outages.len(), OUTAGES_KEPT_MAX);
        assert_eq!(row.outages[0], span(0, 110));
        assert_eq!(row.outages[1], span(200, 210));
    }
}
