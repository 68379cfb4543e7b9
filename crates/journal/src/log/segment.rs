//! One segment file: its header, its synced mark, and reading its records.
//!
//! ```text
//!      0  magic, first index, crc
//!   4096  mark, odd turns   ┐ two slots in two blocks, written in turn: a torn write
//!   8192  mark, even turns  ┘ leaves the other one, which is one sync older
//!  12288  records, one behind the other, then zeros to the end of the file
//! ```
//!
//! A mark is written right after the `fdatasync` it speaks of, before anyone is told, and is itself made durable by
//! the next one. So a crash of the process finds the newest mark, and a crash of the machine one that is at most
//! one sync old.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::disk::{self, Disk};
use super::error::{DiskError, OpenError};
use super::record::{self, Entry, EntryId, HEAD, Head, Kind};
use crate::Index;

/// Where records begin.
pub(crate) const DATA: u64 = 12288;
const BLOCK: u64 = 4096;
const MAGIC: &[u8; 8] = b"WLJRNL01";
const MARK_LEN: usize = 36;
/// No journal gets here; so an index can be counted on without overflow.
const FIRST_MAX: Index = 1 << 62;
/// Name of the space for the next segment.
const SPARE: &str = "spare.segment";

/// What may follow behind a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// More records of this segment.
    Active = 1,
    /// Nothing here; the next segment exists.
    Sealed = 2,
    /// Nothing: a truncation is under way, and what is still found here and in later segments goes.
    Cut = 3,
}

/// How far a segment is synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    turn: u64,
    /// The byte behind the last synced record.
    pub(crate) end: u64,
    /// The index behind the last synced record.
    pub(crate) next: Index,
    pub(crate) phase: Phase,
}

/// A segment that is open to read and write.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) first: Index,
    pub(crate) path: Arc<Path>,
    pub(crate) file: Arc<File>,
    pub(crate) mark: Mark,
    /// The size of the file.
    pub(crate) capacity: u64,
}

/// What reading a segment from its beginning has shown.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Where each record begins.
    pub(crate) offsets: Vec<u32>,
    /// The byte behind the last good record.
    pub(crate) end: u64,
    pub(crate) last: Option<EntryId>,
    /// The greatest committed index noted in a record.
    pub(crate) committed: Option<Index>,
    pub(crate) memberships: Vec<Index>,
    /// What stands behind the last good record; empty if it is unwritten space.
    pub(crate) tail: &'static str,
}

/// A record that was written could not be read back.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot read the journal's entry {index} at byte {offset} of `{}`: {found}; \
     check the disk and the kernel log, then start again", path.display()
)]
pub(crate) struct ReadError {
    pub(crate) index: Index,
    pub(crate) offset: u64,
    pub(crate) path: PathBuf,
    pub(crate) found: String,
}

impl Segment {
    /// Allocates space for a segment under its interim name.
    pub(crate) fn prepare(disk: &Disk, dir: &Path, capacity: u64) -> Result<File, DiskError> {
        let path = dir.join(SPARE);
        let file = disk::create(&path)?;
        disk.allocate(&file, &path, capacity)?;
        Ok(file)
    }

    /// Takes the space that an earlier process allocated, or allocates it.
    ///
    /// On a full disk what is given up for a moment may not be had again.
    pub(crate) fn prepare_again(disk: &Disk, dir: &Path, capacity: u64) -> Result<File, DiskError> {
        let path = dir.join(SPARE);
        let Some(file) = disk::open_unused(&path, capacity, DATA) else {
            return Self::prepare(disk, dir, capacity);
        };
        disk.allocate(&file, &path, capacity)?;
        Ok(file)
    }

    /// Gives the space for the next segment back.
    pub(crate) fn give_up_spare(disk: &Disk, dir: &Path) -> Result<(), DiskError> {
        disk.remove(&dir.join(SPARE))
    }

