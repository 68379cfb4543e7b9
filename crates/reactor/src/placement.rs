//! Which element goes where: a plan for one view of the state.
//!
//! Tasks are looked at in the order of the queue; what does not fit is passed over by what does.
//! A plan only proposes: the machine checks every pick again when it is committed. It runs off the
//! main thread, on a view, and looks at a bounded number of tasks.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use machine::{Node, State};
use model::{NodeId, RangeSet, Resources, RunId, TaskPosition};
use proto::record::{Pick, Place};

use crate::control::Room;

/// Elements placed by one plan at most.
const ELEMENTS_MAX: u64 = 4096;
/// Tasks one plan looks at most, and how many of those may fit nowhere.
const TASKS_MAX: usize = 4096;
/// How many tasks that fit nowhere are passed over.
const PASSED_OVER_MAX: usize = 256;
/// What may be placed ahead beyond a node's pace when lower priorities wait behind it, so that an
/// urgent task does not wait for the backlog of the others.
const URGENT_AHEAD: u64 = 16;

/// A plan for `state` on the nodes of `room`, each with how many it may be given ahead.
pub fn plan(state: &State, room: &Room) -> Vec<Place> {
    let mut plan = Plan::new(state, room);
    let lowest = state.queue().get_max().map_or(0, |(Reverse(priority), ..)| *priority);
    let mut passed_over = 0;
    for &(Reverse(priority), run, task) in state.queue().iter().take(TASKS_MAX) {
        if plan.left == 0 || passed_over >= PASSED_OVER_MAX {
            break;
        }
        let urgent = if priority > lowest { URGENT_AHEAD } else { 0 };
        if !plan.task(state, run, task, urgent) {
            passed_over += 1;
        }
    }
    plan.places()
}

struct Plan<'a> {
    nodes: BTreeMap<NodeId, Home<'a>>,
    left: u64,
}

struct Home<'a> {
    node: &'a Node,
    seated: Resources,
    ahead: u64,
    ahead_max: u64,
    picks: Vec<Pick>,
}

impl<'a> Plan<'a> {
    fn new(state: &'a State, room: &Room) -> Plan<'a> {
        let home = |(id, ahead_max): (&NodeId, &u64)| {
            let node = state.node(*id)?;
            let (seated, ahead, ahead_max) = (node.seated, node.ahead, *ahead_max);
            Some((*id, Home { node, seated, ahead, ahead_max, picks: Vec::new() }))
        };
        Plan { nodes: room.iter().filter_map(home).collect(), left: ELEMENTS_MAX }
    }

    /// Places what it can of one task; says whether anything found a place.
    fn task(&mut self, state: &State, run: RunId, position: TaskPosition, urgent: u64) -> bool {
        let Some(run_state) = state.run(run) else { return false };
        let task = &run_state.tasks[position as usize];
        let spec = &run_state.spec.tasks[position as usize];
        let mut wanted =
            task.queued.len().min(task.parallel_room(spec.indices().parallel_max)).min(self.left);
        let before = wanted;
        let mut queued = Taken { queued: &task.queued, from: 0 };
        let mut order: Vec<(Reverse<u64>, NodeId)> =
            (self.nodes.iter()).map(|(id, home)| (Reverse(home.free_cpu()), *id)).collect();
        order.sort();
        for ahead in [false, true] {
            for (_, id) in &order {
                let Some(home) = self.nodes.get_mut(id) else { continue };
                let count = match ahead {
                    false => home.node.capacity.pieces(home.seated, spec.resources, wanted),
                    true => home.ahead_room(spec.resources, urgent).min(wanted),
                };
                if count > 0 {
                    let ordinals = proto::ranges(&queued.take(count));
                    home.take(
                        Pick { run: run.0, task: position, ordinals, ahead },
                        spec.resources,
                        count,
                    );
                    wanted -= count;
                }
            }
        }
        self.left -= before - wanted;
        wanted < before
    }

    fn places(self) -> Vec<Place> {
        (self.nodes.into_iter())
            .filter(|(_, home)| !home.picks.is_empty())
            .map(|(id, home)| Place {
                node_id: id.to_bytes(),
                epoch: home.node.epoch,
                picks: home.picks,
            })
            .collect()
    }
}

impl Home<'_> {
    fn free_cpu(&self) -> u64 {
        self.node.capacity.cpu_milli.saturating_sub(self.seated.cpu_milli)
    }

    fn ahead_room(&self, wants: Resources, urgent: u64) -> u64 {
        let fits = self.node.capacity.has_room(Resources::default(), wants);
        let most = (self.ahead_max + urgent).min(Node::AHEAD_MAX);
        if fits { most.saturating_sub(self.ahead) } else { 0 }
    }

    fn take(&mut self, pick: Pick, wants: Resources, count: u64) {
        if pick.ahead {
            self.ahead += count;
        } else {
            self.seated.add(wants.times(count));
        }
        self.picks.push(pick);
    }
}

/// Takes numbers off the front of a set without changing or copying it.
struct Taken<'a> {
    queued: &'a RangeSet,
    from: u32,
}

impl Taken<'_> {
    fn take(&mut self, count: u64) -> RangeSet {
        let mut taken = RangeSet::new();
        let mut missing = count;
        for range in self.queued.ranges_from(self.from) {
            let first = (*range.start()).max(self.from);
            let size = u64::from(range.end() - first) + 1;
            let last = first + (size.min(missing) - 1) as u32;
            taken.insert_range(first..=last);
            missing -= u64::from(last - first) + 1;
            self.from = last.saturating_add(1);
            if missing == 0 {
                break;
            }
        }
        taken
    }
}
