//! `Recover` and `EndRecovery`: the cluster goes on from a snapshot, or without its majority.
//!
//! Between the two nobody knows what still runs: elements that wait in this state may have been
//! placed in the former incarnation, behind the snapshot or by the lost majority. So nothing is
//! placed, by whatever leader, until one has waited for as long as any node may have kept its tasks.
//!
//! All members are forgotten and join again: a certificate of the former incarnation is worth
//! nothing. The epochs of an incarnation lie above all of the ones before: what a node was told, or says, of
//! the former one never counts, however often its epoch had risen there.

use std::sync::Arc;

use model::{Because, NodeId, OnLost, RunId};
use proto::record::{EndRecovery, Recover};

use super::register_node::return_attempts;
use crate::change::{Action, Change};
use crate::context::Context;
use crate::event::{Answer, Event, Refusal};
use crate::state::{Cluster, State};

pub(crate) fn begin(
    state: &mut State,
    context: &mut Context,
    recover: &Recover,
) -> Result<Answer, Refusal> {
    let before = state.cluster.ok_or(Refusal::NotFounded)?;
    let action = match recover.how.parse() {
        Ok(action @ (Action::Restore | Action::Recover)) => action,
        _ => return Err(proto::Invalid("how").into()),
    };
    if recover.incarnation <= u32::from(before.incarnation) {
        let (current, given) = (before.incarnation, recover.incarnation);
        return Err(Refusal::StaleIncarnation { current, given });
    }
    let incarnation =
        u16::try_from(recover.incarnation).map_err(|_| proto::Invalid("incarnation"))?;
    if recover.last_run >= RunId::MAX.0 {
        return Err(proto::Invalid("last_run").into());
    }

    let cluster = Cluster { incarnation, ..before };
    state.cluster = Some(cluster);
    state.is_recovering = true;
    state.last_run = state.last_run.max(RunId(recover.last_run));
    state.members.clear();
    void_nodes(state, context, cluster);
    let because = recover.because.clone().unwrap_or_default();
    context.changed(Change::new(action, format!("incarnation {incarnation}"), &because, None));
    Ok(Answer::Recovering { incarnation })
}

/// What is placed stays where it is, under numbers that no node will be sent again.
fn void_nodes(state: &mut State, context: &mut Context, cluster: Cluster) {
    let ids: Vec<NodeId> = state.nodes.keys().copied().collect();
    for id in ids {
        let Some(node) = state.node_mut(id) else { continue };
        node.epoch = cluster.epochs_from().max(node.epoch + 1);
        node.is_lost = true;
        node.kept_seq = node.last_seq;
        context.events.push(Event::NodeVoided { node: id, epoch: node.epoch });
    }
}

pub(crate) fn end(
    state: &mut State,
    context: &mut Context,
    end: &EndRecovery,
) -> Result<Answer, Refusal> {
    let current = state.cluster.ok_or(Refusal::NotFounded)?.incarnation;
    if !state.is_recovering || u32::from(current) != end.incarnation {
        return Err(Refusal::NotRecovering { given: end.incarnation });
    }
    state.is_recovering = false;
    let lost: Vec<(NodeId, Arc<_>)> = (state.nodes.iter())
        .filter(|(_, node)| node.is_lost)
        .map(|(id, node)| (*id, node.clone()))
        .collect();
    for (id, node) in lost {
        let reason = format!("node {} had it before the cluster was recovered", node.name);
        let because = Because::new("node-lost", reason);
        return_attempts(state, context, id, because, |task| task.on_lost != OnLost::Wait);
        context.events.push(Event::NodeLost { node: id, epoch: node.epoch });
    }
    Ok(Answer::Recovered)
}
