//! The nodes of one plan, and the room that the plan has left on them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use machine::{Node, State};
use model::{NodeId, Placement, Policy, Resources, RunId, TaskPosition};
use proto::record::{Pick, Place};

use super::PATIENCE_MS;
use super::line::Line;
use super::room::{Room, Spare};

pub(super) struct Homes<'a> {
    pub(super) homes: BTreeMap<NodeId, Home<'a>>,
    /// Their ids in order, to begin anywhere.
    pub(super) ids: Vec<NodeId>,
    /// The nodes, most free first.
    pub(super) by_free: Line<Free>,
    /// Nodes that may be given more ahead, by how much of that they have.
    pub(super) with_ahead: Line<u64>,
    /// How many elements wait, of all tasks.
    waiting: u64,
    /// How many `pull` gives one node ahead at most: its part of all that waited.
    part: u64,
    /// Seats of nodes that have not asked, by what an element wants: they will ask soon.
    elsewhere: BTreeMap<Resources, u64>,
    /// The node that `round_robin` gave to last.
    pub(super) turn: Option<NodeId>,
    /// The batch that the plan is made after: no other plan has it.
    pub(super) after: u64,
    priority: u32,
    urgent: u64,
}

/// Free processors, then free memory, and among equals how many have seats there.
pub(super) type Free = (Reverse<u64>, Reverse<u64>, u64);

pub(super) struct Home<'a> {
    node: &'a Node,
    asks: bool,
    seated: Resources,
    /// How many have seats there.
    count: u64,
    ahead: u64,
    ahead_max: u64,
    /// Only what is above this priority is placed here: something waits here for its seat for long.
    only_above: Option<u32>,
    picks: Vec<Pick>,
}

/// Elements of one task that are alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) run: RunId,
    pub(super) task: TaskPosition,
    /// The first of them.
    pub(super) first: u32,
    pub(super) count: u64,
    /// What each reserves.
    pub(super) wants: Resources,
    pub(super) placement: Placement,
    /// Another node than this is preferred, or must be: it was there last.
    pub(super) but: Option<NodeId>,
}

