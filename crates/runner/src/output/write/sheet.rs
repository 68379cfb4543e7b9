//! Frames on their way into one file: gathered in memory, written at once, all or a known part.
//!
//! A failed write must not leave half a frame that a later one is written behind, nor a whole one
//! of which the writer believes that it is not there: what is not accounted for is cut off.

use std::fs::File;
use std::io;
use std::path::Path;

use model::{Attempt, Outcome};

use super::attempts::Lost;
use super::disk::{Disk, Open};
use crate::output::frame::{FILE_HEADER, FileId, Header};
use crate::output::mark::Reason;

/// What a frame in the buffer means once it is written.
pub(super) enum What {
    /// So many bytes of output.
    Output { bytes: u64, time_us: u64, position: u64 },
    /// The mark for a loss.
    Mark(Lost),
    /// Words that count as nothing.
    Words,
    /// The end of the attempt.
    End(Box<Outcome>),
}

/// A frame in the buffer.
pub(super) struct Entry {
    pub(super) attempt: Attempt,
    /// Its offset in the file.
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) what: What,
}

/// What became of a buffer.
#[derive(Default)]
pub(super) struct Flushed {
    pub(super) whole: Vec<Entry>,
    pub(super) failed: Vec<Entry>,
    /// Why some failed.
    pub(super) refused: Option<Reason>,
    /// The file must not be written any more.
    pub(super) spoilt: bool,
}

/// One open file and the frames that are not in it yet.
pub(super) struct Sheet {
    pub(super) id: FileId,
    file: File,
    /// Length of the file without the buffer.
    length: u64,
    buffer: Vec<u8>,
    entries: Vec<Entry>,
}

impl Sheet {
    /// Makes a file. Its header is written with the first frames.
    pub(super) fn create(
        disk: &dyn Disk,
        dir: &Path,
        id: FileId,
        how: Open,
        mut buffer: Vec<u8>,
    ) -> io::Result<Sheet> {
        let file = disk.open(&id.path(dir), how)?;
        buffer.clear();
        buffer.extend_from_slice(&FILE_HEADER);
        Ok(Sheet { id, file, length: 0, buffer, entries: Vec::new() })
    }

    /// Goes on behind the first `length` bytes of a file.
    pub(super) fn reopen(
        disk: &dyn Disk,
        dir: &Path,
        id: FileId,
        length: u64,
        mut buffer: Vec<u8>,
    ) -> io::Result<Sheet> {
        let file = disk.open(&id.path(dir), Open::Again)?;
        buffer.clear();
        Ok(Sheet { id, file, length, buffer, entries: Vec::new() })
    }

    /// Length of the file and of what is to be written.
    pub(super) fn length(&self) -> u64 {
        self.length + self.buffer.len() as u64
    }

    /// How much is to be written.
    pub(super) fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// Whether a frame with this payload keeps the file within `bytes_max`; the first always may.
    pub(super) fn has_room(&self, frame_bytes: u64, bytes_max: u64) -> bool {
        let length = self.length();
        length <= FILE_HEADER.len() as u64 || length + frame_bytes <= bytes_max
    }

    /// Adds a frame; its offset.
    pub(super) fn push(&mut self, header: &Header, payload: &[u8], what: What) -> u64 {
        let offset = self.length();
        self.buffer.extend_from_slice(&header.encode(self.id, offset));
        self.buffer.extend_from_slice(payload);
        let (attempt, length) = (header.attempt, header.frame_length());
        self.entries.push(Entry { attempt, offset, length, what });
        offset
    }

    /// Writes the buffer.
    pub(super) fn flush(&mut self, disk: &dyn Disk) -> Flushed {
        let entries = std::mem::take(&mut self.entries);
        let (done, result) = self.write(disk);
        let end = self.length + done as u64;
        let Err(error) = result else {
            self.length = end;
            self.buffer.clear();
            return Flushed { whole: entries, ..Flushed::default() };
        };
        let split = entries.partition_point(|entry| entry.offset + entry.length <= end);
        let mut whole = entries;
        let failed = whole.split_off(split);
        // Without one whole frame the file stays as it was; a new one then lacks even its header.
        let keep = whole.last().map_or(self.length, |last| last.offset + last.length);
        let cut = disk.truncate(&self.file, keep);
        self.length = keep;
        self.buffer.clear();
        let refused = Some(reason(&error));
        let spoilt = keep == 0 || cut.is_err() || refused != Some(Reason::Full);
        Flushed { whole, failed, refused, spoilt }
    }

    fn write(&self, disk: &dyn Disk) -> (usize, io::Result<()>) {
        let mut done = 0;
        while done < self.buffer.len() {
            match disk.write_at(&self.file, &self.buffer[done..], self.length + done as u64) {
                Ok(0) => return (done, Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => done += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (done, Err(error)),
            }
        }
        (done, Ok(()))
    }

    /// Gives the file up and keeps the buffer's memory.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

/// What an error of the disk means for those whose bytes it did not take.
pub(super) fn reason(error: &io::Error) -> Reason {
    match error.kind() {
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::FileTooLarge
        | io::ErrorKind::WriteZero => Reason::Full,
        _ => Reason::Failed(error.raw_os_error().unwrap_or(libc::EIO)),
    }
}
