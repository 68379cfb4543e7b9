//! One attempt's output in the order it was written.
//!
//! A reader goes from header to header through the stretches, passing over frames of others. What
//! is not whole it leaves out, and looks for the next whole frame behind it. The position in that
//! frame tells how many bytes of *this* attempt were lost in between: none is no gap, whatever was
//! damaged there; else a mark takes their place.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use model::Attempt;
use proto::supervisor::Extent;

use super::blocks::Blocks;
use super::{Chunk, ReadError};
use crate::output::Stream;
use crate::output::frame::{FRAME_HEADER, FRAME_MAGIC, FileId, Header, Kind, mark_parts};
use crate::output::mark::{Reason, SUPERVISOR_ENDED};

/// Iterates over the chunks of one attempt. It holds no file open and no bytes.
pub struct Frames {
    blocks: Arc<Blocks>,
    attempt: Attempt,
    extents: VecDeque<Extent>,
    at: Option<Stretch>,
    /// How many bytes of output lie behind, shown or marked as missing.
    position: u64,
    /// Of the last frame.
    time_us: u64,
    /// Frames may be missing since the last one, for this reason.
    trouble: Option<Reason>,
    /// Why what is missing is, where nothing else tells.
    unexplained: Reason,
    /// The own file that was begun last.
    own_file: u32,
    /// The last frame that was shown.
    last: Option<(FileId, u64)>,
    /// The mark behind all of it.
    closing: Option<String>,
    /// It was given.
    closed: bool,
    ready: Option<Ready>,
    /// What has been given out.
    given: Place,
    /// Marks at the place where it went on that were given out before.
    marks_again: u32,
    /// The next frame says where it begins.
    anywhere: bool,
}

/// How far a reader of one attempt's output has come, so that another can go on from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Bytes of output that are behind, shown or marked as missing.
    pub bytes: u64,
    /// Marks since then that stand for no bytes.
    pub marks: u32,
}

/// What is left of an extent.
#[derive(Clone, Copy)]
struct Stretch {
    file: FileId,
    offset: u64,
    end: u64,
}

/// What comes next.
enum Ready {
    /// A frame of the attempt whose payload has not been read.
    Frame {
        at: Stretch,
        header: Header,
    },
    Chunk(Chunk),
    Failed(ReadError),
}

impl Frames {
    pub(super) fn new(blocks: Arc<Blocks>, attempt: Attempt, extents: &[Extent]) -> Frames {
        Frames {
            blocks,
            attempt,
            extents: extents.iter().copied().collect(),
            at: None,
            position: 0,
            time_us: 0,
            trouble: None,
            unexplained: Reason::NeverWritten,
            own_file: 0,
            last: None,
            closing: None,
            closed: false,
            ready: None,
            given: Place::default(),
            marks_again: 0,
            anywhere: false,
        }
    }

    /// Whose output it is.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// What has been given out so far.
    pub(super) fn place(&self) -> Place {
        self.given
    }

    /// Begins with the first whole frame that is found, whatever came before it.
    pub(super) fn begin_anywhere(&mut self) {
        self.anywhere = true;
    }

    /// Begins where another reader has come to, before anything is read.
    pub(super) fn begin_at(&mut self, place: Place) {
        (self.position, self.given, self.marks_again) = (place.bytes, place, place.marks);
    }

    /// Goes on with what was written since. What has been shown already is not shown again.
    pub fn extend(&mut self, extents: &[Extent]) {
        self.extents.extend(extents);
    }

    /// Goes on with all that was found of an attempt whose supervisor was killed, and ends with a
    /// mark that says so. What has been shown already is not shown again.
    pub fn lost(&mut self, extents: &[Extent]) {
        self.extend(extents);
        self.unexplained = Reason::NotFound;
        self.close(SUPERVISOR_ENDED.to_owned());
    }

    /// The mark behind all of it; only the first one counts.
    pub(super) fn close(&mut self, words: String) {
        if !self.closed {
            self.closed = true;
            self.closing = Some(words);
        }
    }

    /// The time of the next chunk, without reading its bytes.
    pub(super) fn next_time_us(&mut self) -> Option<u64> {
        if self.ready.is_none() {
            self.ready = self.find();
        }
        Some(match self.ready.as_ref()? {
            Ready::Frame { header, .. } => header.time_us,
            Ready::Chunk(chunk) => chunk.time_us,
            Ready::Failed(_) => self.time_us,
        })
    }

