//! Looking for what became of elements: in the order of their ordinals, only those that are wanted,
//! without ever holding all of them.

use std::iter::Peekable;
use std::ops::RangeInclusive;

use model::{RangeSet, RunId, TaskPosition};

use crate::History;
use crate::block::{Attempts, Key, Meta, Span, Spans};
use crate::fact::{AttemptFact, ElementsEnd, States};
use crate::walk::{Step, Walk, Wanted};

/// One thing that history tells of elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// An attempt ended.
    Attempt(AttemptFact),
    /// These ordinals ended so, without an attempt at their end.
    Ended(RangeInclusive<u32>, ElementsEnd),
    /// Of these there is, or was, something that cannot be read.
    Damaged(RangeInclusive<u32>),
}

impl Told {
    /// The first ordinal it tells of.
    pub fn first(&self) -> u32 {
        match self {
            Told::Attempt(attempt) => attempt.ordinal,
            Told::Ended(ordinals, _) | Told::Damaged(ordinals) => *ordinals.start(),
        }
    }
}

/// What history tells of some elements, in the order of the first ordinals.
pub struct Elements<'a> {
    attempts: Peekable<Box<dyn Iterator<Item = Told> + Send + 'a>>,
    spans: Peekable<Box<dyn Iterator<Item = Told> + Send + 'a>>,
}

impl Iterator for Elements<'_> {
    type Item = Told;

    fn next(&mut self) -> Option<Told> {
        match (self.attempts.peek(), self.spans.peek()) {
            (Some(attempt), Some(span)) if attempt.first() <= span.first() => self.attempts.next(),
            (_, Some(_)) => self.spans.next(),
            (_, None) => self.attempts.next(),
        }
    }
}

impl History {
    /// What there is of these ordinals of a task that ended in one of these states. What was an
    /// element's last word is found by [`States::FINAL`]; attempts after which it went on are in
    /// [`States::ANY`] alone.
    pub fn elements<'a>(
        &self,
        run: RunId,
        task: TaskPosition,
        ordinals: &'a RangeSet,
        states: States,
    ) -> Elements<'a> {
        let (from, to) = bounds(run, task, ordinals);
        let mut attempts: Vec<AttemptFact> = Vec::new();
        let mut spans: Vec<Span> = Vec::new();
        let (parts, gone) = {
            let inner = self.read();
            for memory in inner.memories() {
                let wanted = |a: &&AttemptFact| {
                    (a.run, a.task) == (run, task)
                        && states.contains(a.state)
                        && ordinals.contains(a.ordinal)
                };
                attempts.extend(memory.attempts.iter().filter(wanted).cloned());
                let wanted = |span: &&Span| (span.run, span.task) == (run.0, task);
                spans.extend(memory.spans.iter().filter(wanted).cloned());
            }
            (inner.parts.clone(), inner.gone.clone())
        };
        let block = move |meta: &Meta| {
            states.overlaps(meta.states) && overlaps(ordinals, within(meta, run, task))
        };
        let wanted = Wanted {
            block: Box::new(block),
            row: Box::new(move |row: &AttemptFact| {
                states.contains(row.state) && ordinals.contains(row.ordinal)
            }),
            ..Wanted::all(from, to, gone.clone())
        };
        let attempts = Walk::<Attempts>::begin(wanted, &parts, attempts);
        let attempts = attempts.map(move |step| match step {
            Step::Row(attempt) => Told::Attempt(attempt),
            Step::Damaged(meta) => Told::Damaged(within(&meta, run, task)),
        });
        let wanted = Wanted {
            block: Box::new(block),
            row: Box::new(move |row: &Span| {
                states.contains(Some(row.end.state)) && overlaps(ordinals, row.first..=row.last)
            }),
            // A stretch that begins before the first ordinal may reach to it.
            ..Wanted::all(from, to, gone)
        };
        let spans = Walk::<Spans>::begin(wanted, &parts, spans);
        let spans = spans.map(move |step| match step {
            Step::Row(span) => Told::Ended(span.first..=span.last, span.end),
            Step::Damaged(meta) => Told::Damaged(within(&meta, run, task)),
        });
        let attempts: Box<dyn Iterator<Item = Told> + Send + 'a> = Box::new(attempts);
        let spans: Box<dyn Iterator<Item = Told> + Send + 'a> = Box::new(spans);
        Elements { attempts: attempts.peekable(), spans: spans.peekable() }
    }
}

fn bounds(run: RunId, task: TaskPosition, ordinals: &RangeSet) -> (Key, Key) {
    let first = ordinals.first().unwrap_or(0);
    let last = ordinals.ranges().last().map_or(0, |range| *range.end());
    let from = Key { run: run.0, task, ordinal: first, number: 0 };
    (from, Key { ordinal: last, number: u32::MAX, ..from })
}

/// The ordinals of a task that a block may tell of.
fn within(meta: &Meta, run: RunId, task: TaskPosition) -> RangeInclusive<u32> {
    let of = |key: Key| (key.run, key.task) == (run.0, task);
    let first = if of(meta.first) { meta.first.ordinal } else { 0 };
    let last = if of(meta.last) { meta.last.ordinal } else { u32::MAX };
    first..=last
}

fn overlaps(ordinals: &RangeSet, range: RangeInclusive<u32>) -> bool {
    let next = ordinals.ranges_from(*range.start()).next();
    next.is_some_and(|next| next.start() <= range.end())
}
