//! Output between control nodes: what lies on a node that another one has the session of, and tails to keep.

use std::time::Duration;

use model::NodeId;
use proto::peer::{KeepTailsRequest, ReadOutputRequest};
use proto::session::{Output, OutputWanted, Tails};
use tonic::Streaming;

use crate::adapter::HOPS_MAX;
use crate::dial::{Dialer, Lane, Uncallable, too_late, unanswered, within};

/// How long a control node may take to begin with its answer.
const BEGIN: Duration = Duration::from_secs(10);

impl Dialer {
    /// Reads the output that lies on `of` through a control node. `hops` is how often the request was handed on before:
    /// 0 for a reader of this node.
    ///
    /// What is not taken of the answer stays where it is; the reading ends with it, or with the connection.
    pub async fn read_output(
        &self,
        node: NodeId,
        hops: u32,
        of: NodeId,
        wanted: OutputWanted,
    ) -> Result<Streaming<Output>, Uncallable> {
        if hops >= HOPS_MAX {
            let why = "it was asked through another node already".to_owned();
            return Err(Uncallable::Refused { node, why });
        }
        let mut client = self.client(node, Lane::Bulk)?;
        let wanted = Some(wanted);
        let request = ReadOutputRequest { hops: hops + 1, node_id: of.to_bytes(), wanted };
        // Without a deadline of its own: it may last as long as a task does.
        let answer = tokio::time::timeout(BEGIN, client.read_output(request)).await;
        let answer = answer.map_err(|_| too_late(node, BEGIN))?;
        Ok(answer.map_err(|status| unanswered(node, &status))?.into_inner())
    }

    /// Has a control node keep tails of the output of `of`.
    pub async fn keep_tails(
        &self,
        node: NodeId,
        of: NodeId,
        tails: Tails,
        deadline: Duration,
    ) -> Result<(), Uncallable> {
        let mut client = self.client(node, Lane::Bulk)?;
        let request = KeepTailsRequest { node_id: of.to_bytes(), tails: Some(tails) };
        let call = client.keep_tails(within(request, deadline));
        let reply = tokio::time::timeout(deadline, call).await;
        let reply = reply.map_err(|_| too_late(node, deadline))?;
        reply.map_err(|status| unanswered(node, &status))?;
        Ok(())
    }
}
