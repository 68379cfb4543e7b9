//! Which events a watcher wants.

use model::{RunId, TaskState};

use super::{Event, EventKind};

/// Which events are wanted; the default wants all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of one of these runs; of any, and of nodes, where there is none.
    pub runs: Vec<RunId>,
    /// Of one of these kinds.
    pub kinds: Vec<EventKind>,
    /// Of the node of this name or id.
    pub node: Option<String>,
    /// That left elements, or a run, in one of these states.
    pub states: Vec<TaskState>,
    /// Of runs of this job.
    pub name: Option<String>,
    /// Of runs with each of these labels.
    pub labels: Vec<(String, String)>,
}

impl EventFilter {
    /// Whether an event is wanted.
    pub fn wants(&self, event: &Event) -> bool {
        let of_node = |wanted: &String| {
            *wanted == *event.node_name || event.node.is_some_and(|id| id.to_string() == *wanted)
        };
        (self.runs.is_empty() || event.run.is_some_and(|run| self.runs.contains(&run)))
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && (self.states.is_empty() || event.state.is_some_and(|s| self.states.contains(&s)))
            && self.node.as_ref().is_none_or(of_node)
            && self.name.as_ref().is_none_or(|name| *name == *event.name)
            && self.labels.iter().all(|label| event.labels.contains(label))
    }
}
