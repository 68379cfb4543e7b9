//! `RemoveNode`: a node is forgotten, with everything that is placed there.
//!
//! Without `force` only a node goes of which nothing can run any more: it is lost, or never had a
//! lease, and nothing is placed there. With it somebody vouches that the machine is dead, so what is
//! placed there is returned, tasks that wait for it included. Its id may come back, if whoever lets
//! nodes in lets it: the epoch goes on from where it was, so nothing of before can be taken for it.

use model::{Because, NodeId};
use proto::record::RemoveNode;

use super::drain_node;
use super::register_node::return_attempts;
use crate::change::{Action, Change};
use crate::context::Context;
use crate::event::{Answer, Event, Refusal};
use crate::node::Node;
use crate::state::State;

pub(crate) fn apply(
    state: &mut State,
    context: &mut Context,
    remove: &RemoveNode,
) -> Result<Answer, Refusal> {
    let node = NodeId::from_bytes(&remove.node_id).ok_or(proto::Invalid("node_id"))?;
    let home = state.node(node).ok_or(Refusal::UnknownNode { node })?;
    check(home, remove).map_or(Ok(()), |why| Err(Refusal::NotRemovable { node, why }))?;
    let (name, epoch, placed) = (home.name.clone(), home.epoch, home.assigned.len() as u64);
    let because = remove.because.clone().unwrap_or_default();
    let reason = format!("node {name} was removed by {}", because.actor);
    drain_node::end(state, node);
    return_attempts(state, context, node, Because::new("node-removed", reason), |_| true);
    forget(state, node, epoch);
    context.events.push(Event::NodeRemoved { node, name: name.clone() });
    context.changed(Change::new(Action::RemoveNode, name, &because, remove.from.as_ref()));
    Ok(Answer::NodeRemoved { returned: placed })
}

/// Everything that knows the node forgets it, but for the epoch that it was in.
fn forget(state: &mut State, node: NodeId, epoch: u64) {
    state.epoch_floor = state.epoch_floor.max(epoch);
    state.nodes.remove(&node);
}

/// Why the node cannot go, if it cannot.
fn check(home: &Node, remove: &RemoveNode) -> Option<&'static str> {
    if home.hello > remove.hello {
        return Some("it has been heard of since");
    }
    if remove.force {
        return None;
    }
    if home.lease_ms > 0 && !home.is_lost {
        return Some("its lease has not run out");
    }
    (!home.assigned.is_empty()).then_some("something is placed there")
}
