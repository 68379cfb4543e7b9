//! Snapshots: what stands for the beginning of the log, so that the log can be trimmed.
//!
//! ```text
//! dir/00000000000000018310.snapshot       what all entries up to 18310 have made
//! dir/00000000000000024775.snapshot       the newest
//! dir/00000000000000024991.snapshot.new   one that is being written
//! ```
//!
//! The two newest are kept, and the log from the older one on. So a newest one that is damaged or gone costs nothing
//! but time: an opening goes back to the older one and the log behind it.
//!
//! A snapshot is opaque bytes. This module never looks into them, never hands on what a checksum has not proved,
//! and a snapshot that cannot be written is a refusal and not the end of the journal: the log is whole without it.

mod choose;
pub(crate) mod format;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use choose::Ends;
pub(crate) use format::Head;
pub use read::SnapshotReader;
pub(crate) use read::{Chunks, Content, verify};
pub(crate) use write::{Pace, WriteError};

use crate::Index;
use crate::log::Disk;

/// Something that writes itself, on a thread where it may block.
///
/// What it writes has to be the state as it is after the entry that the checkpoint names, and after no other.
pub type Snapshot = Box<dyn FnOnce(&mut dyn io::Write) -> io::Result<()> + Send>;

/// How many snapshots are kept.
const KEPT: usize = 2;

/// The snapshots of one journal.
pub(crate) struct Snapshots {
    dir: PathBuf,
    disk: Disk,
    pace: Pace,
    /// The oldest first; at most `KEPT` once the older ones are retired.
    kept: Mutex<Vec<Arc<Kept>>>,
    /// Held by the one who writes.
    writing: Mutex<()>,
    cancelled: AtomicBool,
}

/// A snapshot that is on disk.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) head: Head,
    pub(crate) path: PathBuf,
}

impl Snapshots {
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The newest one.
    pub(crate) fn newest(&self) -> Option<Arc<Kept>> {
        self.kept().last().cloned()
    }

    /// The index of the newest one; 0 where there is none.
    pub(crate) fn newest_index(&self) -> Index {
        self.kept().last().map_or(0, |kept| kept.head.id.index)
    }

    /// The last entry that no kept snapshot needs any more, once there are two.
    pub(crate) fn trims(&self) -> Option<Index> {
        let kept = self.kept();
        let before = kept.len().checked_sub(KEPT)?;
        Some(kept[before].head.id.index)
    }

    /// Writes a snapshot; it is the newest once this returns. Blocks. One at a time.
    pub(crate) fn write(&self, head: Head, snapshot: Snapshot) -> Result<(), WriteError> {
        // What writes itself can panic; the lock guards nothing that could be half changed by that.
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.newest().is_some_and(|newest| head.id.index <= newest.head.id.index) {
            return Err(WriteError::Outdated);
        }
        let path = self.dir.join(format::name(head.id.index));
        let new = path.with_extension("snapshot.new");
        let written = write::write(&self.disk, &new, &head, snapshot, self.pace, &self.cancelled);
        if let Err(error) = written {
            self.forget(&new);
            return Err(error);
        }
        if let Err(error) = self.publish(&new, &path) {
            self.forget(&new);
            self.forget(&path);
            return Err(error);
        }
        self.kept().push(Arc::new(Kept { head, path }));
        Ok(())
    }

    fn publish(&self, new: &Path, path: &Path) -> Result<(), WriteError> {
        if self.cancelled.load(Ordering::SeqCst) {
            return Err(WriteError::Cancelled);
        }
        self.disk.rename(new, path).map_err(WriteError::Disk)?;
        self.disk.sync_dir(&self.dir).map_err(WriteError::Disk)
    }

    /// Takes back what could not be made durable. What stays is found, and checked, at the next opening.
    fn forget(&self, path: &Path) {
        if path.exists()
            && let Err(error) = self.disk.remove(path)
        {
            tracing::debug!(%error, "a snapshot that was not finished stays until the next opening");
        }
    }

    /// Removes all but the newest ones. Blocks.
    pub(crate) fn retire(&self) {
        let mut retired = Vec::new();
        {
            let mut kept = self.kept();
            let before = kept.len().saturating_sub(KEPT);
            retired.extend(kept.drain(..before));
        }
        let kept: Vec<_> = self.kept().iter().map(|kept| kept.path.clone()).collect();
        let Ok(found) = choose::indices(&self.dir) else { return };
        for index in found {
            let path = self.dir.join(format::name(index));
            if kept.contains(&path) {
                continue;
            }
            let read = retired.iter().any(|kept| kept.path == path && Arc::strong_count(kept) > 1);
            if let Err(error) = self.disk.discard(&path, !read) {
                tracing::warn!(%error, "an old snapshot could not be removed; it will be tried again");
            }
        }
    }

    /// Opens the newest one to be read.
    pub(crate) fn open_newest(&self) -> io::Result<Option<Content>> {
        let Some(kept) = self.newest() else { return Ok(None) };
        let path = kept.path.clone();
        Content::open(&path, Some(kept)).map(Some)
    }

    /// A file for a snapshot of another node. It has no name, so it leaves nothing behind.
    pub(crate) fn receive(&self) -> io::Result<fs::File> {
        let path = self.dir.join(format!("{}.new", format::name(0)));
        let file = self.disk.create(&path).map_err(io::Error::other)?;
        fs::remove_file(&path)?;
        Ok(file)
    }

    /// Makes the one that is being written fail soon, and all later ones.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Arc<Kept>>> {
        self.kept.lock().expect("no holder of the lock panics")
    }
}
