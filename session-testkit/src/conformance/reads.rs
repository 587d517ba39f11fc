//! R: what is read, as long as nobody writes meanwhile.

use session_core::auth::Challenge;
use session_core::changeset::{Draft, Key, Record, Row};
use session_core::escrow::Outcome;
use session_core::idempotency::IdempotencyRecord;
use session_core::media::Channel;
use session_core::outage::{Service, Span};
use session_core::outbox::{Effect, Intent, IntentClass, IntentState};
use session_core::ports::{Attestation, MutualProof, Read, StoredRow};
use session_core::room::{
    Closing, Departure, EventNumber, Room, Seat, SeatState, Threshold, ThresholdKind, Visibility,
};
use session_core::types::{Seconds, Timestamp, Word};

use super::bookings::booked_of;
use super::broken::{Broken, same};
use super::rows::{
    answer, at, booked, challenge, connection, entry, gone, host, inserting, intent, nonce, room,
    room_id, sealing, seat, service, spendable, wallet,
};
use super::stage::{Stage, stored};

/// P1.
pub(super) async fn a_store_that_answers_says_so(stage: &Stage) -> Result<(), Broken> {
    stage.store().ping().await?;
    stage
        .granted("a first row", &inserting([service(1)]))
        .await?;
    Ok(stage.store().ping().await?)
}

/// R2.
pub(super) async fn what_is_not_there_is_an_empty_list(stage: &Stage) -> Result<(), Broken> {
    let reads = [
        Read::ActiveOpenRooms(50),
        Read::ActiveRoomOf(wallet(1)),
        booked_of(1, None, None, 50),
        Read::ChallengesOf(wallet(1)),
        Read::LiveSeatOf(wallet(1)),
        Read::LiveSeatsIn(room_id(1)),
        Read::Row(Key::Account(spendable(1))),
        Read::Row(sealing(1, []).key()),
        Read::Row(booked(1).key()),
        Read::Row(Key::Chain(())),
        Read::Row(challenge(1).key()),
        Read::Row(entry(1).key()),
        Read::Row(host(1).key()),
        Read::Row(answer(1).key()),
        Read::Row(intent(1).key()),
        Read::Row(Key::Room(room_id(1))),
        Read::Row(Key::Seat(connection(1))),
        Read::Row(Key::Service(())),
        Read::UnsealedEntries(50),
    ];
    let nothing = vec![Vec::<StoredRow>::new(); reads.len()];
    same(
        "of a new store",
        &stage.store().read(&reads).await?,
        &nothing,
    )?;
    for read in &reads {
        let found = stage.store().read(std::slice::from_ref(read)).await?;
        same(format!("of a new store, {read:?}"), &found, &vec![vec![]])?;
    }
    Ok(())
}

/// R1.
pub(super) async fn every_read_is_answered_in_its_place(stage: &Stage) -> Result<(), Broken> {
    let mut draft = Draft::new();
    draft.insert(room(1));
    draft.insert(seat(1, 1));
    draft.insert(challenge(1));
    stage
        .granted("a room, its seat, a nonce", &draft.finish())
        .await?;
    let one = |row: Row| {
        vec![StoredRow {
            row,
            ..stored(1, room(1))
        }]
    };
    let asked = [
        (Read::Row(seat(1, 1).key()), one(seat(1, 1).into())),
        (Read::LiveSeatsIn(room_id(1)), one(seat(1, 1).into())),
        (Read::Row(Key::Service(())), vec![]),
        (Read::Row(challenge(1).key()), one(challenge(1).into())),
        (Read::LiveSeatOf(wallet(9)), vec![]),
        (Read::Row(room(1).key()), one(room(1).into())),
        (Read::Row(room(2).key()), vec![]),
        (Read::LiveSeatOf(wallet(1)), one(seat(1, 1).into())),
        (Read::Row(seat(1, 1).key()), one(seat(1, 1).into())),
        (Read::ActiveRoomOf(wallet(1)), one(room(1).into())),
    ];
    let (reads, expected): (Vec<Read>, Vec<Vec<StoredRow>>) = asked.into_iter().unzip();
    let found = stage.store().read(&reads).await?;
    same("several reads in one call", &found, &expected)?;
    let backwards: Vec<Read> = reads.into_iter().rev().collect();
    let expected: Vec<_> = expected.into_iter().rev().collect();
    let found = stage.store().read(&backwards).await?;
    same("the same reads, the last first", &found, &expected)?;
    let found = stage.store().read(&[]).await?;
    same("no reads", &found, &Vec::<Vec<StoredRow>>::new())
}

