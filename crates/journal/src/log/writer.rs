//! The one thread that writes.
//!
//! Batched by nature: whatever came while the last sync was under way is written and synced together.
//! The order within a batch: records, `fdatasync`, mark, and only then the answers.
//!
//! What if it fails: it says so once, in `failed`, and answers every later job with the same reason.
//! What if it stops: it syncs, so that the last mark is durable, and gives up the lock.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use super::Options;
use super::error::DiskError;
use super::memory::{Memory, Places};
use super::record::{Entry, EntryId};
use super::recover::Files;
use super::segment::{DATA, Phase, Segment};
use super::state::{State, Vote};
use crate::Index;

/// Is told how a job went; an error is the reason for the operator.
pub(crate) type Done = Box<dyn FnOnce(Result<(), Arc<str>>) + Send>;

/// Something to be made durable.
pub(crate) enum Job {
    Append { entries: Vec<Entry>, done: Done },
    Truncate { from: Index, done: Done },
    Purge { upto: EntryId, done: Done },
    Vote { vote: Vote, done: Done },
    Stop,
}

/// A batch is written once it has this many bytes, even if more is queued.
const BATCH_BYTES: usize = 16 << 20;

pub(crate) struct Writer {
    options: Options,
    files: Files,
    memory: Arc<Mutex<Memory>>,
    failed: watch::Sender<Option<Arc<str>>>,
    batch: Batch,
    /// Space for the next segment was not to be had; it is asked for again when it is needed.
    warned: bool,
}

/// What is to be written to the last segment next.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// Where in `bytes` each record begins.
    starts: Vec<u32>,
    /// Who waits for it.
    waiting: Vec<Done>,
}

impl Writer {
    pub(crate) fn new(
        options: Options,
        files: Files,
        memory: Arc<Mutex<Memory>>,
        failed: watch::Sender<Option<Arc<str>>>,
    ) -> Self {
        Self { options, files, memory, failed, batch: Batch::default(), warned: false }
    }

