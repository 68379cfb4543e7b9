//! `DrainNode` and `ResumeNode`: a node is taken out of work, and back into it.

use model::NodeId;
use proto::record::{DrainNode, ResumeNode};

use crate::change::{Action, Change};
use crate::context::Context;
use crate::drain;
use crate::event::{Answer, Event, Refusal};
use crate::node::Drain;
use crate::state::State;

/// A second drain gives a new reason and a new time; what is being stopped already stays so.
pub(crate) fn drain(
    state: &mut State,
    context: &mut Context,
    drain: &DrainNode,
) -> Result<Answer, Refusal> {
    let node = NodeId::from_bytes(&drain.node_id).ok_or(proto::Invalid("node_id"))?;
    let home = state.node(node).ok_or(Refusal::UnknownNode { node })?;
    let name = home.name.clone();
    let because = drain.because.clone().unwrap_or_default();
    let new = Drain {
        because: because.clone().into(),
        since_ms: home.drain.as_ref().map_or(context.now_ms, |before| before.since_ms),
        until_ms: drain.wait_ms.map(|wait_ms| context.now_ms.saturating_add(wait_ms)),
        stops: false,
    };
    let at_once = drain.wait_ms == Some(0);
    end(state, node);
    if let Some(until_ms) = new.until_ms.filter(|_| !at_once) {
        state.timers.drain(until_ms, node);
    }
    if let Some(home) = state.node_mut(node) {
        home.drain = Some(new);
    }
    context.events.push(Event::NodeDraining { node });
    match at_once {
        true => drain::stop(state, context, node),
        false => drain::withdraw(state, context, node),
    }
    drain::tell_if_empty(state, context, node);
    context.changed(Change::new(Action::DrainNode, name, &because, drain.from.as_ref()));
    Ok(Answer::Draining)
}

pub(crate) fn resume(
    state: &mut State,
    context: &mut Context,
    resume: &ResumeNode,
) -> Result<Answer, Refusal> {
    let node = NodeId::from_bytes(&resume.node_id).ok_or(proto::Invalid("node_id"))?;
    let name = state.node(node).ok_or(Refusal::UnknownNode { node })?.name.clone();
    if state.members.is_revoked(node) {
        return Err(Refusal::NodeRevoked { node });
    }
    if end(state, node).is_none() {
        return Ok(Answer::Resumed { was_drained: false });
    }
    context.events.push(Event::NodeResumed { node });
    let because = resume.because.clone().unwrap_or_default();
    context.changed(Change::new(Action::ResumeNode, name, &because, resume.from.as_ref()));
    Ok(Answer::Resumed { was_drained: true })
}

/// Takes a drain and its timer away.
pub(super) fn end(state: &mut State, node: NodeId) -> Option<Drain> {
    let drain = state.node_mut(node)?.drain.take()?;
    if let Some(until_ms) = drain.until_ms.filter(|_| !drain.stops) {
        state.timers.undrain(until_ms, node);
    }
    Some(drain)
}
