//! `Report`: a node says what started and what ended. Entries that do not name the current attempt
//! on this node are stale: they are counted and change nothing.

use std::sync::Arc;

use model::{Attempt, Because, NodeId, Outcome, StopCause};
use proto::record::{End, Report};

use super::node_in_epoch;
use crate::context::Context;
use crate::end;
use crate::event::{Answer, Event, Refusal};
use crate::run::Live;
use crate::state::State;

pub(crate) fn apply(
    state: &mut State,
    context: &mut Context,
    report: &Report,
) -> Result<Answer, Refusal> {
    let node = node_in_epoch(state, &report.node_id, report.epoch)?;
    let mut stale = 0;
    for start in &report.starts {
        let attempt = start.attempt.map(Attempt::from);
        let taken =
            attempt.is_some_and(|attempt| started(state, context, node, attempt, start.started_us));
        stale += u64::from(!taken);
    }
    for end in &report.ends {
        stale += u64::from(!take_end(state, context, node, end));
    }
    Ok(Answer::Reported { stale })
}

/// Ends an attempt as told, unless that is stale.
pub(super) fn take_end(state: &mut State, context: &mut Context, node: NodeId, end: &End) -> bool {
    let attempt = end.attempt.map(Attempt::from);
    let outcome = end.outcome.clone().and_then(|outcome| Outcome::try_from(outcome).ok());
    match (attempt, outcome) {
        (Some(attempt), Some(outcome)) => ended(state, context, node, attempt, outcome),
        _ => false,
    }
}

/// The live attempt, if it is the element's current one and placed on this node.
fn current(state: &State, node: NodeId, attempt: Attempt) -> Option<(u32, &Live)> {
    let run = state.runs.touched(attempt.element.run)?;
    let task = attempt.element.task as usize;
    let ordinal = run.spec.tasks.get(task)?.indices().ordinal(attempt.element.index)?;
    let live = run.tasks.get(task)?.live.get(&ordinal)?;
    (live.node == node && live.number == attempt.number).then_some((ordinal, live))
}

fn started(
    state: &mut State,
    context: &mut Context,
    node: NodeId,
    attempt: Attempt,
    started_us: u64,
) -> bool {
    let Some((ordinal, _)) = current(state, node, attempt) else { return false };
    let Some(run) = state.run_mut(attempt.element.run) else { return false };
    end::note_start(run, started_us);
    let task = &mut run.tasks[attempt.element.task as usize];
    if let Some(live) = task.live.get_mut(&ordinal) {
        live.started_us = started_us.max(1);
    }
    context.events.push(Event::Started { attempt });
    true
}

/// Why a node took an attempt back before it started.
fn drained(state: &State, node: NodeId) -> Option<Arc<Because>> {
    let home = state.node(node)?;
    Some(Arc::new(match &home.drain {
        Some(drain) => drain.because(&home.name),
        None => Because::new("drain", format!("node {} was drained", home.name)),
    }))
}

fn ended(
    state: &mut State,
    context: &mut Context,
    node: NodeId,
    attempt: Attempt,
    outcome: Outcome,
) -> bool {
    let Some((_, live)) = current(state, node, attempt) else { return false };
    let because = match outcome.stopped {
        None => None,
        Some(StopCause::Timeout) => {
            Some(Arc::new(Because::new("timeout", "it ran longer than its timeout")))
        }
        Some(StopCause::Down) => Some(Arc::new(Because::new("down", "its node was brought down"))),
        Some(StopCause::Lease) => Some(Arc::new(Because::new(
            "lease",
            "its node ended it: it had not heard of a leader for as long as its lease",
        ))),
        Some(StopCause::Cancel | StopCause::Deadline) => {
            live.stop.as_ref().map(|(_, because)| because.clone())
        }
        Some(StopCause::Drain) => {
            live.stop.as_ref().map(|(_, because)| because.clone()).or_else(|| drained(state, node))
        }
    };
    end::attempt(state, context, node, attempt, outcome, because);
    true
}
