//! An instant, as the caller tells it: the core has no clock.

use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::Seconds;

/// Whole seconds since 1970-01-01T00:00:00Z.
///
/// Always between 1970 and the end of the year 9999, so that it can be written as a date and fits
/// a signed column. An instant outside is moved to the nearer end.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(from = "u64", into = "u64")]
pub struct Timestamp(u64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-31T23:59:59Z, the last instant.
    pub const MAX: Self = Self(253_402_300_799);

    /// The instant this many seconds after the epoch.
    #[must_use]
    pub const fn from_unix(seconds: u64) -> Self {
        if seconds < Self::MAX.0 {
            Self(seconds)
        } else {
            Self::MAX
        }
    }

    /// Seconds since the epoch.
    #[must_use]
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// The instant this much later.
    #[must_use]
    pub const fn after(self, span: Seconds) -> Self {
        Self::from_unix(self.0.saturating_add(span.get()))
    }

    /// The instant this much earlier.
    #[must_use]
    pub const fn before(self, span: Seconds) -> Self {
        Self(self.0.saturating_sub(span.get()))
    }

    /// How long ago `earlier` was; zero where it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Seconds {
        Seconds::new(self.0.saturating_sub(earlier.0))
    }

    /// RFC 3339 in UTC with milliseconds, the form of `created_at` on the wire.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        // Within the years 1970 to 9999 by construction, where the conversion cannot fail.
        let at = i64::try_from(self.0)
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.000Z",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute(),
            at.second()
        )
    }
}

impl From<u64> for Timestamp {
    fn from(seconds: u64) -> Self {
        Self::from_unix(seconds)
    }
}

impl From<Timestamp> for u64 {
    fn from(at: Timestamp) -> Self {
        at.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_stays_within_what_can_be_written() {
        assert_eq!(Timestamp::from_unix(u64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.after(Seconds::new(u64::MAX)), Timestamp::MAX);
        assert_eq!(Timestamp::EPOCH.before(Seconds::new(1)), Timestamp::EPOCH);
        assert_eq!(Timestamp::MAX.to_rfc3339(), "9999-12-31T23:59:59.000Z");
        assert_eq!(
            Timestamp::from_unix(1_795_210_846).to_rfc3339(),
            "2026-11-20T21:40:46.000Z"
        );
    }

    #[test]
    fn a_clock_that_went_back_owes_nothing() {
        let later = Timestamp::from_unix(100);
        let earlier = Timestamp::from_unix(70);
        assert_eq!(later.since(earlier), Seconds::new(30));
        assert_eq!(earlier.since(later), Seconds::ZERO);
    }
}
