//! The nodes, as the cluster has agreed on them and as this node sees them.

use super::NodeStatus;
use crate::view::View;

/// Every node.
pub(crate) fn nodes(view: &View) -> Vec<NodeStatus> {
    let status = |(id, node): (&model::NodeId, &std::sync::Arc<machine::Node>)| {
        let connection = view.connections.get(id);
        let reason = connection.map(|c| c.degraded.clone()).unwrap_or_default();
        let state = match connection {
            Some(connection) if connection.ready && reason.is_empty() => "ready",
            Some(connection) if connection.ready => "degraded",
            _ => "disconnected",
        };
        NodeStatus {
            id: *id,
            name: node.name.clone(),
            state,
            reason,
            capacity: node.capacity,
            reserved: node.seated,
            running: node.assigned.len() as u64 - node.ahead,
            waiting: node.ahead,
            epoch: node.epoch,
            version: node.version.clone(),
            containment: node.containment.clone(),
            labels: node.labels.clone(),
        }
    };
    view.state.nodes().iter().map(status).collect()
}
