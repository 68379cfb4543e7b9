//! What is placed: where, since when, and how long it waited for what.

use std::collections::BTreeMap;

use machine::{Live, Run};
use model::{Because, NodeId, RangeSet, StopCause, TaskPosition, TaskState, text};

use super::super::live::shown_state;
use super::super::nodes::words as drained;
use super::{Asked, Reason, ReasonCode, Why};
use crate::facts::stop_words;

/// An id that is named in what would change it.
const ID_CHARS_MAX: usize = 60;

/// Placed elements are alike where these are.
type Alike = (TaskState, NodeId, bool, Option<StopCause>);

/// The groups of a task's elements that are placed.
pub(super) fn groups(
    asked: &Asked<'_>,
    run: &Run,
    task: TaskPosition,
    ordinals: &RangeSet,
    answers: &mut Vec<Why>,
) {
    let of = &run.tasks[task as usize];
    let mut alike: BTreeMap<Alike, Vec<(u32, &Live)>> = BTreeMap::new();
    for (ordinal, live) in ordinals.ranges().flat_map(|range| of.live.range(range)) {
        let node = asked.view.state.node(live.node);
        let ahead = node.and_then(|node| node.assigned.get(&live.seq)).is_some_and(|at| at.ahead);
        let state = shown_state(asked.view, live.node, live.state());
        let cause = live.stop.as_ref().map(|(cause, _)| *cause);
        alike.entry((state, live.node, ahead, cause)).or_default().push((*ordinal, live));
    }
    for ((state, node, ahead, _), lives) in alike {
        let ordinals: RangeSet = lives.iter().map(|(ordinal, _)| *ordinal).collect();
        let mut group = asked.group(task, &ordinals, state);
        // All of them, told by the one that has been there longest.
        let since_us = |live: &Live| match live.started_us {
            0 => live.placed_ms.saturating_mul(1000),
            started_us => started_us,
        };
        let Some((_, first)) = lives.iter().min_by_key(|(_, live)| since_us(live)) else {
            continue;
        };
        group.since_ms = since_us(first) / 1000;
        let name = asked.view.node_name(node);
        let mut reason = match state {
            TaskState::Scheduled if ahead => asked.seat(node, &name, task),
            TaskState::Scheduled => starting(asked, node, &name),
            TaskState::Running => runs(asked, run, first, &name, task, &group.id),
            TaskState::Stopping => stopping(first, &name, asked.spec(task).grace_ms),
            _ => silent(&name),
        };
        reason.node = name;
        group.reasons.push(reason);
        if state != TaskState::Stopping {
            group.usual = asked.usual(task, None);
        }
        answers.push(group);
    }
}

impl Asked<'_> {
    fn seat(&self, node: NodeId, name: &str, task: TaskPosition) -> Reason {
        let wants = self.spec(task).resources;
        let mut reason = Reason::new(
            ReasonCode::WaitsForSeat,
            format!("it is placed on node {name} ahead of room and waits there for {wants}"),
            "one of those that hold the room ends or is canceled",
        );
        if let Some(node) = self.view.state.node(node) {
            reason.holders = self.holders(node, true);
        }
        reason
    }
}

fn starting(asked: &Asked<'_>, node: NodeId, name: &str) -> Reason {
    match asked.view.is_ready(node) {
        true => Reason::new(
            ReasonCode::Starting,
            format!("it is placed on node {name}, which has not said yet that it started"),
            "nothing has to: it starts within moments, or the node says why not",
        ),
        false => Reason::new(
            ReasonCode::NodeNotReady,
            format!("it is placed on node {name}, which does not answer"),
            format!("start `windlass up` on {name} again"),
        ),
    }
}

fn runs(
    asked: &Asked<'_>,
    run: &Run,
    live: &Live,
    name: &str,
    task: TaskPosition,
    id: &str,
) -> Reason {
    let started_ms = live.started_us / 1000;
    let since = |from: u64, to: u64| text::duration_ms(to.saturating_sub(from));
    let mut words =
        format!("it has run on node {name} for {}", since(started_ms, asked.situation.now_ms));
    let start = since(live.placed_ms, started_ms);
    match live.number {
        1 => words.push_str(&format!(
            ", after {} of waiting for a node and {start} for its start",
            since(run.submitted_ms, live.placed_ms)
        )),
        number => words.push_str(&format!(
            ", as attempt {number} ({} failed, {} lost before), {start} after it got its node",
            live.failures, live.losses
        )),
    }
    let timeout_ms = asked.spec(task).timeout_ms;
    // What has more ranges than a line is not for pasting.
    let id = match asked.spec(task).array.is_some() && id.len() <= ID_CHARS_MAX {
        true => id.to_owned(),
        false => asked.resolved.run.to_string(),
    };
    let cancel = model::words::shell_line(["windlass", "cancel", &id]);
    let mut change = format!("it ends by itself; `{cancel}` ends it now");
    let mut until_ms = 0;
    if timeout_ms > 0 {
        until_ms = started_ms.saturating_add(timeout_ms);
        change
            .push_str(&format!(", its timeout of {} at the latest", text::duration_ms(timeout_ms)));
    }
    if let Some(drain) = asked.view.state.node(live.node).and_then(|node| node.drain.as_ref()) {
        words.push_str(&format!("; the node is {}", drained(&drain.because)));
        if let Some(at_ms) = drain.until_ms {
            let left = since(asked.situation.now_ms, at_ms);
            change.push_str(&format!(", the drain of its node in {left}"));
            until_ms = if until_ms == 0 { at_ms } else { until_ms.min(at_ms) };
        }
    }
    Reason { until_ms, ..Reason::new(ReasonCode::Runs, words, change) }
}

fn stopping(live: &Live, name: &str, grace_ms: u64) -> Reason {
    let who = match &live.stop {
        Some((cause, because)) => format!("{}{}", stop_words(*cause), by(because)),
        None => "a stop is under way".to_owned(),
    };
    Reason::new(
        ReasonCode::Stopping,
        format!("it is being stopped on node {name}: {who}"),
        format!("its processes end, or are killed {} after the stop", text::duration_ms(grace_ms)),
    )
}

fn silent(name: &str) -> Reason {
    Reason::new(
        ReasonCode::NodeSilent,
        format!("node {name} has stopped answering, so nobody knows whether it still runs"),
        format!("start `windlass up` on {name} again: it tells what became of its tasks"),
    )
}

/// ` by user:ann: no longer needed`
pub(super) fn by(because: &Because) -> String {
    match (because.actor.as_str(), because.reason.as_str()) {
        ("", "") => String::new(),
        ("", reason) => format!(": {reason}"),
        (actor, "") => format!(" by {actor}"),
        (actor, reason) => format!(" by {actor}: {reason}"),
    }
}
