//! Walks through a free room: who gets the last place, who pays for ten heartbeats, and what two
//! clocks make of one stay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_core::changeset::{Expect, Key, Lane, Rejection, Row, Unique, Version, Write};
use session_core::ledger::AccountKind;
use session_core::ports::Clock;
use session_core::room::{Heartbeat, JoinRoom, LeaveRoom, RoomRefusal, StayName};
use session_core::service::{Ports, beat, execute, work_lane};
use session_core::types::{Id128, RoomId, Seconds, Timestamp, TransferId};
use session_testkit::time::ManualClock;

use crate::Walk;

/// A room in which five of six places are taken.
async fn room_with_one_place(walk: &Walk) -> RoomId {
    let host = walk.wallet(1).await;
    let room = walk.room_of(host).await;
    walk.seat(host, room).await;
    for n in 2..=5 {
        let wallet = walk.wallet(n).await;
        walk.seat(wallet, room).await;
    }
    room
}

#[tokio::test]
async fn of_two_that_saw_the_last_place_one_gets_it_and_the_other_finds_the_room_full() {
    let walk = Walk::new().await;
    let room = room_with_one_place(&walk).await;
    let sixth = JoinRoom {
        wallet: walk.wallet(6).await,
        room: Some(room),
    };
    let seventh = JoinRoom {
        wallet: walk.wallet(7).await,
        room: Some(room),
    };

    let seen_by_sixth = walk.load(&sixth).await;
    let seen_by_seventh = walk.load(&seventh).await;
    let of_sixth = walk.decide(&sixth, &seen_by_sixth);
    let of_seventh = walk.decide(&seventh, &seen_by_seventh);
    assert!(of_sixth.reply.is_ok());
    assert!(of_seventh.reply.is_ok(), "it saw a free place too");

    walk.commit(&of_sixth.changeset).await.unwrap();
    let rejection = walk.commit(&of_seventh.changeset).await.unwrap_err();
    assert_eq!(rejection, Rejection::Conflict(Key::Room(room)));
    assert!(rejection.is_conflict(), "so the driver loads anew");

    let again = walk.decide(&seventh, &walk.load(&seventh).await);
    assert_eq!(again.reply, Err(RoomRefusal::RoomFull));
    assert!(again.changeset.is_empty());
    walk.assert_sound();
}

#[tokio::test]
async fn a_place_is_unique_even_if_the_rooms_version_were_not_looked_at() {
    let walk = Walk::new().await;
    let room = room_with_one_place(&walk).await;
    let sixth = JoinRoom {
        wallet: walk.wallet(6).await,
        room: Some(room),
    };
    let seventh = JoinRoom {
        wallet: walk.wallet(7).await,
        room: Some(room),
    };
    let of_sixth = walk.decide(&sixth, &walk.load(&sixth).await);
    let mut careless = walk.decide(&seventh, &walk.load(&seventh).await).changeset;
    careless
        .expect
        .retain(|expect| matches!(expect, Expect::Absent(Key::Seat(_))));
    careless
        .rows
        .retain(|write| matches!(write, Write::Insert(Row::Seat(_))));

    walk.commit(&of_sixth.changeset).await.unwrap();
    let rejection = walk.commit(&careless).await;
    assert_eq!(rejection, Err(Rejection::Taken(Unique::Slot(room, 5))));
    walk.assert_sound();
}

#[tokio::test]
async fn a_wallet_that_joins_two_rooms_at_once_sits_in_one() {
    let walk = Walk::new().await;
    let rooms = [
        walk.room_of(walk.wallet(1).await).await,
        walk.room_of(walk.wallet(2).await).await,
    ];
    let wallet = walk.wallet(3).await;
    let joins = rooms.map(|room| JoinRoom {
        wallet,
        room: Some(room),
    });
    let first = walk.decide(&joins[0], &walk.load(&joins[0]).await);
    let second = walk.decide(&joins[1], &walk.load(&joins[1]).await);

    walk.commit(&first.changeset).await.unwrap();
    // The rooms are two rows, so only the wallet's own uniqueness can refuse this one.
    let rejection = walk.commit(&second.changeset).await;
    assert_eq!(rejection, Err(Rejection::Taken(Unique::LiveSeatOf(wallet))));
    let again = walk.decide(&joins[1], &walk.load(&joins[1]).await);
    assert_eq!(again.reply, Err(RoomRefusal::AlreadyInRoom));
    walk.assert_sound();
}

