//! The log on disk: entries in checksummed, preallocated segments, and the small state file beside them.
//!
//! ```text
//! dir/lock                       one process at a time
//! dir/state                      node id, vote, purge point        (replaced whole)
//! dir/00000000000000000000.log   a segment, named by its first index
//! dir/00000000000000018311.log   the last one is written to
//! dir/spare.segment              space for the next one, already allocated
//! ```
//!
//! Why not a library: whatever was once synced must never be cut silently.
//! Each segment carries a mark that says up to where it was synced; below the mark anything bad or missing makes
//! [`Log::open`] fail, above it the tail of an interrupted write goes.
//!
//! This module knows nothing of Raft's rules. It never answers a write before its `fdatasync`,
//! and after one failed write or sync it never tries another: what the kernel dropped then cannot be known.

mod disk;
mod error;
mod memory;
pub(crate) mod record;
mod recover;
pub(crate) mod segment;
mod state;
mod syncs;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;

use tokio::sync::{Notify, watch};

use crate::blocking::Blocking;
use crate::follow::Batch;
use crate::{Index, Member};

pub(crate) use disk::{Disk, lock};
pub use error::{DiskError, OpenError, Unusable};
use memory::Memory;
pub(crate) use memory::Positions;
pub(crate) use record::BODY_MAX;
pub(crate) use record::{Entry, EntryId, Kind};
pub(crate) use state::Vote;
pub use syncs::Syncs;
use writer::{Done, Job};

/// How a log is kept.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) dir: PathBuf,
    pub(crate) node: u64,
    /// Which of the node's directories this is, should it be a new one.
    pub(crate) life: u64,
    /// The size of a segment; a record that does not fit gets a segment of its own size.
    pub(crate) segment_bytes: u64,
    /// How much of the end of the log is kept in memory.
    pub(crate) cache_bytes: usize,
    pub(crate) disk: Disk,
    /// Is told how long each sync took that proposals wait for.
    pub(crate) syncs: Syncs,
}

/// An open log: reads from here, writes through one thread, or one task where a world is simulated.
pub(crate) struct Log {
    member: Member,
    memory: Arc<Mutex<Memory>>,
    jobs: Mutex<mpsc::Sender<Job>>,
    /// Wakes a writer that is a task.
    came: Arc<Notify>,
    failure: watch::Sender<Option<Arc<str>>>,
    /// Of the writer, where it has one.
    thread: Mutex<Option<JoinHandle<()>>>,
    disk: Disk,
    #[cfg(test)]
    faults: Arc<tests::faults::Faults>,
}

impl Log {
    /// Opens the log in the directory, creates it where the directory is empty. Blocks.
    pub(crate) fn open(options: Options) -> Result<Self, OpenError> {
        let recovered = recover::open(&options)?;
        let member = Member { node: options.node, life: recovered.files.state.life };
        let memory = Arc::new(Mutex::new(recovered.memory));
        let (jobs, queue) = mpsc::channel();
        let failure = watch::Sender::new(None);
        let disk = options.disk.clone();
        #[cfg(test)]
        let faults = options.disk.faults.clone();
        let writer = writer::Writer::new(options, recovered.files, memory.clone(), failure.clone());
        let came = Arc::new(Notify::new());
        let thread = match disk.blocking() {
            Blocking::OnThreads => std::thread::Builder::new()
                .name("journal-writer".to_owned())
                .spawn(move || writer.run(queue))
                .map(Some)
                .map_err(OpenError::Thread)?,
            Blocking::InPlace => {
                tokio::spawn(writer.run_in_place(queue, came.clone()));
                None
            }
        };
        Ok(Self {
            member,
            memory,
            jobs: Mutex::new(jobs),
            came,
            failure,
            thread: Mutex::new(thread),
            disk,
            #[cfg(test)]
            faults,
        })
    }

    /// Whose log it is.
    pub(crate) fn member(&self) -> Member {
        self.member
    }

    /// The ends of the log, the vote, and what was known to be committed when the log was opened or since.
    pub(crate) fn positions(&self) -> Positions {
        self.memory().positions()
    }

