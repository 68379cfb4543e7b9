//! The nodes as a planner knows them, kept from one plan to the next, so that a plan looks only at
//! what has changed since and at where it places something, however many nodes there are.
//!
//! What is kept follows from the state and the room alone, never from what was planned before: each
//! plan is the one that a planner which has just begun would make.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use machine::{Node, State};
use model::NodeId;
use proto::record::Place;

use super::home::{Free, Home, Stands};
use super::line::Line;
use super::room::{Room, Spare};

/// The place of a node in [`Nodes::homes`].
pub(super) type Slot = usize;

#[derive(Debug, Default)]
pub(super) struct Nodes {
    /// The nodes of the state, and of the room, that were looked at last.
    of_state: OrdMap<NodeId, Arc<Node>>,
    of_room: OrdMap<NodeId, Spare>,
    /// How many nodes of the state take work, connected or not.
    takers: usize,
    /// Those that take work and are connected; the vacant ones stand in no line.
    pub(super) homes: Vec<Home>,
    vacant: Vec<Slot>,
    slots: BTreeMap<NodeId, Slot>,
    /// The same in the order of their ids, to begin anywhere.
    pub(super) ids: Vec<(NodeId, Slot)>,
    /// The nodes, most free first.
    pub(super) by_free: Line<Free>,
    /// Nodes that may be given more ahead, by how much of that they have; who was given its part asks
    /// for no more of it.
    pub(super) with_ahead: Line<u64>,
    /// The same for what is urgent.
    pub(super) with_urgent_ahead: Line<u64>,
    /// The number of the plan that is being made.
    pub(super) plan: u64,
    /// Whom that plan has given something.
    given: Vec<NodeId>,
}

impl Nodes {
    /// Takes up what has changed since the last plan. Says at how many nodes it has looked.
    pub(super) fn catch_up(&mut self, state: &State, room: &Room) -> usize {
        self.plan += 1;
        let mut changed = std::mem::take(&mut self.given);
        for item in self.of_state.diff(state.nodes()) {
            let (id, before, after) = sides(item);
            self.takers -= usize::from(before.is_some_and(|node| node.takes_work()));
            self.takers += usize::from(after.is_some_and(|node| node.takes_work()));
            changed.push(id);
        }
        changed.extend(self.of_room.diff(&room.nodes).map(|item| sides(item).0));
        changed.sort_unstable();
        changed.dedup();
        (self.of_state, self.of_room) = (state.nodes().clone(), room.nodes.clone());
        let moved: usize = changed.iter().map(|id| usize::from(self.look_at(*id))).sum();
        if moved > 0 {
            self.ids = self.slots.iter().map(|(id, slot)| (*id, *slot)).collect();
        }
        changed.len()
    }

    /// Every node that takes work is connected.
    pub(super) fn is_whole(&self) -> bool {
        self.takers == self.slots.len()
    }

    /// Gives a node something.
    pub(super) fn give(&mut self, slot: Slot, change: impl FnOnce(&mut Home)) {
        let home = &mut self.homes[slot];
        if home.given_in != self.plan {
            home.given_in = self.plan;
            self.given.push(home.id);
        }
        self.change(slot, change);
    }

    /// What the plan has given, the nodes in the order of their ids.
    pub(super) fn places(&mut self) -> Vec<Place> {
        self.given.sort_unstable();
        let place = |id: &NodeId| {
            let home = &mut self.homes[*self.slots.get(id)?];
            let (node_id, epoch) = (id.to_bytes(), home.node.epoch);
            let picks = std::mem::take(&mut home.picks);
            (!picks.is_empty()).then_some(Place { node_id, epoch, picks })
        };
        self.given.iter().filter_map(place).collect()
    }