    /// Finds the next frame of the attempt, or a mark that comes before it.
    fn find(&mut self) -> Option<Ready> {
        loop {
            let Some(at) = self.at.or_else(|| self.next_stretch()) else {
                let trouble = self.trouble.take().map(Reason::mark_unknown);
                let words = trouble.or_else(|| self.closing.take())?;
                return Some(self.mark(words, self.time_us));
            };
            self.at = None;
            let header = match self.header(at) {
                Ok(Some(header)) => header,
                Ok(None) => {
                    self.trouble = Some(Reason::Damaged);
                    match self.next_whole(at) {
                        Ok(next) => self.at = next,
                        Err(error) => return Some(self.failed(at, error)),
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.trouble = Some(self.blocks.why_gone(at.file));
                    continue;
                }
                Err(error) => return Some(self.failed(at, error)),
            };
            let behind = Stretch { offset: at.offset + header.frame_length(), ..at };
            let others = header.attempt != self.attempt || header.kind == Kind::End;
            if !others && std::mem::take(&mut self.anywhere) {
                self.position = header.position;
                self.given.bytes = header.position;
            }
            if !others && header.position > self.position {
                // The frame is found again when the mark has been taken.
                self.at = Some(at);
                return Some(self.gap(&header));
            }
            self.at = Some(behind).filter(|behind| behind.offset < behind.end);
            // Words of Windlass move no position; in one file they are known by their place.
            let again = |(file, offset)| file == at.file && at.offset <= offset;
            let behind = header.position < self.position;
            let shown = behind || self.last.is_some_and(again);
            if !others && behind {
                // What may be missing before this frame is behind, too.
                self.trouble = None;
            }
            if !others && !shown {
                self.trouble = None;
                return Some(Ready::Frame { at, header });
            }
        }
    }

    fn next_stretch(&mut self) -> Option<Stretch> {
        let extent = self.extents.pop_front()?;
        if extent.own_file > self.own_file + 1 {
            self.trouble = self.trouble.or(Some(Reason::Rotated));
        }
        self.own_file = self.own_file.max(extent.own_file);
        let file = FileId::of(self.attempt, &extent);
        let end = extent.offset.saturating_add(extent.length);
        Some(Stretch { file, offset: extent.offset, end })
    }

    /// The whole header at this place, if there is one.
    fn header(&self, at: Stretch) -> io::Result<Option<Header>> {
        let mut bytes = [0; FRAME_HEADER];
        let read = self.blocks.read(at.file, at.offset, at.end, &mut bytes)?;
        let header = Header::decode(&bytes, at.file, at.offset).filter(|_| read == FRAME_HEADER);
        Ok(header.filter(|header| at.offset + header.frame_length() <= at.end))
    }

    /// The next place in the stretch where a whole header stands.
    fn next_whole(&self, mut at: Stretch) -> io::Result<Option<Stretch>> {
        let mut window = [0; 4096];
        at.offset += 1;
        while at.offset < at.end {
            let length = (at.end - at.offset).min(window.len() as u64) as usize;
            let read = self.blocks.read(at.file, at.offset, at.end, &mut window[..length])?;
            let found = window[..read].windows(4).position(|four| four == FRAME_MAGIC);
            match found {
                Some(found) => {
                    at.offset += found as u64;
                    if self.header(at)?.is_some() {
                        return Ok(Some(at));
                    }
                    at.offset += 1;
                }
                None if read < length || read < 4 => return Ok(None),
                // The magic may begin in the last three bytes.
                None => at.offset += read as u64 - 3,
            }
        }
        Ok(None)
    }

    /// The payload of a frame; `None` if it is not what was written.
    fn payload(&self, at: Stretch, header: &Header) -> io::Result<Option<Vec<u8>>> {
        let mut payload = vec![0; header.length as usize];
        let offset = at.offset + FRAME_HEADER as u64;
        let read = self.blocks.read(at.file, offset, at.end, &mut payload)?;
        Ok(Some(payload).filter(|payload| read == payload.len() && header.fits(payload)))
    }

    /// The chunk of a frame; `None` if its payload is damaged.
    fn chunk(&mut self, at: Stretch, header: Header) -> io::Result<Option<Chunk>> {
        let Some(mut data) = self.payload(at, &header)? else { return Ok(None) };
        self.time_us = header.time_us;
        self.last = Some((at.file, at.offset));
        let mut bytes = data.len() as u64;
        let stream = match header.kind {
            Kind::Stdout => Stream::Stdout,
            Kind::Stderr => Stream::Stderr,
            Kind::Mark | Kind::End => {
                let (missing, words) = mark_parts(&data);
                bytes = missing;
                data = words.to_vec();
                Stream::Mark
            }
        };
        self.position = header.position.saturating_add(bytes);
        Ok(Some(Chunk { attempt: self.attempt, stream, time_us: header.time_us, data }))
    }

    /// The mark for what is missing before this frame.
    fn gap(&mut self, before: &Header) -> Ready {
        let missing = before.position - self.position;
        self.position = before.position;
        let reason = self.trouble.take().unwrap_or(self.unexplained);
        self.mark(reason.mark(missing), before.time_us)
    }

    fn mark(&self, words: String, time_us: u64) -> Ready {
        let (attempt, data) = (self.attempt, words.into_bytes());
        Ready::Chunk(Chunk { attempt, stream: Stream::Mark, time_us, data })
    }

    /// Counts what is given out; whether another reader gave it out before.
    fn give(&mut self, chunk: &Chunk) -> bool {
        if chunk.stream != Stream::Mark || self.position > self.given.bytes {
            (self.given, self.marks_again) = (Place { bytes: self.position, marks: 0 }, 0);
            return false;
        }
        if self.marks_again > 0 {
            self.marks_again -= 1;
            return true;
        }
        self.given.marks += 1;
        false
    }

    /// Gives this stretch up; the next one may be in a better file.
    fn failed(&mut self, at: Stretch, source: io::Error) -> Ready {
        self.at = None;
        self.trouble = Some(Reason::Unreadable);
        let path = at.file.path(self.blocks.dir());
        Ready::Failed(ReadError::Read { path, offset: at.offset, source })
    }
}

impl Iterator for Frames {
    type Item = Result<Chunk, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let ready = self.ready.take().or_else(|| self.find())?;
            let (at, header) = match ready {
                Ready::Frame { at, header } => (at, header),
                Ready::Chunk(chunk) if self.give(&chunk) => continue,
                Ready::Chunk(chunk) => return Some(Ok(chunk)),
                Ready::Failed(error) => return Some(Err(error)),
            };
            match self.chunk(at, header) {
                Ok(Some(chunk)) if self.give(&chunk) => {}
                Ok(Some(chunk)) => return Some(Ok(chunk)),
                Ok(None) => self.trouble = Some(Reason::Damaged),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.trouble = Some(self.blocks.why_gone(at.file));
                }
                Err(error) => {
                    if let Ready::Failed(error) = self.failed(at, error) {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}
