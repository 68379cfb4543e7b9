//! The form of segments and frames, and nothing about where or when they are written.
//!
//! ```text
//! file    "windlass output" 15 | version 1 | frame | frame | …
//! frame   magic 4 | crc of the header 4 | crc of the payload 4 | length 4 | kind 1 | zero 3 |
//!         number 4 | task 4 | index 4 | run 8 | time_us 8 | position 8 | payload
//! ```
//!
//! Integers are little-endian, checksums crc32c. The header has its own checksum so that a reader
//! passes over frames of others without reading them; it covers the file's number and the frame's
//! offset too, so that a copy of a frame inside some task's output is never taken for a frame.
//! `position` is how many bytes the attempt had written before: a gap shows how much is missing.

use std::path::{Path, PathBuf};

use model::{Attempt, Element, Outcome, RunId};
use prost::Message as _;
use proto::job;
use proto::supervisor::Extent;

/// What every file begins with, for people and tools: readers go by the frames, whose magic has
/// the version too, so that damage here loses nothing.
pub(super) const FILE_HEADER: [u8; 16] = *b"windlass output\x01";
/// Length of a frame's header.
pub(super) const FRAME_HEADER: usize = 56;
/// No frame has a longer payload, so that a reader's memory has a limit.
pub(super) const PAYLOAD_MAX: usize = 64 << 10;
/// The first bytes of every frame; what a reader looks for behind damage.
pub(super) const FRAME_MAGIC: [u8; 4] = [0xf7, b'W', b'f', 0x01];

/// One file of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FileId {
    /// A segment that all attempts share.
    Segment(u32),
    /// A file of one attempt, by its number from 1.
    Own(Attempt, u32),
}

impl FileId {
    /// The file of an extent of this attempt.
    pub(super) fn of(attempt: Attempt, extent: &Extent) -> FileId {
        match extent.own_file {
            0 => FileId::Segment(extent.segment),
            number => FileId::Own(attempt, number),
        }
    }

    /// The extent of so many bytes from `offset` on.
    pub(super) fn extent(self, offset: u64, length: u64) -> Extent {
        match self {
            FileId::Segment(segment) => Extent { own_file: 0, segment, offset, length },
            FileId::Own(_, own_file) => Extent { own_file, segment: 0, offset, length },
        }
    }

    /// Where it lies under the output directory.
    pub(super) fn path(self, dir: &Path) -> PathBuf {
        match self {
            FileId::Segment(number) => dir.join(format!("{number:08}.seg")),
            FileId::Own(attempt, number) => own_dir(dir, attempt).join(format!("{number:03}.out")),
        }
    }

    /// The checksum that every header's checksum in this file at `offset` continues.
    fn seed(self, offset: u64) -> u32 {
        let (own, number) = match self {
            FileId::Segment(number) => (0, number),
            FileId::Own(_, number) => (1, number),
        };
        let mut place = [0; 13];
        place[0] = own;
        place[1..5].copy_from_slice(&number.to_le_bytes());
        place[5..].copy_from_slice(&offset.to_le_bytes());
        crc32c::crc32c(&place)
    }
}

/// The directory of an attempt's own files.
pub(super) fn own_dir(dir: &Path, attempt: Attempt) -> PathBuf {
    dir.join("own").join(attempt_name(attempt))
}

/// What is called after an attempt has this name.
pub(super) fn attempt_name(attempt: Attempt) -> String {
    let Element { run, task, index } = attempt.element;
    format!("{run}-{task}-{index}-{}", attempt.number)
}

/// Whose name [`attempt_name`] made.
pub(super) fn attempt_of_name(name: &str) -> Option<Attempt> {
    let mut parts = name.split('-');
    let run = RunId(parts.next()?.parse().ok()?);
    let mut number = || parts.next()?.parse().ok();
    let (task, index, attempt) = (number()?, number()?, number()?);
    let attempt = Attempt { element: Element { run, task, index }, number: attempt };
    Some(attempt).filter(|attempt| attempt_name(*attempt) == name)
}

/// The number of an own file by its name.
pub(super) fn own_number(name: &str) -> Option<u32> {
    name.strip_suffix(".out").filter(|digits| digits.len() >= 3)?.parse().ok()
}

/// The number of a segment by its file's name.
pub(super) fn segment_number(name: &str) -> Option<u32> {
    name.strip_suffix(".seg").filter(|digits| digits.len() >= 8)?.parse().ok()
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes of standard output.
    Stdout = 1,
    /// Bytes of standard error.
    Stderr = 2,
    /// How many bytes are missing here (8 bytes), and words about it.
    Mark = 3,
    /// An [`End`].
    End = 4,
}

/// A frame without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) attempt: Attempt,
    pub(super) time_us: u64,
    /// How many bytes the attempt had written before this frame, kept or not.
    pub(super) position: u64,
    /// Of the payload.
    pub(super) length: u32,
    payload_crc: u32,
}

impl Header {
    /// The header of a frame with this payload.
    pub(super) fn new(
        kind: Kind,
        attempt: Attempt,
        time_us: u64,
        position: u64,
        payload: &[u8],
    ) -> Header {
        let length = u32::try_from(payload.len()).expect("payloads are cut to PAYLOAD_MAX");
        let payload_crc = crc32c::crc32c(payload);
        Header { kind, attempt, time_us, position, length, payload_crc }
    }