/// R3.
pub(super) async fn open_rooms_come_newest_first(stage: &Stage) -> Result<(), Broken> {
    let created = |n, unix| Room {
        created_at: at(unix),
        ..room(n)
    };
    let listed = [
        created(1, 50),
        created(3, 50),
        created(2, 70),
        created(5, 50),
        created(4, 60),
    ];
    let hidden = [
        Room {
            visibility: Visibility::Private,
            ..created(6, 90)
        },
        created(7, 91).closed(at(92), Closing::Emptied),
    ];
    for room in listed.iter().chain(&hidden) {
        stage.granted("a room", &inserting([room.clone()])).await?;
    }
    let newest_first = [2, 4, 0, 1, 3].map(|n: usize| stored(1, listed[n].clone()));
    for (max, shown) in [
        (50, 5),
        (u32::MAX, 5),
        (5, 5),
        (4, 4),
        (3, 3),
        (1, 1),
        (0, 0),
    ] {
        let found = stage.list(Read::ActiveOpenRooms(max)).await?;
        let what = format!("the newest {max} of 5 open rooms beside a private and a closed one");
        same(what, &found, &newest_first[..shown].to_vec())?;
    }
    let found = stage.list(Read::ActiveRoomOf(wallet(6))).await?;
    same(
        "the private room of its host",
        &found,
        &vec![stored(1, hidden[0].clone())],
    )?;
    let found = stage.list(Read::ActiveRoomOf(wallet(7))).await?;
    same("the host of a closed room", &found, &vec![])
}

/// R3.
pub(super) async fn seats_come_by_place(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("two rooms", &inserting([room(1), room(2)]))
        .await?;
    let placed = |n, slot| Seat { slot, ..seat(n, 1) };
    let seats = [
        placed(1, 200),
        placed(2, 0),
        placed(3, 9),
        placed(4, 10),
        placed(5, 127),
    ];
    let left = Seat {
        slot: 9,
        ..gone(seat(6, 1))
    };
    let elsewhere = seat(7, 2);
    for seat in seats.iter().chain([&left, &elsewhere]) {
        stage.granted("a seat", &inserting([seat.clone()])).await?;
    }
    let by_place = [1, 2, 3, 4, 0].map(|n: usize| stored(1, seats[n].clone()));
    let found = stage.list(Read::LiveSeatsIn(room_id(1))).await?;
    same("the live seats of a room", &found, &by_place.to_vec())?;
    let found = stage.list(Read::LiveSeatOf(wallet(7))).await?;
    same(
        "the live seat of a wallet",
        &found,
        &vec![stored(1, elsewhere)],
    )?;
    let found = stage.list(Read::LiveSeatOf(wallet(6))).await?;
    same("the live seat of a wallet that left", &found, &vec![])
}

/// R3.
pub(super) async fn nonces_come_oldest_first(stage: &Stage) -> Result<(), Broken> {
    let nonces = [
        nonce(1, 9, 200),
        nonce(1, 1, 300),
        nonce(1, 2, 200),
        nonce(1, 3, 100),
        nonce(1, 0xf0, 200),
    ];
    for nonce in nonces.iter().chain([&nonce(2, 4, 150)]) {
        stage
            .granted("a nonce", &inserting([nonce.clone()]))
            .await?;
    }
    let oldest_first = [3, 2, 0, 4, 1].map(|n: usize| stored(1, nonces[n].clone()));
    let found = stage.list(Read::ChallengesOf(wallet(1))).await?;
    same("the nonces of a wallet", &found, &oldest_first.to_vec())?;
    let found = stage.list(Read::ChallengesOf(wallet(3))).await?;
    same("the nonces of a wallet that has none", &found, &vec![])
}

/// R6.
pub(super) async fn a_nonce_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    let ends = |issued_at, forget_at| Challenge {
        issued_at,
        forget_at,
        ..challenge(1)
    };
    let states = vec![challenge(1), ends(Timestamp::EPOCH, Timestamp::MAX)];
    come_back(stage, states).await?;
    come_back(stage, vec![nonce(1, 0, 5), nonce(1, 0, 6)]).await?;
    come_back(stage, vec![nonce(1, 0xff, 5)]).await
}

/// R6.
pub(super) async fn an_answer_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    // What would end a text or a statement if either were put together by hand.
    let longest = "k".repeat(session_core::idempotency::IDEMPOTENCY_KEY_CHARS_MAX);
    for hostile in [
        "k",
        "K",
        "a/b#c",
        "');DROP/**/TABLE/**/seat;--",
        "\"]\\u0000$1?",
        "%_",
        &longest,
    ] {
        let mut record = answer(1);
        hostile.clone_into(&mut record.key.key);
        let answers = [
            r#"{"Ok":{"granted":true}}"#,
            r#"{"Err":"'; DELETE FROM account; --"}"#,
        ];
        let states = answers.map(|answer| IdempotencyRecord {
            answer: answer.to_owned(),
            fingerprint: [0xff; 16],
            ..record.clone()
        });
        come_back(stage, states.to_vec()).await?;
    }
    Ok(())
}

