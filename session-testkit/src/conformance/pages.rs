//! R: lists that are read page by page.

use session_core::auth::{Revocation, Revoked};
use session_core::changeset::{Draft, Entry, Record, Row};
use session_core::ledger::{AccountKind, Transfer};
use session_core::ports::{CreditEntries, Read, RevokedTokens, RoomEvents, StoredRow};
use session_core::room::{Closing, Departure, EventNumber, Happening, RoomEvent, Seat};
use session_core::types::{Id128, RevocationId, Seconds, Timestamp, TransferId};

use super::broken::{Broken, same};
use super::reads::come_back;
use super::rows::{
    account, at, connection, event, gone, grant, inserting, plain, revocation, room, room_id, seat,
    spendable, transferring, wallet,
};
use super::stage::{Stage, stored};

/// R6.
pub(super) async fn an_event_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    stage.granted("a room", &inserting([room(1)])).await?;
    let (connection, wallet) = (connection(7), wallet(7));
    let uid = std::num::NonZeroU32::MAX.into();
    let mut happenings = vec![
        Happening::CreditsExhausted { connection, wallet },
        Happening::CreditsLow {
            connection,
            wallet,
            remaining: Seconds::new(i64::MAX.unsigned_abs()),
        },
        Happening::Joined {
            connection,
            wallet,
            uid,
        },
        Happening::Left {
            connection,
            wallet,
            uid,
        },
    ];
    for why in [Closing::Emptied, Closing::HostLeft, Closing::Unjoined] {
        happenings.push(Happening::Closed { why });
    }
    for why in [Departure::Exhausted, Departure::Silent] {
        happenings.push(Happening::Evicted {
            connection,
            wallet,
            uid,
            why,
        });
    }
    for (number, what) in (1..).zip(happenings) {
        let told = RoomEvent {
            what,
            ..event(1, number)
        };
        come_back(stage, vec![told]).await?;
    }
    let last = RoomEvent {
        at: Timestamp::EPOCH,
        forget_at: Timestamp::MAX,
        ..event(1, i64::MAX.unsigned_abs())
    };
    come_back(stage, vec![last]).await
}

/// R6.
pub(super) async fn a_revocation_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    let nonce = Revocation {
        what: Revoked::Nonce,
        at: Timestamp::EPOCH,
        forget_at: Timestamp::MAX,
        ..revocation(1, 0)
    };
    come_back(stage, vec![nonce]).await?;
    come_back(stage, vec![revocation(2, 9)]).await
}

/// R3.
pub(super) async fn events_come_by_number(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("two rooms", &inserting([room(1), room(2)]))
        .await?;
    // A tenth, to tell numbers from texts; and one is not there, as if it had been forgotten.
    let own = [4, 10, 2, 1, 9];
    for (room, number) in own.map(|n| (1, n)).into_iter().chain([(2, 3), (2, 20)]) {
        let told = inserting([event(room, number)]);
        stage.granted("an event", &told).await?;
    }
    for (after, max, expected) in [
        (0, 100, &[1, 2, 4, 9, 10][..]),
        (0, 2, &[1, 2]),
        (2, 2, &[4, 9]),
        (3, u32::MAX, &[4, 9, 10]),
        (9, 1, &[10]),
        (10, 5, &[]),
        (u64::MAX, 5, &[]),
        (0, 0, &[]),
    ] {
        let page = RoomEvents {
            room: room_id(1),
            after: EventNumber::new(after),
            max,
        };
        let found = stage.list(Read::RoomEvents(page)).await?;
        let expected: Vec<StoredRow> = expected.iter().map(|n| stored(1, event(1, *n))).collect();
        same(format!("{max} events after {after}"), &found, &expected)?;
    }
    let elsewhere = RoomEvents {
        room: room_id(3),
        after: EventNumber::NONE,
        max: 9,
    };
    let found = stage.list(Read::RoomEvents(elsewhere)).await?;
    same("events of no room", &found, &vec![])
}

/// R3.
pub(super) async fn the_last_stay_in_a_room_is_found(stage: &Stage) -> Result<(), Broken> {
    stage
        .granted("two rooms", &inserting([room(1), room(2)]))
        .await?;
    let begun = |n, joined_at| Seat {
        connection: connection(n),
        joined_at: at(joined_at),
        charged: Seconds::ZERO,
        ..gone(seat(1, 1))
    };
    let others = Seat {
        connection: connection(90),
        ..gone(seat(2, 1))
    };
    let elsewhere = Seat {
        connection: connection(91),
        joined_at: at(1009),
        charged: Seconds::ZERO,
        ..gone(seat(1, 2))
    };
    let read = Read::LastSeatIn(room_id(1), wallet(1));
    same("no stay", &stage.list(read.clone()).await?, &vec![])?;
    for other in [others, elsewhere] {
        stage.granted("a stay", &inserting([other])).await?;
    }
    same("none here", &stage.list(read.clone()).await?, &vec![])?;
    let stays = [
        begun(3, 1000),
        begun(5, 1002),
        begun(4, 1002),
        begun(6, 999),
    ];
    for stay in &stays {
        stage.granted("a stay", &inserting([stay.clone()])).await?;
    }
    let found = stage.list(read.clone()).await?;
    let last = vec![stored(1, stays[1].clone())];
    same("of two that began last the greatest", &found, &last)?;
    let live = Seat {
        connection: connection(2),
        joined_at: at(998),
        ..seat(1, 1)
    };
    stage
        .granted("a live one", &inserting([live.clone()]))
        .await?;
    let found = stage.list(read).await?;
    same("the live one", &found, &vec![stored(1, live)])
}

