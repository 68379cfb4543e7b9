//! `Place`: elements get a node. The leader chose; here every pick is checked again, and one that
//! no longer holds is left out.

use model::{Fence, NodeId, RunId};
use proto::record::{Pick, Place};

use super::node_in_epoch;
use crate::context::Context;
use crate::event::{Answer, Event, PickRefusal, Refusal};
use crate::node::{Assigned, Node};
use crate::run::{Live, TaskRun};
use crate::state::State;

pub(crate) fn apply(
    state: &mut State,
    context: &mut Context,
    place: &Place,
) -> Result<Answer, Refusal> {
    let mut refuse_all = |reason| {
        context.events.extend(place.picks.iter().map(|pick| refused(pick, reason)));
    };
    let node = match node_in_epoch(state, &place.node_id, place.epoch) {
        Ok(node) => node,
        Err(refusal) => {
            refuse_all(PickRefusal::NodeEpoch);
            return Err(refusal);
        }
    };
    if state.is_recovering {
        refuse_all(PickRefusal::Recovering);
        return Ok(Answer::Placed { count: 0 });
    }
    let mut placed = 0;
    for pick in &place.picks {
        match check(state, node, pick, fence(state, context.index)) {
            Ok(count) => {
                assign(state, context, node, place.epoch, pick);
                state.waiting -= count;
                state.requeue(RunId(pick.run), pick.task);
                placed += count;
            }
            Err(reason) => context.events.push(refused(pick, reason)),
        }
    }
    Ok(Answer::Placed { count: placed })
}

fn fence(state: &State, index: u64) -> Fence {
    Fence::new(state.cluster.map_or(0, |cluster| cluster.incarnation), index)
}

fn refused(pick: &Pick, reason: PickRefusal) -> Event {
    Event::PickRefused { run: RunId(pick.run), reason }
}

/// How many elements the pick places, or why it does not hold.
fn check(state: &State, node: NodeId, pick: &Pick, fence: Fence) -> Result<u64, PickRefusal> {
    let run = state.runs.get(RunId(pick.run)).ok_or(PickRefusal::RunEnded)?;
    let task = run.tasks.get(pick.task as usize).ok_or(PickRefusal::Invalid)?;
    if run.canceled.is_some() {
        return Err(PickRefusal::RunCanceled);
    }
    let count = count(task, pick, fence)?;
    let spec = &run.spec.tasks[pick.task as usize];
    let node = state.node(node).filter(|node| !node.is_lost).ok_or(PickRefusal::NodeEpoch)?;
    if node.drain.is_some() {
        return Err(PickRefusal::Draining);
    }
    let room = if pick.ahead {
        // What waits on a node gets whatever becomes free there, and keeps no headroom.
        spec.placement.may_go_ahead()
            && node.capacity.has_room(Default::default(), spec.resources)
            && node.ahead + count <= Node::AHEAD_MAX
    } else {
        let limit = spec.placement.limit(node.capacity);
        limit.has_room(node.seated, spec.resources.times(count))
    };
    if !room {
        return Err(PickRefusal::NoRoom);
    }
    match count <= task.parallel_room(spec.indices().parallel_max) {
        true => Ok(count),
        false => Err(PickRefusal::Parallel),
    }
}

/// How many elements the pick names, all of which wait.
fn count(task: &TaskRun, pick: &Pick, fence: Fence) -> Result<u64, PickRefusal> {
    let mut count = 0u64;
    let mut above = 0u64;
    for range in proto::element_ranges(&pick.ordinals) {
        let (first, last) = (*range.start(), *range.end());
        if u64::from(first) < above || first > last {
            return Err(PickRefusal::Invalid);
        }
        if !task.queued.contains_range(range) {
            return Err(PickRefusal::NotQueued);
        }
        above = u64::from(last) + 1;
        count += above - u64::from(first);
        // One fence is one attempt: an element that came back in this very batch waits for the next.
        if task.tries.range(first..=last).any(|(_, tries)| tries.fence == fence) {
            return Err(PickRefusal::JustReturned);
        }
    }
    match count {
        0 => Err(PickRefusal::Invalid),
        _ => Ok(count),
    }
}

fn assign(state: &mut State, context: &mut Context, node: NodeId, epoch: u64, pick: &Pick) {
    let fence = fence(state, context.index);
    let run_id = RunId(pick.run);
    let State { runs, nodes, .. } = state;
    let (Some(run), Some(home)) = (runs.get_mut(run_id), nodes.get_mut(&node)) else { return };
    let home = std::sync::Arc::make_mut(home);
    let spec = &run.spec.tasks[pick.task as usize];
    let task = &mut run.tasks[pick.task as usize];
    let first_seq = home.last_seq + 1;
    let mut items = Vec::new();
    for range in proto::element_ranges(&pick.ordinals) {
        task.queued.remove_range(range.clone());
        for ordinal in range {
            let tries = task.tries.remove(&ordinal).unwrap_or_default();
            let number = tries.attempts + 1;
            let wants = spec.resources;
            let seq = home.assign(Assigned {
                run: run_id,
                task: pick.task,
                ordinal,
                wants,
                ahead: pick.ahead,
            });
            task.live.insert(
                ordinal,
                Live {
                    number,
                    node,
                    seq,
                    fence,
                    placed_ms: context.now_ms,
                    started_us: 0,
                    failures: tries.failures,
                    losses: tries.losses,
                    stop: None,
                },
            );
            items.push((spec.indices().index(ordinal), number));
        }
    }
    let task = pick.task;
    context.events.push(Event::Assigned {
        node,
        epoch,
        first_seq,
        run: run_id,
        task,
        items,
        fence,
    });
}
