//! `follows`: what is on record of who was there is what clients did, at the instants at which
//! servers heard of it; and every decision follows from that, by the policy worked out a second
//! time, second by second.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use session_core::attestation::{Evidence, Stay};
use session_core::booking::{
    AttachEvidence, BookedSession, Consider, DecidedBy, Decision, InvalidDecision, JoinSession,
    LeaveSession, OutcomeStatement, ProveLife, StateOutcome, Trigger,
};
use session_core::changeset::{Changeset, Fact, Row, Write};
use session_core::escrow::{BookingKey, Outcome, Side};
use session_core::outage::Span;
use session_core::types::{Timestamp, Wallet, Word};

use super::{By, Invariant, Seen, Truth};
use crate::sim::Request;
use crate::sim::by_seconds::Recorded;
use crate::sim::hub::{last_beat, signed};

/// How far the time that servers share is off true time at most, and a second more.
const CLOCKS_APART_SECONDS: u64 = 16;

/// A decision follows from what clients did.
#[derive(Debug, Default)]
pub struct Follows {
    /// What each task is for.
    acts: BTreeMap<u32, Act>,
    stays: BTreeMap<(BookingKey, Side), Vec<Stay>>,
    decisions: BTreeMap<BookingKey, Decision>,
    evidence: BTreeMap<BookingKey, BTreeSet<Evidence>>,
    stated: BTreeSet<(BookingKey, Wallet, Outcome, Word, u64)>,
    /// Outages on record, and the true time at which they were put there.
    outages: Vec<(Span, u64)>,
    /// Spans of true time in which no server ran.
    dead: Vec<(u64, u64)>,
    /// Since when none does.
    dead_since: Option<u64>,
    /// The block time that each task was told last.
    told: BTreeMap<(u32, BookingKey), Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Act {
    key: BookingKey,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Attests(Option<Outcome>),
    Joins(Wallet),
    Leaves(Wallet),
    Proves(Wallet),
}

/// The instants at which a task may have decided, all included.
#[derive(Debug, Clone, Copy)]
struct When {
    first: i64,
    last: i64,
}

impl When {
    /// What a clock showed, or the beat of another server that was ahead: known when the task
    /// looked, or by the time it wrote.
    fn of(by: By, truth: Truth<'_>) -> Self {
        let first = signed(by.looked_at) + by.ahead;
        let beat = last_beat(truth.world).map_or(first, signed);
        Self {
            first,
            last: first.max(beat),
        }
    }

    /// Whether something may have been put at an instant that is not to be before another.
    fn is(self, at: Timestamp, floor: Timestamp) -> bool {
        let (at, floor) = (signed(at.unix()), signed(floor.unix()));
        (self.first.max(floor)..=self.last.max(floor)).contains(&at)
    }
}

impl What {
    const fn wallet(self) -> Option<Wallet> {
        match self {
            Self::Joins(wallet) | Self::Leaves(wallet) | Self::Proves(wallet) => Some(wallet),
            Self::Attests(_) => None,
        }
    }
}

fn act_of(command: &dyn Any) -> Option<Act> {
    let (key, what) = if let Some(join) = command.downcast_ref::<JoinSession>() {
        (join.key, What::Joins(join.wallet))
    } else if let Some(leave) = command.downcast_ref::<LeaveSession>() {
        (leave.key, What::Leaves(leave.wallet))
    } else if let Some(prove) = command.downcast_ref::<ProveLife>() {
        (prove.key, What::Proves(prove.wallet))
    } else {
        let Consider {
            key,
            trigger: Trigger::Manual { force },
        } = command.downcast_ref::<Consider>()?
        else {
            return None;
        };
        (*key, What::Attests(*force))
    };
    Some(Act { key, what })
}

/// Whether one list of stays becomes the other by what a party did.
fn becomes(before: &[Stay], after: &[Stay], what: What, when: When, silent_after: i64) -> bool {
    let current = before.last().filter(|stay| stay.left_at.is_none());
    let kept = before.len() - usize::from(current.is_some());
    let Some(changed) = after.strip_prefix(&before[..kept]) else {
        return false;
    };
    let floor = |last: Option<&Stay>| last.and_then(|stay| stay.left_at).unwrap_or_default();
    let begins = |stay: &Stay, floor: Timestamp| {
        let proves = matches!(what, What::Proves(_));
        let seen = stay.last_seen_at;
        let is_heard = seen.map_or(!proves, |seen| proves && when.is(seen, stay.joined_at));
        when.is(stay.joined_at, floor) && stay.left_at.is_none() && is_heard
    };
    // Whoever was silent left when it was last heard.
    let was_silent = |stay: &Stay, own: &Stay| {
        own.last_seen_at.is_some_and(|seen| {
            let left = seen.max(own.joined_at);
            when.last - signed(seen.unix()) > silent_after
                && *stay
                    == (Stay {
                        left_at: Some(left),
                        ..*own
                    })
        })
    };
    let goes_on = |stay: &Stay, own: &Stay| {
        let floor = own.last_seen_at.unwrap_or(own.joined_at);
        stay.joined_at == own.joined_at && stay.last_seen_at.is_some_and(|at| when.is(at, floor))
    };
    match (what, current, changed) {
        (What::Joins(_), None, [new]) => begins(new, floor(before.last())),
        (What::Joins(_) | What::Proves(_), Some(own), [stay]) => {
            let may_begin = matches!(what, What::Proves(_)) || own.last_seen_at.is_some();
            may_begin && stay.left_at.is_none() && goes_on(stay, own)
        }
        (What::Joins(_) | What::Proves(_), Some(own), [ended, new]) => {
            was_silent(ended, own) && begins(new, floor(Some(ended)))
        }
        (What::Leaves(_), Some(own), [stay]) => {
            let left = stay.left_at.is_some_and(|at| when.is(at, own.joined_at));
            let is_heard = own.last_seen_at.is_none() && stay.last_seen_at.is_none()
                || own.last_seen_at.is_some() && goes_on(stay, own);
            was_silent(stay, own) || left && is_heard && stay.joined_at == own.joined_at
        }
        _ => false,
    }
}

impl Follows {
    fn asked(&mut self, task: u32, request: &Request) {
        let Some(command) = request.ask.command() else {
            return;
        };
        if let Some(act) = act_of(command) {
            self.acts.insert(task, act);
        } else if let Some(attach) = command.downcast_ref::<AttachEvidence>() {
            let attached = self.evidence.entry(attach.key).or_default();
            attached.insert(attach.evidence.clone());
        } else if let Some(state) = command.downcast_ref::<StateOutcome>() {
            let said = (state.outcome, state.metrics_hash, state.deadline);
            let (key, wallet) = (state.key, state.wallet);
            self.stated.insert((key, wallet, said.0, said.1, said.2));
        }
    }

