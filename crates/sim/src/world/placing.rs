//! The promises of a plan, held against the state and the room that it was made for.
//!
//! They are counted here element by element, beside the planner and without asking it.

use std::collections::BTreeMap;

use machine::State;
use model::{NodeId, Policy, Resources, RunId, TaskSpec, WhenFull};
use proto::record::{Pick, TurnAway};
use reactor::placement::{Plan, Room};

/// The nodes that take work and are connected, and whether each has asked for some.
type Takers = BTreeMap<NodeId, bool>;

/// What has waited so long may have room kept for it.
const PATIENCE_MS: u64 = 10_000;

/// What is wrong with a plan.
pub(super) fn fault(state: &State, room: &Room, plan: &Plan) -> Option<String> {
    let takers = takers(state, room);
    let mut seated: BTreeMap<NodeId, Resources> = BTreeMap::new();
    for place in &plan.places {
        let id = NodeId::from_bytes(&place.node_id)?;
        let Some(asks) = takers.get(&id) else {
            return Some(format!("node {id} is given work and takes none"));
        };
        let node = state.node(id)?;
        let used = seated.entry(id).or_insert(node.seated);
        for pick in &place.picks {
            let spec = spec(state, pick)?;
            if !asks && spec.placement.policy == Policy::Pull {
                return Some(format!("node {id} is given work of run {} unasked", pick.run));
            }
            let wants = spec.resources.times(count(pick));
            let fits = match pick.ahead {
                true => spec.placement.may_go_ahead(),
                false => spec.placement.limit(node.capacity).has_room(*used, wants),
            };
            if !fits {
                return Some(format!("node {id} has no room for {pick:?}"));
            }
            if !pick.ahead {
                used.add(wants);
            }
        }
    }
    plan.turned_away.iter().find_map(|turn| turned_away(state, &takers, &seated, turn))
}

fn takers(state: &State, room: &Room) -> Takers {
    let takes = |id: &NodeId| state.node(*id).is_some_and(|node| node.takes_work());
    let takers = room.nodes.iter().filter(|(id, _)| takes(id));
    let mut takers: Takers = takers.map(|(id, spare)| (*id, spare.asks)).collect();
    if takers.len() == 1 {
        // One that is alone is taken to have asked.
        takers.values_mut().for_each(|asks| *asks = true);
    }
    takers
}

/// Elements are turned away: they are to be, and nobody has room for one.
fn turned_away(
    state: &State,
    takers: &Takers,
    seated: &BTreeMap<NodeId, Resources>,
    turn: &TurnAway,
) -> Option<String> {
    let run = state.run(RunId(turn.run))?;
    let spec = &run.spec.tasks[turn.task as usize];
    // One that is not heard of may have room.
    let is_whole = state.nodes().values().filter(|node| node.takes_work()).count() == takers.len();
    if spec.placement.when_full != WhenFull::Fail || !is_whole {
        return Some(format!("{turn:?} would wait"));
    }
    let has_room = |id: &NodeId| {
        let node = state.node(*id)?;
        let used = seated.get(id).copied().unwrap_or(node.seated);
        Some(spec.placement.limit(node.capacity).has_room(used, spec.resources))
    };
    let late = |run: RunId| {
        let submitted_ms = state.run(run).map_or(0, |run| run.submitted_ms);
        submitted_ms + PATIENCE_MS < state.time_ms()
    };
    // Room may be kept for what waits, on a node or for one.
    let kept = state.nodes().values().any(|node| node.ahead > 0)
        || state.queue().iter().any(|(_, run, _)| late(run));
    let found = takers.keys().find(|id| has_room(id) == Some(true));
    found.filter(|_| !kept).map(|id| format!("{turn:?} although node {id} has room"))
}

fn spec(state: &State, pick: &Pick) -> Option<TaskSpec> {
    let run = state.run(RunId(pick.run))?;
    run.spec.tasks.get(pick.task as usize).cloned()
}

fn count(pick: &Pick) -> u64 {
    pick.ordinals.iter().map(|range| u64::from(range.last - range.first) + 1).sum()
}
