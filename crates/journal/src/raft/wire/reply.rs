//! What a member answers.

use bytes::{BufMut, Bytes, BytesMut};
use openraft::raft::{AppendEntriesResponse, VoteResponse};
use openraft::{LogId, Vote};

use super::VERSION;
use super::codec::{Reader, put_log_id, put_vote};

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Refused(Refusal),
    Vote(VoteResponse<u64>),
    Append(Appended),
    Opinion(Opinion),
    /// The snapshot is installed, or the sender leads no more; the vote tells.
    Snapshot(Vote<u64>),
}

/// What has become of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Appended {
    Success,
    Partial(Option<LogId<u64>>),
    Conflict,
    Higher(Vote<u64>),
}

/// What a member thinks of one that would like to lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Opinion {
    /// It would vote for it.
    pub(crate) votes: bool,
    /// Since a later entry than the asking member knows of, that one is no member any more.
    pub(crate) removed: bool,
}

/// Why a message was not looked at further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the message cannot be read")]
    Malformed,
    #[error("it speaks version {known} of the journal's messages")]
    Version { known: u8 },
    #[error("it is of another cluster")]
    Stranger,
    #[error("it is of another incarnation of the cluster ({known})")]
    Incarnation { known: u64 },
    #[error("the message names another sender than its certificate")]
    Impostor,
    #[error("the member has lost its directory and is another one now ({known:x})")]
    OtherMember { known: u64 },
    #[error("its journal has ended")]
    Dead,
    #[error("it is busy with another snapshot")]
    Busy,
    #[error("the snapshot ended before it was whole")]
    Cut,
}

impl Reply {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(64);
        out.put_u8(VERSION);
        match self {
            Self::Refused(refusal) => {
                let (code, known) = refusal.code();
                out.put_u8(0);
                out.put_u8(code);
                out.put_u64_le(known);
            }
            Self::Vote(VoteResponse { vote, vote_granted, last_log_id }) => {
                out.put_u8(1);
                put_vote(&mut out, vote);
                out.put_u8(u8::from(*vote_granted));
                put_log_id(&mut out, last_log_id);
            }
            Self::Append(appended) => {
                out.put_u8(2);
                match appended {
                    Appended::Success => out.put_u8(0),
                    Appended::Conflict => out.put_u8(1),
                    Appended::Partial(id) => {
                        out.put_u8(2);
                        put_log_id(&mut out, id);
                    }
                    Appended::Higher(vote) => {
                        out.put_u8(3);
                        put_vote(&mut out, vote);
                    }
                }
            }
            Self::Opinion(Opinion { votes, removed }) => {
                out.put_u8(3);
                out.put_u8(u8::from(*votes));
                out.put_u8(u8::from(*removed));
            }
            Self::Snapshot(vote) => {
                out.put_u8(4);
                put_vote(&mut out, vote);
            }
        }
        out.freeze()
    }

    pub(crate) fn decode(bytes: Bytes) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.u8()? != VERSION {
            return Some(Self::Refused(Refusal::Version { known: 0 }));
        }
        let reply = match reader.u8()? {
            0 => Self::Refused(Refusal::of(reader.u8()?, reader.u64()?)?),
            1 => Self::Vote(VoteResponse {
                vote: reader.vote()?,
                vote_granted: reader.flag()?,
                last_log_id: reader.log_id()?,
            }),
            2 => Self::Append(match reader.u8()? {
                0 => Appended::Success,
                1 => Appended::Conflict,
                2 => Appended::Partial(reader.log_id()?),
                3 => Appended::Higher(reader.vote()?),
                _ => return None,
            }),
            3 => Self::Opinion(Opinion { votes: reader.flag()?, removed: reader.flag()? }),
            4 => Self::Snapshot(reader.vote()?),
            _ => return None,
        };
        reader.end()?;
        Some(reply)
    }
}

impl Refusal {
    fn code(self) -> (u8, u64) {
        match self {
            Self::Malformed => (0, 0),
            Self::Version { known } => (1, known.into()),
            Self::Stranger => (2, 0),
            Self::Incarnation { known } => (3, known),
            Self::Impostor => (4, 0),
            Self::OtherMember { known } => (5, known),
            Self::Dead => (6, 0),
            Self::Busy => (7, 0),
            Self::Cut => (8, 0),
        }
    }

    fn of(code: u8, known: u64) -> Option<Self> {
        Some(match code {
            0 => Self::Malformed,
            1 => Self::Version { known: known.try_into().ok()? },
            2 => Self::Stranger,
            3 => Self::Incarnation { known },
            4 => Self::Impostor,
            5 => Self::OtherMember { known },
            6 => Self::Dead,
            7 => Self::Busy,
            8 => Self::Cut,
            _ => return None,
        })
    }
}

impl From<AppendEntriesResponse<u64>> for Appended {
    fn from(response: AppendEntriesResponse<u64>) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::Success,
            AppendEntriesResponse::PartialSuccess(id) => Self::Partial(id),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::Higher(vote),
        }
    }
}