    fn wrote(&mut self, by: By, changeset: &Changeset, truth: Truth<'_>) -> Result<(), String> {
        for entry in &changeset.journal {
            if let Fact::Outage { from, to } = entry.fact {
                self.outages.push((Span { from, to }, truth.now));
            }
        }
        for write in &changeset.rows {
            let (Write::Insert(Row::BookedSession(session))
            | Write::Update(Row::BookedSession(session))) = write
            else {
                continue;
            };
            self.wrote_stays(by, session, truth)?;
            let before = match &session.decision {
                Some(decision) => self.decisions.insert(session.key, decision.clone()),
                None => self.decisions.remove(&session.key),
            };
            if let Some(decision) = &session.decision
                && before.as_ref() != Some(decision)
            {
                let decided = self.decided(by, session, decision, truth);
                decided.map_err(|why| format!("the decision of {} {why}", session.key))?;
            }
        }
        Ok(())
    }

    fn wrote_stays(
        &mut self,
        by: By,
        session: &BookedSession,
        truth: Truth<'_>,
    ) -> Result<(), String> {
        let silent_after = truth.policy.bookings.silent_after_seconds.get();
        let act = self.acts.get(&by.task).filter(|act| act.key == session.key);
        for side in Side::ALL {
            let own = session.agreement.wallet(side);
            let after = &session.attendance(side).stays;
            let before = self.stays.entry((session.key, side)).or_default();
            if before == after {
                continue;
            }
            let what = act
                .map(|act| act.what)
                .filter(|what| what.wallet() == Some(own));
            let when = When::of(by, truth);
            let follows =
                what.is_some_and(|what| becomes(before, after, what, when, signed(silent_after)));
            if !follows {
                return Err(format!(
                    "the stays of the {} of {} do not follow: {what:?} at {when:?} made {:?} of \
                     {:?}",
                    side.name(),
                    session.key,
                    after.last(),
                    before.last()
                ));
            }
            before.clone_from(after);
        }
        Ok(())
    }

