//! Presence: the stays of one party as a union of intervals (`settlement.md` section 5.2).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::outage::Span;
use crate::types::{Seconds, Timestamp};

/// One stay of one party, as it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(
    clippy::exhaustive_structs,
    reason = "the policy is made on these three"
)]
pub struct Stay {
    /// Since when.
    pub joined_at: Timestamp,
    /// When the party said that it leaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_at: Option<Timestamp>,
    /// The last proof of life, where its client gives any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<Timestamp>,
}

impl Stay {
    /// Whether it can be counted at all: one that begins after now, or ends before it began, is an
    /// anomaly.
    fn is_plausible(&self, now: Timestamp) -> bool {
        self.joined_at <= now && self.left_at.is_none_or(|left_at| left_at >= self.joined_at)
    }

    /// Its end, at the latest now, and how that is known.
    fn end(&self, now: Timestamp) -> (Timestamp, EndSource) {
        let (end, source) = match (self.left_at, self.last_seen_at) {
            // Whose stay ended where it was last heard did not say so.
            (Some(left_at), Some(seen_at)) if left_at == seen_at => (left_at, EndSource::LastSeen),
            (Some(left_at), _) => (left_at, EndSource::Left),
            (None, Some(seen_at)) => (seen_at.max(self.joined_at), EndSource::LastSeen),
            (None, None) => (now, EndSource::Open),
        };
        (end.min(now), source)
    }
}

/// How the end of an interval of presence is known. The later in this list, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the metrics know these three")]
pub enum EndSource {
    /// Nobody said that it ended: it lasts until the decision.
    Open,
    /// By the last proof of life, or because from then on no server was there to see one.
    LastSeen,
    /// The party said so.
    Left,
}

impl EndSource {
    /// The word in the metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::LastSeen => "last_seen",
            Self::Left => "left",
        }
    }
}

/// An interval of presence: its first second, the second after its last, and how its end is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "the metrics tell these three")]
pub struct Interval {
    /// From when on.
    pub from: Timestamp,
    /// Up to when, not included.
    pub to: Timestamp,
    /// How the end is known.
    pub source: EndSource,
}

impl Interval {
    const fn span(&self) -> Span {
        Span {
            from: self.from,
            to: self.to,
        }
    }
}

/// When one party was there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Presence {
    /// Within the session: apart from each other, in order, none empty.
    pub intervals: Vec<Interval>,
    /// The first join and the last end, wherever they lie; `None` where no stay counts.
    pub recorded: Option<(Timestamp, Timestamp)>,
    /// Stays that were thrown away.
    pub anomalies: u64,
}

impl Presence {
    /// The presence of a party within the session, as far as it is known now.
    ///
    /// What lies in an outage counts as neither presence nor absence: nobody could have been
    /// heard. Outages come in any order.
    #[must_use]
    pub fn of(stays: &[Stay], session: Span, outages: &[Span], now: Timestamp) -> Self {
        let mut presence = Self::default();
        let mut pieces = Vec::with_capacity(stays.len());
        for stay in stays {
            if !stay.is_plausible(now) {
                presence.anomalies = presence.anomalies.saturating_add(1);
                continue;
            }
            let (end, source) = stay.end(now);
            let (first, last) = presence.recorded.unwrap_or((stay.joined_at, end));
            presence.recorded = Some((first.min(stay.joined_at), last.max(end)));
            pieces.push(Interval {
                from: stay.joined_at.max(session.from),
                to: end.min(session.to),
                source,
            });
        }
        presence.intervals = cut(&union(pieces), outages);
        presence
    }

    /// The same party if it were there from now to the end of the session, and every stay that it
    /// did not leave lasted as long.
    pub(super) fn at_best(
        stays: &[Stay],
        session: Span,
        outages: &[Span],
        now: Timestamp,
    ) -> Vec<Interval> {
        let plausible = stays.iter().filter(|stay| stay.is_plausible(now));
        let known = plausible.map(|stay| Interval {
            from: stay.joined_at.max(session.from),
            to: stay
                .left_at
                .map_or(session.to, |left| left.min(now).min(session.to)),
            source: EndSource::Open,
        });
        let to_come = Interval {
            from: now.max(session.from),
            to: session.to,
            source: EndSource::Open,
        };
        cut(&union(known.chain([to_come]).collect()), outages)
    }

