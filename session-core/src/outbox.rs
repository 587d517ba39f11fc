//! Intents: what will leave the process, written down before it does.
//!
//! An intent is committed with the change that caused it, performed after, and its outcome is
//! committed when known. Its class says what may be done when the process died in between.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::media::{Channel, MediaUid};
use crate::ports::Attestation;
use crate::types::{ConnectionId, IntentKey, Seconds, Timestamp};

/// How intents are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxPolicy {
    /// How long whoever performs an intent has before somebody else may take it over.
    pub lease_seconds: Seconds,
    /// Attempts before an intent is given up as failed.
    pub attempts_max: u32,
    /// The pause after the first failed attempt; each further one doubles it.
    pub retry_first_seconds: Seconds,
    /// The longest pause.
    pub retry_max_seconds: Seconds,
    /// For how long what may be done twice is tried, however often that is: nobody is harmed by one
    /// time more, and somebody by giving up.
    pub repeatable_for_seconds: Seconds,
}

impl Default for OutboxPolicy {
    fn default() -> Self {
        Self {
            lease_seconds: Seconds::new(30),
            attempts_max: 8,
            retry_first_seconds: Seconds::new(1),
            retry_max_seconds: Seconds::new(60),
            repeatable_for_seconds: Seconds::new(6 * 3600),
        }
    }
}

/// The longest note that is kept of what the outside said, in characters.
pub const NOTE_CHARS_MAX: usize = 500;

/// What may be done about an intent whose outcome is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "stores map every class")]
pub enum IntentClass {
    /// Never run again: what it held is given back and the loss is booked.
    AtMostOnce,
    /// The outside can be asked whether it happened.
    Queryable,
    /// Doing it twice is harmless.
    Repeatable,
}

/// How far an intent has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "the lifecycle is closed")]
pub enum IntentState {
    /// Written down; nothing has left the process.
    Pending,
    /// About to leave, or gone: from here on a crash leaves the outcome unknown.
    Submitted,
    /// It happened.
    Confirmed,
    /// It did not happen and will not.
    Failed,
    /// Nobody can say whether it happened.
    Unknown,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// Attest what came of a booked session. What came of the attempt, the chain says
    /// ([`deliver_attestation`](crate::booking::deliver_attestation)).
    Attest(Attestation),
    /// Put a participant out of a media channel, so that the rest of a lease is not a free ride.
    RemoveFromChannel {
        /// The channel.
        channel: Channel,
        /// Who is to go.
        uid: MediaUid,
        /// Whose stay it was, for vendors that know participants by it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<ConnectionId>,
    },
}

/// Something that will leave the process, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Derived from the cause, so that a cause has one intent.
    pub key: IntentKey,
    /// What may be done when the outcome is not known.
    pub class: IntentClass,
    /// What is to be done.
    pub effect: Effect,
    /// How far it has come.
    pub state: IntentState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is to be tried (again). Of a new intent that its own request performs, the end of
    /// that request's lease.
    pub due_at: Timestamp,
    /// When it was written down.
    pub created_at: Timestamp,
    /// What the outside said, shortened, for people.
    pub note: Option<String>,
}

/// What a port reports of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the outcomes are closed")]
pub enum Outcome {
    /// It happened.
    Done,
    /// It did not happen, and trying again is useless.
    Refused(String),
    /// It did not happen this time.
    NotDone(String),
    /// No answer: it may have happened.
    NoAnswer(String),
}

impl Intent {
    /// An intent due at once.
    #[must_use]
    pub const fn new(key: IntentKey, class: IntentClass, effect: Effect, now: Timestamp) -> Self {
        Self {
            key,
            class,
            effect,
            state: IntentState::Pending,
            attempts: 0,
            due_at: now,
            created_at: now,
            note: None,
        }
    }

    /// The same intent, to be performed by the request that commits it: workers leave it alone
    /// until the lease ends.
    #[must_use]
    pub fn leased_here(mut self, policy: &OutboxPolicy) -> Self {
        self.due_at = self.created_at.after(policy.lease_seconds);
        self
    }

    /// Whether nothing more will come of it.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        matches!(self.state, IntentState::Confirmed | IntentState::Failed)
    }

    /// The intent after an attempt.
    #[must_use]
    pub fn after(&self, outcome: &Outcome, now: Timestamp, policy: &OutboxPolicy) -> Self {
        let mut next = self.clone();
        next.attempts = self.attempts.saturating_add(1);
        let (state, note) = match outcome {
            Outcome::Done => (IntentState::Confirmed, None),
            Outcome::Refused(why) => (IntentState::Failed, Some(why)),
            Outcome::NotDone(why) => (IntentState::Pending, Some(why)),
            Outcome::NoAnswer(why) => match self.class {
                IntentClass::Repeatable => (IntentState::Pending, Some(why)),
                IntentClass::Queryable => (IntentState::Unknown, Some(why)),
                IntentClass::AtMostOnce => (IntentState::Failed, Some(why)),
            },
        };
        next.state = state;
        next.note = note.map(|said| shortened(said));
        // What can be asked is asked for ever: giving up would leave moved money without a grant.
        // And what asking found undone is tried once more, however often was asked.
        let may_go_on = self.class == IntentClass::Repeatable
            && now.since(self.created_at) < policy.repeatable_for_seconds;
        let exhausted = next.attempts >= policy.attempts_max
            && !may_go_on
            && state == IntentState::Pending
            && self.state != IntentState::Unknown;
        if exhausted {
            next.state = IntentState::Failed;
        }
        next.due_at = now.after(pause_after(next.attempts, policy));
        next
    }
}

