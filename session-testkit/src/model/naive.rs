//! Free rooms and their credit, as plainly as possible.
//!
//! Every second that somebody sits in a room is put on a list; metering takes seconds off the list
//! one by one and pays each with one second of credit, unless no server was alive in it. Nothing
//! here is shared with the core but the identity of wallets.

use std::collections::{BTreeMap, BTreeSet};

use session_core::types::Wallet;

use super::steps::Beginning;

/// What a request is answered, without what only the core can know (identifiers, tokens).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "drivers translate every answer")]
pub enum Said {
    /// To a heartbeat.
    Beaten {
        /// Credit left.
        remaining: u64,
        /// What the participant is told.
        notices: Vec<Notice>,
    },
    /// To a request for the bonus.
    Bonus {
        /// Whether this request brought it.
        is_granted: bool,
        /// Credit left.
        remaining: u64,
    },
    /// A room was created.
    Created,
    /// A renewal was denied.
    Denied {
        /// Credit left.
        remaining: u64,
        /// What the participant is told.
        notices: Vec<Notice>,
    },
    /// A seat was taken.
    Joined {
        /// Credit left.
        remaining: u64,
        /// Whether the room is the caller's.
        is_host: bool,
    },
    /// A stay was ended by its client.
    Left {
        /// Paid for the whole stay.
        charged: u64,
        /// Credit left.
        remaining: u64,
        /// Whether the room closed with it.
        closed: bool,
    },
    /// A request was refused.
    Refused(Refusal),
    /// A renewal was granted.
    Renewed {
        /// Credit left.
        remaining: u64,
        /// What the participant is told.
        notices: Vec<Notice>,
    },
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "drivers translate every refusal")]
pub enum Refusal {
    /// It hosts a room.
    AlreadyHosting,
    /// It sits in a room.
    AlreadyInRoom,
    /// No base grant and no name.
    NameRequired,
    /// No such live stay of this wallet.
    NotYourConnection,
    /// Not verified.
    NotVerified,
    /// No free place.
    RoomFull,
    /// No such active room.
    RoomNotFound,
    /// Less than 90 s of credit.
    TooLittle(u64),
}

/// Something a participant is told once in a stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    /// Whether all credit is gone; else it is low.
    pub is_exhausted: bool,
    /// Credit left when it was noticed.
    pub remaining: u64,
    /// Up to which second that was.
    pub at: u64,
}

/// What a worker was seen doing: when a worker looks is its own affair, what it does is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Stays that were metered and went on.
    pub metered: BTreeSet<usize>,
    /// Stays that were ended.
    pub ended: BTreeSet<usize>,
}

/// The credit of a wallet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Purse {
    /// Base grant so far.
    pub base: u64,
    /// Bonus so far.
    pub bonus: u64,
    /// Seconds paid for.
    pub used: u64,
    is_named: bool,
    is_verified: bool,
}

impl Purse {
    /// Credit left.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.base + self.bonus - self.used
    }
}

/// A room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Who created it.
    pub host: Wallet,
    /// Whether it is in the public list.
    pub is_open: bool,
    /// Whether it takes participants.
    pub is_active: bool,
    created: u64,
    was_joined: bool,
}

/// One stay of one wallet in one room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// Which room.
    pub room: usize,
    /// Who.
    pub wallet: Wallet,
    /// Whether it is over.
    pub is_over: bool,
    /// Seconds paid for in this stay.
    pub paid: u64,
    /// Metered up to here.
    pub metered_to: u64,
    /// The end of the last media token.
    pub lease_end: u64,
    last_call: u64,
    /// Seconds of presence that nobody has looked at yet.
    present: Vec<u64>,
    low_noticed: bool,
    exhausted_at: Option<u64>,
    notices: Vec<Notice>,
}

impl Stay {
    /// Up to where it is charged when its client did not just call.
    fn charged_until(&self, now: u64) -> u64 {
        now.min(self.lease_end.max(self.last_call))
    }
}

