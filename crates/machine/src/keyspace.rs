//! The state as the keys of a store: one key for each element, and one for the status it has.
//!
//! It exists for whoever thinks of a scheduler as keys that transactions move from prefix to
//! prefix, and reads or watches them. It is a view: nothing is kept as keys, and a million equal
//! elements are keys only while somebody walks them. What has ended has left the state, so its key is
//! made of the event of its end.
//!
//! It must never decide anything, nor be what anything is decided by.
//!
//! ```text
//! /task/ID                            the element, whatever its status
//! /task/status/queued/ID              waits for a node, or for its next try
//! /task/status/running/NODE/ID        placed there: `#2 scheduled`, `#2 running`, `#2 stopping`
//! /task/status/complete/EPOCH/ID      has ended in any other final state: `succeeded`, `failed`, …
//! /task/status/canceled/EPOCH/ID      was canceled
//! /node/ID                            a node, with the epoch it is in
//! ```
//!
//! `ID` is the element's UUID, `EPOCH` the Unix time of the end in whole seconds, as the leader
//! stamped it: what ended earlier is a range of keys.

use std::fmt;

use model::{Element, NodeId, TaskState};

use crate::state::State;

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `/task/ID`
    Task(Element),
    /// `/task/status/queued/ID`
    Queued(Element),
    /// `/task/status/running/NODE/ID`
    Running(NodeId, Element),
    /// `/task/status/complete/EPOCH/ID`
    Complete(u64, Element),
    /// `/task/status/canceled/EPOCH/ID`
    Canceled(u64, Element),
    /// `/node/ID`
    Node(NodeId),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Task(element) => write!(f, "/task/{}", element.uuid()),
            Key::Queued(element) => write!(f, "/task/status/queued/{}", element.uuid()),
            Key::Running(node, element) => {
                write!(f, "/task/status/running/{node}/{}", element.uuid())
            }
            Key::Complete(epoch, element) => {
                write!(f, "/task/status/complete/{epoch}/{}", element.uuid())
            }
            Key::Canceled(epoch, element) => {
                write!(f, "/task/status/canceled/{epoch}/{}", element.uuid())
            }
            Key::Node(node) => write!(f, "/node/{node}"),
        }
    }
}

/// Hands out the keys of the nodes and of every element that has not ended, with their values.
///
/// What a rerun takes over of another run has no keys: those of the other run stand for it.
pub fn walk(state: &State, mut each: impl FnMut(Key, String)) {
    for (id, node) in state.nodes() {
        each(Key::Node(*id), node.epoch.to_string());
    }
    for (id, run) in state.runs().iter() {
        for ((task, spec), position) in run.tasks.iter().zip(&run.spec.tasks).zip(0..) {
            let array = spec.indices();
            let element =
                |ordinal| Element { run: id, task: position, index: array.index(ordinal) };
            for element in task.queued.iter().chain(task.delayed.iter()).map(element) {
                each(Key::Task(element), String::new());
                each(Key::Queued(element), String::new());
            }
            for (ordinal, live) in &task.live {
                let element = element(*ordinal);
                each(Key::Task(element), String::new());
                each(
                    Key::Running(live.node, element),
                    format!("#{} {}", live.number, live.state()),
                );
            }
        }
    }
}

/// The key that an element has from its end on, which was at `time_ms`; its value is the state.
pub fn end(element: Element, state: TaskState, time_ms: u64) -> Key {
    let epoch = time_ms / 1000;
    match state {
        TaskState::Canceled => Key::Canceled(epoch, element),
        _ => Key::Complete(epoch, element),
    }
}
