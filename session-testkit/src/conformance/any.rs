//! C1: any changeset gets the verdict of `apply`.
//!
//! A history of changesets that nobody would think of: few rows, few places, few identifiers, so
//! that they get into each other's way. A good part of them is refused. A world follows step by step,
//! and the port has to show what is in it.

use std::collections::BTreeMap;

use session_core::auth::Challenge;
use session_core::booking::{BookedSession, Host};
use session_core::changeset::{
    Changeset, Entry, Expect, Fact, Fence, Key, Lane, Record, Row, Version, World, Write, apply,
};
use session_core::escrow::BookingStatus;
use session_core::idempotency::IdempotencyRecord;
use session_core::journal::{BlockNumber, Chain};
use session_core::ledger::{
    AccountKey, AccountKind, Action, Guard, Order, Owner, Rail, Reason, Reference, SUM_MAX,
    Transfer,
};
use session_core::outbox::{Intent, IntentState};
use session_core::ports::Claim;
use session_core::room::{Closing, Room, Seat, Visibility};
use session_core::types::{Seconds, TransferId, Unit};

use super::broken::{Broken, same};
use super::dice::Dice;
use super::observe::{legal_claim, same_queues, same_rows, same_transfers};
use super::rows::{
    answer, at, booked, chain, connection, entry, gone, host, inserting, intent, nonce, plain,
    revenue, room, room_id, sealing, seat, service, wallet,
};
use super::stage::{MALFORMED, ROUND, Stage, Verdict};

/// C1.
pub(super) async fn any_changeset_gets_the_verdict_of_apply(stage: &Stage) -> Result<(), Broken> {
    let mut world = World::new();
    for chapter in 0..stage.effort.chapters {
        let mut author = Author::of(chapter);
        step(stage, &mut world, &author.rooms()).await?;
        for number in 0..stage.effort.steps {
            let changeset = author.changeset(&world);
            let during = |broken: Broken| {
                broken.during(format!("chapter {chapter}, step {number}, {changeset:#?}"))
            };
            step(stage, &mut world, &changeset).await.map_err(during)?;
            if author.dice.one_in(10) {
                let claim = author.claim();
                let claimed = stage.store().claim_due(&claim).await?;
                legal_claim(&mut world, &claim, &claimed).map_err(during)?;
            }
        }
        let ended = |broken: Broken| broken.during(format!("after chapter {chapter}"));
        same_rows(stage.store(), &world, &[]).await.map_err(ended)?;
        same_transfers(stage.store(), &world).await.map_err(ended)?;
    }
    same_queues(stage, &mut world).await
}

async fn step(stage: &Stage, world: &mut World, changeset: &Changeset) -> Result<(), Broken> {
    let expected = apply(world, changeset);
    let found = stage.commit(changeset).await?;
    let verdict: Verdict = match &expected {
        Ok(delta) => Ok(delta.receipt.clone()),
        Err(session_core::changeset::Rejection::Malformed(_)) => Err(MALFORMED),
        Err(why) => Err(why.clone()),
    };
    same("the verdict", &found, &verdict)?;
    if let Ok(delta) = expected {
        world.absorb(&delta);
    }
    Ok(())
}

const ROOMS: u8 = 3;

/// Writes a chapter on rows of its own.
struct Author {
    dice: Dice,
    first: u32,
}

impl Author {
    fn of(chapter: u32) -> Self {
        Self {
            dice: Dice::new(chapter.into()),
            first: chapter * ROUND,
        }
    }

    /// Seats refer to them, so that they stay.
    fn rooms(&self) -> Changeset {
        inserting((0..ROOMS).map(|n| room(self.first + u32::from(n))))
    }

    /// One of the first numbers of this chapter.
    fn number(&mut self, of: u8) -> u32 {
        self.first + u32::from(self.dice.small(of))
    }

    fn claim(&mut self) -> Claim {
        Claim {
            lane: self.dice.pick(&Lane::ALL).copied().unwrap_or(Lane::Seats),
            now: at(1000 + self.dice.roll(200)),
            lease: Seconds::new(self.dice.roll(50)),
            rows_max: usize::from(self.dice.small(4)),
        }
    }

