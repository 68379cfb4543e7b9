//! The state as bytes, and back.
//!
//! Items, each with its length before it, so that both directions go through a snapshot of any size
//! in small pieces. It must never hold what can be derived, and reading it must never trust it:
//! what is no state is an error.

mod encode;
mod read;
mod rebuild;

pub use encode::encode;
pub use read::Reader;

use crate::record::LEVEL;

/// Why bytes are no snapshot that this binary can read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// They are no snapshot.
    #[error("item {item} of the snapshot is invalid: {why}")]
    Malformed {
        /// Which item, from 0.
        item: u64,
        /// What is wrong with it.
        why: String,
    },
    /// They end before the snapshot does.
    #[error("the snapshot ends after item {item}, before its own end")]
    Cut {
        /// How many whole items there are.
        item: u64,
    },
    /// A newer binary made it.
    #[error(
        "the snapshot needs level {level}, this binary knows {LEVEL}; start the newer version that wrote it"
    )]
    TooNew {
        /// What it needs.
        level: u32,
    },
}

#[cfg(test)]
mod tests;
