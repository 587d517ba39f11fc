//! Time as a value.

use std::sync::atomic::{AtomicU64, Ordering};

use session_core::ports::Clock;
use session_core::types::{Seconds, Timestamp};

/// A clock that stands still until it is told otherwise.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicU64,
}

impl ManualClock {
    /// A clock that shows this instant.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: AtomicU64::new(now.unix()),
        }
    }

    /// Shows another instant, earlier ones included.
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.unix(), Ordering::SeqCst);
    }

    /// Lets time pass.
    pub fn advance(&self, span: Seconds) {
        self.set(self.now().after(span));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(self.now.load(Ordering::SeqCst))
    }
}
