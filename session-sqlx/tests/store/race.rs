//! Two servers on one file.

use std::sync::Arc;

use session_core::auth::IssueNonce;
use session_core::changeset::{Key, Lane, Row};
use session_core::ledger::Credits;
use session_core::ports::{Claim, Read, Store};
use session_core::room::{
    CreateRoom, JoinRoom, LeaveRoom, Room, RoomRefusal, StayName, Visibility,
};
use session_core::service::execute;
use session_core::types::{RoomId, Seconds};
use session_sqlx::{SqliteOptions, SqliteStore};
use session_testkit::bench::Bench;

use crate::common::{File, at, fresh, inserting, read_list, read_row, room, wallet};

const ROUNDS: u32 = 12;
const JOINING: u32 = 50;

async fn two_servers(file: &File) -> [Bench; 2] {
    let a = file.open(SqliteOptions::default()).await;
    let b = file.open(SqliteOptions::default()).await;
    [bench(a, 1), bench(b, 2)]
}

fn bench(store: SqliteStore, seed: u64) -> Bench {
    Bench::new(Arc::new(store), seed)
}

async fn fund(bench: &Bench, n: u32) {
    let credits = Credits {
        base_granted: Seconds::new(1800),
        bonus_granted: Seconds::ZERO,
        remaining: Seconds::new(1800),
    };
    bench.set_credits(wallet(n), credits).await.unwrap();
}

