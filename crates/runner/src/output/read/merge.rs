//! The output of many attempts as one, by time.
//!
//! Of each attempt only the place and time of its next frame are in memory, so that an array of
//! ten thousand costs little more than one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Chunk, Frames, ReadError};

/// Iterates over the chunks of many attempts in the order of their times. Chunks of one attempt
/// stay in the order they were written though a clock was set back; at the same time the attempt
/// that was given first comes first.
pub struct Merge {
    sources: Vec<Frames>,
    /// The time of a source's next chunk, but never before that of its last.
    next: BinaryHeap<Reverse<(u64, usize)>>,
}

impl Merge {
    /// Merges these.
    pub fn new(sources: impl IntoIterator<Item = Frames>) -> Merge {
        let mut sources: Vec<Frames> = sources.into_iter().collect();
        let times = sources.iter_mut().enumerate();
        let next = times.filter_map(|(at, source)| Some(Reverse((source.next_time_us()?, at))));
        Merge { next: next.collect(), sources }
    }
}

impl Iterator for Merge {
    type Item = Result<Chunk, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((time_us, at)) = self.next.pop()?;
            let source = &mut self.sources[at];
            let chunk = source.next();
            if let Some(next_us) = source.next_time_us() {
                self.next.push(Reverse((next_us.max(time_us), at)));
            }
            // `None` if the frame that was found turned out damaged and nothing follows.
            if chunk.is_some() {
                return chunk;
            }
        }
    }
}