    /// Has a node as state and room have it; says whether it came or went.
    fn look_at(&mut self, id: NodeId) -> bool {
        let node = self.of_state.get(&id).filter(|node| node.takes_work()).cloned();
        let slot = self.slots.get(&id).copied();
        match (node.zip(self.of_room.get(&id).copied()), slot) {
            (Some((node, spare)), slot) => {
                let at = slot.unwrap_or_else(|| self.enter(id));
                self.change(at, |home| home.begin(id, &node, spare));
                slot.is_none()
            }
            (None, Some(slot)) => {
                let from = self.homes[slot].stands();
                self.shift(id, slot, from, Stands::default());
                self.homes[slot] = Home::default();
                self.slots.remove(&id);
                self.vacant.push(slot);
                true
            }
            (None, None) => false,
        }
    }

    /// A slot for a node that is new, in which it stands in no line yet.
    fn enter(&mut self, id: NodeId) -> Slot {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.homes.push(Home::default());
            self.homes.len() - 1
        });
        self.slots.insert(id, slot);
        slot
    }

    fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Home)) {
        let home = &mut self.homes[slot];
        let from = home.stands();
        change(home);
        let (id, to) = (home.id, home.stands());
        self.shift(id, slot, from, to);
    }

    fn shift(&mut self, id: NodeId, slot: Slot, from: Stands, to: Stands) {
        self.by_free.shift(id, slot, from.free, to.free);
        self.with_ahead.shift(id, slot, from.ahead, to.ahead);
        self.with_urgent_ahead.shift(id, slot, from.urgent_ahead, to.urgent_ahead);
    }
}

/// Whom a difference is about, and what was there before and after.
fn sides<'a, V>(item: DiffItem<'a, 'a, NodeId, V>) -> (NodeId, Option<&'a V>, Option<&'a V>) {
    match item {
        DiffItem::Add(id, after) => (*id, None, Some(after)),
        DiffItem::Update { old: (id, before), new: (_, after) } => (*id, Some(before), Some(after)),
        DiffItem::Remove(id, before) => (*id, Some(before), None),
    }
}

#[cfg(test)]
mod tests {
    use proto::record::{Batch, Command, Found, Header, RegisterNode, command::Kind};

    use super::*;

    fn node_id(at: u64) -> NodeId {
        NodeId::from_bytes(&u128::from(at).to_be_bytes()).expect("16 bytes are an id")
    }

    fn apply(state: &mut State, kind: Kind) {
        let incarnation = state.cluster().map_or(0, |cluster| cluster.incarnation.into());
        let header = Some(Header { incarnation, ..Header::default() });
        let batch = Batch { header, commands: vec![Command { kind: Some(kind) }] };
        state.apply(state.applied() + 1, (0, 0), &batch);
    }

    fn register(state: &mut State, at: u64, cpu_milli: u64) {
        let capacity = Some(proto::job::Resources { cpu_milli, memory_bytes: 0 });
        let (node_id, supervisor_id) = (node_id(at).to_bytes(), vec![cpu_milli as u8; 16]);
        let node = RegisterNode { node_id, supervisor_id, capacity, ..RegisterNode::default() };
        apply(state, Kind::RegisterNode(node));
    }

    #[test]
    fn only_what_has_changed_is_looked_at_of_however_many_nodes() {
        let (mut state, mut nodes) = (State::new(), Nodes::default());
        apply(&mut state, Kind::Found(Found { cluster_id: vec![1; 16], incarnation: 1 }));
        (0..1_000).for_each(|at| register(&mut state, at, 1_000));
        let mut room = Room::of((0..999).map(|at| (node_id(at), 0)));
        assert_eq!(nodes.catch_up(&state, &room), 1_000);
        assert_eq!((nodes.ids.len(), nodes.is_whole()), (999, false));
        assert_eq!(nodes.catch_up(&state, &room), 0);
        register(&mut state, 7, 2_000);
        room.nodes.insert(node_id(8), Spare { ahead: 1, asks: true });
        room.nodes.insert(node_id(999), Spare::default());
        nodes.give(5, |home| home.go_ahead(1, 1));
        assert_eq!(nodes.catch_up(&state, &room), 4, "two nodes, a spare one, and who was given");
        assert_eq!((nodes.ids.len(), nodes.is_whole()), (1_000, true));
        assert_eq!(nodes.homes[5].ahead, 0, "what was only planned is forgotten");
    }
}
