//! Typed reads.

use std::collections::{BTreeMap, BTreeSet};

use session_core::changeset::Key;
use session_core::ports::{Read, StoreError, StoredRow};
use sqlx::SqliteConnection;

use crate::rows::{self, Kind, challenge, room, seat};
use crate::statement::Parameters;

/// One list per read, in the order of the reads.
pub(crate) async fn all(
    connection: &mut SqliteConnection,
    reads: &[Read],
) -> Result<Vec<Vec<StoredRow>>, StoreError> {
    // Single rows are gathered, so that each kind of them is one statement.
    let named: BTreeSet<Key> = reads.iter().filter_map(named_row).cloned().collect();
    let found = rows::load(connection, &named).await?;
    let found: BTreeMap<Key, StoredRow> = found
        .into_iter()
        .map(|stored| (stored.row.key(), stored))
        .collect();
    let mut lists = Vec::with_capacity(reads.len());
    for read in reads {
        lists.push(match named_row(read) {
            Some(key) => found.get(key).cloned().into_iter().collect(),
            None => list(connection, read).await?,
        });
    }
    Ok(lists)
}

const fn named_row(read: &Read) -> Option<&Key> {
    match read {
        Read::Row(key) => Some(key),
        Read::ActiveOpenRooms(_)
        | Read::ActiveRoomOf(_)
        | Read::ChallengesOf(_)
        | Read::LiveSeatOf(_)
        | Read::LiveSeatsIn(_) => None,
    }
}

async fn list(
    connection: &mut SqliteConnection,
    read: &Read,
) -> Result<Vec<StoredRow>, StoreError> {
    let (kind, statement, parameters) = match read {
        Read::ActiveOpenRooms(max) => (
            Kind::Room,
            room::ACTIVE_OPEN,
            Parameters::new().number((*max).into()),
        ),
        Read::ActiveRoomOf(host) => (Kind::Room, room::ACTIVE_OF_HOSTS, Parameters::list(&[host])),
        Read::ChallengesOf(wallet) => (
            Kind::Challenge,
            challenge::OF_WALLET,
            Parameters::new().text(wallet),
        ),
        Read::LiveSeatOf(wallet) => (
            Kind::Seat,
            seat::LIVE_OF_WALLETS,
            Parameters::list(&[wallet]),
        ),
        Read::LiveSeatsIn(room) => (Kind::Seat, seat::LIVE_IN_ROOMS, Parameters::list(&[room])),
        Read::Row(key) => return rows::load(connection, &BTreeSet::from([key.clone()])).await,
    };
    rows::list(connection, kind, statement, parameters).await
}
