//! The state: what decisions need, and nothing that could be looked up elsewhere.
//!
//! Maps are persistent: a clone is a few pointers, so that a view for planning or reading is free
//! and stalls no commit.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use model::{ClusterId, JobSpec, NodeId, RunId, TaskPosition, TaskSpec};

use crate::keys::Keys;
use crate::members::Members;
use crate::node::Node;
use crate::queue::{Queue, Shape};
use crate::run::Run;
use crate::runs::{Kept, Runs};
use crate::timers::{self, Timers};
use crate::token::Tokens;

/// Everything the cluster has agreed on.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub(crate) cluster: Option<Cluster>,
    pub(crate) is_recovering: bool,
    pub(crate) applied: u64,
    pub(crate) time_ms: u64,
    pub(crate) last_run: RunId,
    pub(crate) runs: Runs,
    /// Runs of jobs with a name.
    pub(crate) names: OrdSet<(Arc<str>, RunId)>,
    /// How many of `runs` each owner has.
    pub(crate) owners: OrdMap<Arc<str>, u64>,
    pub(crate) queue: Queue,
    /// Elements that wait for a node, or for their time.
    pub(crate) waiting: u64,
    pub(crate) timers: Timers,
    pub(crate) nodes: OrdMap<NodeId, Arc<Node>>,
    pub(crate) keys: Keys,
    pub(crate) tokens: Tokens,
    pub(crate) members: Members,
    /// The highest epoch of a node that was removed.
    pub(crate) epoch_floor: u64,
}

/// Which cluster this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its id.
    pub id: ClusterId,
    /// Raised by a restore or a recovery; 16 bits of every fence.
    pub incarnation: u16,
}

impl Cluster {
    /// Every epoch of a node in this incarnation is at least this, and in every former one below.
    pub(crate) fn epochs_from(self) -> u64 {
        u64::from(self.incarnation.saturating_sub(1)) << 32
    }
}

impl State {
    /// The state before the first batch.
    pub fn new() -> State {
        State::default()
    }

    /// Which cluster this is; `None` before it is founded.
    pub fn cluster(&self) -> Option<Cluster> {
        self.cluster
    }

    /// Whether the cluster was recovered, and what ran before may still run somewhere: nothing is
    /// placed.
    pub fn is_recovering(&self) -> bool {
        self.is_recovering
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
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// A run that has not ended.
    pub fn run(&self, run: RunId) -> Option<Arc<Run>> {
        self.runs.get(run)
    }

    /// The latest run of a job of this name, of those that have not ended.
    pub fn latest_named(&self, name: &str) -> Option<RunId> {
        let name: Arc<str> = name.into();
        let (found, run) = self.names.get_prev(&(name.clone(), RunId::MAX))?;
        (*found == name).then_some(*run)
    }

    /// How many runs of this owner have not ended.
    pub fn runs_of(&self, owner: &str) -> u64 {
        self.owners.get(owner).copied().unwrap_or(0)
    }

    /// Tasks with queued elements, in the order they want to be placed.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// How many elements wait for a node, or for their next try to be due.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// What is to happen when its time has come.
    pub fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Who is let in, beside the holders of the data directories.
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// The nodes that belong to the cluster, and what lets others in.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// When the next thing is to happen of which only the time is waited for, Unix milliseconds.
    pub fn next_ms(&self) -> Option<u64> {
        let others = self.tokens.next_ms().into_iter().chain(self.members.next_ms());
        self.timers.next_ms().into_iter().chain(others).min()
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
        self.runs.get_mut(run)
    }

    pub(crate) fn node_mut(&mut self, node: NodeId) -> Option<&mut Node> {
        self.nodes.get_mut(&node).map(Arc::make_mut)
    }

    /// Takes a run in, and notes it wherever it is looked for. A fresh one is also put into the
    /// queue; an open one comes there by [`State::requeue`].
    pub(crate) fn take_in(&mut self, id: RunId, run: Kept, head: &Head) {
        if !head.name.is_empty() {
            self.names.insert((head.name.as_str().into(), id));
        }
        match self.owners.get_mut(head.owner.as_str()) {
            Some(count) => *count += 1,
            None => _ = self.owners.insert(head.owner.as_str().into(), 1),
        }
        self.waiting += head.waiting;
        let fresh = matches!(run, Kept::Fresh(_));
        self.runs.insert(id, run);
        if fresh {
            for (task, shape) in head.shapes.iter().enumerate() {
                self.queue.insert(*shape, (id, task as TaskPosition));
            }
        }
    }

    /// Takes a run that is over out, and everything that is noted of it.
    pub(crate) fn take_out(&mut self, id: RunId) -> Option<Arc<Run>> {
        let run = self.runs.remove(id)?;
        let spec = &run.spec;
        if !spec.name.is_empty() {
            self.names.remove(&(spec.name.as_str().into(), id));
        }
        if let Some(count) = self.owners.get_mut(spec.owner.as_str()) {
            *count -= 1;
            if *count == 0 {
                self.owners.remove(spec.owner.as_str());
            }
        }
        for (task, of) in spec.tasks.iter().enumerate() {
            for timer in timers::of_task(of, run.submitted_ms, id, task as TaskPosition) {
                self.timers.clear(timer);
            }
        }
        Some(run)
    }

    /// Puts a task into the queue, or takes it out, as its queued elements and its limit say.
    pub(crate) fn requeue(&mut self, run: RunId, task: TaskPosition) {
        let Some(state) = self.runs.touched(run) else { return };
        let spec = &state.spec.tasks[task as usize];
        let shape = Shape::of(spec);
        let wants = state.tasks[task as usize].wants_nodes(spec);
        if wants {
            self.queue.insert(shape, (run, task));
        } else {
            self.queue.remove(shape, (run, task));
        }
    }
}

/// What is noted of a run outside of it.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) name: String,
    pub(crate) owner: String,
    pub(crate) shapes: Vec<Shape>,
    /// Elements that wait.
    pub(crate) waiting: u64,
}

impl Head {
    pub(crate) fn new(spec: &JobSpec, waiting: u64) -> Head {
        Head {
            name: spec.name.clone(),
            owner: spec.owner.clone(),
            shapes: spec.tasks.iter().map(Shape::of).collect(),
            waiting,
        }
    }

    /// Of a run of which nothing has happened.
    pub(crate) fn fresh(spec: &JobSpec) -> Head {
        let count = |task: &TaskSpec| u64::from(task.indices().count());
        Head::new(spec, spec.tasks.iter().map(count).sum())
    }
}
