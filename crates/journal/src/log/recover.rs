//! Opening a log: first everything is checked and nothing touched, then the unfinished is finished.
//!
//! What may be unfinished after a crash, and only this: the tail of the last segment above its mark,
//! a purge or a truncation whose files are not all gone, a segment that was begun but not written to.

use std::fs::{self, File};
use std::path::Path;

use super::disk;
use super::error::{DiskError, OpenError};
use super::memory::{Memory, Places, Positions};
use super::segment::{self, DATA, Phase, Scan, Segment};
use super::state::State;
use super::{Disk, Options};
use crate::{Index, Member};

/// An opened log.
pub(crate) struct Recovered {
    pub(crate) memory: Memory,
    pub(crate) files: Files,
}

/// What the writer works on.
pub(crate) struct Files {
    /// Never empty; the last one is written to.
    pub(crate) segments: Vec<Segment>,
    /// Space for the next segment, if there was any.
    pub(crate) spare: Option<File>,
    pub(crate) state: State,
    pub(crate) _lock: File,
}

/// Opens or creates the log.
pub(crate) fn open(options: &Options) -> Result<Recovered, OpenError> {
    let Options { dir, disk, segment_bytes, .. } = options;
    check(options)?;
    disk.create_dir(dir)?;
    let lock = disk::lock(&dir.join("lock"))?;
    let lock = lock.ok_or_else(|| OpenError::InUse { dir: dir.clone() })?;
    let full = |error: DiskError| match error.is_full() {
        true => OpenError::Full { dir: dir.clone(), bytes: *segment_bytes },
        false => error.into(),
    };

    let state = match State::load(dir)? {
        Some(state) => state,
        None => create(options).map_err(|error| match error {
            OpenError::Disk(error) => full(error),
            other => other,
        })?,
    };
    let expected = Member { node: options.node, life: state.life }.number();
    if state.node != expected {
        let (found, asked) = (state.node, expected);
        return Err(OpenError::WrongNode { dir: dir.clone(), found, asked });
    }
    let found = survey(dir, &state)?;
    let mut found = found.finish(disk, dir, *segment_bytes).map_err(full)?;
    let positions = found.positions(&state);
    found.skip_to_purged(disk, dir, *segment_bytes, &state).map_err(full)?;
    let spare = Segment::prepare_again(disk, dir, *segment_bytes).map_err(full)?;

    let (segments, places) = found.read.into_iter().map(split).unzip();
    let memory = Memory::new(positions, places, options.cache_bytes);
    let files = Files { segments, spare: Some(spare), state, _lock: lock };
    Ok(Recovered { memory, files })
}

fn check(options: &Options) -> Result<(), OpenError> {
    let value = options.segment_bytes;
    match value {
        16_384..=1_073_741_824 => Ok(()),
        _ => Err(OpenError::Setting { name: "segment_bytes", value, range: "16 KiB to 1 GiB" }),
    }
}

/// Creates the first segment, and after it the state file, which says that there is a log.
fn create(options: &Options) -> Result<State, OpenError> {
    let Options { dir, disk, segment_bytes, node, life, .. } = options;
    for first in firsts(dir)? {
        let segment = Segment::open(dir, first)?;
        if first != 0 || segment.mark.end != DATA || segment.scan()?.last.is_some() {
            let found = "the file with the node's vote is missing, but there are records";
            return Err(OpenError::damaged(&dir.join("state"), 0, found));
        }
    }
    let file = Segment::prepare(disk, dir, *segment_bytes)?;
    Segment::commission(disk, dir, file, 0)?;
    let (node, life) = (*node, *life);
    let node = Member { node, life }.number();
    let state = State { node, life, vote: None, purged: None };
    state.save(disk, dir)?;
    Ok(state)
}

