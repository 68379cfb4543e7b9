//! Who changed what: a log of its own beside the parts, for it is kept by other rules.
//!
//! Changes are added with the facts of their journal entry and written before these, so the mark of
//! history never passes one that is not on disk. An entry that is replayed is known by its index
//! and not written twice. The log is a row of files of blocks; the oldest file goes when all of them
//! are too large or it is too old.
//!
//! It must never leave out a change that its filter wants without saying that something is damaged.

mod block;
mod later;
#[cfg(test)]
mod tests;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use block::Change;
use block::Entry;
pub use later::Later;

/// Bytes of one file, about.
const FILE_BYTES: u64 = 8 << 20;
/// Bytes of all files.
const BYTES_MAX: u64 = 512 << 20;
/// Entries of one block.
const ENTRIES_MAX: usize = 2048;
/// Files that are looked through for one page.
const FILES_A_PAGE: usize = 4;
/// How long a change is kept where there is room: 400 days, in milliseconds.
const KEPT_MS: u64 = 400 * 86_400_000;

/// Which changes are wanted; what is left out matches every one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Done at this time or later, Unix milliseconds.
    pub since_ms: u64,
    /// By this actor.
    pub actor: Option<String>,
    /// Of this kind.
    pub action: Option<String>,
}

/// Where a change stands: the index of its journal entry, and its place in it.
pub type Position = (u64, u32);

/// Changes, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Each with its place. There may be fewer than were asked for, and more pages all the same.
    pub changes: Vec<(Position, Change)>,
    /// The next page has those before this place; `None` where there is none.
    pub next: Option<Position>,
    /// Stretches of the files that are damaged and may have held some.
    pub damaged: u64,
}

/// The log.
pub(crate) struct Audit {
    dir: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The first index of each file, in order.
    files: Vec<u64>,
    /// The end of what is whole of the last.
    length: u64,
    /// The highest index that was ever added.
    last: u64,
    /// The highest index of a change that is in a file.
    written: u64,
    waiting: Vec<Entry>,
    waiting_bytes: usize,
}

