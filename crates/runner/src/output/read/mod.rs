//! The daemon's side: finds output again, in order, and says where some is missing.
//!
//! It reads while the supervisor writes, and after crashes and damage. It takes nothing on trust
//! but checksums, and it must never show a byte that the attempt did not write there.

mod blocks;
mod frames;
mod merge;
mod recover;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use model::{Attempt, Outcome, OutputRef};
use proto::supervisor::Extent;

use super::Stream;
use blocks::Blocks;
pub use frames::Frames;
pub use merge::Merge;

/// Some bytes of an attempt's output, or a mark between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Who wrote it.
    pub attempt: Attempt,
    /// Where to, or [`Stream::Mark`].
    pub stream: Stream,
    /// When it was read from the attempt's pipe, Unix time in microseconds.
    pub time_us: u64,
    /// The bytes as they were written, which need not be UTF-8. A mark is a text without newline.
    pub data: Vec<u8>,
}

/// Why output could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file that should be there cannot be opened.
    #[error("cannot open `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The disk does not give it back.
    #[error("cannot read `{}` at byte {offset}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// From where.
        offset: u64,
        /// What the disk said.
        source: io::Error,
    },
    /// What lies there is not the whole end frame of an attempt.
    #[error("`{}` holds no whole end of an attempt at byte {offset}: the file is damaged or another one", path.display())]
    NoEnd {
        /// The file.
        path: PathBuf,
        /// Where it should be.
        offset: u64,
    },
}

/// The output of a node. Cheap to clone; clones share a small cache.
#[derive(Clone)]
pub struct Store {
    blocks: Arc<Blocks>,
}

impl Store {
    /// The store in this directory, which need not exist yet.
    pub fn open(dir: impl Into<PathBuf>) -> Store {
        Store { blocks: Arc::new(Blocks::new(dir.into())) }
    }

    /// Where all output of an ended attempt lies, from its end frame.
    pub fn ended(&self, at: OutputRef) -> Result<Vec<Extent>, ReadError> {
        recover::end_at(self.blocks.dir(), at)
    }

    /// The output of an attempt from its beginning, for a list of all its extents. For a live one
    /// [`Frames::extend`] goes on.
    pub fn read(&self, attempt: Attempt, extents: &[Extent]) -> Frames {
        Frames::new(Arc::clone(&self.blocks), attempt, extents)
    }

    /// What a killed supervisor knew of these attempts: the ends among its last segments. Marks
    /// nothing and changes nothing; at most 4 segments are read.
    pub fn recover(&self, wanted: &BTreeSet<Attempt>) -> BTreeMap<Attempt, Outcome> {
        recover::ends(self.blocks.dir(), wanted)
    }
}