/// All of it.
#[derive(Debug, Clone)]
pub struct Naive {
    /// The present second.
    pub now: u64,
    /// The credit of every wallet.
    pub purses: BTreeMap<Wallet, Purse>,
    /// Every room ever, oldest first.
    pub rooms: Vec<Room>,
    /// Every stay ever, oldest first.
    pub stays: Vec<Stay>,
    last_beat: u64,
    dark_seconds: BTreeSet<u64>,
    dark_until: u64,
}

impl Naive {
    /// Wallets, and a server that is alive since this second.
    pub fn new(now: u64, wallets: impl IntoIterator<Item = (Wallet, Beginning)>) -> Self {
        let purse = |beginning: Beginning| Purse {
            base: beginning.base_seconds,
            is_named: beginning.is_named,
            is_verified: beginning.is_verified,
            ..Purse::default()
        };
        Self {
            now,
            purses: wallets
                .into_iter()
                .map(|(wallet, how)| (wallet, purse(how)))
                .collect(),
            rooms: Vec::new(),
            stays: Vec::new(),
            last_beat: now,
            dark_seconds: BTreeSet::new(),
            dark_until: 0,
        }
    }

    /// One second passes.
    pub fn tick(&mut self) {
        for stay in self.stays.iter_mut().filter(|stay| !stay.is_over) {
            stay.present.push(self.now);
        }
        self.now += 1;
    }

    /// A server says that it is alive.
    pub fn beat(&mut self) {
        if self.is_dark_now() {
            self.dark_seconds.extend(self.last_beat..self.now);
            self.dark_until = self.now;
        }
        self.last_beat = self.now;
    }

    /// A wallet gets a name.
    pub fn name(&mut self, wallet: Wallet) {
        self.purse(wallet).is_named = true;
    }

    /// A wallet asks for the bonus.
    pub fn verify(&mut self, wallet: Wallet) -> Said {
        let purse = self.purse(wallet);
        if !purse.is_verified {
            return Said::Refused(Refusal::NotVerified);
        }
        let is_granted = purse.bonus == 0;
        purse.bonus = 1800;
        Said::Bonus {
            is_granted,
            remaining: purse.left(),
        }
    }

    /// A wallet opens a room.
    pub fn create(&mut self, wallet: Wallet, is_open: bool) -> Said {
        if let Err(refusal) = self.pass_gate(wallet) {
            return Said::Refused(refusal);
        }
        if self.sits(wallet) {
            return Said::Refused(Refusal::AlreadyInRoom);
        }
        self.close_unjoined(|room| room.host == wallet);
        if self
            .rooms
            .iter()
            .any(|room| room.is_active && room.host == wallet)
        {
            return Said::Refused(Refusal::AlreadyHosting);
        }
        let (created, host) = (self.now, wallet);
        self.rooms.push(Room {
            host,
            is_open,
            is_active: true,
            created,
            was_joined: false,
        });
        Said::Created
    }

    /// A wallet takes a seat; `None` for a room that never was.
    pub fn join(&mut self, wallet: Wallet, room: Option<usize>) -> Said {
        if let Err(refusal) = self.pass_gate(wallet) {
            return Said::Refused(refusal);
        }
        if self.sits(wallet) {
            return Said::Refused(Refusal::AlreadyInRoom);
        }
        let is_there = |room: &usize| self.rooms[*room].is_active && !self.is_unjoined(*room);
        let Some(room) = room.filter(is_there) else {
            return Said::Refused(Refusal::RoomNotFound);
        };
        if self.participants(room) == 6 {
            return Said::Refused(Refusal::RoomFull);
        }
        self.rooms[room].was_joined = true;
        self.stays.push(Stay {
            room,
            wallet,
            is_over: false,
            paid: 0,
            metered_to: self.now,
            lease_end: self.now + 90,
            last_call: self.now,
            present: Vec::new(),
            low_noticed: false,
            exhausted_at: None,
            notices: Vec::new(),
        });
        let remaining = self.purse(wallet).left();
        Said::Joined {
            remaining,
            is_host: self.rooms[room].host == wallet,
        }
    }

    /// A wallet beats for a stay.
    pub fn heartbeat(&mut self, wallet: Wallet, stay: Option<usize>) -> Said {
        match self.call(wallet, stay) {
            Err(refusal) => Said::Refused(refusal),
            Ok((_, remaining, notices)) => Said::Beaten { remaining, notices },
        }
    }

