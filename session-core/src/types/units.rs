//! What is counted. Adding one unit to another does not compile.

use core::fmt;

use serde::{Deserialize, Serialize};

/// The unit of an account: what its numbers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::exhaustive_enums, reason = "stores map every unit")]
pub enum Unit {
    /// Seconds of presence in free rooms.
    Seconds,
    /// Satoshis, over Lightning.
    Sats,
    /// Millionths of a US dollar coin.
    UsdcAtomic,
}

impl Unit {
    /// The stable name, as stored and as shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Sats => "sats",
            Self::UsdcAtomic => "usdc_atomic",
        }
    }

    /// The unit of a stable name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Seconds, Self::Sats, Self::UsdcAtomic]
            .into_iter()
            .find(|unit| unit.name() == name)
    }
}

/// An amount of one unit. All arithmetic is checked or says in its name what it does instead.
pub trait Quantity: Copy + Ord + fmt::Debug {
    /// What the amount counts.
    const UNIT: Unit;

    /// The bare number, for storage and the wire.
    fn raw(self) -> u64;

    /// An amount from storage or the wire.
    fn from_raw(raw: u64) -> Self;
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// No amount at all.
            pub const ZERO: Self = Self(0);

            /// An amount of this many.
            #[must_use]
            pub const fn new(raw: u64) -> Self {
                Self(raw)
            }

            /// The bare number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The sum, or `None` where it does not fit 64 bits.
            #[must_use]
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The difference, or `None` where it would be negative.
            #[must_use]
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(difference) => Some(Self(difference)),
                    None => None,
                }
            }

            /// The difference, or zero where it would be negative.
            #[must_use]
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// The sum, or the greatest amount where it does not fit.
            #[must_use]
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        impl Quantity for $name {
            const UNIT: Unit = Unit::$name;

            fn raw(self) -> u64 {
                self.0
            }

            fn from_raw(raw: u64) -> Self {
                Self(raw)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

quantity!(
    /// Whole seconds: a duration, and the credit of free rooms.
    Seconds
);
quantity!(
    /// Satoshis.
    Sats
);
quantity!(
    /// Millionths of a US dollar coin.
    UsdcAtomic
);