    fn changeset(&mut self, world: &World) -> Changeset {
        let mut changeset = Changeset::default();
        for _ in 0..self.dice.roll(4) {
            let write = match self.dice.roll(6) {
                0 => self.sealing(world),
                _ => self.write(world),
            };
            let key = match &write {
                Write::Delete(key) => key.clone(),
                Write::Insert(row) | Write::Update(row) => row.key(),
            };
            changeset.expect.push(self.expectation(world, key.clone()));
            let is_due = world.work(&key).is_some();
            if self.dice.one_in(if is_due { 3 } else { 40 }) {
                changeset.expect.push(self.claimed(world, key));
            }
            changeset.rows.push(write);
        }
        if self.dice.one_in(4) {
            let relied_on = match self.dice.roll(9) {
                // Refused, whatever is there.
                0 if self.dice.one_in(4) => entry(self.number(60)).key(),
                0 => Key::Block(BlockNumber::new(u64::from(self.number(9)) + 1)),
                _ => self.row().key(),
            };
            changeset.expect.push(self.expectation(world, relied_on));
        }
        for _ in 0..self.dice.roll(4) {
            let resolution = self.resolution(world).filter(|_| self.dice.one_in(3));
            changeset
                .transfers
                .push(resolution.unwrap_or_else(|| self.order()));
        }
        if self.dice.one_in(6) {
            changeset.intents.push(self.intent());
        }
        if self.dice.one_in(12) {
            changeset.idempotency = Some(self.answer());
        }
        if self.dice.one_in(4) {
            let from = at(self.dice.roll(4));
            let told = Entry::new(at(9), Fact::Outage { from, to: at(8) });
            // Some are told again, some are of one changeset twice, some are new.
            changeset.journal.push(told);
            let new = entry(self.number(60));
            changeset.journal.push(new);
        }
        changeset
    }

    /// True, most of the time.
    fn expectation(&mut self, world: &World, key: Key) -> Expect {
        let found = world.row(&key).map(|(version, _)| *version);
        match found {
            _ if self.dice.one_in(20) => Expect::At(key, Version::new(self.dice.roll(3))),
            Some(version) => Expect::At(key, version),
            None => Expect::Absent(key),
        }
    }

    /// True, most of the time, where the row is due.
    fn claimed(&mut self, world: &World, key: Key) -> Expect {
        let fence = world.work(&key).map_or(Fence::default(), |work| work.fence);
        let fence = if self.dice.one_in(6) {
            fence.next()
        } else {
            fence
        };
        Expect::Claimed(key, fence)
    }

    fn write(&mut self, world: &World) -> Write {
        let row = self.row();
        let is_there = world.row(&row.key()).is_some();
        let may_go = !matches!(row, Row::Room(_));
        match is_there {
            true if may_go && self.dice.one_in(5) => Write::Delete(row.key()),
            _ if self.dice.one_in(30) => Write::Insert(row),
            true => Write::Update(row),
            false => Write::Insert(row),
        }
    }

    /// A block of what is in none, most of the time.
    fn sealing(&mut self, world: &World) -> Write {
        let unsealed = world.unsealed();
        let mut names = Vec::new();
        for _ in 0..self.dice.roll(4) {
            // The oldest are those that are told over and over.
            let oldest = usize::try_from(self.dice.roll(3)).unwrap_or_default();
            names.extend(match self.dice.one_in(2) {
                true => unsealed.get(oldest),
                false => self.dice.pick(&unsealed),
            });
        }
        // Told or not, sealed or not.
        if self.dice.one_in(8) {
            names.push(entry(self.number(60)).id);
        }
        if !self.dice.one_in(8) {
            names.sort();
            names.dedup();
        }
        let taken = |n: u32| world.row(&sealing(n, []).key()).is_some();
        let first = self.first + 1;
        let free = (first..).find(|n| !taken(*n)).unwrap_or(first);
        match self.dice.roll(20) {
            0 => Write::Update(sealing(first, names).into()),
            1 => Write::Delete(sealing(first, names).key()),
            2 => Write::Insert(sealing(first, names).into()),
            3 => Write::Insert(entry(self.number(60)).into()),
            _ => Write::Insert(sealing(free, names).into()),
        }
    }

    fn chain(&mut self) -> Chain {
        Chain {
            seal_at: at(1000 + self.dice.roll(200)),
            ..chain(self.dice.roll(99))
        }
    }

    fn row(&mut self) -> Row {
        match self.dice.roll(16) {
            6 => self.chain().into(),
            7 => self.host().into(),
            8 | 9 => self.booked().into(),
            0 => service(self.dice.roll(99)).into(),
            1 => self.challenge().into(),
            2 | 3 => self.room().into(),
            4 => self.answer().into(),
            5 => self.intent().into(),
            _ => self.seat().into(),
        }
    }

    fn challenge(&mut self) -> Challenge {
        let (n, byte) = (self.number(3), self.dice.small(3));
        Challenge {
            forget_at: at(1000 + self.dice.roll(200)),
            ..nonce(n, byte, 1000 + self.dice.roll(3))
        }
    }

