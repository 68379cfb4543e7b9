//! From the machine's events to the facts that history keeps.

use std::collections::BTreeMap;

use history::Fact;
use machine::{AttemptEnded, Event, Run};
use model::{Because, RunId, TaskState};
use prost::Message;
use proto::record::{AttemptFact, AttemptFacts, ElementsFact, RunFact, StateCount, TaskCounts};

/// The kind of fact that tells of attempts.
pub(crate) const ATTEMPTS: u8 = 1;
/// The kind of fact that tells of elements that ended without an attempt.
pub(crate) const ELEMENTS: u8 = 2;

/// The facts in the events of one journal entry. Attempts of one task share a fact.
pub(crate) fn facts(events: &[Event], time_ms: u64) -> Vec<Fact> {
    let mut attempts: BTreeMap<(RunId, u32), AttemptFacts> = BTreeMap::new();
    let mut rest = Vec::new();
    for event in events {
        match event {
            Event::AttemptEnded(ended) => {
                let element = ended.attempt.element;
                let facts = attempts.entry((element.run, element.task)).or_default();
                facts.facts.push(attempt(ended));
            }
            Event::ElementsEnded { run, task, ordinals, state, because } => {
                let fact = ElementsFact {
                    ordinals: proto::ranges(ordinals),
                    state: state.name().to_owned(),
                    because: Some(Because::clone(because).into()),
                    ended_ms: time_ms,
                };
                let bytes = fact.encode_to_vec();
                rest.push(Fact::Task { run: run.0, task: *task, kind: ELEMENTS, bytes });
            }
            Event::RunEnded { run, last, ended_ms } => {
                let bytes = run_fact(last, *ended_ms).encode_to_vec();
                rest.push(Fact::Run { run: run.0, name: last.spec.name.clone(), bytes });
            }
            _ => {}
        }
    }
    let attempts = attempts.into_iter().map(|((run, task), facts)| Fact::Task {
        run: run.0,
        task,
        kind: ATTEMPTS,
        bytes: facts.encode_to_vec(),
    });
    attempts.chain(rest).collect()
}

fn attempt(ended: &AttemptEnded) -> AttemptFact {
    AttemptFact {
        index: ended.attempt.element.index,
        number: ended.attempt.number,
        fence: ended.fence.0,
        node_id: ended.node.to_bytes(),
        placed_ms: ended.placed_ms,
        outcome: Some(ended.outcome.clone().into()),
        because: ended.because.as_deref().cloned().map(Into::into),
        state: ended.state.map_or("", TaskState::name).to_owned(),
    }
}

fn run_fact(run: &Run, ended_ms: u64) -> RunFact {
    let counts = |task: &machine::TaskRun| TaskCounts {
        states: (task.ended.iter())
            .map(|(state, count)| StateCount { state: state.name().to_owned(), count: *count })
            .collect(),
    };
    let failure = run.first_failure();
    RunFact {
        job: Some((&*run.spec).into()),
        submitted_ms: run.submitted_ms,
        ended_ms,
        counts: run.tasks.iter().map(counts).collect(),
        canceled: run.canceled.as_deref().cloned().map(Into::into),
        started_us: run.started_us,
        rerun_of: 0,
        exit_code: failure.map_or(0, |failure| failure.exit_code),
        summary: failure.map_or_else(|| "succeeded".to_owned(), |f| f.summary.clone()),
    }
}
