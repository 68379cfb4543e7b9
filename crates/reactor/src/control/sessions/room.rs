//! Where work may go: the nodes that are welcome, and which of them have asked for some.
//!
//! It is kept as it changes: before a plan only those nodes are looked at that something has happened
//! to since the last.

use std::collections::BTreeSet;

use imbl::OrdMap;
use model::NodeId;
use proto::session::{ToControl, to_control};

use super::{Session, Sessions};
use crate::Now;
use crate::control::effect::SessionId;
use crate::control::pace;
use crate::placement::{Room, Spare};

#[derive(Debug, Default)]
pub(super) struct Spares {
    /// What each welcome node could be given when it was looked at last.
    nodes: OrdMap<NodeId, Spare>,
    /// Nodes that are to be looked at again.
    changed: BTreeSet<NodeId>,
    /// Nodes with a pace, which is another one in the next window.
    paced: BTreeSet<NodeId>,
    /// The window of the last look.
    window: u64,
}

impl Spares {
    /// Something happened to a node that may change what it can be given.
    pub(super) fn changed(&mut self, node: NodeId) {
        self.changed.insert(node);
    }

    fn look_at(&mut self, node: NodeId, spare: Option<Spare>) {
        match spare {
            Some(spare) if self.nodes.get(&node) != Some(&spare) => {
                self.nodes.insert(node, spare);
            }
            Some(_) => {}
            None => _ = self.nodes.remove(&node),
        }
        if spare.is_some_and(|spare| spare.ahead > 0) {
            self.paced.insert(node);
        }
    }
}

impl Sessions {
    /// Whether the message is an offer, which stands until the node is given something.
    pub(in crate::control) fn offer(&mut self, id: SessionId, message: &ToControl) -> bool {
        let is_offer = matches!(message.kind, Some(to_control::Kind::Offer(_)));
        if is_offer && let Some(session) = self.by_id.get_mut(&id) {
            session.offers = true;
            self.spares.changed(session.node);
        }
        is_offer
    }

    /// What a plan may count on.
    pub(in crate::control) fn room(&mut self, now: Now, turn: Option<NodeId>) -> Room {
        let window = pace::window(now.steady_ms);
        if std::mem::replace(&mut self.spares.window, window) != window {
            self.spares.changed.append(&mut self.spares.paced);
        }
        for node in std::mem::take(&mut self.spares.changed) {
            let spare = self.spare(node, now);
            self.spares.look_at(node, spare);
        }
        debug_assert!(self.is_as_if_looked_at_in_full(now), "a change of a session was not noted");
        Room { nodes: self.spares.nodes.clone(), turn }
    }

    /// What a node may be given; `None` where it is not welcome. One that leaves takes nothing.
    fn spare(&mut self, node: NodeId, now: Now) -> Option<Spare> {
        let (_, session) = self.of_node(node)?;
        let takes = session.node == node && session.epoch.is_some() && !session.leaving;
        takes.then(|| session.spare(now))
    }

    fn is_as_if_looked_at_in_full(&mut self, now: Now) -> bool {
        let stays = |session: &&mut Session| session.epoch.is_some() && !session.leaving;
        let welcome = self.by_id.values_mut().filter(stays);
        let nodes: OrdMap<_, _> = welcome.map(|of| (of.node, of.spare(now))).collect();
        nodes == self.spares.nodes
    }
}

impl Session {
    /// What its node may be given. One that never offers itself always wants work.
    fn spare(&mut self, now: Now) -> Spare {
        let asks = self.offers || !self.hello.offers;
        Spare { ahead: self.pace.ahead(now.steady_ms), asks }
    }
}