/// What is kept of what the outside said, at most [`NOTE_CHARS_MAX`]: no character that some column
/// cannot hold.
pub(crate) fn shortened(said: &str) -> String {
    let kept = said.chars().filter(|character| *character != '\0');
    kept.take(NOTE_CHARS_MAX).collect()
}

fn pause_after(attempts: u32, policy: &OutboxPolicy) -> Seconds {
    let doublings = attempts.saturating_sub(1).min(32);
    let factor = 1u64.checked_shl(doublings).unwrap_or(u64::MAX);
    let pause = policy.retry_first_seconds.get().saturating_mul(factor);
    Seconds::new(pause).min(policy.retry_max_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(class: IntentClass) -> Intent {
        let effect = Effect::RemoveFromChannel {
            connection: None,
            channel: Channel::parse("c").unwrap(),
            uid: MediaUid::new(1).unwrap(),
        };
        Intent::new(
            IntentKey::derive("t", &[]),
            class,
            effect,
            Timestamp::from_unix(100),
        )
    }

    #[test]
    fn an_unknown_outcome_is_judged_by_the_class() {
        let policy = OutboxPolicy::default();
        let lost = Outcome::NoAnswer("timeout".into());
        let after = |class| {
            intent(class)
                .after(&lost, Timestamp::from_unix(100), &policy)
                .state
        };
        assert_eq!(after(IntentClass::Repeatable), IntentState::Pending);
        assert_eq!(after(IntentClass::Queryable), IntentState::Unknown);
        assert_eq!(after(IntentClass::AtMostOnce), IntentState::Failed);
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_attempts_end() {
        let policy = OutboxPolicy::default();
        let failed = Outcome::NotDone("503".into());
        let mut current = intent(IntentClass::Queryable);
        let mut pauses = std::vec::Vec::new();
        while !current.is_settled() {
            current = current.after(&failed, Timestamp::from_unix(0), &policy);
            pauses.push(current.due_at.unix());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(current.state, IntentState::Failed);
    }

    #[test]
    fn what_may_be_done_twice_is_tried_for_hours() {
        let policy = OutboxPolicy::default();
        let failed = Outcome::NotDone("503".into());
        let first = intent(IntentClass::Repeatable);
        let given_up_at = first.created_at.after(policy.repeatable_for_seconds);
        let (mut current, mut now) = (first.clone(), first.created_at);
        for _ in 0..1_000 {
            if current.is_settled() {
                break;
            }
            current = current.after(&failed, now, &policy);
            now = current.due_at;
        }
        assert_eq!(current.state, IntentState::Failed);
        assert!(now.before(policy.retry_max_seconds) >= given_up_at);
        let early = given_up_at.before(Seconds::new(1));
        let many = Intent {
            attempts: u32::MAX,
            ..first
        };
        assert!(!many.after(&failed, early, &policy).is_settled());
    }

    #[test]
    fn what_asking_found_undone_is_tried_again_however_often_was_asked() {
        let policy = OutboxPolicy::default();
        let mut current = intent(IntentClass::Queryable);
        for _ in 0..=policy.attempts_max {
            current = current.after(&Outcome::NoAnswer("?".into()), Timestamp::EPOCH, &policy);
        }
        let undone = current.after(&Outcome::NotDone("no".into()), Timestamp::EPOCH, &policy);
        assert_eq!(undone.state, IntentState::Pending);
        let again = undone.after(&Outcome::NotDone("no".into()), Timestamp::EPOCH, &policy);
        assert_eq!(again.state, IntentState::Failed);
    }

    #[test]
    fn what_the_outside_said_is_shortened_and_fits_every_column() {
        let said = std::format!("a\0b{}", "\u{1f600}".repeat(NOTE_CHARS_MAX));
        let policy = OutboxPolicy::default();
        let refused = intent(IntentClass::Queryable).after(
            &Outcome::Refused(said),
            Timestamp::EPOCH,
            &policy,
        );
        let note = refused.note.unwrap();
        assert_eq!(note.chars().count(), NOTE_CHARS_MAX);
        assert!(note.starts_with("ab\u{1f600}"), "{note}");
    }

    #[test]
    fn workers_leave_an_intent_alone_while_its_request_performs_it() {
        let leased = intent(IntentClass::Queryable).leased_here(&OutboxPolicy::default());
        assert_eq!(leased.due_at, Timestamp::from_unix(130));
    }
}
