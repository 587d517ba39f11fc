//! Any changeset gets the verdict that the reference store gives it, and leaves the same world.

use session_core::auth::{Challenge, ChallengeKey};
use session_core::changeset::{Changeset, Expect, Fence, Key, Lane, Row, Version, World, Write};
use session_core::ledger::{
    AccountKey, AccountKind, Action, Guard, Order, Owner, Rail, Reason, Reference, Transfer,
};
use session_core::media::MediaUid;
use session_core::outage::Service;
use session_core::ports::{Claim, Read, Store};
use session_core::room::{Closing, Departure, Room, RoomState, Seat, SeatState, Visibility};
use session_core::types::{Seconds, TransferId, Unit};
use session_testkit::memory::MemoryStore;

use crate::common::{
    Dice, assert_same_world, at, connection_id, fresh, inserting, room, room_id, seat, wallet,
};

const SEEDS: u64 = 12;
const STEPS: usize = 150;

#[tokio::test]
async fn any_changeset_gets_the_same_verdict() {
    let (mut granted, mut refused) = (0, 0);
    for seed in 0..SEEDS {
        let memory = MemoryStore::new();
        let opened = fresh().await;
        let rooms = inserting((1..=3).map(room));
        memory.commit(&rooms).await.unwrap();
        opened.store.commit(&rooms).await.unwrap();
        let mut dice = Dice::new(seed);
        for step in 0..STEPS {
            let changeset = any_changeset(&mut dice, &memory.world());
            let expected = memory.commit(&changeset).await;
            let found = opened.store.commit(&changeset).await;
            assert_eq!(found, expected, "seed {seed}, step {step}: {changeset:#?}");
            if expected.is_ok() {
                granted += 1;
            } else {
                refused += 1;
            }
            if dice.one_in(10) {
                let claim = any_claim(&mut dice);
                let expected = memory.claim_due(&claim).await.unwrap();
                let found = opened.store.claim_due(&claim).await.unwrap();
                assert_eq!(found, expected, "seed {seed}, step {step}: {claim:?}");
            }
        }
        assert_same_world(&memory.world(), &opened).await;
        let lists = lists();
        let expected = memory.read(&lists).await.unwrap();
        assert_eq!(
            opened.store.read(&lists).await.unwrap(),
            expected,
            "seed {seed}"
        );
    }
    assert!(
        granted > 300 && refused > 300,
        "{granted} granted, {refused} refused"
    );
}

fn lists() -> Vec<Read> {
    let mut lists = vec![Read::ActiveOpenRooms(2), Read::ActiveOpenRooms(50)];
    for n in 0..6 {
        lists.push(Read::ActiveRoomOf(wallet(n)));
        lists.push(Read::ChallengesOf(wallet(n)));
        lists.push(Read::LiveSeatOf(wallet(n)));
    }
    lists.extend((1..=3).map(|n| Read::LiveSeatsIn(room_id(n))));
    lists
}

fn any_claim(dice: &mut Dice) -> Claim {
    Claim {
        lane: *dice.pick(&Lane::ALL).unwrap(),
        now: at(1000 + dice.roll(200)),
        lease: Seconds::new(dice.roll(50)),
        rows_max: usize::try_from(dice.roll(4)).unwrap(),
    }
}

fn any_changeset(dice: &mut Dice, world: &World) -> Changeset {
    let mut changeset = Changeset::default();
    for _ in 0..dice.roll(4) {
        let write = any_write(dice, world);
        let key = match &write {
            Write::Delete(key) => key.clone(),
            Write::Insert(row) | Write::Update(row) => row.key(),
        };
        changeset
            .expect
            .push(any_expectation(dice, world, key.clone()));
        if dice.one_in(6) {
            let fence = world.work(&key).map_or(Fence::default(), |work| work.fence);
            let fence = if dice.one_in(4) { fence.next() } else { fence };
            changeset.expect.push(Expect::Claimed(key, fence));
        }
        changeset.rows.push(write);
    }
    for _ in 0..dice.roll(4) {
        let resolution = any_resolution(dice, world).filter(|_| dice.one_in(3));
        changeset
            .transfers
            .push(resolution.unwrap_or_else(|| any_order(dice)));
    }
    changeset
}

/// True, most of the time.
fn any_expectation(dice: &mut Dice, world: &World, key: Key) -> Expect {
    let found = world.row(&key).map(|(version, _)| *version);
    match found {
        _ if dice.one_in(30) => Expect::At(key, Version::new(dice.roll(3))),
        Some(version) => Expect::At(key, version),
        None => Expect::Absent(key),
    }
}

fn any_write(dice: &mut Dice, world: &World) -> Write {
    let row = any_row(dice);
    let is_there = world.row(&row.key()).is_some();
    // Rooms stay: seats refer to them.
    let may_go = !matches!(row, Row::Room(_));
    match is_there {
        true if may_go && dice.one_in(5) => Write::Delete(row.key()),
        _ if dice.one_in(30) => Write::Insert(row),
        true => Write::Update(row),
        false => Write::Insert(row),
    }
}