#[tokio::test]
async fn nobody_gets_a_seat_in_a_room_that_closes_under_them() {
    let walk = Walk::new().await;
    let host = walk.wallet(1).await;
    let room = walk.room_of(host).await;
    let seat = walk.seat(host, room).await;
    let join = JoinRoom {
        wallet: walk.wallet(2).await,
        room: Some(room),
    };
    let decided = walk.decide(&join, &walk.load(&join).await);

    let leave = LeaveRoom(StayName {
        wallet: host,
        room: Some(room),
        connection: Some(seat.connection),
    });
    assert!(walk.run(leave).await.unwrap().closed);
    let rejection = walk.commit(&decided.changeset).await;
    assert_eq!(rejection, Err(Rejection::Conflict(Key::Room(room))));
    let again = walk.decide(&join, &walk.load(&join).await);
    assert_eq!(again.reply, Err(RoomRefusal::RoomNotFound));
    walk.assert_sound();
}

/// A host alone in a room, and the heartbeat of its seat.
async fn sitting(walk: &Walk) -> Heartbeat {
    let wallet = walk.wallet(1).await;
    let room = walk.room_of(wallet).await;
    let connection = walk.seat(wallet, room).await.connection;
    Heartbeat(StayName {
        wallet,
        room: Some(room),
        connection: Some(connection),
    })
}

#[tokio::test]
async fn of_ten_heartbeats_at_once_one_charges_and_nine_find_nothing_owed() {
    let walk = Walk::new().await;
    let beat = sitting(&walk).await;
    walk.pass(30).await;

    let view = walk.load(&beat).await;
    let decisions: Vec<_> = (0..10).map(|_| walk.decide(&beat, &view)).collect();
    assert!(
        decisions.iter().all(|decision| *decision == decisions[0]),
        "one view, one decision"
    );
    let charges = &decisions[0].changeset.transfers;
    assert_eq!((charges.len(), charges[0].transfer.amount), (1, 30));

    let seat = Key::Seat(beat.0.connection.unwrap());
    walk.commit(&decisions[0].changeset).await.unwrap();
    for late in &decisions[1..] {
        // Of the two rows that moved, the account comes first in the changeset.
        let rejection = walk.commit(&late.changeset).await.unwrap_err();
        assert!(
            matches!(rejection, Rejection::Conflict(Key::Account(_))),
            "{rejection:?}"
        );
        assert!(
            late.changeset
                .expect
                .contains(&Expect::At(seat.clone(), Version::FIRST))
        );

        let again = walk.decide(&beat, &walk.load(&beat).await);
        assert!(again.changeset.is_empty(), "{:?}", again.changeset);
        assert_eq!(again.reply.unwrap().remaining, Seconds::new(1770));
    }
    let account = walk
        .bench
        .account(beat.0.wallet, AccountKind::Wallet)
        .await
        .unwrap();
    assert_eq!(account.available(), 1770);
    walk.assert_sound();
}

