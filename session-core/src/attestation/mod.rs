//! Who was there, and what follows: the policy `presence-overlap/1` (`settlement.md` section 5).
//!
//! Money follows this word, so it is a pure function of what was recorded and what the chain said,
//! and anybody who has both can work it out again.
//!
//! | step | is |
//! | --- | --- |
//! | [`Presence`] | stays of a party as a union of intervals within the session |
//! | [`judge`] | the table that makes an outcome of two presences, or a wait |
//! | [`Window`] | when the contract takes that outcome |
//! | [`Metrics`] | the exact text that the attestation commits to, and its hash |
//! | [`classify`] | what came of an attempt, by what the chain shows afterwards |

mod classify;
mod decide;
mod metrics;
mod presence;
mod window;

pub(crate) use classify::done;
pub use classify::{Class, Done, Reread, classify};
pub use decide::{
    AttestationPolicy, Inputs, Judgement, Measures, POLICY_NAME, Ruling, Waiting, judge, too_late,
};
pub use metrics::{
    Evidence, EvidenceKind, FULL_SCHEMA, FullMetrics, InvalidMetrics, Metrics, MetricsSchema,
    PartyMetrics, PlainMetrics, SlotMetrics,
};
pub use presence::{EndSource, Interval, Presence, Stay};
pub use window::{COMPLETED_AFTER_END, Place, Window, last_chance};
