//! What a plan may count on, and what it comes to.

use imbl::OrdMap;
use model::NodeId;
use proto::record::{Place, TurnAway};

/// What a plan may count on beside the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// The nodes that are connected and stay. Whether they take work the state says. A copy costs
    /// nothing, and what two of them share is not looked at.
    pub nodes: OrdMap<NodeId, Spare>,
    /// The node that `round_robin` gave to last.
    pub turn: Option<NodeId>,
}

/// What one node may be given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spare {
    /// How many it may be given ahead of its room.
    pub ahead: u64,
    /// It has asked for work.
    pub asks: bool,
}

/// What is to be committed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What goes where, a node once.
    pub places: Vec<Place>,
    /// What no node has room for and does not want to wait.
    pub turned_away: Vec<TurnAway>,
    /// The node that `round_robin` gave to last.
    pub turn: Option<NodeId>,
}

impl Room {
    /// Nodes that have all asked for work, each with how many it may be given ahead.
    pub fn of(nodes: impl IntoIterator<Item = (NodeId, u64)>) -> Room {
        let spare = |(id, ahead)| (id, Spare { ahead, asks: true });
        let nodes = nodes.into_iter().map(spare).collect();
        Room { nodes, turn: None }
    }
}

impl Plan {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty() && self.turned_away.is_empty()
    }
}
