//! Which rows a call needs to see, and finding them.

use std::collections::BTreeSet;

use session_core::changeset::{Changeset, Key, Row, Unique, World, Write};
use session_core::ports::{BookedSessions, CreditEntries, Read, RevokedTokens, RoomEvents};
use session_core::types::{RoomId, Timestamp, TransferId, Wallet};

use crate::names::Named;
use crate::rows::{
    Kind, booked_session, challenge, entry, name, revocation, room, room_event, seat,
};
use crate::session::{Session, Trouble};
use crate::statement::Statement;
use crate::value::{Tuple, Values};
use crate::{journal, ledger, work};

/// What is wanted, of any number of calls together.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Rows by name.
    pub(crate) keys: BTreeSet<Key>,
    /// Active rooms of hosts.
    pub(crate) hosts: BTreeSet<Wallet>,
    /// Live seats of wallets.
    pub(crate) seated: BTreeSet<Wallet>,
    /// Live seats in rooms.
    pub(crate) rooms: BTreeSet<RoomId>,
    /// Outstanding nonces of wallets.
    pub(crate) challenged: BTreeSet<Wallet>,
    /// Credit of wallets, page by page.
    pub(crate) credit: BTreeSet<CreditEntries>,
    /// Last stays in rooms.
    pub(crate) last_seats: BTreeSet<(RoomId, Wallet)>,
    /// Revoked tokens, page by page.
    pub(crate) revoked: BTreeSet<RevokedTokens>,
    /// Booked sessions of wallets, page by page.
    pub(crate) booked: BTreeSet<BookedSessions>,
    /// Events of rooms, page by page.
    pub(crate) events: BTreeSet<RoomEvents>,
    /// How many active open rooms.
    pub(crate) open_rooms_max: u32,
    /// How many entries that are in no block.
    pub(crate) unsealed_max: u32,
}

/// What was found, by kind, as it came out of its columns.
pub(crate) type Found = Vec<(Kind, Tuple)>;

