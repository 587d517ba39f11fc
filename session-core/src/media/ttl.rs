//! How long a media token lasts.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::types::Seconds;

/// A span that is no life of a media token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("media token life of {0} s is not within 1 to 86400 s")]
pub struct InvalidTtl(pub Seconds);

/// The life of a media token: 1 to 86 400 seconds.
///
/// A vendor reads 0 as the longest life, and an instant where a span belongs as a life of decades.
/// This type can hold neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Seconds", into = "Seconds")]
pub struct Ttl(u32);

impl Ttl {
    /// The shortest life, one second.
    pub const MIN: Self = Self(1);
    /// The longest life, one day: vendors count anything above as this.
    pub const MAX: Self = Self(86_400);

    /// The life in free rooms: no credit has to pay for more than this in advance
    /// (`rooms-and-sessions.md`, section 4).
    pub const FREE_ROOM: Self = Self(90);
    /// One hour: the lease of a booked session.
    pub const HOUR: Self = Self(3600);

    /// The life of this many seconds.
    ///
    /// # Errors
    /// [`InvalidTtl`] for zero and for more than a day.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "at most a day, which fits 32 bits"
    )]
    pub const fn new(span: Seconds) -> Result<Self, InvalidTtl> {
        match span.get() {
            // The ends of the range are those of `MIN` and `MAX`; a pattern takes literals only.
            raw @ 1..=86_400 => Ok(Self(raw as u32)),
            _ => Err(InvalidTtl(span)),
        }
    }

    /// The life as a span.
    #[must_use]
    pub const fn seconds(self) -> Seconds {
        // Widening; `u64::from` is not const.
        Seconds::new(self.0 as u64)
    }

    /// The bare number of seconds.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<Seconds> for Ttl {
    type Error = InvalidTtl;

    fn try_from(span: Seconds) -> Result<Self, InvalidTtl> {
        Self::new(span)
    }
}

impl From<Ttl> for Seconds {
    fn from(ttl: Ttl) -> Self {
        ttl.seconds()
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_one_second_to_one_day() {
        assert_eq!(Ttl::new(Seconds::new(1)), Ok(Ttl::MIN));
        assert_eq!(Ttl::new(Seconds::new(86_400)), Ok(Ttl::MAX));
        assert_eq!(Ttl::new(Seconds::new(90)).map(Ttl::get), Ok(90));
        assert_eq!(Ttl::MAX.seconds(), Seconds::new(86_400));
    }

    #[test]
    fn neither_zero_nor_an_instant_is_a_life() {
        for raw in [0, 86_401, 1_795_210_936, 1 << 32, (1 << 32) + 90, u64::MAX] {
            let span = Seconds::new(raw);
            assert_eq!(Ttl::new(span), Err(InvalidTtl(span)));
        }
    }
}
