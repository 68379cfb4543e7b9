//! The supervisor's side: takes bytes without ever blocking and has a thread put them on the disk.
//!
//! ```text
//! kernel thread  append/end ──▶ queue (bounded) ──▶ writer thread ──▶ segments, own files
//!                poll  ◀── eventfd ◀── what was written ◀──┘
//! ```
//!
//! The thread that calls [`Writer`] spawns and kills; it must never wait for a disk. The writer
//! thread takes all that is queued at once, so the batches grow by themselves when the disk slows.

mod attempts;
mod disk;
mod drain;
mod own;
mod queue;
mod sheet;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use model::{Attempt, Outcome};
use proto::supervisor::Extent;

use super::Stream;
use super::extents::Extents;
#[cfg(test)]
pub(super) use disk::Open;
pub(super) use disk::{Disk, RealDisk};
use drain::Drain;
use queue::Queue;

/// How long a dropped [`Writer`] waits for its thread; a stalled disk must not keep the process.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// Where output goes and how much of it there may be.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of segments and own files; made if it is not there.
    pub dir: PathBuf,
    /// A segment is not written beyond this length.
    pub segment_bytes: u64,
    /// An attempt writes this much into shared segments, and these bytes stay; then it goes on in
    /// its own files.
    pub shared_bytes_max: u64,
    /// The length of one own file.
    pub own_file_bytes: u64,
    /// How many own files an attempt has; the oldest is deleted for the next.
    pub own_files: u32,
    /// What waits for the disk in memory, at most.
    pub queue_bytes_max: usize,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            dir: PathBuf::from("output"),
            segment_bytes: 64 << 20,
            shared_bytes_max: 1 << 20,
            own_file_bytes: 10 << 20,
            own_files: 10,
            queue_bytes_max: 32 << 20,
        }
    }
}

/// What the disk has taken.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// More output of an attempt lies in these stretches.
    Output {
        /// Whose it is.
        attempt: Attempt,
        /// Whole frames; frames of others may lie between them.
        extents: Vec<Extent>,
    },
    /// The attempt's end is written, and all of its output before it.
    Ended {
        /// Which ended.
        attempt: Attempt,
        /// As given to [`Writer::end`], with what is known of the output.
        outcome: Outcome,
    },
}

/// The way of output to the disk.
pub struct Writer {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    own_files: u32,
    /// What `poll` has given out, of attempts that have not ended.
    live: HashMap<Attempt, Extents>,
}

impl Writer {
    /// Starts the thread, behind the last segment in the directory. A segment is never continued:
    /// the one before may have a torn end, and its writer may still be there.
    pub fn start(config: Config) -> io::Result<Writer> {
        Writer::start_on(config, Box::new(RealDisk))
    }

    pub(super) fn start_on(config: Config, disk: Box<dyn Disk>) -> io::Result<Writer> {
        let own_files = config.own_files;
        let queue = Arc::new(Queue::new(config.queue_bytes_max)?);
        let mut drain = Drain::new(config, disk)?;
        let for_thread = Arc::clone(&queue);
        let run = move || {
            while let Some(batch) = for_thread.take() {
                let written = drain.write(&batch);
                for_thread.done(batch, written);
            }
            for_thread.finish();
        };
        let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(run)?;
        Ok(Writer { queue, thread: Some(thread), own_files, live: HashMap::new() })
    }

    /// Readable when [`Writer::poll`] has something.
    pub fn wake_fd(&self) -> BorrowedFd<'_> {
        self.queue.signal.as_fd()
    }

    /// Takes bytes that an attempt wrote; its end must not have been given yet. Never blocks: what
    /// finds the queue full is dropped, counted, and marked at its place.
    ///
    /// With [`Stream::Mark`] the bytes are words for the reader and count as no output.
    pub fn append(&mut self, attempt: Attempt, stream: Stream, time_us: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.queue.append(attempt, stream, time_us, bytes);
        }
    }

    /// Takes the end of an attempt, behind all of its output. It always finds room.
    pub fn end(&mut self, attempt: Attempt, outcome: Outcome) {
        self.queue.end(attempt, outcome, false);
    }

    /// The same, without waking the writer thread for it: it is written with what comes next, or
    /// after [`Writer::nudge`].
    pub fn end_quietly(&mut self, attempt: Attempt, outcome: Outcome) {
        self.queue.end(attempt, outcome, true);
    }

    /// Has all that is queued written.
    pub fn nudge(&self) {
        self.queue.nudge();
    }

    /// What the disk has taken since the last call.
    pub fn poll(&mut self) -> Vec<Written> {
        let written = self.queue.written();
        for one in &written {
            match one {
                Written::Output { attempt, extents } => {
                    let live = self.live.entry(*attempt).or_default();
                    extents.iter().for_each(|extent| live.push(*extent));
                    live.forget_own(live.own_newest().saturating_sub(self.own_files));
                }
                Written::Ended { attempt, .. } => {
                    self.live.remove(attempt);
                }
            }
        }
        written
    }

    /// All stretches of a live attempt that `poll` has given so far, without those deleted since.
    pub fn extents(&self, attempt: Attempt) -> Vec<Extent> {
        self.live.get(&attempt).map(|live| live.as_slice().to_vec()).unwrap_or_default()
    }
}

impl Drop for Writer {
    /// Waits until all is written, but not for ever.
    fn drop(&mut self) {
        let finished = self.queue.close(DROP_WAIT);
        if let Some(thread) = self.thread.take().filter(|_| finished) {
            // A panic of the thread has been printed where it happened.
            let _ = thread.join();
        }
    }
}
