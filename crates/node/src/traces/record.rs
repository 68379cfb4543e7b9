//! The records: what was done, when, and to which run.

use std::sync::Arc;

use model::{Attempt, JobSpec, NodeId, Outcome, RunId, TaskPosition, TaskState};
use proto::record::SubmitJob;

/// Something that was done for a run.
#[derive(Debug)]
pub enum Record {
    /// A submit was answered.
    Submitted(Box<Submitted>),
    /// The batch that made the run is durable.
    Created {
        /// The run.
        run: RunId,
        /// The batch.
        commit: Commit,
    },
    /// A plan was made.
    Planned {
        /// When.
        at: Stretch,
        /// The runs of which it places elements, and how many.
        runs: Vec<(RunId, u64)>,
    },
    /// Elements have their nodes.
    Placed(Box<Placed>),
    /// An attempt has ended.
    Ended(Box<Ended>),
    /// A run has ended.
    RunEnded(Box<RunEnded>),
}

/// From when to when, Unix time in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    /// When it began.
    pub from_us: u64,
    /// When it was done.
    pub to_us: u64,
}

/// A batch of this node's that the journal made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// From its proposal until it was delivered.
    pub at: Stretch,
    /// Its index in the journal.
    pub index: u64,
    /// Commands in it.
    pub commands: usize,
    /// Bytes of it.
    pub bytes: usize,
}

/// Somebody else's span, as they named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRef {
    /// Their trace.
    pub trace: [u8; 16],
    /// Their span in it.
    pub span: [u8; 8],
    /// Their flags.
    pub flags: u8,
}

/// A submit that made a run, or found the one that its key had made.
#[derive(Debug, Default)]
pub struct Submitted {
    /// The run.
    pub run: RunId,
    /// From the request until the answer.
    pub at: Stretch,
    /// The caller's span.
    pub link: Option<SpanRef>,
    /// An idempotency key came with it.
    pub keyed: bool,
    /// It found a run that was there.
    pub repeated: bool,
    /// The run of which it repeats a part.
    pub rerun_of: Option<RunId>,
    /// The job's name.
    pub name: String,
    /// Whose it is.
    pub owner: String,
    /// What it belongs to.
    pub namespace: String,
}

impl Submitted {
    /// What is known of it before it is committed.
    pub(crate) fn new(
        from_us: u64,
        link: Option<SpanRef>,
        spec: JobSpec,
        submit: &SubmitJob,
    ) -> Submitted {
        let JobSpec { name, owner, namespace, .. } = spec;
        let at = Stretch { from_us, to_us: from_us };
        let keyed = !submit.idempotency_key.is_empty();
        let rerun_of = submit.rerun.as_ref().map(|rerun| RunId(rerun.of));
        Submitted { at, link, keyed, rerun_of, name, owner, namespace, ..Submitted::default() }
    }
}

/// Elements of a run got nodes by one entry of the journal.
#[derive(Debug)]
pub struct Placed {
    /// The run.
    pub run: RunId,
    /// How many there are.
    pub count: u64,
    /// Task by task and node by node, only those that have spans.
    pub parts: Vec<PlacedPart>,
    /// The batch.
    pub commit: Commit,
}

/// Elements of one task that one node got.
#[derive(Debug)]
pub struct PlacedPart {
    /// The task.
    pub task: TaskPosition,
    /// Its name.
    pub name: String,
    /// The node.
    pub node: NodeId,
    /// The index of the first of them.
    pub first_index: u32,
    /// How many.
    pub count: u64,
}

/// An attempt's end is committed.
#[derive(Debug)]
pub struct Ended {
    /// Which.
    pub attempt: Attempt,
    /// The name of its task.
    pub task: String,
    /// Where it ran.
    pub node: NodeId,
    /// When it was placed, Unix milliseconds.
    pub placed_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// The element's final state; `None` where it is tried again.
    pub state: Option<TaskState>,
    /// The batch.
    pub commit: Commit,
}

/// The last element of a run has ended.
#[derive(Debug)]
pub struct RunEnded {
    /// Which.
    pub run: RunId,
    /// What was submitted.
    pub spec: Arc<JobSpec>,
    /// When it was submitted, Unix milliseconds.
    pub submitted_ms: u64,
    /// The run of which it repeats a part.
    pub rerun_of: Option<RunId>,
    /// What it came to.
    pub state: TaskState,
    /// What `run` exits with for it.
    pub exit_code: i32,
    /// The same in words.
    pub summary: String,
    /// Elements by their final states.
    pub counts: Vec<(TaskState, u64)>,
    /// The batch.
    pub commit: Commit,
}
