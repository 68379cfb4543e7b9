//! What keeps each node from taking one more element, who holds its room, and who gets it first.

use std::collections::BTreeMap;

use machine::Node;
use machine::node::Assigned;
use model::{NodeId, Resources, RunId, TaskSpec, text};
use reactor::placement::Room;

use super::super::nodes::words;
use super::{Asked, Holder, Reason, ReasonCode, count_of};

/// Nodes that an answer tells of one by one.
const NODES_MAX: usize = 16;
/// Holders that an answer names for one node.
const HOLDERS_MAX: usize = 3;

/// What stands in the way on the nodes.
pub(super) struct Obstacles {
    /// On each node that takes nothing more, or on all together.
    pub(super) reasons: Vec<Reason>,
    /// On each node that is full: what was placed there ahead and takes the room that becomes free.
    pub(super) ahead: Vec<Reason>,
    /// Some node has room.
    pub(super) some_free: bool,
}

impl Asked<'_> {
    /// The nodes that take work. What each may be given ahead of its room only the control part
    /// knows; an element that waits so is placed anyway.
    pub(super) fn room(&self) -> Room {
        let ids = self.view.state.nodes().keys();
        Room::of(ids.filter(|id| self.view.is_ready(**id)).map(|id| (*id, 0)))
    }

    /// Why no node takes one more of a task.
    pub(super) fn obstacles(&self, task: &TaskSpec) -> Obstacles {
        let nodes = self.view.state.nodes();
        let mut obstacles = Obstacles { reasons: Vec::new(), ahead: Vec::new(), some_free: false };
        if nodes.is_empty() {
            obstacles.reasons.push(Reason::new(
                ReasonCode::NoNode,
                "there is no node that could run it",
                "start one with `windlass up`",
            ));
        }
        let mut untold = 0;
        for (id, node) in nodes {
            let reason = match self.obstacle(*id, node, task) {
                None => {
                    obstacles.some_free = true;
                    continue;
                }
                Some(reason) => reason,
            };
            if reason.code == ReasonCode::NoRoom && obstacles.ahead.len() < NODES_MAX {
                obstacles.ahead.extend(self.ahead(*id, node));
            }
            match obstacles.reasons.len() < NODES_MAX {
                true => obstacles.reasons.push(reason),
                false => untold += 1,
            }
        }
        if untold > 0 {
            obstacles.reasons.push(Reason::new(
                ReasonCode::NoRoom,
                format!("{} more take nothing either", count_of(untold, "node")),
                "`windlass node ls` shows them",
            ));
        }
        obstacles
    }

    fn obstacle(&self, id: NodeId, node: &Node, task: &TaskSpec) -> Option<Reason> {
        let (name, wants) = (self.view.node_name(id), task.resources);
        let limit = task.placement.limit(node.capacity);
        let headroom = task.placement.headroom_percent;
        let mut reason = if let Some(drain) = &node.drain {
            let silent = if self.view.is_ready(id) { "" } else { ", and does not answer" };
            Reason::new(
                ReasonCode::NodeDrained,
                format!("node {name} takes no work: it is {}{silent}", words(&drain.because)),
                format!("`windlass node resume {name}` takes it back"),
            )
        } else if !self.view.is_ready(id) {
            Reason::new(
                ReasonCode::NodeNotReady,
                format!(
                    "node {name} takes no work: it does not answer, or its supervisor is not ready"
                ),
                format!("start `windlass up` on {name} again; `windlass node ls` shows its state"),
            )
        } else if !node.capacity.has_room(Resources::default(), wants) {
            Reason::new(
                ReasonCode::NodeTooSmall,
                format!(
                    "node {name} can never hold it: it wants {wants}, the node has {}",
                    node.capacity
                ),
                "submit it again with less, or give the node more",
            )
        } else if !limit.has_room(Resources::default(), wants) {
            Reason::new(
                ReasonCode::NodeTooSmall,
                format!(
                    "node {name} can never hold it and keep {headroom}% free: it wants {wants}, the node has {}",
                    node.capacity
                ),
                "submit it again with less or with a smaller headroom, or give the node more",
            )
        } else if !node.capacity.has_room(node.seated, wants) {
            return Some(self.full(id, node, wants));
        } else if !limit.has_room(node.seated, wants) {
            let mut reason = Reason::new(
                ReasonCode::Headroom,
                format!(
                    "node {name} has room, but not so much that {headroom}% of it stay free: it wants {wants}, the node has {} and has given {}",
                    node.capacity, node.seated
                ),
                "one of those that hold the room ends or is canceled, or it is submitted again with a smaller headroom",
            );
            reason.holders = self.holders(node, wants.cpu_milli > 0);
            reason
        } else {
            return None;
        };
        reason.node = name;
        Some(reason)
    }

    fn full(&self, id: NodeId, node: &Node, wants: Resources) -> Reason {
        let name = self.view.node_name(id);
        let free = free_of(node);
        let mut lacks = Vec::new();
        if wants.cpu_milli > free.cpu_milli {
            let (wants, free) = (text::cpus(wants.cpu_milli), text::cpus(free.cpu_milli));
            let all = text::cpus(node.capacity.cpu_milli);
            lacks.push(format!("cpus (it wants {wants}, {free} of {all} are free)"));
        }
        if wants.memory_bytes > free.memory_bytes {
            let (wants, free) = (text::size(wants.memory_bytes), text::size(free.memory_bytes));
            let all = text::size(node.capacity.memory_bytes);
            lacks.push(format!("memory (it wants {wants}, {free} of {all} is free)"));
        }
        let mut reason = Reason::new(
            ReasonCode::NoRoom,
            format!("node {name} has too little free: {}", lacks.join(" and ")),
            "one of those that hold the room ends or is canceled, or it is submitted again with less",
        );
        reason.holders = self.holders(node, wants.cpu_milli > free.cpu_milli);
        reason.node = name;
        reason
    }

    /// What was placed on a full node ahead of room: a seat that becomes free is given to it, in
    /// its order, before placement is asked.
    fn ahead(&self, id: NodeId, node: &Node) -> Option<Reason> {
        // What the node can never hold, since it has become smaller, keeps nobody waiting.
        let may_sit =
            |at: &Assigned| at.ahead && node.capacity.has_room(Resources::default(), at.wants);
        let from = node.assigned.range(node.ahead_from..);
        let count = from.filter(|(_, at)| node.ahead > 0 && may_sit(at)).count() as u64;
        let name = self.view.node_name(id);
        let are = if count == 1 { "is" } else { "are" };
        let text = format!(
            "{} that {are} placed on node {name} ahead of room {} it first",
            count_of(count, "element"),
            if count == 1 { "gets" } else { "get" },
        );
        let mut reason = Reason::new(
            ReasonCode::Behind,
            text,
            "they get their room and end, or are canceled; `windlass why` of their runs shows what holds them",
        );
        reason.holders = self.sum(node, true, may_sit);
        reason.node = name;
        (count > 0).then_some(reason)
    }

    /// The runs that reserve most on a node.
    pub(super) fn holders(&self, node: &Node, by_cpu: bool) -> Vec<Holder> {
        self.sum(node, by_cpu, |at| !at.ahead)
    }

    /// The runs with the most of some assignments of a node.
    fn sum(&self, node: &Node, by_cpu: bool, of: impl Fn(&Assigned) -> bool) -> Vec<Holder> {
        let mut held: BTreeMap<RunId, (u64, Resources)> = BTreeMap::new();
        for at in node.assigned.values().filter(|at| of(at)) {
            let (count, sum) = held.entry(at.run).or_default();
            *count += 1;
            sum.add(at.wants);
        }
        let mut holders: Vec<_> = held.into_iter().collect();
        let size = |of: &Resources| match by_cpu {
            true => (of.cpu_milli, of.memory_bytes),
            false => (of.memory_bytes, of.cpu_milli),
        };
        holders.sort_by_key(|(run, (_, sum))| (std::cmp::Reverse(size(sum)), *run));
        let holder = |(run, (elements, reserved))| Holder {
            run,
            name: self.view.state.run(run).map(|run| run.spec.name.clone()).unwrap_or_default(),
            elements,
            reserved,
        };
        holders.into_iter().take(HOLDERS_MAX).map(holder).collect()
    }
}

fn free_of(node: &Node) -> Resources {
    Resources {
        cpu_milli: node.capacity.cpu_milli.saturating_sub(node.seated.cpu_milli),
        memory_bytes: node.capacity.memory_bytes.saturating_sub(node.seated.memory_bytes),
    }
}