impl<'a> Homes<'a> {
    pub(super) fn new(state: &'a State, room: &Room) -> Homes<'a> {
        let home = |(id, spare): (&NodeId, &Spare)| {
            let node = state.node(*id).filter(|node| node.takes_work())?;
            let home = Home {
                node,
                asks: spare.asks,
                seated: node.seated,
                count: node.assigned.len() as u64 - node.ahead,
                ahead: node.ahead,
                ahead_max: spare.ahead,
                only_above: waits_long(state, node),
                picks: Vec::new(),
            };
            Some((*id, home))
        };
        let homes: BTreeMap<_, _> = room.nodes.iter().filter_map(home).collect();
        let mut by_free = Line::new();
        homes.iter().for_each(|(id, home)| by_free.insert(home.free(), *id, home.asks));
        Homes {
            ids: homes.keys().copied().collect(),
            by_free,
            with_ahead: Line::new(),
            waiting: state.waiting(),
            part: state.waiting().div_ceil((homes.len() as u64).max(1)),
            elsewhere: BTreeMap::new(),
            turn: room.turn,
            after: state.applied(),
            priority: 0,
            urgent: 0,
            homes,
        }
    }

    /// From here on elements of this priority are placed, `urgent` more ahead than the pace says.
    pub(super) fn set_priority(&mut self, priority: u32, urgent: u64) {
        (self.priority, self.urgent) = (priority, urgent);
        self.elsewhere.clear();
        self.with_ahead = Line::new();
        for (id, home) in &self.homes {
            if home.ahead < home.ahead_most(urgent) {
                self.with_ahead.insert(home.wait(urgent), *id, home.asks);
            }
        }
    }

    /// Counts the seats that are left to nodes which will ask for work, where that matters.
    pub(super) fn look_elsewhere(&mut self, wants: Resources, placement: Placement) {
        let want = Want { count: self.waiting, ..Want::one(wants, placement) };
        if !want.is_pull() || self.elsewhere.contains_key(&wants) {
            return;
        }
        let mut seats = 0;
        for (_, id) in self.roomy(&want, false).filter(|(_, id)| !self.homes[id].asks) {
            seats += self.seats(id, &want);
            if seats >= self.waiting {
                break;
            }
        }
        self.elsewhere.insert(wants, seats);
    }

    /// Whether a node has a seat for one, whoever has asked.
    pub(super) fn has_seat(&self, wants: Resources, placement: Placement) -> bool {
        self.roomy(&Want::one(wants, placement), false).next().is_some()
    }

    /// The nodes with a seat for it, most free first.
    pub(super) fn roomy(&self, want: &Want, asking: bool) -> impl Iterator<Item = (Free, NodeId)> {
        // Who has too few processors free is behind all that have enough.
        let enough = move |((free, ..), _): &&(Free, NodeId)| free.0 >= want.wants.cpu_milli;
        let line = self.by_free.nodes(asking).iter().take_while(enough);
        line.filter(|(_, id)| self.seats(*id, want) > 0).copied()
    }

    /// How many of them may have a seat on the node.
    pub(super) fn seats(&self, id: NodeId, want: &Want) -> u64 {
        let Some(home) = self.homes.get(&id).filter(|_| Some(id) != want.but) else { return 0 };
        let limit = want.placement.limit(home.node.capacity);
        match home.takes(self.priority) && limit.has_room(home.seated, want.wants) {
            true => limit.pieces(home.seated, want.wants, want.count),
            false => 0,
        }
    }

    /// How many of them the node may be given ahead.
    pub(super) fn ahead(&self, id: NodeId, want: &Want) -> u64 {
        let Some(home) = self.homes.get(&id).filter(|_| Some(id) != want.but) else { return 0 };
        let part = if want.is_pull() { self.part_of(home, want.wants) } else { u64::MAX };
        let left = home.ahead_most(self.urgent).saturating_sub(home.ahead);
        let fits = home.node.capacity.has_room(Resources::default(), want.wants);
        if fits && home.takes(self.priority) { left.min(part).min(want.count) } else { 0 }
    }

    /// How many more `pull` gives a node ahead: no more than its part, and not what others have seats
    /// for.
    fn part_of(&self, home: &Home<'_>, wants: Resources) -> u64 {
        let given = home.ahead - home.node.ahead;
        let elsewhere = self.elsewhere.get(&wants).copied().unwrap_or(0);
        self.part.saturating_sub(given).min(self.waiting.saturating_sub(elsewhere))
    }

    /// So many of them get a seat on the node.
    pub(super) fn sit(&mut self, id: NodeId, want: &Want, count: u64) {
        let Some(home) = self.homes.get_mut(&id) else { return };
        self.waiting = self.waiting.saturating_sub(count);
        self.by_free.remove(home.free(), id);
        home.seated.add(want.wants.times(count));
        home.count += count;
        self.by_free.insert(home.free(), id, home.asks);
    }

    /// So many of them wait on the node.
    pub(super) fn go_ahead(&mut self, id: NodeId, count: u64) {
        let Some(home) = self.homes.get_mut(&id) else { return };
        self.waiting = self.waiting.saturating_sub(count);
        self.with_ahead.remove(home.wait(self.urgent), id);
        home.ahead += count;
        if home.ahead < home.ahead_most(self.urgent) {
            self.with_ahead.insert(home.wait(self.urgent), id, home.asks);
        }
    }

    pub(super) fn push(&mut self, node: NodeId, pick: Pick) {
        if let Some(home) = self.homes.get_mut(&node) {
            home.push(pick);
        }
    }

    /// Keeps one node, of those that could ever take it, from everything else in this plan: another
    /// one each `turn`. Says whether there is one.
    pub(super) fn keep_free(&mut self, wants: Resources, placement: Placement, turn: u64) -> bool {
        let fits = |home: &&mut Home<'_>| {
            placement.limit(home.node.capacity).has_room(Resources::default(), wants)
        };
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

impl Want {
    /// Any element that wants this.
    pub(super) fn one(wants: Resources, placement: Placement) -> Want {
        Want { run: RunId(0), task: 0, first: 0, count: 1, wants, placement, but: None }
    }

    /// Whether it goes only where work was asked for.
    pub(super) fn is_pull(&self) -> bool {
        self.placement.policy == Policy::Pull
    }
}

impl Home<'_> {
    fn free(&self) -> Free {
        let (all, used) = (self.node.capacity, self.seated);
        let cpu_milli = all.cpu_milli.saturating_sub(used.cpu_milli);
        let memory_bytes = all.memory_bytes.saturating_sub(used.memory_bytes);
        (Reverse(cpu_milli), Reverse(memory_bytes), self.count)
    }

    fn ahead_most(&self, urgent: u64) -> u64 {
        (self.ahead_max + urgent).min(Node::AHEAD_MAX)
    }

    /// How full what is ahead makes it of what may be, in thousandths: how long that will take.
    fn wait(&self, urgent: u64) -> u64 {
        self.ahead * 1000 / self.ahead_most(urgent).max(1)
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
