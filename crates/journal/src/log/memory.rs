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
use crate::Index;
use crate::follow::Batch;

/// The log's ends and what belongs to all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Positions {
    pub(crate) purged: Option<EntryId>,
    /// The last entry, or the purge point of an empty log.
    pub(crate) last: Option<EntryId>,
    pub(crate) vote: Option<Vote>,
    /// A part of the log that is known to be committed.
    pub(crate) committed: Option<Index>,
    /// The memberships within the part that was committed when the log was opened.
    pub(crate) memberships: Arc<[Index]>,
}

/// Where the entries of one segment are.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) first: Index,
    pub(crate) path: Arc<Path>,
    pub(crate) file: Arc<File>,
    pub(crate) offsets: Vec<u32>,
    /// The byte behind the last one.
    pub(crate) end: u64,
}

/// Where one entry is.
#[derive(Debug)]
pub(crate) struct Place {
    index: Index,
    path: Arc<Path>,
    file: Arc<File>,
    offset: u32,
}

pub(crate) enum Located {
    Memory(Vec<Entry>),
    /// The places of the older ones, and the newer ones themselves.
    Disk {
        places: Vec<Place>,
        newer: Vec<Entry>,
        epoch: u64,
    },
}

#[derive(Debug)]
pub(crate) struct Memory {
    positions: Positions,
    segments: VecDeque<Places>,
    /// The newest entries, without gaps up to the last.
    recent: VecDeque<Entry>,
    recent_bytes: usize,
    recent_bytes_max: usize,
    /// Rises with each truncation.
    epoch: u64,
    /// Segments that a purge has left, to be removed when there is time.
    retired: Vec<Places>,
}

impl Memory {
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
            retired: Vec::new(),
        }
    }

    pub(crate) fn positions(&self) -> Positions {
        self.positions.clone()
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn note_committed(&mut self, committed: Index) {
        self.positions.committed = self.positions.committed.max(Some(committed));
    }

    pub(crate) fn set_vote(&mut self, vote: Vote) {
        self.positions.vote = Some(vote);
    }

    /// Takes new entries in; refuses what would leave a gap.
    pub(crate) fn extend(&mut self, entries: &[Entry]) -> Result<(), Arc<str>> {
        let mut next = self.positions.last.map(|last| last.index + 1);
        for found in entries.iter().map(|entry| entry.id.index) {
            if next.is_some_and(|next| next != found) {
                return Err(format!("entry {found} would leave a gap in the journal").into());
            }
            next = Some(found + 1);
        }
        for entry in entries {
            self.positions.last = Some(entry.id);
            self.recent_bytes += entry.size() as usize;
            self.recent.push_back(entry.clone());
        }
        Ok(())
    }

    /// Notes that entries are on disk, the first of them `from`; from here on they may leave the memory.
    pub(crate) fn written(&mut self, from: Index, offsets: &[u32], end: u64) {
        let segment = self.segments.back_mut().expect("what is written is in a segment");
        assert_eq!(
            segment.first + segment.offsets.len() as u64,
            from,
            "entries are written in order"
        );
        segment.offsets.extend_from_slice(offsets);
        segment.end = end;
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
    pub(crate) fn retract(&mut self, from: Index) -> Result<(), ReadError> {
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
    pub(crate) fn cut(&mut self, from: Index) {
        if let Some(segment) = self.segments.back_mut() {
            let keep = from.saturating_sub(segment.first) as usize;
            if let Some(end) = segment.offsets.get(keep) {
                segment.end = u64::from(*end);
            }
            segment.offsets.truncate(keep);
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

    pub(crate) fn retire_first_segment(&mut self) {
        self.retired.extend(self.segments.pop_front());
    }

    pub(crate) fn take_retired(&mut self) -> Vec<Places> {
        std::mem::take(&mut self.retired)
    }

    /// How many bytes on disk the entries behind `after` take.
    pub(crate) fn bytes_behind(&self, after: Index) -> u64 {
        let next = after.saturating_add(1);
        let behind = |segment: &Places| {
            let begin = match next.checked_sub(segment.first) {
                Some(skip) => segment.offsets.get(skip as usize).map(|offset| u64::from(*offset)),
                None => segment.offsets.first().map(|offset| u64::from(*offset)),
            };
            begin.map_or(0, |begin| segment.end - begin)
        };
        self.segments.iter().map(behind).sum()
    }

    pub(crate) fn drop_segment_before_last(&mut self) {
        self.segments.remove(self.segments.len().saturating_sub(2));
    }

    /// The byte at which an entry that is on disk begins in its segment.
    pub(crate) fn offset(&self, at: Index) -> Option<u64> {
        self.place(at).map(|place| place.offset.into())
    }

    pub(crate) fn recent(&self, range: Range<Index>, batch: Batch) -> Option<Vec<Entry>> {
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

    pub(crate) fn locate(&self, range: Range<Index>, batch: Batch) -> Located {
        if let Some(entries) = self.recent(range.clone(), batch) {
            return Located::Memory(entries);
        }
        let range = self.clamp(range);
        // What is in memory is taken from there: after a truncation its old places are outdated.
        let oldest = self.recent.front().map_or(range.end, |oldest| oldest.id.index);
        let older = range.start..range.end.min(oldest);
        let places = older.take(batch.entries).map_while(|at| self.place(at)).collect();
        let newer = self.recent(oldest..range.end, batch).unwrap_or_default();
        Located::Disk { places, newer, epoch: self.epoch }
    }

    fn place(&self, index: Index) -> Option<Place> {
        let behind = self.segments.partition_point(|segment| segment.first <= index);
        let segment = self.segments.get(behind.checked_sub(1)?)?;
        let offset = *segment.offsets.get((index - segment.first) as usize)?;
        Some(Place { index, path: segment.path.clone(), file: segment.file.clone(), offset })
    }

    fn clamp(&self, range: Range<Index>) -> Range<Index> {
        let begin = self.segments.front().map_or(0, |segment| segment.first);
        let begin = self.positions.purged.map_or(begin, |purged| purged.index + 1);
        let end = self.positions.last.map_or(0, |last| last.index + 1);
        range.start.max(begin)..range.end.min(end)
    }

    /// The id in front of `from`; truncation is rare enough to read it from the disk.
    fn last_before(&self, from: Index) -> Result<Option<EntryId>, ReadError> {
        let Some(before) = from.checked_sub(1) else { return Ok(None) };
        if self.positions.purged.is_some_and(|purged| purged.index >= before) {
            return Ok(self.positions.purged);
        }
        let oldest = self.recent.front().map_or(Index::MAX, |oldest| oldest.id.index);
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

/// Reads entries from disk and puts the newer ones behind them, as many as a batch takes.
pub(crate) fn load(
    places: &[Place],
    newer: Vec<Entry>,
    batch: Batch,
) -> Result<Vec<Entry>, ReadError> {
    let mut entries = Vec::with_capacity(places.len() + newer.len());
    let mut bytes = 0;
    let older = places.iter().map(Place::read);
    for entry in older.chain(newer.into_iter().map(Ok)).take(batch.entries) {
        let entry = entry?;
        bytes += entry.size() as usize;
        if bytes > batch.bytes && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}
