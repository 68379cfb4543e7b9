//! What has happened lately, for whoever watches: a bounded ring of changes that the publisher
//! fills from the journal's entries.
//!
//! It exists so that a watcher who was cut off goes on where it was: it names the last journal
//! index it has seen and gets exactly what came after. After a restart the ring begins with what
//! is replayed, that is behind the newest snapshot. It must never hold anybody up: a reader that
//! is too slow is told so, and costs nothing meanwhile.

mod describe;
mod filter;
mod packed;
mod reader;
mod ring;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use model::{Because, NodeId, RunId, TaskState};

pub(crate) use describe::{connections, describe};
pub use filter::EventFilter;
pub use reader::Events;
pub(crate) use ring::{Latest, Ring};

/// Ranges of elements that one event names at most.
pub const RANGES_MAX: usize = 256;

/// What kind of change it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// A run was made.
    RunCreated,
    /// Elements got a node.
    Assigned,
    /// Attempts have started.
    Started,
    /// Attempts are being stopped.
    Stopping,
    /// Attempts have ended; their elements have too, or wait for another.
    AttemptEnded,
    /// Elements ended without an attempt.
    ElementsEnded,
    /// The last element of a run has ended.
    RunEnded,
    /// A node is registered, perhaps with a new epoch.
    NodeRegistered,
    /// A node was not heard of for longer than its lease; what it ran is returned.
    NodeLost,
    /// A node is drained from now on, or otherwise than before.
    NodeDraining,
    /// Nothing is left on a node that is drained.
    NodeDrained,
    /// A node that was drained takes work again.
    NodeResumed,
    /// A node was forgotten; what it ran is returned.
    NodeRemoved,
    /// A node takes work.
    NodeConnected,
    /// A node takes no work: it does not answer, or its supervisor is lost.
    NodeDisconnected,
    /// Something is wrong with a node that takes work.
    NodeDegraded,
    /// What was wrong with a node is over.
    NodeRecovered,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [EventKind; 17] = [
        EventKind::RunCreated,
        EventKind::Assigned,
        EventKind::Started,
        EventKind::Stopping,
        EventKind::AttemptEnded,
        EventKind::ElementsEnded,
        EventKind::RunEnded,
        EventKind::NodeRegistered,
        EventKind::NodeLost,
        EventKind::NodeDraining,
        EventKind::NodeDrained,
        EventKind::NodeResumed,
        EventKind::NodeRemoved,
        EventKind::NodeConnected,
        EventKind::NodeDisconnected,
        EventKind::NodeDegraded,
        EventKind::NodeRecovered,
    ];

    /// Whether it is seen by a control part, and not in the journal.
    fn is_seen(self) -> bool {
        matches!(
            self,
            EventKind::NodeConnected
                | EventKind::NodeDisconnected
                | EventKind::NodeDegraded
                | EventKind::NodeRecovered
        )
    }

    /// Its one name, as everywhere.
    pub fn name(self) -> &'static str {
        match self {
            EventKind::RunCreated => "run_created",
            EventKind::Assigned => "assigned",
            EventKind::Started => "started",
            EventKind::Stopping => "stopping",
            EventKind::AttemptEnded => "attempt_ended",
            EventKind::ElementsEnded => "elements_ended",
            EventKind::RunEnded => "run_ended",
            EventKind::NodeRegistered => "node_registered",
            EventKind::NodeLost => "node_lost",
            EventKind::NodeDraining => "node_draining",
            EventKind::NodeDrained => "node_drained",
            EventKind::NodeResumed => "node_resumed",
            EventKind::NodeRemoved => "node_removed",
            EventKind::NodeConnected => "node_connected",
            EventKind::NodeDisconnected => "node_disconnected",
            EventKind::NodeDegraded => "node_degraded",
            EventKind::NodeRecovered => "node_recovered",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for EventKind {
    type Err = ();

    fn from_str(name: &str) -> Result<EventKind, ()> {
        EventKind::ALL.into_iter().find(|kind| kind.name() == name).ok_or(())
    }
}

/// One change. What does not apply to its kind is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When, Unix milliseconds.
    pub time_ms: u64,
    /// The run it happened to.
    pub run: Option<RunId>,
    /// The name of the run's job.
    pub name: Arc<str>,
    /// The labels of the run's job.
    pub labels: Arc<[(String, String)]>,
    /// The name of the task.
    pub task: Arc<str>,
    /// Whether the task is an array.
    pub is_array: bool,
    /// The elements, as ranges of indices: those of the array's own that lie in them. At most
    /// [`RANGES_MAX`].
    pub elements: Vec<(u32, u32)>,
    /// How many elements there are, those included that `elements` has no place for.
    pub count: u64,
    /// The attempt's number; 0 where there is none.
    pub attempt: u32,
    /// The node.
    pub node: Option<NodeId>,
    /// The node's name.
    pub node_name: Arc<str>,
    /// The state in which it left the elements, or the run.
    pub state: Option<TaskState>,
    /// What `run` and `wait` exit with for it, where something has ended.
    pub exit_code: Option<i32>,
    /// In words: how an attempt or a run ended, what is wrong with a node.
    pub summary: String,
    /// Who or what caused it.
    pub because: Option<Arc<Because>>,
}

impl Event {
    /// What it happened to, as people write it: `812/main[3,7-9]#2`; empty for a node's.
    pub fn id(&self) -> String {
        let Some(run) = self.run else { return String::new() };
        let mut id = run.to_string();
        if !self.task.is_empty() {
            id.push('/');
            id.push_str(&self.task);
        }
        if self.is_array && !self.elements.is_empty() {
            let range = |(first, last): &(u32, u32)| match first == last {
                true => first.to_string(),
                false => format!("{first}-{last}"),
            };
            let ranges: Vec<String> = self.elements.iter().map(range).collect();
            id.push_str(&format!("[{}]", ranges.join(",")));
        }
        if self.attempt > 0 {
            id.push_str(&format!("#{}", self.attempt));
        }
        id
    }
}

/// All changes of one journal index, so that whoever resumes after it misses none and gets none
/// twice. How nodes are connected is not in the journal: such changes come in a batch of their own
/// with the index of the last entry, and are told again to those who resume after that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventBatch {
    /// The journal index.
    pub index: u64,
    /// The changes, in order. Where the filter wanted nothing for a while there is none: the batch
    /// only says from where to resume.
    pub events: Vec<Event>,
}
