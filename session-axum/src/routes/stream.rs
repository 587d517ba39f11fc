//! Server-sent events of a room.
//!
//! A stream is nothing but a place in the numbered events of its room: what is after it is read from
//! the store over and over, so that any server can go on where another one stopped. Whoever comes
//! without a place, or with one whose events are forgotten, is sent the whole room once (`reset`).

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream;
use serde_json::{Value, json};
use session_core::auth::Verified;
use session_core::ports::StoreError;
use session_core::room::{Departure, EventNumber, Happening, Room, RoomEvent, Seat, SeatState};
use session_core::service::{OwnRoom, own_room, room_events, stay_receipt};
use session_core::types::{ConnectionId, Wallet};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Interval;

use super::room_view::{RoomAnswer, told};
use crate::limits::Limits;
use crate::problem::{Code, Problem};
use crate::{App, shown};

/// How often the store is asked what is new.
pub(crate) const EVENTS_EVERY: Duration = Duration::from_secs(1);

/// How often a line without meaning is sent, so that nobody on the way takes the stream for dead.
pub(crate) const EVENTS_KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Events of one reading.
pub(crate) const EVENTS_PAGE: u32 = 100;

/// How often a reading may fail in a row before the stream ends: its client comes back, perhaps to
/// another server.
pub(crate) const EVENTS_FAILURES_MAX: u32 = 5;

/// Places for listeners, and the word that ends them all.
#[derive(Debug, Clone)]
pub(crate) struct Streams {
    places: Arc<Semaphore>,
    of_wallets: Arc<Mutex<HashMap<Wallet, VecDeque<Arc<Notify>>>>>,
    per_wallet_max: usize,
    ended: Arc<watch::Sender<bool>>,
}