    /// Appends entries; they can be read at once, and `done` is called when they are on disk.
    ///
    /// The queue has no limit of its own: openraft has one append under way at a time.
    pub(crate) fn append(&self, entries: Vec<Entry>, done: Done) {
        #[cfg(test)]
        assert!(!self.faults.panic_append.load(std::sync::atomic::Ordering::SeqCst), "injected");
        let mut memory = self.memory();
        match memory.extend(&entries) {
            Ok(()) => self.send(Job::Append { entries, done }),
            Err(gap) => done(Err(gap)),
        }
    }

    /// Takes away `from` and everything behind it.
    pub(crate) fn truncate(&self, from: Index, done: Done) {
        let mut memory = self.memory();
        match memory.retract(from) {
            Ok(()) => self.send(Job::Truncate { from, done }),
            Err(error) => done(Err(error.to_string().into())),
        }
    }

    /// Forgets everything up to and with `upto`.
    pub(crate) fn purge(&self, upto: EntryId, done: Done) {
        self.send(Job::Purge { upto, done });
    }

    /// Removes the files of what was purged. Blocks; fails without harm, the next opening removes them too.
    pub(crate) fn sweep(&self) {
        let retired = self.memory().take_retired();
        for memory::Places { path, file, .. } in retired {
            // Whoever still reads it goes on to do so.
            let unread = Arc::try_unwrap(file).is_ok();
            if let Err(error) = self.disk.discard(&path, unread) {
                tracing::warn!(%error, "a trimmed part of the journal's log stays until the next start");
            }
        }
    }

    /// Makes the vote durable.
    pub(crate) fn save_vote(&self, vote: Vote, done: Done) {
        self.send(Job::Vote { vote, done });
    }

    /// Notes how far the log is committed; it reaches the disk inside the next record.
    pub(crate) fn note_committed(&self, committed: Index) {
        self.memory().note_committed(committed);
    }

    /// How many bytes of log there are behind this entry.
    pub(crate) fn bytes_behind(&self, after: Index) -> u64 {
        self.memory().bytes_behind(after)
    }

    /// The entries of the range that exist, as many as a batch takes, if all of them are in memory.
    pub(crate) fn recent(&self, range: Range<Index>, batch: Batch) -> Option<Vec<Entry>> {
        self.memory().recent(range, batch)
    }

    /// The entries of the range that exist, as many as a batch takes. Blocks where they are on disk.
    pub(crate) fn read(
        &self,
        range: Range<Index>,
        batch: Batch,
    ) -> Result<Vec<Entry>, segment::ReadError> {
        loop {
            let (places, newer, epoch) = match self.memory().locate(range.clone(), batch) {
                memory::Located::Memory(entries) => return Ok(entries),
                memory::Located::Disk { places, newer, epoch } => (places, newer, epoch),
            };
            let read = memory::load(&places, newer, batch);
            // A truncation meanwhile has wiped what was looked for: look again.
            if read.is_ok() || self.memory().epoch() == epoch {
                return read;
            }
        }
    }

    /// Where to do what blocks for it.
    pub(crate) fn blocking(&self) -> Blocking {
        self.disk.blocking()
    }

    /// Turns to the reason when the log has failed, for good.
    pub(crate) fn failure(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.failure.subscribe()
    }

    /// Ends the log: nothing is written any more. The first reason stays.
    pub(crate) fn fail(&self, reason: Arc<str>) {
        writer::fail(&self.failure, reason);
    }

    /// Writes what is queued, closes the files and gives up the lock. Blocks until that is done, but where the writer
    /// is a task: that does it soon.
    pub(crate) fn close(&self) {
        self.send(Job::Stop);
        let thread = self.thread.lock().expect("no holder of the lock panics").take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the journal's writer thread panicked");
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("no holder of the lock panics")
    }

    /// A job that cannot be sent is dropped, and its `done` with it, which its waiter sees.
    fn send(&self, job: Job) {
        let jobs = self.jobs.lock().expect("no holder of the lock panics");
        if jobs.send(job).is_err() {
            tracing::debug!("a write came after the journal was closed");
        }
        self.came.notify_one();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.send(Job::Stop);
    }
}
