//! What can go wrong with a running journal, named for what the caller can do about it.

use std::sync::Arc;

use crate::{Index, LeaderId, RECORD_BYTES_MAX};

/// Why a proposal was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Final for this leader id: the record is not, and will not be, in the journal under it.
    #[error("leader {asked} does not lead any more (now: {})", known(.current))]
    NotLeader {
        /// The leader the proposal was made for.
        asked: LeaderId,
        /// Who leads now, where known.
        current: Option<LeaderId>,
    },
    /// Just after an election; nothing was written. Propose again.
    #[error("the journal is between two leaders, propose again")]
    Retry,
    /// The record may or may not be committed; following the journal tells.
    #[error("the journal lost sight of the record: it may or may not be committed")]
    Unknown,
    /// Nothing was written.
    #[error("a record of {bytes} bytes is over the limit of {RECORD_BYTES_MAX}")]
    TooLarge {
        /// The size of the record.
        bytes: usize,
    },
    /// The journal has ended. A record in flight at that moment may be found committed when it is opened again.
    #[error("the journal is dead: {reason}")]
    Dead {
        /// Why, for the operator.
        reason: Arc<str>,
    },
}

/// Why the journal could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another node has to be asked.
    #[error("this node does not lead (leader: {})", known(.current))]
    NotLeader {
        /// Who leads, where known.
        current: Option<LeaderId>,
    },
    /// Too few voters answered. May pass: ask again.
    #[error("a majority did not confirm the leader")]
    NoMajority,
    /// One checkpoint at a time: ask again when the other one has ended.
    #[error("a checkpoint is under way")]
    CheckpointUnderWay,
    /// The entry is covered by a snapshot already, or is not committed.
    #[error(
        "a checkpoint at entry {asked} is not possible: the newest snapshot is of entry {newest}, \
         and entries are committed up to {committed}"
    )]
    CheckpointOutside {
        /// The entry it was asked for.
        asked: Index,
        /// The entry of the newest snapshot; 0 where there is none.
        newest: Index,
        /// The last committed entry.
        committed: Index,
    },
    /// The snapshot could not be written. The journal goes on with its whole log; another one can be tried.
    #[error(
        "the snapshot at entry {asked} was not written: {reason}; the journal goes on with its log"
    )]
    Checkpoint {
        /// The entry it was asked for.
        asked: Index,
        /// Why, for the operator.
        reason: Arc<str>,
    },
    /// The journal has ended.
    #[error("the journal is dead: {reason}")]
    Dead {
        /// Why, for the operator.
        reason: Arc<str>,
    },
}

fn known(leader: &Option<LeaderId>) -> String {
    leader.map_or_else(|| "unknown".to_owned(), |leader| leader.to_string())
}
