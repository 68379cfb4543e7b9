//! The state: what decisions need, and nothing that could be looked up elsewhere.
//!
//! Maps are persistent: a clone is a few pointers, so that a view for planning or reading is free
//! and stalls no commit.

use std::cmp::Reverse;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use model::{ClusterId, NodeId, RunId, TaskPosition};

use crate::node::Node;
use crate::run::Run;

/// Everything the cluster has agreed on.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) cluster: Option<Cluster>,
    pub(crate) applied: u64,
    pub(crate) time_ms: u64,
    pub(crate) last_run: RunId,
    pub(crate) runs: OrdMap<RunId, Arc<Run>>,
    pub(crate) queue: OrdSet<QueueEntry>,
    pub(crate) nodes: OrdMap<NodeId, Arc<Node>>,
    pub(crate) keys: Keys,
}

/// Which cluster this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// Raised by a restore or a recovery; 16 bits of every fence.
    pub incarnation: u16,
}

/// A task with queued elements: highest priority first, then the older run.
pub type QueueEntry = (Reverse<u32>, RunId, TaskPosition);

impl State {
    /// The state before the first batch.
    pub fn new() -> State {
        State::default()
    }

    /// Which cluster this is; `None` before it is founded.
    pub fn cluster(&self) -> Option<Cluster> {
        self.cluster
    }

    /// The journal index of the last batch applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The time of the last batch, Unix milliseconds.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// The number of the latest run; 0 before the first.
    pub fn last_run(&self) -> RunId {
        self.last_run
    }

    /// The runs that have not ended.
    pub fn runs(&self) -> &OrdMap<RunId, Arc<Run>> {
        &self.runs
    }

    /// A run that has not ended.
    pub fn run(&self, run: RunId) -> Option<&Run> {
        self.runs.get(&run).map(|run| &**run)
    }

    /// Tasks with queued elements, in the order they want to be placed.
    pub fn queue(&self) -> &OrdSet<QueueEntry> {
        &self.queue
    }

    /// The nodes.
    pub fn nodes(&self) -> &OrdMap<NodeId, Arc<Node>> {
        &self.nodes
    }

    /// One node.
    pub fn node(&self, node: NodeId) -> Option<&Node> {
        self.nodes.get(&node).map(|node| &**node)
    }

    pub(crate) fn run_mut(&mut self, run: RunId) -> Option<&mut Run> {
        self.runs.get_mut(&run).map(Arc::make_mut)
    }

    pub(crate) fn node_mut(&mut self, node: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(&node).map(Arc::make_mut)
    }

    /// Puts a task into the queue, or takes it out, as its queued elements say.
    pub(crate) fn requeue(&mut self, run: RunId, task: TaskPosition) {
        let Some(state) = self.run(run) else { return };
        let entry = (Reverse(state.spec.tasks[task as usize].priority), run, task);
        if state.tasks[task as usize].queued.is_empty() {
            self.queue.remove(&entry);
        } else {
            self.queue.insert(entry);
        }
    }
}

/// The answers that idempotency keys have had.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    by_key: OrdMap<Arc<str>, KeyAnswer>,
    by_time: OrdSet<(u64, Arc<str>)>,
}

/// The first answer of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyAnswer {
    pub(crate) payload_hash: Arc<[u8]>,
    pub(crate) run: RunId,
    at_ms: u64,
}

impl Keys {
    /// Keys kept at once.
    pub(crate) const MAX: usize = 1_000_000;
    /// How long a key is kept: a day and an hour, in milliseconds.
    const KEPT_MS: u64 = 25 * 3_600_000;
    /// Keys forgotten by one submit at most.
    const FORGOTTEN_AT_ONCE: usize = 8;

    pub(crate) fn get(&self, key: &str) -> Option<&KeyAnswer> {
        self.by_key.get(key)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    pub(crate) fn insert(&mut self, key: Arc<str>, payload_hash: &[u8], run: RunId, now_ms: u64) {
        let payload_hash = payload_hash.into();
        self.by_key.insert(key.clone(), KeyAnswer { payload_hash, run, at_ms: now_ms });
        self.by_time.insert((now_ms, key));
    }

    /// Forgets a few of those that have been kept long enough.
    pub(crate) fn forget_old(&mut self, now_ms: u64) {
        for _ in 0..Self::FORGOTTEN_AT_ONCE {
            match self.by_time.get_min() {
                Some((at_ms, _)) if at_ms + Self::KEPT_MS < now_ms => {}
                _ => return,
            }
            let Some((_, key)) = self.by_time.remove_min() else { return };
            self.by_key.remove(&key);
        }
    }

    pub(crate) fn agree(&self) -> bool {
        self.by_key.len() == self.by_time.len()
            && (self.by_time.iter())
                .all(|(at_ms, key)| self.by_key.get(key).is_some_and(|a| a.at_ms == *at_ms))
    }
}
