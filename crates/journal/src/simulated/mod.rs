//! A journal in a simulated world: no thread beside it, and a disk whose machine can lose its power.
//!
//! It exists for the tests of whole clusters that a seed repeats; no node uses it. Everything above the disk is
//! the real journal: it writes real files, and only whether they are synced, and when, is the simulation's to say.

mod durable;

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

pub use durable::Durable;

/// What is about to be done to a file.
#[derive(Debug, Clone, Copy)]
pub enum Operation<'a> {
    /// A file is created, or emptied.
    Create,
    /// A part of a file is written, or its name or length changed.
    Write,
    /// A name goes.
    Remove,
    /// What was written to the file is made durable.
    Sync(&'a File),
    /// The names in the directory are made durable.
    SyncDir(&'a Path),
    /// Space is taken for a file.
    Allocate,
}

/// The disk under a journal. Nothing is really synced: it is told of it instead.
pub trait Disk: Debug + Send + Sync {
    /// Comes before the operation. An error is what becomes of it, instead.
    fn about_to(&self, operation: Operation<'_>) -> io::Result<()>;

    /// How long the next batch waits before it is written.
    fn delay(&self) -> Duration;
}
