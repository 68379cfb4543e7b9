//! What a node does beside its work, every second: it keeps snapshots so that a start is short,
//! watches the disk, and removes old output.
//!
//! It must never hold the work up: a snapshot is written from a view, and what fails here is said
//! and tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use history::{Found, History};
use journal::{Journal, JournalError};
use machine::{State, snapshot};
use model::{Attempt, NodeId, Retention};
use runner::output::{Limits, Store};
use tokio::sync::{mpsc, watch};

use crate::beside::blocking;
use crate::control::Input;
use crate::disk::{Disk, RESERVE_BYTES};
use crate::metrics::Metrics;
use crate::output::Tails;
use crate::view::View;

/// How often everything is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Output is looked at once in so many of those times.
const SWEEP_EACH: u32 = 10;
/// How long output is kept where the limit of its size does not come first.
const OUTPUT_KEPT: Duration = Duration::from_secs(30 * 86_400);
/// Tails of other nodes' output take one in so many of the bytes that output may.
const TAILS_PART: u64 = 10;
/// Calls that remove output, of 64 files each, in one go.
const SWEEPS_MAX: usize = 16;

/// How a node keeps what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// A snapshot is made when so many bytes of journal, or as many as the last snapshot has, lie
    /// behind the last one.
    pub checkpoint_bytes: u64,
    /// Output beyond so many bytes is removed, the oldest first.
    pub output_bytes: u64,
    /// History beyond so many bytes is removed, the oldest first.
    pub history_bytes: u64,
    /// How long history keeps runs whose job does not say it.
    pub retention: Retention,
    /// The same for the runs of certain namespaces.
    pub namespaces: BTreeMap<String, Retention>,
}

impl Default for Keeping {
    fn default() -> Keeping {
        Keeping {
            checkpoint_bytes: 16 << 20,
            output_bytes: 10 << 30,
            history_bytes: 10 << 30,
            retention: Retention::default(),
            namespaces: BTreeMap::new(),
        }
    }
}

/// What became of a snapshot.
enum Checkpoint {
    /// It is kept and has so many bytes.
    Made(u64),
    /// It is not; why has been said.
    Failed,
    NodeStops,
}

/// When the next snapshot is due: when as much journal lies behind the last one as a start should
/// read at most, and sooner where nothing happens just now.
#[derive(Debug)]
struct Due {
    busy_bytes: u64,
    /// What the last snapshot has.
    made_bytes: u64,
    /// Looks to let pass, for the last try failed.
    rest: u32,
    /// What lay behind it when it was last looked at, and how often that had not changed.
    seen: (u64, u32),
}

impl Due {
    /// A node that has written nothing for so many looks is quiet.
    const QUIET_LOOKS: u32 = 3;
    /// After a failure so many looks pass: what is written in vain takes the last of the disk.
    const REST_LOOKS: u32 = 60;

    fn new(busy_bytes: u64) -> Due {
        Due { busy_bytes, made_bytes: 0, rest: 0, seen: (0, 0) }
    }

    fn is_due(&mut self, bytes: u64) -> bool {
        if self.rest > 0 {
            self.rest -= 1;
            return false;
        }
        let same = if bytes == self.seen.0 { self.seen.1 + 1 } else { 0 };
        self.seen = (bytes, same);
        let quiet = same >= Due::QUIET_LOOKS;
        bytes >= self.busy_bytes.max(self.made_bytes)
            || quiet && bytes >= (self.busy_bytes / 64).max(self.made_bytes / 4)
    }

    fn made(&mut self, bytes: u64) {
        self.made_bytes = bytes;
    }

    fn failed(&mut self) {
        self.rest = Due::REST_LOOKS;
    }
}

/// The task.
pub(crate) struct Task<J> {
    pub(crate) keeping: Keeping,
    pub(crate) node: NodeId,
    pub(crate) disk: Arc<Disk>,
    pub(crate) journal: Arc<J>,
    pub(crate) output: Arc<Store>,
    pub(crate) tails: Arc<Tails>,
    pub(crate) views: watch::Receiver<Arc<View>>,
    pub(crate) history: Arc<History>,
    pub(crate) control: mpsc::Sender<Input>,
    pub(crate) metrics: Arc<Metrics>,
}

impl<J: Journal> Task<J> {
    /// Runs until the node stops.
    pub(crate) async fn run(self) {
        let mut held = false;
        let mut due = Due::new(self.keeping.checkpoint_bytes);
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for count in 1u32.. {
            ticks.tick().await;
            let hold = self.disk.watch();
            if hold != held {
                held = hold;
                if self.control.send(Input::Hold(hold)).await.is_err() {
                    return;
                }
            }
            if due.is_due(self.journal.log_bytes()) {
                let begun = Instant::now();
                match self.checkpoint(due.made_bytes).await {
                    Checkpoint::Made(bytes) => {
                        due.made(bytes);
                        self.metrics.keeping.snapshots.inc();
                        self.metrics.keeping.snapshot.took(begun.elapsed());
                    }
                    Checkpoint::Failed => {
                        due.failed();
                        self.metrics.keeping.snapshot_failures.inc();
                    }
                    Checkpoint::NodeStops => return,
                }
            }
            if count.is_multiple_of(SWEEP_EACH) || held {
                self.sweep().await;
                self.sweep_tails().await;
            }
        }
    }

