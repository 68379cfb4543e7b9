//! Who votes and who learns, and changing that.
//!
//! A change is for the leader, one at a time, and refused as a value everywhere else. The number of voters is always
//! 1, 3 or 5: one is replaced by another in a single step, in which both majorities have to agree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::{BasicNode, ChangeMembers};

use super::Raft;
use super::shared::Metrics;
use super::types::StoredMembership;
use crate::{Index, Leadership, Member};

/// How far, in entries, a member may be behind to become a voter.
const BEHIND_MAX: u64 = 1000;
/// How long a change may wait for its majorities.
const CHANGES_WITHIN: Duration = Duration::from_secs(20);

/// Who takes part.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The entry it stands in; 0 for the first, and for a member that has heard of none yet.
    pub index: Index,
    /// Everybody, by number.
    pub members: Vec<Role>,
    /// A change is under way: the voters before and after it both have to agree.
    pub changing: bool,
    /// This member takes part no more: the others have said so. Its journal stays as it is and tells nothing new.
    pub removed: bool,
}

impl Membership {
    /// Those that vote.
    pub fn voters(&self) -> impl Iterator<Item = &Role> {
        self.members.iter().filter(|role| role.voter)
    }
}

/// What a member is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Role {
    /// The node, and which of its directories.
    pub member: Member,
    /// By this number leaders and changes name it.
    pub number: u64,
    /// It votes; else it learns.
    pub voter: bool,
}

/// What a leader knows of another member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The member.
    pub number: u64,
    /// The last entry that it certainly has.
    pub matched: Index,
    /// How many entries it is behind.
    pub behind: u64,
    /// How long ago it has answered.
    pub silent: Option<Duration>,
    /// It has lost what it had acknowledged, and is not counted any more.
    pub lost: bool,
}

/// Why the membership was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Another node has to be asked.
    #[error("this node does not lead the journal's group, so it cannot change who takes part")]
    NotLeader,
    /// One change at a time.
    #[error("another change of who takes part is under way; ask again when it has ended")]
    UnderWay,
    /// There is no such member.
    #[error("member {number:x} takes no part in the journal's group; add it first")]
    Unknown {
        /// Who was named.
        number: u64,
    },
    /// A voter cannot just go.
    #[error("member {number:x} votes; promote others in its place first")]
    Votes {
        /// Who was named.
        number: u64,
    },
    /// So many cannot vote.
    #[error("a group has 1, 3 or 5 voters, not {count}")]
    Count {
        /// How many were named.
        count: usize,
    },
    /// It would hold up every commit.
    #[error("member {number:x} is {behind} entries behind; it can vote when it has caught up")]
    Behind {
        /// Who was named.
        number: u64,
        /// How many entries.
        behind: u64,
    },
    /// The change may or may not come about; the membership tells.
    #[error("the change is not confirmed by a majority yet: it may still come about")]
    Unconfirmed,
    /// The journal has ended.
    #[error("the journal is dead: {reason}")]
    Dead {
        /// Why, for the operator.
        reason: Arc<str>,
    },
}

impl Raft {
    /// Adds a member that learns: it gets everything and does not vote. Nothing happens if it is there already.
    pub async fn add_learner(&self, member: Member) -> Result<(), ChangeError> {
        self.leads()?;
        let node = BasicNode::new(member.encode());
        self.change(ChangeMembers::AddNodes(BTreeMap::from([(member.number(), node)]))).await
    }

    /// Makes these members, by number, the voters. Who voted before and is not among them learns from then on.
    pub async fn promote(&self, voters: BTreeSet<u64>) -> Result<(), ChangeError> {
        let metrics = self.leads()?;
        if ![1, 3, 5].contains(&voters.len()) {
            return Err(ChangeError::Count { count: voters.len() });
        }
        let membership = metrics.membership_config.membership();
        let vote_already: BTreeSet<u64> = membership.voter_ids().collect();
        for number in voters.iter().copied().filter(|number| *number != self.number) {
            if membership.get_node(&number).is_none() {
                return Err(ChangeError::Unknown { number });
            }
            let Progress { behind, lost, .. } = self.progress_of(&metrics, number);
            if !vote_already.contains(&number) && (lost || behind > BEHIND_MAX) {
                return Err(ChangeError::Behind { number, behind });
            }
        }
        // The first step makes both majorities agree, the second one leaves the new voters alone.
        self.change(ChangeMembers::ReplaceAllVoters(voters.clone())).await
    }