/// All segments, by their names.
fn firsts(dir: &Path) -> Result<Vec<Index>, OpenError> {
    let mut firsts = Vec::new();
    for entry in fs::read_dir(dir).map_err(DiskError::on("list", dir))? {
        let entry = entry.map_err(DiskError::on("list", dir))?;
        firsts.extend(entry.file_name().to_str().and_then(segment::parse_name));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// What was found on disk and passed the check.
struct Found {
    read: Vec<(Segment, Scan)>,
    /// Segments that a purge or a truncation has left.
    leftover: Vec<Index>,
}

/// Checks all that must be there. Changes nothing.
fn survey(dir: &Path, state: &State) -> Result<Found, OpenError> {
    let firsts = firsts(dir)?;
    let begin = state.purged.map_or(0, |purged| purged.index + 1);
    let behind = firsts.partition_point(|first| *first <= begin);
    let Some(start) = behind.checked_sub(1) else {
        let found = format!("the segment that holds entry {begin} is missing");
        return Err(OpenError::damaged(&dir.join(segment::name(begin)), 0, found));
    };
    let mut leftover = firsts[..start].to_vec();
    let mut read: Vec<(Segment, Scan)> = Vec::new();
    for (at, first) in firsts.iter().enumerate().skip(start) {
        if let Some((before, scan)) = read.last() {
            let next = scan.next(before);
            if next != *first {
                let found =
                    format!("entry {next} comes next, but the next segment begins at {first}");
                return Err(OpenError::damaged(&before.path, scan.end, found));
            }
        }
        let segment = Segment::open(dir, *first)?;
        let cut = segment.mark.phase == Phase::Cut;
        let scan = if cut { segment.scan_below_mark()? } else { segment.scan()? };
        read.push((segment, scan));
        if cut {
            leftover.extend_from_slice(&firsts[at + 1..]);
            break;
        }
    }
    if let Some((last, scan)) = read.last()
        && last.mark.phase == Phase::Sealed
    {
        let next = scan.next(last);
        let found = format!("the segment that begins with entry {next} is missing");
        return Err(OpenError::damaged(&dir.join(segment::name(next)), 0, found));
    }
    Ok(Found { read, leftover })
}

impl Found {
    /// Finishes what a crash has interrupted.
    fn finish(mut self, disk: &Disk, dir: &Path, segment_bytes: u64) -> Result<Self, DiskError> {
        // From the end, so that what is left after another crash has no hole.
        for first in self.leftover.drain(..).rev() {
            disk.remove(&dir.join(segment::name(first)))?;
        }
        disk.sync_dir(dir)?;
        let (last, sealed) = self.read.split_last_mut().expect("a log has a segment");
        for (segment, scan) in sealed {
            if segment.mark.phase != Phase::Sealed {
                segment.set_mark(disk, scan.end, scan.next(segment), Phase::Sealed)?;
                segment.sync(disk)?;
            }
        }
        let (segment, scan) = last;
        report_tail(segment, scan);
        segment.capacity = segment.capacity.max(segment_bytes);
        disk.allocate(&segment.file, &segment.path, segment.capacity)?;
        // After a failed sync the kernel calls pages clean that are only in its memory: made dirty again, they are
        // part of the next sync.
        disk.rewrite(&segment.file, &segment.path, segment.mark.end, scan.end)?;
        // Behind a torn record a whole one can stand, which would come back to life later: all of it goes.
        disk.wipe(&segment.file, &segment.path, scan.end, segment.capacity)?;
        segment.sync(disk)?;
        segment.set_mark(disk, scan.end, scan.next(segment), Phase::Active)?;
        segment.sync(disk)?;
        Ok(self)
    }

    /// After a purge beyond the end of the log, it goes on behind the purge point.
    fn skip_to_purged(
        &mut self,
        disk: &Disk,
        dir: &Path,
        segment_bytes: u64,
        state: &State,
    ) -> Result<(), DiskError> {
        let (last, scan) = self.read.last().expect("a log has a segment");
        let begin = state.purged.map_or(0, |purged| purged.index + 1);
        if scan.next(last) >= begin {
            return Ok(());
        }
        let file = Segment::prepare(disk, dir, segment_bytes)?;
        let segment = Segment::commission(disk, dir, file, begin)?;
        for (old, _) in self.read.drain(..).rev() {
            disk.remove(&old.path)?;
        }
        disk.sync_dir(dir)?;
        self.read.push((segment, Scan::default()));
        Ok(())
    }

    fn positions(&self, state: &State) -> Positions {
        let scans = || self.read.iter().map(|(_, scan)| scan);
        let purged = state.purged;
        let written = scans().rev().find_map(|scan| scan.last);
        let behind = written.filter(|last| purged.is_none_or(|purged| purged.index < last.index));
        let noted = scans().filter_map(|scan| scan.committed).max();
        let last = behind.or(purged);
        let committed = noted.max(purged.map(|purged| purged.index));
        let committed = committed.min(last.map(|last| last.index));
        let within = |at: &Index| {
            committed.is_some_and(|committed| *at <= committed)
                && purged.is_none_or(|purged| purged.index < *at)
        };
        let memberships =
            scans().flat_map(|scan| &scan.memberships).copied().filter(within).collect();
        Positions { purged, last, vote: state.vote, committed, memberships }
    }
}

fn report_tail(segment: &Segment, scan: &Scan) {
    if !scan.tail.is_empty() {
        let path = segment.path.display();
        tracing::warn!(
            segment = %path, offset = scan.end, found = scan.tail,
            "the journal's unsynced tail, left by an interrupted write, was cut"
        );
    }
}

fn split((segment, scan): (Segment, Scan)) -> (Segment, Places) {
    let Segment { first, path, file, .. } = &segment;
    let (path, file) = (path.clone(), file.clone());
    let places = Places { first: *first, path, file, offsets: scan.offsets, end: scan.end };
    (segment, places)
}
