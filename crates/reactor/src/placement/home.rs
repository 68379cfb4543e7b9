//! One node of a plan: what it has, and what the plan has given it.

use std::cell::Cell;
use std::cmp::Reverse;
use std::sync::Arc;

use machine::{Assigned, Node, State};
use model::{NodeId, Resources};
use proto::record::Pick;

use super::line::Stand;
use super::room::Spare;
use super::{PATIENCE_MS, URGENT_AHEAD};

/// Free processors, then free memory, and among equals how many have seats there.
pub(super) type Free = (Reverse<u64>, Reverse<u64>, u64);

#[derive(Debug, Default)]
pub(super) struct Home {
    pub(super) id: NodeId,
    /// It is there; else its slot is vacant.
    is_here: bool,
    pub(super) node: Arc<Node>,
    pub(super) asks: bool,
    pub(super) seated: Resources,
    /// How many have seats there.
    count: u64,
    pub(super) ahead: u64,
    ahead_max: u64,
    /// It was given its part ahead: to `pull` it asks for no more of that.
    is_served: bool,
    /// Only what is above this priority is placed here in the plan of that number: something waits
    /// here for its seat for long.
    only_above: Cell<(u64, Option<u32>)>,
    /// The plan that gave it something last.
    pub(super) given_in: u64,
    pub(super) picks: Vec<Pick>,
}

/// Where a node stands in the lines of all nodes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stands {
    pub(super) free: Stand<Free>,
    /// Nowhere, where it may be given nothing more ahead.
    pub(super) ahead: Stand<u64>,
    pub(super) urgent_ahead: Stand<u64>,
}

impl Home {
    /// As the state and the room say, before a plan gives it anything.
    pub(super) fn begin(&mut self, id: NodeId, node: &Arc<Node>, spare: Spare) {
        (self.id, self.is_here) = (id, true);
        self.node = node.clone();
        (self.asks, self.ahead_max) = (spare.asks, spare.ahead);
        (self.seated, self.ahead) = (node.seated, node.ahead);
        self.count = node.assigned.len() as u64 - node.ahead;
        self.is_served = false;
        self.picks.clear();
    }

    pub(super) fn sit(&mut self, wants: Resources, count: u64) {
        self.seated.add(wants.times(count));
        self.count += count;
    }

    /// So many more of them wait here, where `pull` gives it `part` of them in one plan at most.
    pub(super) fn go_ahead(&mut self, count: u64, part: u64) {
        self.ahead += count;
        self.is_served = self.given_ahead() >= part;
    }

    /// How many the plan has given it ahead.
    pub(super) fn given_ahead(&self) -> u64 {
        self.ahead - self.node.ahead
    }

    pub(super) fn stands(&self) -> Stands {
        if !self.is_here {
            return Stands::default();
        }
        let asks_ahead = self.asks && !self.is_served;
        Stands {
            free: Some((self.asks, self.free())),
            ahead: self.wait(0).map(|wait| (asks_ahead, wait)),
            urgent_ahead: self.wait(URGENT_AHEAD).map(|wait| (asks_ahead, wait)),
        }
    }

    fn free(&self) -> Free {
        let (all, used) = (self.node.capacity, self.seated);
        let cpu_milli = all.cpu_milli.saturating_sub(used.cpu_milli);
        let memory_bytes = all.memory_bytes.saturating_sub(used.memory_bytes);
        (Reverse(cpu_milli), Reverse(memory_bytes), self.count)
    }

    pub(super) fn ahead_most(&self, urgent: u64) -> u64 {
        (self.ahead_max + urgent).min(Node::AHEAD_MAX)
    }

    /// How full what is ahead makes it of what may be, in thousandths: how long that will take.
    /// `None`: nothing more may be.
    fn wait(&self, urgent: u64) -> Option<u64> {
        let most = self.ahead_most(urgent);
        (self.ahead < most).then(|| self.ahead * 1000 / most)
    }

    /// Whether the plan of this number may place this priority here.
    pub(super) fn takes(&self, priority: u32, state: &State, plan: u64) -> bool {
        self.only_above(state, plan).is_none_or(|above| priority > above)
    }

    /// Keeps it, in the plan of this number, from all that is not above this priority.
    pub(super) fn keep(&self, priority: u32, state: &State, plan: u64) {
        let above = self.only_above(state, plan).unwrap_or(0).max(priority);
        self.only_above.set((plan, Some(above)));
    }

    /// It depends on the time, and is looked up only where a plan asks.
    fn only_above(&self, state: &State, plan: u64) -> Option<u32> {
        let (of_plan, above) = self.only_above.get();
        if of_plan == plan {
            return above;
        }
        let above = waits_long(state, &self.node);
        self.only_above.set((plan, above));
        above
    }

    /// Neighbours of one task are one pick.
    pub(super) fn push(&mut self, pick: Pick) {
        match self.picks.last_mut() {
            Some(last)
                if (last.run, last.task, last.ahead) == (pick.run, pick.task, pick.ahead) =>
            {
                last.ordinals.extend(pick.ordinals);
            }
            _ => self.picks.push(pick),
        }
    }
}

/// The priority of what has waited on the node for its seat for long, and could have it.
fn waits_long(state: &State, node: &Node) -> Option<u32> {
    let may_sit = |wants| node.capacity.has_room(Resources::default(), wants);
    let (_, first) = (node.ahead > 0).then(|| {
        let mut assigned = node.assigned.range(node.ahead_from..);
        assigned.find(|(_, assigned)| assigned.ahead && may_sit(assigned.wants))
    })??;
    let run = state.run(first.run)?;
    let live = run.tasks[first.task as usize].live.get(&first.ordinal)?;
    if live.placed_ms.saturating_add(PATIENCE_MS) >= state.time_ms() {
        return None;
    }
    // Where others of its task have seats it is not kept out, only in line.
    let alike =
        |other: &Assigned| !other.ahead && (other.run, other.task) == (first.run, first.task);
    let priority = run.spec.tasks[first.task as usize].priority;
    (!node.assigned.values().any(alike)).then_some(priority)
}