impl Audit {
    pub(crate) fn open(dir: PathBuf) -> io::Result<Audit> {
        let mut files = Vec::new();
        match fs::read_dir(&dir) {
            Ok(entries) => {
                for entry in entries {
                    files.extend(entry?.file_name().to_str().and_then(first_of));
                }
            }
            // It is made with the first file.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        files.sort_unstable();
        let mut inner = Inner { files, ..Inner::default() };
        for (nth, first) in inner.files.iter().rev().enumerate() {
            let bytes = fs::read(path(&dir, *first))?;
            let found = block::blocks(&bytes);
            if nth == 0 {
                inner.length = found.last().map_or(0, |block| block.end as u64);
                if inner.length < bytes.len() as u64 {
                    tracing::warn!(
                        dir = %dir.display(),
                        "the end of the audit is not whole; what the journal still has of it is written again"
                    );
                }
            }
            if let Some(last) = found.last() {
                inner.last = last.last.0;
                inner.written = inner.last;
                break;
            }
        }
        Ok(Audit { dir, inner: Mutex::new(inner) })
    }

    /// Adds the changes of one journal entry, if it is not here already.
    pub(crate) fn add(&self, index: u64, changes: Vec<Change>) {
        let mut inner = self.lock();
        if index <= inner.last {
            return;
        }
        inner.last = index;
        for (change, nth) in changes.into_iter().zip(0..) {
            inner.waiting_bytes += change.weight();
            inner.waiting.push(Entry { at: (index, nth), change });
        }
    }

    /// The files there are, with their names.
    pub(crate) fn paths(&self) -> Vec<(String, PathBuf)> {
        let files = self.lock().files.clone();
        let named = |first: &u64| (format!("{first:020}.audit"), path(&self.dir, *first));
        files.iter().map(named).collect()
    }

    /// From here on this is the log: its files are where the others were.
    pub(crate) fn replace(&self, other: Audit) {
        *self.lock() = other.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
    }

    /// Bytes of memory that wait to be written, about.
    pub(crate) fn pending(&self) -> usize {
        self.lock().waiting_bytes
    }

    /// Writes durably what waits. An error loses nothing.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.waiting.is_empty() {
            return Ok(());
        }
        let first = inner.waiting[0].at.0;
        let is_new = inner.files.is_empty() || inner.length >= FILE_BYTES;
        let name = if is_new { first } else { inner.files[inner.files.len() - 1] };
        let start = if is_new { 0 } else { inner.length };
        if is_new && inner.files.is_empty() {
            fs::create_dir_all(&self.dir)?;
            File::open(self.dir.parent().unwrap_or(&self.dir))?.sync_all()?;
        }
        let path = path(&self.dir, name);
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
        // Behind what is whole there may be the rest of a write that failed.
        file.set_len(start)?;
        let mut length = start;
        for entries in inner.waiting.chunks(ENTRIES_MAX) {
            let bytes = block::encode(entries);
            file.write_all_at(&bytes, length)?;
            length += bytes.len() as u64;
        }
        file.sync_data()?;
        if is_new {
            File::open(&self.dir)?.sync_all()?;
            if inner.files.last() != Some(&name) {
                inner.files.push(name);
            }
        }
        inner.length = length;
        inner.written = inner.waiting.last().map_or(inner.written, |entry| entry.at.0);
        let now_ms = inner.waiting.last().map_or(0, |entry| entry.change.time_ms);
        inner.waiting.clear();
        inner.waiting_bytes = 0;
        if is_new {
            self.let_go(&mut inner, now_ms);
        }
        Ok(())
    }

    /// Removes the oldest files, as far as they are too many or too old.
    fn let_go(&self, inner: &mut Inner, now_ms: u64) {
        while inner.files.len() > 1 {
            let too_many = inner.files.len() as u64 * FILE_BYTES > BYTES_MAX;
            let oldest = path(&self.dir, inner.files[0]);
            let is_old = || {
                let bytes = fs::read(&oldest).unwrap_or_default();
                let last = block::blocks(&bytes).last().map_or(0, |block| block.last_ms);
                last.saturating_add(KEPT_MS) < now_ms
            };
            if !too_many && !is_old() {
                return;
            }
            // One that cannot be removed is tried again with the next file.
            if let Err(error) = fs::remove_file(&oldest) {
                return tracing::warn!(%error, path = %oldest.display(), "cannot remove old audit");
            }
            inner.files.remove(0);
        }
    }

    /// At most `limit` changes before `before`, the latest first.
    pub(crate) fn changes(
        &self,
        filter: &ChangeFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Changes {
        let before = before.unwrap_or((u64::MAX, u32::MAX));
        let mut page = Changes::default();
        let files = {
            let inner = self.lock();
            for entry in inner.waiting.iter().rev().filter(|entry| entry.at < before) {
                if !page.take(entry.clone(), filter, limit) {
                    return page;
                }
            }
            inner.files.clone()
        };
        let mut looked_to = None;
        for (nth, first) in files.iter().rev().filter(|first| **first <= before.0).enumerate() {
            if nth == FILES_A_PAGE {
                page.next = looked_to;
                return page;
            }
            let bytes = fs::read(path(&self.dir, *first)).unwrap_or_default();
            if !page.read(&bytes, filter, before, limit) {
                return page;
            }
            looked_to = Some((*first, 0));
        }
        page
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChangeFilter {
    /// Whether a change is by the actor and of the kind that are wanted.
    fn wants(&self, change: &Change) -> bool {
        let is =
            |wanted: &Option<String>, has: &String| wanted.as_ref().is_none_or(|one| one == has);
        is(&self.actor, &change.actor) && is(&self.action, &change.action)
    }
}

impl Changes {
    /// Takes what is wanted of a file, the latest first; `false`: the page is full.
    fn read(
        &mut self,
        bytes: &[u8],
        filter: &ChangeFilter,
        before: Position,
        limit: usize,
    ) -> bool {
        let blocks = block::blocks(bytes);
        let whole: usize = blocks.iter().map(|block| block.end - block.start).sum();
        self.damaged += u64::from(whole < bytes.len());
        for block in blocks.iter().rev().filter(|block| block.first < before) {
            if block.last_ms < filter.since_ms {
                return false;
            }
            let Some(entries) = block.entries(bytes) else {
                self.damaged += 1;
                continue;
            };
            for entry in entries.into_iter().rev().filter(|entry| entry.at < before) {
                if !self.take(entry, filter, limit) {
                    return false;
                }
            }
        }
        true
    }

    fn take(&mut self, entry: Entry, filter: &ChangeFilter, limit: usize) -> bool {
        let Entry { at, change } = entry;
        if change.time_ms < filter.since_ms {
            return false;
        }
        if filter.wants(&change) {
            if self.changes.len() >= limit {
                self.next = self.changes.last().map(|(at, _)| *at);
                return false;
            }
            self.changes.push((at, change));
        }
        true
    }
}

fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}.audit"))
}

/// Whether a file of this name can be one of the log.
pub(crate) fn is_name(name: &str) -> bool {
    first_of(name).is_some_and(|first| name == format!("{first:020}.audit"))
}

fn first_of(name: &str) -> Option<u64> {
    name.strip_suffix(".audit")?.parse().ok()
}