    fn decided(
        &self,
        by: By,
        session: &BookedSession,
        decision: &Decision,
        truth: Truth<'_>,
    ) -> Result<(), String> {
        let key = session.key;
        match decision.verify(&key, &session.agreement) {
            Ok(()) | Err(InvalidDecision::Forced) => {}
            Err(why) => return Err(format!("does not verify: {why}")),
        }
        let booked = truth.chains.and_then(|chains| chains.booked(&key));
        let booked = booked.ok_or("is of no booking")?;
        let when = When::of(by, truth);
        if !when.is(decision.decided_at, Timestamp::EPOCH) {
            return Err(format!("is of {}, made at {when:?}", decision.decided_at));
        }
        if self.told.get(&(by.task, key)) != Some(&decision.chain_now) {
            return Err(format!(
                "rests on {}, which nobody told",
                decision.chain_now
            ));
        }
        let attached = self.evidence.get(&key);
        let is_attached = |evidence: &Evidence| attached.is_some_and(|all| all.contains(evidence));
        if !decision.evidence.iter().all(is_attached) {
            return Err("rests on evidence that nobody attached".to_owned());
        }
        let act = self.acts.get(&by.task).map(|act| act.what);
        match &decision.by {
            DecidedBy::Force if act == Some(What::Attests(Some(decision.outcome))) => Ok(()),
            DecidedBy::Force => Err("was forced by nobody".to_owned()),
            DecidedBy::Statements { host, guest } => {
                let said = |statement: &OutcomeStatement, wallet| {
                    let OutcomeStatement {
                        outcome,
                        metrics_hash,
                        deadline,
                        ..
                    } = *statement;
                    (outcome, metrics_hash) == (decision.outcome, decision.metrics_hash)
                        && self
                            .stated
                            .contains(&(key, wallet, outcome, metrics_hash, deadline))
                };
                if said(host, booked.slot.host) && said(guest, booked.guest) {
                    Ok(())
                } else {
                    Err("is not what both parties said".to_owned())
                }
            }
            DecidedBy::Presence => {
                let stays = |side| self.stays.get(&(key, side)).map_or(&[][..], Vec::as_slice);
                let is_same =
                    decision.host == stays(Side::Host) && decision.guest == stays(Side::Guest);
                if !is_same {
                    return Err("is not made on the stays on record".to_owned());
                }
                self.outages_of(by, decision, booked.slot.start_time, booked.slot.end())?;
                let by_hand = matches!(act, Some(What::Attests(_)));
                let recorded = Recorded {
                    slot: &booked.slot,
                    host: &decision.host,
                    guest: &decision.guest,
                    outages: &decision.outages,
                    now: decision.decided_at.unix(),
                    settle_delay: if by_hand { 0 } else { 60 },
                };
                let outcome = recorded.outcome();
                if outcome == Some(decision.outcome) {
                    Ok(())
                } else {
                    Err(format!(
                        "is {}, and should be {outcome:?}",
                        decision.outcome
                    ))
                }
            }
        }
    }

    /// Spans in which nobody could be heard are those on record, and one that is only noticed now.
    fn outages_of(
        &self,
        by: By,
        decision: &Decision,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<(), String> {
        for outage in &decision.outages {
            let is_known = self.outages.iter().any(|(span, _)| span == outage);
            if !is_known && outage.to != decision.decided_at {
                return Err(format!("rests on an outage that was none: {outage:?}"));
            }
        }
        // By clocks that are wrong the first and the last seconds of it may lie elsewhere.
        for (from, to) in &self.dead {
            let first = (from + CLOCKS_APART_SECONDS).max(start.unix());
            let last = to.saturating_sub(CLOCKS_APART_SECONDS).min(end.unix());
            let middle = Timestamp::from_unix(u64::midpoint(first, last));
            let knows = |span: &Span| span.from <= middle && middle < span.to;
            let is_over = *to < by.looked_at && decision.decided_at > middle;
            if first < last && is_over && !decision.outages.iter().any(knows) {
                return Err(format!(
                    "counts {middle}, and nobody was alive from {from} to {to}"
                ));
            }
        }
        for (span, recorded_at) in &self.outages {
            let touches = span.from.max(start) < span.to.min(end);
            let is_known = decision.outages.contains(span);
            if touches && *recorded_at < by.looked_at && !is_known {
                return Err(format!("does not know of an outage: {span:?}"));
            }
        }
        Ok(())
    }
}

impl Invariant for Follows {
    fn name(&self) -> &'static str {
        "follows"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: Truth<'_>) -> Result<(), String> {
        match seen {
            Seen::Alive(true) => {
                let dead = self.dead_since.take().map(|since| (since, truth.now));
                self.dead.extend(dead);
            }
            Seen::Alive(false) => self.dead_since = Some(truth.now),
            Seen::Asked { task, request } => self.asked(*task, request),
            Seen::ChainRead { by, key, reading } => {
                self.told.insert((by.task, *key), reading.chain_now);
            }
            Seen::Committed { by, changeset, .. } => return self.wrote(*by, changeset, truth),
            _ => {}
        }
        Ok(())
    }
}
