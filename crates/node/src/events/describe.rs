//! From the machine's events to changes that tell all of themselves: names instead of positions,
//! and neighbours as one.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use machine::State;
use model::{
    Attempt, Because, Element, Ending, JobSpec, NodeId, Outcome, RangeSet, RunId, StopCause,
    TaskPosition, TaskState,
};
use reactor::control::{Connection, Connections};

use super::{Event, EventKind, RANGES_MAX};
use crate::facts::{outcome_of, stop_words, worst};

/// So many of the last changes are looked at for one that a further attempt belongs to.
const NEIGHBOURS: usize = 8;

/// The changes in the events of one journal entry; `state` is the state after it.
pub(crate) fn describe(events: &[machine::Event], state: &State) -> Vec<Event> {
    let mut batch = Batch { state, jobs: BTreeMap::new(), drafts: Vec::new() };
    for event in events {
        if let machine::Event::RunEnded { run, last, .. } = event {
            batch.jobs.insert(*run, Some(Job::new(last.spec.clone())));
        }
    }
    events.iter().for_each(|event| batch.take(event));
    batch.drafts.into_iter().map(Draft::finish).collect()
}

/// What changed in how the nodes are connected.
pub(crate) fn connections(
    old: &Connections,
    new: &Connections,
    state: &State,
    time_ms: u64,
) -> Vec<Event> {
    let mut events = Vec::new();
    let nothing = Connection::default();
    for change in old.diff(new) {
        let (node, was, is) = match change {
            DiffItem::Add(node, is) => (node, &nothing, is),
            DiffItem::Update { old: (_, was), new: (node, is) } => (node, was, is),
            DiffItem::Remove(node, was) => (node, was, &nothing),
        };
        let mut push = |kind, summary: &str| {
            let mut event = empty(kind, time_ms);
            event.node = Some(*node);
            event.node_name = node_name(state, *node);
            event.summary = summary.to_owned();
            events.push(event);
        };
        match (was.ready, is.ready) {
            (false, true) => push(EventKind::NodeConnected, "it takes work"),
            (true, false) => push(EventKind::NodeDisconnected, "it takes no work"),
            _ => {}
        }
        if is.ready && was.degraded != is.degraded {
            match is.degraded.is_empty() {
                true => push(EventKind::NodeRecovered, "nothing is wrong with it any more"),
                false => push(EventKind::NodeDegraded, &is.degraded),
            }
        }
    }
    events
}

/// What events show of a job.
#[derive(Clone)]
struct Job {
    spec: Arc<JobSpec>,
    name: Arc<str>,
    labels: Arc<[(String, String)]>,
}

impl Job {
    fn new(spec: Arc<JobSpec>) -> Job {
        Job { name: spec.name.as_str().into(), labels: spec.labels.clone().into(), spec }
    }
}

struct Batch<'a> {
    state: &'a State,
    jobs: BTreeMap<RunId, Option<Job>>,
    drafts: Vec<Draft>,
}

/// An event that may still take in neighbours.
struct Draft {
    event: Event,
    position: TaskPosition,
    job: Option<Job>,
    ordinals: RangeSet,
    ending: Option<Ending>,
}

/// What happened to one attempt.
struct Change<'a> {
    kind: EventKind,
    attempt: Attempt,
    node: Option<NodeId>,
    state: Option<TaskState>,
    because: Option<&'a Arc<Because>>,
    outcome: Option<&'a Outcome>,
    stop: Option<StopCause>,
}

impl Change<'_> {
    fn new(kind: EventKind, attempt: Attempt) -> Change<'static> {
        let (node, state, because, outcome, stop) = (None, None, None, None, None);
        Change { kind, attempt, node, state, because, outcome, stop }
    }
}

