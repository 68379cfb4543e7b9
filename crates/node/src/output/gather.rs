//! Readings of many nodes as one, by time.
//!
//! Chunks of one attempt stay in their order; across nodes they are by time for what is there. One
//! node that says nothing for a while does not keep the others waiting.
//! What was given out of an attempt is remembered, and nothing of it is given out again: a reading
//! that was cut off and begun anew may bring some of it twice.

use std::collections::{BTreeMap, VecDeque};
use std::task::{Context, Poll};
use std::time::Duration;

use model::{Attempt, NodeId};
use runner::output::Place;

use super::reading::{Broken, Reading};
use super::{Chunk, Placed, Wanted};

/// How long others wait for a reading that neither brings something nor says that there is nothing.
const STALL: Duration = Duration::from_secs(2);

/// Readings, and how far attempts have been read.
#[derive(Default)]
pub(crate) struct Gather {
    sources: Vec<Source>,
    places: BTreeMap<Attempt, Place>,
    /// That everything that is there was given out has been said.
    is_told: bool,
}

struct Source {
    node: NodeId,
    wanted: Wanted,
    reading: Reading,
    buffered: VecDeque<Placed>,
    /// Nobody waits for it just now.
    is_idle: bool,
    /// It has brought something.
    is_alive: bool,
    end: Option<Result<(), Broken>>,
}

/// A reading that is over.
#[derive(Debug)]
pub(crate) struct Over {
    pub(crate) node: NodeId,
    /// What it was to read.
    pub(crate) wanted: Wanted,
    /// It has brought something.
    pub(crate) was_alive: bool,
    pub(crate) end: Result<(), Broken>,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Step {
    Chunk(Chunk),
    Over(Box<Over>),
    /// Everything that is there was given out.
    CaughtUp,
}

impl Gather {
    /// Adds a reading of what is wanted of a node.
    pub(crate) fn add(&mut self, node: NodeId, wanted: Wanted, reading: Reading) {
        self.is_told = false;
        self.sources.push(Source {
            node,
            // How far it is read is known here.
            wanted: Wanted { places: BTreeMap::new(), ..wanted },
            reading,
            buffered: VecDeque::new(),
            is_idle: false,
            is_alive: false,
            end: None,
        });
    }

    /// Ends all readings.
    pub(crate) fn clear(&mut self) {
        self.sources.clear();
    }

    /// Whether nothing is read any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Whether [`Step::CaughtUp`] was the last step, and nothing has come since.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.is_told
    }

    /// How far an attempt has been given out.
    pub(crate) fn place(&self, attempt: Attempt) -> Option<Place> {
        self.places.get(&attempt).copied()
    }

    /// Whether anything has been given out.
    pub(crate) fn has_places(&self) -> bool {
        !self.places.is_empty()
    }

    /// The next step. It may be dropped while it waits, nothing is lost.
    pub(crate) async fn next(&mut self) -> Step {
        let mut stall = None;
        std::future::poll_fn(|context| {
            loop {
                if let Poll::Ready(step) = self.poll(context) {
                    return Poll::Ready(step);
                }
                if self.sources.iter().all(|source| source.buffered.is_empty()) {
                    return Poll::Pending;
                }
                let stall = stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(STALL)));
                if stall.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.sources.iter_mut().for_each(|source| source.is_idle = true);
            }
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        loop {
            for source in &mut self.sources {
                self.is_told &= !source.poll(context);
            }
            let over = |source: &Source| source.end.is_some() && source.buffered.is_empty();
            if let Some(at) = self.sources.iter().position(over) {
                self.is_told = false;
                let source = self.sources.swap_remove(at);
                return Poll::Ready(Step::Over(Box::new(source.over())));
            }
            if self.sources.iter().any(|source| source.buffered.is_empty() && !source.is_idle) {
                return Poll::Pending;
            }
            let heads = self
                .sources
                .iter()
                .enumerate()
                .filter_map(|(at, source)| Some((source.buffered.front()?.chunk.time_us, at)));
            let Some((_, at)) = heads.min() else {
                return match std::mem::replace(&mut self.is_told, true) {
                    true => Poll::Pending,
                    false => Poll::Ready(Step::CaughtUp),
                };
            };
            if let Some(placed) = self.sources[at].buffered.pop_front()
                && let Some(chunk) = self.give(placed)
            {
                return Poll::Ready(Step::Chunk(chunk));
            }
        }
    }

    /// The chunk, unless there is nothing to show in it or it was given out before.
    fn give(&mut self, placed: Placed) -> Option<Chunk> {
        let Placed { chunk, place } = placed;
        let known = self.places.entry(chunk.attempt).or_default();
        if place <= *known {
            return None;
        }
        *known = place;
        (!chunk.data.is_empty()).then_some(chunk)
    }
}

impl Source {
    /// Takes what has come, if there is nothing left of what came before; whether something has.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let mut has_come = false;
        while self.buffered.is_empty() && self.end.is_none() {
            match self.reading.poll_next(context) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(piece))) => {
                    self.is_alive = true;
                    self.is_idle = piece.caught_up;
                    has_come |= !piece.chunks.is_empty();
                    self.buffered.extend(piece.chunks);
                }
                Poll::Ready(Some(Err(broken))) => self.end = Some(Err(broken)),
                Poll::Ready(None) => self.end = Some(Ok(())),
            }
        }
        has_come
    }

    fn over(self) -> Over {
        let Source { node, wanted, is_alive, end, .. } = self;
        Over { node, wanted, was_alive: is_alive, end: end.unwrap_or(Ok(())) }
    }
}
