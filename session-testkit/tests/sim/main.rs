//! The simulator: that it repeats itself, that it finds what is planted, that what it once found
//! stays mended, and small models of which every history is tried.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by a panic"
)]

mod models;
mod planted;
mod replay;
mod settling;