impl Wanted {
    /// What reads may find.
    pub(crate) fn of_reads<'a>(reads: impl Iterator<Item = &'a Read>) -> Self {
        let mut wanted = Self::default();
        for read in reads {
            match read {
                Read::ActiveOpenRooms(max) => {
                    wanted.open_rooms_max = wanted.open_rooms_max.max(*max);
                }
                Read::ActiveRoomOf(host) => {
                    wanted.hosts.insert(*host);
                }
                Read::BookedSessionsOf(page) => {
                    wanted.booked.insert(*page);
                }
                Read::ChallengesOf(wallet) => {
                    wanted.challenged.insert(*wallet);
                }
                Read::CreditEntriesOf(page) => {
                    wanted.credit.insert(*page);
                }
                Read::LastSeatIn(room, wallet) => {
                    wanted.last_seats.insert((*room, *wallet));
                }
                Read::LiveSeatOf(wallet) => {
                    wanted.seated.insert(*wallet);
                }
                Read::LiveSeatsIn(room) => {
                    wanted.rooms.insert(*room);
                }
                Read::RevokedTokens(page) => {
                    wanted.revoked.insert(*page);
                }
                Read::RoomEvents(page) => {
                    wanted.events.insert(*page);
                }
                Read::Row(key) => {
                    wanted.keys.insert(key.clone());
                }
                Read::UnsealedEntries(max) => {
                    wanted.unsealed_max = wanted.unsealed_max.max(*max);
                }
            }
        }
        wanted
    }

    /// Whether rows are wanted by name alone.
    pub(crate) fn is_by_name(&self) -> bool {
        self.hosts.is_empty()
            && self.seated.is_empty()
            && self.rooms.is_empty()
            && self.challenged.is_empty()
            && self.open_rooms_max == 0
            && self.unsealed_max == 0
            && !self.is_more()
    }

    /// Whether something is wanted that is asked for seldom.
    pub(crate) fn is_more(&self) -> bool {
        let is_seldom = |key: &Key| {
            matches!(
                key,
                Key::BookedSession(_) | Key::Host(_) | Key::Revocation(_) | Key::RoomEvent(_)
            )
        };
        !self.booked.is_empty()
            || !self.credit.is_empty()
            || !self.last_seats.is_empty()
            || !self.revoked.is_empty()
            || !self.events.is_empty()
            || self.keys.iter().any(is_seldom)
    }

    /// The holders of what only one row may have, that some row is about to take. A row that
    /// keeps what it holds takes nothing.
    fn holders<'a>(changesets: impl Iterator<Item = &'a Changeset>, world: &World) -> Self {
        let mut wanted = Self::default();
        for write in changesets.flat_map(|changeset| &changeset.rows) {
            let (Write::Insert(row) | Write::Update(row)) = write else {
                continue;
            };
            let held = world.row(&row.key());
            let held = held.map_or_else(Vec::new, |(_, row)| row.uniques());
            for unique in row.uniques() {
                if held.contains(&unique) {
                    continue;
                }
                match unique {
                    Unique::ActiveRoomOf(host) => wanted.hosts.insert(host),
                    Unique::LiveSeatOf(wallet) => wanted.seated.insert(wallet),
                    Unique::Slot(room, _) | Unique::Uid(room, _) => wanted.rooms.insert(room),
                };
            }
        }
        wanted
    }

    /// The statements that find these rows, with their parameters; none that would find nothing.
    pub(crate) fn statements(&self) -> Result<Vec<Finding>, Trouble> {
        let mut findings = Vec::new();
        for (kind, rows) in by_kind(self.keys.iter())? {
            findings.push((kind, &kind.table().select, rows));
        }
        let lists: [(Kind, &'static Statement, Vec<Values>); 9] = [
            (Kind::Room, &room::ACTIVE_OF_HOSTS, texts(&self.hosts)),
            (Kind::Seat, &seat::LIVE_OF_WALLETS, texts(&self.seated)),
            (Kind::Seat, &seat::LIVE_IN_ROOMS, texts(&self.rooms)),
            (
                Kind::Challenge,
                &challenge::OF_WALLETS,
                texts(&self.challenged),
            ),
            (
                Kind::BookedSession,
                &booked_session::OF_WALLET,
                self.booked_pages(),
            ),
            (Kind::Entry, &entry::CREDIT_BEFORE, self.credit_pages()),
            (Kind::Seat, &seat::LAST_IN, self.last_stays()),
            (
                Kind::Revocation,
                &revocation::TOKENS_AFTER,
                self.revoked_pages(),
            ),
            (Kind::RoomEvent, &room_event::AFTER, self.event_pages()),
        ];
        for (kind, statement, rows) in lists {
            if !rows.is_empty() {
                findings.push((kind, statement, finished(rows)?));
            }
        }
        if self.open_rooms_max > 0 {
            let most = vec![Values::new().number(self.open_rooms_max.into())];
            findings.push((Kind::Room, &room::ACTIVE_OPEN, finished(most)?));
        }
        if self.unsealed_max > 0 {
            let most = vec![Values::new().number(self.unsealed_max.into())];
            findings.push((Kind::Unsealed, &entry::UNSEALED, finished(most)?));
        }
        Ok(findings)
    }

    /// The parameters of [`entry::CREDIT_BEFORE`].
    pub(crate) fn credit_pages(&self) -> Vec<Values> {
        let page = |page: &CreditEntries| {
            let named = Values::new().text(page.wallet);
            let before = match page.before {
                Some((at, id)) => named.time(at).text(id),
                // After every instant there is.
                None => named.number(Timestamp::MAX.unix() + 1).text(""),
            };
            before.number(page.max.into())
        };
        self.credit.iter().map(page).collect()
    }

    /// The parameters of [`booked_session::OF_WALLET`].
    pub(crate) fn booked_pages(&self) -> Vec<Values> {
        let page = |page: &BookedSessions| {
            let status = page.status.map_or("", Named::name);
            let named = Values::new().text(page.wallet).text(status);
            let before = match page.before {
                Some((at, key)) => named.time(at).text(key),
                // After every instant there is.
                None => named.number(Timestamp::MAX.unix() + 1).text(""),
            };
            before.number(page.max.into())
        };
        self.booked.iter().map(page).collect()
    }

    /// The parameters of [`seat::LAST_IN`].
    pub(crate) fn last_stays(&self) -> Vec<Values> {
        let stays = self.last_seats.iter();
        stays
            .map(|(room, wallet)| Values::new().text(room).text(wallet))
            .collect()
    }

    /// The parameters of [`revocation::TOKENS_AFTER`].
    pub(crate) fn revoked_pages(&self) -> Vec<Values> {
        let page = |page: &RevokedTokens| {
            let (at, id) = page.after;
            Values::new().time(at).text(id).number(page.max.into())
        };
        self.revoked.iter().map(page).collect()
    }

    /// The parameters of [`room_event::AFTER`].
    pub(crate) fn event_pages(&self) -> Vec<Values> {
        let page = |page: &RoomEvents| {
            // No number is greater than what a column holds.
            let after = page.after.get().min(i64::MAX.unsigned_abs());
            Values::new()
                .text(page.room)
                .number(after)
                .number(page.max.into())
        };
        self.events.iter().map(page).collect()
    }
}

