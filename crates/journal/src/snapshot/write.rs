//! Writing a snapshot file without being in the way of the log's own syncs.
//!
//! The file shares its disk, and on most file systems its transactions, with the log. What is handed to the disk at
//! once is what a commit may have to wait for. So little is written between two syncs, and the writer then
//! pauses several times as long as the sync took: the log has the disk for most of the time.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Snapshot;
use super::format::{self, CHUNK_HEAD, CHUNK_MAX, Head};
use crate::log::{Disk, DiskError};

/// How many times as long as a sync the pause behind it is.
///
/// On a disk that was busy with other work too, with 200 MiB to write: with 8 MiB between syncs and one such pause
/// the median commit often took 4 to 7 ms, with 1 MiB and three of them 0.15 to 1.8 ms. It takes 0.6 to 2.8 s
/// instead of 0.4.
const PAUSE_FACTOR: u32 = 3;
/// The longest pause after a sync: a disk that hangs is not waited for twice.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How a snapshot is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Bytes in a chunk.
    pub(crate) chunk: usize,
    /// Bytes between two syncs.
    pub(crate) sync: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { chunk: CHUNK_MAX, sync: 1 << 20 }
    }
}

/// Why a snapshot was not written. The log is not concerned.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("{_0}: {}", source_of(_0))]
    Disk(DiskError),
    #[error("what was to be written could not be made: {0}")]
    Content(io::Error),
    #[error("the journal ends")]
    Cancelled,
    #[error("there is a newer snapshot")]
    Outdated,
}

/// Writes the snapshot to the new file, and returns once it is on disk.
pub(crate) fn write(
    disk: &Disk,
    path: &Path,
    head: &Head,
    snapshot: Snapshot,
    pace: Pace,
    cancel: &AtomicBool,
) -> Result<(), WriteError> {
    let file = disk.create(path).map_err(WriteError::Disk)?;
    let (header, seed) = head.encode();
    let mut sink = Sink {
        disk,
        file,
        path,
        pace,
        cancel,
        seed,
        chunk: vec![0; CHUNK_HEAD],
        chunks: 0,
        bytes: 0,
        end: 0,
        unsynced: 0,
        failed: None,
    };
    sink.put(&header)?;
    let made = snapshot(&mut sink);
    // What the disk said comes first: the content's own error may be only an echo of it.
    if let Some(error) = sink.failed.take() {
        return Err(error);
    }
    made.map_err(WriteError::Content)?;
    sink.finish()
}

/// Takes the content, and makes chunks of it.
struct Sink<'a> {
    disk: &'a Disk,
    file: File,
    path: &'a Path,
    pace: Pace,
    cancel: &'a AtomicBool,
    seed: u32,
    /// Begins with the space for what is in front of a chunk.
    chunk: Vec<u8>,
    chunks: u64,
    bytes: u64,
    /// The byte behind what is written.
    end: u64,
    unsynced: usize,
    failed: Option<WriteError>,
}

impl Sink<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        if self.cancel.load(Ordering::SeqCst) {
            return Err(WriteError::Cancelled);
        }
        self.disk.write(&self.file, self.path, bytes, self.end).map_err(WriteError::Disk)?;
        self.end += bytes.len() as u64;
        self.unsynced += bytes.len();
        if self.unsynced < self.pace.sync {
            return Ok(());
        }
        let start = Instant::now();
        self.sync()?;
        std::thread::sleep((start.elapsed() * PAUSE_FACTOR).min(PAUSE_MAX));
        Ok(())
    }

    fn sync(&mut self) -> Result<(), WriteError> {
        self.unsynced = 0;
        self.disk.sync(&self.file, self.path).map_err(WriteError::Disk)
    }

    fn put_chunk(&mut self) -> Result<(), WriteError> {
        let mut chunk = std::mem::take(&mut self.chunk);
        self.bytes += (chunk.len() - CHUNK_HEAD) as u64;
        format::seal_chunk(&mut chunk, self.chunks, self.seed);
        self.chunks += 1;
        self.put(&chunk)?;
        chunk.truncate(CHUNK_HEAD);
        self.chunk = chunk;
        Ok(())
    }

    fn finish(mut self) -> Result<(), WriteError> {
        if self.chunk.len() > CHUNK_HEAD {
            self.put_chunk()?;
        }
        let footer = format::footer(self.chunks, self.bytes, self.seed);
        self.put(&footer)?;
        self.sync()
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.failed.is_none() && self.chunk.len() == CHUNK_HEAD + self.pace.chunk {
            self.failed = self.put_chunk().err();
        }
        if let Some(error) = &self.failed {
            return Err(io::Error::other(error.to_string()));
        }
        let room = CHUNK_HEAD + self.pace.chunk - self.chunk.len();
        let len = bytes.len().min(room);
        self.chunk.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    /// The file is synced when all of it is written; there is nothing to do in between.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl WriteError {
    /// In one sentence, with what to do about it.
    pub(crate) fn reason(&self, dir: &Path) -> String {
        match self {
            Self::Disk(error) if error.is_full() => {
                let dir = dir.display();
                format!("the disk is full: {self}; free space on the file system of `{dir}`")
            }
            Self::Disk(_) => format!("{self}; check the disk and the kernel log"),
            Self::Content(_) | Self::Cancelled | Self::Outdated => self.to_string(),
        }
    }
}

fn source_of(error: &DiskError) -> String {
    std::error::Error::source(error).map_or_else(String::new, ToString::to_string)
}
