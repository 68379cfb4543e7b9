//! What is known of the log in memory: where each entry is on disk, and the newest entries themselves.
//!
//! Entries are kept at least until they are on disk, and beyond that as long as they fit the bound,
//! so that whoever follows closely is never sent to the disk.

use std::collections::VecDeque;
use std::fs::File;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use super::record::{Entry, EntryId};
use super::segment::{self, ReadError};
use super::state::Vote;
use crate::Index as At;
use crate::follow::Batch;

/// The log's ends and what belongs to all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Positions {
    pub(crate) purged: Option<EntryId>,
    /// The last entry, or the purge point of an empty log.
    pub(crate) last: Option<EntryId>,
    pub(crate) vote: Option<Vote>,
    /// A part of the log that is known to be committed.
    pub(crate) committed: Option<At>,
    /// The newest membership within that part.
    pub(crate) membership: Option<At>,
}

/// Where the entries of one segment are.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) first: At,
    pub(crate) path: Arc<Path>,
    pub(crate) file: Arc<File>,
    pub(crate) offsets: Vec<u32>,
}

/// Where one entry is.
#[derive(Debug)]
pub(crate) struct Place {
    index: At,
    path: Arc<Path>,
    file: Arc<File>,
    offset: u32,
}

pub(crate) enum Located {
    Memory(Vec<Entry>),
    Disk { places: Vec<Place>, epoch: u64 },
}

#[derive(Debug)]
pub(crate) struct Index {
    positions: Positions,
    segments: VecDeque<Places>,
    /// The newest entries, without gaps up to the last.
    recent: VecDeque<Entry>,
    recent_bytes: usize,
    recent_bytes_max: usize,
    /// Rises with each truncation.
    epoch: u64,
}

impl Index {
    pub(crate) fn new(
        positions: Positions,
        segments: VecDeque<Places>,
        recent_bytes_max: usize,
    ) -> Self {
        Self {
            positions,
            segments,
            recent: VecDeque::new(),
            recent_bytes: 0,
            recent_bytes_max,
            epoch: 0,
        }
    }

    pub(crate) fn positions(&self) -> Positions {
        self.positions.clone()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn note_committed(&mut self, committed: At) {
        self.positions.committed = self.positions.committed.max(Some(committed));
    }

    pub(crate) fn set_vote(&mut self, vote: Vote) {
        self.positions.vote = Some(vote);
    }

    /// Takes new entries in; refuses what would leave a gap.
    pub(crate) fn extend(&mut self, entries: &[Entry]) -> Result<(), Arc<str>> {
        for entry in entries {
            let next = self.positions.last.map(|last| last.index + 1);
            if next.is_some_and(|next| next != entry.id.index) {
                let found = entry.id.index;
                return Err(format!("entry {found} would leave a gap in the journal").into());
            }
            self.positions.last = Some(entry.id);
            self.recent_bytes += entry.size() as usize;
            self.recent.push_back(entry.clone());
        }
        Ok(())
    }

    /// Notes that entries are on disk, the first of them `from`; from here on they may leave the memory.
    pub(crate) fn written(&mut self, from: At, offsets: &[u32]) {
        let segment = self.segments.back_mut().expect("what is written is in a segment");
        assert_eq!(
            segment.first + segment.offsets.len() as u64,
            from,
            "entries are written in order"
        );
        segment.offsets.extend_from_slice(offsets);
        let on_disk = from + offsets.len() as u64;
        while self.recent_bytes > self.recent_bytes_max
            && let Some(oldest) = self.recent.front()
            && oldest.id.index < on_disk
        {
            self.recent_bytes -= oldest.size() as usize;
            self.recent.pop_front();
        }
    }

    pub(crate) fn begin_segment(&mut self, places: Places) {
        self.segments.push_back(places);
    }

    pub(crate) fn drop_last_segment(&mut self) {
        self.segments.pop_back();
    }

    /// Forgets the entries from `from` on, in memory. What is on disk follows with `cut`.
    pub(crate) fn retract(&mut self, from: At) -> Result<(), ReadError> {
        if self.positions.last.is_none_or(|last| last.index < from) {
            return Ok(());
        }
        let last = self.last_before(from)?;
        self.positions.last = last;
        self.epoch += 1;
        while let Some(newest) = self.recent.back()
            && newest.id.index >= from
        {
            self.recent_bytes -= newest.size() as usize;
            self.recent.pop_back();
        }
        Ok(())
    }

    /// Forgets where the entries from `from` on were.
    pub(crate) fn cut(&mut self, from: At) {
        if let Some(segment) = self.segments.back_mut() {
            segment.offsets.truncate(from.saturating_sub(segment.first) as usize);
        }
    }

    /// Forgets what is purged; the writer drops the segments.
    pub(crate) fn set_purged(&mut self, purged: EntryId) {
        self.positions.purged = Some(purged);
        while let Some(oldest) = self.recent.front()
            && oldest.id.index <= purged.index
        {
            self.recent_bytes -= oldest.size() as usize;
            self.recent.pop_front();
        }
        if self.positions.last.is_none_or(|last| last.index < purged.index) {
            self.positions.last = Some(purged);
        }
    }

    pub(crate) fn drop_first_segment(&mut self) {
        self.segments.pop_front();
    }

    pub(crate) fn drop_segment_before_last(&mut self) {
        self.segments.remove(self.segments.len().saturating_sub(2));
    }

    /// The byte at which an entry that is on disk begins in its segment.
    pub(crate) fn offset(&self, at: At) -> Option<u64> {
        self.place(at).map(|place| place.offset.into())
    }

    pub(crate) fn recent(&self, range: Range<At>, batch: Batch) -> Option<Vec<Entry>> {
        let range = self.clamp(range);
        if range.is_empty() {
            return Some(Vec::new());
        }
        let oldest = self.recent.front()?.id.index;
        let skip = range.start.checked_sub(oldest)? as usize;
        let len = (range.end - range.start) as usize;
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let first = bytes == 0;
            bytes += entry.size() as usize;
            first || bytes <= batch.bytes
        };
        let entries = self.recent.range(skip..).take(len.min(batch.entries)).take_while(fits);
        Some(entries.cloned().collect())
    }

