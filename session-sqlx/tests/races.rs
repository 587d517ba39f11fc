//! The races of the testkit, on one database that all rounds of a race share, by two servers.

#![allow(clippy::expect_used, reason = "a test fails by a panic")]

mod support;

use std::collections::BTreeSet;

use session_core::changeset::Row;
use session_core::ports::{Found, Visitor};
use session_core::types::EntryId;
use session_testkit::bench::Bench;
use session_testkit::races;

use support::{Level, On, Place};

/// Counts what an archive shows of the journal.
#[derive(Debug, Default)]
struct Count {
    named: BTreeSet<EntryId>,
    entries: BTreeSet<EntryId>,
    total: u64,
    odd: Vec<Found>,
}

impl Visitor for Count {
    fn visit(&mut self, found: Found) {
        match found {
            Found::Row(_, Row::Block(block)) => {
                for entry in block.entries {
                    assert!(self.named.insert(entry), "{entry} is in two blocks");
                }
            }
            Found::Unsealed(entry) => {
                assert!(
                    self.named.insert(entry),
                    "{entry} is in a block and in none"
                );
            }
            Found::Row(_, Row::Entry(entry)) => {
                assert!(entry.is_genuine());
                self.entries.insert(entry.id);
            }
            Found::Totals { entries, .. } => self.total = entries,
            Found::Unreadable { .. } => self.odd.push(found),
            Found::Row(..) | Found::Transfer(_) => {}
        }
    }
}

/// Each entry is in one block or among those that are in none. How many there are.
async fn everything_told_is_kept(place: &Place) -> u64 {
    let (_, archive) = place.open_archive().await;
    let mut count = Count::default();
    archive.show(&mut count).await.expect("it can be read");
    assert_eq!(count.odd, []);
    assert_eq!(count.named, count.entries);
    assert_eq!(count.total, count.named.len() as u64);
    count.total
}

macro_rules! races {
    ($($race:ident: $rounds:expr;)*) => {
        races!(@on sqlite, On::Sqlite, 1, $($race: $rounds;)*);
        races!(@on postgres, On::Postgres(Level::ReadCommitted), 1, $($race: $rounds;)*);
        races!(@on serializable, On::Postgres(Level::Serializable), 3, $($race: $rounds;)*);
        races!(@on pooler, On::Pooler, 3, $($race: $rounds;)*);
    };
    (@on $place:ident, $on:expr, $fewer:expr, $($race:ident: $rounds:expr;)*) => {
        mod $place {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $race() {
                    let Some(place) = Place::new($on).await else {
                        return;
                    };
                    let stores = [place.open().await, place.open().await];
                    let bench = |seed: u64| {
                        let store = &stores[usize::from(seed % 2 == 0)];
                        Bench::new(store.clone(), seed)
                    };
                    races::$race(&bench, $rounds / $fewer).await;
                    assert!(everything_told_is_kept(&place).await > 0);
                    drop(stores);
                    place.remove().await;
                }
            )*
        }
    };
}

races! {
    joins_seat_exactly_the_capacity: 12;
    one_wallet_gets_one_seat: 30;
    one_host_gets_one_room: 30;
    a_second_is_charged_once: 15;
    a_nonce_is_used_once: 18;
    the_base_grant_is_given_once: 30;
    the_bonus_is_given_once: 30;
    nobody_pays_after_the_end: 30;
}
