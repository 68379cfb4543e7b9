//! The nodes of one plan, and the room that the plan has left on them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use machine::{Node, State};
use model::{NodeId, Resources};
use proto::record::{Pick, Place};

use super::PATIENCE_MS;
use crate::control::Room;

pub(super) struct Homes<'a> {
    homes: BTreeMap<NodeId, Home<'a>>,
    /// The nodes, most free processors first.
    by_free: BTreeSet<(Reverse<u64>, NodeId)>,
    /// Nodes that may be given more ahead.
    with_ahead: BTreeSet<NodeId>,
    priority: u32,
    urgent: u64,
}

struct Home<'a> {
    node: &'a Node,
    seated: Resources,
    ahead: u64,
    ahead_max: u64,
    /// Only what is above this priority is placed here: something waits here for its seat for long.
    only_above: Option<u32>,
    picks: Vec<Pick>,
}

impl<'a> Homes<'a> {
    pub(super) fn new(state: &'a State, room: &Room) -> Homes<'a> {
        let home = |(id, ahead_max): (&NodeId, &u64)| {
            let node = state.node(*id)?;
            let home = Home {
                node,
                seated: node.seated,
                ahead: node.ahead,
                ahead_max: *ahead_max,
                only_above: waits_long(state, node),
                picks: Vec::new(),
            };
            Some((*id, home))
        };
        let homes: BTreeMap<_, _> = room.iter().filter_map(home).collect();
        let by_free = homes.iter().map(|(id, home)| (Reverse(home.free_cpu()), *id)).collect();
        Homes { homes, by_free, with_ahead: BTreeSet::new(), priority: 0, urgent: 0 }
    }

    /// From here on elements of this priority are placed, `urgent` more ahead than the pace says.
    pub(super) fn set_priority(&mut self, priority: u32, urgent: u64) {
        (self.priority, self.urgent) = (priority, urgent);
        let may = |(_, home): &(&NodeId, &Home<'_>)| home.ahead < home.ahead_most(urgent);
        self.with_ahead = self.homes.iter().filter(may).map(|(id, _)| *id).collect();
    }

    /// Whether an element that reserves `wants` may go anywhere.
    pub(super) fn have_room(&self, wants: Resources) -> bool {
        let seat = |(_, id): &(Reverse<u64>, NodeId)| {
            let home = &self.homes[id];
            home.takes(self.priority) && home.node.capacity.has_room(home.seated, wants)
        };
        // Who has too few processors free is behind all that have enough.
        let enough = |(free, _): &&(Reverse<u64>, NodeId)| free.0 >= wants.cpu_milli;
        self.by_free.iter().take_while(enough).any(seat) || self.ahead_for(wants, None).is_some()
    }

    /// Room for at most `most` elements: a seat where most is free, and where nobody has one a
    /// place ahead. `last` is where the element was last; anything else is preferred.
    pub(super) fn take(
        &mut self,
        wants: Resources,
        most: u64,
        last: Option<NodeId>,
    ) -> Option<(NodeId, u64, bool)> {
        let seat = self.seat_for(wants, last).or_else(|| self.seat_for(wants, None));
        if let Some(id) = seat {
            let home = self.homes.get_mut(&id)?;
            let count = home.node.capacity.pieces(home.seated, wants, most);
            self.by_free.remove(&(Reverse(home.free_cpu()), id));
            home.seated.add(wants.times(count));
            self.by_free.insert((Reverse(home.free_cpu()), id));
            return Some((id, count, false));
        }
        let id = self.ahead_for(wants, last).or_else(|| self.ahead_for(wants, None))?;
        let home = self.homes.get_mut(&id)?;
        let count = (home.ahead_most(self.urgent) - home.ahead).min(most);
        home.ahead += count;
        if home.ahead >= home.ahead_most(self.urgent) {
            self.with_ahead.remove(&id);
        }
        Some((id, count, true))
    }

    fn seat_for(&self, wants: Resources, but: Option<NodeId>) -> Option<NodeId> {
        let fits = |(_, id): &&(Reverse<u64>, NodeId)| {
            let home = &self.homes[id];
            Some(*id) != but
                && home.takes(self.priority)
                && home.node.capacity.pieces(home.seated, wants, 1) > 0
        };
        let enough = |(free, _): &&(Reverse<u64>, NodeId)| free.0 >= wants.cpu_milli;
        self.by_free.iter().take_while(enough).find(fits).map(|(_, id)| *id)
    }

    fn ahead_for(&self, wants: Resources, but: Option<NodeId>) -> Option<NodeId> {
        let fits = |id: &&NodeId| {
            let home = &self.homes[id];
            Some(**id) != but
                && home.takes(self.priority)
                && home.node.capacity.has_room(Resources::default(), wants)
        };
        self.with_ahead.iter().find(fits).copied()
    }

    pub(super) fn push(&mut self, node: NodeId, pick: Pick) {
        if let Some(home) = self.homes.get_mut(&node) {
            home.push(pick);
        }
    }

    /// Keeps one node, of those that could ever take `wants`, from everything else in this plan:
    /// another one each `turn`. Says whether there is one.
    pub(super) fn keep_free(&mut self, wants: Resources, turn: u64) -> bool {
        let fits = |home: &&mut Home<'_>| home.node.capacity.has_room(Resources::default(), wants);
        let mut able: Vec<&mut Home<'_>> = self.homes.values_mut().filter(fits).collect();
        let count = able.len() as u64;
        let Some(at) = turn.checked_rem(count) else { return false };
        let home = &mut able[at as usize];
        home.only_above = Some(home.only_above.unwrap_or(0).max(self.priority));
        true
    }

    pub(super) fn places(self) -> Vec<Place> {
        (self.homes.into_iter())
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

    fn ahead_most(&self, urgent: u64) -> u64 {
        (self.ahead_max + urgent).min(Node::AHEAD_MAX)
    }

    fn takes(&self, priority: u32) -> bool {
        self.only_above.is_none_or(|above| priority > above)
    }

    /// Neighbours of one task are one pick.
    fn push(&mut self, pick: Pick) {
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
    let alike = |other: &machine::node::Assigned| {
        !other.ahead && (other.run, other.task) == (first.run, first.task)
    };
    let priority = run.spec.tasks[first.task as usize].priority;
    (!node.assigned.values().any(alike)).then_some(priority)
}