/// R3.
pub(super) async fn revoked_tokens_come_page_by_page(stage: &Stage) -> Result<(), Broken> {
    let mut tokens = [
        revocation(1, 7),
        revocation(2, 5),
        revocation(3, 7),
        revocation(4, 60),
        revocation(5, 5),
    ];
    let used = Revocation {
        what: Revoked::Nonce,
        ..revocation(6, 6)
    };
    for revoked in tokens.iter().chain([&used]) {
        stage
            .granted("a revocation", &inserting([*revoked]))
            .await?;
    }
    tokens.sort_by_key(|token| (token.at, token.id));
    let all: Vec<StoredRow> = tokens.iter().map(|token| stored(1, *token)).collect();
    let before = (Timestamp::EPOCH, RevocationId::from_bytes([0; 16]));
    let page = |after, max| stage.list(Read::RevokedTokens(RevokedTokens { after, max }));
    same("all", &page(before, 100).await?, &all)?;
    same("the first two", &page(before, 2).await?, &all[..2].to_vec())?;
    same("none", &page(before, 0).await?, &vec![])?;
    for (place, token) in tokens.iter().enumerate() {
        let after = (token.at, token.id);
        let rest = all[place + 1..].to_vec();
        same(format!("after {place}"), &page(after, 9).await?, &rest)?;
    }
    Ok(())
}

/// R3.
pub(super) async fn changes_of_credit_come_newest_first(stage: &Stage) -> Result<(), Broken> {
    let moved = |n: u32, cause: &str, seconds: u64| Transfer {
        id: TransferId::derive("pages", &[cause.as_bytes()]),
        at: at(seconds),
        debit: spendable(n),
        credit: account(n, AccountKind::Revenue),
        ..grant(n, 3)
    };
    let given = |n, seconds| Transfer {
        at: at(seconds),
        ..grant(n, 1_000)
    };
    let orders = [
        given(1, 10),
        given(2, 11),
        moved(1, "a", 12),
        moved(2, "b", 12),
        moved(1, "c", 14),
        moved(1, "d", 14),
        moved(1, "e", 13),
    ];
    for transfer in orders {
        let changeset = transferring([plain(transfer)]);
        stage.granted("a transfer", &changeset).await?;
    }
    // The ledger's own entries come by their transfers; facts of other kinds tell of no credit.
    let mut draft = Draft::new();
    let (from, to) = (at(14), at(15));
    draft.journal(at(14), session_core::changeset::Fact::Outage { from, to });
    stage.granted("an outage", &draft.finish()).await?;

    let page = |before, max| {
        let wallet = wallet(1);
        let page = CreditEntries {
            wallet,
            before,
            max,
        };
        stage.list(Read::CreditEntriesOf(page))
    };
    let all = page(None, 100).await?;
    let entries: Vec<&Entry> = all.iter().filter_map(entry).collect();
    let places: Vec<_> = entries.iter().map(|entry| (entry.at, entry.id)).collect();
    let mut sorted = places.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    same("the order of all", &places, &sorted)?;
    let seconds: Vec<u64> = places.iter().map(|(at, _)| at.unix()).collect();
    let expected: Vec<u64> = [14, 14, 13, 12, 10].map(|n| at(n).unix()).to_vec();
    same("the instants of one wallet's", &seconds, &expected)?;
    let whose: Vec<_> = entries
        .iter()
        .map(|entry| entry.fact.moves_credit_of())
        .collect();
    same("whose they are", &whose, &vec![Some(wallet(1)); 5])?;
    same("the first two", &page(None, 2).await?, &all[..2].to_vec())?;
    same("none", &page(None, 0).await?, &vec![])?;
    for (place, before) in places.iter().enumerate() {
        let rest = all[place + 1..].to_vec();
        let found = page(Some(*before), 100).await?;
        same(format!("before the one at {place}"), &found, &rest)?;
        let found = page(Some(*before), 1).await?;
        let one: Vec<StoredRow> = rest.into_iter().take(1).collect();
        same(format!("one before that at {place}"), &found, &one)?;
    }
    Ok(())
}

fn entry(stored: &StoredRow) -> Option<&Entry> {
    match &stored.row {
        Row::Entry(entry) => Some(entry),
        _ => None,
    }
}

/// R1.
pub(super) async fn pages_are_answered_beside_other_reads(stage: &Stage) -> Result<(), Broken> {
    let mut draft = Draft::new();
    draft.insert(room(1));
    draft.insert(seat(1, 1));
    draft.insert(event(1, 1));
    draft.insert(event(1, 2));
    draft.insert(revocation(1, 7));
    stage.granted("rows", &draft.finish()).await?;
    let events = |after, max| {
        Read::RoomEvents(RoomEvents {
            room: room_id(1),
            after: EventNumber::new(after),
            max,
        })
    };
    let reads = [
        events(1, 5),
        Read::Row(room(1).key()),
        events(0, 1),
        Read::LastSeatIn(room_id(1), wallet(1)),
        Read::Row(event(1, 2).key()),
        Read::Row(revocation(1, 7).key()),
        Read::LiveSeatsIn(room_id(1)),
    ];
    let expected = vec![
        vec![stored(1, event(1, 2))],
        vec![stored(1, room(1))],
        vec![stored(1, event(1, 1))],
        vec![stored(1, seat(1, 1))],
        vec![stored(1, event(1, 2))],
        vec![stored(1, revocation(1, 7))],
        vec![stored(1, seat(1, 1))],
    ];
    same("reads of all kinds", &stage.read(&reads).await?, &expected)
}
