//! The nodes of one plan, and the room that the plan has left on them.

use std::collections::BTreeMap;

use machine::State;
use model::{NodeId, Placement, Policy, Resources, RunId, TaskPosition};
use proto::record::{Pick, Place};

use super::URGENT_AHEAD;
use super::home::{Free, Home};
use super::line::Who;
use super::nodes::{Nodes, Slot};

pub(super) struct Homes<'a> {
    pub(super) nodes: &'a mut Nodes,
    state: &'a State,
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
    is_urgent: bool,
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

/// A node with seats for some elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roomy {
    pub(super) free: Free,
    pub(super) slot: Slot,
    /// How many of them.
    pub(super) seats: u64,
}

impl<'a> Homes<'a> {
    /// The nodes as they are, which have caught up with the state.
    pub(super) fn new(nodes: &'a mut Nodes, state: &'a State, turn: Option<NodeId>) -> Homes<'a> {
        Homes {
            waiting: state.waiting(),
            part: state.waiting().div_ceil((nodes.ids.len() as u64).max(1)),
            elsewhere: BTreeMap::new(),
            turn,
            after: state.applied(),
            priority: 0,
            is_urgent: false,
            nodes,
            state,
        }
    }

    /// From here on elements of this priority are placed; what is urgent may go ahead beyond the pace.
    pub(super) fn set_priority(&mut self, priority: u32, is_urgent: bool) {
        (self.priority, self.is_urgent) = (priority, is_urgent);
        self.elsewhere.clear();
    }

    /// Counts the seats that are left to nodes which will ask for work, where that matters: where any
    /// may be given something ahead.
    pub(super) fn look_elsewhere(&mut self, wants: Resources, placement: Placement) {
        let want = Want { count: self.waiting, ..Want::one(wants, placement) };
        if !want.is_pull()
            || self.elsewhere.contains_key(&wants)
            || self.line(&want).next().is_none()
        {
            return;
        }
        let mut seats = 0;
        // One that is alone is taken to have asked.
        let who = if self.nodes.ids.len() == 1 { None } else { Some(Who::Silent) };
        for roomy in who.into_iter().flat_map(|who| self.roomy(&want, who)) {
            seats += roomy.seats;
            if seats >= self.waiting {
                break;
            }
        }
        self.elsewhere.insert(wants, seats);
    }

    /// Whether a node has a seat for one, whoever has asked.
    pub(super) fn has_seat(&self, wants: Resources, placement: Placement) -> bool {
        self.roomy(&Want::one(wants, placement), Who::All).next().is_some()
    }

    /// The nodes with a seat for it, most free first.
    pub(super) fn roomy(&self, want: &Want, who: Who) -> impl Iterator<Item = Roomy> {
        // Who has too few processors free is behind all that have enough.
        let enough = move |((free, ..), ..): &&(Free, NodeId, Slot)| free.0 >= want.wants.cpu_milli;
        let line = self.nodes.by_free.nodes(who).take_while(enough);
        let roomy = |(free, _, slot): &(Free, NodeId, Slot)| {
            let seats = self.seats(*slot, want);
            (seats > 0).then_some(Roomy { free: *free, slot: *slot, seats })
        };
        line.filter_map(roomy)
    }

    /// The nodes that may be given more ahead, the one with least of it first.
    pub(super) fn line(&self, want: &Want) -> impl Iterator<Item = Slot> {
        let line = match self.is_urgent {
            true => &self.nodes.with_urgent_ahead,
            false => &self.nodes.with_ahead,
        };
        // Where others have seats for all that waits, `pull` gives nobody more.
        let none = want.is_pull() && self.not_elsewhere(want.wants) == 0;
        let most = if none { 0 } else { usize::MAX };
        line.nodes(self.who(want)).take(most).map(|(.., slot)| *slot)
    }

    /// The nodes that it may go to.
    pub(super) fn who(&self, want: &Want) -> Who {
        // There is nobody else to leave the work to.
        let alone = self.nodes.ids.len() == 1;
        if want.is_pull() && !alone { Who::Asking } else { Who::All }
    }

    /// How many of them may have a seat on the node.
    pub(super) fn seats(&self, slot: Slot, want: &Want) -> u64 {
        let home = &self.nodes.homes[slot];
        let limit = want.placement.limit(home.node.capacity);
        let may = Some(home.id) != want.but && limit.has_room(home.seated, want.wants);
        match may && self.takes(home) {
            true => limit.pieces(home.seated, want.wants, want.count),
            false => 0,
        }
    }

    /// How many of them the node may be given ahead.
    pub(super) fn ahead(&self, slot: Slot, want: &Want) -> u64 {
        let home = &self.nodes.homes[slot];
        let part = if want.is_pull() { self.part_of(home, want.wants) } else { u64::MAX };
        let urgent = if self.is_urgent { URGENT_AHEAD } else { 0 };
        let left = home.ahead_most(urgent).saturating_sub(home.ahead);
        let fits = home.node.capacity.has_room(Resources::default(), want.wants);
        let may = Some(home.id) != want.but && fits && self.takes(home);
        if may { left.min(part).min(want.count) } else { 0 }
    }

    /// How many more `pull` gives a node ahead: no more than its part, and not what others have seats
    /// for.
    fn part_of(&self, home: &Home, wants: Resources) -> u64 {
        self.part.saturating_sub(home.given_ahead()).min(self.not_elsewhere(wants))
    }

    /// How many of all that wait no seat elsewhere is left for.
    fn not_elsewhere(&self, wants: Resources) -> u64 {
        self.waiting.saturating_sub(self.elsewhere.get(&wants).copied().unwrap_or(0))
    }

    fn takes(&self, home: &Home) -> bool {
        home.takes(self.priority, self.state, self.nodes.plan)
    }

    /// So many of them get a seat on the node.
    pub(super) fn sit(&mut self, slot: Slot, want: &Want, count: u64) {
        self.waiting = self.waiting.saturating_sub(count);
        self.nodes.give(slot, |home| home.sit(want.wants, count));
    }

    /// So many of them wait on the node.
    pub(super) fn go_ahead(&mut self, slot: Slot, count: u64) {
        self.waiting = self.waiting.saturating_sub(count);
        self.nodes.give(slot, |home| home.go_ahead(count, self.part));
    }

    /// What was given to the node.
    pub(super) fn push(&mut self, slot: Slot, pick: Pick) {
        self.nodes.homes[slot].push(pick);
    }

    /// Keeps one node, of those that could ever take it, from everything else in this plan: another
    /// one each `turn`. Says whether there is one.
    pub(super) fn keep_free(&mut self, wants: Resources, placement: Placement, turn: u64) -> bool {
        let homes = self.nodes.ids.iter().map(|(_, slot)| &self.nodes.homes[*slot]);
        let able = homes.filter(|home| {
            placement.limit(home.node.capacity).has_room(Resources::default(), wants)
        });
        let Some(at) = turn.checked_rem(able.clone().count() as u64) else { return false };
        if let Some(home) = able.clone().nth(at as usize) {
            home.keep(self.priority, self.state, self.nodes.plan);
        }
        true
    }

    pub(super) fn places(&mut self) -> Vec<Place> {
        self.nodes.places()
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
