//! Output on its way from the node where it lies to a reader on any node.
//!
//! ```text
//!  a worker node                        │  a control node
//!  Local ─▶ Server ─▶ Outbound ═ session ═▶ Inbound ─▶ Remote ─┐
//!                                       │  Local (its own) ─────┼─▶ Gather ─▶ the reader of a run
//!                                       │  Elsewhere (peers) ───┤
//!                                       │  tails (node gone) ───┘
//! ```
//!
//! Whoever reads holds a [`Reading`], whatever is at the other end. It ends when it is cut off, and
//! the reader asks again from the places it has come to; nothing in between remembers a reader.
//! Output must never hold up what the cluster lives by: it is sent when nothing else waits, and a
//! reader that is slow stops its own reading and no other.

mod absent;
mod elsewhere;
mod gather;
mod inbound;
mod local;
mod outbound;
mod peers;
mod reading;
mod remote;
mod serve;
mod tails;
mod ways;
mod wire;

use std::collections::BTreeMap;

use model::{Attempt, OutputRef, RangeSet, RunId, TaskPosition};
use runner::output::Place;

pub(crate) use absent::Absent;
#[cfg(test)]
pub(crate) use elsewhere::Elsewhere;
pub(crate) use gather::{Gather, Over, Step};
pub(crate) use inbound::Inbound;
pub(crate) use local::Local;
pub(crate) use outbound::Outbound;
pub(crate) use peers::{Contacts, Peers};
#[cfg(test)]
pub(crate) use reading::{Broken, Reading};
pub(crate) use remote::{Connection, Remote};
pub(crate) use serve::Server;
pub(crate) use tails::{ASKED_MAX, Keeping, Tails};
pub(crate) use ways::Ways;

#[cfg(test)]
pub(crate) mod tests;

/// What the tail of an attempt's output has at the most, in bytes.
pub(crate) const TAIL_BYTES: usize = 64 << 10;
/// Ended attempts of one reading.
pub(crate) const LISTED_MAX: usize = 100_000;
/// What a chunk costs beside its bytes.
const CHUNK_COST: usize = 64;

/// Which streams are wanted. Marks of Windlass itself are always shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streams {
    /// Both.
    #[default]
    Both,
    /// Standard output alone.
    Stdout,
    /// Standard error alone.
    Stderr,
}

impl Streams {
    fn wants(self, stream: u8) -> bool {
        match self {
            Streams::Both => true,
            Streams::Stdout => stream != 2,
            Streams::Stderr => stream != 1,
        }
    }
}

/// Some output of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Who wrote it.
    pub attempt: Attempt,
    /// 1: standard output, 2: standard error, 3: a mark of Windlass itself.
    pub stream: u8,
    /// When, Unix microseconds.
    pub time_us: u64,
    /// The bytes as they were written.
    pub data: Vec<u8>,
}

impl Chunk {
    /// Words of Windlass itself.
    fn mark(attempt: Attempt, time_us: u64, words: &str) -> Chunk {
        Chunk { attempt, stream: 3, time_us, data: words.as_bytes().to_vec() }
    }
}

/// A chunk, and how far a reader of its attempt has come with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Without data there is nothing to show, but the place moves.
    pub(crate) chunk: Chunk,
    pub(crate) place: Place,
}

/// Some chunks of a reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    /// In order for each attempt, and of all that is there by time.
    pub(crate) chunks: Vec<Placed>,
    /// All that is there has been given; more may come.
    pub(crate) caught_up: bool,
}

impl Piece {
    /// What it takes of what a reader allows.
    fn cost(&self) -> usize {
        let chunks = self.chunks.iter().map(|placed| placed.chunk.data.len() + CHUNK_COST);
        chunks.sum::<usize>().max(CHUNK_COST)
    }
}

/// What lists the output of an attempt that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// Its last frame.
    End(OutputRef),
    /// It was given up, with its supervisor or its node, before its end was known; what a supervisor that was
    /// killed had written is kept, if anything was found. `unheard`: its node was given up
    /// while it ran, so that nothing may tell of what it wrote.
    Lost { unheard: bool },
    /// Nothing: its facts are damaged.
    Damaged,
}

/// An attempt that has ended and may have written something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) attempt: Attempt,
    pub(crate) list: List,
    /// How much it wrote, as far as that is known.
    pub(crate) bytes: u64,
    /// When it ended, Unix microseconds.
    pub(crate) ended_us: u64,
}

/// What is wanted of the output of one run that lies on one node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) run: RunId,
    /// Attempts that have not ended, as far as the node knows, with these indices of these tasks.
    pub(crate) live: BTreeMap<TaskPosition, RangeSet>,
    /// Of those only attempts of this number.
    pub(crate) attempt: Option<u32>,
    pub(crate) streams: Streams,
    /// Go on with what comes.
    pub(crate) follow: bool,
    pub(crate) ended: Vec<Ended>,
    /// How far attempts have been read before.
    pub(crate) places: BTreeMap<Attempt, Place>,
}

impl Wanted {
    /// Whether this attempt is wanted though nothing lists its output.
    fn selects(&self, attempt: Attempt) -> bool {
        let element = attempt.element;
        element.run == self.run
            && self.attempt.is_none_or(|number| number == attempt.number)
            && self.live.get(&element.task).is_some_and(|all| all.contains(element.index))
    }
}
