//! The way to other voters. There is none yet: the group has one member, so nothing is ever sent.

use openraft::error::{InstallSnapshotError, RPCError, RaftError, Unreachable};
use openraft::network::{RPCOption, RaftNetwork, RaftNetworkFactory};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, RaftTypeConfig};

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
        let Self { target } = *self;
        RPCError::Unreachable(Unreachable::new(&NoConnection { target }))
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

    async fn install_snapshot(
        &mut self,
        _rpc: InstallSnapshotRequest<Types>,
        _option: RPCOption,
    ) -> Result<InstallSnapshotResponse<NodeId>, Refused<InstallSnapshotError>> {
        Err(self.refuse())
    }

    async fn vote(
        &mut self,
        _rpc: VoteRequest<NodeId>,
        _option: RPCOption,
    ) -> Result<VoteResponse<NodeId>, Refused> {
        Err(self.refuse())
    }
}
