//! What holds just now, looked up when somebody asks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use history::History;
use journal::Journal;
use journal::raft::Raft;
use model::NodeId;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use tokio::sync::watch;

use super::work::State as StateLabel;
use crate::clock::since_boot;
use crate::query::node_state;
use crate::view::View;

/// Shapes that are looked at for the oldest that waits.
const SHAPES_MAX: usize = 1000;

/// Every state of a node.
const NODE_STATES: [&str; 5] = ["ready", "degraded", "draining", "drained", "disconnected"];

/// Where everything is looked up.
pub(crate) struct Now {
    pub(crate) version: String,
    pub(crate) views: watch::Receiver<Arc<View>>,
    pub(crate) node: NodeId,
    pub(crate) running: Arc<AtomicU64>,
    /// When the supervisor said something last, in milliseconds since the machine's start; 0: never.
    pub(crate) heard: Arc<AtomicU64>,
    /// As [`super::Leases`] has it.
    pub(crate) oldest_heartbeat_ms: Arc<AtomicU64>,
    pub(crate) journal: Arc<Raft>,
    pub(crate) history: Arc<History>,
    pub(crate) behind: watch::Receiver<Option<String>>,
    pub(crate) supervisor_pid: watch::Receiver<u32>,
}

impl fmt::Debug for Now {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Now")
    }
}

impl Collector for Now {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let view = self.views.borrow().clone();
        let mut out = Out(&mut encoder);
        self.queue(&view, &mut out)?;
        self.nodes(&view, &mut out)?;
        self.disk(&view, &mut out)?;
        self.memory(&mut out)
    }
}

impl Now {
    fn queue(&self, view: &View, out: &mut Out<'_, '_>) -> fmt::Result {
        let state = &view.state;
        let placed: usize = state.nodes().values().map(|node| node.assigned.len()).sum();
        let running = self.running.load(Ordering::Relaxed);
        out.by_state(
            "elements",
            "Elements that have not ended, by state",
            &[
                ("queued", state.waiting()),
                ("scheduled", (placed as u64).saturating_sub(running)),
                ("running", running),
            ],
        )?;
        out.gauge("runs", "Runs that have not ended", state.runs().len() as u64)?;
        out.gauge("runs_bytes", "Bytes of the jobs of those runs", state.runs().bytes())?;
        let (shapes, tasks) = (state.queue().shapes().count(), state.queue().len());
        out.gauge("queue_shapes", "Different requests among the tasks that wait", shapes as u64)?;
        out.gauge("queue_tasks", "Tasks with elements that want a node", tasks as u64)?;
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let firsts = state.queue().shapes().take(SHAPES_MAX);
        let firsts = firsts.filter_map(|(_, tasks)| tasks.get_min().map(|(run, _)| *run));
        let oldest = firsts.min().and_then(|run| state.run(run));
        let waits = oldest.map_or(0, |run| (now_ms as u64).saturating_sub(run.submitted_ms));
        let help = "How long the oldest run has lived of those that want a node";
        out.real("oldest_waiting_seconds", help, waits as f64 / 1e3)
    }

    fn nodes(&self, view: &View, out: &mut Out<'_, '_>) -> fmt::Result {
        let mut states = NODE_STATES.map(|state| (state, 0));
        let mut leased = 0;
        let (mut capacity, mut reserved, mut memory, mut memory_reserved) = (0, 0, 0, 0);
        for (id, node) in view.state.nodes() {
            let state = node_state(node, view.connections.get(id));
            if let Some((_, count)) = states.iter_mut().find(|(name, _)| *name == state) {
                *count += 1;
            }
            leased += u64::from(node.lease_ms > 0 && !node.is_lost);
            capacity += node.capacity.cpu_milli;
            reserved += node.seated.cpu_milli;
            memory += node.capacity.memory_bytes;
            memory_reserved += node.seated.memory_bytes;
        }
        out.by_state("nodes", "Nodes, by state", &states)?;
        out.gauge("nodes_leased", "Nodes with a lease that has not run out", leased)?;
        let help = "How long ago the oldest of the heartbeats arrived that leases count from; 0 where this node gives none";
        let now_ms = since_boot().as_millis() as u64;
        let age_ms = match self.oldest_heartbeat_ms.load(Ordering::Relaxed) {
            0 => 0,
            oldest_ms => now_ms.saturating_sub(oldest_ms),
        };
        out.real("oldest_heartbeat_seconds", help, age_ms as f64 / 1e3)?;
        let sessions = view.connections.len() as u64;
        out.gauge("sessions", "Workers that are connected to this node", sessions)?;
        let help = "The epoch of this node: one more with each supervisor that took another's place, or loss";
        out.gauge("node_epoch", help, view.state.node(self.node).map_or(0, |node| node.epoch))?;
        if let heard @ 1.. = self.heard.load(Ordering::Relaxed) {
            let help = "How long ago the supervisor said something; idle, it has nothing to say";
            let silent_ms = now_ms.saturating_sub(heard);
            out.real("supervisor_silent_seconds", help, silent_ms as f64 / 1e3)?;
        }
        let cpus = |milli: u64| milli as f64 / 1e3;
        out.real("cpus", "Processors that the nodes offer", cpus(capacity))?;
        out.real("cpus_reserved", "Processors that placed elements reserve", cpus(reserved))?;
        out.gauge("memory_bytes", "Memory that the nodes offer", memory)?;
        let help = "Memory that placed elements reserve";
        out.gauge("memory_reserved_bytes", help, memory_reserved)
    }