    /// Removes a member that learns. A voter is replaced by another one, with `promote`, before it goes.
    pub async fn remove(&self, number: u64) -> Result<(), ChangeError> {
        let metrics = self.leads()?;
        let membership = metrics.membership_config.membership();
        if membership.voter_ids().any(|voter| voter == number) {
            return Err(ChangeError::Votes { number });
        }
        if membership.get_node(&number).is_none() {
            return Ok(());
        }
        self.change(ChangeMembers::RemoveNodes(BTreeSet::from([number]))).await
    }

    /// What this leader knows of the others; empty where another one leads.
    pub fn progress(&self) -> Vec<Progress> {
        let metrics = self.raft.metrics().borrow().clone();
        let Some(replication) = &metrics.replication else { return Vec::new() };
        let others = replication.keys().filter(|number| **number != self.number);
        others.map(|number| self.progress_of(&metrics, *number)).collect()
    }

    fn progress_of(&self, metrics: &Metrics, number: u64) -> Progress {
        let matched = metrics.replication.as_ref().and_then(|all| all.get(&number)).copied();
        let matched = matched.flatten().map_or(0, |id| id.index);
        let behind = metrics.last_log_index.unwrap_or_default().saturating_sub(matched);
        let known = self.link.of(number);
        let silent = known.answered.map(|at| at.elapsed());
        Progress { number, matched, behind, silent, lost: known.lost }
    }

    fn leads(&self) -> Result<Metrics, ChangeError> {
        // One after the other is looked at, never both at once.
        let leadership = self.shared.leadership.borrow().clone();
        match leadership {
            Leadership::Leader(_) => Ok(self.raft.metrics().borrow().clone()),
            Leadership::Dead(reason) => Err(ChangeError::Dead { reason }),
            Leadership::Candidate | Leadership::Follower { .. } => Err(ChangeError::NotLeader),
        }
    }

    /// A change that was begun goes on though nobody waits for it: openraft has the entry.
    async fn change(&self, members: ChangeMembers<u64, BasicNode>) -> Result<(), ChangeError> {
        let change = self.raft.change_membership(members, true);
        let changed = tokio::select! {
            biased;
            changed = tokio::time::timeout(CHANGES_WITHIN, change) => changed,
            reason = self.shared.dead() => return Err(ChangeError::Dead { reason }),
        };
        match changed {
            Ok(Ok(_)) => Ok(()),
            Err(_) => Err(ChangeError::Unconfirmed),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                Err(ChangeError::Unconfirmed)
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => {
                Err(match error {
                    ChangeMembershipError::InProgress(_) => ChangeError::UnderWay,
                    ChangeMembershipError::EmptyMembership(_) => ChangeError::Count { count: 0 },
                    ChangeMembershipError::LearnerNotFound(error) => {
                        ChangeError::Unknown { number: error.node_id }
                    }
                })
            }
            Ok(Err(RaftError::Fatal(fatal))) => {
                Err(ChangeError::Dead { reason: self.reason(&fatal).await })
            }
        }
    }
}

/// The membership as the metrics have it.
pub(crate) fn read(metrics: &Metrics, removed: bool) -> Membership {
    let stored = &metrics.membership_config;
    Membership {
        index: stored.log_id().map_or(0, |id| id.index),
        members: roles(stored),
        changing: stored.membership().get_joint_config().len() > 1,
        removed,
    }
}

/// Who takes part by it, and as what.
pub(crate) fn roles(membership: &StoredMembership) -> Vec<Role> {
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let role = |(number, node): (&u64, &BasicNode)| Role {
        member: Member::decode(*number, &node.addr),
        number: *number,
        voter: voters.contains(number),
    };
    membership.nodes().map(role).collect()
}
