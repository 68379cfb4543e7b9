//! The cluster as people ask for it: its members, who votes, who leads, and what it survives.

use journal::{Journal, Leadership};
use model::{ClusterId, NodeId, Roles};
use peer::journal_number;

use crate::cluster::ways::Way;
use crate::error::Refused;
use crate::handle::Handle;

/// The cluster.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// Its id.
    pub cluster: ClusterId,
    /// Raised by a restore or a recovery.
    pub incarnation: u16,
    /// The node that leads; `None`: nobody, or nobody is known.
    pub leader: Option<NodeId>,
    /// The leader's term.
    pub term: u64,
    /// The last entry that this node has applied.
    pub applied: u64,
    /// A change of who votes is under way.
    pub changing: bool,
    /// The members, by name.
    pub members: Vec<MemberStatus>,
}

/// Whether a control node votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// It votes.
    Voter,
    /// It has everything and does not vote.
    Learner,
    /// It has no part in the journal.
    None,
}

impl Vote {
    /// Its word everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Vote::Voter => "voter",
            Vote::Learner => "learner",
            Vote::None => "none",
        }
    }
}

/// A member.
#[derive(Clone, Debug)]
pub struct MemberStatus {
    /// Its id.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// What it is there for.
    pub roles: Roles,
    /// Where its listener for peers is reached; empty: nowhere.
    pub address: String,
    /// Where people and programs reach it; empty: only on its own machine.
    pub api_address: String,
    /// When it came in, Unix milliseconds.
    pub joined_ms: u64,
    /// Whether it votes.
    pub vote: Vote,
    /// How many entries it is behind, as far as the leader knows and answers.
    pub behind: Option<u64>,
    /// How long ago it has answered the leader, in milliseconds, where that is known.
    pub silent_ms: Option<u64>,
    /// How far its clock is ahead of the median of the voters', in milliseconds, where that is known.
    pub clock_ahead_ms: Option<i64>,
    /// It has lost what it had acknowledged; its disk was emptied or put back.
    pub lost: bool,
}

impl ClusterStatus {
    /// How many vote.
    pub fn voters(&self) -> usize {
        self.members.iter().filter(|member| member.vote == Vote::Voter).count()
    }

    /// What an acknowledged submit survives, for people.
    pub fn survives(&self) -> &'static str {
        match self.voters() {
            0 => "unknown",
            1 | 2 => "any crash of the one voter, but not the loss of its disk",
            3 | 4 => "the loss of any one machine",
            _ => "the loss of any two machines",
        }
    }
}

impl Handle {
    /// Where the API of the node that leads is reached, `HOST:PORT`; `None`: here, or only on its own
    /// machine, or nobody is known to lead.
    pub fn leaders_api(&self) -> Option<String> {
        let Some(Way::There(leader)) = self.shared.ways.now() else { return None };
        let view = self.view_now();
        let address = view.state.members().get(leader)?.api_address.clone();
        (!address.is_empty()).then_some(address)
    }

    /// How many nodes vote, as far as this one knows.
    pub fn voters(&self) -> u32 {
        self.shared.journal.membership().borrow().voters().count() as u32
    }

    /// The cluster, as this node knows it; it answers without a leader too, for then it is asked most.
    pub async fn cluster_status(&self) -> Result<ClusterStatus, Refused> {
        let known = match self.shared.ways.now() {
            Some(_) => self.view_and_progress(true).await.ok(),
            None => None,
        };
        let (view, progress) = known.unwrap_or_else(|| (self.view_now(), Vec::new()));
        let leader = match self.shared.ways.now() {
            Some(Way::Here) => Some(self.shared.info.node),
            Some(Way::There(node)) => Some(node),
            None => None,
        };
        let term = match &*self.shared.journal.leadership().borrow() {
            Leadership::Leader(leader) | Leadership::Follower { leader: Some(leader) } => {
                leader.term
            }
            _ => 0,
        };
        let membership = self.shared.journal.membership().borrow().clone();
        let clocks = self.shared.health.borrow().ahead_ms.clone();
        let members = view.state.members().iter().map(|(node, member)| {
            let mut roles = membership.members.iter();
            let role = roles.find(|role| role.member.node == journal_number(node));
            let known = role.and_then(|role| progress.iter().find(|p| p.number == role.number));
            MemberStatus {
                node,
                name: member.name.clone(),
                roles: member.roles,
                address: member.address.clone(),
                api_address: member.api_address.clone(),
                joined_ms: member.joined_ms,
                vote: match role {
                    Some(role) if role.voter => Vote::Voter,
                    Some(_) => Vote::Learner,
                    None => Vote::None,
                },
                behind: known.map(|known| known.behind),
                silent_ms: known.and_then(|known| Some(known.silent?.as_millis() as u64)),
                clock_ahead_ms: clocks.get(&node).copied(),
                lost: known.is_some_and(|known| known.lost),
            }
        });
        let mut members: Vec<MemberStatus> = members.collect();
        members.sort_by(|a, b| a.name.cmp(&b.name).then(a.node.cmp(&b.node)));
        Ok(ClusterStatus {
            cluster: self.shared.own.cluster(),
            incarnation: self.shared.own.incarnation(),
            leader,
            term,
            applied: view.state.applied(),
            changing: membership.changing,
            members,
        })
    }
}
