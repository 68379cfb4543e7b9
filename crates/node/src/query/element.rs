//! The status of elements: facts from history first, then what the state says of the rest.

use std::collections::BTreeMap;

use history::History;
use model::{
    Attempt, Because, Element, Ending, Fence, NodeId, Outcome, RangeSet, RunId, TaskPosition,
    TaskState,
};
use prost::Message;
use proto::record::{AttemptFact, AttemptFacts, ElementsFact};

use super::resolve::Resolved;
use super::{AttemptStatus, ElementStatus};
use crate::error::Refused;
use crate::facts;
use crate::view::View;

/// What history tells of one task: its ended attempts by ordinal, and elements without one.
#[derive(Debug, Default)]
pub(crate) struct TaskFacts {
    pub(crate) attempts: BTreeMap<u32, Vec<AttemptFact>>,
    pub(crate) elements: Vec<ElementsFact>,
}

/// Reads what history tells of one task. `ordinal` maps an index to its ordinal.
pub(crate) fn facts_of(
    history: &History,
    run: RunId,
    task: TaskPosition,
    ordinal: impl Fn(u32) -> Option<u32>,
) -> Result<TaskFacts, Refused> {
    let mut facts = TaskFacts::default();
    let damaged = || Refused::Failed(format!("history holds an invalid fact of run {run}"));
    for fact in history.task_facts(run.0, task)? {
        match fact.kind {
            facts::ATTEMPTS => {
                let attempts = AttemptFacts::decode(&*fact.bytes).map_err(|_| damaged())?;
                for attempt in attempts.facts {
                    let ordinal = ordinal(attempt.index).ok_or_else(damaged)?;
                    facts.attempts.entry(ordinal).or_default().push(attempt);
                }
            }
            facts::ELEMENTS => {
                let elements = ElementsFact::decode(&*fact.bytes).map_err(|_| damaged())?;
                facts.elements.push(elements);
            }
            _ => return Err(damaged()),
        }
    }
    Ok(facts)
}

/// The selected elements of one run.
pub(crate) struct Selected {
    pub(crate) elements: Vec<ElementStatus>,
    pub(crate) total: u64,
}

/// The status of what is selected, at most `limit`; what waits comes last.
pub(crate) fn selected(
    view: &View,
    history: &History,
    resolved: &Resolved,
    limit: usize,
) -> Result<Selected, Refused> {
    let mut told = Vec::new();
    let mut waiting = Vec::new();
    let mut total = 0;
    for (task, ordinals) in &resolved.tasks {
        total += ordinals.len();
        let statuses = of_task(view, history, resolved, *task, ordinals)?;
        for status in statuses {
            let list = if status.state == TaskState::Queued { &mut waiting } else { &mut told };
            if list.len() < limit {
                list.push(status);
            }
        }
    }
    let room = limit.saturating_sub(told.len());
    told.extend(waiting.into_iter().take(room));
    Ok(Selected { elements: told, total })
}

fn of_task<'a>(
    view: &'a View,
    history: &History,
    resolved: &'a Resolved,
    position: TaskPosition,
    ordinals: &'a RangeSet,
) -> Result<impl Iterator<Item = ElementStatus> + 'a, Refused> {
    let spec = &resolved.spec.tasks[position as usize];
    let array = spec.indices();
    let mut facts = facts_of(history, resolved.run, position, |index| array.ordinal(index))?;
    Ok(ordinals.iter().map(move |ordinal| {
        let index = array.index(ordinal);
        let element = Element { run: resolved.run, task: position, index };
        let mut id = format!("{}/{}", resolved.run, spec.name);
        if spec.array.is_some() {
            id.push_str(&format!("[{index}]"));
        }
        let mut status = ElementStatus {
            element,
            id,
            task: spec.name.clone(),
            state: TaskState::Queued,
            attempts: Vec::new(),
            because: None,
        };
        let mut ended = false;
        for fact in facts.attempts.remove(&ordinal).unwrap_or_default() {
            let attempt = ended_attempt(view, &fact);
            if let Ok(state) = fact.state.parse::<TaskState>() {
                status.state = state;
                ended = true;
            }
            status.attempts.push(attempt);
        }
        if !ended {
            let covers = |fact: &&ElementsFact| {
                proto::element_ranges(&fact.ordinals).any(|range| range.contains(&ordinal))
            };
            if let Some(fact) = facts.elements.iter().find(covers) {
                status.state = fact.state.parse().unwrap_or(TaskState::Canceled);
                status.because = fact.because.clone().map(Because::from);
            } else {
                live(view, resolved.run, position, ordinal, &mut status);
            }
        }
        status
    }))
}

/// What the state says of an element that history does not call ended.
fn live(view: &View, run: RunId, task: TaskPosition, ordinal: u32, status: &mut ElementStatus) {
    let Some(run) = view.state.run(run) else { return };
    let Some(live) = run.tasks[task as usize].live.get(&ordinal) else { return };
    if status.attempts.iter().any(|attempt| attempt.number == live.number) {
        return; // History is newer than the state: the attempt has ended and waits for its next.
    }
    status.state = shown_state(view, live.node, live.state());
    status.attempts.push(AttemptStatus {
        number: live.number,
        state: status.state,
        node: view.node_name(live.node),
        fence: live.fence,
        placed_ms: live.placed_ms,
        started_us: live.started_us,
        outcome: None,
        because: live.stop.as_ref().map(|(_, because)| (**because).clone()),
    });
}

/// `unknown` for what is started on a node that does not answer.
pub(crate) fn shown_state(view: &View, node: NodeId, state: TaskState) -> TaskState {
    match state {
        TaskState::Running | TaskState::Stopping if !view.is_ready(node) => TaskState::Unknown,
        state => state,
    }
}

fn ended_attempt(view: &View, fact: &AttemptFact) -> AttemptStatus {
    let outcome = fact.outcome.clone().and_then(|outcome| Outcome::try_from(outcome).ok());
    let outcome = outcome.unwrap_or_else(|| Outcome::bare(Ending::Gone));
    let node = NodeId::from_bytes(&fact.node_id).unwrap_or_default();
    AttemptStatus {
        number: fact.number,
        state: fact.state.parse().unwrap_or(TaskState::Lost),
        node: view.node_name(node),
        fence: Fence(fact.fence),
        placed_ms: fact.placed_ms,
        started_us: outcome.started_us,
        outcome: Some(outcome),
        because: fact.because.clone().map(Because::from),
    }
}

impl ElementStatus {
    /// One of its attempts, named.
    pub fn attempt(&self, number: u32) -> Attempt {
        Attempt { element: self.element, number }
    }
}
