//! The races of the testkit, on one database that all rounds of a race share, by two servers.

#![allow(clippy::expect_used, reason = "a test fails by a panic")]

mod support;

use std::sync::Arc;

use session_core::changeset::Lane;
use session_core::service::{ExecuteError, Worked};
use session_core::types::Seconds;
use session_testkit::bench::Bench;
use session_testkit::{invariants, races};

use support::{Level, On, Place, Served};

/// Lets two servers' workers end what the race left behind and seal the journal, both at once;
/// then every named invariant must hold of everything that is stored.
async fn nothing_is_broken(stores: &[Arc<dyn Served>; 2]) {
    let [one, two] = [0, 1].map(|n: usize| Bench::new(stores[n].clone(), 1_000_000_007));
    // Every round began later than the one before.
    for clock in [&one.clock, &two.clock] {
        clock.advance(Seconds::new(1_000_000));
    }
    let mut sealed = 0;
    for _ in 0..10 {
        for bench in [&one, &two] {
            bench.pass(Seconds::new(40)).await.expect("the store beats");
        }
        for (_, worked) in both(one.work(), two.work()).await {
            assert_eq!(worked.failed, []);
            sealed += worked.sealed;
        }
    }
    assert!(sealed > 0);
    let complaints = invariants::audit(&*stores[0]).await.expect("it is shown");
    assert_eq!(complaints, Vec::<String>::new());
}

type Work = Vec<(Lane, Worked)>;

async fn both(
    one: impl Future<Output = Result<Work, ExecuteError>>,
    two: impl Future<Output = Result<Work, ExecuteError>>,
) -> Work {
    let (one, two) = tokio::join!(one, two);
    let mut all = one.expect("work is claimed");
    all.extend(two.expect("work is claimed"));
    all
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
                    nothing_is_broken(&stores).await;
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
