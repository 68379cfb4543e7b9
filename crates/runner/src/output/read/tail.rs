//! The end of an attempt's output, found from behind.
//!
//! It exists because what is copied when an attempt ends must not cost more for an attempt that
//! wrote much. Frames are chained forward only, so a reader begins somewhere in the last stretches,
//! looks for a whole frame, and begins further in front where that was too late.

use std::collections::VecDeque;

use model::Attempt;
use proto::supervisor::Extent;

use super::frames::Place;
use super::{Chunk, ReadError, Store};
use crate::output::Stream;

/// No more than this is looked through, own frames and those of others: an attempt that wrote a
/// line an hour among many others has a shorter tail.
const WINDOW_BYTES_MAX: u64 = 16 << 20;

/// The last bytes of an attempt's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tail {
    /// How many bytes the attempt had written before them.
    pub position: u64,
    /// The chunks, and how far a reader has come with each.
    pub chunks: Vec<(Chunk, Place)>,
}

/// The tail of an attempt whose output lies in these stretches.
pub(super) fn read(
    store: &Store,
    attempt: Attempt,
    extents: &[Extent],
    bytes_max: usize,
) -> Result<Tail, ReadError> {
    let all: u64 = extents.iter().map(|extent| extent.length).fold(0, u64::saturating_add);
    let mut window = 2 * bytes_max as u64;
    loop {
        let whole = window >= all;
        let tail = last(store, attempt, &behind(extents, window), whole, bytes_max)?;
        let size: usize = tail.chunks.iter().map(|(chunk, _)| chunk.data.len()).sum();
        if whole || size >= bytes_max || window >= WINDOW_BYTES_MAX {
            return Ok(tail);
        }
        window *= 4;
    }
}

/// The last so many bytes of the stretches.
fn behind(extents: &[Extent], mut window: u64) -> Vec<Extent> {
    let mut last = VecDeque::new();
    for extent in extents.iter().rev() {
        let length = extent.length.min(window);
        let offset = extent.offset.saturating_add(extent.length - length);
        last.push_front(Extent { offset, length, ..*extent });
        window -= length;
        if window == 0 {
            break;
        }
    }
    last.into()
}

fn last(
    store: &Store,
    attempt: Attempt,
    extents: &[Extent],
    whole: bool,
    bytes_max: usize,
) -> Result<Tail, ReadError> {
    let mut frames = store.read(attempt, extents);
    if !whole {
        frames.begin_anywhere();
    }
    let mut tail = Cut { bytes_max, ..Cut::default() };
    while let Some(chunk) = frames.next() {
        let place = frames.place();
        tail.push(chunk?, place);
    }
    Ok(tail.finish())
}

/// Chunks of which the first go when there are too many bytes.
#[derive(Default)]
struct Cut {
    bytes_max: usize,
    bytes: usize,
    /// Of the output before the first chunk; `None` before there is one.
    position: Option<u64>,
    chunks: VecDeque<(Chunk, Place)>,
}

impl Cut {
    fn push(&mut self, chunk: Chunk, place: Place) {
        let length = chunk.data.len();
        let output = if chunk.stream == Stream::Mark { 0 } else { length as u64 };
        self.position.get_or_insert(place.bytes.saturating_sub(output));
        self.bytes += length;
        self.chunks.push_back((chunk, place));
        while let Some((first, place)) = self.chunks.front()
            && self.bytes - first.data.len() >= self.bytes_max
        {
            self.bytes -= first.data.len();
            self.position = Some(place.bytes);
            self.chunks.pop_front();
        }
    }

    fn finish(mut self) -> Tail {
        let excess = self.bytes.saturating_sub(self.bytes_max);
        if let Some((first, place)) = self.chunks.front_mut() {
            match first.stream {
                Stream::Mark if excess > 0 => {
                    self.position = Some(place.bytes);
                    self.chunks.pop_front();
                }
                _ => {
                    first.data.drain(..excess);
                    self.position = self.position.map(|position| position + excess as u64);
                }
            }
        }
        Tail { position: self.position.unwrap_or_default(), chunks: self.chunks.into() }
    }
}
