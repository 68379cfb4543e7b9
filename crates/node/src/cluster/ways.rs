//! The way to the leader: here, or by one hop.
//!
//! Whoever waits for a leader waits as long as an election takes, and is told then. What may have
//! been done is never said to be undone: [`Unasked`] keeps the two apart.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use journal::raft::Raft;
use journal::{Journal, LeaderId, Leadership};
use model::{Attempt, NodeId};
use peer::{Dialer, Uncallable, journal_number};
use prost::Message;
use proto::peer::{Ask, Placed, Told, ask, told};

use super::contacts::Contacts;
use super::wire;
use crate::error::Refused;

/// How long a request waits for a leader: an election, and some more.
pub(crate) const LEADER_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether the leader's address is known by now.
const LOOK: Duration = Duration::from_millis(100);
/// How long one question may take.
const ASK: Duration = Duration::from_secs(10);

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// This node.
    Here,
    /// That one.
    There(NodeId),
}

/// Finds the leader and asks it.
#[derive(Clone)]
pub(crate) struct Ways {
    pub(crate) node: NodeId,
    pub(crate) journal: Arc<Raft>,
    pub(crate) dialer: Arc<Dialer>,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum Unasked {
    /// It did not arrive, or the other node does not lead: nothing was done.
    Nothing,
    /// It may have been done.
    Unknown,
    /// It was answered with a refusal.
    Refused(Refused),
}

impl Ways {
    /// Who leads, as far as this node knows.
    pub(crate) fn now(&self) -> Option<Way> {
        let leadership = self.journal.leadership().borrow().clone();
        self.way(&leadership)
    }

    /// Who leads, once somebody does.
    pub(crate) async fn wait(&self) -> Result<Way, Refused> {
        let mut leadership = self.journal.leadership();
        let mut membership = self.journal.membership();
        let found = async {
            loop {
                let now = leadership.borrow_and_update().clone();
                if let Leadership::Dead(reason) = now {
                    return Err(Refused::Unavailable(format!("the node stops: {reason}")));
                }
                if let Some(way) = self.way(&now) {
                    return Ok(way);
                }
                // Who the leader is may be known later than that there is one: a node that has just
                // come in hears of it first, and then of the members.
                let changed = tokio::select! {
                    changed = leadership.changed() => changed,
                    changed = membership.changed() => changed,
                    () = tokio::time::sleep(LOOK) => Ok(()),
                };
                if changed.is_err() {
                    return Err(Refused::Unavailable("the node stops".to_owned()));
                }
            }
        };
        match tokio::time::timeout(LEADER_WITHIN, found).await {
            Ok(found) => found,
            Err(_) => Err(no_leader()),
        }
    }

    /// The node that a leader's number means.
    pub(crate) fn node_of(&self, leader: LeaderId) -> Option<NodeId> {
        let membership = self.journal.membership();
        let membership = membership.borrow();
        let role = membership.members.iter().find(|role| role.number == leader.node)?;
        let of = |node: &NodeId| journal_number(*node) == role.member.node;
        self.dialer.nodes().into_iter().chain([self.node]).find(of)
    }

    /// Asks the node, which leads as far as this one knows.
    pub(crate) async fn ask(&self, node: NodeId, ask: ask::Kind) -> Result<told::Kind, Unasked> {
        ask_at(&self.dialer, node, ask).await
    }

    fn way(&self, leadership: &Leadership) -> Option<Way> {
        match leadership {
            Leadership::Leader(_) => Some(Way::Here),
            Leadership::Follower { leader } => self.node_of((*leader)?).map(Way::There),
            Leadership::Candidate | Leadership::Dead(_) => None,
        }
    }
}

/// Asks one node.
pub(crate) async fn ask_at(
    dialer: &Dialer,
    node: NodeId,
    ask: ask::Kind,
) -> Result<told::Kind, Unasked> {
    let request = Ask { kind: Some(ask) }.encode_to_vec().into();
    let answer = dialer.forward(node, 0, request, ASK).await.map_err(|error| match error {
        Uncallable::NoAddress(_) | Uncallable::Unconnected { .. } => Unasked::Nothing,
        Uncallable::Refused { .. } => Unasked::Nothing,
        Uncallable::Unreachable { .. } => Unasked::Unknown,
    })?;
    match Told::decode(answer).ok().and_then(|told| told.kind) {
        Some(told::Kind::Refused(refusal)) => Err(Unasked::Refused(wire::refused(refusal))),
        Some(told) => Ok(told),
        None => Err(Unasked::Unknown),
    }
}

/// What is placed on this node, which holds no state, and was not started by this supervisor;
/// `None` where no control node answers.
pub(crate) async fn ask_placed(
    dialer: &Dialer,
    contacts: &Contacts,
    supervisor_id: Vec<u8>,
) -> Option<BTreeSet<Attempt>> {
    for (node, _) in contacts.all() {
        let asked = Placed { supervisor_id: supervisor_id.clone() };
        if let Ok(told::Kind::Placed(list)) = ask_at(dialer, node, ask::Kind::Placed(asked)).await {
            return Some(list.attempts.into_iter().map(Attempt::from).collect());
        }
    }
    None
}

/// What a request is told that finds no leader.
pub(crate) fn no_leader() -> Refused {
    Refused::Unavailable(
        "no leader is known just now: a majority of the voters has to be there; try again"
            .to_owned(),
    )
}
