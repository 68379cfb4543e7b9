//! `LoseNode`: the leader has waited out a node's lease and more.
//!
//! The supervisor of the node has ended its tasks by then. In one step the epoch rises, so nothing
//! of the old one can follow, and the attempts are returned or finished as their jobs say. A task
//! whose `on_lost` is `wait` stays placed: its supervisor lets it run, nothing replaces it, and its
//! end counts when the node comes back.

use std::sync::Arc;

use model::{Because, OnLost};
use proto::record::LoseNode;

use super::node_in_epoch;
use super::register_node::return_attempts;
use crate::change::{Action, Change};
use crate::context::Context;
use crate::event::{Answer, Event, Refusal};
use crate::state::State;

pub(crate) fn apply(
    state: &mut State,
    context: &mut Context,
    lose: &LoseNode,
) -> Result<Answer, Refusal> {
    let node = node_in_epoch(state, &lose.node_id, lose.epoch)?;
    let refuse = |why| Err(Refusal::NotLosable { node, why });
    let name = match state.node(node) {
        Some(node) if node.is_lost => return refuse("it is lost already"),
        Some(node) if node.lease_ms == 0 => return refuse("it keeps its tasks without a lease"),
        Some(node) => node.name.clone(),
        None => return Err(Refusal::UnknownNode { node }),
    };
    let reason = format!("node {name} has not been heard of for longer than its lease");
    let because = Because::new("node-lost", reason);
    return_attempts(state, context, node, because.clone(), |task| task.on_lost != OnLost::Wait);
    let Some(entry) = state.nodes.get_mut(&node) else {
        return Err(Refusal::UnknownNode { node });
    };
    let entry = Arc::make_mut(entry);
    entry.epoch += 1;
    entry.is_lost = true;
    entry.kept_seq = entry.last_seq;
    let epoch = entry.epoch;
    context.events.push(Event::NodeLost { node, epoch });
    context.changed(Change::new(Action::LoseNode, name, &because.into(), None));
    Ok(Answer::NodeLost { epoch })
}