impl Streams {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.streams_max)),
            of_wallets: Arc::default(),
            per_wallet_max: limits.streams_per_wallet_max,
            ended: Arc::new(watch::Sender::new(false)),
        }
    }

    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// A place for one more listener. Of a wallet that has all of its places the oldest ends: most
    /// likely it belongs to a connection that is gone without a word.
    pub(super) fn enter(&self, wallet: Wallet) -> Result<Place, Problem> {
        let permit = self.places.clone().try_acquire_owned();
        let permit = permit.map_err(|_| Problem::new(Code::Overloaded))?;
        let pushed_out = Arc::new(Notify::new());
        let mut of_wallets = self.lock();
        let places = of_wallets.entry(wallet).or_default();
        while places.len() >= self.per_wallet_max {
            match places.pop_front() {
                Some(oldest) => oldest.notify_one(),
                None => break,
            }
        }
        places.push_back(pushed_out.clone());
        drop(of_wallets);
        Ok(Place {
            wallet,
            pushed_out,
            streams: self.clone(),
            _permit: permit,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Wallet, VecDeque<Arc<Notify>>>> {
        // A panic elsewhere leaves a map that is whole.
        self.of_wallets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener's place, for as long as it listens.
#[derive(Debug)]
pub(super) struct Place {
    wallet: Wallet,
    pushed_out: Arc<Notify>,
    streams: Streams,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of_wallets = self.streams.lock();
        if let Some(places) = of_wallets.get_mut(&self.wallet) {
            places.retain(|place| !Arc::ptr_eq(place, &self.pushed_out));
            if places.is_empty() {
                of_wallets.remove(&self.wallet);
            }
        }
    }
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// After an event that the client has.
    After(EventNumber),
    /// With the whole room.
    Reset,
}

impl Start {
    /// After what a client names as the last it has heard of, unless the room has not come that far:
    /// then it is of another room, or no number.
    pub(super) fn of(asked: Option<&str>, room: &Room) -> Self {
        let number = asked.and_then(|text| text.parse().ok());
        let number = number.map(EventNumber::new);
        number
            .filter(|number| *number <= room.last_event)
            .map_or(Self::Reset, Self::After)
    }
}

/// Who listens.
pub(super) struct Listener {
    pub(super) app: App,
    pub(super) wallet: Wallet,
    /// By which token; `None` where the host knows the caller.
    pub(super) token: Option<Verified>,
    /// Given back when nobody listens any more.
    pub(super) place: Place,
}

/// A stream under way.
struct Listening {
    listener: Listener,
    found: OwnRoom,
    after: EventNumber,
    ready: VecDeque<Event>,
    is_over: bool,
    failures: u32,
    ticks: Interval,
    ended: watch::Receiver<bool>,
}

impl Listener {
    /// The stream; `None` where the stay that it would tell of is over and told.
    pub(super) async fn listen(
        self,
        found: OwnRoom,
        start: Start,
    ) -> Result<Option<impl IntoResponse>, Problem> {
        let mut ticks = tokio::time::interval(EVENTS_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut listening = Listening {
            ended: self.app.streams().ended.subscribe(),
            listener: self,
            after: found.room.last_event,
            found,
            ready: VecDeque::new(),
            is_over: false,
            failures: 0,
            ticks,
        };
        match start {
            Start::Reset => listening.reset(),
            Start::After(number) => {
                listening.after = number;
                // Where nothing of a page is told, what is wanted may be on the next.
                let last = listening.found.room.last_event;
                loop {
                    let before = listening.after;
                    listening.look().await?;
                    let is_done = listening.is_over || !listening.ready.is_empty();
                    if is_done || listening.after >= last || listening.after == before {
                        break;
                    }
                }
            }
        }
        let is_told = listening.ready.is_empty();
        if is_told && (listening.own_ended() || !listening.found.room.is_active()) {
            return Ok(None);
        }
        let events = stream::unfold(listening, |mut listening| async {
            let event = listening.next().await?;
            Some((Ok::<_, Infallible>(event), listening))
        });
        Ok(Some(
            Sse::new(events).keep_alive(KeepAlive::new().interval(EVENTS_KEEP_ALIVE)),
        ))
    }
}

impl Listening {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_over {
                return None;
            }
            tokio::select! {
                biased;
                _ = self.ended.wait_for(|is_ended| *is_ended) => return None,
                () = self.listener.place.pushed_out.notified() => return None,
                _ = self.ticks.tick() => {}
            }
            match self.look_if_allowed().await {
                Ok(true) => self.failures = 0,
                Ok(false) => return None,
                Err(error) => {
                    self.failures += 1;
                    let (error, failures) = (shown::in_full(&error), self.failures);
                    tracing::warn!(error, failures, "events cannot be read");
                    if self.failures >= EVENTS_FAILURES_MAX {
                        return None;
                    }
                }
            }
        }
    }

    /// Looks for what is new, if the token that was good at the beginning still is.
    async fn look_if_allowed(&mut self) -> Result<bool, StoreError> {
        let Listener { app, token, .. } = &self.listener;
        if let Some(token) = token {
            let is_over = token.claims.exp < app.ports().clock.now();
            if is_over || app.revoked().holds(token.id, app.ports()).await? {
                return Ok(false);
            }
        }
        self.look().await?;
        Ok(true)
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let Listener { app, wallet, .. } = &self.listener;
        let room = self.found.room.id;
        let Some((events, last)) = room_events(app.ports(), room, self.after, EVENTS_PAGE).await?
        else {
            self.is_over = true;
            return Ok(());
        };
        let first = events.first().map_or(last.next(), |event| event.key.number);
        if first != self.after.next() {
            // What is between has been forgotten.
            let (app, wallet) = (app.clone(), *wallet);
            match own_room(app.ports(), room, wallet).await? {
                Some(found) => {
                    self.found = found;
                    self.reset();
                }
                None => self.is_over = true,
            }
            return Ok(());
        }
        for event in events {
            // One in the middle may have been forgotten before an earlier one.
            if event.key.number != self.after.next() {
                break;
            }
            self.tell(&event).await?;
            self.after = event.key.number;
            self.follow(&event).await?;
            if self.is_over {
                break;
            }
        }
        Ok(())
    }

    /// The whole room, as it was found last.
    fn reset(&mut self) {
        let app = &self.listener.app;
        let room = RoomAnswer::of(&self.found, app);
        self.after = self.found.room.last_event;
        let body = json!({ "type": "reset", "room": room });
        self.ready.push_back(event("reset", self.after, &body));
        self.is_over = !self.found.room.is_active() || self.own_ended();
    }

    async fn tell(&mut self, happened: &RoomEvent) -> Result<(), StoreError> {
        // What happened before a participant came is not told to it; of a host's room, all is.
        let is_host = self.found.room.host == self.listener.wallet;
        let own = self.found.own.as_ref();
        // The end of the room is everybody's, whatever the clocks of two servers say.
        let closes = matches!(happened.what, Happening::Closed { .. });
        if !is_host && !closes && own.is_some_and(|seat| happened.at < seat.joined_at) {
            return Ok(());
        }
        if let Some(SeatState::Gone { at, why }) = own.map(|seat| seat.state)
            && happened.at > at
            && !(closes && why == Departure::RoomClosed)
        {
            self.is_over = true;
            return Ok(());
        }
        let own = own.map(|seat| seat.connection);
        let ends_own = happened.what.ends().is_some_and(|ended| own == Some(ended));
        let receipt = match own.filter(|_| closes || ends_own) {
            Some(connection) => self.receipt(connection).await?,
            None => None,
        };
        let body = told(happened, &self.found, self.listener.wallet, receipt);
        if let Some(body) = body {
            let told = event(happened.what.name(), happened.key.number, &body);
            self.ready.push_back(told);
        }
        // A host goes on listening to its room, if it goes on without the host.
        self.is_over = closes || ends_own;
        Ok(())
    }

    /// A host that comes in later has a stay of its own from then on.
    async fn follow(&mut self, happened: &RoomEvent) -> Result<(), StoreError> {
        let joins = matches!(
            happened.what,
            Happening::Joined { wallet, .. } if wallet == self.listener.wallet
        );
        if joins && !self.is_over {
            let ports = self.listener.app.ports();
            let found = own_room(ports, happened.key.room, self.listener.wallet).await?;
            if let Some(found) = found {
                self.found.own = found.own;
            }
        }
        Ok(())
    }

    async fn receipt(&self, connection: ConnectionId) -> Result<Option<String>, StoreError> {
        let Listener { app, wallet, .. } = &self.listener;
        let ended = stay_receipt(app.ports(), *wallet, connection).await?;
        Ok(ended.and_then(|receipt| app.receipt(&receipt)))
    }

    fn own_ended(&self) -> bool {
        let own = self.found.own.as_ref();
        own.is_some_and(|seat: &Seat| !seat.is_live())
    }
}

fn event(name: &str, number: EventNumber, body: &Value) -> Event {
    // A text of JSON has no line breaks, which alone could not be sent.
    Event::default()
        .event(name)
        .id(number.to_string())
        .data(body.to_string())
}