    fn answer(&mut self) -> IdempotencyRecord {
        IdempotencyRecord {
            fingerprint: [self.dice.small(3); 16],
            expires_at: at(1000 + self.dice.roll(200)),
            ..answer(self.number(30))
        }
    }

    fn host(&mut self) -> Host {
        Host {
            accepting_bookings: self.dice.one_in(2),
            ..host(self.number(3))
        }
    }

    /// Few bookings, wallets and instants, so that lists have several.
    fn booked(&mut self) -> BookedSession {
        let mut session = booked(self.number(12));
        session.agreement.slot.host = wallet(self.number(3));
        session.agreement.slot.start_time = at(1000 + self.dice.roll(3));
        session.agreement.guest = wallet(self.number(3));
        let status = self.dice.pick(BookingStatus::ALL).copied();
        session.status = status.unwrap_or(BookingStatus::Booked);
        session.look_at = match self.dice.one_in(3) {
            true => None,
            false => Some(at(1000 + self.dice.roll(200))),
        };
        session
    }

    fn intent(&mut self) -> Intent {
        let states = [
            IntentState::Pending,
            IntentState::Submitted,
            IntentState::Confirmed,
        ];
        let n = self.number(2);
        let effect_of = if self.dice.one_in(20) {
            self.first + 9
        } else {
            n
        };
        Intent {
            effect: intent(effect_of).effect,
            state: self
                .dice
                .pick(&states)
                .copied()
                .unwrap_or(IntentState::Pending),
            due_at: at(1000 + self.dice.roll(200)),
            ..intent(n)
        }
    }

    fn room(&mut self) -> Room {
        let n = self.number(ROOMS);
        let open = Room {
            host: wallet(self.number(3)),
            visibility: if self.dice.one_in(3) {
                Visibility::Private
            } else {
                Visibility::Open
            },
            created_at: at(1000 + self.dice.roll(3)),
            ..room(n)
        };
        match self.dice.roll(4) {
            0 => open.closed(at(2000), Closing::HostLeft),
            1 => Room {
                unjoined_until: Some(at(1000 + self.dice.roll(200))),
                live_seats: 0,
                ..open
            },
            _ => open,
        }
    }

    /// Few places, numbers and wallets, so that seats change places within one changeset.
    fn seat(&mut self) -> Seat {
        let live = Seat {
            connection: connection(self.number(8)),
            room: room_id(self.number(2)),
            wallet: wallet(self.number(6)),
            slot: self.dice.small(3),
            uid: std::num::NonZeroU32::MIN
                .saturating_add(self.dice.small(3).into())
                .into(),
            check_at: at(1000 + self.dice.roll(200)),
            ..seat(self.first, self.first)
        };
        if self.dice.one_in(3) {
            gone(live)
        } else {
            live
        }
    }

    /// Posts or voids a reservation that there is, for the first time or once more.
    fn resolution(&mut self, world: &World) -> Option<Order> {
        let mut open = BTreeMap::new();
        for transfer in world.transfers() {
            if matches!(transfer.action, Action::Pending { .. }) {
                open.insert(transfer.id, *transfer);
            }
        }
        for transfer in world.transfers() {
            if let Action::Post { of } | Action::Void { of } = transfer.action
                && !self.dice.one_in(40)
            {
                open.remove(&of);
            }
        }
        let open: Vec<Transfer> = open.into_values().collect();
        let reserved = *self.dice.pick(&open)?;
        let of = reserved.id;
        let (action, amount) = if self.dice.one_in(2) {
            (Action::Void { of }, reserved.amount)
        } else {
            let amount = match self.dice.one_in(20) {
                true => reserved.amount.saturating_add(1),
                false => 1 + self.dice.roll(reserved.amount),
            };
            (Action::Post { of }, amount)
        };
        let transfer = Transfer {
            id: self.transfer_id("resolution", 1000),
            action,
            amount,
            at: at(100 + self.dice.roll(10)),
            ..reserved
        };
        Some(plain(transfer))
    }

