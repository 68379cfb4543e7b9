//! The vocabulary of Windlass: the nouns every other crate speaks in.
//!
//! It exists so that a word means one thing everywhere: what a job is, how an element is named,
//! which states there are and which of them are final.
//!
//! It must never do I/O, read a clock or draw a random number, and it knows no wire format:
//! `proto` holds those.

pub mod ids;
pub mod job;
pub mod ranges;
pub mod resources;
pub mod selector;
pub mod state;

pub mod outcome;
pub mod slots;

pub mod role;
pub mod roles;

pub mod instant;
pub mod lease;
pub mod text;
pub mod words;

pub use ids::{
    Attempt, AttemptNumber, ClusterId, Element, Fence, NodeId, RunId, SupervisorId, TaskIndex,
    TaskPosition,
};
pub use job::{
    ArraySpec, Items, ItemsKind, JobSpec, Keep, MaxFailed, OnLost, Placement, Policy, Retention,
    Retries, Runner, Secret, TaskSpec, Warn, WhenFull,
};
pub use lease::{
    LEASE_MARGIN_MS, LEASE_MS_DEFAULT, LEASE_MS_MAX, LEASE_MS_MIN, lease_heartbeat_ms,
    lease_kill_ms, lease_term_ms,
};
pub use outcome::{Ending, NotStarted, Outcome, OutputRef, StopCause};
pub use ranges::RangeSet;
pub use resources::Resources;
pub use role::Role;
pub use roles::Roles;
pub use selector::Selector;
pub use state::{Because, TaskState};
