//! From the machine's events to records: what an entry of the journal brought about.

use std::collections::BTreeMap;
use std::sync::Arc;

use machine::{AttemptEnded, Event, Run, State};
use model::{JobSpec, RunId, TaskPosition};

use super::{
    ATTEMPTS_MAX, Commit, ELEMENTS_MAX, Ended, Placed, PlacedPart, Record, RunEnded, TASKS_MAX,
    Traces,
};
use crate::facts::{outcome_of, worst};

impl Traces {
    /// Tells of what a batch did; `state` is the state after it.
    pub(crate) fn happened(&self, events: &[Event], state: &State, commit: Commit) {
        let mut entry = Entry { traces: self, events, state, commit, placed: BTreeMap::new() };
        events.iter().for_each(|event| entry.take(event));
        for (_, placed) in entry.placed {
            self.tell(Record::Placed(Box::new(placed)));
        }
        // Last of all, so that what belongs to a run comes before its end.
        for event in events {
            if let Event::RunEnded { run, last, .. } = event
                && self.wants(*run)
            {
                self.tell(Record::RunEnded(Box::new(run_ended(*run, last, commit))));
            }
        }
    }
}

struct Entry<'a> {
    traces: &'a Traces,
    events: &'a [Event],
    state: &'a State,
    commit: Commit,
    placed: BTreeMap<RunId, Placed>,
}

impl Entry<'_> {
    fn take(&mut self, event: &Event) {
        let commit = self.commit;
        match event {
            Event::RunCreated { run } if self.traces.wants(*run) => {
                self.traces.tell(Record::Created { run: *run, commit });
            }
            Event::Assigned { node, run, task, items, .. } if self.traces.wants(*run) => {
                let Some(spec) = self.spec(*run) else { return };
                let parts = Vec::new();
                let placed = self.placed.entry(*run);
                let placed = placed.or_insert(Placed { run: *run, count: 0, parts, commit });
                placed.count += items.len() as u64;
                let Some(of) = spec.tasks.get(*task as usize) else { return };
                let has = |(index, number): &(u32, u32)| {
                    of.indices().ordinal(*index).is_some_and(|at| has_spans(*task, at, *number))
                };
                if let Some((first_index, _)) = items.iter().find(|item| has(item)) {
                    placed.parts.push(PlacedPart {
                        task: *task,
                        name: of.name.clone(),
                        node: *node,
                        first_index: *first_index,
                        count: items.len() as u64,
                    });
                }
            }
            Event::AttemptEnded(ended) => {
                let (element, number) = (ended.attempt.element, ended.attempt.number);
                let has = has_spans(element.task, ended.ordinal, number);
                if has && self.traces.wants(element.run) {
                    self.traces.tell(Record::Ended(Box::new(self.ended(ended))));
                }
            }
            _ => {}
        }
    }

    fn ended(&self, ended: &AttemptEnded) -> Ended {
        let element = ended.attempt.element;
        let spec = self.spec(element.run);
        let task = spec.as_ref().and_then(|spec| spec.tasks.get(element.task as usize));
        Ended {
            attempt: ended.attempt,
            task: task.map(|task| task.name.clone()).unwrap_or_default(),
            node: ended.node,
            placed_ms: ended.placed_ms,
            outcome: ended.outcome.clone(),
            state: ended.state,
            commit: self.commit,
        }
    }

    /// What was submitted as a run that is there, or has ended by this entry.
    fn spec(&self, run: RunId) -> Option<Arc<JobSpec>> {
        let last = || {
            self.events.iter().find_map(|event| match event {
                Event::RunEnded { run: ended, last, .. } if *ended == run => Some(&last.spec),
                _ => None,
            })
        };
        self.state.run(run).map(|run| run.spec.clone()).or_else(|| last().cloned())
    }
}

fn has_spans(task: TaskPosition, ordinal: u32, number: u32) -> bool {
    task < TASKS_MAX && ordinal < ELEMENTS_MAX && number <= ATTEMPTS_MAX
}

fn run_ended(run: RunId, last: &Run, commit: Commit) -> RunEnded {
    let counts = last.counts();
    let (exit_code, summary) = outcome_of(last);
    RunEnded {
        run,
        spec: last.spec.clone(),
        submitted_ms: last.submitted_ms,
        rerun_of: last.rerun_of,
        state: worst(counts.keys().copied()),
        exit_code,
        summary,
        counts: counts.into_iter().collect(),
        commit,
    }
}
