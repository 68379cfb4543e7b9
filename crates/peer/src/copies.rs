//! Copies between control nodes: lists of items and history, which each of them keeps on its own disk.

use std::time::Duration;

use model::{Items, NodeId};
use proto::peer::{CopyRequest, KeepListRequest, Piece, copy_request};
use tonic::Streaming;

use crate::dial::{Dialer, Lane, Uncallable, too_late, unanswered, within};

/// How long a control node may take to begin with its answer.
const BEGIN: Duration = Duration::from_secs(30);

impl Dialer {
    /// Has a control node keep a list, which it fetches from this one unless it has it. It is on its disk when this
    /// answers.
    pub async fn keep_list(
        &self,
        node: NodeId,
        list: Items,
        deadline: Duration,
    ) -> Result<(), Uncallable> {
        let mut client = self.client(node, Lane::Bulk)?;
        let request = KeepListRequest { list: Some(list.into()) };
        let reply = tokio::time::timeout(deadline, client.keep_list(within(request, deadline)));
        let reply = reply.await.map_err(|_| too_late(node, deadline))?;
        reply.map_err(|status| unanswered(node, &status))?;
        Ok(())
    }

    /// What lies on the disk of a control node. The last piece says that it is the last.
    pub async fn copy(
        &self,
        node: NodeId,
        wanted: copy_request::Wanted,
    ) -> Result<Streaming<Piece>, Uncallable> {
        let mut client = self.client(node, Lane::Bulk)?;
        let request = CopyRequest { wanted: Some(wanted) };
        // Without a deadline of its own: it lasts as long as there is something to copy.
        let answer = tokio::time::timeout(BEGIN, client.copy(request)).await;
        let answer = answer.map_err(|_| too_late(node, BEGIN))?;
        Ok(answer.map_err(|status| unanswered(node, &status))?.into_inner())
    }
}
