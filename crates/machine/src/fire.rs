//! What happens when the time of a timer has come.

use std::sync::Arc;

use model::{Because, RangeSet, RunId, StopCause, TaskPosition, TaskState};

use crate::command;
use crate::context::Context;
use crate::drain;
use crate::end;
use crate::give_up::{self, GiveUp};
use crate::state::State;
use crate::timers::TimerKind;

/// Timers one batch fires at most; the next batch goes on.
const TIMERS_MAX: usize = 1024;

/// Fires what is due.
pub(crate) fn due(state: &mut State, context: &mut Context) {
    for _ in 0..TIMERS_MAX {
        if command::token::expire(state, context) || state.members.expire(context.now_ms) {
            continue;
        }
        if let Some(node) = state.timers.take_drain(context.now_ms) {
            drain::stop(state, context, node);
            continue;
        }
        let Some(((_, run, task, kind), ordinals)) = state.timers.take_due(context.now_ms) else {
            return;
        };
        match kind {
            TimerKind::Retry => retry(state, run, task, &ordinals),
            TimerKind::Pending => pending(state, context, run, task),
            TimerKind::Total => total(state, context, run, task),
        }
    }
}

fn retry(state: &mut State, run: RunId, position: TaskPosition, ordinals: &RangeSet) {
    let Some(of) = state.run_mut(run) else { return };
    let task = &mut of.tasks[position as usize];
    for range in ordinals.ranges() {
        task.delayed.remove_range(range.clone());
        task.queued.insert_range(range.clone());
        for ordinal in range {
            if let Some(tries) = task.tries.get_mut(&ordinal) {
                tries.due_ms = 0;
            }
        }
    }
    state.requeue(run, position);
}

/// Ends what has never had a node.
fn pending(state: &mut State, context: &mut Context, run: RunId, position: TaskPosition) {
    let Some(of) = state.run(run) else { return };
    let task = &of.tasks[position as usize];
    let mut wanted = task.queued.clone();
    task.tries.keys().for_each(|ordinal| _ = wanted.remove(*ordinal));
    let give_up = GiveUp {
        run,
        task: position,
        wanted: &wanted,
        state: TaskState::Dead,
        stop: None,
        because: &Arc::new(Because::new("timeout", "no node took it within its pending timeout")),
        failure: (125, "dead: no node took it within its pending timeout"),
    };
    let (ended, _) = give_up::apply(state, context, &give_up);
    if ended > 0 {
        give_up::if_too_many_failed(state, context, run, position);
    }
    end::run_if_over(state, context, run);
}

/// Ends what waits, stops what is placed.
fn total(state: &mut State, context: &mut Context, run: RunId, position: TaskPosition) {
    let Some(of) = state.run(run) else { return };
    let wanted = of.spec.tasks[position as usize].ordinals(None);
    let give_up = GiveUp {
        run,
        task: position,
        wanted: &wanted,
        state: TaskState::TimedOut,
        stop: Some(StopCause::Deadline),
        because: &Arc::new(Because::new("timeout", "it took longer than its total timeout")),
        failure: (124, "timed_out: took longer than its total timeout"),
    };
    give_up::apply(state, context, &give_up);
    end::run_if_over(state, context, run);
}
