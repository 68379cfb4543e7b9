//! What has ended: append-only facts of runs and attempts, found again by run.
//!
//! The machine keeps what decisions need; what has ended leaves it and is kept here, beside it.
//! Facts are derived from the journal in its order, so commits need not be durable one by one: a
//! crash loses the newest, and the journal brings them again. [`History::write`] takes each index
//! once, whatever is replayed.
//!
//! Facts are opaque bytes here. It must never decide what a fact means, and never change one.

mod error;
mod store;

pub use error::{Error, OpenError};
pub use store::History;

/// Something that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Attempts of one task that ended, or elements that ended without one.
    Task {
        /// The run's number.
        run: u64,
        /// The position of the task in its job.
        task: u32,
        /// What kind of fact the bytes are; the writer's to define.
        kind: u8,
        /// The fact.
        bytes: Vec<u8>,
    },
    /// A run that ended.
    Run {
        /// The run's number.
        run: u64,
        /// The job's name; empty for none.
        name: String,
        /// The fact.
        bytes: Vec<u8>,
    },
}

/// A fact of a task, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFact {
    /// What kind it is.
    pub kind: u8,
    /// The fact.
    pub bytes: Vec<u8>,
}
