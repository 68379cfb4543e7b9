//! What comes into a control part and what it wants done.

use bytes::Bytes;
use machine::{Answer, DecodeError, State};
use model::NodeId;
use proto::record::command::Kind;
use proto::session::{ToControl, ToWorker};

use crate::placement::{Plan, Room};

/// A leader of the journal: its term and its node.
pub type LeaderId = (u64, u64);
/// Names a request between shell and reactor.
pub type RequestId = u64;
/// Names a worker's session between shell and reactor: never used again, and greater than those the
/// node opened before.
pub type SessionId = u64;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// This node leads the journal now, or (`None`) does not.
    Leadership(Option<LeaderId>),
    /// Somebody wants a command committed.
    Request {
        /// Comes back with the answer.
        id: RequestId,
        /// What to commit.
        command: Kind,
    },
    /// The journal delivered its next entry; an empty record is one of its own.
    Delivered {
        /// The entry's index.
        index: u64,
        /// The leader that wrote it.
        leader: LeaderId,
        /// The batch.
        record: Bytes,
    },
    /// The journal delivered a snapshot first, which stands for every entry up to `index`.
    Restored {
        /// The last of those entries.
        index: u64,
        /// The leader that wrote it.
        leader: LeaderId,
        /// The state as they made it.
        state: State,
    },
    /// A proposal failed.
    ProposeFailed {
        /// The batch's number.
        number: u64,
        /// Nothing was written: it may be tried again as it is.
        retry: bool,
    },
    /// A worker said something; its first message is `Hello`.
    Message {
        /// Its session.
        session: SessionId,
        /// What it said.
        message: ToControl,
    },
    /// The confirmation that was asked for.
    Confirmed {
        /// Its number.
        number: u64,
        /// A majority has confirmed that this node leads, after it was asked for.
        is_leader: bool,
    },
    /// The node whose own voter is the only one, if there is one: it needs no lease.
    Alone(Option<NodeId>),
    /// A session is over.
    SessionClosed(SessionId),
    /// The plan that was asked for.
    Planned(Plan),
    /// The time asked for has come.
    Timer,
    /// Nothing is placed while this holds: the node's disk is nearly full.
    Hold(bool),
    /// The node is going down: nothing more is placed.
    Close,
}

/// Something is to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Give this to the journal.
    Propose {
        /// The batch's number.
        number: u64,
        /// In whose name.
        leader: LeaderId,
        /// The batch.
        record: Bytes,
        /// How many commands it has.
        commands: usize,
    },
    /// Answer a request.
    Answer {
        /// Which.
        id: RequestId,
        /// With what.
        answer: Result<Answer, Unavailable>,
    },
    /// Say this to a worker.
    Send {
        /// Its session.
        session: SessionId,
        /// What to say.
        message: ToWorker,
    },
    /// An entry is applied: keep its facts, then publish the state.
    Happened {
        /// The entry's index.
        index: u64,
        /// What happened.
        events: Vec<machine::Event>,
        /// The state with it.
        state: State,
    },
    /// Make a plan, off this thread, and bring it back as [`Event::Planned`].
    Plan {
        /// For this state.
        state: State,
        /// On these nodes.
        room: Room,
    },
    /// Let a majority confirm that this node leads, and bring it back as [`Event::Confirmed`].
    Confirm {
        /// Its number.
        number: u64,
    },
    /// Come back with [`Event::Timer`] at this steady time, in milliseconds, whatever was asked
    /// for before.
    Timer(u64),
    /// The sessions changed: who is connected and how.
    Connections(Connections),
    /// The journal holds what this binary cannot apply: the node must stop.
    Stop(DecodeError),
}

/// Who is connected and how; a copy costs nothing.
pub type Connections = imbl::OrdMap<NodeId, Connection>;

/// How a node is connected, as this control part sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// It is registered and its supervisor lives: it takes work.
    pub ready: bool,
    /// Why it is degraded; empty where it is well.
    pub degraded: String,
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// This node does not lead (any more); nothing of it was or will be done.
    NotLeader,
    /// Too much is waiting; nothing was done.
    Overloaded,
    /// It may or may not be done. An idempotency key makes asking again safe.
    OutcomeUnknown,
}
