//! Every kind of row goes in, changes, and comes back as it was.

use session_core::auth::{Challenge, ChallengeKey};
use session_core::changeset::{Draft, Entry, Fact, Key, Record};
use session_core::idempotency::{IdempotencyKey, IdempotencyRecord};
use session_core::journal::Chain;
use session_core::media::{Channel, MediaUid};
use session_core::outage::{Service, Span};
use session_core::outbox::{Effect, Intent, IntentClass, IntentState};
use session_core::ports::{Read, Store};
use session_core::room::{
    Closing, Departure, Room, Seat, SeatState, Threshold, ThresholdKind, Visibility,
};
use session_core::types::{ChainId, IntentKey, Seconds, Timestamp};

use crate::common::{
    at, connection_id, fresh, inserting, load, read_list, read_row, room, room_id, seat, stored,
    wallet,
};

/// Inserts a row, lets it take each further state, and deletes it.
async fn goes_in_and_comes_back<T: Record + PartialEq>(states: Vec<T>) {
    let opened = fresh().await;
    let store = &opened.store;
    // Seats refer to it.
    store.commit(&inserting([room(1)])).await.unwrap();
    let key = states[0].key();
    for (version, state) in (1..).zip(&states) {
        let found = load::<T>(store, key.clone()).await;
        let mut draft = Draft::new();
        draft.update(&found, state.clone());
        store.commit(&draft.finish()).await.unwrap();
        assert_eq!(
            read_row(store, &key).await,
            Some(stored(version, state.clone()))
        );
    }
    let found = load::<T>(store, key.clone()).await;
    let mut draft = Draft::new();
    draft.delete(&found);
    store.commit(&draft.finish()).await.unwrap();
    assert_eq!(read_row(store, &key).await, None);
    store.commit(&inserting([states[0].clone()])).await.unwrap();
    assert_eq!(
        read_row(store, &key).await,
        Some(stored(1, states[0].clone()))
    );
}

#[tokio::test]
async fn a_challenge_comes_back_as_it_was() {
    let key = ChallengeKey {
        wallet: wallet(1),
        nonce: [0xa5; 32],
    };
    goes_in_and_comes_back(vec![
        Challenge {
            key,
            issued_at: at(5),
            forget_at: at(306),
        },
        Challenge {
            key,
            issued_at: Timestamp::EPOCH,
            forget_at: Timestamp::MAX,
        },
    ])
    .await;
}