/// R6.
pub(super) async fn an_intent_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    let mut states = vec![intent(1)];
    if let Ok(channel) = Channel::parse("?#$1;--{}[]") {
        states.push(Intent {
            effect: Effect::RemoveFromChannel {
                connection: Some(connection(1)),
                channel,
                uid: std::num::NonZeroU32::MAX.into(),
            },
            ..intent(1)
        });
    }
    for outcome in Outcome::ALL {
        for mutual in [None, Some(proof())] {
            states.push(Intent {
                effect: Effect::Attest(Attestation {
                    booking: booked(1).key,
                    outcome,
                    metrics_hash: Word::new([0xff; 32]),
                    mutual,
                }),
                ..intent(1)
            });
        }
    }
    let classes = [
        IntentClass::AtMostOnce,
        IntentClass::Queryable,
        IntentClass::Repeatable,
    ];
    for class in classes {
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
                ..intent(1)
            });
        }
    }
    for note in ["", "it's 503\n\u{1f600}", "'); DROP TABLE intent; --"] {
        states.push(Intent {
            note: Some(note.to_owned()),
            attempts: u32::MAX,
            due_at: Timestamp::MAX,
            ..intent(1)
        });
    }
    come_back(stage, states).await
}

/// What two parties signed.
fn proof() -> MutualProof {
    MutualProof {
        deadline: i64::MAX.unsigned_abs(),
        host_signature: format!("0x{}", "fe".repeat(65)),
        guest_signature: String::new(),
    }
}

/// R6.
pub(super) async fn a_room_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    let mut states = vec![
        Room {
            live_seats: 0,
            unjoined_until: Some(at(1120)),
            ..room(2)
        },
        Room {
            live_seats: u8::MAX,
            last_event: EventNumber::new(i64::MAX.unsigned_abs()),
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
    come_back(stage, states).await
}

/// R6.
pub(super) async fn a_seat_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    stage.granted("a room", &inserting([room(1)])).await?;
    let threshold = |kind| Threshold {
        kind,
        remaining: Seconds::new(299),
        at: at(7),
    };
    let mut states = vec![
        Seat {
            slot: u8::MAX,
            uid: std::num::NonZeroU32::MAX.into(),
            ..seat(2, 1)
        },
        Seat {
            low_raised: true,
            exhausted_at: Some(at(1005)),
            undelivered: vec![
                threshold(ThresholdKind::CreditsLow),
                threshold(ThresholdKind::CreditsExhausted),
            ],
            ..seat(2, 1)
        },
        Seat {
            lease_until: Timestamp::MAX,
            check_at: Timestamp::MAX,
            ..seat(2, 1)
        },
    ];
    for why in [
        Departure::Exhausted,
        Departure::Left,
        Departure::RoomClosed,
        Departure::Silent,
    ] {
        let state = SeatState::Gone { at: at(1010), why };
        states.push(Seat {
            state,
            ..seat(2, 1)
        });
        states.push(seat(2, 1));
    }
    come_back(stage, states).await
}

/// R6.
pub(super) async fn the_shared_beat_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    let span = |from| Span {
        from: at(from),
        to: at(from + 5),
    };
    let after_outages = Service {
        last_beat_at: at(900),
        outages: (0..32).map(|n| span(n * 10)).collect(),
    };
    come_back(stage, vec![service(1), after_outages]).await
}

/// Inserts a row, lets it take each further state, and removes it.
pub(super) async fn come_back<T: Record + PartialEq>(
    stage: &Stage,
    states: Vec<T>,
) -> Result<(), Broken> {
    let mut key = None;
    for (version, state) in (1..).zip(states) {
        let name = state.key();
        let found = stage.load::<T>(name.clone()).await?;
        let mut draft = Draft::new();
        draft.update(&found, state.clone());
        stage
            .granted(&format!("{name}, state {version}"), &draft.finish())
            .await?;
        let found = stage.row(&name).await?;
        same(
            format!("{name}, state {version}"),
            &found,
            &Some(stored(version, state)),
        )?;
        key = Some(name);
    }
    let Some(key) = key else { return Ok(()) };
    let mut draft = Draft::new();
    draft.delete(&stage.load::<T>(key.clone()).await?);
    stage
        .granted(&format!("removing {key}"), &draft.finish())
        .await?;
    same(format!("{key}, removed"), &stage.row(&key).await?, &None)
}
