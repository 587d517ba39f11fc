//! What is looked at every so often, because nobody asks for it: how far sealing is behind, and how
//! far this clock is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use session_core::changeset::{Entry, Key, Loaded};
use session_core::outage::Service;
use session_core::ports::{Read, Snapshot, StoreError};
use session_core::service::Ports;

use crate::metric;

/// How often.
pub(crate) const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Age of an unsealed entry from which on the server warns. Sealing every few seconds is the rule;
/// nothing that is asked of the server depends on it, so it is no reason to take it out of service.
pub(crate) const UNSEALED_SECONDS_WARNED: u64 = 60;

/// By how much a clock may be behind before the server warns.
pub(crate) const CLOCK_BEHIND_SECONDS_WARNED: u64 = 5;

/// The last measurement of this process.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    unsealed_seconds: AtomicU64,
    clock_behind_seconds: AtomicU64,
}

impl Measured {
    /// Measures, and tells the metrics.
    pub(crate) async fn measure(&self, ports: &Ports) -> Result<(), StoreError> {
        let unsealed = Read::UnsealedEntries(1);
        let service = Key::Service(());
        let reads = [unsealed.clone(), Read::Row(service.clone())];
        let snapshot = Snapshot::load(ports.store(), &reads).await?;
        let now = ports.clock.now();

        let oldest: Option<Loaded<Entry>> = snapshot.first(&unsealed);
        let since = oldest.and_then(|entry| entry.value().map(|entry| entry.at));
        let age = since.map_or(0, |at| now.since(at).get());
        let row: Loaded<Service> = snapshot.row(service);
        let behind = row
            .value()
            .map_or(0, |row| row.last_beat_at.since(now).get());

        self.unsealed_seconds.store(age, Ordering::Relaxed);
        self.clock_behind_seconds.store(behind, Ordering::Relaxed);
        #[allow(clippy::cast_precision_loss, reason = "seconds, for people")]
        {
            metrics::gauge!(metric::UNSEALED_SECONDS).set(age as f64);
            metrics::gauge!(metric::CLOCK_BEHIND_SECONDS).set(behind as f64);
        }
        for warning in self.warnings() {
            tracing::warn!("{warning}");
        }
        Ok(())
    }

    /// What an operator should look at although the server works.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let age = self.unsealed_seconds.load(Ordering::Relaxed);
        if age > UNSEALED_SECONDS_WARNED {
            warnings.push(format!("the journal was last sealed {age} s ago"));
        }
        let behind = self.clock_behind_seconds.load(Ordering::Relaxed);
        if behind > CLOCK_BEHIND_SECONDS_WARNED {
            warnings.push(format!(
                "the clock is {behind} s behind that of another server"
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use session_core::changeset::{Draft, Fact};
    use session_core::types::{Seconds, Timestamp};
    use session_testkit::bench::Bench;

    use super::*;

    async fn after(seconds: u64, beat_ahead: u64) -> Vec<String> {
        let (bench, _store) = Bench::in_memory(1);
        let now = bench.ports.clock.now();
        let told_at = now.before(Seconds::new(seconds));
        let mut draft = Draft::new();
        draft.journal(
            told_at,
            Fact::Outage {
                from: Timestamp::EPOCH,
                to: told_at,
            },
        );
        draft.insert(Service {
            last_beat_at: now.after(Seconds::new(beat_ahead)),
            outages: Vec::new(),
        });
        bench.ports.store.commit(&draft.finish()).await.unwrap();
        let measured = Measured::default();
        measured.measure(&bench.ports).await.unwrap();
        measured.warnings()
    }

    #[tokio::test]
    async fn sealing_that_is_far_behind_is_a_warning() {
        assert_eq!(after(60, 0).await, Vec::<String>::new());
        let warnings = after(61, 0).await;
        assert_eq!(warnings, ["the journal was last sealed 61 s ago"]);
    }

    #[tokio::test]
    async fn a_clock_that_is_behind_is_a_warning() {
        assert_eq!(after(0, 5).await, Vec::<String>::new());
        let warnings = after(0, 6).await;
        assert_eq!(warnings, ["the clock is 6 s behind that of another server"]);
    }
}