    /// Makes prepared space the segment that begins with `first`; durable when it returns.
    pub(crate) fn commission(
        disk: &Disk,
        dir: &Path,
        file: File,
        first: Index,
    ) -> Result<Self, DiskError> {
        let spare = dir.join(SPARE);
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&first.to_le_bytes());
        header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
        disk.write(&file, &spare, &header, 0)?;
        let mark = Mark { turn: 1, end: DATA, next: first, phase: Phase::Active };
        disk.write(&file, &spare, &mark.encode(), mark.slot())?;
        disk.sync(&file, &spare)?;
        let path = dir.join(name(first));
        disk.rename(&spare, &path)?;
        disk.sync_dir(dir)?;
        let capacity = file.metadata().map_err(DiskError::on("look at", &path))?.len();
        Ok(Self { first, path: path.into(), file: Arc::new(file), mark, capacity })
    }

    /// Opens the segment that begins with `first` and reads its mark.
    pub(crate) fn open(dir: &Path, first: Index) -> Result<Self, OpenError> {
        let path = dir.join(name(first));
        let file = disk::open(&path)?;
        Self::of(file, path, first)
    }

    /// The same with a file that is open already.
    pub(crate) fn of(file: File, path: PathBuf, first: Index) -> Result<Self, OpenError> {
        let capacity = file.metadata().map_err(DiskError::on("look at", &path))?.len();
        if capacity < DATA {
            let found = "the file ends inside its header, so records are missing";
            return Err(OpenError::damaged(&path, capacity, found));
        }
        let mut header = [0; DATA as usize];
        file.read_exact_at(&mut header, 0).map_err(DiskError::on("read", &path))?;
        let sound = header.starts_with(MAGIC)
            && record::long(&header, 8) == first
            && first <= FIRST_MAX
            && record::word(&header, 16) == crc32c::crc32c(&header[..16]);
        if !sound {
            return Err(OpenError::damaged(&path, 0, "this is not the header of this segment"));
        }
        let marks = [BLOCK, 2 * BLOCK].map(|at| Mark::decode(&header[at as usize..], at));
        let Some(mark) = marks.into_iter().flatten().max_by_key(|mark| mark.turn) else {
            let found =
                "neither of the two marks that say how far the segment was synced can be read";
            return Err(OpenError::damaged(&path, BLOCK, found));
        };
        Ok(Self { first, path: path.into(), file: Arc::new(file), mark, capacity })
    }

    /// Says that the segment is synced up to `end`. Durable with the next sync of the file.
    pub(crate) fn set_mark(
        &mut self,
        disk: &Disk,
        end: u64,
        next: Index,
        phase: Phase,
    ) -> Result<(), DiskError> {
        self.mark = Mark { turn: self.mark.turn + 1, end, next, phase };
        disk.write(&self.file, &self.path, &self.mark.encode(), self.mark.slot())
    }

    pub(crate) fn sync(&self, disk: &Disk) -> Result<(), DiskError> {
        disk.sync(&self.file, &self.path)
    }

    /// Reads all records. Fails at anything bad below the mark, and stops there above it.
    pub(crate) fn scan(&self) -> Result<Scan, OpenError> {
        self.scan_to(self.capacity)
    }

    /// Reads the records below the mark only.
    pub(crate) fn scan_below_mark(&self) -> Result<Scan, OpenError> {
        self.scan_to(self.mark.end)
    }

    fn scan_to(&self, end: u64) -> Result<Scan, OpenError> {
        let Mark { end: synced, next, .. } = self.mark;
        let damaged = |at, found: String| OpenError::damaged(&self.path, at, found);
        if self.capacity < synced {
            let found = format!("the file ends here, but was synced up to byte {synced}");
            return Err(damaged(self.capacity, found));
        }
        let mut reader = Reader::new(self)?;
        let mut scan = Scan { end: DATA, ..Scan::default() };
        loop {
            let expected = self.first + scan.offsets.len() as u64;
            if scan.end == synced && expected != next {
                let found = format!("entry {expected} comes next, but the mark says {next}");
                return Err(damaged(scan.end, found));
            }
            let limit = if scan.end < synced { synced } else { end };
            match reader.next(scan.end, limit, expected)? {
                Ok(head) => {
                    scan.offsets.push(scan.end as u32);
                    scan.end += (HEAD + head.len) as u64;
                    scan.last = Some(head.id);
                    scan.committed = scan.committed.max(head.committed);
                    if head.kind == Kind::Membership {
                        scan.memberships.push(head.id.index);
                    }
                }
                Err(found) if scan.end < synced => {
                    let found =
                        format!("{found}, where entry {expected} was synced (up to byte {synced})");
                    return Err(damaged(scan.end, found));
                }
                Err(found) => {
                    let unwritten = found == record::ZEROS || found == NOTHING;
                    scan.tail = if unwritten { "" } else { found };
                    return Ok(scan);
                }
            }
        }
    }
}

