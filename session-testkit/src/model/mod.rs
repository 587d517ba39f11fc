//! Random histories of free rooms, and a naive model to compare the core with.
//!
//! [`steps`] draws what wallets, workers and clocks do. [`naive`] says what must come of it,
//! written from the specification a second time and as plainly as possible: it walks time second
//! by second and keeps lists where the core keeps sums, so that the two can only agree by both
//! being right.

pub mod naive;
pub mod steps;
