//! What a node tells of its work to whoever makes traces of it.
//!
//! It exists so that a trace can follow a submission through every part of a node without any of
//! them knowing of traces: each says what it did and when, as a small record, and goes on. Where
//! nobody makes traces there is no [`Traces`], and nothing is looked at but that.
//!
//! It must never wait: the channel has a bound, and what does not fit is counted and forgotten. Nor
//! does it keep anything that a restart would lose: what belongs together is found by numbers that
//! the journal has.

mod flight;
mod happened;
mod record;

use std::time::{SystemTime, UNIX_EPOCH};

use model::RunId;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

pub(crate) use flight::{Flights, planned};
pub use record::{
    Commit, Ended, Placed, PlacedPart, Record, RunEnded, SpanRef, Stretch, Submitted,
};

/// Records that wait at most.
const RECORDS_MAX: usize = 8192;
/// Only the first elements of a task have spans of their own, so that an array costs no more.
pub const ELEMENTS_MAX: u32 = 100;
/// Only the first attempts of an element have.
pub const ATTEMPTS_MAX: u32 = 20;
/// Only the first tasks of a job have.
pub const TASKS_MAX: u32 = 20;

/// Takes records, and never waits.
#[derive(Debug)]
pub(crate) struct Traces {
    records: mpsc::Sender<Record>,
    /// A run is in where its hash is not above this.
    threshold: u64,
    dropped: Counter,
}

impl Traces {
    /// `sample` is the part of all runs that is traced, from 0 to 1.
    pub(crate) fn new(sample: f64, dropped: Counter) -> (Traces, mpsc::Receiver<Record>) {
        let (records, inbox) = mpsc::channel(RECORDS_MAX);
        // A float is turned into the nearest number there is: 1.0 into the greatest.
        let threshold = (sample.clamp(0.0, 1.0) * u64::MAX as f64) as u64;
        (Traces { records, threshold, dropped }, inbox)
    }

    /// Whether a run is traced: by its number alone, so that every node and every life of one
    /// decides alike, and a trace is whole or not there.
    pub(crate) fn wants(&self, run: RunId) -> bool {
        scattered(run.0) <= self.threshold
    }

    pub(crate) fn tell(&self, record: Record) {
        if self.records.try_send(record).is_err() {
            self.dropped.inc();
        }
    }
}

/// Unix time in microseconds.
pub(crate) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

/// Neighbours far apart, each number once (the finalizer of splitmix64).
fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_runs_is_traced_and_always_the_same() {
        let count = |sample| {
            let (traces, _inbox) = Traces::new(sample, Counter::default());
            (1..=10_000).filter(|run| traces.wants(RunId(*run))).count()
        };
        assert_eq!((count(1.0), count(0.0)), (10_000, 0));
        assert!((2_300..2_700).contains(&count(0.25)), "{}", count(0.25));
        assert_eq!(count(0.25), count(0.25));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_nobody_waits() {
        let dropped = Counter::default();
        let (traces, mut inbox) = Traces::new(1.0, dropped.clone());
        let planned = || Record::Planned { at: Stretch::default(), runs: Vec::new() };
        (0..RECORDS_MAX + 5).for_each(|_| traces.tell(planned()));
        assert_eq!(dropped.get(), 5);
        assert!(inbox.try_recv().is_ok());
        drop(inbox);
        traces.tell(planned());
        assert_eq!(dropped.get(), 6);
    }
}
