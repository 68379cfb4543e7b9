//! The states of an element.
//!
//! ```text
//!  submit ──> queued ──Place──> scheduled ──starts──> running ──ends──> succeeded | failed
//!               │  ^               │  │                  │  │
//!               │  └─lost, on_lost─┘  │                  │  └─lost and no other try──> lost
//!               │    requeue          └──stop──┐  ┌─stop─┘
//!               │                              v  v
//!               └──cancel──> canceled <─────  stopping ─────> timed_out
//! ```
//!
//! What failed and may be tried again goes back to `queued` too, and waits there for its backoff.
//! `dead` is a start that was refused, or a pending timeout that has passed. `unknown` is shown, never stored: a running element whose
//! node has stopped answering. A final state never changes.

use std::fmt;
use std::str::FromStr;

/// The state of an element, in the words of API, CLI and documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TaskState {
    /// It waits for a node, or for its next try to be due.
    Queued,
    /// A node has been chosen and committed; the node has not confirmed.
    Scheduled,
    /// Its process runs.
    Running,
    /// A stop is acknowledged; its processes are not gone yet.
    Stopping,
    /// It runs, or did, on a node that has stopped answering.
    Unknown,
    /// It ended with a success code.
    Succeeded,
    /// It ended with another code or a signal.
    Failed,
    /// It ran longer than it may.
    TimedOut,
    /// A person or a program stopped it.
    Canceled,
    /// Its node lost it, and the job forbids another try.
    Lost,
    /// It will never run: its start was refused, or no node took it within its pending timeout.
    Dead,
}

impl TaskState {
    /// Every state, in the order an element meets them.
    pub const ALL: [TaskState; 11] = [
        TaskState::Queued,
        TaskState::Scheduled,
        TaskState::Running,
        TaskState::Stopping,
        TaskState::Unknown,
        TaskState::Succeeded,
        TaskState::Failed,
        TaskState::TimedOut,
        TaskState::Canceled,
        TaskState::Lost,
        TaskState::Dead,
    ];

    /// Whether the element can never leave this state.
    pub fn is_final(self) -> bool {
        self >= TaskState::Succeeded
    }

    /// The state's one name, as everywhere.
    pub fn name(self) -> &'static str {
        match self {
            TaskState::Queued => "queued",
            TaskState::Scheduled => "scheduled",
            TaskState::Running => "running",
            TaskState::Stopping => "stopping",
            TaskState::Unknown => "unknown",
            TaskState::Succeeded => "succeeded",
            TaskState::Failed => "failed",
            TaskState::TimedOut => "timed_out",
            TaskState::Canceled => "canceled",
            TaskState::Lost => "lost",
            TaskState::Dead => "dead",
        }
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for TaskState {
    type Err = ();

    fn from_str(name: &str) -> Result<TaskState, ()> {
        TaskState::ALL.into_iter().find(|state| state.name() == name).ok_or(())
    }
}

/// Who or what caused a change of state, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Because {
    /// `user:NAME`, `timeout`, `node-lost`, `supervisor-lost`, `down`, `drain`, `node:NAME`, …
    pub actor: String,
    /// In words, for people; may be empty.
    pub reason: String,
}

impl Because {
    /// A cause of two texts.
    pub fn new(actor: impl Into<String>, reason: impl Into<String>) -> Because {
        Because { actor: actor.into(), reason: reason.into() }
    }
}
