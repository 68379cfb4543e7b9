//! What attempts write: kept in few files, found again by small lists of stretches.
//!
//! The supervisor's [`Writer`] puts frames of all attempts into shared append-only segments, so
//! that a million small tasks do not make a million files; the daemon's [`Store`] reads them, also
//! while more is written. Both sides live here because the form of a frame is said once.
//!
//! A task must never wait for its output: where the disk is too slow or full, bytes are dropped,
//! counted and marked at their place. No byte may ever be shown that was not written there.

mod extents;
mod frame;
#[doc(hidden)]
pub mod fuzz;
mod mark;
mod read;
mod write;

pub use read::{
    Chunk, Frames, KeepError, Limits, Merge, Piece, PieceKind, Place, ReadError, Remains, Store,
    Swept, Tail,
};
pub use write::{Config, Writer, Written};

#[cfg(test)]
mod tests;

/// Which of an attempt's streams bytes belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// What the task wrote to its standard output.
    Stdout = 1,
    /// What the task wrote to its standard error.
    Stderr = 2,
    /// Words of Windlass itself, such as how much was dropped here; not counted as output.
    Mark = 3,
}