    pub(crate) fn run(mut self, jobs: Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            if !self.take_all(job, &jobs) {
                break;
            }
        }
        self.stop();
    }

    /// The same as a task, where a world is simulated. `came` is told of each job behind its sending.
    pub(crate) async fn run_in_place(mut self, jobs: Receiver<Job>, came: Arc<Notify>) {
        loop {
            came.notified().await;
            tokio::time::sleep(self.options.disk.delay()).await;
            if let Ok(job) = jobs.try_recv()
                && !self.take_all(job, &jobs)
            {
                return self.stop();
            }
        }
    }

    /// Does the job and all that are queued behind it. `false`: it is to stop.
    fn take_all(&mut self, first: Job, jobs: &Receiver<Job>) -> bool {
        let mut job = first;
        loop {
            if matches!(job, Job::Stop) {
                return false;
            }
            self.take(job);
            match jobs.try_recv() {
                Ok(next) => job = next,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        self.settle(Self::flush);
        true
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Append { entries, done } => {
                self.batch.waiting.push(done);
                self.attempt(|writer| writer.append(&entries));
                if self.batch.bytes.len() >= BATCH_BYTES {
                    self.settle(Self::flush);
                }
            }
            Job::Truncate { from, done } => self.alone(done, |writer| writer.truncate(from)),
            Job::Purge { upto, done } => self.alone(done, |writer| writer.purge(upto)),
            Job::Vote { vote, done } => self.alone(done, |writer| writer.vote(vote)),
            Job::Stop => {}
        }
    }

    /// A job that is not part of a batch: it comes after all that came before it.
    fn alone(&mut self, done: Done, work: impl FnOnce(&mut Self) -> Result<(), DiskError>) {
        self.settle(Self::flush);
        self.batch.waiting.push(done);
        self.settle(work);
    }

    /// Does the work, and tells all who wait how it went.
    fn settle(&mut self, work: impl FnOnce(&mut Self) -> Result<(), DiskError>) {
        self.attempt(work);
        let failed = self.failed.borrow().clone();
        for done in self.batch.waiting.drain(..) {
            done(failed.clone().map_or(Ok(()), Err));
        }
        self.keep_spare();
    }

    /// Does the work unless something has failed before.
    fn attempt(&mut self, work: impl FnOnce(&mut Self) -> Result<(), DiskError>) {
        if self.failed.borrow().is_some() {
            return;
        }
        if let Err(error) = work(self) {
            fail(&self.failed, error.reason().into());
        }
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), DiskError> {
        let committed = self.memory().positions().committed;
        for entry in entries {
            let last = self.last();
            let end = last.mark.end + self.batch.bytes.len() as u64;
            let elsewhere = last.mark.next + self.batch.starts.len() as u64 != entry.id.index;
            if elsewhere || end + entry.size() > last.capacity {
                self.flush()?;
                self.rotate(entry)?;
            }
            self.batch.starts.push(self.batch.bytes.len() as u32);
            entry.encode(committed, &mut self.batch.bytes);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), DiskError> {
        if self.batch.starts.is_empty() {
            return Ok(());
        }
        let disk = self.options.disk.clone();
        let Batch { bytes, starts, .. } = &mut self.batch;
        let last = self.files.segments.last_mut().expect("a log has a segment");
        let (begin, from) = (last.mark.end, last.mark.next);
        disk.write(&last.file, &last.path, bytes, begin)?;
        let begun = Instant::now();
        last.sync(&disk)?;
        self.options.syncs.took(begun.elapsed());
        let end = begin + bytes.len() as u64;
        last.set_mark(&disk, end, from + starts.len() as u64, Phase::Active)?;
        starts.iter_mut().for_each(|start| *start += begin as u32);
        self.memory.lock().expect("no holder of the lock panics").written(from, starts, end);
        bytes.clear();
        bytes.shrink_to(BATCH_BYTES);
        starts.clear();
        Ok(())
    }

    /// Begins the segment that `entry` is the first of. Everything before it is on disk.
    fn rotate(&mut self, entry: &Entry) -> Result<(), DiskError> {
        let room = DATA + entry.size();
        self.begin_segment(entry.id.index, room)?;
        let disk = self.options.disk.clone();
        let at = self.files.segments.len() - 2;
        let old = &mut self.files.segments[at];
        if old.mark.end == DATA {
            // Nothing was ever written to it: it was too small (and its name is taken over already),
            // or the log begins elsewhere, which Raft does not do without a purge.
            let old = self.files.segments.remove(at);
            self.memory().drop_segment_before_last();
            if old.first != entry.id.index {
                disk.remove(&old.path)?;
            }
            return disk.sync_dir(&self.options.dir);
        }
        let (end, next) = (old.mark.end, old.mark.next);
        old.set_mark(&disk, end, next, Phase::Sealed)?;
        old.sync(&disk)
    }

    fn begin_segment(&mut self, first: Index, room: u64) -> Result<(), DiskError> {
        let Options { disk, dir, segment_bytes, .. } = &self.options;
        let spare = self.files.spare.take().filter(|_| room <= *segment_bytes);
        let file = match spare {
            Some(file) => file,
            None => Segment::prepare(disk, dir, room.max(*segment_bytes))?,
        };
        let segment = Segment::commission(disk, dir, file, first)?;
        let Segment { path, file, .. } = &segment;
        let (path, file) = (path.clone(), file.clone());
        let places = Places { first, path, file, offsets: Vec::new(), end: DATA };
        self.memory().begin_segment(places);
        self.files.segments.push(segment);
        self.warned = false;
        Ok(())
    }

    fn truncate(&mut self, from: Index) -> Result<(), DiskError> {
        let disk = self.options.disk.clone();
        if self.last().mark.next <= from {
            return Ok(());
        }
        // The mark goes back first, so that a crash from here on finds a truncation and not damage.
        let behind = self.files.segments.partition_point(|segment| segment.first <= from);
        let keep = behind.max(1);
        let from = from.max(self.files.segments[keep - 1].first);
        let end = self.memory().offset(from).expect("an entry that was written has a place");
        let segment = &mut self.files.segments[keep - 1];
        segment.set_mark(&disk, end, from, Phase::Cut)?;
        segment.sync(&disk)?;
        while self.files.segments.len() > keep {
            let gone = self.files.segments.pop().expect("there are more than are kept");
            disk.remove(&gone.path)?;
            self.memory().drop_last_segment();
        }
        disk.sync_dir(&self.options.dir)?;
        self.memory().cut(from);
        let segment = self.files.segments.last_mut().expect("a log has a segment");
        disk.wipe(&segment.file, &segment.path, end, segment.capacity)?;
        segment.sync(&disk)?;
        segment.set_mark(&disk, end, from, Phase::Active)?;
        segment.sync(&disk)
    }

    fn purge(&mut self, upto: EntryId) -> Result<(), DiskError> {
        if self.files.state.purged.is_some_and(|purged| purged.index >= upto.index) {
            return Ok(());
        }
        // First the purge point, so that a crash from here on finds a purge and not missing segments.
        if !self.save_purged(upto)? {
            return Ok(());
        }
        self.memory().set_purged(upto);
        if self.last().mark.next <= upto.index {
            self.begin_segment(upto.index + 1, DATA)?;
        }
        let begins = |segment: &Segment| segment.first <= upto.index + 1;
        let gone = self.files.segments.iter().filter(|segment| begins(segment)).count();
        // Their files go later, where nobody waits: `Log::sweep`, or the next opening.
        for _segment in self.files.segments.drain(..gone.saturating_sub(1)) {
            self.memory.lock().expect("no holder of the lock panics").retire_first_segment();
        }
        Ok(())
    }

    /// Makes the purge point durable. `false`: the disk is too full even for that, so nothing is purged.
    ///
    /// A purge is what makes room, so on a full disk it first takes the space that is kept for the next segment.
    fn save_purged(&mut self, upto: EntryId) -> Result<bool, DiskError> {
        let Options { disk, dir, .. } = &self.options;
        let state = State { purged: Some(upto), ..self.files.state };
        let mut saved = state.save(disk, dir);
        if saved.as_ref().is_err_and(DiskError::is_full) && self.files.spare.take().is_some() {
            Segment::give_up_spare(disk, dir)?;
            saved = state.save(disk, dir);
        }
        match saved {
            Ok(()) => {
                self.files.state = state;
                Ok(true)
            }
            Err(error) if error.is_full() => {
                let reason = error.reason();
                tracing::warn!(%reason, "the journal's log is not trimmed");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn vote(&mut self, vote: Vote) -> Result<(), DiskError> {
        self.files.state.vote = Some(vote);
        self.files.state.save(&self.options.disk, &self.options.dir)?;
        self.memory().set_vote(vote);
        Ok(())
    }

    /// Keeps space for the next segment at hand; a full disk is told while there is still room for this one.
    fn keep_spare(&mut self) {
        if self.files.spare.is_some() || self.failed.borrow().is_some() || self.warned {
            return;
        }
        let Options { disk, dir, segment_bytes, .. } = &self.options;
        match Segment::prepare(disk, dir, *segment_bytes) {
            Ok(file) => self.files.spare = Some(file),
            Err(error) => {
                let reason = error.reason();
                tracing::warn!(%reason, "no space for the journal's next segment, which it will need soon");
                self.warned = true;
            }
        }
    }

    fn stop(mut self) {
        self.settle(Self::flush);
        self.attempt(|writer| writer.last().sync(&writer.options.disk));
    }

    fn last(&self) -> &Segment {
        self.files.segments.last().expect("a log has a segment")
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("no holder of the lock panics")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            fail(&self.failed, "the journal's writer has panicked".into());
        }
    }
}

/// Notes the failure; the first one stays.
pub(super) fn fail(failed: &watch::Sender<Option<Arc<str>>>, reason: Arc<str>) {
    failed.send_if_modified(|now| {
        let first = now.is_none();
        if first {
            tracing::error!(%reason, "the journal has failed");
            *now = Some(reason);
        }
        first
    });
}
