//! Lists of items, kept beside the journal by the hash of their bytes.
//!
//! A list may be large, and a journal must not be: the job names its list by its hash, and the
//! elements are given their items where their assignments leave for the worker.
//! A list is on disk before anybody hears its name, so no committed job can name one that a crash
//! took. It is verified whenever it is opened.
//!
//! A list that nobody has asked for in a week, and that no live run names, is removed when room is
//! looked for. It must never be changed, and never trusted without its hash.

mod list;
mod split;
mod upload;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use model::Items;
use tokio::sync::Semaphore;

pub(crate) use list::List;
pub use upload::Stored;
pub(crate) use upload::Upload;

/// Bytes of one list.
const LIST_BYTES_MAX: u64 = 256 << 20;
/// Bytes of all of them.
const TOTAL_BYTES_MAX: u64 = 4 << 30;
/// Uploads at one time.
const UPLOADS_MAX: usize = 4;
/// Lists that stay open; each takes as much memory as its index, 1.2 MiB at most.
const OPEN_MAX: usize = 8;
/// How long a list is kept that nobody asks for: long enough to repeat a run.
const KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Lists that one search for room looks at.
const SWEEP_MAX: usize = 1_000;

/// What is wrong with a list.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It is not here.
    #[error("it is not kept here, or no longer")]
    Missing,
    /// Its bytes are not those of its name.
    #[error("it was changed or damaged on disk")]
    Changed,
    /// It can be no list of items, for this reason.
    #[error("{0}")]
    Unfit(String),
    /// It is too large, or the disk has no room for it.
    #[error("{0}")]
    NoRoom(String),
    /// Another node, which has it, has not given it.
    #[error("another node has not given it: {0}")]
    Elsewhere(String),
    /// The disk refused.
    #[error("cannot {what} it: {error}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why not.
        error: io::Error,
    },
}

impl Fault {
    pub(crate) fn io(what: &'static str, error: io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Fault::NoRoom("the disk of the data directory is full: free some space".to_owned())
            }
            _ => Fault::Io { what, error },
        }
    }
}

/// The lists of a node.
pub(crate) struct Blobs {
    dir: PathBuf,
    uploads: Arc<Semaphore>,
    /// Those used last come last.
    open: Mutex<Vec<(Items, Arc<List>)>>,
    list_bytes_max: u64,
    total_bytes_max: u64,
}

impl Blobs {
    /// Opens the directory, and removes what was left of uploads that were cut off.
    pub(crate) fn open(dir: &Path) -> io::Result<Blobs> {
        fs::create_dir_all(dir)?;
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "new") {
                fs::remove_file(path)?;
            }
        }
        Ok(Blobs {
            dir: dir.to_owned(),
            uploads: Arc::new(Semaphore::new(UPLOADS_MAX)),
            open: Mutex::default(),
            list_bytes_max: LIST_BYTES_MAX,
            total_bytes_max: TOTAL_BYTES_MAX,
        })
    }

    /// How many items a list has; from now on it is kept for another while. Reads all of it where
    /// it is not open: call it where waiting is allowed.
    pub(crate) fn count(&self, items: Items) -> Result<u32, Fault> {
        let list = self.list(items)?;
        // Where that fails it is kept as long as it would have been.
        let _ = File::open(self.path(&items.blob))
            .and_then(|file| file.set_modified(SystemTime::now()));
        Ok(list.count())
    }

    /// Whether there is such a file. Whoever opens it sees what is in it.
    pub(crate) fn is_here(&self, items: Items) -> bool {
        self.path(&items.blob).exists()
    }

    /// The bytes of a list, which was found whole just now.
    pub(crate) fn verified(&self, items: Items) -> Result<Box<dyn io::Read>, Fault> {
        let open = || {
            File::open(self.path(&items.blob)).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Fault::Missing,
                _ => Fault::io("open", error),
            })
        };
        match List::open(open()?, items.kind)?.hash() {
            hash if *hash == items.blob => Ok(Box::new(open()?)),
            _ => Err(Fault::Changed),
        }
    }

    /// Removes lists that are old and that `live` does not name.
    pub(crate) fn sweep(
        &self,
        now: SystemTime,
        live: &dyn Fn(&[u8; 32]) -> bool,
    ) -> io::Result<()> {
        for (path, meta) in self.files()?.into_iter().take(SWEEP_MAX) {
            let age = meta.modified().ok().and_then(|then| now.duration_since(then).ok());
            let Some(blob) = name(&path).filter(|_| age.is_some_and(|age| age > KEPT)) else {
                continue;
            };
            if !live(&blob) {
                fs::remove_file(&path)?;
                self.lock().retain(|(items, _)| items.blob != blob);
            }
        }
        Ok(())
    }

    /// Whether anything is old enough to be removed: only then it is worth looking who is live.
    pub(crate) fn has_old(&self, now: SystemTime) -> io::Result<bool> {
        let old = |meta: &fs::Metadata| {
            let age = meta.modified().ok().and_then(|then| now.duration_since(then).ok());
            age.is_some_and(|age| age > KEPT)
        };
        Ok(self.files()?.iter().any(|(_, meta)| old(meta)))
    }

    /// A list, which is read once in full unless it is open.
    pub(crate) fn list(&self, items: Items) -> Result<Arc<List>, Fault> {
        if let Some(list) = self.opened(items) {
            return Ok(list);
        }
        let file = File::open(self.path(&items.blob)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Fault::Missing,
            _ => Fault::io("open", error),
        })?;
        let list = match List::open(file, items.kind) {
            Ok(list) if *list.hash() == items.blob => Arc::new(list),
            // What is no list any more, or another kind of list.
            Ok(_) => return Err(Fault::Changed),
            Err(fault) => return Err(fault),
        };
        self.keep_open(items, list.clone());
        Ok(list)
    }

    fn opened(&self, items: Items) -> Option<Arc<List>> {
        let mut open = self.lock();
        let at = open.iter().position(|(other, _)| *other == items)?;
        let entry = open.remove(at);
        let list = entry.1.clone();
        open.push(entry);
        Some(list)
    }

    fn keep_open(&self, items: Items, list: Arc<List>) {
        let mut open = self.lock();
        open.retain(|(other, _)| *other != items);
        if open.len() >= OPEN_MAX {
            open.remove(0);
        }
        open.push((items, list));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Items, Arc<List>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, blob: &[u8; 32]) -> PathBuf {
        self.dir.join(hex(blob))
    }

    fn files(&self) -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            match entry.metadata() {
                Ok(meta) => files.push((entry.path(), meta)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }
}

/// A hash as people write it.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The hash that a file's name says.
fn name(path: &Path) -> Option<[u8; 32]> {
    let name = path.file_name()?.to_str()?.as_bytes();
    let mut blob = [0; 32];
    if name.len() != 64 || !name.is_ascii() {
        return None;
    }
    for (byte, pair) in blob.iter_mut().zip(name.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(blob)
}

#[cfg(test)]
mod tests;
