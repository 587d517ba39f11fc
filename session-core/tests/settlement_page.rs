//! The tables of `docs/settlement.md` are what the code answers, at every boundary and a second to
//! each side of it.
//!
//! `SESSION_TEST_UPDATE=1 cargo test -p session-core --test settlement_page` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeSet;
use std::fmt::Write;

use session_core::attestation::{
    AttestationPolicy, Class, Inputs, Reread, Ruling, Stay, Window, classify, judge, last_chance,
    too_late,
};
use session_core::escrow::{Booking, BookingStatus, ContractOutcome, Outcome, Slot, SlotStatus};
use session_core::types::{SlotId, Timestamp, TokenAmount, U256, Wallet, Word};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/settlement.md");
const BEGIN: &str = "<!-- made from the code: begin -->\n";
const END: &str = "<!-- made from the code: end -->";
const START: i64 = 1_000_000;

/// An instant, in seconds from the start.
fn at(second: i64) -> Timestamp {
    Timestamp::from_unix(u64::try_from(START + second).unwrap())
}

fn told(at: Timestamp) -> i64 {
    i64::try_from(at.unix()).unwrap() - START
}

/// A slot of half an hour that wants ten minutes together.
fn slot(grace_mins: u32) -> Slot {
    Slot {
        host: Wallet::from_bytes([1; 20]),
        start_time: at(0),
        duration_mins: 30,
        price: TokenAmount::new(U256::ONE),
        grace_mins,
        min_overlap_mins: 10,
        cancel_cutoff_mins: 0,
        status: SlotStatus::Booked,
    }
}

fn windows(page: &mut String) {
    page.push_str(
        "### When the contract takes what\n\n\
         A slot of 30 minutes with 10 together, by its grace; seconds from the start, both ends \
         included.\n\n\
         | grace | completed | no-show | a no-show is decided from | by hand from | nothing after |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for grace_mins in [0, 3, 4, 5, 40, 120, 121] {
        let slot = slot(grace_mins);
        let window = |outcome| {
            let window = Window::of(&slot, outcome);
            format!("{} to {}", told(window.earliest), told(window.latest))
        };
        let policy = AttestationPolicy::default();
        writeln!(
            page,
            "| {} s | {} | {} | {} | {} | {} |",
            slot.grace(),
            window(Outcome::Completed),
            window(Outcome::NoShowHost),
            told(policy.due(&slot)),
            told(policy.by_hand().due(&slot)),
            told(last_chance(&slot)),
        )
        .unwrap();
    }
}

/// A stay as the page writes it: `0-700`, or `0-` where nobody said that it ended.
fn stays(text: &str) -> Vec<Stay> {
    let second = |text: &str| text.parse().ok().map(at);
    text.split_whitespace()
        .map(|stay| {
            let (joined, left) = stay.rsplit_once('-').unwrap();
            Stay {
                joined_at: second(joined).unwrap(),
                left_at: second(left),
                last_seen_at: None,
            }
        })
        .collect()
}

/// Grace in minutes, the host's stays, the guest's, our clock, and the chain's.
type Case = (u32, &'static str, &'static str, i64, i64);

