//! What members of a group say to each other, as bytes.
//!
//! ```text
//! message   version, kind, cluster, incarnation, node and life of the sender, number of the receiver, body
//! reply     version, kind, body
//! ```
//!
//! A form of our own because openraft's serde types would send each record through JSON or pin us to its layout.
//! Records are copied once, into the message, and not at all out of it.
//! What cannot be read in full is refused in full; the transport above proves integrity and origin.

mod codec;
mod reply;

#[cfg(test)]
mod tests;

use bytes::{BufMut, Bytes, BytesMut};
use openraft::raft::{AppendEntriesRequest, VoteRequest};
use openraft::{LogId, Vote};

use super::applied::Meta;
use super::config::Cluster;
use super::types::{Entry, Types};
use crate::log::{self, EntryId, Kind};
use crate::{LeaderId, Member};
use codec::{Reader, put_bytes, put_log_id, put_vote};
pub(crate) use reply::{Appended, Opinion, Refusal, Reply};

/// The version of all of it.
const VERSION: u8 = 1;
/// An entry without its body.
const ENTRY_HEAD: usize = 29;

/// Whose a message is, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Envelope {
    pub(crate) cluster: Cluster,
    pub(crate) from: Member,
    /// The number of the member; a node that lost its directory is another one.
    pub(crate) to: u64,
}

/// What one member says to another.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Vote(VoteRequest<u64>),
    Append(AppendEntriesRequest<Types>),
    Ask(Ask),
    /// A snapshot follows.
    Snapshot(Head),
}

/// Asks whether there would be a vote, before a term is used up for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    /// The end of the asking member's log.
    pub(crate) last: Option<LogId<u64>>,
    /// The entry of its newest membership.
    pub(crate) membership: Option<LogId<u64>>,
}

/// What comes before a snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) vote: Vote<u64>,
    pub(crate) meta: Meta,
}

impl Message {
    pub(crate) fn encode(&self, envelope: Envelope) -> Bytes {
        let mut out = BytesMut::with_capacity(self.size());
        out.put_u8(VERSION);
        out.put_u8(match self {
            Self::Vote(_) => 1,
            Self::Append(_) => 2,
            Self::Ask(_) => 3,
            Self::Snapshot(_) => 4,
        });
        out.put_u128_le(envelope.cluster.id);
        out.put_u64_le(envelope.cluster.incarnation);
        out.put_u64_le(envelope.from.node);
        out.put_u64_le(envelope.from.life);
        out.put_u64_le(envelope.to);
        match self {
            Self::Vote(request) => {
                put_vote(&mut out, &request.vote);
                put_log_id(&mut out, &request.last_log_id);
            }
            Self::Append(request) => put_append(&mut out, request),
            Self::Ask(ask) => {
                put_log_id(&mut out, &ask.last);
                put_log_id(&mut out, &ask.membership);
            }
            Self::Snapshot(Head { vote, meta }) => {
                put_vote(&mut out, vote);
                put_log_id(&mut out, &meta.last_log_id);
                put_log_id(&mut out, meta.last_membership.log_id());
                let voters = serde_json::to_vec(meta.last_membership.membership());
                put_bytes(&mut out, &voters.expect("a membership is plain data"));
            }
        }
        out.freeze()
    }

    fn size(&self) -> usize {
        let entries = match self {
            Self::Append(request) => request.entries.iter().map(Entry::bytes).sum(),
            _ => 0,
        };
        512 + entries
    }

    /// Reads a message; an error says why it is refused.
    pub(crate) fn decode(bytes: Bytes) -> Result<(Envelope, Self), Refusal> {
        let mut reader = Reader(bytes);
        let version = reader.u8().ok_or(Refusal::Malformed)?;
        if version != VERSION {
            return Err(Refusal::Version { known: VERSION });
        }
        Self::read(reader).ok_or(Refusal::Malformed)
    }

    fn read(mut reader: Reader) -> Option<(Envelope, Self)> {
        let kind = reader.u8()?;
        let cluster = Cluster { id: reader.u128()?, incarnation: reader.u64()? };
        let from = Member { node: reader.u64()?, life: reader.u64()? };
        let envelope = Envelope { cluster, from, to: reader.u64()? };
        let message = match kind {
            1 => Self::Vote(VoteRequest::new(reader.vote()?, reader.log_id()?)),
            2 => Self::Append(append(&mut reader)?),
            3 => Self::Ask(Ask { last: reader.log_id()?, membership: reader.log_id()? }),
            4 => Self::Snapshot(head(&mut reader)?),
            _ => return None,
        };
        reader.end()?;
        Some((envelope, message))
    }

    /// The vote it speaks in the name of.
    pub(crate) fn vote(&self) -> Option<&Vote<u64>> {
        match self {
            Self::Vote(request) => Some(&request.vote),
            Self::Append(request) => Some(&request.vote),
            Self::Snapshot(head) => Some(&head.vote),
            Self::Ask(_) => None,
        }
    }
}

fn put_append(out: &mut BytesMut, request: &AppendEntriesRequest<Types>) {
    put_vote(out, &request.vote);
    put_log_id(out, &request.prev_log_id);
    put_log_id(out, &request.leader_commit);
    out.put_u32_le(request.entries.len() as u32);
    for entry in &request.entries {
        let log::Entry { id, kind, body } = entry.clone().into_log(None);
        out.put_u64_le(id.index);
        out.put_u64_le(id.leader.term);
        out.put_u64_le(id.leader.node);
        out.put_u8(kind as u8);
        put_bytes(out, &body);
    }
}

fn append(reader: &mut Reader) -> Option<AppendEntriesRequest<Types>> {
    let (vote, prev_log_id, leader_commit) = (reader.vote()?, reader.log_id()?, reader.log_id()?);
    let count = reader.u32()? as usize;
    if count > reader.0.len() / ENTRY_HEAD {
        return None;
    }
    let mut entries = Vec::with_capacity(count);
    let mut next = prev_log_id.map_or(0, |id| id.index.saturating_add(1));
    for _ in 0..count {
        let index = reader.u64()?;
        let leader = LeaderId { term: reader.u64()?, node: reader.u64()? };
        let kind = match reader.u8()? {
            1 => Kind::Blank,
            2 => Kind::Record,
            3 => Kind::Membership,
            _ => return None,
        };
        let body = reader.bytes()?;
        // Openraft takes both for granted.
        if index != next || leader.term > vote.leader_id().term || body.len() > log::BODY_MAX {
            return None;
        }
        next = index.checked_add(1)?;
        let entry = log::Entry { id: EntryId { index, leader }, kind, body };
        entries.push(Entry::from_log(entry).ok()?);
    }
    Some(AppendEntriesRequest { vote, prev_log_id, leader_commit, entries })
}

fn head(reader: &mut Reader) -> Option<Head> {
    let (vote, last_log_id, since) = (reader.vote()?, reader.log_id()?, reader.log_id()?);
    let voters = serde_json::from_slice(&reader.bytes()?).ok()?;
    let last_membership = openraft::StoredMembership::new(since, voters);
    let last = last_log_id?;
    let snapshot_id = format!("{}-{}", last.leader_id.term, last.index);
    Some(Head { vote, meta: Meta { last_log_id, last_membership, snapshot_id } })
}
