//! What a batch did: an answer to each command, and events for whoever performs them.

use std::sync::Arc;

use model::{
    Attempt, Because, Fence, NodeId, Outcome, RangeSet, Roles, RunId, StopCause, TaskPosition,
    TaskState,
};

use crate::change::Change;
use crate::run::Run;

/// The answer to one command, in the order of the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The cluster is founded.
    Founded,
    /// The node is registered in this epoch.
    Registered {
        /// Its epoch.
        epoch: u64,
    },
    /// The node is lost.
    NodeLost {
        /// Its epoch from now on.
        epoch: u64,
    },
    /// The cluster goes on in this incarnation.
    Recovering {
        /// The incarnation.
        incarnation: u16,
    },
    /// What ran in former incarnations runs no more.
    Recovered,
    /// The node is drained from now on.
    Draining,
    /// The node takes work.
    Resumed {
        /// It did not before.
        was_drained: bool,
    },
    /// The node is forgotten.
    NodeRemoved {
        /// How many attempts that were placed there were returned.
        returned: u64,
    },
    /// The node is a member no more, and is lost when its lease has run out.
    NodeCutOff,
    /// The job has a run.
    Submitted {
        /// The run's number.
        run: RunId,
        /// The idempotency key was used before, with the same payload.
        repeated: bool,
    },
    /// So many elements are placed; picks that no longer held are left out.
    Placed {
        /// How many.
        count: u64,
    },
    /// So many elements ended, for no node had room for them.
    TurnedAway {
        /// How many.
        count: u64,
    },
    /// The report is taken; so many of its entries were stale and are ignored.
    Reported {
        /// How many.
        stale: u64,
    },
    /// The cancel is taken.
    Canceled {
        /// Elements that had not been placed and have ended now.
        ended: u64,
        /// Elements that are being stopped.
        stopping: u64,
        /// Elements that had ended before.
        already_ended: u64,
    },
    /// The time has come in.
    Woken,
    /// The token is taken from now on.
    TokenCreated {
        /// When it expires, Unix milliseconds; 0: never.
        expires_ms: u64,
    },
    /// The token is taken no more.
    TokenRevoked,
    /// The audit will tell of it.
    Noted,
    /// The join token lets nodes in from now on.
    JoinTokenCreated,
    /// The node belongs to the cluster.
    Admitted,
    /// What the member says of itself is kept.
    MemberSet,
    /// The command does not hold; nothing was changed by it.
    Refused(Refusal),
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The cluster exists already.
    #[error("the cluster is founded already")]
    AlreadyFounded,
    /// There is no cluster yet.
    #[error("the cluster is not founded yet")]
    NotFounded,
    /// The message lacks something its meaning needs.
    #[error("{0}")]
    Invalid(#[from] proto::Invalid),
    /// The idempotency key made another run from another payload.
    #[error("the idempotency key was used for another job, run {run}")]
    KeyUsed {
        /// That run.
        run: RunId,
    },
    /// The table of idempotency keys is full.
    #[error("too many idempotency keys are in use; the oldest are forgotten a day after their use")]
    KeysFull,
    /// Another token has this name.
    #[error("there is a token named `{name}` already")]
    TokenThere {
        /// The name.
        name: String,
    },
    /// There are as many tokens as may be.
    #[error(
        "there are {} tokens, as many as may be; revoke those that nobody uses",
        crate::Tokens::MAX
    )]
    TokensFull,
    /// There is no such token.
    #[error("there is no token `{id}`")]
    UnknownToken {
        /// Its id.
        id: String,
    },
    /// There are as many join tokens as may be.
    #[error(
        "there are {} join tokens, as many as may be; they go when they expire",
        crate::Members::TOKENS_MAX
    )]
    JoinTokensFull,
    /// No such join token, or one that has expired.
    #[error("the cluster does not know this join token, or it has expired")]
    UnknownJoinToken,
    /// It lets nodes in for something else.
    #[error("the node may have the roles {allowed}, and no others")]
    JoinTokenRoles {
        /// What it may be.
        allowed: Roles,
    },
    /// The join token has let in as many as it may.
    #[error("the join token was used up: it was for {uses_max} node(s)")]
    JoinTokenUsedUp {
        /// How many it was for.
        uses_max: u32,
    },
    /// There is a member with this id.
    #[error("node {node} is a member already")]
    MemberThere {
        /// The id.
        node: NodeId,
    },
    /// There are as many members as may be.
    #[error("the cluster has {} nodes, as many as may be", crate::Members::MAX)]
    MembersFull,
    /// The node was removed, and its id does not come back.
    #[error("node {node} was removed from the cluster")]
    NodeRevoked {
        /// The node.
        node: NodeId,
    },
    /// Nobody knows this node.
    #[error("node {node} is unknown")]
    UnknownNode {
        /// The node.
        node: NodeId,
    },
    /// The command was made for an epoch that is over.
    #[error("node {node} is in epoch {current}, not {given}")]
    StaleEpoch {
        /// The node.
        node: NodeId,
        /// Its epoch.
        current: u64,
        /// The command's.
        given: u64,
    },
    /// The node has no lease that could run out, or is lost already.
    #[error("node {node} cannot be lost: {why}")]
    NotLosable {
        /// The node.
        node: NodeId,
        /// What is in the way.
        why: &'static str,
    },
    /// The cluster has come to that incarnation already, or past it.
    #[error("the cluster is in incarnation {current}, and {given} is not above it")]
    StaleIncarnation {
        /// The cluster's.
        current: u16,
        /// The command's.
        given: u32,
    },
    /// No recovery of this incarnation is under way.
    #[error("no recovery is under way in incarnation {given}")]
    NotRecovering {
        /// The command's.
        given: u32,
    },
    /// Something of the node may run, or is to run there.
    #[error("node {node} cannot be removed: {why}")]
    NotRemovable {
        /// The node.
        node: NodeId,
        /// What is in the way.
        why: &'static str,
    },
    /// The node has said hello since, elsewhere.
    #[error("node {node} was registered by hello {last} already, and this is hello {given}")]
    StaleHello {
        /// The node.
        node: NodeId,
        /// The hello it was registered by.
        last: u64,
        /// The command's.
        given: u64,
    },
    /// The run is not among those that have not ended.
    #[error("run {run} has ended or never was")]
    UnknownRun {
        /// The run.
        run: RunId,
    },
    /// The run has no such task.
    #[error("run {run} has no task at position {task}")]
    UnknownTask {
        /// The run.
        run: RunId,
        /// The position.
        task: TaskPosition,
    },
}

