//! A simulator that tries to break every system of the house.
//!
//! A run is one history of clients, servers, a store and an outside world, on one thread and in
//! simulated time. A 64-bit seed decides everything: what clients ask, which task goes on at every
//! await, how far clocks differ, and what fails, when, and whether before or after it took effect.
//! After each step the named [`invariants`] look at what happened. Then faults stop, and the world
//! must heal.
//!
//! The code that runs is the core's own: [`execute_once`](session_core::service::execute_once),
//! [`work_lane`](session_core::service::work_lane), [`beat`](session_core::service::beat) and
//! [`deliver`](session_core::service::deliver), on simulated ports. What the store may do is what
//! the contract on [`Store`](session_core::ports::Store) permits, and no more: it never reports a
//! conflict that there is not, and never forgets what it acknowledged.
//!
//! ```
//! use session_testkit::sim::{Plan, run, systems};
//!
//! let system = systems::named("free-rooms").ok_or("no such system")?;
//! let outcome = run(Plan::of_seed(system, 7).with_steps(100));
//! assert!(outcome.violation.is_none(), "{outcome:?}");
//! # Ok::<(), &str>(())
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | [`invariants`] | what must hold of every history, one file each |
//! | [`systems`] | what clients do, one file for each system; [`System`] says how to add one |
//! | [`corpus`] | lists of choices as files |
//! | [`shrink`](mod@shrink) | making a failing history short, and printing it |
//! | [`explore`](mod@explore) | small models, every interleaving of which is tried |

mod backend;
mod by_seconds;
mod chain;
mod choices;
pub mod corpus;
mod events;
pub mod explore;
mod fault;
mod heal;
mod hub;
pub mod invariants;
mod plan;
mod ports;
mod requests;
mod run;
pub mod shrink;
mod system;
pub mod systems;
mod tasks;

pub use backend::{Backend, Honest};
pub use chain::{Booked, Chains};
pub use choices::Choices;
pub use fault::Fault;
pub use plan::{Outcome, Plan, STEPS_DEFAULT, Wrap};
pub use run::run;
pub use shrink::shrink;
pub use system::{Ask, Asked, Asking, Reply, Request, Scenery, Stage, System};

use std::fmt;

/// Something that must hold did not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The name of the invariant.
    pub invariant: String,
    /// What was wrong.
    pub what: String,
    /// At which step.
    pub step: u64,
}

impl Violation {
    /// Keeps the first: what follows may follow from it.
    fn first(kept: &mut Option<Self>, invariant: &str, what: String, step: u64) {
        if kept.is_none() {
            // What is broken of rows says itself which invariant it is about.
            let named = what
                .split_once(": ")
                .map(|(name, rest)| (name, rest.to_owned()));
            let (invariant, what) = match named {
                Some((name, rest)) if invariant == "sound" => (name.to_owned(), rest),
                _ => (invariant.to_owned(), what),
            };
            *kept = Some(Self {
                invariant,
                what,
                step,
            });
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "step {}: {} is broken: {}",
            self.step, self.invariant, self.what
        )
    }
}
