//! What workers do with the rows they claim.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Ports;
use super::deliver::deliver;
use super::execute::{Answers, Command, Context, Decision, ExecuteError, Never, Verdict, execute};
use crate::auth::{Challenge, Revocation};
use crate::booking::{AttemptClass, Consider, Considered, NoteUnread, Trigger};
use crate::changeset::{Draft, Fence, Key, Lane, Loaded, Record, Rejection};
use crate::idempotency::IdempotencyRecord;
use crate::journal::{SealBlock, TendChain};
use crate::outage::{Beat, Span};
use crate::outbox::{Intent, IntentState};
use crate::ports::{Claim, Claimed, Read, Snapshot, StoreError};
use crate::room::{CheckSeat, CloseUnjoined, RoomEvent, SeatChecked};
use crate::types::Timestamp;

/// Rows that one pass over a lane claims at most.
pub const CLAIM_ROWS_MAX: usize = 64;

/// What one pass over a lane came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Worked {
    /// Rows claimed.
    pub claimed: usize,
    /// Rows at which something was done.
    pub changed: usize,
    /// Participants evicted.
    pub evicted: usize,
    /// Rooms closed.
    pub rooms_closed: usize,
    /// Booked sessions decided.
    pub decided: usize,
    /// Booked sessions whose window had closed.
    pub windows_missed: usize,
    /// Booked sessions that are decided and that nobody here may attest.
    pub blocked: usize,
    /// Entries of the journal sealed.
    pub sealed: usize,
    /// Intents that will not be tried again although they did not happen.
    pub given_up: usize,
    /// Rows that somebody else took over meanwhile.
    pub lost: usize,
    /// Rows that failed, and why; they come up again when the claim ends.
    pub failed: Vec<(Key, String)>,
}

/// Says that this server is alive. The outage that this ended, if any.
///
/// To be called before the first request is served and then once every
/// [`beat_seconds`](crate::outage::OutagePolicy::beat_seconds).
///
/// # Errors
/// [`ExecuteError`].
pub async fn beat(ports: &Ports) -> Result<Option<Span>, ExecuteError> {
    match execute(ports, &Beat).await? {
        Ok(ended) => Ok(ended),
        Err(never) => match never {},
    }
}

/// One pass over a lane: claims what is due and works on each row.
///
/// # Errors
/// [`ExecuteError`] where nothing could be claimed. Failures of single rows are counted.
pub async fn work_lane(ports: &Ports, lane: Lane) -> Result<Worked, ExecuteError> {
    if lane == Lane::Seal {
        // Whoever looks first begins the chain: there is nothing that an operator could forget.
        match execute(ports, &TendChain).await? {
            Ok(_) => {}
            Err(never) => match never {},
        }
    }
    let claim = Claim {
        lane,
        now: ports.clock.now(),
        lease: ports.policy.outbox.lease_seconds,
        rows_max: CLAIM_ROWS_MAX,
    };
    let mut worked = Worked::default();
    for Claimed { key, fence } in ports.store.claim_due(&claim).await? {
        worked.claimed = worked.claimed.saturating_add(1);
        match work_row(ports, &key, fence).await {
            Ok(done) => worked.count(done),
            Err(ExecuteError::Rejected(Rejection::Fenced(_))) => {
                worked.lost = worked.lost.saturating_add(1);
            }
            Err(error) => worked.failed.push((key, error.to_string())),
        }
    }
    Ok(worked)
}

#[derive(Clone, Copy, Default)]
struct Done {
    changed: bool,
    evicted: bool,
    room_closed: bool,
    decided: bool,
    window_missed: bool,
    blocked: bool,
    sealed: usize,
    given_up: bool,
}

impl Worked {
    fn count(&mut self, done: Done) {
        self.changed = self.changed.saturating_add(usize::from(done.changed));
        self.evicted = self.evicted.saturating_add(usize::from(done.evicted));
        self.rooms_closed = self
            .rooms_closed
            .saturating_add(usize::from(done.room_closed));
        self.decided = self.decided.saturating_add(usize::from(done.decided));
        self.blocked = self.blocked.saturating_add(usize::from(done.blocked));
        self.windows_missed = self
            .windows_missed
            .saturating_add(usize::from(done.window_missed));
        self.sealed = self.sealed.saturating_add(done.sealed);
        self.given_up = self.given_up.saturating_add(usize::from(done.given_up));
    }
}