impl Batch<'_> {
    fn take(&mut self, event: &machine::Event) {
        match event {
            machine::Event::NodeRegistered { node, epoch } => {
                self.of_node(EventKind::NodeRegistered, *node, format!("in epoch {epoch}"));
            }
            machine::Event::NodeLost { node, epoch } => {
                let summary = format!("not heard of for longer than its lease; epoch {epoch}");
                self.of_node(EventKind::NodeLost, *node, summary);
            }
            machine::Event::NodeDraining { node } => {
                let drain = self.state.node(*node).and_then(|home| home.drain.as_ref());
                let because = drain.map(|drain| Arc::new(drain.because.clone()));
                self.of_node(
                    EventKind::NodeDraining,
                    *node,
                    "nothing more is placed there".into(),
                )
                .because = because;
            }
            machine::Event::NodeDrained { node } => {
                self.of_node(EventKind::NodeDrained, *node, "nothing is left there".into());
            }
            machine::Event::NodeResumed { node } => {
                self.of_node(EventKind::NodeResumed, *node, "it may take work again".into());
            }
            machine::Event::NodeRemoved { node, name } => {
                self.of_node(EventKind::NodeRemoved, *node, "it is forgotten".into()).node_name =
                    name.as_str().into();
            }
            machine::Event::RunCreated { run } => {
                let job = self.job(*run);
                let mut event = self.of_run(EventKind::RunCreated, *run, job.as_ref());
                event.state = Some(TaskState::Queued);
                if let Some(job) = &job {
                    event.count = crate::facts::elements(&job.spec);
                    event.because = Some(Arc::new(Because::new(job.spec.actor.clone(), "")));
                }
                self.push(event, 0, job);
            }
            machine::Event::Assigned { node, run, task, items, .. } => {
                for (index, number) in items {
                    let element = Element { run: *run, task: *task, index: *index };
                    let attempt = Attempt { element, number: *number };
                    let state = Some(TaskState::Scheduled);
                    self.add(&Change {
                        node: Some(*node),
                        state,
                        ..Change::new(EventKind::Assigned, attempt)
                    });
                }
            }
            machine::Event::Started { attempt } => {
                let node = self.live(*attempt).map(|(node, _)| node);
                let state = Some(TaskState::Running);
                self.add(&Change { node, state, ..Change::new(EventKind::Started, *attempt) });
            }
            machine::Event::Stop { node, attempts, cause } => {
                for attempt in attempts {
                    let because = self.live(*attempt).and_then(|(_, because)| because);
                    self.add(&Change {
                        node: Some(*node),
                        state: Some(TaskState::Stopping),
                        because: because.as_ref(),
                        stop: Some(*cause),
                        ..Change::new(EventKind::Stopping, *attempt)
                    });
                }
            }
            machine::Event::AttemptEnded(ended) => self.add(&Change {
                node: Some(ended.node),
                state: Some(ended.state.unwrap_or(TaskState::Queued)),
                because: ended.because.as_ref(),
                outcome: Some(&ended.outcome),
                ..Change::new(EventKind::AttemptEnded, ended.attempt)
            }),
            machine::Event::ElementsEnded { run, task, ordinals, state, because } => {
                let job = self.job(*run);
                let mut event = self.of_run(EventKind::ElementsEnded, *run, job.as_ref());
                event.state = Some(*state);
                event.exit_code = Some(crate::query::code_without_attempt(*state));
                event.because = Some(because.clone());
                self.push(event, *task, job);
                if let Some(draft) = self.drafts.last_mut() {
                    draft.ordinals = ordinals.clone();
                }
            }
            machine::Event::RunEnded { run, last, ended_ms } => {
                let job = self.job(*run);
                let mut event = self.of_run(EventKind::RunEnded, *run, job.as_ref());
                event.time_ms = *ended_ms;
                event.state = Some(worst(last.counts().into_keys()));
                event.count = crate::facts::elements(&last.spec);
                (event.exit_code, event.summary) = {
                    let (code, summary) = outcome_of(last);
                    (Some(code), summary)
                };
                event.because = last.canceled.clone();
                self.push(event, 0, job);
            }
            // The audit tells of the first, to admins alone; the others stay as they are, or are told
            // when their node is lost.
            machine::Event::Changed(_)
            | machine::Event::PickRefused { .. }
            | machine::Event::NodeVoided { .. }
            | machine::Event::Withdraw { .. } => {}
        }
    }

    fn of_node(&mut self, kind: EventKind, node: NodeId, summary: String) -> &mut Event {
        let mut event = empty(kind, self.state.time_ms());
        event.node = Some(node);
        event.node_name = node_name(self.state, node);
        event.summary = summary;
        self.push(event, 0, None);
        &mut self.drafts.last_mut().expect("it was pushed just now").event
    }

    fn job(&mut self, run: RunId) -> Option<Job> {
        let state = self.state;
        let find = || state.run(run).map(|run| Job::new(run.spec.clone()));
        self.jobs.entry(run).or_insert_with(find).clone()
    }

    /// Where an attempt is that has not ended, and who wants it stopped.
    fn live(&self, attempt: Attempt) -> Option<(NodeId, Option<Arc<Because>>)> {
        let run = self.state.run(attempt.element.run)?;
        let task = attempt.element.task as usize;
        let ordinal = run.spec.tasks.get(task)?.indices().ordinal(attempt.element.index)?;
        let live = run.tasks.get(task)?.live.get(&ordinal)?;
        Some((live.node, live.stop.as_ref().map(|(_, because)| because.clone())))
    }

    fn of_run(&self, kind: EventKind, run: RunId, job: Option<&Job>) -> Event {
        let mut event = empty(kind, self.state.time_ms());
        event.run = Some(run);
        if let Some(job) = job {
            (event.name, event.labels) = (job.name.clone(), job.labels.clone());
        }
        event
    }

    /// Adds an element to a change like it, or as one of its own. There may be thousands in one
    /// entry, so nothing is made for one that has a neighbour.
    fn add(&mut self, change: &Change<'_>) {
        let Attempt { element, number } = change.attempt;
        let like = |draft: &&mut Draft| draft.is_like(change);
        if let Some(draft) = self.drafts.iter_mut().rev().take(NEIGHBOURS).find(like) {
            draft.insert(element.index);
            return;
        }
        let job = self.job(element.run);
        let mut event = self.of_run(change.kind, element.run, job.as_ref());
        event.attempt = number;
        event.state = change.state;
        event.because = change.because.cloned();
        event.node = change.node;
        if let Some(node) = change.node {
            event.node_name = node_name(self.state, node);
        }
        if let Some(outcome) = change.outcome {
            event.summary = outcome.describe();
            event.exit_code = Some(match change.state {
                Some(TaskState::Succeeded) => 0,
                Some(state) if state.is_final() => outcome.failure_code(state),
                _ => outcome.exit_code(),
            });
        }
        if let Some(cause) = change.stop {
            event.summary = stop_words(cause).to_owned();
        }
        self.push(event, element.task, job);
        if let Some(draft) = self.drafts.last_mut() {
            draft.ending = change.outcome.map(|outcome| outcome.ending.clone());
            draft.insert(element.index);
        }
    }

    fn push(&mut self, event: Event, position: TaskPosition, job: Option<Job>) {
        let ordinals = RangeSet::new();
        self.drafts.push(Draft { event, position, job, ordinals, ending: None });
    }
}