impl Scan {
    /// The index behind the last record of the segment.
    pub(crate) fn next(&self, segment: &Segment) -> Index {
        segment.first + self.offsets.len() as u64
    }
}

impl Mark {
    fn slot(&self) -> u64 {
        if self.turn % 2 == 1 { BLOCK } else { 2 * BLOCK }
    }

    fn encode(&self) -> [u8; MARK_LEN] {
        let mut out = [0; MARK_LEN];
        out[..8].copy_from_slice(&self.turn.to_le_bytes());
        out[8..16].copy_from_slice(&self.end.to_le_bytes());
        out[16..24].copy_from_slice(&self.next.to_le_bytes());
        out[24] = self.phase as u8;
        let crc = crc32c::crc32c(&out[..32]);
        out[32..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn decode(bytes: &[u8], at: u64) -> Option<Self> {
        let phase = match bytes[24] {
            1 => Phase::Active,
            2 => Phase::Sealed,
            3 => Phase::Cut,
            _ => return None,
        };
        let mark = Self {
            turn: record::long(bytes, 0),
            end: record::long(bytes, 8),
            next: record::long(bytes, 16),
            phase,
        };
        let sound = crc32c::crc32c(&bytes[..32]) == record::word(bytes, 32);
        (sound && mark.slot() == at && mark.end >= DATA).then_some(mark)
    }
}

/// Reads the records of a segment one after the other.
struct Reader<'a> {
    path: &'a Path,
    file: BufReader<&'a File>,
    body: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn new(segment: &'a Segment) -> Result<Self, DiskError> {
        let mut file = BufReader::with_capacity(256 << 10, &*segment.file);
        file.seek(SeekFrom::Start(DATA)).map_err(DiskError::on("read", &segment.path))?;
        Ok(Self { path: &segment.path, file, body: Vec::new() })
    }

    /// The record at `at`, which must be entry `expected` and end at `limit` or before.
    /// The inner error says what is there instead.
    fn next(
        &mut self,
        at: u64,
        limit: u64,
        expected: Index,
    ) -> Result<Result<Head, &'static str>, DiskError> {
        let mut head = [0; HEAD];
        if limit - at < HEAD as u64 {
            return Ok(Err(if limit == at { NOTHING } else { "too few bytes for a record" }));
        }
        self.file.read_exact(&mut head).map_err(DiskError::on("read", self.path))?;
        let decoded = match Head::decode(&head) {
            Ok(decoded) => decoded,
            Err(found) => return Ok(Err(found)),
        };
        if limit - at - (HEAD as u64) < decoded.len as u64 {
            return Ok(Err("a record that is longer than the space it has"));
        }
        self.body.resize(decoded.len, 0);
        self.file.read_exact(&mut self.body).map_err(DiskError::on("read", self.path))?;
        if !decoded.proves(&head, &self.body) {
            return Ok(Err("a record whose checksum does not fit"));
        }
        if decoded.id.index != expected {
            return Ok(Err("a record of another index"));
        }
        Ok(Ok(decoded))
    }
}

/// What the tail of a full segment is.
const NOTHING: &str = "the end of the file";

/// Reads one entry back, at a place where it is known to be.
pub(crate) fn read_entry(
    path: &Path,
    file: &File,
    offset: u64,
    index: Index,
) -> Result<Entry, ReadError> {
    let wrong = |found: String| ReadError { index, offset, path: path.to_owned(), found };
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, offset).map_err(|error| wrong(error.to_string()))?;
    let decoded = Head::decode(&head).map_err(|found| wrong(found.to_owned()))?;
    let mut body = vec![0; decoded.len];
    file.read_exact_at(&mut body, offset + HEAD as u64)
        .map_err(|error| wrong(error.to_string()))?;
    if !decoded.proves(&head, &body) {
        return Err(wrong("a record whose checksum does not fit".to_owned()));
    }
    if decoded.id.index != index {
        return Err(wrong(format!("entry {}", decoded.id.index)));
    }
    Ok(Entry { id: decoded.id, kind: decoded.kind, body: Bytes::from(body) })
}

/// The file name of the segment that begins with `first`.
pub(crate) fn name(first: Index) -> String {
    format!("{first:020}.log")
}

/// The first index of the segment with this file name.
pub(crate) fn parse_name(name: &str) -> Option<Index> {
    name.strip_suffix(".log").filter(|digits| digits.len() == 20)?.parse().ok()
}