async fn work_row(ports: &Ports, key: &Key, fence: Fence) -> Result<Done, ExecuteError> {
    let mut done = Done::default();
    match key {
        Key::Seat(connection) => {
            let check = CheckSeat {
                connection: *connection,
                fence,
            };
            match execute(ports, &check).await? {
                Ok(SeatChecked::Evicted { closed }) => {
                    done = Done {
                        changed: true,
                        evicted: true,
                        room_closed: closed,
                        ..done
                    };
                }
                Ok(SeatChecked::Metered) => done.changed = true,
                Ok(SeatChecked::Gone | SeatChecked::NotYet) => {}
                Err(never) => match never {},
            }
        }
        Key::Room(room) => {
            let close = CloseUnjoined { room: *room, fence };
            match execute(ports, &close).await? {
                Ok(closed) => {
                    done = Done {
                        changed: closed,
                        room_closed: closed,
                        ..done
                    }
                }
                Err(never) => match never {},
            }
        }
        Key::Intent(intent) => {
            let delivered = deliver(ports, *intent, Some(fence)).await?;
            done.changed = delivered.is_some();
            let is_failed = |intent: Intent| intent.state == IntentState::Failed;
            done.given_up = delivered.is_some_and(is_failed);
        }
        Key::Challenge(_) | Key::Idempotency(_) | Key::Revocation(_) | Key::RoomEvent(_) => {
            let expire = Expire {
                key: key.clone(),
                fence,
            };
            match execute(ports, &expire).await? {
                Ok(expired) => done.changed = expired,
                Err(never) => match never {},
            }
        }
        Key::Chain(()) => match execute(ports, &SealBlock { fence }).await? {
            Ok(sealed) => {
                done.changed = sealed > 0;
                done.sealed = sealed;
            }
            Err(never) => match never {},
        },
        Key::BookedSession(booking) => {
            let consider = Consider {
                key: *booking,
                trigger: Trigger::Due(fence),
            };
            let considered = match execute(ports, &consider).await {
                Err(ExecuteError::Port(unread)) => {
                    let note = NoteUnread {
                        key: *booking,
                        fence,
                        why: unread.to_string(),
                    };
                    match execute(ports, &note).await? {
                        Ok(()) => return Err(ExecuteError::Port(unread)),
                        Err(never) => match never {},
                    }
                }
                considered => considered?,
            };
            // Only whoever asks by hand is refused.
            if let Ok(considered) = considered {
                done.changed = considered != Considered::Nothing;
                done.decided = matches!(considered, Considered::Decided { .. });
                let class = match considered {
                    Considered::Noted(class) => Some(class),
                    Considered::Decided { .. } | Considered::Nothing => None,
                };
                done.window_missed = matches!(class, Some(AttemptClass::WindowMissed(_)));
                let is_blocked =
                    |class| matches!(class, AttemptClass::NoKey | AttemptClass::NotOracle);
                done.blocked = class.is_some_and(is_blocked);
            }
        }
        // These kinds are never due.
        Key::Account(_) | Key::Block(_) | Key::Entry(_) | Key::Host(_) | Key::Service(()) => {}
    }
    Ok(done)
}

/// A worker removes a claimed row that is past its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expire {
    /// Which row.
    pub key: Key,
    /// The fence of the claim under which this is done.
    pub fence: Fence,
}

/// A row that can expire.
#[derive(Debug, Clone)]
pub enum Expirable {
    /// A nonce.
    Challenge(Loaded<Challenge>),
    /// An answer kept for repeats.
    Idempotency(Loaded<IdempotencyRecord>),
    /// What has expired by itself.
    Revocation(Loaded<Revocation>),
    /// An event that everybody had time to hear of.
    RoomEvent(Loaded<RoomEvent>),
    /// A row of another kind, which never expires.
    Other,
}

impl Command for Expire {
    type View = Expirable;
    /// Whether it was removed.
    type Reply = bool;
    type Refusal = Never;

    async fn load(&self, ports: &Ports, _: &Context<'_>) -> Result<Self::View, StoreError> {
        let snapshot = Snapshot::load(ports.store(), &[Read::Row(self.key.clone())]).await?;
        Ok(match self.key {
            Key::Challenge(_) => Expirable::Challenge(snapshot.row(self.key.clone())),
            Key::Idempotency(_) => Expirable::Idempotency(snapshot.row(self.key.clone())),
            Key::Revocation(_) => Expirable::Revocation(snapshot.row(self.key.clone())),
            Key::RoomEvent(_) => Expirable::RoomEvent(snapshot.row(self.key.clone())),
            Key::Account(_)
            | Key::BookedSession(_)
            | Key::Block(_)
            | Key::Chain(())
            | Key::Entry(_)
            | Key::Host(_)
            | Key::Intent(_)
            | Key::Room(_)
            | Key::Seat(_)
            | Key::Service(()) => Expirable::Other,
        })
    }

    fn decide(&self, view: &Self::View, cx: &Context<'_>, _: &Answers) -> Verdict<Self> {
        let mut draft = Draft::new();
        draft.expect_claimed(self.key.clone(), self.fence);
        let expired = match view {
            Expirable::Challenge(row) => expire(row, cx.now, &mut draft),
            Expirable::Idempotency(row) => expire(row, cx.now, &mut draft),
            Expirable::Revocation(row) => expire(row, cx.now, &mut draft),
            Expirable::RoomEvent(row) => expire(row, cx.now, &mut draft),
            Expirable::Other => false,
        };
        Verdict::Done(Decision::granted(draft, expired))
    }
}

fn expire<T: Record>(row: &Loaded<T>, now: Timestamp, draft: &mut Draft) -> bool {
    let is_due = row
        .value()
        .and_then(Record::due)
        .is_some_and(|due| due.at <= now);
    if is_due {
        draft.delete(row);
    }
    is_due
}
