//! What leaves the process over HTTP, as ports of `session-core`. One feature for each outside.
//!
//! | feature | module | does |
//! | --- | --- | --- |
//! | `livekit` | [`livekit`] | puts participants out of rooms of a LiveKit server |
//!
//! Every client is bound in time, in bytes and in calls at once, follows no redirects, and speaks
//! plain HTTP only to this machine. What the outside says is never handed on word for word.

mod http;
#[cfg(feature = "livekit")]
pub mod livekit;

pub use http::{HttpError, HttpLimits};
