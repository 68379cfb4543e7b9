//! A run that has not ended: what waits, what is placed, and how many have ended how.
//!
//! Elements are counted by their ordinal, from 0 without gaps, so that an array with a step is
//! still one range. Equal elements cost nothing each: only those that are placed, or wait for
//! another try, have an entry of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;
use model::{
    Attempt, Because, Element, Fence, JobSpec, NodeId, RangeSet, RunId, StopCause, TaskPosition,
    TaskSpec, TaskState,
};

/// One instantiation of a job.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was submitted.
    pub spec: Arc<JobSpec>,
    /// When, Unix time in milliseconds.
    pub submitted_ms: u64,
    /// Its tasks, as in `spec`.
    pub tasks: Vec<TaskRun>,
    /// Who cancelled the whole of it.
    pub canceled: Option<Arc<Because>>,
    /// When the first attempt started, Unix microseconds; 0 where none is known to have.
    pub started_us: u64,
    /// The run whose results it takes over for what it does not repeat.
    pub rerun_of: Option<RunId>,
}

/// One task of a run.
#[derive(Clone, Debug, Default)]
pub struct TaskRun {
    /// Ordinals that wait for a node.
    pub queued: RangeSet,
    /// Ordinals that wait for their next try to be due.
    pub delayed: RangeSet,
    /// What those of `queued` and `delayed` that had an attempt before have behind them.
    pub tries: OrdMap<u32, Tries>,
    /// Ordinals that are placed on a node.
    pub live: OrdMap<u32, Live>,
    /// How many have ended in each final state.
    pub ended: BTreeMap<TaskState, u64>,
    /// How many of `ended` had failed in the run that this one repeats.
    pub taken_failed: u64,
    /// The failure with the lowest ordinal so far.
    pub first_failure: Option<Failure>,
    /// So many have failed that the rest was given up.
    pub given_up: bool,
}

/// Why a run is not a success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which element.
    pub ordinal: u32,
    /// What `run` exits with for it.
    pub exit_code: i32,
    /// In words: `failed: exit code 3`.
    pub summary: String,
}

/// What a waiting element has behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tries {
    /// Attempts so far.
    pub attempts: u32,
    /// How many of them failed.
    pub failures: u32,
    /// How many of them were lost with their node or supervisor, or refused for a passing lack.
    pub losses: u32,
    /// The fence of the last.
    pub fence: Fence,
    /// Where the last was; another node is preferred.
    pub node: NodeId,
    /// When the next is due, Unix milliseconds; 0 for at once.
    pub due_ms: u64,
}

/// The attempt of an element that is placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// The attempt's number.
    pub number: u32,
    /// Where it is placed.
    pub node: NodeId,
    /// The number of its assignment in the node's epoch.
    pub seq: u64,
    /// Its fence.
    pub fence: Fence,
    /// When it was placed, Unix milliseconds.
    pub placed_ms: u64,
    /// When it started, Unix microseconds; 0 while no start is reported.
    pub started_us: u64,
    /// Failures before this attempt.
    pub failures: u32,
    /// Losses before this attempt.
    pub losses: u32,
    /// The stop that is under way, and who wants it.
    pub stop: Option<(StopCause, Arc<Because>)>,
}

impl Live {
    /// The state the element is in, as far as the cluster has agreed.
    pub fn state(&self) -> TaskState {
        match self {
            Live { stop: Some(_), .. } => TaskState::Stopping,
            Live { started_us: 0, .. } => TaskState::Scheduled,
            Live { .. } => TaskState::Running,
        }
    }
}

impl TaskRun {
    /// How many elements have ended.
    pub fn ended_count(&self) -> u64 {
        self.ended.values().sum()
    }

    /// Whether every element has ended.
    pub fn has_ended(&self) -> bool {
        self.queued.is_empty() && self.delayed.is_empty() && self.live.is_empty()
    }

    /// How many wait, for a node or for their time.
    pub fn waiting(&self) -> u64 {
        self.queued.len() + self.delayed.len()
    }

    /// How many have failed in this run, in whatever way; what was canceled has not.
    pub fn failed_count(&self) -> u64 {
        let failed = |state: &TaskState| {
            !matches!(state, TaskState::Succeeded | TaskState::Canceled) && state.is_final()
        };
        self.ended.iter().filter(|(state, _)| failed(state)).map(|(_, count)| count).sum::<u64>()
            - self.taken_failed
    }

    /// Whether more of its elements may be placed now.
    pub fn wants_nodes(&self, spec: &TaskSpec) -> bool {
        !self.queued.is_empty() && self.parallel_room(spec.indices().parallel_max) > 0
    }

    /// How many more elements may be placed at once, given the array's own limit.
    pub fn parallel_room(&self, parallel_max: u32) -> u64 {
        match parallel_max {
            0 => u64::MAX,
            most => u64::from(most).saturating_sub(self.live.len() as u64),
        }
    }

    pub(crate) fn count_ended(&mut self, state: TaskState, count: u64) {
        if count > 0 {
            *self.ended.entry(state).or_default() += count;
        }
    }

    pub(crate) fn note_failure(&mut self, failure: Failure) {
        let earlier = self.first_failure.as_ref().is_none_or(|old| failure.ordinal < old.ordinal);
        if earlier {
            self.first_failure = Some(failure);
        }
    }
}

impl Run {
    /// A run of which nothing has happened yet.
    pub(crate) fn new(spec: Arc<JobSpec>, submitted_ms: u64) -> Run {
        let task = |task: &TaskSpec| TaskRun {
            queued: RangeSet::from_iter([0..=task.indices().count() - 1]),
            ..TaskRun::default()
        };
        Run {
            tasks: spec.tasks.iter().map(task).collect(),
            spec,
            submitted_ms,
            canceled: None,
            started_us: 0,
            rerun_of: None,
        }
    }

    /// Elements by state, in the order of the states.
    pub fn counts(&self) -> BTreeMap<TaskState, u64> {
        let mut counts = BTreeMap::new();
        for task in &self.tasks {
            if task.waiting() > 0 {
                *counts.entry(TaskState::Queued).or_default() += task.waiting();
            }
            for live in task.live.values() {
                *counts.entry(live.state()).or_default() += 1;
            }
            for (state, count) in &task.ended {
                *counts.entry(*state).or_default() += count;
            }
        }
        counts
    }

    /// Whether every element has ended.
    pub fn has_ended(&self) -> bool {
        self.tasks.iter().all(TaskRun::has_ended)
    }

    /// The attempt of the element at `ordinal`.
    pub fn attempt(&self, run: RunId, task: TaskPosition, ordinal: u32, number: u32) -> Attempt {
        let index = self.spec.tasks[task as usize].indices().index(ordinal);
        Attempt { element: Element { run, task, index }, number }
    }

    /// The first failure by task and ordinal; `None` for a success so far.
    pub fn first_failure(&self) -> Option<&Failure> {
        self.tasks.iter().find_map(|task| task.first_failure.as_ref())
    }
}
