//! Facts that are in no part yet. The journal has them, so a crash loses none.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::block::{Attempts, Heads, Job, Jobs, Name, Names, Span, Spans, Table, hash_of};
use crate::cover::Ranges;
use crate::fact::{AttemptFact, Fact, RunHead};

/// Facts in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) attempts: Vec<AttemptFact>,
    pub(crate) spans: Vec<Span>,
    pub(crate) runs: BTreeMap<u64, (RunHead, Arc<[u8]>)>,
    /// The journal entries they are of.
    pub(crate) cover: Ranges,
    pub(crate) facts: usize,
    pub(crate) bytes: usize,
}

impl Memory {
    pub(crate) fn add(&mut self, fact: Fact) {
        self.facts += 1;
        match fact {
            Fact::Attempt(attempt) => {
                self.bytes += Attempts::weight(&attempt);
                self.attempts.push(attempt);
            }
            Fact::Elements { run, task, ordinals, end } => {
                for range in ordinals.ranges() {
                    let (first, last) = range.into_inner();
                    let span = Span { run: run.0, task, first, last, end: end.clone() };
                    self.bytes += Spans::weight(&span);
                    self.facts += 1;
                    self.spans.push(span);
                }
            }
            Fact::Run(run) => {
                self.bytes += Heads::weight(&run.head) + run.job.len();
                self.runs.insert(run.head.run.0, (run.head, run.job.into()));
            }
            // It is kept in a log of its own.
            Fact::Change(_) => {}
        }
    }

    pub(crate) fn heads(&self) -> Vec<&RunHead> {
        self.runs.values().map(|(head, _)| head).collect()
    }

    pub(crate) fn names(&self) -> Vec<Name> {
        let named = self.runs.values().filter(|(head, _)| !head.profile.name.is_empty());
        let mut names: Vec<Name> = named
            .map(|(head, _)| Name { hash: hash_of(&head.profile.name), run: head.run.0 })
            .collect();
        names.sort_by_key(Names::key);
        names
    }

    pub(crate) fn jobs(&self) -> Vec<Job> {
        let job =
            |(run, (_, job)): (&u64, &(RunHead, Arc<[u8]>))| Job { run: *run, job: job.clone() };
        self.runs.iter().map(job).collect()
    }

    /// The attempts in the order of their keys.
    pub(crate) fn sorted_attempts(&self) -> Vec<&AttemptFact> {
        let mut attempts: Vec<&AttemptFact> = self.attempts.iter().collect();
        attempts.sort_by_key(|attempt| Attempts::key(attempt));
        attempts
    }

    /// The stretches in the order of their keys.
    pub(crate) fn sorted_spans(&self) -> Vec<&Span> {
        let mut spans: Vec<&Span> = self.spans.iter().collect();
        spans.sort_by_key(|span| Spans::key(span));
        spans
    }

    /// When the first of the runs ended; the greatest number where there is none.
    pub(crate) fn oldest_ms(&self) -> u64 {
        self.runs.values().map(|(head, _)| head.ended_ms).min().unwrap_or(u64::MAX)
    }
}

/// Writes the tables of a memory.
pub(crate) fn write_all(memory: &Memory, writer: &mut crate::part::Writer) -> std::io::Result<()> {
    writer.oldest_ms = memory.oldest_ms();
    writer.all_rows::<Attempts>(&memory.sorted_attempts())?;
    writer.all_rows::<Spans>(&memory.sorted_spans())?;
    writer.all_rows::<Heads>(&memory.heads())?;
    writer.all_rows::<Jobs>(&memory.jobs().iter().collect::<Vec<_>>())?;
    writer.all_rows::<Names>(&memory.names().iter().collect::<Vec<_>>())
}
