//! Where work may go: the nodes that are welcome, and which of them have asked for some.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use machine::{Node, State};
use model::NodeId;
use proto::session::{ToControl, to_control};

use super::{Session, Sessions};
use crate::Now;
use crate::control::effect::SessionId;
use crate::placement::{Room, Spare};

impl Sessions {
    /// Whether the message is an offer, which stands until the node is given something.
    pub(in crate::control) fn offer(&mut self, id: SessionId, message: &ToControl) -> bool {
        let is_offer = matches!(message.kind, Some(to_control::Kind::Offer(_)));
        if is_offer && let Some(session) = self.by_id.get_mut(&id) {
            session.offers = true;
        }
        is_offer
    }

    /// What a plan may count on.
    pub(in crate::control) fn room(
        &mut self,
        now: Now,
        state: &State,
        turn: Option<NodeId>,
    ) -> Room {
        // One that leaves takes nothing, and does not stand for all there is: it may come back.
        let stays = |session: &&Session| session.epoch.is_some() && !session.leaving;
        let welcome: BTreeSet<NodeId> = self.by_id.values().filter(stays).map(|s| s.node).collect();
        let here = |(id, node): (&NodeId, &Arc<Node>)| !node.takes_work() || welcome.contains(id);
        let is_whole = state.nodes().iter().all(here);
        let mut nodes: BTreeMap<NodeId, Spare> = (self.by_id.values_mut())
            .filter(|session| session.epoch.is_some() && !session.leaving)
            .filter(|session| state.node(session.node).is_some_and(Node::takes_work))
            .map(|session| (session.node, session.spare(now)))
            .collect();
        if nodes.len() == 1 {
            // There is nobody else to leave the work to.
            nodes.values_mut().for_each(|spare| spare.asks = true);
        }
        Room { nodes, is_whole, turn }
    }
}

impl Session {
    /// What its node may be given. One that never offers itself always wants work.
    fn spare(&mut self, now: Now) -> Spare {
        let asks = self.offers || !self.hello.offers;
        Spare { ahead: self.pace.ahead(now.steady_ms), asks }
    }
}