    /// Keeps a snapshot of what is published now. The last one had `expected` bytes.
    async fn checkpoint(&self, expected: u64) -> Checkpoint {
        if self.journal.free_bytes() < expected.saturating_add(RESERVE_BYTES.0) {
            tracing::warn!(
                "no snapshot is made while the disk has so little space; the journal grows"
            );
            return Checkpoint::Failed;
        }
        let state = self.views.borrow().state.clone();
        // History must have on disk what the entries tell, before they go.
        let history = self.history.clone();
        match blocking(move || history.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "no snapshot is made while history cannot be written");
                return Checkpoint::Failed;
            }
            Err(error) => {
                tracing::warn!(%error, "no snapshot is made: history could not be written");
                return Checkpoint::Failed;
            }
        }
        let index = state.applied();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = bytes.clone();
        let write = move |to: &mut dyn std::io::Write| write(&state, to, &counted);
        match self.journal.checkpoint(index, Box::new(write)).await {
            Ok(()) => {
                tracing::debug!(index, "a snapshot is kept");
                Checkpoint::Made(bytes.load(Ordering::Relaxed))
            }
            Err(JournalError::Dead { .. }) => Checkpoint::NodeStops,
            Err(error) => {
                tracing::warn!(index, %error, "no snapshot could be kept; the journal grows until one can");
                Checkpoint::Failed
            }
        }
    }

    /// Removes tails of other nodes' output that are too old or too many.
    async fn sweep_tails(&self) {
        let (tails, bytes_max) = (self.tails.clone(), self.keeping.output_bytes / TAILS_PART);
        let swept = blocking(move || tails.sweep(bytes_max, OUTPUT_KEPT));
        if let Ok(Err(error)) = swept.await {
            tracing::warn!(%error, "old tails of output could not be removed");
        }
    }

    /// Removes output that is too old or too much, and what runs have left that history has let go.
    async fn sweep(&self) {
        let view = self.views.borrow().clone();
        if view.state.node(self.node).is_none() {
            return; // Nobody knows what the supervisor holds.
        }
        let held: BTreeSet<Attempt> = placed(&view.state, self.node).collect();
        let limits = Limits { bytes_max: self.keeping.output_bytes, oldest_us: oldest_us() };
        let (output, history) = (self.output.clone(), self.history.clone());
        let swept = blocking(move || {
            for _ in 0..SWEEPS_MAX {
                if !output.sweep(&limits, &|attempt| held.contains(&attempt))?.more {
                    break;
                }
            }
            let is_gone = |attempt: Attempt| {
                let run = attempt.element.run;
                let has_ended = run <= view.state.last_run() && !view.state.runs().contains(run);
                has_ended && matches!(history.head(run), Found::Unknown)
            };
            for _ in 0..SWEEPS_MAX {
                if !output.purge(&is_gone)?.more {
                    break;
                }
            }
            Ok::<(), std::io::Error>(())
        });
        if let Ok(Err(error)) = swept.await {
            tracing::warn!(%error, "old output could not be removed");
        }
    }
}

/// Output from before is too old, Unix microseconds.
pub(crate) fn oldest_us() -> u64 {
    let oldest = SystemTime::now().checked_sub(OUTPUT_KEPT).unwrap_or(UNIX_EPOCH);
    oldest.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

fn write(state: &State, to: &mut dyn std::io::Write, bytes: &AtomicU64) -> std::io::Result<()> {
    for piece in snapshot::encode(state) {
        bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
        to.write_all(&piece)?;
    }
    Ok(())
}

/// The attempts that are placed on a node.
fn placed(state: &State, node: NodeId) -> impl Iterator<Item = Attempt> + '_ {
    let assigned = state.node(node).into_iter().flat_map(|node| node.assigned.values());
    assigned.filter_map(|at| {
        let run = state.run(at.run)?;
        let live = run.tasks[at.task as usize].live.get(&at.ordinal)?;
        Some(run.attempt(at.run, at.task, at.ordinal, live.number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_due_after_much_journal_or_when_nothing_happens() {
        let mut due = Due::new(64 << 20);
        assert!(!due.is_due(2 << 20));
        assert!(!due.is_due(3 << 20) && !due.is_due(3 << 20) && !due.is_due(3 << 20));
        assert!(due.is_due(3 << 20), "it has been quiet for a while");
        assert!(due.is_due(64 << 20));
        due.made(200 << 20);
        assert!(!due.is_due(199 << 20), "a large state is not written again for a small change");
        assert!(due.is_due(200 << 20));
        (0..9).for_each(|_| assert!(!due.is_due(40 << 20)));
        due.failed();
        (0..60).for_each(|_| assert!(!due.is_due(900 << 20)));
        assert!(due.is_due(900 << 20));
    }
}
