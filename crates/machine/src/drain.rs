//! A node that is drained: nothing more is placed there, and what is there leaves it.
//!
//! What waits there for its start is taken back at once; only the node knows whether it has started
//! by then, so it counts as taken back when the node says so. What runs may go on until the drain's
//! time is over and is stopped then. Either waits for another node, and no failure is counted.
//!
//! It must never end an attempt of itself: that is for the node to say, or for the loss of it.

use std::sync::Arc;

use model::{Attempt, NodeId, StopCause};

use crate::context::Context;
use crate::event::Event;
use crate::node::Assigned;
use crate::run::Live;
use crate::state::State;

/// Asks for everything back that has not started, as far as anybody knows.
pub(crate) fn withdraw(state: &State, context: &mut Context, node: NodeId) {
    let attempts = attempts(state, node, |live| live.started_us == 0 && live.stop.is_none());
    if !attempts.is_empty() {
        context.events.push(Event::Withdraw { node, attempts });
    }
}

/// The time of a drain is over: what is there is stopped.
pub(crate) fn stop(state: &mut State, context: &mut Context, node: NodeId) {
    let Some(home) = state.node_mut(node) else { return };
    let Some(drain) = &mut home.drain else { return };
    drain.stops = true;
    let because = Arc::new(drain.because(&home.name));
    let attempts = attempts(state, node, |live| live.stop.is_none());
    for Attempt { element, .. } in &attempts {
        let Some(run) = state.run_mut(element.run) else { continue };
        let task = element.task as usize;
        let Some(ordinal) = run.spec.tasks[task].indices().ordinal(element.index) else { continue };
        if let Some(live) = run.tasks[task].live.get_mut(&ordinal) {
            live.stop = Some((StopCause::Drain, because.clone()));
        }
    }
    if !attempts.is_empty() {
        context.events.push(Event::Stop { node, attempts, cause: StopCause::Drain });
    }
}

/// Tells that a node is drained, where it is and nothing is left there.
pub(crate) fn tell_if_empty(state: &State, context: &mut Context, node: NodeId) {
    if state.node(node).is_some_and(|home| home.drain.is_some() && home.assigned.is_empty()) {
        context.events.push(Event::NodeDrained { node });
    }
}

/// The attempts on a node that `which` names, in the order they were placed.
fn attempts(state: &State, node: NodeId, which: impl Fn(&Live) -> bool) -> Vec<Attempt> {
    let assigned = state.node(node).into_iter().flat_map(|home| home.assigned.values());
    let attempt = |at: &Assigned| {
        let run = state.runs.touched(at.run)?;
        let live = run.tasks[at.task as usize].live.get(&at.ordinal).filter(|live| which(live))?;
        Some(run.attempt(at.run, at.task, at.ordinal, live.number))
    };
    assigned.filter_map(attempt).collect()
}
