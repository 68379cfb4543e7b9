//! The queue and the timers as anybody would write them down who looks at all runs: what the machine
//! keeps step by step must be the same.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use machine::State;
use machine::timers::TimerKind;
use model::{Placement, Resources, RunId, TaskPosition};

/// A task that wants a node: its priority, what it wants and how, and which it is.
pub(crate) type Waiting = (u32, Resources, Placement, RunId, TaskPosition);

/// Every task that wants a node: by priority, then by what it wants and how, then by age.
pub(crate) fn queue(state: &State) -> Vec<Waiting> {
    let mut queue = Vec::new();
    for (id, run) in state.runs().iter() {
        for ((task, spec), position) in run.tasks.iter().zip(&run.spec.tasks).zip(0..) {
            let most = spec.indices().parallel_max as usize;
            if !task.queued.is_empty() && (most == 0 || task.live.len() < most) {
                queue.push((spec.priority, spec.resources, spec.placement, id, position));
            }
        }
    }
    queue.sort_by_key(|&(priority, wants, how, run, task)| {
        (Reverse(priority), wants, how, run, task)
    });
    queue
}

/// Every timer, with its ordinals.
pub(crate) type Timers = BTreeMap<(u64, RunId, TaskPosition, TimerKind), BTreeSet<u32>>;

/// Retries by what waits for them; deadlines by what was submitted, as long as they lie ahead.
pub(crate) fn timers(state: &State) -> Timers {
    let mut timers = Timers::new();
    for (id, run) in state.runs().iter() {
        for ((task, spec), position) in run.tasks.iter().zip(&run.spec.tasks).zip(0..) {
            for (ordinal, tries) in task.tries.iter().filter(|(_, tries)| tries.due_ms > 0) {
                let key = (tries.due_ms, id, position, TimerKind::Retry);
                timers.entry(key).or_default().insert(*ordinal);
            }
            for (after_ms, kind) in [
                (spec.pending_timeout_ms, TimerKind::Pending),
                (spec.total_timeout_ms, TimerKind::Total),
            ] {
                let at_ms = run.submitted_ms + after_ms;
                if after_ms > 0 && at_ms > state.time_ms() {
                    timers.entry((at_ms, id, position, kind)).or_default();
                }
            }
        }
    }
    timers
}

/// What the machine keeps is what is found by looking.
pub(crate) fn check(state: &State) {
    let kept: Vec<Waiting> = (state.queue().iter())
        .map(|(shape, run, task)| (shape.priority.0, shape.wants, shape.placement, run, task))
        .collect();
    assert_eq!(kept, queue(state), "the queue");
    let kept: Timers =
        state.timers().iter().map(|(timer, of)| (*timer, of.iter().collect())).collect();
    assert_eq!(kept, timers(state), "the timers");
    let drains = state.nodes().values().filter_map(|node| node.drain.as_ref());
    let drains = drains.filter(|drain| !drain.stops).filter_map(|drain| drain.until_ms);
    let next_ms = kept.keys().map(|timer| timer.0).chain(drains).min();
    assert_eq!(state.timers().next_ms(), next_ms);
}