/// Of each row what lies around it.
const CASES: &[(&str, &[Case])] = &[
    (
        "1. both came, and were together for long enough: completed",
        &[
            (5, "0-1800", "0-599", 1860, 1860),
            (5, "0-1800", "0-600", 1860, 1860),
            (5, "0-1800", "0-601", 1860, 1860),
            (5, "0-1800", "0-300 900-1200", 1860, 1860),
            (5, "0-", "0-", 599, 599),
            (5, "0-", "0-", 600, 600),
        ],
    ),
    (
        "2, 3. it has not begun, or it is too early to speak of anybody's absence: wait",
        &[
            (5, "", "", -1, -1),
            (5, "", "", 0, 0),
            (5, "", "", 1859, 1859),
            (5, "", "", 1860, 1860),
            (5, "", "", 1861, 1861),
        ],
    ),
    (
        "4. the session runs, and the minimum can still be reached: wait",
        &[
            (0, "0-", "1199-", 1620, 1620),
            (0, "0-", "1200-", 1620, 1620),
            (0, "0-", "1201-", 1620, 1620),
        ],
    ),
    (
        "5. the host was never there, and maybe nobody was: no-show-host",
        &[
            (5, "", "0-1800", 1860, 1860),
            (5, "-1-0", "0-1800", 1860, 1860),
            (5, "0-1", "0-1800", 1860, 1860),
        ],
    ),
    (
        "6. the guest was never there: no-show-guest",
        &[
            (5, "0-200", "", 1860, 1860),
            (5, "0-1800", "1800-", 1860, 1860),
            (5, "0-1800", "1799-", 1860, 1860),
        ],
    ),
    (
        "7. both came: who was alone for longer after the grace was let down",
        &[
            (5, "0-500", "400-599", 1860, 1860),
            (5, "0-500", "400-600", 1860, 1860),
            (5, "0-500", "400-601", 1860, 1860),
        ],
    ),
    (
        "8. equal in 7: the same within the whole session",
        &[
            (5, "299-500", "400-600", 1860, 1860),
            (5, "400-600", "299-500", 1860, 1860),
        ],
    ),
    (
        "9. still equal: no-show-host",
        &[
            (5, "300-500", "400-600", 1860, 1860),
            (5, "301-500", "400-600", 1860, 1860),
            (5, "0-500", "0-500", 1860, 1860),
        ],
    ),
    (
        "Then the window, by the chain's clock: completed",
        &[
            (5, "0-", "0-", 600, 599),
            (5, "0-1800", "0-1800", 1860, 9000),
            (5, "0-1800", "0-1800", 1860, 9001),
        ],
    ),
    (
        "The same of a no-show",
        &[
            (5, "0-1800", "", 1860, 299),
            (5, "0-1800", "", 1860, 300),
            (5, "0-1800", "", 2100, 2100),
            (5, "0-1800", "", 2101, 2101),
            (40, "0-1800", "", 2400, 2399),
            (40, "0-1800", "", 2400, 2400),
        ],
    ),
];

fn answer(ruling: Ruling) -> String {
    match ruling {
        Ruling::Attest { outcome } => format!("attest **{outcome}**"),
        Ruling::Wait {
            reason, retry_at, ..
        } => format!("wait `{}` until {}", reason.name(), told(retry_at)),
        Ruling::WindowMissed { outcome } => format!("missed, `{}`", too_late(outcome)),
    }
}

fn truth(page: &mut String) {
    page.push_str(
        "\n### Who was there, and what follows\n\n\
         The same slot, with 300 s of grace unless another is named. `0-700` is a stay that was \
         left at 700, `0-` one that nobody left. The first row that applies gives the answer; the \
         number before each answer is that of its row.\n",
    );
    let mut rows = BTreeSet::new();
    for (heading, cases) in CASES {
        let head = "| host | guest | now | the chain | answer |\n| --- | --- | --- | --- | --- |";
        writeln!(page, "\n{heading}\n\n{head}").unwrap();
        for &(grace_mins, host, guest, now, chain_now) in *cases {
            let judgement = judge(
                &Inputs {
                    slot: &slot(grace_mins),
                    host: &stays(host),
                    guest: &stays(guest),
                    outages: &[],
                    now: at(now),
                    chain_now: at(chain_now),
                },
                &AttestationPolicy::default(),
            );
            rows.insert(judgement.row);
            let grace = match grace_mins {
                5 => String::new(),
                other => format!(" (grace {} s)", other * 60),
            };
            let [host, guest] =
                [host, guest].map(|stays| if stays.is_empty() { "-" } else { stays });
            let (row, answer) = (judgement.row, answer(judgement.ruling));
            writeln!(
                page,
                "| {host} | {guest} | {now} | {chain_now} | {row}: {answer}{grace} |"
            )
            .unwrap();
        }
    }
    assert_eq!(rows, (1..=9).collect(), "each row of the table is shown");
}

