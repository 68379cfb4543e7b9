//! The daemon's side: finds output again, in order, and says where some is missing.
//!
//! It reads while the supervisor writes, and after crashes and damage. It takes nothing on trust
//! but checksums, and it must never show a byte that the attempt did not write there.

mod blocks;
mod frames;
pub(super) mod fuzz;
mod lost;
mod merge;
mod pieces;
mod recover;
mod removed;
mod sweep;
mod tail;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Attempt, Outcome, OutputRef};
use proto::supervisor::Extent;

use super::Stream;
use blocks::Blocks;
pub use frames::{Frames, Place};
pub use merge::Merge;
pub use pieces::{Piece, PieceKind};
use sweep::Keepers;
pub use sweep::{Limits, Swept};
pub use tail::Tail;

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
    /// It was old, and went for newer output.
    #[error("output was removed (retention)")]
    Removed,
    /// What lies there is not the whole list of a lost attempt's output.
    #[error("`{}` holds no whole list of an attempt's output: the file is damaged", path.display())]
    NoList {
        /// The file.
        path: PathBuf,
    },
}

/// Why it could not be kept where the output of a lost attempt lies.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{}`, the list of a lost attempt's output", path.display())]
pub struct KeepError {
    /// The file.
    pub path: PathBuf,
    /// What the disk said.
    pub source: io::Error,
}

/// What a killed supervisor left behind.
#[derive(Debug, Default)]
pub struct Remains {
    /// The outcomes of attempts whose ends it wrote.
    pub ends: BTreeMap<Attempt, Outcome>,
    /// Where the output of the others lies, of those that have any.
    pub lost: BTreeMap<Attempt, Vec<Extent>>,
    /// Lists of [`Remains::lost`] that the disk did not take, of which this is the first.
    pub unkept: Option<KeepError>,
}

/// The output of a node. Cheap to clone; clones share a small cache.
#[derive(Clone)]
pub struct Store {
    blocks: Arc<Blocks>,
    /// Held while something is removed.
    keepers: Arc<Mutex<Keepers>>,
}

impl Store {
    /// The store in this directory, which need not exist yet.
    pub fn open(dir: impl Into<PathBuf>) -> Store {
        Store { blocks: Arc::new(Blocks::new(dir.into())), keepers: Arc::default() }
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
        recover::search(self.blocks.dir(), wanted).ends
    }

    /// As [`Store::recover`], and keeps for [`Store::lost`] where the output of the others lies:
    /// in those segments, in their own files, and where it was `told` to lie. Nothing may write
    /// output of these attempts any more.
    pub fn take_over(
        &self,
        wanted: &BTreeSet<Attempt>,
        mut told: BTreeMap<Attempt, Vec<Extent>>,
    ) -> Remains {
        let dir = self.blocks.dir();
        let mut found = recover::search(dir, wanted);
        let mut remains = Remains { ends: found.ends, ..Remains::default() };
        for attempt in wanted.iter().filter(|attempt| !remains.ends.contains_key(attempt)) {
            let mut shared = told.remove(attempt).unwrap_or_default();
            shared.extend(found.output.entry(*attempt).or_default().take());
            let extents = lost::all(dir, *attempt, shared);
            if extents.is_empty() {
                continue;
            }
            if let Err(error) = lost::keep(dir, *attempt, &extents) {
                remains.unkept.get_or_insert(error);
            }
            remains.lost.insert(*attempt, extents);
        }
        remains
    }

    /// Where the output of an attempt lies that ended with its supervisor; `None` where nothing
    /// was found of it.
    pub fn lost(&self, attempt: Attempt) -> Result<Option<Vec<Extent>>, ReadError> {
        lost::kept(self.blocks.dir(), attempt)
    }

    /// The last bytes of an ended attempt's output, at most so many, from its end frame.
    pub fn tail(
        &self,
        attempt: Attempt,
        at: OutputRef,
        bytes_max: usize,
    ) -> Result<Tail, ReadError> {
        tail::read(self, attempt, &self.ended(at)?, bytes_max)
    }

    /// All there is, in the pieces that are kept or removed as one, the oldest first.
    pub fn pieces(&self) -> io::Result<Vec<Piece>> {
        pieces::pieces(self.blocks.dir())
    }

    /// Removes what is beyond the limits, the oldest first, at most 64 files a call.
    ///
    /// `live` must be true for every attempt that a supervisor may hold or whose end is not kept
    /// elsewhere: nothing is removed that has output or the end of one. Who does not know these
    /// attempts, because no supervisor has told yet, must not call this.
    pub fn sweep(&self, limits: &Limits, live: &dyn Fn(Attempt) -> bool) -> io::Result<Swept> {
        let mut keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        sweep::sweep(self.blocks.dir(), &mut keepers, limits, live)
    }

    /// Removes the files that belong to purged attempts alone, at most 64 a call; what they wrote
    /// among others goes with its segment.
    pub fn purge(&self, purged: &dyn Fn(Attempt) -> bool) -> io::Result<Swept> {
        let _alone = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        sweep::purge(self.blocks.dir(), purged)
    }
}
