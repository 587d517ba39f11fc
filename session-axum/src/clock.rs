//! The clock of the machine.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use session_core::ports::Clock;
use session_core::types::Timestamp;

/// Longest time between two looks at the clock in which the process counts as running. Workers
/// look twice a second; a process that was stopped, or a machine that slept, does not.
pub(crate) const PAUSE_MAX_MS: u64 = 3_000;

/// The clock of the machine, which remembers since when the process has run without a pause.
#[derive(Debug)]
pub struct ProcessClock {
    offset_seconds: i64,
    looked_at_ms: AtomicU64,
    alive_since_ms: AtomicU64,
}

impl ProcessClock {
    /// The machine's clock as it is.
    #[must_use]
    pub fn new() -> Self {
        Self::moved_by(0)
    }

    /// The machine's clock moved by some seconds, for tests of restarts and of servers whose
    /// clocks differ.
    #[must_use]
    pub fn moved_by(offset_seconds: i64) -> Self {
        let now = machine_ms();
        Self {
            offset_seconds,
            looked_at_ms: AtomicU64::new(now),
            alive_since_ms: AtomicU64::new(now),
        }
    }

    fn look(&self, now_ms: u64) {
        let before = self.looked_at_ms.fetch_max(now_ms, Ordering::Relaxed);
        if now_ms.saturating_sub(before) > PAUSE_MAX_MS {
            self.alive_since_ms.store(now_ms, Ordering::Relaxed);
        }
    }

    fn timestamp(&self, ms: u64) -> Timestamp {
        Timestamp::from_unix((ms / 1_000).saturating_add_signed(self.offset_seconds))
    }
}

impl Default for ProcessClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ProcessClock {
    fn now(&self) -> Timestamp {
        let now_ms = machine_ms();
        self.look(now_ms);
        self.timestamp(now_ms)
    }

    fn alive_since(&self) -> Option<Timestamp> {
        Some(self.timestamp(self.alive_since_ms.load(Ordering::Relaxed)))
    }
}

/// Milliseconds since 1970; a clock before that is read as 1970.
fn machine_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_noticed_at_the_next_look_and_a_step_back_is_none() {
        let clock = ProcessClock::new();
        let start = clock.looked_at_ms.load(Ordering::Relaxed);
        let alive_since = || clock.alive_since_ms.load(Ordering::Relaxed);
        clock.look(start + PAUSE_MAX_MS);
        assert_eq!(alive_since(), start);
        clock.look(start);
        clock.look(start + 2 * PAUSE_MAX_MS);
        assert_eq!(alive_since(), start);
        clock.look(start + 3 * PAUSE_MAX_MS + 1);
        assert_eq!(alive_since(), start + 3 * PAUSE_MAX_MS + 1);
    }

    #[test]
    fn an_absurd_offset_ends_at_the_ends_of_time() {
        assert_eq!(ProcessClock::moved_by(i64::MIN).now(), Timestamp::EPOCH);
        assert_eq!(ProcessClock::moved_by(i64::MAX).now(), Timestamp::MAX);
    }
}
