//! The end of an attempt, and what becomes of its element and its run.

use std::sync::Arc;

use model::{
    Attempt, Because, Ending, NodeId, NotStarted, OnLost, Outcome, RunId, TaskSpec, TaskState,
};

use crate::context::Context;
use crate::event::{AttemptEnded, Event};
use crate::run::{Failure, Live, Run, Tries};
use crate::state::State;

/// Ends a live attempt. It must be the element's current one and placed on `node`.
pub(crate) fn attempt(
    state: &mut State,
    context: &mut Context,
    node: NodeId,
    attempt: Attempt,
    outcome: Outcome,
    because: Option<Arc<Because>>,
) {
    let element = attempt.element;
    let Some(run) = state.run_mut(element.run) else { return };
    let spec = run.spec.tasks[element.task as usize].clone();
    let Some(ordinal) = spec.indices().ordinal(element.index) else { return };
    let Some(live) = run.tasks[element.task as usize].live.remove(&ordinal) else { return };
    note_start(run, outcome.started_us);
    let verdict = verdict(&spec, &live, run.canceled.is_some(), &outcome);
    let task = &mut run.tasks[element.task as usize];
    let mut because = because;
    match verdict {
        Verdict::Final(state) => {
            task.count_ended(state, 1);
            if state == TaskState::Canceled && because.is_none() {
                because = live.stop.as_ref().map(|(_, because)| because.clone());
            }
            if state != TaskState::Succeeded {
                task.note_failure(failure(ordinal, state, &outcome));
            }
        }
        Verdict::Again { losses } => {
            task.queued.insert(ordinal);
            let tries = Tries { attempts: live.number, losses, fence: live.fence };
            task.tries.insert(ordinal, tries);
        }
    }
    let ended = AttemptEnded {
        attempt,
        ordinal,
        fence: live.fence,
        node,
        placed_ms: live.placed_ms,
        outcome,
        because,
        state: match verdict {
            Verdict::Final(state) => Some(state),
            Verdict::Again { .. } => None,
        },
    };
    context.events.push(Event::AttemptEnded(ended));
    if let Some(node) = state.node_mut(node) {
        node.release(live.seq);
    }
    if let Verdict::Again { .. } = verdict {
        state.requeue(element.run, element.task);
    }
    run_if_over(state, context, element.run);
}

/// Takes a run that is over out of the state.
pub(crate) fn run_if_over(state: &mut State, context: &mut Context, run: RunId) {
    if state.run(run).is_some_and(Run::has_ended)
        && let Some(last) = state.runs.remove(&run)
    {
        context.events.push(Event::RunEnded { run, last, ended_ms: context.now_ms });
    }
}

/// Remembers the earliest start of a run.
pub(crate) fn note_start(run: &mut Run, started_us: u64) {
    if started_us > 0 && (run.started_us == 0 || started_us < run.started_us) {
        run.started_us = started_us;
    }
}

enum Verdict {
    Final(TaskState),
    Again { losses: u32 },
}

fn verdict(spec: &TaskSpec, live: &Live, run_canceled: bool, outcome: &Outcome) -> Verdict {
    if let Some(state) = outcome.state(&spec.success_codes) {
        return Verdict::Final(state);
    }
    // From here on the attempt was lost: nobody saw its end, or its node was brought down.
    if run_canceled || live.stop.is_some() {
        return Verdict::Final(TaskState::Canceled);
    }
    let unstarted = matches!(outcome.ending, Ending::NotStarted(NotStarted::Withdrawn));
    let losses = live.losses + u32::from(outcome.ending == Ending::Gone);
    let forbidden = spec.at_most_once || spec.on_lost == OnLost::Fail;
    if !unstarted && (forbidden || losses > spec.losses_max) {
        return Verdict::Final(TaskState::Lost);
    }
    Verdict::Again { losses }
}

fn failure(ordinal: u32, state: TaskState, outcome: &Outcome) -> Failure {
    let exit_code = outcome.failure_code(state);
    Failure { ordinal, exit_code, summary: format!("{state}: {}", outcome.describe()) }
}