#[tokio::test]
async fn an_answer_comes_back_as_it_was() {
    // What would end a text or a statement if either were put together by hand.
    for hostile in [
        "k",
        "a/b#c",
        "');DROP/**/TABLE/**/seat;--",
        "\"]\\u0000$1?",
        "%_",
    ] {
        let key = IdempotencyKey::parse(wallet(1), "rooms.join", hostile).unwrap();
        let record = |answer: &str| IdempotencyRecord {
            key: key.clone(),
            fingerprint: [7; 16],
            answer: answer.to_owned(),
            expires_at: at(86_400),
        };
        goes_in_and_comes_back(vec![
            record(r#"{"Ok":{"granted":true}}"#),
            record(r#"{"Err":"'; DELETE FROM account; --"}"#),
            record(r#"  [1, 2]  "#),
        ])
        .await;
    }
}

#[tokio::test]
async fn an_intent_comes_back_as_it_was() {
    let intent = |channel: &str| {
        Intent::new(
            IntentKey::derive("test", &[]),
            IntentClass::Repeatable,
            Effect::RemoveFromChannel {
                connection: None,
                channel: Channel::parse(channel).unwrap(),
                uid: MediaUid::new(u32::MAX).unwrap(),
            },
            at(9),
        )
    };
    let mut states = vec![intent("c"), intent("?#$1;--{}[]")];
    for class in [
        IntentClass::AtMostOnce,
        IntentClass::Queryable,
        IntentClass::Repeatable,
    ] {
        for state in [
            IntentState::Pending,
            IntentState::Submitted,
            IntentState::Confirmed,
            IntentState::Failed,
            IntentState::Unknown,
        ] {
            states.push(Intent {
                class,
                state,
                ..intent("c")
            });
        }
    }
    for note in ["", "it's 503\n\u{1f600}", "'); DROP TABLE intent; --"] {
        let note = Some(note.to_owned());
        states.push(Intent {
            note,
            attempts: u32::MAX,
            due_at: at(10),
            ..intent("c")
        });
    }
    goes_in_and_comes_back(states).await;
}

#[tokio::test]
async fn a_room_comes_back_as_it_was() {
    let mut states = vec![
        Room {
            live_seats: 0,
            unjoined_until: Some(at(1120)),
            ..room(2)
        },
        Room {
            live_seats: 255,
            ai_enabled: true,
            ..room(2)
        },
        Room {
            visibility: Visibility::Private,
            created_at: Timestamp::MAX,
            ..room(2)
        },
    ];
    for why in [Closing::Emptied, Closing::HostLeft, Closing::Unjoined] {
        states.push(room(2).closed(at(2000), why));
        states.push(room(2));
    }
    goes_in_and_comes_back(states).await;
}

#[tokio::test]
async fn a_seat_comes_back_as_it_was() {
    let threshold = |kind| Threshold {
        kind,
        remaining: Seconds::new(u64::MAX),
        at: at(7),
    };
    let mut states = vec![
        Seat {
            slot: 255,
            uid: MediaUid::new(u32::MAX).unwrap(),
            ..seat(2)
        },
        Seat {
            low_raised: true,
            exhausted_at: Some(at(1005)),
            undelivered: vec![
                threshold(ThresholdKind::CreditsLow),
                threshold(ThresholdKind::CreditsExhausted),
            ],
            ..seat(2)
        },
        Seat {
            lease_until: Timestamp::MAX,
            check_at: Timestamp::MAX,
            ..seat(2)
        },
    ];
    for why in [
        Departure::Exhausted,
        Departure::Left,
        Departure::RoomClosed,
        Departure::Silent,
    ] {
        states.push(Seat {
            state: SeatState::Gone { at: at(1010), why },
            ..seat(2)
        });
        states.push(seat(2));
    }
    goes_in_and_comes_back(states).await;
}

#[tokio::test]
async fn the_shared_beat_comes_back_as_it_was() {
    let span = |from| Span {
        from: at(from),
        to: at(from + 5),
    };
    goes_in_and_comes_back(vec![
        Service {
            last_beat_at: at(1),
            outages: Vec::new(),
        },
        Service {
            last_beat_at: at(90),
            outages: (0..32).map(|n| span(n * 10)).collect(),
        },
    ])
    .await;
}

#[tokio::test]
async fn the_chain_comes_back_as_it_was() {
    let chain = Chain::new(ChainId::from_random([1; 16]), at(5));
    let block = chain.seal(&[], at(9));
    goes_in_and_comes_back(vec![chain.clone(), chain.after(&block, Timestamp::MAX)]).await;
}

/// A block is written once, and so are its entries.
#[tokio::test]
async fn a_block_comes_back_as_it_was_and_takes_its_entries_out() {
    let opened = fresh().await;
    let store = &opened.store;
    let told: Vec<Entry> = (0..5)
        .map(|n| {
            let (from, to) = (at(n), at(n + 1));
            Entry::new(at(9 - n), Fact::Outage { from, to })
        })
        .collect();
    let mut draft = Draft::new();
    for entry in &told {
        draft.journal(entry.at, entry.fact.clone());
    }
    store.commit(&draft.finish()).await.unwrap();
    let oldest_first =
        |kept: &[usize]| -> Vec<_> { kept.iter().map(|n| stored(1, told[*n].clone())).collect() };
    let unsealed = read_list(store, Read::UnsealedEntries(3)).await;
    assert_eq!(unsealed, oldest_first(&[4, 3, 2]));
    let chain = Chain::new(ChainId::from_random([1; 16]), at(5));
    let block = chain.seal(&[&told[3], &told[0]], at(9));
    store.commit(&inserting([block.clone()])).await.unwrap();
    let key = Key::Block(block.number);
    assert_eq!(read_row(store, &key).await, Some(stored(1, block)));
    let unsealed = read_list(store, Read::UnsealedEntries(u32::MAX)).await;
    assert_eq!(unsealed, oldest_first(&[4, 2, 1]));
    for entry in &told {
        let found = read_row(store, &Key::Entry(entry.id)).await;
        assert_eq!(found, Some(stored(1, entry.clone())));
    }
}

#[tokio::test]
async fn a_number_that_a_column_cannot_hold_is_refused_and_nothing_is_written() {
    let opened = fresh().await;
    let mut draft = Draft::new();
    draft.insert(room(1));
    draft.insert(Seat {
        charged: Seconds::new(u64::MAX),
        ..seat(1)
    });
    opened.store.commit(&draft.finish()).await.unwrap_err();
    assert_eq!(read_row(&opened.store, &Key::Room(room_id(1))).await, None);
}

#[tokio::test]
async fn a_fact_that_is_told_twice_is_kept_once() {
    let opened = fresh().await;
    let mut draft = Draft::new();
    draft.journal(
        at(9),
        Fact::Outage {
            from: at(1),
            to: at(8),
        },
    );
    for _ in 0..2 {
        opened.store.commit(&draft.clone().finish()).await.unwrap();
    }
    let mut hand = opened.file.by_hand().await;
    let kept = sqlx::query_scalar("SELECT count(*) FROM journal")
        .fetch_one(&mut hand)
        .await;
    assert_eq!(kept.ok(), Some(1));
}

#[tokio::test]
async fn lists_are_in_the_order_that_they_promise() {
    let opened = fresh().await;
    let store = &opened.store;
    let created = |n: u8, unix| Room {
        created_at: at(unix),
        ..room(n)
    };
    let rooms = [
        created(1, 50),
        created(2, 70),
        created(3, 50),
        created(4, 60),
    ];
    store.commit(&inserting(rooms.clone())).await.unwrap();
    let hidden = [
        Room {
            visibility: Visibility::Private,
            ..created(5, 90)
        },
        created(6, 91).closed(at(92), Closing::Emptied),
    ];
    store.commit(&inserting(hidden.clone())).await.unwrap();
    let in_order = [2, 4, 1, 3].map(|n: usize| stored(1, rooms[n - 1].clone()));
    assert_eq!(read_list(store, Read::ActiveOpenRooms(50)).await, in_order);
    assert_eq!(
        read_list(store, Read::ActiveOpenRooms(3)).await,
        in_order[..3]
    );
    assert_eq!(read_list(store, Read::ActiveOpenRooms(0)).await, []);
    assert_eq!(
        read_list(store, Read::ActiveOpenRooms(u32::MAX)).await,
        in_order
    );
    let of = |n| Read::ActiveRoomOf(wallet(n));
    assert_eq!(
        read_list(store, of(5)).await,
        [stored(1, hidden[0].clone())]
    );
    assert_eq!(read_list(store, of(6)).await, []);

    let gone = SeatState::Gone {
        at: at(1010),
        why: Departure::Left,
    };
    let seats = [
        Seat { slot: 9, ..seat(1) },
        Seat { slot: 0, ..seat(2) },
        Seat {
            slot: 4,
            state: gone,
            ..seat(3)
        },
        Seat {
            room: room_id(2),
            ..seat(4)
        },
    ];
    store.commit(&inserting(seats.clone())).await.unwrap();
    let in_room = read_list(store, Read::LiveSeatsIn(room_id(1))).await;
    assert_eq!(
        in_room,
        [stored(1, seats[1].clone()), stored(1, seats[0].clone())]
    );
    let live = |n| Read::LiveSeatOf(wallet(n));
    assert_eq!(
        read_list(store, live(4)).await,
        [stored(1, seats[3].clone())]
    );
    assert_eq!(read_list(store, live(3)).await, []);

    let nonce = |byte, unix| Challenge {
        key: ChallengeKey {
            wallet: wallet(1),
            nonce: [byte; 32],
        },
        issued_at: at(unix),
        forget_at: at(unix + 301),
    };
    let nonces = [nonce(9, 2), nonce(1, 3), nonce(2, 2), nonce(3, 1)];
    store.commit(&inserting(nonces.clone())).await.unwrap();
    let found = read_list(store, Read::ChallengesOf(wallet(1))).await;
    assert_eq!(
        found,
        [3, 2, 0, 1].map(|n: usize| stored(1, nonces[n].clone()))
    );
    assert_eq!(read_list(store, Read::ChallengesOf(wallet(2))).await, []);
}

#[tokio::test]
async fn every_read_of_a_call_is_answered_in_its_place() {
    let opened = fresh().await;
    let store = &opened.store;
    let mut draft = Draft::new();
    draft.insert(room(1));
    draft.insert(seat(1));
    store.commit(&draft.finish()).await.unwrap();
    let (room_key, seat_key) = (Key::Room(room_id(1)), Key::Seat(connection_id(1)));
    let reads = [
        Read::Row(seat_key.clone()),
        Read::LiveSeatsIn(room_id(1)),
        Read::Row(Key::Service(())),
        Read::Row(room_key),
        Read::LiveSeatOf(wallet(9)),
        Read::Row(Key::Seat(connection_id(2))),
        Read::Row(seat_key),
    ];
    let (a_room, a_seat) = (stored(1, room(1)), stored(1, seat(1)));
    let expected = [
        vec![a_seat.clone()],
        vec![a_seat.clone()],
        vec![],
        vec![a_room],
        vec![],
        vec![],
        vec![a_seat],
    ];
    assert_eq!(store.read(&reads).await.unwrap(), expected);
    assert_eq!(store.read(&[]).await.unwrap(), Vec::<Vec<_>>::new());
}
