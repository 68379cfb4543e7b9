//! The nodes, as the cluster has agreed on them and as this node sees them.

use std::collections::BTreeMap;

use machine::node::Assigned;
use machine::{Member, Node};
use model::{Because, NodeId, Resources};
use reactor::control::Connection;

use super::element::{current_attempt, unstarted};
use super::{Draining, ElementStatus, NodeStatus};
use crate::view::View;

/// Every node.
pub(crate) fn nodes(view: &View) -> Vec<NodeStatus> {
    view.state.nodes().iter().map(|(id, node)| status(view, *id, node)).collect()
}

/// One node.
pub(crate) fn node(view: &View, id: NodeId) -> Option<NodeStatus> {
    view.state.node(id).map(|node| status(view, id, node))
}

/// A member that has never had a worker.
pub(crate) fn member(id: NodeId, member: &Member) -> NodeStatus {
    NodeStatus {
        id,
        name: member.name.clone(),
        state: "disconnected",
        reason: String::new(),
        capacity: Resources::default(),
        reserved: Resources::default(),
        running: 0,
        waiting: 0,
        epoch: 0,
        version: String::new(),
        containment: String::new(),
        labels: BTreeMap::new(),
        drain: None,
    }
}

/// Its one word for how it stands.
pub(crate) fn state(node: &Node, connection: Option<&Connection>) -> &'static str {
    match connection {
        Some(connection) if connection.ready => match &node.drain {
            Some(_) if node.assigned.is_empty() => "drained",
            Some(_) => "draining",
            None if connection.degraded.is_empty() => "ready",
            None => "degraded",
        },
        _ => "disconnected",
    }
}

/// At most `limit` of the elements that are placed on a node, in the order they came there.
pub(crate) fn placed(view: &View, node: NodeId, limit: usize) -> Vec<ElementStatus> {
    let assigned = view.state.node(node).into_iter().flat_map(|node| node.assigned.values());
    let element = |at: &Assigned| {
        let run = view.state.run(at.run)?;
        let live = run.tasks[at.task as usize].live.get(&at.ordinal)?;
        let mut status = unstarted(at.run, at.task, &run.spec.tasks[at.task as usize], at.ordinal);
        let attempt = current_attempt(view, live);
        status.state = attempt.state;
        status.attempts.push(attempt);
        Some(status)
    };
    assigned.filter_map(element).take(limit).collect()
}

fn status(view: &View, id: NodeId, node: &Node) -> NodeStatus {
    let connection = view.connections.get(&id);
    let degraded = connection.map(|connection| connection.degraded.clone()).unwrap_or_default();
    let drain = node.drain.as_ref().map(|drain| words(&drain.because));
    let reasons: Vec<String> =
        drain.into_iter().chain([degraded]).filter(|reason| !reason.is_empty()).collect();
    NodeStatus {
        id,
        name: node.name.clone(),
        state: state(node, connection),
        reason: reasons.join("; "),
        capacity: node.capacity,
        reserved: node.seated,
        running: node.assigned.len() as u64 - node.ahead,
        waiting: node.ahead,
        epoch: node.epoch,
        version: node.version.clone(),
        containment: node.containment.clone(),
        labels: node.labels.clone(),
        drain: node.drain.as_ref().map(|drain| Draining {
            because: drain.because.clone(),
            since_ms: drain.since_ms,
            until_ms: drain.until_ms,
            stops: drain.stops,
        }),
    }
}

/// `drained by user:ann: new kernel`
pub(super) fn words(because: &Because) -> String {
    let Because { actor, reason } = because;
    let colon = if reason.is_empty() { "" } else { ": " };
    format!("drained by {actor}{colon}{reason}")
}