/// Why a pick of a plan did not hold when it was committed. The first that applies is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PickRefusal {
    /// The node is in another epoch than the plan was made for, or unknown: nothing of the plan holds.
    NodeEpoch,
    /// The cluster was recovered, and what ran before may still run.
    Recovering,
    /// The run has ended.
    RunEnded,
    /// The run is canceled.
    RunCanceled,
    /// Not all of the elements wait: some were placed, canceled or ended meanwhile.
    NotQueued,
    /// One of the elements came back to the queue in the same batch, and waits for the next.
    JustReturned,
    /// The node is drained.
    Draining,
    /// The node has no room for them.
    NoRoom,
    /// More of the task's elements would be placed at once than it allows.
    Parallel,
    /// It names no elements, or no task of the run.
    Invalid,
}

impl PickRefusal {
    /// All of them, in their order.
    pub const ALL: [PickRefusal; 10] = [
        PickRefusal::NodeEpoch,
        PickRefusal::Recovering,
        PickRefusal::RunEnded,
        PickRefusal::RunCanceled,
        PickRefusal::NotQueued,
        PickRefusal::JustReturned,
        PickRefusal::Draining,
        PickRefusal::NoRoom,
        PickRefusal::Parallel,
        PickRefusal::Invalid,
    ];

    /// The word for it, `no_room`.
    pub fn name(self) -> &'static str {
        match self {
            PickRefusal::NodeEpoch => "node_epoch",
            PickRefusal::Recovering => "recovering",
            PickRefusal::RunEnded => "run_ended",
            PickRefusal::RunCanceled => "run_canceled",
            PickRefusal::NotQueued => "not_queued",
            PickRefusal::JustReturned => "just_returned",
            PickRefusal::Draining => "draining",
            PickRefusal::NoRoom => "no_room",
            PickRefusal::Parallel => "parallel",
            PickRefusal::Invalid => "invalid",
        }
    }
}

