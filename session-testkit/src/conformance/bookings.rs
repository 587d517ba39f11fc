//! R: booked sessions, and what hosts say of themselves.

use session_core::booking::{ATTEMPTS_KEPT_MAX, BookedSession, DecidedBy, Host, OutcomeStatement};
use session_core::changeset::Record;
use session_core::escrow::{BookingKey, BookingStatus, EscrowId, Outcome};
use session_core::ports::{BookedSessions, CommitError, Read, StoredRow};
use session_core::types::{BookingId, Timestamp, U256, Wallet};

use super::broken::{Broken, same};
use super::reads::come_back;
use super::rows::{at, booked, booking_key, host, inserting, updating, wallet};
use super::sessions::{attempts, decision, largest, settlements, statement};
use super::stage::{Stage, stored};

/// R6.
pub(super) async fn a_booked_session_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    let mut states = vec![booked(1), largest(), booked(1)];
    for status in BookingStatus::ALL {
        states.push(BookedSession {
            status: *status,
            finalizable_at: Some(Timestamp::EPOCH),
            disputed_at: Some(Timestamp::EPOCH),
            ..booked(1)
        });
    }
    for settlement in settlements() {
        states.push(BookedSession {
            settlement,
            ..booked(1)
        });
    }
    for by in [
        DecidedBy::Presence,
        DecidedBy::Force,
        DecidedBy::Statements {
            host: statement(Outcome::NoShowHost),
            guest: statement(Outcome::NoShowGuest),
        },
    ] {
        for outcome in Outcome::ALL {
            states.push(BookedSession {
                decision: Some(decision(outcome, by.clone())),
                ..booked(1)
            });
        }
    }
    for attempts in attempts().chunks(ATTEMPTS_KEPT_MAX) {
        states.push(BookedSession {
            attempts: attempts.to_vec(),
            ..booked(1)
        });
    }
    come_back(stage, states).await?;
    let last = BookedSession {
        key: BookingKey {
            escrow: EscrowId {
                chain_id: i64::MAX.unsigned_abs(),
                address: Wallet::from_bytes([0xff; 20]),
            },
            booking: BookingId::new(U256::MAX),
        },
        ..largest()
    };
    let mut first = booked(0);
    first.key.escrow.chain_id = 0;
    first.agreement.slot.start_time = Timestamp::EPOCH;
    come_back(stage, vec![last]).await?;
    come_back(stage, vec![first]).await
}

/// R6: what a party signs for ever, and the name of a chain, may be any number of 64 bits.
pub(super) async fn what_counts_beyond_63_bits_comes_back_or_is_refused(
    stage: &Stage,
) -> Result<(), Broken> {
    let mut signed = booked(1);
    signed.guest.statement = Some(OutcomeStatement {
        deadline: u64::MAX,
        ..statement(Outcome::Completed)
    });
    let mut elsewhere = booked(2);
    elsewhere.key.escrow.chain_id = u64::MAX;
    for session in [signed, elsewhere] {
        let written = stage.store().commit(&inserting([session.clone()])).await;
        let expected = match written {
            Ok(_) => Some(stored(1, session.clone())),
            Err(CommitError::Store(_)) => None,
            Err(CommitError::Rejected(why)) => return Err(why.into()),
        };
        let found = stage.row(&session.key()).await?;
        same(session.key(), &found, &expected)?;
    }
    Ok(())
}

/// R6.
pub(super) async fn a_host_comes_back_as_it_was(stage: &Stage) -> Result<(), Broken> {
    let says = |accepting_bookings, changed_at| Host {
        accepting_bookings,
        changed_at,
        ..host(1)
    };
    let states = vec![
        says(true, at(7)),
        says(false, Timestamp::MAX),
        says(true, Timestamp::EPOCH),
    ];
    come_back(stage, states).await?;
    for wallet in [[0; 20], [0xff; 20]] {
        let wallet = Wallet::from_bytes(wallet);
        come_back(stage, vec![Host { wallet, ..host(1) }]).await?;
    }
    Ok(())
}

/// A page of the sessions of the wallet of a number.
pub(super) fn booked_of(
    n: u32,
    status: Option<BookingStatus>,
    before: Option<(Timestamp, BookingKey)>,
    max: u32,
) -> Read {
    Read::BookedSessionsOf(BookedSessions {
        wallet: wallet(n),
        status,
        before,
        max,
    })
}

/// A session of two wallets that begins at an instant.
fn between(n: u32, hosted_by: u32, guest: u32, starts_at: u64) -> BookedSession {
    let mut session = booked(n);
    session.agreement.slot.host = wallet(hosted_by);
    session.agreement.slot.start_time = at(starts_at);
    session.agreement.guest = wallet(guest);
    session
}

/// Sessions of the first wallet, those that begin last first, in the midst of others'.
async fn sessions(stage: &Stage) -> Result<Vec<BookedSession>, Broken> {
    let on_another_chain = |mut session: BookedSession| {
        session.key.escrow.chain_id = 5;
        session
    };
    let own = vec![
        between(6, 2, 1, 20_000),
        on_another_chain(between(9, 1, 4, 9000)),
        // By text a 9 comes after a 10, and a chain 5 after a chain 42431.
        between(9, 2, 1, 9000),
        between(10, 1, 2, 9000),
        between(1, 1, 1, 9000),
        between(3, 1, 2, 800),
        on_another_chain(between(2, 2, 1, 0)),
    ];
    let others = [
        between(20, 2, 3, 9000),
        between(21, 3, 2, 30_000),
        between(22, 4, 4, 0),
    ];
    // Neither in the order of the list nor in its reverse.
    for n in [3, 0, 5, 1, 6, 4, 2] {
        let session = own.get(n).into_iter().chain(others.get(n));
        for session in session {
            stage
                .granted("a session", &inserting([session.clone()]))
                .await?;
        }
    }
    Ok(own)
}