impl Draft {
    /// Whether another element's change is the same.
    fn is_like(&self, change: &Change<'_>) -> bool {
        let Attempt { element, number } = change.attempt;
        let event = &self.event;
        (event.kind, event.run, self.position) == (change.kind, Some(element.run), element.task)
            && (event.attempt, event.node, event.state) == (number, change.node, change.state)
            && event.because.as_ref() == change.because
            && self.ending.as_ref() == change.outcome.map(|outcome| &outcome.ending)
    }

    fn insert(&mut self, index: u32) {
        let task = self.job.as_ref().and_then(|job| job.spec.tasks.get(self.position as usize));
        let ordinal = task.and_then(|task| task.indices().ordinal(index));
        self.ordinals.insert(ordinal.unwrap_or(index));
    }

    /// Names the task and its elements, where it is of some.
    fn finish(self) -> Event {
        let Draft { mut event, position, job, ordinals, .. } = self;
        let task = job.as_ref().and_then(|job| job.spec.tasks.get(position as usize));
        let Some(task) = task.filter(|_| !ordinals.is_empty()) else { return event };
        let array = task.indices();
        event.task = task.name.as_str().into();
        event.is_array = task.array.is_some();
        event.count = ordinals.len();
        let index = |ordinal: u32| array.index(ordinal);
        let ranges = ordinals.ranges().map(|range| (index(*range.start()), index(*range.end())));
        event.elements = ranges.take(RANGES_MAX).collect();
        event
    }
}

fn empty(kind: EventKind, time_ms: u64) -> Event {
    Event {
        kind,
        time_ms,
        run: None,
        name: "".into(),
        labels: Arc::new([]),
        task: "".into(),
        is_array: false,
        elements: Vec::new(),
        count: 0,
        attempt: 0,
        node: None,
        node_name: "".into(),
        state: None,
        exit_code: None,
        summary: String::new(),
        because: None,
    }
}

fn node_name(state: &State, node: NodeId) -> Arc<str> {
    state.node(node).map_or_else(|| node.to_string().into(), |node| node.name.as_str().into())
}