#[tokio::test]
async fn a_charge_is_named_by_the_stay_and_the_version_of_its_seat() {
    let walk = Walk::new().await;
    let beat = sitting(&walk).await;
    let connection = beat.0.connection.unwrap().to_bytes();
    let named = |version: u64| TransferId::derive("usage", &[&connection, &version.to_be_bytes()]);
    for version in 1..=3 {
        walk.pass(10).await;
        let decision = walk.decide(&beat, &walk.load(&beat).await);
        assert_eq!(decision.changeset.transfers[0].transfer.id, named(version));
        walk.commit(&decision.changeset).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_whose_clock_is_behind_charges_nothing() {
    let walk = Walk::new().await;
    let beat = sitting(&walk).await;
    walk.pass(30).await;
    assert_eq!(walk.run(beat).await.unwrap().remaining, Seconds::new(1770));

    let view = walk.load(&beat).await;
    for behind in [0, 1, 29, 30, 3600] {
        let now = walk.now().before(Seconds::new(behind));
        let decision = walk.decide_at(now, &beat, &view);
        assert!(decision.changeset.is_empty(), "{behind} s behind");
        assert_eq!(decision.reply.unwrap().remaining, Seconds::new(1770));
    }
    // Whoever was ahead charges those seconds in the others' place, and nobody charges them again.
    let ahead = walk.now().after(Seconds::new(2));
    let decision = walk.decide_at(ahead, &beat, &view);
    assert_eq!(decision.changeset.transfers[0].transfer.amount, 2);
    walk.commit(&decision.changeset).await.unwrap();
    walk.pass(2).await;
    let same_second = walk.decide(&beat, &walk.load(&beat).await);
    assert!(same_second.changeset.is_empty());
    walk.assert_sound();
}

/// Ports of a server whose clock is behind the bench's by this much.
fn ports_behind(walk: &Walk, span: u64) -> Ports {
    let now = walk.now().before(Seconds::new(span));
    Ports {
        clock: Arc::new(ManualClock::at(now)),
        ..walk.bench.ports.clone()
    }
}

#[tokio::test]
async fn nobody_pays_for_the_difference_between_two_servers_clocks() {
    for skew in [4, 30, 60] {
        let walk = Walk::new().await;
        let behind = ports_behind(&walk, skew);
        let wallet = walk.wallet(1).await;
        let room = Some(walk.room_of(wallet).await);
        let joined = execute(&behind, &JoinRoom { wallet, room }).await.unwrap();
        let connection = Some(joined.unwrap().connection);
        // The other server's workers look at once.
        for lane in Lane::ALL {
            work_lane(&walk.bench.ports, lane).await.unwrap();
        }
        let stay = StayName {
            wallet,
            room,
            connection,
        };
        let left = execute(&behind, &LeaveRoom(stay)).await.unwrap().unwrap();
        assert_eq!(
            left.charged,
            Seconds::ZERO,
            "clocks that differ by {skew} s"
        );
    }
}

#[tokio::test]
async fn whoever_beats_through_the_server_that_is_behind_is_not_silent_to_the_other() {
    let walk = Walk::new().await;
    let wallet = walk.wallet(1).await;
    let room = Some(walk.room_of(wallet).await);
    let behind = ports_behind(&walk, 60);
    let joined = execute(&behind, &JoinRoom { wallet, room }).await.unwrap();
    let connection = Some(joined.unwrap().connection);
    let stay = StayName {
        wallet,
        room,
        connection,
    };
    for _ in 0..5 {
        walk.bench
            .pass_with_workers(Seconds::new(80))
            .await
            .unwrap();
        let behind = ports_behind(&walk, 60);
        let beat = execute(&behind, &Heartbeat(stay)).await.unwrap();
        assert!(beat.is_ok(), "{beat:?}");
    }
}

/// The clock of a process that stands still for a while after its first look.
#[derive(Debug)]
struct StoodStill {
    has_looked: AtomicBool,
    before: Timestamp,
    after: Timestamp,
}

impl Clock for StoodStill {
    fn now(&self) -> Timestamp {
        if self.has_looked.swap(true, Ordering::SeqCst) {
            self.after
        } else {
            self.before
        }
    }
}

#[tokio::test]
async fn who_stood_still_before_reading_decides_neither_a_beat_nor_a_join_in_the_past() {
    let walk = Walk::new().await;
    let wallet = walk.wallet(1).await;
    let room = Some(walk.room_of(wallet).await);
    let before = walk.now();
    walk.pass(100).await;
    let after = walk.now();
    let stood_still = || Ports {
        clock: Arc::new(StoodStill {
            has_looked: AtomicBool::new(false),
            before,
            after,
        }),
        ..walk.bench.ports.clone()
    };
    let last_beat = || match walk.store.world().row(&Key::Service(())) {
        Some((_, Row::Service(service))) => service.last_beat_at,
        other => panic!("no beat: {other:?}"),
    };

    assert_eq!(beat(&stood_still()).await.unwrap(), None);
    assert_eq!(last_beat(), after);
    let join = JoinRoom { wallet, room };
    let joined = execute(&stood_still(), &join).await.unwrap().unwrap();
    let seat = walk.store.world();
    let Some((_, Row::Seat(seat))) = seat.row(&Key::Seat(joined.connection)) else {
        panic!("no seat");
    };
    assert_eq!((seat.joined_at, joined.grant.issued_at), (after, after));
}
