//! Elements that end, or are stopped, without having failed themselves: somebody cancels them,
//! their time is over, or too many others have failed.

use std::sync::Arc;

use model::{
    Attempt, Because, Element, NodeId, Outcome, RangeSet, RunId, StopCause, TaskPosition, TaskState,
};

use crate::context::Context;
use crate::event::Event;
use crate::run::{Failure, TaskRun};
use crate::state::State;

/// What is to become of some elements of one task.
pub(crate) struct GiveUp<'a> {
    pub(crate) run: RunId,
    pub(crate) task: TaskPosition,
    /// Their ordinals.
    pub(crate) wanted: &'a RangeSet,
    /// What those that wait end as.
    pub(crate) state: TaskState,
    /// What those that are placed are stopped with; `None` leaves them alone.
    pub(crate) stop: Option<StopCause>,
    pub(crate) because: &'a Arc<Because>,
    /// What `run` exits with for one that waited, and why in words.
    pub(crate) failure: (i32, &'static str),
}

/// How many were ended, and how many of those that are placed are being stopped.
pub(crate) fn apply(state: &mut State, context: &mut Context, give_up: &GiveUp<'_>) -> (u64, u64) {
    let GiveUp { run: run_id, task: position, wanted, because, .. } = *give_up;
    let Some(run) = state.runs.get_mut(run_id) else { return (0, 0) };
    let array = run.spec.tasks[position as usize].indices();
    let task = &mut run.tasks[position as usize];
    let mut ended = RangeSet::new();
    let mut stops: Vec<(NodeId, Attempt)> = Vec::new();
    let mut stopping = 0;
    for range in wanted.ranges() {
        ended.append_common(&task.queued, range.clone());
        ended.append_common(&task.delayed, range.clone());
        let Some(cause) = give_up.stop else { continue };
        let ordinals: Vec<u32> = task.live.range(range).map(|(&ordinal, _)| ordinal).collect();
        stopping += ordinals.len() as u64;
        for ordinal in ordinals {
            let Some(live) = task.live.get_mut(&ordinal) else { continue };
            // What a drain stops would run again; now it must not.
            if live.stop.as_ref().is_none_or(|(cause, _)| *cause == StopCause::Drain) {
                live.stop = Some((cause, because.clone()));
                let element = Element { run: run_id, task: position, index: array.index(ordinal) };
                stops.push((live.node, Attempt { element, number: live.number }));
            }
        }
    }
    for (ordinal, due_ms) in take_waiting(task, &ended) {
        state.timers.undelay(due_ms, run_id, position, ordinal);
    }
    task.count_ended(give_up.state, ended.len());
    if let Some(ordinal) = ended.first() {
        let (exit_code, summary) = (give_up.failure.0, give_up.failure.1.to_owned());
        task.note_failure(Failure { ordinal, exit_code, summary });
    }
    state.waiting -= ended.len();
    let counts = (ended.len(), stopping);
    state.requeue(run_id, position);
    push_events(context, give_up, ended, stops);
    counts
}

/// Gives the rest of a task up where more have failed than may.
pub(crate) fn if_too_many_failed(
    state: &mut State,
    context: &mut Context,
    run_id: RunId,
    position: TaskPosition,
) {
    let Some(run) = state.runs.get_mut(run_id) else { return };
    let spec = &run.spec.tasks[position as usize];
    let Some(max_failed) = spec.max_failed else { return };
    let most = max_failed.of(spec.indices().count());
    let task = &mut run.tasks[position as usize];
    if task.given_up || task.failed_count() <= most {
        return;
    }
    task.given_up = true;
    let reason = format!("more than {most} of its elements failed");
    let wanted = spec.ordinals(None);
    let give_up = GiveUp {
        run: run_id,
        task: position,
        wanted: &wanted,
        state: TaskState::Canceled,
        stop: Some(StopCause::Cancel),
        because: &Arc::new(Because::new("max-failed", reason)),
        failure: (Outcome::CANCELED_EXIT_CODE, "canceled: too many others failed"),
    };
    apply(state, context, &give_up);
}

/// Takes elements that wait out of a task. Returns those that were delayed, and until when.
fn take_waiting(task: &mut TaskRun, ended: &RangeSet) -> Vec<(u32, u64)> {
    let mut delayed = Vec::new();
    for range in ended.ranges() {
        task.queued.remove_range(range.clone());
        task.delayed.remove_range(range.clone());
        let tried: Vec<u32> = task.tries.range(range).map(|(&ordinal, _)| ordinal).collect();
        for ordinal in tried {
            if let Some(tries) = task.tries.remove(&ordinal)
                && tries.due_ms > 0
            {
                delayed.push((ordinal, tries.due_ms));
            }
        }
    }
    delayed
}

fn push_events(
    context: &mut Context,
    give_up: &GiveUp<'_>,
    ordinals: RangeSet,
    mut stops: Vec<(NodeId, Attempt)>,
) {
    let GiveUp { run, task, state, because, .. } = *give_up;
    if !ordinals.is_empty() {
        let because = because.clone();
        context.events.push(Event::ElementsEnded { run, task, ordinals, state, because });
    }
    let Some(cause) = give_up.stop else { return };
    stops.sort();
    for on_node in stops.chunk_by(|a, b| a.0 == b.0) {
        let attempts = on_node.iter().map(|(_, attempt)| *attempt).collect();
        context.events.push(Event::Stop { node: on_node[0].0, attempts, cause });
    }
}