/// A statement, the kind of rows that it finds, and its parameters.
pub(crate) type Finding = (Kind, &'static Statement, Vec<Tuple>);

/// Names of rows, each kind's together and sorted.
pub(crate) fn by_kind<'a>(
    keys: impl Iterator<Item = &'a Key>,
) -> Result<Vec<(Kind, Vec<Tuple>)>, Trouble> {
    let mut kinds: Vec<(Kind, Vec<Tuple>)> = Vec::new();
    // Keys sort by kind first.
    for key in keys {
        let kind = Kind::of(key);
        let tuple = name(key).finish().map_err(poisoned)?;
        match kinds.last_mut() {
            Some((last, rows)) if *last == kind => rows.push(tuple),
            _ => kinds.push((kind, vec![tuple])),
        }
    }
    Ok(kinds)
}

fn texts<T: std::fmt::Display>(values: &BTreeSet<T>) -> Vec<Values> {
    let values = values.iter();
    values.map(|value| Values::new().text(value)).collect()
}

pub(crate) fn finished(rows: Vec<Values>) -> Result<Vec<Tuple>, Trouble> {
    let rows = rows.into_iter();
    rows.map(|row| row.finish().map_err(poisoned)).collect()
}

fn poisoned(rejection: session_core::changeset::Rejection) -> Trouble {
    Trouble::Poisoned(rejection.into())
}

/// A row that cannot be read fails whoever names it, and nobody else of its group.
fn failed(error: session_core::ports::StoreError) -> Trouble {
    Trouble::Poisoned(error.into())
}

/// A world of what was found.
pub(crate) fn world(found: &Found) -> Result<World, Trouble> {
    let mut world = World::new();
    put(&mut world, found)?;
    Ok(world)
}

fn put(world: &mut World, found: &Found) -> Result<(), Trouble> {
    for (kind, tuple) in found {
        let (version, row) = kind.decode(tuple).map_err(failed)?;
        if let (Kind::Unsealed, Row::Entry(entry)) = (kind, &row) {
            world.put_unsealed(entry.at, entry.id);
        }
        world.put_row(version, row);
    }
    Ok(())
}

/// Everything that changesets name, locked until the transaction ends.
///
/// Rows are locked kind by kind in the order of their keys, of each kind those that a changeset may
/// write before those that it only relies on, then places in queues, then entries that get into a
/// block. What is not there cannot be locked: that nobody else writes it meanwhile is for the
/// primary keys and unique indexes to say.
pub(crate) async fn lock<S: Session>(
    session: &mut S,
    changesets: &[&Changeset],
) -> Result<World, Trouble> {
    let all = || changesets.iter().copied();
    let mut keys = BTreeSet::new();
    let mut written = BTreeSet::new();
    let mut transfers: BTreeSet<TransferId> = BTreeSet::new();
    for changeset in all() {
        keys.extend(changeset.keys());
        written.extend(changeset.written());
        transfers.extend(changeset.transfer_ids());
    }
    // Whoever names an entry is refused, whatever there is.
    keys.retain(|key| !matches!(key, Key::Entry(_)));
    written.retain(|key| !matches!(key, Key::Entry(_)));
    let mut world = World::new();
    // Keys sort by kind first, and every transaction must lock in one order.
    let mut groups = by_kind(written.iter())?
        .into_iter()
        .map(|(kind, rows)| (kind, locking(kind, &kind.table().lock), rows))
        .chain(
            by_kind(keys.difference(&written))?
                .into_iter()
                .map(|(kind, rows)| (kind, locking(kind, &kind.table().share), rows)),
        )
        .collect::<Vec<Finding>>();
    groups.sort_by_key(|(kind, ..)| *kind);
    for (kind, statement, rows) in groups {
        let found = session.fetch(statement, &rows).await?;
        let found = found.into_iter().map(|tuple| (kind, tuple)).collect();
        put(&mut world, &found)?;
    }
    let queued = keys.iter().filter(|key| work::may_be_due(key));
    let queued: Vec<Values> = queued.map(|key| Values::new().text(key)).collect();
    if !queued.is_empty() {
        for tuple in session.fetch(&work::LOCK, &finished(queued)?).await? {
            let (key, place) = work::decode(&tuple).map_err(failed)?;
            world.put_work(key, place);
        }
    }
    journal::lock(session, changesets, &mut world).await?;
    if !transfers.is_empty() {
        let ids = finished(texts(&transfers))?;
        for tuple in session.fetch(&ledger::NAMED_OR_RESOLVING, &ids).await? {
            world.put_transfer(ledger::decode(&tuple).map_err(failed)?);
        }
    }
    for (kind, statement, rows) in Wanted::holders(all(), &world).statements()? {
        let found = session.fetch(statement, &rows).await?;
        let found = found.into_iter().map(|tuple| (kind, tuple)).collect();
        put(&mut world, &found)?;
    }
    Ok(world)
}

/// A block never changes, so it stays as it is without a lock; for which a right would be needed
/// that nobody has.
const fn locking(kind: Kind, statement: &'static Statement) -> &'static Statement {
    match kind {
        Kind::Block => &kind.table().select,
        _ => statement,
    }
}