fn listed(sessions: &[BookedSession]) -> Vec<StoredRow> {
    let sessions = sessions.iter();
    sessions.map(|session| stored(1, session.clone())).collect()
}

/// R3.
pub(super) async fn booked_sessions_come_last_first(stage: &Stage) -> Result<(), Broken> {
    let own = sessions(stage).await?;
    for max in [u32::MAX, 8, 7, 6, 5, 2, 1, 0] {
        let shown = own.iter().take(usize::try_from(max).unwrap_or(usize::MAX));
        let shown: Vec<BookedSession> = shown.cloned().collect();
        let found = stage.list(booked_of(1, None, None, max)).await?;
        let what = format!("at most {max} sessions that a wallet is host or guest of");
        same(what, &found, &listed(&shown))?;
    }
    let found = stage.list(booked_of(9, None, None, 9)).await?;
    same("the sessions of a wallet that has none", &found, &vec![])?;
    let last = BookedSession {
        key: booking_key(30),
        ..between(1, 1, 2, u64::MAX)
    };
    stage
        .granted("one at the end of time", &inserting([last.clone()]))
        .await?;
    let found = stage.list(booked_of(1, None, None, 1)).await?;
    same("the one at the end of time", &found, &listed(&[last]))
}

/// R3.
pub(super) async fn booked_sessions_come_page_by_page(stage: &Stage) -> Result<(), Broken> {
    let own = sessions(stage).await?;
    let place = |session: &BookedSession| (session.agreement.slot.start_time, session.key);
    for (n, session) in own.iter().enumerate() {
        let rest = &own[n + 1..];
        for max in [u32::MAX, 2, 1] {
            let shown = rest.iter().take(usize::try_from(max).unwrap_or(usize::MAX));
            let shown: Vec<BookedSession> = shown.cloned().collect();
            let page = booked_of(1, None, Some(place(session)), max);
            let what = format!("at most {max} of those after the one at {n}");
            same(what, &stage.list(page).await?, &listed(&shown))?;
        }
    }
    // A place where none is, as of a session that was moved.
    let gap = (at(9000), booking_key(100));
    let found = stage.list(booked_of(1, None, Some(gap), 9)).await?;
    let what = "those after a place where none is";
    same(what, &found, &listed(&own[3..]))?;
    let pages = [
        booked_of(1, None, Some(place(&own[4])), 1),
        booked_of(2, None, None, 2),
        booked_of(1, Some(BookingStatus::Disputed), None, 9),
        Read::Row(own[0].key()),
        booked_of(1, None, None, 1),
        booked_of(1, None, None, 1),
    ];
    let expected = vec![
        listed(&own[5..6]),
        listed(&[between(21, 3, 2, 30_000), own[0].clone()]),
        vec![],
        listed(&own[..1]),
        listed(&own[..1]),
        listed(&own[..1]),
    ];
    same("several pages", &stage.read(&pages).await?, &expected)
}

/// R3.
pub(super) async fn a_session_is_listed_by_what_it_came_to(stage: &Stage) -> Result<(), Broken> {
    let mut sessions = Vec::new();
    for (n, status) in (1..).zip(BookingStatus::ALL) {
        for (party, n) in [(1, n), (2, n + 20)] {
            let session = BookedSession {
                status: *status,
                ..between(n, party, 3 - party, 9000)
            };
            stage
                .granted("a session", &inserting([session.clone()]))
                .await?;
            sessions.push(session);
        }
    }
    for status in BookingStatus::ALL {
        let of_status = |session: &&BookedSession| session.status == *status;
        let mut expected: Vec<BookedSession> = sessions.iter().filter(of_status).cloned().collect();
        expected.sort_by_key(|session| std::cmp::Reverse(session.key.to_string()));
        for n in [1, 2] {
            let found = stage.list(booked_of(n, Some(*status), None, 9)).await?;
            let what = format!("those of wallet {n} that are {}", status.name());
            same(what, &found, &listed(&expected))?;
        }
        // Others that come before it do not count for its page.
        let found = stage.list(booked_of(1, Some(*status), None, 1)).await?;
        let what = format!("the first that is {}", status.name());
        same(what, &found, &listed(&expected[..1]))?;
    }
    let later = BookedSession {
        status: BookingStatus::Attested,
        ..between(30, 1, 2, 100)
    };
    let booked = BookedSession {
        status: BookingStatus::Booked,
        ..later.clone()
    };
    stage.granted("another", &inserting([booked])).await?;
    stage
        .granted("its attestation", &updating(1, later.clone()))
        .await?;
    let page = |status| booked_of(1, Some(status), Some((at(101), booking_key(1))), 9);
    let found = stage.list(page(BookingStatus::Attested)).await?;
    same("what it is now", &found, &vec![stored(2, later)])?;
    let found = stage.list(page(BookingStatus::Booked)).await?;
    same("what it was", &found, &vec![])
}
