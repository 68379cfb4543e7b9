//! What can be shown of the output of a node that cannot be read: the tails that were kept, and
//! marks in the place of the rest.
//!
//! Nothing may be missing without a word: whoever sees no mark may trust that all is there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use model::{Attempt, NodeId};
use runner::output::Place;
use tokio::sync::mpsc;

use super::elsewhere::Elsewhere;
use super::reading::{Broken, Reading};
use super::tails::{self, Kept, Tails};
use super::{Chunk, Ended, List, Piece, Placed, Wanted, wire};

/// Pieces between the disk and a reader.
const PIECES_MAX: usize = 2;
/// A piece has so many chunks.
const CHUNKS_AT_ONCE: usize = 64;

/// A node that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Absent {
    pub(crate) node: NodeId,
    /// Where its output lies and why that cannot be read: `node w1, which is gone`.
    pub(crate) words: String,
    /// Attempts that run there, of which nothing can be shown.
    pub(crate) running: BTreeSet<Attempt>,
}

/// Reads what there is of the ended attempts that are wanted, here or at another control node.
pub(super) fn read(
    tails: Arc<Tails>,
    elsewhere: Option<Arc<dyn Elsewhere>>,
    absent: Absent,
    wanted: Wanted,
) -> Reading {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    tokio::spawn(async move {
        if let Some(elsewhere) = elsewhere {
            tokio::select! {
                () = tails::fetch(&tails, &*elsewhere, absent.node, &wanted) => {}
                () = sender.closed() => return,
            }
        }
        let work = tokio::task::spawn_blocking(move || Work::begin(tails, absent, wanted)).await;
        let Ok(mut work) = work else { return };
        loop {
            let stay = tokio::task::spawn_blocking(move || {
                let chunks = work.chunks();
                (work, chunks)
            });
            let (back, chunks) = match stay.await {
                Ok(done) => done,
                Err(error) => {
                    // The reader may have gone.
                    let _ = sender.send(Err(Broken::failed(error.to_string()))).await;
                    return;
                }
            };
            work = back;
            if chunks.is_empty()
                || sender.send(Ok(Piece { chunks, caught_up: false })).await.is_err()
            {
                return;
            }
        }
    });
    Reading::new(pieces)
}

/// One word for all that run there, where the first of them would be.
fn running(absent: &Absent, wanted: &Wanted) -> Option<Placed> {
    let first = *absent.running.first()?;
    let what = match absent.running.len() {
        1 => "what one attempt has".to_owned(),
        count => format!("what {count} attempts have"),
    };
    let words =
        format!("[windlass: {what} written so far cannot be shown: it lies on {}]", absent.words);
    let place = wanted.places.get(&first).copied().unwrap_or_default();
    let place = Place { marks: place.marks + 1, ..place };
    Some(Placed { chunk: Chunk::mark(first, 0, &words), place })
}

struct Work {
    tails: Arc<Tails>,
    absent: Absent,
    wanted: Wanted,
    found: BTreeMap<Attempt, Kept>,
    /// The next chunk of each attempt, by time. A tail is read when its turn comes, so that only
    /// those of attempts that ran side by side are in memory together.
    next: BinaryHeap<Reverse<(u64, usize)>>,
    /// Chunks of attempts whose turn has come, the last first.
    begun: BTreeMap<usize, Vec<Placed>>,
}

impl Work {
    fn begin(tails: Arc<Tails>, absent: Absent, wanted: Wanted) -> Work {
        let attempts: BTreeSet<Attempt> = wanted.ended.iter().map(|ended| ended.attempt).collect();
        let found = tails.find(absent.node, wanted.run, &attempts);
        let time_us =
            |ended: &Ended| found.get(&ended.attempt).map_or(ended.ended_us, |k| k.time_us);
        let all = wanted.ended.iter().enumerate();
        let mut next: BinaryHeap<_> =
            all.map(|(at, ended)| Reverse((time_us(ended), at))).collect();
        let mut begun = BTreeMap::new();
        if let Some(running) = running(&absent, &wanted) {
            next.push(Reverse((0, usize::MAX)));
            begun.insert(usize::MAX, vec![running]);
        }
        Work { tails, absent, wanted, found, next, begun }
    }

    fn chunks(&mut self) -> Vec<Placed> {
        let mut chunks = Vec::new();
        while chunks.len() < CHUNKS_AT_ONCE
            && let Some(Reverse((_, at))) = self.next.pop()
        {
            let mut rest = match self.begun.remove(&at) {
                Some(rest) => rest,
                None => self.all_of(&self.wanted.ended[at]),
            };
            chunks.extend(rest.pop());
            if let Some(next) = rest.last() {
                self.next.push(Reverse((next.chunk.time_us, at)));
                self.begun.insert(at, rest);
            }
        }
        chunks
    }

    /// All there is to show of an attempt, the last first.
    fn all_of(&self, ended: &Ended) -> Vec<Placed> {
        let attempt = ended.attempt;
        let mut place = self.wanted.places.get(&attempt).copied().unwrap_or_default();
        let tail = self.found.get(&attempt).and_then(|kept| self.tails.load(*kept));
        let (start, chunks) = tail.map(|tail| (tail.position, tail.chunks)).unwrap_or_default();
        let chunks = chunks.into_iter().filter_map(|chunk| wire::placed(attempt, chunk));
        let chunks: Vec<Placed> = chunks.filter(|placed| placed.place > place).collect();
        let mut all = Vec::new();
        if let Some(first) = chunks.first()
            && start > place.bytes
        {
            all.push(self.gap(attempt, first.chunk.time_us, &mut place, start));
        }
        place = chunks.last().map_or(place, |last| last.place);
        let shown = |placed: &Placed| self.wanted.streams.wants(placed.chunk.stream);
        all.extend(chunks.into_iter().filter(shown));
        let is_lost = matches!(ended.list, List::Lost { .. });
        if !is_lost && ended.bytes > place.bytes {
            all.push(self.gap(attempt, ended.ended_us, &mut place, ended.bytes));
        }
        if is_lost {
            let words =
                format!("[windlass: output may be missing here: it lay on {}]", self.absent.words);
            let place = Place { marks: place.marks + 1, ..place };
            all.push(Placed { chunk: Chunk::mark(attempt, ended.ended_us, &words), place });
        }
        all.reverse();
        all
    }

    /// The mark for what is missing up to this byte.
    fn gap(&self, attempt: Attempt, time_us: u64, place: &mut Place, to: u64) -> Placed {
        let missing = model::text::size(to - place.bytes);
        let words = &self.absent.words;
        let words = format!("[windlass: {missing} of output missing here: it lay on {words}]");
        *place = Place { bytes: to, marks: 0 };
        Placed { chunk: Chunk::mark(attempt, time_us, &words), place: *place }
    }
}
