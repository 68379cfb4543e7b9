//! Ends of attempts, and output without an end, found in the segments themselves.
//!
//! When a supervisor was killed, its last segments are the only witness of what had ended before:
//! without them a task that succeeded would run again. And of what had not ended they are the only
//! list. The way through a segment is from header to header, over damage and a torn end.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;

use model::{Attempt, Outcome, OutputRef};
use prost::Message as _;
use proto::supervisor::Extent;

use super::ReadError;
use super::blocks::read_at;
use super::removed::Removed;
use crate::output::extents::Extents;
use crate::output::frame::{
    End, FILE_HEADER, FRAME_HEADER, FRAME_MAGIC, FileId, Header, Kind, PAYLOAD_MAX, segment_number,
};

/// Older segments are not looked into: what ended that long ago has been reported.
const SEGMENTS_MAX: usize = 4;
/// Read at once when a whole segment is read, and when one end is.
const WINDOW_BYTES: usize = 256 << 10;
const END_BYTES: usize = 4 << 10;

/// The extents in the end frame at this place.
pub(super) fn end_at(dir: &Path, at: OutputRef) -> Result<Vec<Extent>, ReadError> {
    let id = FileId::Segment(at.segment);
    let path = id.path(dir);
    let offset = at.offset;
    let file = File::open(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound if Removed::read(dir).contains(at.segment) => ReadError::Removed,
        _ => ReadError::Open { path: path.clone(), source },
    })?;
    let end = Window::new(id, file, END_BYTES)
        .and_then(|mut window| {
            let header = window.header(offset)?.filter(|header| header.kind == Kind::End);
            header.map(|header| window.end(offset, &header)).transpose()
        })
        .map_err(|source| ReadError::Read { path: path.clone(), offset, source })?;
    match end.flatten() {
        Some(end) => Ok(end.extents),
        None => Err(ReadError::NoEnd { path, offset }),
    }
}

/// What the last segments tell of attempts.
#[derive(Default)]
pub(super) struct Found {
    pub(super) ends: BTreeMap<Attempt, Outcome>,
    /// Where output lies, also of some with an end.
    pub(super) output: BTreeMap<Attempt, Extents>,
}

/// Searches the last segments for the wanted attempts.
pub(super) fn search(dir: &Path, wanted: &BTreeSet<Attempt>) -> Found {
    let mut found = Found::default();
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut segments: Vec<u32> =
        names.filter_map(|entry| segment_number(entry.file_name().to_str()?)).collect();
    segments.sort_unstable_by(|one, other| other.cmp(one));
    for segment in segments.into_iter().take(SEGMENTS_MAX) {
        if found.ends.len() == wanted.len() {
            break;
        }
        // A segment that cannot be read tells nothing; the others may.
        let _ = search_in(dir, segment, wanted, &mut found);
    }
    found
}

fn search_in(
    dir: &Path,
    segment: u32,
    wanted: &BTreeSet<Attempt>,
    found: &mut Found,
) -> io::Result<()> {
    let id = FileId::Segment(segment);
    frames(dir, id, |window, offset, header| {
        if !wanted.contains(&header.attempt) {
            return Ok(());
        }
        if header.kind != Kind::End {
            let extent = id.extent(offset, header.frame_length());
            found.output.entry(header.attempt).or_default().push(extent);
        } else if let Some(end) = window.end(offset, header)?
            && let Some(Ok(mut outcome)) = end.outcome.map(Outcome::try_from)
        {
            let silent = header.position == 0 && end.extents.is_empty();
            outcome.output = (!silent).then_some(OutputRef { segment, offset });
            found.ends.insert(header.attempt, outcome);
        }
        Ok(())
    })
}

/// Goes through the frames of a file, over damage and a torn end. Their payloads need not be whole.
pub(super) fn frames(
    dir: &Path,
    id: FileId,
    mut each: impl FnMut(&mut Window, u64, &Header) -> io::Result<()>,
) -> io::Result<()> {
    frames_from(dir, id, 0, |window, offset, header| each(window, offset, header).map(|()| true))
}

/// The same from this offset on, as long as `each` says so.
pub(super) fn frames_from(
    dir: &Path,
    id: FileId,
    from: u64,
    mut each: impl FnMut(&mut Window, u64, &Header) -> io::Result<bool>,
) -> io::Result<()> {
    let mut window = Window::new(id, File::open(id.path(dir))?, WINDOW_BYTES)?;
    let mut offset = from.max(FILE_HEADER.len() as u64);
    while offset < window.length {
        let length = window.length;
        let header = window.header(offset)?;
        let Some(header) = header.filter(|header| offset + header.frame_length() <= length) else {
            offset = window.next_magic(offset + 1)?;
            continue;
        };
        if !each(&mut window, offset, &header)? {
            break;
        }
        offset += header.frame_length();
    }
    Ok(())
}

/// A file read in large pieces.
pub(super) struct Window {
    id: FileId,
    file: File,
    length: u64,
    start: u64,
    bytes: Vec<u8>,
    bytes_min: usize,
}

impl Window {
    fn new(id: FileId, file: File, bytes_min: usize) -> io::Result<Window> {
        let length = file.metadata()?.len();
        Ok(Window { id, file, length, start: 0, bytes: Vec::new(), bytes_min })
    }

    /// Up to `length` bytes from `offset` on; fewer where the file ends.
    fn at(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let end = self.start + self.bytes.len() as u64;
        if offset < self.start || offset + length as u64 > end {
            self.bytes.resize(self.bytes_min.max(length), 0);
            self.start = offset;
            let read = read_at(&self.file, &mut self.bytes, offset);
            self.bytes.truncate(*read.as_ref().unwrap_or(&0));
            read?;
        }
        let inside = (offset - self.start) as usize;
        let end = self.bytes.len().min(inside + length);
        Ok(&self.bytes[inside..end])
    }

    fn header(&mut self, offset: u64) -> io::Result<Option<Header>> {
        let id = self.id;
        let bytes: Option<&[u8; FRAME_HEADER]> = self.at(offset, FRAME_HEADER)?.try_into().ok();
        Ok(bytes.and_then(|bytes| Header::decode(bytes, id, offset)))
    }

    /// The payload of an end frame, if it is whole.
    fn end(&mut self, offset: u64, header: &Header) -> io::Result<Option<End>> {
        let length = (header.length as usize).min(PAYLOAD_MAX);
        let payload = self.at(offset + FRAME_HEADER as u64, length)?;
        Ok(header.fits(payload).then(|| End::decode(payload).ok()).flatten())
    }

    /// Where the next frame may begin; the end of the file if nowhere.
    fn next_magic(&mut self, mut offset: u64) -> io::Result<u64> {
        while offset + 4 <= self.length {
            let bytes = self.at(offset, 4096)?;
            let length = bytes.len() as u64;
            match bytes.windows(4).position(|four| four == FRAME_MAGIC) {
                Some(found) => return Ok(offset + found as u64),
                None if length < 4 => break,
                // The magic may begin in the last three bytes.
                None => offset += length - 3,
            }
        }
        Ok(self.length)
    }
}