    /// Sound and covered, most of the time.
    fn order(&mut self) -> Order {
        let (debit, credit) = self.accounts();
        let may_owe = !debit.kind.never_negative();
        let amount = match self.dice.roll(30) {
            0 => 0,
            // A second one would pass the greatest sum.
            1 if may_owe => SUM_MAX,
            _ if may_owe => 1 + self.dice.roll(60),
            _ => 1 + self.dice.roll(9),
        };
        let action = match self.dice.roll(80) {
            0..20 => Action::Pending {
                deadline: at(99 + self.dice.roll(20)),
            },
            20 => Action::Post {
                of: self.transfer_id("any", 200),
            },
            21 => Action::Void {
                of: self.transfer_id("any", 200),
            },
            _ => Action::Posted,
        };
        let reference = if self.dice.one_in(2) {
            Reference::None
        } else {
            Reference::Connection(connection(self.number(2)))
        };
        let transfer = Transfer {
            id: self.transfer_id("any", 200),
            debit,
            credit,
            amount,
            action,
            reason: Reason::AdminAdjust,
            reference,
            at: at(100 + self.dice.roll(10)),
        };
        let guard = match self.dice.roll(8) {
            0..4 if !may_owe => Some(Guard::UpTo),
            4 => Some(Guard::AtLeast(self.dice.roll(6))),
            _ => None,
        };
        Order { transfer, guard }
    }

    /// Where from and where to: two accounts of one unit, most of the time.
    fn accounts(&mut self) -> (AccountKey, AccountKey) {
        let mut account = |kinds: &[AccountKind]| {
            let kind = self
                .dice
                .pick(kinds)
                .copied()
                .unwrap_or(AccountKind::Wallet);
            let owner = match kind {
                AccountKind::Revenue | AccountKind::External(_) => Owner::House,
                _ => Owner::Wallet(wallet(self.number(2))),
            };
            let unit = if self.dice.one_in(50) {
                Unit::Sats
            } else {
                Unit::Seconds
            };
            AccountKey::new(owner, kind, unit)
        };
        let debit = account(&[
            AccountKind::External(Rail::Lightning),
            AccountKind::GrantBase,
            AccountKind::Refundable,
            AccountKind::Wallet,
            AccountKind::Wallet,
        ]);
        let credit = account(&[
            AccountKind::Refundable,
            AccountKind::Revenue,
            AccountKind::Wallet,
            AccountKind::Wallet,
        ]);
        if debit == credit && !self.dice.one_in(10) {
            return (debit, revenue());
        }
        (debit, credit)
    }

    fn transfer_id(&mut self, domain: &str, of: u64) -> TransferId {
        let n = self.dice.roll(of).to_be_bytes();
        TransferId::derive(domain, &[&self.first.to_be_bytes(), &n])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::Effort;
    use super::*;

    #[test]
    fn a_good_part_of_a_history_is_refused_and_all_kinds_of_things_are_in_it() {
        let mut world = World::new();
        let (mut granted, mut refused) = (0, BTreeMap::new());
        for chapter in 0..Effort::CHAPTERS {
            let mut author = Author::of(chapter);
            let rooms = author.rooms();
            let history = (0..Effort::STEPS).map(|_| None);
            for first in std::iter::once(Some(rooms)).chain(history) {
                let changeset = first.unwrap_or_else(|| author.changeset(&world));
                match apply(&world, &changeset) {
                    Ok(delta) => {
                        granted += 1;
                        world.absorb(&delta);
                    }
                    Err(why) => {
                        // `Taken(Slot(`, without what is in it.
                        let text = format!("{why:?}");
                        let kind: String = text.split_inclusive('(').take(2).collect();
                        *refused.entry(kind).or_insert(0) += 1;
                    }
                }
            }
        }
        let refusals: i32 = refused.values().sum();
        assert!(granted > 200 && refusals > 200, "{granted}, {refused:?}");
        for kind in [
            "Conflict(Block(",
            "Conflict(",
            "Fenced(",
            "Malformed(",
            "Taken(ActiveRoomOf(",
            "Taken(LiveSeatOf(",
            "Taken(Slot(",
            "Taken(Uid(",
            "Ledger(DeadlinePassed(",
            "Ledger(IdMismatch(",
            "Ledger(Insufficient(",
            "Ledger(Malformed(",
            "Ledger(NotReserved(",
            "Ledger(Overflow(",
        ] {
            let count: i32 = refused
                .iter()
                .filter(|(refusal, _)| refusal.starts_with(kind))
                .map(|(_, count)| count)
                .sum();
            assert!(count > 0, "{kind} is missing in {refused:?}");
        }
        let kinds: HashSet<_> = world
            .rows()
            .map(|(_, _, row)| std::mem::discriminant(row))
            .collect();
        assert_eq!(kinds.len(), 12, "{kinds:?}");
        let unsealed = world.unsealed().len();
        assert!(
            unsealed > 20 && world.journal().count() > unsealed + 20,
            "{unsealed}"
        );
    }
}