    fn disk(&self, view: &View, out: &mut Out<'_, '_>) -> fmt::Result {
        let help = "Bytes of journal behind the newest snapshot, which a start has to read";
        out.gauge("journal_bytes", help, self.journal.log_bytes())?;
        let help = "The last entry of the journal that is applied and published";
        out.gauge("applied_index", help, view.state.applied())?;
        let help = "The last entry that the newest snapshot stands for";
        out.gauge("snapshot_index", help, self.journal.newest_snapshot())?;
        let help = "Bytes that the disk of the data directory has left";
        out.gauge("disk_free_bytes", help, self.journal.free_bytes())?;
        let pending = self.history.pending();
        out.gauge("history_bytes", "Bytes of history on disk", self.history.disk_bytes())?;
        let help = "Bytes of history that wait in memory to be written; the journal has them";
        out.gauge("history_pending_bytes", help, pending.bytes as u64)?;
        let help = "Facts that wait in memory to be written";
        out.gauge("history_pending_facts", help, pending.facts as u64)?;
        let help = "1 while history cannot be written, else 0";
        out.gauge("history_behind", help, u64::from(self.behind.borrow().is_some()))
    }

    fn memory(&self, out: &mut Out<'_, '_>) -> fmt::Result {
        let own = resident(std::process::id());
        let help = "Memory of the daemon that is in use by the kernel's count";
        out.gauge("resident_bytes", help, own)?;
        let supervisor = resident(*self.supervisor_pid.borrow());
        out.gauge("supervisor_resident_bytes", "The same of the supervisor", supervisor)?;
        let (used, free) = crate::memory::allocated();
        out.gauge("allocated_bytes", "Memory that the daemon's allocator has given out", used)?;
        let help = "Memory that the allocator holds free";
        out.gauge("allocator_free_bytes", help, free)?;
        let labels = vec![("version", self.version.clone())];
        let encoder = out.0.encode_descriptor("build", "The binary", None, MetricType::Info)?;
        prometheus_client::metrics::info::Info::new(labels).encode(encoder)
    }
}

/// Writes gauges.
struct Out<'a, 'b>(&'a mut DescriptorEncoder<'b>);

impl Out<'_, '_> {
    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        gauge.encode(self.0.encode_descriptor(
            name,
            &format!("{help}."),
            None,
            MetricType::Gauge,
        )?)
    }

    fn real(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let help = format!("{help}.");
        ConstGauge::new(value).encode(self.0.encode_descriptor(
            name,
            &help,
            None,
            MetricType::Gauge,
        )?)
    }

    fn by_state(&mut self, name: &str, help: &str, all: &[(&'static str, u64)]) -> fmt::Result {
        let help = format!("{help}.");
        let mut encoder = self.0.encode_descriptor(name, &help, None, MetricType::Gauge)?;
        for (state, value) in all {
            let gauge = ConstGauge::new(i64::try_from(*value).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_family(&StateLabel { state })?)?;
        }
        Ok(())
    }
}

/// Resident memory of a process; 0 where there is none.
fn resident(pid: u32) -> u64 {
    let statm = match pid {
        0 => return 0,
        pid => std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default(),
    };
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}
