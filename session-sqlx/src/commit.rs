//! One changeset, inside a transaction that holds the write lock.

use std::collections::BTreeSet;

use session_core::changeset::{
    Changeset, Delta, Key, Put, Receipt, Unique, Version, World, Write, apply,
};
use session_core::ports::{CommitError, StoreError};
use session_core::types::{RoomId, Wallet};
use sqlx::SqliteConnection;

use crate::rows::{self, Kind, room, seat};
use crate::statement::Parameters;
use crate::{journal, ledger, work};

/// Loads what the changeset names, lets the core decide, and writes what it says.
///
/// Must run inside a transaction that holds the write lock from before the first read: then what
/// is loaded here is still so when the transaction commits.
pub(crate) async fn run(
    connection: &mut SqliteConnection,
    changeset: &Changeset,
) -> Result<Receipt, CommitError> {
    let world = load(connection, changeset).await?;
    let delta = apply(&world, changeset)?;
    write(connection, &world, &delta).await?;
    Ok(delta.receipt)
}

async fn load(
    connection: &mut SqliteConnection,
    changeset: &Changeset,
) -> Result<World, StoreError> {
    let mut world = World::new();
    let keys = changeset.keys();
    for stored in rows::load(connection, &keys).await? {
        world.put_row(stored.version, stored.row);
    }
    for (key, place) in work::load(connection, &keys).await? {
        world.put_work(key, place);
    }
    for transfer in ledger::load(connection, &changeset.transfer_ids()).await? {
        world.put_transfer(transfer);
    }
    load_holders(connection, &Wanted::of(changeset, &world), &mut world).await?;
    Ok(world)
}

/// Values of which only one row may be the holder, that some row is about to take.
#[derive(Debug, Default)]
struct Wanted {
    hosts: BTreeSet<Wallet>,
    seated: BTreeSet<Wallet>,
    rooms: BTreeSet<RoomId>,
}

impl Wanted {
    /// A row that keeps what it holds takes nothing, so that a heartbeat looks nobody up.
    fn of(changeset: &Changeset, world: &World) -> Self {
        let mut wanted = Self::default();
        for write in &changeset.rows {
            let (Write::Insert(row) | Write::Update(row)) = write else {
                continue;
            };
            let held = world
                .row(&row.key())
                .map_or_else(Vec::new, |(_, row)| row.uniques());
            for unique in row
                .uniques()
                .into_iter()
                .filter(|unique| !held.contains(unique))
            {
                match unique {
                    Unique::ActiveRoomOf(host) => wanted.hosts.insert(host),
                    Unique::LiveSeatOf(wallet) => wanted.seated.insert(wallet),
                    Unique::Slot(room, _) | Unique::Uid(room, _) => wanted.rooms.insert(room),
                };
            }
        }
        wanted
    }
}

async fn load_holders(
    connection: &mut SqliteConnection,
    wanted: &Wanted,
    world: &mut World,
) -> Result<(), StoreError> {
    let lists = [
        (
            Kind::Room,
            room::ACTIVE_OF_HOSTS,
            wanted.hosts.len(),
            Parameters::list(&wanted.hosts),
        ),
        (
            Kind::Seat,
            seat::LIVE_OF_WALLETS,
            wanted.seated.len(),
            Parameters::list(&wanted.seated),
        ),
        (
            Kind::Seat,
            seat::LIVE_IN_ROOMS,
            wanted.rooms.len(),
            Parameters::list(&wanted.rooms),
        ),
    ];
    for (kind, statement, wanted, parameters) in lists {
        if wanted == 0 {
            continue;
        }
        for stored in rows::list(connection, kind, statement, parameters).await? {
            world.put_row(stored.version, stored.row);
        }
    }
    Ok(())
}

async fn write(
    connection: &mut SqliteConnection,
    world: &World,
    delta: &Delta,
) -> Result<(), CommitError> {
    // What only one row may have can change hands within one changeset, and the database checks
    // each statement: all that release come before any that takes.
    for key in &delta.deletes {
        rows::delete(connection, key, replaced(world, key)).await?;
    }
    let mut inserts = Vec::new();
    for (key, put) in &delta.puts {
        match world.row(key) {
            Some((version, found)) if takes(put, &found.uniques()) => {
                rows::delete(connection, key, *version).await?;
                inserts.push(put);
            }
            Some((version, _)) => rows::update(connection, put, *version).await?,
            None => inserts.push(put),
        }
    }
    for put in inserts {
        rows::insert(connection, put).await?;
    }
    for transfer in &delta.transfers {
        ledger::append(connection, transfer).await?;
    }
    for entry in &delta.journal {
        journal::append(connection, entry).await?;
    }
    for (key, place) in &delta.work {
        work::put(connection, key, place.as_ref()).await?;
    }
    Ok(())
}

/// Whether a row takes something that it did not hold before.
fn takes(put: &Put, held: &[Unique]) -> bool {
    put.row
        .uniques()
        .iter()
        .any(|unique| !held.contains(unique))
}

/// The version of a row that goes away. One that is not there has none: the deletion then finds
/// nothing, and fails.
fn replaced(world: &World, key: &Key) -> Version {
    world
        .row(key)
        .map_or(Version::default(), |(version, _)| *version)
}