fn any_row(dice: &mut Dice) -> Row {
    match dice.roll(10) {
        0 => Service {
            last_beat_at: at(dice.roll(99)),
            outages: Vec::new(),
        }
        .into(),
        1 => any_challenge(dice).into(),
        2 | 3 => any_room(dice).into(),
        _ => any_seat(dice).into(),
    }
}

fn any_challenge(dice: &mut Dice) -> Challenge {
    let key = ChallengeKey {
        wallet: wallet(dice.small(3).into()),
        nonce: [dice.small(3); 32],
    };
    let issued_at = at(1000 + dice.roll(3));
    Challenge {
        key,
        issued_at,
        forget_at: at(1000 + dice.roll(200)),
    }
}

fn any_room(dice: &mut Dice) -> Room {
    let n = 1 + dice.small(3);
    let open = Room {
        host: wallet(dice.small(3).into()),
        visibility: if dice.one_in(3) {
            Visibility::Private
        } else {
            Visibility::Open
        },
        created_at: at(1000 + dice.roll(3)),
        ..room(n)
    };
    match dice.roll(4) {
        0 => open.closed(at(2000), Closing::HostLeft),
        1 => Room {
            unjoined_until: Some(at(1000 + dice.roll(200))),
            live_seats: 0,
            ..open
        },
        _ => Room {
            state: RoomState::Active,
            ..open
        },
    }
}

/// Few places, numbers and wallets, so that seats get into each other's way and change places
/// within one changeset.
fn any_seat(dice: &mut Dice) -> Seat {
    let live = Seat {
        connection: connection_id(dice.small(6)),
        room: room_id(1 + dice.small(3)),
        wallet: wallet(dice.small(5).into()),
        slot: dice.small(3),
        uid: MediaUid::new(1 + u32::from(dice.small(3))).unwrap(),
        check_at: at(1000 + dice.roll(200)),
        ..seat(1)
    };
    match dice.roll(3) {
        0 => Seat {
            state: SeatState::Gone {
                at: at(2000),
                why: Departure::Left,
            },
            ..live
        },
        _ => live,
    }
}

/// Posts or voids a reservation that there is, for the first time or once more.
fn any_resolution(dice: &mut Dice, world: &World) -> Option<Order> {
    let is_pending = |t: &&Transfer| matches!(t.action, Action::Pending { .. });
    let reservations: Vec<&Transfer> = world.transfers().filter(is_pending).collect();
    let reserved = **dice.pick(&reservations)?;
    let of = reserved.id;
    let (action, amount) = if dice.one_in(2) {
        (Action::Void { of }, reserved.amount)
    } else {
        (Action::Post { of }, 1 + dice.roll(reserved.amount))
    };
    let id = TransferId::derive("resolution", &[&dice.roll(1000).to_be_bytes()]);
    let at = at(100 + dice.roll(10));
    let transfer = Transfer {
        id,
        action,
        amount,
        at,
        ..reserved
    };
    Some(Order {
        transfer,
        guard: None,
    })
}

fn any_order(dice: &mut Dice) -> Order {
    let unit = if dice.one_in(20) {
        Unit::Sats
    } else {
        Unit::Seconds
    };
    let account = |dice: &mut Dice, unit| {
        let of = Owner::Wallet(wallet(dice.small(2).into()));
        match dice.roll(8) {
            0 => AccountKey::new(Owner::House, AccountKind::Revenue, unit),
            1 => AccountKey::new(Owner::House, AccountKind::External(Rail::Lightning), unit),
            2 => AccountKey::new(of, AccountKind::Refundable, unit),
            3 | 4 => AccountKey::new(of, AccountKind::GrantBase, unit),
            _ => AccountKey::new(of, AccountKind::Wallet, unit),
        }
    };
    let id = |n: u64| TransferId::derive("any", &[&n.to_be_bytes()]);
    let action = match dice.roll(8) {
        0 | 1 => Action::Pending {
            deadline: at(95 + dice.roll(20)),
        },
        2 | 3 => Action::Post {
            of: id(dice.roll(60)),
        },
        4 => Action::Void {
            of: id(dice.roll(60)),
        },
        _ => Action::Posted,
    };
    let transfer = Transfer {
        id: id(dice.roll(60)),
        debit: account(dice, unit),
        credit: account(dice, Unit::Seconds),
        amount: if dice.one_in(40) {
            i64::MAX.unsigned_abs()
        } else {
            dice.roll(12)
        },
        action,
        reason: Reason::AdminAdjust,
        reference: if dice.one_in(2) {
            Reference::None
        } else {
            Reference::Connection(connection_id(dice.small(2)))
        },
        at: at(100 + dice.roll(10)),
    };
    let guard = match dice.roll(4) {
        0 => Some(Guard::UpTo),
        1 => Some(Guard::AtLeast(dice.roll(20))),
        _ => None,
    };
    Order { transfer, guard }
}
