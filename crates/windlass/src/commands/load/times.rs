//! What was measured of many calls, in one line.

use std::time::Duration;

use serde_json::{Value, json};

/// The time of each call, in milliseconds.
#[derive(Default)]
pub(super) struct Times(Vec<f64>);

impl Times {
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e3);
    }

    pub(super) fn merge(&mut self, other: Times) {
        self.0.extend(other.0);
    }

    /// Counts and times of calls that took `all` together.
    pub(super) fn summary(mut self, all: Duration) -> Value {
        self.0.sort_by(f64::total_cmp);
        let count = self.0.len();
        let seconds = all.as_secs_f64();
        json!({
            "count": count,
            "seconds": seconds,
            "per_second": count as f64 / seconds,
            "mean_ms": self.0.iter().sum::<f64>() / count as f64,
            "p50_ms": self.at(0.50),
            "p99_ms": self.at(0.99),
            "max_ms": self.0.last(),
        })
    }

    /// The smallest time that this share of all does not exceed; the times are sorted.
    fn at(&self, share: f64) -> Option<f64> {
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_holds_times_that_were_seen() {
        let mut times = Times::default();
        (1..=100).rev().for_each(|ms| times.add(Duration::from_millis(ms)));
        let summary = times.summary(Duration::from_secs(4));
        assert_eq!(summary["count"], 100);
        assert_eq!((&summary["p50_ms"], &summary["p99_ms"]), (&json!(50.0), &json!(99.0)));
        assert_eq!((&summary["max_ms"], &summary["per_second"]), (&json!(100.0), &json!(25.0)));
    }

    #[test]
    fn no_call_at_all_is_no_number() {
        assert_eq!(Times::default().summary(Duration::from_secs(1))["p50_ms"], Value::Null);
    }
}
