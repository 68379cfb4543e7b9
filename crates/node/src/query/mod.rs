//! What people ask about: runs, elements, attempts, nodes, put together from the machine's state
//! and from history.
//!
//! An element that history calls ended has ended, whatever an older state says.

mod element;
mod list;
mod live;
mod nodes;
mod page;
mod resolve;
mod runs;
#[cfg(test)]
mod tests;
mod why;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Because, Element, Fence, JobSpec, Outcome, Resources, RunId, TaskState};

pub use history::{Purged, RunFilter, States};

pub use why::{GROUPS_MAX, Holder, Reason, ReasonCode, Usual, Why};

use element::{Wanted, selected};
pub(crate) use list::runs;
pub(crate) use nodes::{member, node, nodes, placed, state as node_state};
pub(crate) use page::{elements, is_within};
pub(crate) use resolve::{Resolved, awaited, ended_run, is_live, rerun_of, resolve};
pub(crate) use runs::{code_without_attempt, detail, end, progress};
pub(crate) use why::{Situation, why};

/// A run in one line.
#[derive(Clone, Debug)]
pub struct RunSummary {
    /// Its number.
    pub run: RunId,
    /// The job's name; empty for none.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// What the job belongs to.
    pub namespace: String,
    /// The job's labels.
    pub labels: Vec<(String, String)>,
    /// When it was submitted, Unix milliseconds.
    pub submitted_ms: u64,
    /// When it ended, Unix milliseconds; 0 while it has not.
    pub ended_ms: u64,
    /// When its first attempt started, Unix microseconds; 0 where none did.
    pub started_us: u64,
    /// Elements by state.
    pub counts: BTreeMap<TaskState, u64>,
    /// The first task's command, words separated by spaces.
    pub command: String,
    /// One state for the whole.
    pub state: TaskState,
    /// How many elements it has.
    pub elements: u64,
    /// What `run` and `wait` exit with; `None` while it has not ended.
    pub exit_code: Option<i32>,
}

/// A stretch of a list of runs.
#[derive(Clone, Debug, Default)]
pub struct RunPage {
    /// The runs, the latest first. There may be fewer than were asked for, or none, and more pages
    /// all the same: a page looks at a bounded number of runs.
    pub runs: Vec<RunSummary>,
    /// The next page has the runs before this one; `None` where there is none.
    pub next: Option<RunId>,
    /// Runs that would perhaps be listed if history were not damaged where they are.
    pub damaged: u64,
}

/// A run with its elements.
#[derive(Clone, Debug)]
pub struct RunDetail {
    /// In one line.
    pub summary: RunSummary,
    /// What was submitted.
    pub spec: Arc<JobSpec>,
    /// Elements of each task by state, in the order of the job; only states that occur.
    pub counts: Vec<BTreeMap<TaskState, u64>>,
    /// Who cancelled the whole of it.
    pub canceled: Option<Because>,
    /// The selected elements, at most as many as were asked for; what waits comes last.
    pub elements: Vec<ElementStatus>,
    /// How many are selected, in whatever state.
    pub elements_total: u64,
    /// The run whose results it takes over for what it does not repeat.
    pub rerun_of: Option<RunId>,
}

/// An element and its attempts.
#[derive(Clone, Debug)]
pub struct ElementStatus {
    /// Which.
    pub element: Element,
    /// `812/main[3]`, without an index where the task is no array.
    pub id: String,
    /// Its task's name.
    pub task: String,
    /// Its state.
    pub state: TaskState,
    /// Its attempts, first to last.
    pub attempts: Vec<AttemptStatus>,
    /// Who ended it, where it ended without an attempt.
    pub because: Option<Because>,
}

/// A stretch of a list of elements.
#[derive(Clone, Debug, Default)]
pub struct ElementPage {
    /// The elements, by task and index.
    pub elements: Vec<ElementStatus>,
    /// The next page begins behind this one; `None` where there is none.
    pub next: Option<ElementPlace>,
}

/// Where an element stands in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ElementPlace {
    /// The position of its task.
    pub task: model::TaskPosition,
    /// Its ordinal in the task.
    pub ordinal: u32,
}

/// One attempt.
#[derive(Clone, Debug)]
pub struct AttemptStatus {
    /// Its number.
    pub number: u32,
    /// Its state; of a lost attempt whose element went on: `lost`.
    pub state: TaskState,
    /// Its node's name.
    pub node: String,
    /// Its fence.
    pub fence: Fence,
    /// When it was placed, Unix milliseconds.
    pub placed_ms: u64,
    /// When it started, Unix microseconds; 0 where that is not known.
    pub started_us: u64,
    /// How it ended; `None` while it has not.
    pub outcome: Option<Outcome>,
    /// Who or what ended it.
    pub because: Option<Because>,
}

/// How a run, or a part of one, ended.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// What `run` and `wait` exit with.
    pub exit_code: i32,
    /// In words.
    pub summary: String,
    /// The whole run.
    pub run: RunSummary,
}

/// How far a run, or a part of one, has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Elements that have ended.
    pub ended: u64,
    /// Elements selected.
    pub total: u64,
}

/// A node.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Its id.
    pub id: model::NodeId,
    /// Its name.
    pub name: String,
    /// `ready`, `degraded`, `draining`, `drained` or `disconnected`.
    pub state: &'static str,
    /// Why it is degraded, or drained.
    pub reason: String,
    /// What it has.
    pub capacity: Resources,
    /// What is reserved.
    pub reserved: Resources,
    /// Attempts with a seat.
    pub running: u64,
    /// Attempts that wait there for one.
    pub waiting: u64,
    /// Its epoch.
    pub epoch: u64,
    /// Its binary's version.
    pub version: String,
    /// How a task's tree is known and ended there.
    pub containment: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Nothing is placed there.
    pub drain: Option<Draining>,
}

/// The drain of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draining {
    /// Who wants it, and why.
    pub because: Because,
    /// Since when, Unix milliseconds.
    pub since_ms: u64,
    /// Until when what runs there may go on, Unix milliseconds; `None`: as long as it takes.
    pub until_ms: Option<u64>,
    /// That time is over, and what ran is being stopped.
    pub stops: bool,
}
