//! What a node counts and measures, for Prometheus.
//!
//! Counting is an atomic addition, by whoever does the work anyway; what can be looked up, such as
//! the length of the queue, is looked up only when somebody asks. It must never take a lock where
//! work passes, nor name anything that a user makes: labels come from lists that are known here.

mod histogram;
mod now;
mod work;

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::{Metric, Registry};

pub use histogram::Histogram;
pub(crate) use now::Now;
pub(crate) use work::Work;

/// Seconds, from a tenth of a millisecond to a minute.
pub const SECONDS: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 5_000_000, 15_000_000, 60_000_000,
];
/// Seconds, from a millisecond to a day.
const LONG_SECONDS: &[u64] = &[
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    60_000_000,
    600_000_000,
    3_600_000_000,
    86_400_000_000,
];
/// Numbers and bytes in powers of four.
const SIZES: &[u64] = &[1, 4, 16, 64, 256, 1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20];

/// All that a node measures.
#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    pub(crate) journal: Journal,
    pub(crate) leases: Leases,
    pub(crate) placement: Placement,
    pub(crate) work: Work,
    pub(crate) keeping: Keeping,
    /// Of the traces that are made of this node's work.
    pub traces: Traces,
}

/// What the control part measures of the journal.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) commit: Histogram,
    pub(crate) commit_failures: Counter,
    pub(crate) batch_bytes: Histogram,
    pub(crate) batch_commands: Histogram,
    pub(crate) sync: Histogram,
}

/// What the control part measures of the nodes' leases, while it leads.
#[derive(Debug)]
pub(crate) struct Leases {
    pub(crate) acknowledged: Counter,
    pub(crate) confirmations: Counter,
    pub(crate) confirmation_failures: Counter,
    /// When the oldest heartbeat arrived that a lease counts from, in milliseconds since the
    /// machine's start; 0: none does.
    pub(crate) oldest_ms: Arc<AtomicU64>,
}

/// What the planner measures.
#[derive(Debug)]
pub(crate) struct Placement {
    pub(crate) plan: Histogram,
    pub(crate) planned: Histogram,
}

/// What upkeep and the keeper of history measure.
#[derive(Debug)]
pub(crate) struct Keeping {
    pub(crate) snapshots: Counter,
    pub(crate) snapshot_failures: Counter,
    pub(crate) snapshot: Histogram,
    pub(crate) flush: Histogram,
    pub(crate) flush_failures: Counter,
}

/// What the way of traces measures, from the node to the collector.
#[derive(Debug)]
pub struct Traces {
    /// What a full queue or the collector refused.
    pub dropped: Counter,
    /// Spans that the collector has taken.
    pub exported: Counter,
    /// Tries that failed.
    pub failures: Counter,
}

/// Gives metrics their names.
pub struct Names<'a>(&'a mut Registry);

impl Names<'_> {
    /// Registers a metric; `help` ends without a period, which is added.
    pub fn add<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }
}

impl Metrics {
    pub(crate) fn new() -> Metrics {
        let mut registry = Registry::with_prefix("windlass");
        let mut names = Names(&mut registry);
        let all = &mut names;
        let journal = Journal {
            commit: all.add(
                "commit_seconds",
                "From the proposal of a batch until it is durable",
                Histogram::seconds(SECONDS),
            ),
            commit_failures: all.add(
                "commit_failures",
                "Batches that were proposed and not committed",
                Counter::default(),
            ),
            batch_bytes: all.add(
                "batch_bytes",
                "Bytes of a batch of commands that was committed",
                Histogram::plain(SIZES),
            ),
            batch_commands: all.add(
                "batch_commands",
                "Commands of such a batch",
                Histogram::plain(SIZES),
            ),
            sync: all.add(
                "journal_sync_seconds",
                "Time that the disk took to make what was written to the journal durable",
                Histogram::seconds(SECONDS),
            ),
        };
        let leases = Leases {
            acknowledged: all.add(
                "heartbeats_acknowledged",
                "Heartbeats that were acknowledged, from each of which a node's lease counts anew",
                Counter::default(),
            ),
            confirmations: all.add(
                "lease_confirmations",
                "Times that a majority was asked whether this node leads, for heartbeats that wait",
                Counter::default(),
            ),
            confirmation_failures: all.add(
                "lease_confirmation_failures",
                "Those that no majority confirmed",
                Counter::default(),
            ),
            oldest_ms: Arc::default(),
        };
        let placement = Placement {
            plan: all.add("plan_seconds", "Time to make a plan", Histogram::seconds(SECONDS)),
            planned: all.add(
                "plan_elements",
                "Elements that a plan places; those the state then refuses are among them",
                Histogram::plain(SIZES),
            ),
        };
        let work = Work::new(all);
        let keeping = Keeping {
            snapshots: all.add("snapshots", "Snapshots that were kept", Counter::default()),
            snapshot_failures: all.add(
                "snapshot_failures",
                "Snapshots that could not be kept",
                Counter::default(),
            ),
            snapshot: all.add(
                "snapshot_seconds",
                "Time to make and keep a snapshot",
                Histogram::seconds(SECONDS),
            ),
            flush: all.add(
                "history_flush_seconds",
                "Time to make facts durable in history",
                Histogram::seconds(SECONDS),
            ),
            flush_failures: all.add(
                "history_flush_failures",
                "Writes of history that failed, for want of space as a rule",
                Counter::default(),
            ),
        };
        let traces = Traces {
            dropped: all.add(
                "traces_dropped",
                "Records and spans of traces that were given up: the collector is away or too slow",
                Counter::default(),
            ),
            exported: all.add(
                "traces_exported",
                "Spans that the collector of traces has taken",
                Counter::default(),
            ),
            failures: all.add(
                "traces_export_failures",
                "Tries to send spans to the collector that failed",
                Counter::default(),
            ),
        };
        let registry = Mutex::new(registry);
        Metrics { registry, journal, leases, placement, work, keeping, traces }
    }

    /// Registers further metrics, under names with `windlass_` before them.
    pub fn register<T>(&self, add: impl FnOnce(&mut Names<'_>) -> T) -> T {
        add(&mut Names(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// What is looked up when somebody asks.
    pub(crate) fn look_up(&self, now: Now) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register_collector(Box::new(now));
    }

    /// All metrics in the text form of OpenMetrics, which Prometheus reads.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut all = String::new();
        text::encode(&mut all, &self.registry.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(all)
    }
}
