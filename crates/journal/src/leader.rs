//! Who leads, and how the journal says so.

use std::fmt;
use std::sync::Arc;

/// Names one leadership of one node.
///
/// A node that starts again and leads again has a higher term: no two processes ever share a `LeaderId`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaderId {
    /// Rises with every election.
    pub term: u64,
    /// The number of the member that was elected; see [`crate::Member::number`].
    pub node: u64,
}

impl fmt::Display for LeaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{:x}", self.term, self.node)
    }
}

/// What this node knows about who leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// Nobody is known yet; an election is under way or about to be.
    Candidate,
    /// Another node leads, or none that is known; or this member learns, or is none any more.
    Follower {
        /// The leader, where known.
        leader: Option<LeaderId>,
    },
    /// This node leads, under this name.
    Leader(LeaderId),
    /// The journal has ended for good. The text tells the operator why.
    Dead(Arc<str>),
}

impl Leadership {
    /// Why the journal is dead, if it is.
    pub(crate) fn dead(&self) -> Option<Arc<str>> {
        match self {
            Leadership::Dead(reason) => Some(reason.clone()),
            _ => None,
        }
    }

    /// The leader, as far as known.
    pub(crate) fn leader(&self) -> Option<LeaderId> {
        match self {
            Leadership::Leader(leader) => Some(*leader),
            Leadership::Follower { leader } => *leader,
            Leadership::Candidate | Leadership::Dead(_) => None,
        }
    }

    /// Whether a proposal of `leader` may go on.
    pub(crate) fn admit(&self, leader: LeaderId) -> Result<(), crate::ProposeError> {
        match self {
            Leadership::Leader(current) if *current == leader => Ok(()),
            Leadership::Dead(reason) => Err(crate::ProposeError::Dead { reason: reason.clone() }),
            other => Err(crate::ProposeError::NotLeader { asked: leader, current: other.leader() }),
        }
    }
}
