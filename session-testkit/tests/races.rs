//! The races on the memory store, on two threads.

use session_testkit::bench::Bench;
use session_testkit::races;

fn in_memory(seed: u64) -> Bench {
    Bench::in_memory(seed).0
}

macro_rules! races {
    ($($race:ident: $rounds:expr;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $race() {
                races::$race(&in_memory, $rounds).await;
            }
        )*
    };
}

races! {
    joins_seat_exactly_the_capacity: 60;
    one_wallet_gets_one_seat: 200;
    one_host_gets_one_room: 200;
    a_second_is_charged_once: 60;
    a_nonce_is_used_once: 10;
    the_base_grant_is_given_once: 100;
    the_bonus_is_given_once: 100;
    nobody_pays_after_the_end: 200;
}