    /// For how long the party was there.
    #[must_use]
    pub fn seconds(&self) -> Seconds {
        total(self.intervals.iter().map(Interval::span))
    }

    /// For how long both were.
    #[must_use]
    pub fn together(&self, other: &Self) -> Seconds {
        total(meeting(&self.intervals, &other.intervals))
    }

    /// For how long the party was there within a span and the other was not.
    #[must_use]
    pub fn alone(&self, other: &Self, within: Span) -> Seconds {
        let there = self.intervals.iter().map(|own| clip(own.span(), within));
        let both = meeting(&self.intervals, &other.intervals).map(|span| clip(span, within));
        total(there).saturating_sub(total(both))
    }
}

/// Intervals that overlap or touch become one, whose end is known as that of the one that ends
/// last; of two that end together, as the better known.
fn union(mut pieces: Vec<Interval>) -> Vec<Interval> {
    pieces.retain(|piece| piece.from < piece.to);
    pieces.sort_by_key(|piece| piece.from);
    let mut union: Vec<Interval> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match union.last_mut() {
            Some(last) if piece.from <= last.to => {
                if (piece.to, piece.source) > (last.to, last.source) {
                    last.to = piece.to;
                    last.source = piece.source;
                }
            }
            _ => union.push(piece),
        }
    }
    union
}

/// What remains of a union outside the outages.
fn cut(union: &[Interval], outages: &[Span]) -> Vec<Interval> {
    // Whoever checks a document has no word on its outages: one that ends before it begins must not
    // make presence out of nothing.
    let is_some = |outage: &&Span| outage.from < outage.to;
    let mut outages: Vec<Span> = outages.iter().filter(is_some).copied().collect();
    outages.sort_unstable();
    let mut rest = Vec::with_capacity(union.len());
    let mut first_later = 0;
    for interval in union {
        let mut left = *interval;
        // Outages may overlap each other, so one that ends early may follow one that ends late:
        // only those before the first that is not over yet are done with.
        while outages
            .get(first_later)
            .is_some_and(|outage| outage.to <= left.from)
        {
            first_later = first_later.saturating_add(1);
        }
        for outage in outages.iter().skip(first_later) {
            if outage.from >= left.to {
                break;
            }
            if left.from < outage.from {
                rest.push(Interval {
                    to: outage.from,
                    source: EndSource::LastSeen,
                    ..left
                });
            }
            left.from = left.from.max(outage.to);
        }
        if left.from < left.to {
            rest.push(left);
        }
    }
    rest
}

/// Where two unions meet, in order.
fn meeting<'a>(one: &'a [Interval], other: &'a [Interval]) -> impl Iterator<Item = Span> + 'a {
    let (mut one, mut other) = (one.iter().peekable(), other.iter().peekable());
    core::iter::from_fn(move || {
        loop {
            let (a, b) = (one.peek()?.span(), other.peek()?.span());
            let both = clip(a, b);
            if a.to <= b.to {
                one.next();
            } else {
                other.next();
            }
            if both.from < both.to {
                return Some(both);
            }
        }
    })
}

/// What two spans share; empty, and maybe the wrong way round, where they share nothing.
fn clip(one: Span, other: Span) -> Span {
    Span {
        from: one.from.max(other.from),
        to: one.to.min(other.to),
    }
}

/// How long spans that lie apart last together.
pub(super) fn total(spans: impl Iterator<Item = Span>) -> Seconds {
    spans.fold(Seconds::ZERO, |sum, span| {
        sum.saturating_add(span.to.since(span.from))
    })
}

/// For how long both are there in two unions.
pub(super) fn shared(one: &[Interval], other: &[Interval]) -> Seconds {
    total(meeting(one, other))
}
