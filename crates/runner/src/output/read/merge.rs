//! The output of many attempts as one, by time.
//!
//! Of each attempt only the place and time of its next frame are in memory, so that an array of
//! ten thousand costs little more than one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use model::Attempt;
use proto::supervisor::Extent;

use super::{Chunk, Frames, Place, ReadError, Store};
use crate::output::mark;

/// Iterates over the chunks of many attempts in the order of their times. Chunks of one attempt
/// stay in the order they were written though a clock was set back; at the same time the attempt
/// that was given first comes first.
///
/// After its end [`Merge::extend`] makes it go on.
#[derive(Default)]
pub struct Merge {
    sources: Vec<Source>,
    by_attempt: BTreeMap<Attempt, usize>,
    /// The times of the sources' next chunks.
    next: BinaryHeap<Reverse<(u64, usize)>>,
}

struct Source {
    frames: Frames,
    /// It has an entry in `next`.
    waits: bool,
}

impl Merge {
    /// Merges these.
    pub fn new(sources: impl IntoIterator<Item = Frames>) -> Merge {
        let mut merge = Merge::default();
        for frames in sources {
            merge.add(frames);
        }
        merge
    }

    /// Merges more of an attempt, which may be a new one; `store` holds it.
    pub fn extend(&mut self, store: &Store, attempt: Attempt, extents: &[Extent]) {
        self.change(store, attempt, |frames| frames.extend(extents));
    }

    /// As [`Merge::extend`] for all there is of an attempt that ended with its supervisor: a mark
    /// behind it says so, once.
    pub fn lost(&mut self, store: &Store, attempt: Attempt, extents: &[Extent]) {
        self.change(store, attempt, |frames| frames.lost(extents));
    }

    /// Nothing lists the output of this attempt: a mark says why, once.
    pub fn unlisted(&mut self, store: &Store, attempt: Attempt, why: &str) {
        self.change(store, attempt, |frames| frames.close(mark::unlisted(why)));
    }

    /// An attempt's output begins where another reader has come to; before anything of it is merged.
    pub fn begin_at(&mut self, store: &Store, attempt: Attempt, place: Place) {
        self.change(store, attempt, |frames| frames.begin_at(place));
    }

    /// How far an attempt's output has been given out.
    pub fn place(&self, attempt: Attempt) -> Place {
        self.by_attempt.get(&attempt).map(|&at| self.sources[at].frames.place()).unwrap_or_default()
    }

    fn change(&mut self, store: &Store, attempt: Attempt, change: impl FnOnce(&mut Frames)) {
        let at = match self.by_attempt.get(&attempt) {
            Some(&at) => at,
            None => self.add(store.read(attempt, &[])),
        };
        change(&mut self.sources[at].frames);
        self.wait(at);
    }

    fn add(&mut self, frames: Frames) -> usize {
        let at = self.sources.len();
        self.by_attempt.insert(frames.attempt(), at);
        self.sources.push(Source { frames, waits: false });
        self.wait(at);
        at
    }

    /// Puts a source in line, if it has more and is not in line yet.
    fn wait(&mut self, at: usize) {
        let source = &mut self.sources[at];
        if !source.waits
            && let Some(next_us) = source.frames.next_time_us()
        {
            source.waits = true;
            self.next.push(Reverse((next_us, at)));
        }
    }
}

impl Iterator for Merge {
    type Item = Result<Chunk, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Reverse((_, at)) = self.next.pop()?;
            let source = &mut self.sources[at];
            source.waits = false;
            let chunk = source.frames.next();
            self.wait(at);
            // `None` if the frame that was found turned out damaged and nothing follows.
            if chunk.is_some() {
                return chunk;
            }
        }
    }
}
