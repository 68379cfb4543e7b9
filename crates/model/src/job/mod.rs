//! Job specifications: what a user submits, and every fault it can have.
//!
//! [`JobSpec::faults`] is called by whoever takes a job in, never by the replicated machine: rules
//! for what is accepted may change between versions, what was accepted stays accepted.

mod array;
mod faults;
mod items;
mod keep;
mod placement;
mod retry;
mod secret;

use crate::ranges::RangeSet;
use crate::resources::Resources;

pub use array::ArraySpec;
pub use faults::{Fault, limits};
pub use items::{Items, ItemsKind};
pub use keep::{Keep, Retention};
pub use placement::{Placement, Policy, WhenFull};
pub use retry::{Conditions, Reason, Retries};
pub use secret::Secret;

/// A job: named tasks that make one run when it is started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobSpec {
    /// What the job belongs to; `default` where nobody said otherwise.
    pub namespace: String,
    /// Who the job belongs to.
    pub owner: String,
    /// The user its processes get; empty for the node's own.
    pub run_as: String,
    /// Who submitted it: `user:NAME`.
    pub actor: String,
    /// Where it came from: `cli`, `api`, …
    pub origin: String,
    /// Its name, empty for an ad-hoc run.
    pub name: String,
    /// Labels to find its runs by, each key once.
    pub labels: Vec<(String, String)>,
    /// How long history keeps its runs, where it is not as the namespace or the cluster says.
    pub retention: Option<Retention>,
    /// Its tasks, at least one.
    pub tasks: Vec<TaskSpec>,
}

/// One task of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSpec {
    /// Its name, unique in the job.
    pub name: String,
    /// The program and its arguments; the program is looked up in the task's `PATH`.
    pub command: Vec<String>,
    /// Variables added to the task's environment, each name once.
    pub env: Vec<(String, String)>,
    /// Variables that only the task may see, each name once and none of `env`.
    pub secrets: Vec<Secret>,
    /// The working directory, absolute; empty for `/`.
    pub cwd: String,
    /// The array, where the task is one.
    pub array: Option<ArraySpec>,
    /// What each element of the array is given, where that is more than its index.
    pub items: Option<Items>,
    /// How many elements may fail before the rest of the task is given up.
    pub max_failed: Option<MaxFailed>,
    /// What runs it.
    pub runner: Runner,
    /// What an element reserves on its node while it runs.
    pub resources: Resources,
    /// 0 to 100; higher is placed first.
    pub priority: u32,
    /// Which node an element gets, and what becomes of it where none has room.
    pub placement: Placement,
    /// How long an element may wait for its first node, in milliseconds; 0 for ever.
    pub pending_timeout_ms: u64,
    /// How long an attempt may take from its seat on the node to its program, in milliseconds; 0
    /// for ever.
    pub start_timeout_ms: u64,
    /// How long an attempt may run, in milliseconds; 0 for ever.
    pub timeout_ms: u64,
    /// How long an element may take from its submission to its end, all attempts and waiting
    /// included, in milliseconds; 0 for ever.
    pub total_timeout_ms: u64,
    /// A signal before the run timeout.
    pub warn: Option<Warn>,
    /// From SIGTERM to SIGKILL, in milliseconds.
    pub grace_ms: u64,
    /// Exit codes that count as success beside 0.
    pub success_codes: Vec<u8>,
    /// Whether and when what has failed is tried again.
    pub retries: Retries,
    /// How often an element may lose its attempt, or be refused a start for a passing lack, before
    /// it ends: such faults do not use up `retries`.
    pub losses_max: u32,
    /// What becomes of an element whose attempt was lost with its node or supervisor.
    pub on_lost: OnLost,
    /// Whether an attempt with an unknown outcome ends the element as `lost`, whatever `on_lost`.
    pub at_most_once: bool,
}

/// What runs a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runner {
    /// A process of its own.
    #[default]
    Process,
    /// Nothing: an attempt takes its seat and succeeds at once. For measuring.
    Noop,
}

/// A signal to the whole tree some time before the run timeout ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warn {
    /// The signal's number.
    pub signal: i32,
    /// How long before the timeout, in milliseconds.
    pub before_ms: u64,
}

/// How many elements of a task may fail; one more ends the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxFailed {
    /// So many.
    Count(u32),
    /// So many in a hundred of all elements, rounded down.
    Percent(u32),
}

impl MaxFailed {
    /// How many of `elements` may fail.
    pub fn of(self, elements: u32) -> u64 {
        match self {
            MaxFailed::Count(count) => count.into(),
            MaxFailed::Percent(percent) => u64::from(elements) * u64::from(percent) / 100,
        }
    }

    /// Reads `10` or `5%`.
    pub fn parse(text: &str) -> Result<MaxFailed, crate::text::NotAnAmount> {
        let fault = || crate::text::NotAnAmount {
            text: text.to_owned(),
            expected: "a number of elements such as `10`, or a share such as `5%`",
        };
        let number = |text: &str| text.parse().map_err(|_| fault());
        match text.strip_suffix('%') {
            Some(percent) => match number(percent)? {
                percent @ 0..=100 => Ok(MaxFailed::Percent(percent)),
                _ => Err(fault()),
            },
            None => Ok(MaxFailed::Count(number(text)?)),
        }
    }
}

/// What becomes of an element whose attempt was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLost {
    /// It goes back to the queue, up to [`TaskSpec::losses_max`] times.
    #[default]
    Requeue,
    /// It ends as `lost`.
    Fail,
    /// Its node keeps it; nothing replaces it until the node reports or a person says so.
    Wait,
}

impl TaskSpec {
    /// The `losses_max` of a task that names none.
    pub const LOSSES_MAX: u32 = 5;
    /// The grace of a task that names none, in milliseconds.
    pub const GRACE_MS: u64 = 30_000;
    /// The priority of a task that names none.
    pub const PRIORITY: u32 = 50;

    /// A task with this command, named `main`, and defaults for the rest.
    pub fn new(command: Vec<String>) -> TaskSpec {
        TaskSpec {
            name: "main".to_owned(),
            command,
            env: Vec::new(),
            secrets: Vec::new(),
            cwd: String::new(),
            array: None,
            items: None,
            max_failed: None,
            runner: Runner::Process,
            resources: Resources { cpu_milli: 1000, memory_bytes: 0 },
            priority: Self::PRIORITY,
            placement: Placement::default(),
            pending_timeout_ms: 0,
            start_timeout_ms: 0,
            timeout_ms: 0,
            total_timeout_ms: 0,
            warn: None,
            grace_ms: Self::GRACE_MS,
            success_codes: Vec::new(),
            retries: Retries::default(),
            losses_max: Self::LOSSES_MAX,
            on_lost: OnLost::default(),
            at_most_once: false,
        }
    }

    /// Its indices; a task that is no array has index 0 alone.
    pub fn indices(&self) -> ArraySpec {
        self.array.unwrap_or(ArraySpec::SINGLE)
    }

    /// The ordinals of those of `indices` that the task has; all where `indices` is `None`.
    pub fn ordinals(&self, indices: Option<&RangeSet>) -> RangeSet {
        let array = self.indices();
        match indices {
            None => RangeSet::from_iter([0..=array.count() - 1]),
            Some(wanted) => (wanted.ranges()).filter_map(|range| array.ordinals(range)).collect(),
        }
    }
}
