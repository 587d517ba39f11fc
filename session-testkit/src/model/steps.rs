//! Strategies: what may happen, in any order.

use std::ops::RangeInclusive;

use proptest::collection::vec;
use proptest::prelude::*;

/// The most wallets that a history has.
pub const WALLETS_MAX: usize = 9;

/// Everything that happens in one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The wallets and how they begin.
    pub wallets: Vec<Beginning>,
    /// What happens then.
    pub steps: Vec<Step>,
}

/// How a wallet begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// Whether it owns a name.
    pub is_named: bool,
    /// Whether it is verified.
    pub is_verified: bool,
    /// Base grant that it has had, in seconds; zero for one that has had none yet.
    pub base_seconds: u64,
}

/// One thing that happens. Wallets are numbers below [`WALLETS_MAX`], to be taken modulo the
/// wallets there are; rooms are counted backwards from the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "drivers do every step")]
pub enum Step {
    /// A wallet opens a room.
    Create {
        /// Who.
        wallet: usize,
        /// Whether the room is listed.
        is_open: bool,
    },
    /// No server is alive for this long.
    Dark {
        /// How long.
        seconds: u64,
        /// Whether a server then says first that it is alive; else a request comes before that.
        beats_first: bool,
    },
    /// A wallet opens a room, enters it, and others follow.
    Gather {
        /// Who.
        host: usize,
        /// The wallets that follow, one bit each.
        guests: u16,
    },
    /// A wallet beats for its newest stay.
    Heartbeat {
        /// Who.
        wallet: usize,
    },
    /// A wallet takes a seat.
    Join {
        /// Who.
        wallet: usize,
        /// How many rooms before the newest.
        room: usize,
    },
    /// A wallet leaves its newest stay.
    Leave {
        /// Who.
        wallet: usize,
    },
    /// A wallet gets a name.
    Name {
        /// Who.
        wallet: usize,
    },
    /// Time passes with a server alive; some clients keep calling as they should.
    Pass {
        /// How long.
        seconds: u64,
        /// The wallets that beat every 30 s, one bit each.
        beating: u16,
        /// The wallets that renew every 45 s, one bit each.
        renewing: u16,
        /// How often workers look at every lane; zero for not at all.
        work_every: u64,
    },
    /// A wallet asks for another token for its newest stay.
    Renew {
        /// Who.
        wallet: usize,
    },
    /// A wallet beats for the newest stay of another.
    Trespass {
        /// Who.
        wallet: usize,
        /// Whose stay.
        of: usize,
    },
    /// A wallet asks for the bonus.
    Verify {
        /// Who.
        wallet: usize,
    },
    /// Workers look at every lane.
    Work,
}

/// Histories of this many steps.
pub fn histories(steps: RangeInclusive<usize>) -> impl Strategy<Value = History> {
    (vec(beginning(), 4..=WALLETS_MAX), vec(step(), steps))
        .prop_map(|(wallets, steps)| History { wallets, steps })
}

/// Wallets with names and without, with much credit and little.
pub fn beginning() -> impl Strategy<Value = Beginning> {
    let base = prop_oneof![2 => Just(0), 1 => 80..=100u64, 3 => 90..=700u64, 1 => Just(1800)];
    (prop::bool::weighted(0.7), prop::bool::weighted(0.5), base).prop_map(
        |(is_named, is_verified, base_seconds)| Beginning {
            is_named,
            is_verified,
            base_seconds,
        },
    )
}

/// Steps, those that make a stay interesting more often than others.
pub fn step() -> impl Strategy<Value = Step> {
    let wallet = || 0..WALLETS_MAX;
    prop_oneof![
        3 => (wallet(), any::<u16>()).prop_map(|(host, guests)| Step::Gather { host, guests }),
        2 => (wallet(), any::<bool>())
            .prop_map(|(wallet, is_open)| Step::Create { wallet, is_open }),
        6 => (wallet(), 0..3usize).prop_map(|(wallet, room)| Step::Join { wallet, room }),
        2 => wallet().prop_map(|wallet| Step::Heartbeat { wallet }),
        3 => wallet().prop_map(|wallet| Step::Renew { wallet }),
        3 => wallet().prop_map(|wallet| Step::Leave { wallet }),
        1 => (wallet(), wallet()).prop_map(|(wallet, of)| Step::Trespass { wallet, of }),
        1 => wallet().prop_map(|wallet| Step::Verify { wallet }),
        1 => wallet().prop_map(|wallet| Step::Name { wallet }),
        4 => Just(Step::Work),
        2 => dark(1..=12),
        1 => dark(1..=200),
        6 => pass(1..=20),
        6 => pass(20..=100),
        4 => pass(100..=200),
    ]
}

fn dark(seconds: RangeInclusive<u64>) -> impl Strategy<Value = Step> {
    (seconds, any::<bool>()).prop_map(|(seconds, beats_first)| Step::Dark {
        seconds,
        beats_first,
    })
}

fn pass(seconds: RangeInclusive<u64>) -> impl Strategy<Value = Step> {
    // Either everybody calls as they should, or some do, or nobody does.
    let clients = || prop_oneof![2 => Just(u16::MAX), 2 => any::<u16>(), 1 => Just(0)];
    let work_every = prop_oneof![1 => Just(0), 1 => Just(1), 2 => 2..=60u64];
    (seconds, clients(), clients(), work_every).prop_map(
        |(seconds, beating, renewing, work_every)| Step::Pass {
            seconds,
            beating,
            renewing,
            work_every,
        },
    )
}