/// Something that happened, for the shell and for history.
#[derive(Clone, Debug)]
pub enum Event {
    /// A node is registered, perhaps with a new epoch.
    NodeRegistered {
        /// The node.
        node: NodeId,
        /// Its epoch.
        epoch: u64,
    },
    /// A node was lost; what was placed there in an epoch before this one is void.
    NodeLost {
        /// The node.
        node: NodeId,
        /// Its epoch from now on.
        epoch: u64,
    },
    /// What a node ran is of a former incarnation; it counts no more, and may still run.
    NodeVoided {
        /// The node.
        node: NodeId,
        /// Its epoch from now on.
        epoch: u64,
    },
    /// A node is drained from now on; or it was, and for another reason or with another time now.
    NodeDraining {
        /// The node.
        node: NodeId,
    },
    /// Nothing is left on a node that is drained.
    NodeDrained {
        /// The node.
        node: NodeId,
    },
    /// A node that was drained takes work again.
    NodeResumed {
        /// The node.
        node: NodeId,
    },
    /// A node is forgotten.
    NodeRemoved {
        /// The node.
        node: NodeId,
        /// The name it had.
        name: String,
    },
    /// Somebody changed something, for the audit.
    Changed(Box<Change>),
    /// A run was made.
    RunCreated {
        /// The run.
        run: RunId,
    },
    /// Elements of one task were placed, numbered from `first_seq` on.
    Assigned {
        /// The node.
        node: NodeId,
        /// Its epoch.
        epoch: u64,
        /// The number of the first.
        first_seq: u64,
        /// The run.
        run: RunId,
        /// The task.
        task: TaskPosition,
        /// Index and attempt number of each.
        items: Vec<(u32, u32)>,
        /// The fence of all of them.
        fence: Fence,
    },
    /// What a plan picked for a node is not placed: it no longer held when it was committed.
    PickRefused {
        /// The run it was picked of.
        run: RunId,
        /// Why.
        reason: PickRefusal,
    },
    /// Attempts are to be taken back where they have not started.
    Withdraw {
        /// Where they are placed.
        node: NodeId,
        /// Which.
        attempts: Vec<Attempt>,
    },
    /// Attempts are to be stopped.
    Stop {
        /// Where they are placed.
        node: NodeId,
        /// Which.
        attempts: Vec<Attempt>,
        /// Why.
        cause: StopCause,
    },
    /// A start was reported.
    Started {
        /// The attempt.
        attempt: Attempt,
    },
    /// An attempt has ended.
    AttemptEnded(AttemptEnded),
    /// Elements ended without an attempt.
    ElementsEnded {
        /// The run.
        run: RunId,
        /// The task.
        task: TaskPosition,
        /// Their ordinals.
        ordinals: RangeSet,
        /// Their final state.
        state: TaskState,
        /// Who ended them.
        because: Arc<Because>,
    },
    /// The last element of a run has ended; the run has left the state.
    RunEnded {
        /// The run.
        run: RunId,
        /// As it was at its end.
        last: Arc<Run>,
        /// When, Unix milliseconds.
        ended_ms: u64,
    },
}

/// The facts of an attempt that has ended.
#[derive(Clone, Debug)]
pub struct AttemptEnded {
    /// Which.
    pub attempt: Attempt,
    /// The element's ordinal in its task.
    pub ordinal: u32,
    /// Its fence.
    pub fence: Fence,
    /// Where it ran.
    pub node: NodeId,
    /// When it was placed, Unix milliseconds.
    pub placed_ms: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Who or what ended it; `None` where it ended by itself.
    pub because: Option<Arc<Because>>,
    /// The element's final state; `None` where the element went back to the queue.
    pub state: Option<TaskState>,
}
