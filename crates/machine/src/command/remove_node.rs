//! `RemoveNode`: a node is forgotten, with everything that is placed there.
//!
//! Without `force` only a node goes of which nothing can run any more: it is lost, or never had a
//! lease, and nothing is placed there. With it somebody vouches that the machine is dead, so what is
//! placed there is returned, tasks that wait for it included. What was a member is believed no more:
//! it comes back under a new id, with a join token. Where an id does come back, the epoch goes on
//! from where it was, so nothing of before can be taken for it.
//!
//! A node that lives may be cut off first: its membership ends, and with it whatever it could be heard
//! by, and nothing more is placed there. What is there stays placed until its lease has run out, as
//! with any node that is away.

use model::{Because, NodeId};
use proto::record::RemoveNode;

use super::drain_node;
use super::register_node::return_attempts;
use crate::change::{Action, Change};
use crate::context::Context;
use crate::event::{Answer, Event, Refusal};
use crate::node::{Drain, Node};
use crate::state::State;

/// Why nothing can be removed while too many removals have to be remembered.
const FULL: &str = "too many nodes were removed within a year";

/// Why a node stays that may run tasks. Nobody vouches for one that was cut off while it lived.
const LEASED: &str = "its lease has not run out";

pub(crate) fn apply(
    state: &mut State,
    context: &mut Context,
    remove: &RemoveNode,
) -> Result<Answer, Refusal> {
    let node = NodeId::from_bytes(&remove.node_id).ok_or(proto::Invalid("node_id"))?;
    let home = state.node(node);
    let member = state.members.get(node);
    let name = home.map(|home| &home.name).or(member.map(|member| &member.name));
    let name = name.ok_or(Refusal::UnknownNode { node })?.clone();
    if remove.cut_off {
        return cut_off(state, context, node, name, remove);
    }
    let lives = home.is_some_and(|home| home.lease_ms > 0 && !home.is_lost);
    if lives && state.members.is_revoked(node) {
        return Err(Refusal::NotRemovable { node, why: LEASED });
    }
    let full = (member.is_some() && !state.members.can_revoke(context.now_ms)).then_some(FULL);
    if let Some(why) = full.or(home.and_then(|home| check(home, remove))) {
        return Err(Refusal::NotRemovable { node, why });
    }
    let (epoch, placed) = home.map_or((0, 0), |home| (home.epoch, home.assigned.len() as u64));
    let because = remove.because.clone().unwrap_or_default();
    let reason = format!("node {name} was removed by {}", because.actor);
    drain_node::end(state, node);
    return_attempts(state, context, node, Because::new("node-removed", reason), |_| true);
    forget(state, node, epoch, context.now_ms);
    context.events.push(Event::NodeRemoved { node, name: name.clone() });
    context.changed(Change::new(Action::RemoveNode, name, &because, remove.from.as_ref()));
    Ok(Answer::NodeRemoved { returned: placed })
}

/// Ends the membership of a node that lives. A control node has the authority's key: this would not
/// keep its holder out.
fn cut_off(
    state: &mut State,
    context: &mut Context,
    node: NodeId,
    name: String,
    remove: &RemoveNode,
) -> Result<Answer, Refusal> {
    let refuse = |why| Err(Refusal::NotRemovable { node, why });
    match (state.node(node), state.members.get(node)) {
        (_, Some(member)) if member.roles.control => return refuse("it is a control node"),
        (Some(home), Some(_)) if home.lease_ms > 0 => {}
        _ => return refuse("it has no lease that could run out"),
    }
    if !state.members.can_revoke(context.now_ms) {
        return refuse(FULL);
    }
    state.members.revoke(node, context.now_ms);
    let because = remove.because.clone().unwrap_or_default();
    take_out_of_work(state, context, node, &because);
    context.changed(Change::new(Action::CutOffNode, name, &because, remove.from.as_ref()));
    Ok(Answer::NodeCutOff)
}

/// Nothing more is placed on the node, from now on and not only once its session is gone. Nothing is
/// asked back of it either: whatever it said would not count.
fn take_out_of_work(
    state: &mut State,
    context: &mut Context,
    node: NodeId,
    because: &proto::job::Because,
) {
    let Some(home) = state.node_mut(node).filter(|home| home.drain.is_none()) else { return };
    home.drain = Some(Drain {
        because: because.clone().into(),
        since_ms: context.now_ms,
        until_ms: None,
        stops: false,
    });
    context.events.push(Event::NodeDraining { node });
}

/// Everything that knows the node forgets it, but for the epoch that it was in. A member's
/// certificates count no more.
fn forget(state: &mut State, node: NodeId, epoch: u64, now_ms: u64) {
    state.epoch_floor = state.epoch_floor.max(epoch);
    state.nodes.remove(&node);
    if state.members.get(node).is_some() {
        state.members.revoke(node, now_ms);
    }
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
        return Some(LEASED);
    }
    (!home.assigned.is_empty()).then_some("something is placed there")
}
