//! The way to other voters. There is none yet: the group has one member, so nothing is ever sent.

use openraft::error::{Fatal, RPCError, RaftError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft::{BasicNode, RaftTypeConfig, Snapshot, Vote};

use super::types::Types;

type NodeId = <Types as RaftTypeConfig>::NodeId;
type Refused<E = openraft::error::Infallible> = RPCError<NodeId, BasicNode, RaftError<NodeId, E>>;

/// Makes connections that refuse to send.
pub(crate) struct NoPeers;

/// A connection to a node that cannot be reached.
pub(crate) struct NoPeer {
    target: NodeId,
}

/// Why nothing is sent.
#[derive(Debug, thiserror::Error)]
#[error("node {target:x} cannot be reached: this journal has no connection to other nodes")]
struct NoConnection {
    target: NodeId,
}

impl NoPeer {
    fn refuse<E: std::error::Error>(&self) -> Refused<E> {
        RPCError::Unreachable(self.unreachable())
    }

    fn unreachable(&self) -> Unreachable {
        let Self { target } = *self;
        Unreachable::new(&NoConnection { target })
    }
}

impl RaftNetworkFactory<Types> for NoPeers {
    type Network = NoPeer;

    async fn new_client(&mut self, target: NodeId, _node: &BasicNode) -> NoPeer {
        NoPeer { target }
    }
}

impl RaftNetwork<Types> for NoPeer {
    async fn append_entries(
        &mut self,
        _rpc: AppendEntriesRequest<Types>,
        _option: RPCOption,
    ) -> Result<AppendEntriesResponse<NodeId>, Refused> {
        Err(self.refuse())
    }

    async fn full_snapshot(
        &mut self,
        _vote: Vote<NodeId>,
        _snapshot: Snapshot<Types>,
        _cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<NodeId>, StreamingError<Types, Fatal<NodeId>>> {
        Err(StreamingError::Unreachable(self.unreachable()))
    }

    async fn vote(
        &mut self,
        _rpc: VoteRequest<NodeId>,
        _option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, Refused> {
        Err(self.refuse())
    }
}
