//! What is told of what has ended.
//!
//! History stores facts and finds them again. It must never decide what one means.

use std::sync::Arc;

use crate::audit::Change;

use model::{Because, Fence, NodeId, Outcome, RangeSet, Retention, RunId, TaskPosition, TaskState};

/// Something that has ended, or was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An attempt.
    Attempt(AttemptFact),
    /// Elements that ended without one.
    Elements {
        /// The run.
        run: RunId,
        /// The position of the task in its job.
        task: TaskPosition,
        /// Their ordinals.
        ordinals: RangeSet,
        /// How.
        end: ElementsEnd,
    },
    /// A run.
    Run(Box<RunFact>),
    /// A change that somebody made, for the audit.
    Change(Box<Change>),
}

/// An attempt that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptFact {
    /// The run.
    pub run: RunId,
    /// The position of the task in its job.
    pub task: TaskPosition,
    /// The element's ordinal in its task.
    pub ordinal: u32,
    /// Which attempt, from 1.
    pub number: u32,
    /// Its fence.
    pub fence: Fence,
    /// Where it ran.
    pub node: NodeId,
    /// When it was placed, Unix milliseconds.
    pub placed_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Who or what ended it; `None` where it ended by itself.
    pub because: Option<Arc<Because>>,
    /// The element's final state; `None` where the element went on.
    pub state: Option<TaskState>,
}

/// How elements ended that had no attempt at their end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementsEnd {
    /// Their final state.
    pub state: TaskState,
    /// Who or what ended them.
    pub because: Arc<Because>,
    /// When, Unix milliseconds.
    pub ended_ms: u64,
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFact {
    /// What lists show and look for.
    pub head: RunHead,
    /// What was submitted, as the writer encoded it.
    pub job: Vec<u8>,
}

/// What lists show of an ended run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunHead {
    /// Its number.
    pub run: RunId,
    /// When it was submitted, Unix milliseconds.
    pub submitted_ms: u64,
    /// When its first attempt started, Unix microseconds; 0 where none did.
    pub started_us: u64,
    /// When it ended, Unix milliseconds.
    pub ended_ms: u64,
    /// All that runs of one job have in common as a rule, so that it is kept once.
    pub profile: Arc<Profile>,
}

/// What a run was, and how it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// What the job belongs to.
    pub namespace: String,
    /// Whose it is.
    pub owner: String,
    /// The job's name; empty for none.
    pub name: String,
    /// The job's labels.
    pub labels: Vec<(String, String)>,
    /// The beginning of the first task's command.
    pub command: String,
    /// One state for the whole.
    pub state: TaskState,
    /// What `run` and `wait` exit with.
    pub exit_code: i32,
    /// The same in words.
    pub summary: String,
    /// Who cancelled the whole of it.
    pub canceled: Option<Because>,
    /// How many elements it had.
    pub elements: u64,
    /// For each task, its elements by final state.
    pub counts: Vec<Vec<(TaskState, u64)>>,
    /// The run whose results it took over for what it did not repeat; 0: none.
    pub rerun_of: u64,
    /// How long it is kept, where its job says so.
    pub retention: Option<Retention>,
}

/// Final states, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct States(u16);

impl States {
    /// Every state, and none at all: an attempt after which its element went on.
    pub const ANY: States = States(u16::MAX);

    /// Every final state.
    pub const FINAL: States = States(u16::MAX >> 1);

    /// Every final state but success.
    pub const UNSUCCESSFUL: States = States(States::FINAL.0 & !(1 << 1));

    pub(crate) fn from_bits(bits: u16) -> States {
        States(bits)
    }

    pub(crate) fn bits(self) -> u16 {
        self.0
    }

    /// Adds a state; `None` for an attempt after which its element went on.
    #[must_use]
    pub fn with(self, state: Option<TaskState>) -> States {
        let bit = match state {
            None => 15,
            Some(state) => crate::codes::of_state(state).min(14),
        };
        States(self.0 | 1 << bit)
    }

    /// Whether `state` is one of them.
    pub fn contains(self, state: Option<TaskState>) -> bool {
        self.overlaps(States(0).with(state))
    }

    /// Whether there is a state in both.
    pub fn overlaps(self, other: States) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<TaskState> for States {
    fn from_iter<I: IntoIterator<Item = TaskState>>(states: I) -> States {
        states.into_iter().fold(States(0), |states, state| states.with(Some(state)))
    }
}