    /// A wallet asks for another token for a stay.
    pub fn renew(&mut self, wallet: Wallet, stay: Option<usize>) -> Said {
        match self.call(wallet, stay) {
            Err(refusal) => Said::Refused(refusal),
            Ok((_, remaining, notices)) if remaining < 90 => Said::Denied { remaining, notices },
            Ok((stay, remaining, notices)) => {
                self.stays[stay].lease_end = self.now + 90;
                Said::Renewed { remaining, notices }
            }
        }
    }

    /// A wallet leaves a stay.
    pub fn leave(&mut self, wallet: Wallet, stay: Option<usize>) -> Said {
        let stay = match self.own_stay(wallet, stay) {
            Err(refusal) => return Said::Refused(refusal),
            Ok(stay) => stay,
        };
        self.meter(stay, self.now);
        let closed = self.end(stay);
        let remaining = self.purse(wallet).left();
        Said::Left {
            charged: self.stays[stay].paid,
            remaining,
            closed,
        }
    }

    /// Workers have looked at everything.
    ///
    /// # Errors
    /// A sentence, where a worker was seen ending a stay that it had no right to end, or did not
    /// do what it should have done by now.
    pub fn work(&mut self, seen: &Seen) -> Result<(), String> {
        self.close_unjoined(|_| true);
        for stay in 0..self.stays.len() {
            let is_used_up = self.used_up_for(stay) > 0 && seen.ended.contains(&stay);
            if !self.stays[stay].is_over && (self.is_silent(stay) || is_used_up) {
                self.end_silent(stay);
            }
        }
        for &stay in &seen.metered {
            self.meter(stay, self.stays[stay].charged_until(self.now));
        }
        for (index, stay) in self
            .stays
            .iter()
            .enumerate()
            .filter(|(_, stay)| !stay.is_over)
        {
            // A worker looks at a stay at least every 30 s, and meters it when that is as long
            // ago; so one that could be charged further is at most twice that behind.
            if self.now > stay.metered_to + 60 && stay.charged_until(self.now) > stay.metered_to {
                return Err(format!(
                    "stay {index} was not metered since {}",
                    stay.metered_to
                ));
            }
            if self.used_up_for(index) > 30 {
                return Err(format!(
                    "stay {index} has no credit and no lease and goes on"
                ));
            }
        }
        for &stay in &seen.ended {
            if !self.stays[stay].is_over {
                return Err(format!("stay {stay} was ended without a reason"));
            }
        }
        Ok(())
    }

    /// Participants of a room.
    #[must_use]
    pub fn participants(&self, room: usize) -> usize {
        self.stays
            .iter()
            .filter(|stay| !stay.is_over && stay.room == room)
            .count()
    }

    /// The public list, newest first: rooms and their participants.
    #[must_use]
    pub fn listed(&self) -> Vec<(usize, usize)> {
        let is_listed = |index: &usize| {
            let room = &self.rooms[*index];
            room.is_active && room.is_open && !self.is_unjoined(*index)
        };
        let newest_first = (0..self.rooms.len()).rev().filter(is_listed);
        newest_first
            .map(|room| (room, self.participants(room)))
            .collect()
    }

    fn purse(&mut self, wallet: Wallet) -> &mut Purse {
        self.purses.entry(wallet).or_default()
    }

    fn pass_gate(&mut self, wallet: Wallet) -> Result<(), Refusal> {
        let purse = self.purse(wallet);
        if purse.base == 0 {
            if !purse.is_named {
                return Err(Refusal::NameRequired);
            }
            purse.base = 1800;
        }
        if purse.left() < 90 {
            Err(Refusal::TooLittle(purse.left()))
        } else {
            Ok(())
        }
    }

    fn sits(&self, wallet: Wallet) -> bool {
        self.stays
            .iter()
            .any(|stay| !stay.is_over && stay.wallet == wallet)
    }

    fn is_unjoined(&self, room: usize) -> bool {
        let room = &self.rooms[room];
        !room.was_joined && self.now >= room.created + 120
    }

