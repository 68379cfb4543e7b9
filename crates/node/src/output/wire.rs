//! What is wanted and what is found of output, between nodes.
//!
//! What another node says is taken as far as it makes sense and no further: a chunk of another run,
//! or of no attempt, is left out.

use model::{Attempt, OutputRef, RangeSet, RunId};
use proto::job;
use proto::session::{
    EndedOutput, IndexRange, Output, OutputChunk, OutputEnd, OutputPlace, OutputStreams,
    OutputWanted, TaskElements,
};
use runner::output::Place;

use super::reading::Broken;
use super::{Chunk, Ended, LISTED_MAX, List, Piece, Placed, Streams, Wanted};

/// Attempts that one message of a session lists.
const ENTRIES_MAX: usize = 4096;

impl Wanted {
    /// The messages that ask for it in a session, in order: none is large.
    pub(super) fn to_messages(&self) -> Vec<OutputWanted> {
        self.split(ENTRIES_MAX)
    }

    /// One message that asks for all of it.
    pub(super) fn to_message(&self) -> OutputWanted {
        self.split(usize::MAX).pop().unwrap_or_default()
    }

    fn split(&self, entries_max: usize) -> Vec<OutputWanted> {
        let range = |range: std::ops::RangeInclusive<u32>| IndexRange {
            first: *range.start(),
            last: *range.end(),
        };
        let mut first = OutputWanted {
            run: self.run.0,
            live: (self.live.iter())
                .map(|(task, all)| TaskElements {
                    task: *task,
                    indices: all.ranges().map(range).collect(),
                })
                .collect(),
            attempt: self.attempt.unwrap_or(0),
            follow: self.follow,
            ..OutputWanted::default()
        };
        first.set_streams(self.streams.into());
        let mut messages = vec![first];
        let last = |messages: &mut Vec<OutputWanted>| {
            let full =
                |last: &&mut OutputWanted| last.ended.len() + last.places.len() >= entries_max;
            if let Some(last) = messages.last_mut().filter(full) {
                last.more = true;
                messages.push(OutputWanted { run: self.run.0, ..OutputWanted::default() });
            }
            messages.len() - 1
        };
        for ended in &self.ended {
            // Damaged facts are this node's own.
            let at = match ended.list {
                List::End(at) => Some(job::OutputRef { segment: at.segment, offset: at.offset }),
                List::Lost { .. } => None,
                List::Damaged => continue,
            };
            let to = last(&mut messages);
            let (attempt, unheard) =
                (Some(ended.attempt.into()), ended.list == List::Lost { unheard: true });
            messages[to].ended.push(EndedOutput { attempt, at, unheard });
        }
        for (attempt, place) in &self.places {
            let to = last(&mut messages);
            let Place { bytes, marks } = *place;
            let attempt = Some((*attempt).into());
            messages[to].places.push(OutputPlace { attempt, bytes, marks });
        }
        messages
    }

    /// What the first message asks for.
    pub(super) fn begin(message: OutputWanted) -> Wanted {
        let mut wanted = Wanted {
            run: RunId(message.run),
            attempt: Some(message.attempt).filter(|number| *number > 0),
            streams: message.streams().into(),
            follow: message.follow,
            ..Wanted::default()
        };
        for elements in &message.live {
            let all: &mut RangeSet = wanted.live.entry(elements.task).or_default();
            elements.indices.iter().for_each(|range| all.insert_range(range.first..=range.last));
        }
        wanted.add(message);
        wanted
    }

    /// What a message adds to those before.
    pub(super) fn add(&mut self, message: OutputWanted) {
        for one in message.ended {
            let Some(attempt) = one.attempt.map(Attempt::from) else { continue };
            let at = one.at.map(|at| OutputRef { segment: at.segment, offset: at.offset });
            let list = at.map_or(List::Lost { unheard: one.unheard }, List::End);
            if attempt.element.run == self.run {
                self.ended.push(Ended { attempt, list, bytes: 0, ended_us: 0 });
            }
        }
        for one in message.places {
            if let Some(attempt) = one.attempt {
                let place = Place { bytes: one.bytes, marks: one.marks };
                self.places.insert(attempt.into(), place);
            }
        }
    }

    /// Whether it lists more attempts than one reading may.
    pub(super) fn is_too_long(&self) -> bool {
        // As many places, and those of some that run.
        self.ended.len() > LISTED_MAX || self.places.len() > 2 * LISTED_MAX
    }
}

impl From<Streams> for OutputStreams {
    fn from(streams: Streams) -> OutputStreams {
        match streams {
            Streams::Both => OutputStreams::Both,
            Streams::Stdout => OutputStreams::Stdout,
            Streams::Stderr => OutputStreams::Stderr,
        }
    }
}

impl From<OutputStreams> for Streams {
    fn from(streams: OutputStreams) -> Streams {
        match streams {
            OutputStreams::Both => Streams::Both,
            OutputStreams::Stdout => Streams::Stdout,
            OutputStreams::Stderr => Streams::Stderr,
        }
    }
}

/// A piece, or the end of a reading, as a message.
pub(super) fn output(number: u64, piece: Option<Result<Piece, Broken>>) -> Output {
    match piece {
        Some(Ok(piece)) => Output {
            number,
            chunks: piece.chunks.into_iter().map(|placed| chunk(placed, true)).collect(),
            caught_up: piece.caught_up,
            end: None,
        },
        Some(Err(Broken { why, retry })) => {
            Output { number, end: Some(OutputEnd { why, retry }), ..Output::default() }
        }
        None => Output { number, end: Some(OutputEnd::default()), ..Output::default() },
    }
}

/// A chunk as a message.
pub(super) fn chunk(placed: Placed, with_attempt: bool) -> OutputChunk {
    let Placed { chunk, place } = placed;
    OutputChunk {
        attempt: with_attempt.then(|| chunk.attempt.into()),
        stream: u32::from(chunk.stream),
        time_us: chunk.time_us,
        data: chunk.data,
        bytes: place.bytes,
        marks: place.marks,
    }
}

/// What a message brings: perhaps a piece of this run, and perhaps the end.
pub(super) fn piece(run: RunId, output: Output) -> (Option<Piece>, Option<Result<(), Broken>>) {
    let chunks: Vec<Placed> = (output.chunks.into_iter())
        .filter_map(|message| {
            let attempt = Attempt::from(message.attempt?);
            (attempt.element.run == run).then(|| placed(attempt, message)).flatten()
        })
        .collect();
    let end = output.end.map(|end| match end.why.is_empty() {
        true => Ok(()),
        false => Err(Broken { why: end.why, retry: end.retry }),
    });
    let piece = Piece { chunks, caught_up: output.caught_up };
    (Some(piece).filter(|piece| !piece.chunks.is_empty() || piece.caught_up), end)
}

/// The chunk that a message is.
pub(super) fn placed(attempt: Attempt, message: OutputChunk) -> Option<Placed> {
    let stream = u8::try_from(message.stream).ok().filter(|stream| (1..=3).contains(stream))?;
    let chunk = Chunk { attempt, stream, time_us: message.time_us, data: message.data };
    Some(Placed { chunk, place: Place { bytes: message.bytes, marks: message.marks } })
}
