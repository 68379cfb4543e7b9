//! The end of an attempt, and what becomes of its element and its run.

use std::sync::Arc;

use model::{
    Attempt, Because, Ending, NodeId, NotStarted, OnLost, Outcome, Retries, RunId, StopCause,
    TaskSpec, TaskState,
};

use crate::context::Context;
use crate::drain;
use crate::event::{AttemptEnded, Event};
use crate::give_up;
use crate::run::{Failure, Live, Run, TaskRun, Tries};
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
    let run_spec = run.spec.clone();
    let spec = &run_spec.tasks[element.task as usize];
    let Some(ordinal) = spec.indices().ordinal(element.index) else { return };
    let Some(live) = run.tasks[element.task as usize].live.remove(&ordinal) else { return };
    note_start(run, outcome.started_us);
    let run_canceled = run.canceled.is_some();
    let task = &mut run.tasks[element.task as usize];
    let verdict = verdict(spec, task, &live, run_canceled, attempt, &outcome);
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
        Verdict::Again { failures, losses, wait_ms } => {
            let due_ms = match wait_ms {
                0 => 0,
                _ => context.now_ms.saturating_add(wait_ms).div_ceil(DUE_MS).saturating_mul(DUE_MS),
            };
            let (attempts, fence, node) = (live.number, live.fence, live.node);
            let tries = Tries { attempts, failures, losses, fence, node, due_ms };
            task.tries.insert(ordinal, tries);
            if due_ms == 0 {
                task.queued.insert(ordinal);
            } else {
                task.delayed.insert(ordinal);
                state.timers.delay(due_ms, element.run, element.task, ordinal);
            }
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
    drain::tell_if_empty(state, context, node);
    match verdict {
        Verdict::Again { .. } => {
            state.waiting += 1;
            state.requeue(element.run, element.task);
        }
        Verdict::Final(TaskState::Succeeded) if spec.indices().parallel_max == 0 => {}
        Verdict::Final(ended) => {
            // Only a failure of its own: what a rerun has taken over ends nothing.
            if !matches!(ended, TaskState::Succeeded | TaskState::Canceled) {
                give_up::if_too_many_failed(state, context, element.run, element.task);
            }
            state.requeue(element.run, element.task);
        }
    }
    run_if_over(state, context, element.run);
}

/// Takes a run that is over out of the state.
pub(crate) fn run_if_over(state: &mut State, context: &mut Context, run: RunId) {
    if state.runs.touched(run).is_some_and(Run::has_ended)
        && let Some(last) = state.take_out(run)
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

/// Elements become due at multiples of this, in milliseconds, so that many of them are one timer.
const DUE_MS: u64 = 10;

/// What is waited after a passing lack: its node is full of something that no reservation counts.
const LACK: (u64, u64) = (1_000, 60_000);

#[derive(Clone, Copy)]
enum Verdict {
    Final(TaskState),
    Again { failures: u32, losses: u32, wait_ms: u64 },
}

fn verdict(
    spec: &TaskSpec,
    task: &TaskRun,
    live: &Live,
    run_canceled: bool,
    attempt: Attempt,
    outcome: &Outcome,
) -> Verdict {
    let drained = matches!(live.stop, Some((StopCause::Drain, _)));
    let stopped = run_canceled || (live.stop.is_some() && !drained);
    let (failures, losses) = (live.failures, live.losses);
    if outcome.is_transient() && !stopped {
        let (base_ms, max_ms) = LACK;
        let retries = Retries { base_ms, max_ms, ..Retries::default() };
        return match losses < spec.losses_max {
            true => {
                let wait_ms = retries.wait_ms(attempt, losses + 1);
                Verdict::Again { failures, losses: losses + 1, wait_ms }
            }
            false => Verdict::Final(TaskState::Dead),
        };
    }
    // A supervisor that knows no drain calls it a cancel.
    let misnamed = drained && outcome.stopped == Some(StopCause::Cancel);
    let returned = outcome.is_transient() || misnamed;
    if let Some(state) = outcome.state(&spec.success_codes).filter(|_| !returned) {
        let again = !matches!(state, TaskState::Succeeded | TaskState::Canceled)
            && !stopped
            && !task.given_up
            && failures < spec.retries.attempts
            && spec.retries.cover(outcome);
        return match again {
            true => {
                let wait_ms = spec.retries.wait_ms(attempt, failures + 1);
                Verdict::Again { failures: failures + 1, losses, wait_ms }
            }
            false => Verdict::Final(state),
        };
    }
    // From here on the attempt was lost: nobody saw its end, or its node was brought down or drained.
    match &live.stop {
        Some((StopCause::Deadline, _)) => return Verdict::Final(TaskState::TimedOut),
        Some(_) if !drained => return Verdict::Final(TaskState::Canceled),
        _ if run_canceled => return Verdict::Final(TaskState::Canceled),
        _ => {}
    }
    let unstarted = matches!(outcome.ending, Ending::NotStarted(NotStarted::Withdrawn));
    let lost = match outcome.stopped {
        Some(StopCause::Lease | StopCause::Drain) => true,
        _ => misnamed || outcome.ending == Ending::Gone,
    };
    let losses = losses + u32::from(lost && !unstarted);
    let forbidden = spec.at_most_once || spec.on_lost == OnLost::Fail;
    if !unstarted && (forbidden || losses > spec.losses_max) {
        return Verdict::Final(TaskState::Lost);
    }
    Verdict::Again { failures, losses, wait_ms: 0 }
}

fn failure(ordinal: u32, state: TaskState, outcome: &Outcome) -> Failure {
    let exit_code = outcome.failure_code(state);
    Failure { ordinal, exit_code, summary: format!("{state}: {}", outcome.describe()) }
}