    pub(crate) fn locate(&self, range: Range<At>, batch: Batch) -> Located {
        if let Some(entries) = self.recent(range.clone(), batch) {
            return Located::Memory(entries);
        }
        let mut range = self.clamp(range);
        // What is in memory too may have other, outdated places after a truncation.
        let oldest = self.recent.front().map_or(At::MAX, |oldest| oldest.id.index);
        range.end = range.end.min(oldest);
        let places = range.take(batch.entries).map_while(|at| self.place(at)).collect();
        Located::Disk { places, epoch: self.epoch }
    }

    fn place(&self, index: At) -> Option<Place> {
        let behind = self.segments.partition_point(|segment| segment.first <= index);
        let segment = self.segments.get(behind.checked_sub(1)?)?;
        let offset = *segment.offsets.get((index - segment.first) as usize)?;
        Some(Place { index, path: segment.path.clone(), file: segment.file.clone(), offset })
    }

    fn clamp(&self, range: Range<At>) -> Range<At> {
        let begin = self.segments.front().map_or(0, |segment| segment.first);
        let begin = self.positions.purged.map_or(begin, |purged| purged.index + 1);
        let end = self.positions.last.map_or(0, |last| last.index + 1);
        range.start.max(begin)..range.end.min(end)
    }

    /// The id in front of `from`; truncation is rare enough to read it from the disk.
    fn last_before(&self, from: At) -> Result<Option<EntryId>, ReadError> {
        let Some(before) = from.checked_sub(1) else { return Ok(None) };
        if self.positions.purged.is_some_and(|purged| purged.index >= before) {
            return Ok(self.positions.purged);
        }
        let oldest = self.recent.front().map_or(At::MAX, |oldest| oldest.id.index);
        if before >= oldest {
            return Ok(self.recent.get((before - oldest) as usize).map(|entry| entry.id));
        }
        self.place(before).map(|place| Ok(place.read()?.id)).transpose()
    }
}

impl Place {
    fn read(&self) -> Result<Entry, ReadError> {
        segment::read_entry(&self.path, &self.file, self.offset.into(), self.index)
    }
}

/// Reads entries from disk, as many as a batch takes.
pub(crate) fn load(places: &[Place], batch: Batch) -> Result<Vec<Entry>, ReadError> {
    let mut entries = Vec::with_capacity(places.len());
    let mut bytes = 0;
    for place in places {
        let entry = place.read()?;
        bytes += entry.size() as usize;
        if bytes > batch.bytes && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}