async fn create(bench: &Bench, host: u32) -> RoomId {
    fund(bench, host).await;
    let command = CreateRoom {
        wallet: wallet(host),
        visibility: Visibility::Open,
        ai_enabled: false,
    };
    execute(&bench.ports, &command).await.unwrap().unwrap().room
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_joins_on_two_servers_exactly_six_are_seated() {
    let file = File::new();
    let servers = two_servers(&file).await;
    for round in 0..ROUNDS {
        let first = round * (JOINING + 1);
        let room = create(&servers[0], first).await;
        for n in 1..=JOINING {
            fund(&servers[0], first + n).await;
        }
        let joins: Vec<_> = (1..=JOINING)
            .map(|n| {
                let ports = servers[n as usize % 2].ports.clone();
                let command = JoinRoom {
                    wallet: wallet(first + n),
                    room: Some(room),
                };
                tokio::spawn(async move { execute(&ports, &command).await.unwrap() })
            })
            .collect();
        let mut seated = 0;
        for join in joins {
            match join.await.unwrap() {
                Ok(_) => seated += 1,
                Err(refusal) => assert_eq!(refusal, RoomRefusal::RoomFull),
            }
        }
        assert_eq!(seated, 6, "round {round}");
        let store = servers[1].ports.store();
        let seats = read_list(store, Read::LiveSeatsIn(room)).await;
        let slots: Vec<u8> = seats
            .iter()
            .filter_map(|stored| match &stored.row {
                Row::Seat(seat) => Some(seat.slot),
                _ => None,
            })
            .collect();
        assert_eq!(slots, [0, 1, 2, 3, 4, 5], "round {round}");
        let stored = read_row(store, &Key::Room(room)).await.unwrap();
        assert!(
            matches!(stored.row, Row::Room(Room { live_seats: 6, .. })),
            "round {round}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wallet_that_joins_many_rooms_at_once_gets_one_seat() {
    let file = File::new();
    let servers = two_servers(&file).await;
    let mut rooms = Vec::new();
    for host in 1..=8 {
        rooms.push(create(&servers[0], host).await);
    }
    for n in 100..100 + ROUNDS {
        fund(&servers[0], n).await;
        let joins: Vec<_> = rooms
            .iter()
            .zip(servers.iter().cycle())
            .map(|(room, server)| {
                let ports = server.ports.clone();
                let command = JoinRoom {
                    wallet: wallet(n),
                    room: Some(*room),
                };
                tokio::spawn(async move { execute(&ports, &command).await.unwrap() })
            })
            .collect();
        let mut seated = 0;
        for join in joins {
            match join.await.unwrap() {
                Ok(_) => seated += 1,
                // Those rooms fill up as the rounds go by.
                Err(RoomRefusal::AlreadyInRoom | RoomRefusal::RoomFull) => {}
                Err(refusal) => panic!("{refusal}"),
            }
        }
        assert_eq!(seated, 1, "wallet {n}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_due_row_goes_to_one_of_two_workers() {
    let file = File::new();
    let servers = two_servers(&file).await;
    for n in 0..40 {
        execute(&servers[0].ports, &IssueNonce { wallet: wallet(n) })
            .await
            .unwrap()
            .unwrap();
    }
    let now = servers[0].ports.clock.now().after(Seconds::new(3600));
    let claim = Claim {
        lane: Lane::Expire,
        now,
        lease: Seconds::new(30),
        rows_max: 7,
    };
    let workers: Vec<_> = (0..12)
        .map(|n| {
            let store = servers[n % 2].ports.store.clone();
            tokio::spawn(async move { store.claim_due(&claim).await.unwrap() })
        })
        .collect();
    let mut claimed = Vec::new();
    for worker in workers {
        claimed.extend(worker.await.unwrap().into_iter().map(|claimed| claimed.key));
    }
    claimed.sort();
    assert_eq!(claimed.len(), 40);
    claimed.dedup();
    assert_eq!(claimed.len(), 40, "a row was handed out twice");
    let early = Claim {
        now: at(0),
        ..claim
    };
    assert_eq!(servers[0].ports.store.claim_due(&early).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_lists_of_one_read_are_of_one_instant() {
    let file = File::new();
    let servers = two_servers(&file).await;
    let room = create(&servers[0], 1).await;
    fund(&servers[0], 2).await;
    // Keeps the room open while the other comes and goes.
    let stay = JoinRoom {
        wallet: wallet(1),
        room: Some(room),
    };
    execute(&servers[0].ports, &stay).await.unwrap().unwrap();

    let ports = servers[0].ports.clone();
    let coming_and_going = tokio::spawn(async move {
        for _ in 0..60 {
            let join = JoinRoom {
                wallet: wallet(2),
                room: Some(room),
            };
            let joined = execute(&ports, &join).await.unwrap().unwrap();
            let connection = Some(joined.connection);
            let leave = LeaveRoom(StayName {
                wallet: wallet(2),
                room: Some(room),
                connection,
            });
            execute(&ports, &leave).await.unwrap().unwrap();
        }
    });
    let reads = [
        Read::LiveSeatsIn(room),
        Read::LiveSeatOf(wallet(2)),
        Read::Row(Key::Room(room)),
    ];
    let mut seen = [0, 0];
    while !coming_and_going.is_finished() {
        let lists = servers[1].ports.store.read(&reads).await.unwrap();
        let [Row::Room(found)] = &lists[2].iter().map(|s| s.row.clone()).collect::<Vec<_>>()[..]
        else {
            panic!("no room");
        };
        assert_eq!(usize::from(found.live_seats), lists[0].len());
        assert_eq!(usize::from(found.live_seats), 1 + lists[1].len());
        seen[lists[1].len()] += 1;
    }
    coming_and_going.await.unwrap();
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[tokio::test]
async fn a_due_row_of_an_unknown_kind_keeps_no_other_from_its_turn() {
    let opened = fresh().await;
    let unjoined = Room {
        unjoined_until: Some(at(1)),
        live_seats: 0,
        ..room(1)
    };
    opened.store.commit(&inserting([unjoined])).await.unwrap();
    let mut hand = opened.file.by_hand().await;
    sqlx::query(
        "INSERT INTO work (row_key, lane, due_at, fence, leased_until) \
        SELECT 'booking/1', lane, 0, 0, NULL FROM work",
    )
    .execute(&mut hand)
    .await
    .unwrap();
    let claim = Claim {
        lane: Lane::Rooms,
        now: at(2),
        lease: Seconds::new(30),
        rows_max: 1,
    };
    assert_eq!(opened.store.claim_due(&claim).await.unwrap(), []);
    let claimed = opened.store.claim_due(&claim).await.unwrap();
    assert_eq!(claimed[0].key, Key::Room(room(1).id));
}