fn booking(status: BookingStatus, outcome: ContractOutcome, hash: [u8; 32]) -> Booking {
    Booking {
        slot: SlotId::new(U256::ONE),
        guest: Wallet::from_bytes([2; 20]),
        amount: TokenAmount::new(U256::ONE),
        status,
        oracle_outcome: outcome,
        metrics_hash: hash,
        attested_at: Timestamp::EPOCH,
        finalizable_at: Timestamp::EPOCH,
        challenger: Wallet::from_bytes([0; 20]),
        bond: TokenAmount::new(U256::ZERO),
        disputed_at: Timestamp::EPOCH,
    }
}

fn classes(page: &mut String) {
    use BookingStatus as Status;
    page.push_str(
        "\n### What came of an attempt\n\n\
         We attested `completed`, whose window is 600 to 9000; afterwards the booking reads like \
         this. How the attempt failed is not asked.\n\n\
         | booking | shows | the chain | oracle | class |\n| --- | --- | --- | --- | --- |\n",
    );
    let (us, another) = (Wallet::from_bytes([3; 20]), Wallet::from_bytes([4; 20]));
    let ours = Word::new([7; 32]);
    let window = Window::of(&slot(5), Outcome::Completed);
    let mut line = |status: BookingStatus, is_ours: bool, chain_now: i64, oracle: Wallet| {
        let (outcome, hash) = if is_ours {
            (ContractOutcome::Completed, ours.to_bytes())
        } else {
            (ContractOutcome::None, [0; 32])
        };
        let booking = booking(status, outcome, hash);
        let reread = Reread {
            booking: &booking,
            chain_now: at(chain_now),
            oracle,
        };
        let class = classify(Some(&reread), (Outcome::Completed, ours), &window, us);
        let wait = match class {
            Class::Wait(until) => format!(" until {}", told(until)),
            _ => String::new(),
        };
        let shows = match (status, is_ours) {
            (Status::Booked | Status::None | Status::Cancelled, _) => "-",
            (_, true) => "our outcome and hash",
            (_, false) => "something else",
        };
        let oracle = if oracle == us { "us" } else { "another" };
        let (status, class) = (status.name(), class.name());
        writeln!(
            page,
            "| {status} | {shows} | {chain_now} | {oracle} | `{class}`{wait} |"
        )
        .unwrap();
    };
    for (chain_now, oracle) in [
        (599, us),
        (599, another),
        (600, us),
        (600, another),
        (9000, us),
        (9000, another),
        (9001, us),
        (9001, another),
    ] {
        line(Status::Booked, false, chain_now, oracle);
    }
    for status in BookingStatus::ALL {
        match status {
            Status::Booked => {}
            Status::None | Status::Cancelled => line(*status, false, 9001, another),
            _ => {
                line(*status, true, 9001, another);
                line(*status, false, 9001, another);
            }
        }
    }
    let unread = classify(None, (Outcome::Completed, ours), &window, us);
    writeln!(page, "| cannot be read | | | | `{}` |", unread.name()).unwrap();
}

#[test]
fn the_page_says_what_the_code_answers() {
    let mut made = String::from("\n");
    windows(&mut made);
    truth(&mut made);
    classes(&mut made);
    made.push('\n');
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    if std::env::var_os("SESSION_TEST_UPDATE").is_some() {
        let page = [before, BEGIN, &made, END, after].concat();
        std::fs::write(PAGE, page).unwrap();
        return;
    }
    for (line, (shown, made)) in shown.lines().zip(made.lines()).enumerate() {
        assert_eq!(shown, made, "line {line} of the tables");
    }
    assert_eq!(shown, made);
}
