//! What the writer remembers of a live attempt: how much it wrote, where it lies, what is lost.
//!
//! Every byte of an attempt is at any time exactly one of: kept, or dropped. The numbers here are
//! those the outcome reports, so they change as frames are planned and are taken back when the
//! disk refuses.

use std::collections::VecDeque;

use model::Outcome;

use super::sheet::{Entry, What};
use crate::output::extents::Extents;
use crate::output::frame::FileId;
use crate::output::mark::Reason;

/// Bytes that were dropped at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// What the attempt had written before them.
    pub(super) position: u64,
    pub(super) time_us: u64,
    pub(super) bytes: u64,
    pub(super) reason: Reason,
}

/// A file of the attempt alone.
#[derive(Debug)]
pub(super) struct OwnFile {
    pub(super) number: u32,
    /// Bytes of output in it.
    pub(super) bytes: u64,
}

/// The attempt's own files, oldest first.
#[derive(Debug, Default)]
pub(super) struct OwnFiles {
    pub(super) files: VecDeque<OwnFile>,
    /// How long the newest is; `None` if it must not be continued.
    pub(super) length: Option<u64>,
}

/// A live attempt that wrote something.
#[derive(Debug, Default)]
pub(super) struct Live {
    /// How many bytes it wrote, kept or not.
    pub(super) position: u64,
    /// How many of them were dropped.
    pub(super) dropped: u64,
    /// How many of them lie in shared segments.
    pub(super) shared_bytes: u64,
    /// Dropped since the last frame; the next one is a mark that says so.
    pub(super) lost: Option<Lost>,
    /// All of its frames, planned or written.
    pub(super) extents: Extents,
    /// Written and not told yet.
    pub(super) fresh: Extents,
    /// Once it wrote more than its share.
    pub(super) own: Option<OwnFiles>,
}

impl Live {
    /// Counts bytes that are not kept, at the attempt's position.
    pub(super) fn lose(&mut self, time_us: u64, bytes: u64, reason: Reason) {
        let lost = Lost { position: self.position, time_us, bytes, reason };
        self.position += bytes;
        self.dropped += bytes;
        self.miss(lost);
    }

    /// Takes back a frame that was planned and then not written.
    pub(super) fn unwrite(&mut self, file: FileId, entry: Entry, reason: Reason) {
        self.extents.cut(file.extent(entry.offset, 0));
        match entry.what {
            What::Output { bytes, time_us, position } => {
                match file {
                    FileId::Segment(_) => self.shared_bytes -= bytes,
                    FileId::Own(_, number) => self.own_file(number, |file| file.bytes -= bytes),
                }
                self.dropped += bytes;
                self.miss(Lost { position, time_us, bytes, reason });
            }
            What::Mark(lost) => self.miss(lost),
            What::Words | What::End(_) => {}
        }
    }

    /// Changes the account of an own file.
    pub(super) fn own_file(&mut self, number: u32, change: impl FnOnce(&mut OwnFile)) {
        let mut files = self.own.iter_mut().flat_map(|own| own.files.iter_mut());
        if let Some(file) = files.find(|file| file.number == number) {
            change(file);
        }
    }

    /// Puts the account of the output into an outcome.
    pub(super) fn report(&self, outcome: &mut Outcome) {
        outcome.output_bytes = self.position;
        outcome.output_dropped_bytes = self.dropped;
    }

    /// Joins a loss to the one that waits for its mark. Frames are written in order, so whatever
    /// is lost since the last written frame lies side by side.
    pub(super) fn miss(&mut self, lost: Lost) {
        self.lost = Some(match self.lost {
            None => lost,
            Some(before) => Lost {
                position: before.position.min(lost.position),
                time_us: before.time_us.min(lost.time_us),
                bytes: before.bytes + lost.bytes,
                reason: before.reason,
            },
        });
    }
}