    /// Length of the whole frame.
    pub(super) fn frame_length(&self) -> u64 {
        FRAME_HEADER as u64 + u64::from(self.length)
    }

    /// The header as it stands in `file` at `offset`.
    pub(super) fn encode(&self, file: FileId, offset: u64) -> [u8; FRAME_HEADER] {
        let mut bytes = [0; FRAME_HEADER];
        let element = self.attempt.element;
        bytes[..4].copy_from_slice(&FRAME_MAGIC);
        bytes[8..12].copy_from_slice(&self.payload_crc.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16] = self.kind as u8;
        bytes[20..24].copy_from_slice(&self.attempt.number.to_le_bytes());
        bytes[24..28].copy_from_slice(&element.task.to_le_bytes());
        bytes[28..32].copy_from_slice(&element.index.to_le_bytes());
        bytes[32..40].copy_from_slice(&element.run.0.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.time_us.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.position.to_le_bytes());
        let crc = crc32c::crc32c_append(file.seed(offset), &bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header that stands in `file` at `offset`; `None` if what stands there is none.
    pub(super) fn decode(bytes: &[u8; FRAME_HEADER], file: FileId, offset: u64) -> Option<Header> {
        let u32_at = |at: usize| u32::from_le_bytes(array(&bytes[at..at + 4]));
        let u64_at = |at: usize| u64::from_le_bytes(array(&bytes[at..at + 8]));
        if bytes[..4] != FRAME_MAGIC {
            return None;
        }
        let crc = crc32c::crc32c_append(file.seed(offset), &bytes[8..]);
        let length = u32_at(12);
        if u32_at(4) != crc || length as usize > PAYLOAD_MAX {
            return None;
        }
        let kind = match bytes[16] {
            1 => Kind::Stdout,
            2 => Kind::Stderr,
            3 => Kind::Mark,
            4 => Kind::End,
            _ => return None,
        };
        let element = Element { run: RunId(u64_at(32)), task: u32_at(24), index: u32_at(28) };
        let attempt = Attempt { element, number: u32_at(20) };
        let (time_us, position) = (u64_at(40), u64_at(48));
        Some(Header { kind, attempt, time_us, position, length, payload_crc: u32_at(8) })
    }

    /// Whether these bytes are the payload that was written with this header.
    pub(super) fn fits(&self, payload: &[u8]) -> bool {
        payload.len() == self.length as usize && crc32c::crc32c(payload) == self.payload_crc
    }
}

/// Makes the checksums right of what begins at these bytes, which stand in `file` at `offset`; the
/// length of its payload, if it is all there.
pub(super) fn mended(bytes: &mut [u8], file: FileId, offset: u64) -> Option<usize> {
    let length = u32::from_le_bytes(array(bytes.get(12..16)?)) as usize % (PAYLOAD_MAX + 1);
    let length = length.min(bytes.len().checked_sub(FRAME_HEADER)?);
    bytes[12..16].copy_from_slice(&(length as u32).to_le_bytes());
    let payload_crc = crc32c::crc32c(&bytes[FRAME_HEADER..FRAME_HEADER + length]);
    bytes[8..12].copy_from_slice(&payload_crc.to_le_bytes());
    let crc = crc32c::crc32c_append(file.seed(offset), &bytes[8..FRAME_HEADER]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
    Some(length)
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the slice was cut to this length")
}

/// The last frame of an attempt: how it ended and where all of its output lies.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct End {
    /// Without its `output`, which is this frame's own place.
    #[prost(message, optional, tag = "1")]
    pub(super) outcome: Option<job::Outcome>,
    #[prost(message, repeated, tag = "2")]
    pub(super) extents: Vec<Extent>,
}

impl End {
    /// The payload of an end frame.
    pub(super) fn payload(outcome: &Outcome, extents: Vec<Extent>) -> Vec<u8> {
        let outcome = Outcome { output: None, ..outcome.clone() };
        let mut end = End { outcome: Some(outcome.into()), extents };
        if end.encoded_len() > PAYLOAD_MAX
            && let Some(job::outcome::Ending::NotStarted(not_started)) =
                end.outcome.as_mut().and_then(|outcome| outcome.ending.as_mut())
        {
            // Nothing else in it has a length of somebody's choice.
            let cut = not_started.why.floor_char_boundary(1024);
            not_started.why.truncate(cut);
        }
        end.encode_to_vec()
    }
}

/// The payload of a mark: how many bytes are missing, and the words.
pub(super) fn mark_payload(missing_bytes: u64, words: &str) -> Vec<u8> {
    let mut payload = missing_bytes.to_le_bytes().to_vec();
    payload.extend_from_slice(words.as_bytes());
    payload
}

/// Takes a mark's payload apart.
pub(super) fn mark_parts(payload: &[u8]) -> (u64, &[u8]) {
    match payload.split_at_checked(8) {
        Some((missing, words)) => (u64::from_le_bytes(array(missing)), words),
        None => (0, payload),
    }
}