    fn close_unjoined(&mut self, which: impl Fn(&Room) -> bool) {
        for index in 0..self.rooms.len() {
            if self.is_unjoined(index) && which(&self.rooms[index]) {
                self.rooms[index].is_active = false;
            }
        }
    }

    /// A heartbeat or renewal: metered up to now.
    fn call(
        &mut self,
        wallet: Wallet,
        stay: Option<usize>,
    ) -> Result<(usize, u64, Vec<Notice>), Refusal> {
        let stay = self.own_stay(wallet, stay)?;
        self.meter(stay, self.now);
        self.stays[stay].last_call = self.now;
        let notices = std::mem::take(&mut self.stays[stay].notices);
        Ok((stay, self.purse(wallet).left(), notices))
    }

    /// The live stay of a caller. One that was silent for too long ends right here.
    fn own_stay(&mut self, wallet: Wallet, stay: Option<usize>) -> Result<usize, Refusal> {
        let is_own =
            |stay: &usize| !self.stays[*stay].is_over && self.stays[*stay].wallet == wallet;
        let stay = stay.filter(is_own).ok_or(Refusal::NotYourConnection)?;
        if self.is_silent(stay) {
            self.end_silent(stay);
            return Err(Refusal::NotYourConnection);
        }
        Ok(stay)
    }

    fn is_silent(&self, stay: usize) -> bool {
        let heard = self.stays[stay].last_call.max(self.dark_until);
        !self.is_dark_now() && self.now - heard > 90
    }

    /// For how many seconds a stay without credit and without a lease could have been ended.
    fn used_up_for(&self, stay: usize) -> u64 {
        let stay = &self.stays[stay];
        let has_credit = self
            .purses
            .get(&stay.wallet)
            .is_some_and(|purse| purse.left() > 0);
        match stay.exhausted_at {
            Some(at) if !stay.is_over && !has_credit => {
                (self.now.saturating_sub(at + 90)).min(self.now.saturating_sub(stay.lease_end))
            }
            Some(_) | None => 0,
        }
    }

    fn end_silent(&mut self, stay: usize) {
        self.meter(stay, self.stays[stay].charged_until(self.now));
        self.end(stay);
    }

    /// Ends a metered stay. The host takes the room with it, and so does the last one.
    fn end(&mut self, stay: usize) -> bool {
        self.stays[stay].is_over = true;
        let (room, wallet) = (self.stays[stay].room, self.stays[stay].wallet);
        let closes = self.rooms[room].host == wallet || self.participants(room) == 0;
        if closes {
            self.rooms[room].is_active = false;
            for other in 0..self.stays.len() {
                if !self.stays[other].is_over && self.stays[other].room == room {
                    self.meter(other, self.stays[other].charged_until(self.now));
                    self.stays[other].is_over = true;
                }
            }
        }
        closes
    }

    /// Pays for the seconds before `until`, one by one.
    fn meter(&mut self, stay: usize, until: u64) {
        let (due, later): (Vec<u64>, Vec<u64>) = self.stays[stay]
            .present
            .iter()
            .partition(|second| **second < until);
        let wallet = self.stays[stay].wallet;
        for second in due {
            if !self.was_dark(second) && self.purse(wallet).left() > 0 {
                self.purse(wallet).used += 1;
                self.stays[stay].paid += 1;
            }
        }
        let remaining = self.purse(wallet).left();
        let stay = &mut self.stays[stay];
        stay.present = later;
        stay.metered_to = stay.metered_to.max(until);
        let at = stay.metered_to;
        if remaining <= 300 && !stay.low_noticed {
            stay.low_noticed = true;
            stay.notices.push(Notice {
                is_exhausted: false,
                remaining,
                at,
            });
        }
        if remaining == 0 && stay.exhausted_at.is_none() {
            stay.exhausted_at = Some(at);
            stay.notices.push(Notice {
                is_exhausted: true,
                remaining,
                at,
            });
        }
    }

    /// Whether nobody has beaten for longer than a late beat takes.
    fn is_dark_now(&self) -> bool {
        self.now - self.last_beat > 3
    }

    fn was_dark(&self, second: u64) -> bool {
        self.dark_seconds.contains(&second) || self.is_dark_now() && second >= self.last_beat
    }
}
