//! `RegisterNode`: a worker part has opened a session.
//!
//! A new supervisor says that everything of the former one is proved gone: in the same step the
//! epoch rises and the attempts of the old epoch are returned, so no report or placement of the
//! old epoch can follow.

use std::sync::Arc;

use model::{Attempt, Because, Element, Ending, NodeId, Outcome, SupervisorId, TaskSpec};
use proto::record::RegisterNode;

use super::report;
use crate::change::{Action, Change};
use crate::context::Context;
use crate::end;
use crate::event::{Answer, Event, Refusal};
use crate::node::Node;
use crate::state::{Cluster, State};

pub(crate) fn apply(
    state: &mut State,
    context: &mut Context,
    register: &RegisterNode,
) -> Result<Answer, Refusal> {
    let node = NodeId::from_bytes(&register.node_id).ok_or(proto::Invalid("node_id"))?;
    let supervisor =
        SupervisorId::from_bytes(&register.supervisor_id).ok_or(proto::Invalid("supervisor_id"))?;
    if state.members.is_revoked(node) {
        return Err(Refusal::NodeRevoked { node });
    }
    let last = state.node(node).map_or(0, |node| node.hello);
    if register.hello < last {
        return Err(Refusal::StaleHello { node, last, given: register.hello });
    }
    let capacity = proto::required(register.capacity, "capacity")?.into();
    let old = state.node(node).map(|node| (node.epoch, node.supervisor));
    for end in &register.recovered {
        report::take_end(state, context, node, end);
    }
    if old.is_some_and(|(_, old)| old != supervisor) {
        let because = Because::new(
            "supervisor-lost",
            "the supervisor or the machine it ran on ended; its processes are proved gone",
        );
        return_attempts(state, context, node, because, |_| true);
    }
    let epoch = match old {
        None => 1 + state.epoch_floor.max(state.cluster.map_or(0, Cluster::epochs_from)),
        Some((epoch, old)) => epoch + u64::from(old != supervisor),
    };
    let entry = state.nodes.entry(node).or_insert_with(|| Arc::new(Node::default()));
    let entry = Arc::make_mut(entry);
    if entry.epoch != epoch {
        (entry.last_seq, entry.kept_seq) = (0, 0);
    }
    entry.epoch = epoch;
    entry.supervisor = supervisor;
    entry.hello = register.hello;
    entry.lease_ms = register.lease_ms;
    entry.is_lost = false;
    entry.capacity = capacity;
    entry.name.clone_from(&register.name);
    entry.version.clone_from(&register.version);
    entry.containment.clone_from(&register.containment);
    entry.labels =
        register.labels.iter().map(|label| (label.key.clone(), label.value.clone())).collect();
    context.events.push(Event::NodeRegistered { node, epoch });
    if old.is_none_or(|(before, _)| before != epoch) {
        let reason = match old {
            None => "it is new".to_owned(),
            Some(_) => format!("a new supervisor, epoch {epoch}"),
        };
        let because = Because::new("node", reason).into();
        context.changed(Change::new(Action::RegisterNode, register.name.clone(), &because, None));
    }
    Ok(Answer::Registered { epoch })
}

/// Ends what is placed on a node and of a task that `which` names: nobody saw how.
pub(super) fn return_attempts(
    state: &mut State,
    context: &mut Context,
    node: NodeId,
    because: Because,
    which: impl Fn(&TaskSpec) -> bool,
) {
    let assigned: Vec<_> = (state.node(node))
        .map(|node| node.assigned.values().copied().collect())
        .unwrap_or_default();
    let because = Arc::new(because);
    for at in assigned {
        let Some(run) = state.runs.touched(at.run) else { continue };
        let Some(live) = run.tasks[at.task as usize].live.get(&at.ordinal) else { continue };
        let spec = &run.spec.tasks[at.task as usize];
        if !which(spec) {
            continue;
        }
        let index = spec.indices().index(at.ordinal);
        let element = Element { run: at.run, task: at.task, index };
        let attempt = Attempt { element, number: live.number };
        let mut outcome = Outcome::bare(Ending::Gone);
        outcome.started_us = live.started_us;
        end::attempt(state, context, node, attempt, outcome, Some(because.clone()));
    }
}
