//! The types openraft is used with, and the way between its entries and those of the log.
//!
//! The entry is our own because openraft's log ids name a leader by its term alone (a term has one leader at most),
//! while a [`LeaderId`] names the node too: the leader's own log puts it in, and it travels with the entry.

use std::fmt;

use bytes::Bytes;
use openraft::entry::{FromAppData, RaftEntry, RaftPayload};
use openraft::{BasicNode, CommittedLeaderId, LogId, RaftLogId};
use serde::{Deserialize, Serialize};

use super::applied::SnapshotFile;
use crate::LeaderId;
use crate::log::{self, EntryId, Kind};

openraft::declare_raft_types!(
    /// The types of the journal's Raft.
    pub(crate) Types:
        D = Record,
        R = (),
        NodeId = u64,
        Node = BasicNode,
        Entry = Entry,
        SnapshotData = SnapshotFile,
);

pub(crate) type Node = BasicNode;
/// Who votes, and since which entry.
pub(crate) type StoredMembership = openraft::StoredMembership<u64, BasicNode>;
pub(crate) type Voters = openraft::Membership<u64, BasicNode>;

/// What was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record(pub(crate) Bytes);

/// An entry as openraft handles it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    log_id: LogId<u64>,
    /// The node of the leader that wrote it; nobody until it is in that leader's log.
    node: Option<u64>,
    payload: Payload,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Payload {
    Blank,
    Record(Bytes),
    Membership(Voters),
}

impl Entry {
    /// As the log keeps it. `vote` is the one that holds while the entry is written.
    pub(crate) fn into_log(self, vote: Option<log::Vote>) -> log::Entry {
        let term = self.log_id.leader_id.term;
        let writer = vote.filter(|vote| vote.leader.term == term).map(|vote| vote.leader.node);
        let node = self.node.or(writer).unwrap_or_default();
        let (kind, body) = match self.payload {
            Payload::Blank => (Kind::Blank, Bytes::new()),
            Payload::Record(body) => (Kind::Record, body),
            Payload::Membership(membership) => {
                let body = serde_json::to_vec(&membership).expect("a membership is plain data");
                (Kind::Membership, body.into())
            }
        };
        let id = EntryId { index: self.log_id.index, leader: LeaderId { term, node } };
        log::Entry { id, kind, body }
    }

    /// About how many bytes it takes in a message.
    pub(crate) fn bytes(&self) -> usize {
        match &self.payload {
            Payload::Blank => 64,
            Payload::Record(body) => 64 + body.len(),
            Payload::Membership(_) => 1024,
        }
    }

    pub(crate) fn from_log(entry: log::Entry) -> Result<Self, serde_json::Error> {
        let payload = match entry.kind {
            Kind::Blank => Payload::Blank,
            Kind::Record => Payload::Record(entry.body),
            Kind::Membership => Payload::Membership(serde_json::from_slice(&entry.body)?),
        };
        Ok(Self { log_id: log_id(entry.id), node: Some(entry.id.leader.node), payload })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.payload {
            Payload::Blank => write!(f, "{}: blank", self.log_id),
            Payload::Record(body) => write!(f, "{}: {} bytes", self.log_id, body.len()),
            Payload::Membership(membership) => write!(f, "{}: {membership}", self.log_id),
        }
    }
}

impl RaftLogId<u64> for Entry {
    fn get_log_id(&self) -> &LogId<u64> {
        &self.log_id
    }

    fn set_log_id(&mut self, log_id: &LogId<u64>) {
        self.log_id = *log_id;
    }
}

impl RaftPayload<u64, BasicNode> for Entry {
    fn is_blank(&self) -> bool {
        matches!(self.payload, Payload::Blank)
    }

    fn get_membership(&self) -> Option<&Voters> {
        match &self.payload {
            Payload::Membership(membership) => Some(membership),
            Payload::Blank | Payload::Record(_) => None,
        }
    }
}

impl RaftEntry<u64, BasicNode> for Entry {
    fn new_blank(log_id: LogId<u64>) -> Self {
        Self { log_id, node: None, payload: Payload::Blank }
    }

    fn new_membership(log_id: LogId<u64>, membership: Voters) -> Self {
        Self { log_id, node: None, payload: Payload::Membership(membership) }
    }
}

impl FromAppData<Record> for Entry {
    fn from_app_data(Record(body): Record) -> Self {
        Self { log_id: LogId::default(), node: None, payload: Payload::Record(body) }
    }
}

/// A log id names no node; where it becomes an entry id, the node is not asked for.
pub(crate) fn entry_id(id: &LogId<u64>) -> EntryId {
    EntryId { index: id.index, leader: LeaderId { term: id.leader_id.term, node: 0 } }
}

pub(crate) fn log_id(id: EntryId) -> LogId<u64> {
    LogId::new(CommittedLeaderId::new(id.leader.term, id.leader.node), id.index)
}

pub(crate) fn vote_to_log(vote: &openraft::Vote<u64>) -> log::Vote {
    let node = vote.leader_id().voted_for().unwrap_or_default();
    let leader = LeaderId { term: vote.leader_id().term, node };
    log::Vote { leader, won: vote.is_committed() }
}

pub(crate) fn vote_from_log(vote: log::Vote) -> openraft::Vote<u64> {
    let log::Vote { leader: LeaderId { term, node }, won } = vote;
    match won {
        true => openraft::Vote::new_committed(term, node),
        false => openraft::Vote::new(term, node),
    }
}
