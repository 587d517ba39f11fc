//! What the port shows of a state, compared with a world.

use session_core::changeset::{Changeset, Key, Lane, Row, World, apply};
use session_core::escrow::Side;
use session_core::ledger::Order;
use session_core::ports::{
    BookedSessions, Claim, Claimed, CreditEntries, Read, RevokedTokens, RoomEvents, Store,
};
use session_core::room::EventNumber;
use session_core::types::{Id128, RevocationId, Seconds, Timestamp};

use super::broken::{Broken, holds, same};
use super::stage::{Stage, verdict};

/// Reads in one call.
const READS_MAX: usize = 64;

/// Compares all rows of a world, rows that it does not have, and every list.
pub(super) async fn same_rows(
    store: &dyn Store,
    world: &World,
    missing: &[Key],
) -> Result<(), Broken> {
    let mut reads: Vec<Read> = vec![
        Read::ActiveOpenRooms(2),
        Read::ActiveOpenRooms(u32::MAX),
        Read::UnsealedEntries(3),
        Read::UnsealedEntries(u32::MAX),
        Read::RevokedTokens(RevokedTokens {
            after: (Timestamp::EPOCH, RevocationId::from_bytes([0; 16])),
            max: u32::MAX,
        }),
    ];
    for (key, _, row) in world.rows() {
        reads.push(Read::Row(key.clone()));
        match row {
            Row::BookedSession(session) => {
                let place = (session.agreement.slot.start_time, session.key);
                for party in [Side::Host, Side::Guest] {
                    let all = BookedSessions {
                        wallet: session.agreement.wallet(party),
                        status: None,
                        before: None,
                        max: u32::MAX,
                    };
                    let some = BookedSessions {
                        status: Some(session.status),
                        max: 2,
                        ..all
                    };
                    let rest = BookedSessions {
                        before: Some(place),
                        ..all
                    };
                    reads.extend([all, some, rest].map(Read::BookedSessionsOf));
                }
            }
            Row::Challenge(challenge) => reads.push(Read::ChallengesOf(challenge.key.wallet)),
            Row::Room(room) => {
                reads.push(Read::ActiveRoomOf(room.host));
                reads.push(Read::LiveSeatsIn(room.id));
                let (room, after, max) = (room.id, EventNumber::NONE, u32::MAX);
                reads.push(Read::RoomEvents(RoomEvents { room, after, max }));
            }
            Row::Seat(seat) => {
                reads.push(Read::LiveSeatOf(seat.wallet));
                reads.push(Read::LastSeatIn(seat.room, seat.wallet));
            }
            Row::Entry(entry) => {
                let (before, max) = (None, u32::MAX);
                let page = |wallet| CreditEntries {
                    wallet,
                    before,
                    max,
                };
                let whose = entry.fact.moves_credit_of();
                reads.extend(whose.map(|wallet| Read::CreditEntriesOf(page(wallet))));
            }
            Row::Account(_)
            | Row::Block(_)
            | Row::Chain(_)
            | Row::Host(_)
            | Row::Idempotency(_)
            | Row::Intent(_)
            | Row::Revocation(_)
            | Row::RoomEvent(_)
            | Row::Service(_) => {}
        }
    }
    reads.extend(missing.iter().cloned().map(Read::Row));
    reads.sort();
    reads.dedup();
    for reads in reads.chunks(READS_MAX) {
        let found = store.read(reads).await?;
        same("how many lists there are", &found.len(), &reads.len())?;
        for (read, found) in reads.iter().zip(&found) {
            same(format!("{read:?}"), found, &world.find(read))?;
        }
    }
    Ok(())
}

/// Asks for every transfer of a world once more: all of them are repeats, told as they moved.
pub(super) async fn same_transfers(store: &dyn Store, world: &World) -> Result<(), Broken> {
    let transfers = world.transfers().map(|transfer| Order {
        transfer: *transfer,
        guard: None,
    });
    let repeat = Changeset {
        transfers: transfers.collect(),
        ..Changeset::default()
    };
    let expected = apply(world, &repeat).map(|delta| delta.receipt);
    let found = verdict(store.commit(&repeat).await)?;
    same("every transfer once more", &found, &expected)
}

/// Empties every queue of a world and of a store, by claims for all times.
pub(super) async fn same_queues(stage: &Stage, world: &mut World) -> Result<(), Broken> {
    for lane in Lane::ALL {
        let claim = Claim {
            lane,
            now: Timestamp::MAX.before(Seconds::new(1)),
            lease: Seconds::new(1),
            rows_max: usize::MAX,
        };
        let claimed = stage.store().claim_due(&claim).await?;
        legal_claim(world, &claim, &claimed)?;
    }
    Ok(())
}

/// Whether rows may be handed out so, and hands them out in the world too. Rows due at one instant
/// may come in any order, so that which of them come first is the store's to say.
pub(super) fn legal_claim(
    world: &mut World,
    claim: &Claim,
    claimed: &[Claimed],
) -> Result<(), Broken> {
    let mut waiting: Vec<(Timestamp, Key)> = Vec::new();
    for (key, ..) in world.rows() {
        if let Some(work) = world.work(key) {
            let is_due = work.due.lane == claim.lane && work.due.at <= claim.now;
            if is_due && work.leased_until.is_none_or(|until| until <= claim.now) {
                waiting.push((work.due.at, key.clone()));
            }
        }
    }
    waiting.sort();
    let what = || format!("{claim:?}, of {waiting:?}");
    let due: Vec<Timestamp> = waiting
        .iter()
        .map(|(at, _)| *at)
        .take(claim.rows_max)
        .collect();
    let mut found = Vec::with_capacity(claimed.len());
    for Claimed { key, fence } in claimed {
        let Some(work) = world.work(key).copied() else {
            return Err(Broken::new(format!("{key} is in no queue")).during(what()));
        };
        holds(waiting.iter().any(|(_, waits)| waits == key), || {
            format!("{}: {key} is not to be handed out", what())
        })?;
        same(
            format!("{}: the fence of {key}", what()),
            fence,
            &work.fence.next(),
        )?;
        found.push(work.due.at);
        let leased_until = Some(claim.now.after(claim.lease));
        world.put_work(
            key.clone(),
            session_core::changeset::Work {
                fence: *fence,
                leased_until,
                ..work
            },
        );
    }
    same(
        format!("{}: due times of what is handed out", what()),
        &found,
        &due,
    )
}
