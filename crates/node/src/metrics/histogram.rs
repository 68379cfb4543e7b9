//! A histogram without a lock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Counts values in buckets; cheap to clone, and clones count together.
///
/// The library's own takes a lock at each value; here a value is three atomic additions. A reader
/// may see one of them without the others, which the next look makes good.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Upper bounds, rising.
    bounds: &'static [u64],
    /// What one of those units is.
    unit: f64,
    /// One more than bounds: the last is for all that is greater.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// Of times; the bounds are in microseconds.
    pub fn seconds(bounds: &'static [u64]) -> Histogram {
        Histogram::new(bounds, 1e-6)
    }

    /// Of numbers or bytes.
    pub fn plain(bounds: &'static [u64]) -> Histogram {
        Histogram::new(bounds, 1.0)
    }

    fn new(bounds: &'static [u64], unit: f64) -> Histogram {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram(Arc::new(Inner { bounds, unit, counts, sum: AtomicU64::new(0) }))
    }

    /// Counts a value, in the unit of the bounds.
    pub fn count(&self, value: u64) {
        let inner = &self.0;
        let at = inner.bounds.partition_point(|bound| *bound < value);
        inner.counts[at].fetch_add(1, Ordering::Relaxed);
        inner.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts how long something took.
    pub fn took(&self, time: Duration) {
        self.count(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let inner = &self.0;
        let counts: Vec<_> =
            inner.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let bounds = inner.bounds.iter().map(|bound| *bound as f64 * inner.unit);
        let bounds = bounds.map(tidy).chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(counts.iter().copied()).collect();
        let sum = tidy(inner.sum.load(Ordering::Relaxed) as f64 * inner.unit);
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// Without the dust of a multiplication: `0.0025`, not `0.0024999999999999996`.
fn tidy(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_bucket() {
        let histogram = Histogram::plain(&[1, 10]);
        [0, 1, 2, 10, 11, 5_000].iter().for_each(|value| histogram.count(*value));
        let counts = histogram.0.counts.iter().map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts.collect::<Vec<_>>(), [2, 2, 2]);
        assert_eq!(histogram.0.sum.load(Ordering::Relaxed), 5_024);
    }

    #[test]
    fn buckets_add_up_in_the_text() {
        let mut registry = prometheus_client::registry::Registry::default();
        let histogram = Histogram::seconds(&[2_500, 1_000_000]);
        registry.register("t", "T", histogram.clone());
        histogram.took(Duration::from_micros(700));
        histogram.took(Duration::from_secs(3));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "t_bucket{le=\"0.0025\"} 1",
            "t_bucket{le=\"1.0\"} 1",
            "t_bucket{le=\"+Inf\"} 2",
            "t_count 2",
            "t_sum 3.0007",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
