//! Figures: percentiles, medians, and how they are shown.

use std::time::Duration;

use serde_json::{Value, json};

/// How long each of many operations took.
#[derive(Debug, Default, Clone)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    /// One more.
    pub fn add(&mut self, took: Duration) {
        self.0
            .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// One more, in microseconds.
    pub fn add_micros(&mut self, micros: u32) {
        self.0.push(micros);
    }

    /// Those of another list as well.
    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What so many of a hundred do not exceed, in milliseconds.
    #[must_use]
    pub fn percentile_ms(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = sorted.len().saturating_mul(percent) / 100;
        let last = sorted.len().saturating_sub(1);
        f64::from(sorted.get(place.min(last)).copied().unwrap_or(0)) / 1000.0
    }
}

/// What one cell of a comparison measured in one round.
#[derive(Debug, Clone, Default)]
#[allow(clippy::exhaustive_structs, reason = "filled by every load")]
pub struct Measured {
    /// Operations in a second.
    pub rate: f64,
    /// Half of the operations take no longer, in milliseconds.
    pub p50_ms: f64,
    /// Ninety-nine of a hundred take no longer, in milliseconds.
    pub p99_ms: f64,
    /// Processor microseconds of the product for each operation; `None` where it is not apart
    /// from who drives it.
    pub product_us: Option<f64>,
    /// Of the database's processes.
    pub database_us: Option<f64>,
    /// Of whoever drives the load.
    pub driver_us: Option<f64>,
    /// Operations for each transaction of the database, where it counts them.
    pub per_transaction: Option<f64>,
    /// Anything that must be known to believe the rest.
    pub notes: Vec<String>,
}

impl Measured {
    /// The medians of several rounds, figure by figure; notes of all.
    #[must_use]
    pub fn median_of(rounds: &[&Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            median(&rounds.iter().map(|round| figure(round)).collect::<Vec<_>>())
        };
        let of_known = |figure: fn(&Self) -> Option<f64>| {
            let known: Option<Vec<f64>> = rounds.iter().map(|round| figure(round)).collect();
            known.map(|known| median(&known))
        };
        Self {
            rate: of(|round| round.rate),
            p50_ms: of(|round| round.p50_ms),
            p99_ms: of(|round| round.p99_ms),
            product_us: of_known(|round| round.product_us),
            database_us: of_known(|round| round.database_us),
            driver_us: of_known(|round| round.driver_us),
            per_transaction: of_known(|round| round.per_transaction),
            notes: rounds
                .iter()
                .flat_map(|round| round.notes.clone())
                .collect(),
        }
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "rate": self.rate,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "product_us": self.product_us,
            "database_us": self.database_us,
            "driver_us": self.driver_us,
            "per_transaction": self.per_transaction,
            "notes": self.notes,
        })
    }

    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        let micros = |name: &str, value: Option<f64>| {
            value.map_or(String::new(), |value| format!("  {name} {value:.0} us"))
        };
        let group = self.per_transaction.map_or(String::new(), |value| {
            format!("  {value:.1} per transaction")
        });
        let notes: String = self
            .notes
            .iter()
            .map(|note| format!("  ({note})"))
            .collect();
        format!(
            "{:>9.0}/s  p50 {:.2} ms  p99 {:.2} ms{}{}{}{group}{notes}",
            self.rate,
            self.p50_ms,
            self.p99_ms,
            micros("product", self.product_us),
            micros("database", self.database_us),
            micros("driver", self.driver_us),
        )
    }
}

/// The middle one; of an even number, the upper of the two in the middle.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// The smallest and the largest.
#[must_use]
pub fn range(values: &[f64]) -> (f64, f64) {
    let smaller = values.iter().copied().fold(f64::INFINITY, f64::min);
    (smaller, values.iter().copied().fold(0.0, f64::max))
}
