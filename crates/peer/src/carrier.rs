//! Carries the messages of the journal: its [`Peers`] over connections between nodes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use journal::raft::{Answer, Peers, Unreachable};
use model::NodeId;
use proto::peer::raft_snapshot_part::Part;
use proto::peer::{RaftRequest, RaftSnapshotPart};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::dial::{Dialer, Lane, Uncallable, too_late, unanswered, within};

/// The number by which the journal knows a node.
///
/// Never 0, which stands for no node; half of the id's chance is enough for a thousand nodes. Whoever lets nodes in
/// refuses one with the number of another all the same.
pub fn journal_number(node: NodeId) -> u64 {
    node.0.as_u64_pair().1 | 1
}

/// The journal's way to the other control nodes.
pub struct Carrier(pub Arc<Dialer>);

impl Carrier {
    fn node(&self, number: u64) -> Result<NodeId, Unreachable> {
        let node = self.0.nodes().into_iter().find(|node| journal_number(*node) == number);
        let reason = "no address of it is known".to_owned();
        node.ok_or(Unreachable { node: number, reason })
    }
}

impl Peers for Carrier {
    fn call(&self, number: u64, message: Bytes, deadline: Duration) -> Answer<'_> {
        Box::pin(async move {
            let node = self.node(number)?;
            let call = async {
                let mut client = self.0.client(node, Lane::Urgent)?;
                let request = within(RaftRequest { message: message.into() }, deadline);
                let reply = tokio::time::timeout(deadline, client.raft(request)).await;
                let reply = reply.map_err(|_| too_late(node, deadline))?;
                Ok(reply.map_err(|status| unanswered(node, &status))?.into_inner().answer.into())
            };
            call.await.map_err(|error| unreachable(number, error))
        })
    }

    fn send_snapshot(&self, number: u64, head: Bytes, chunks: mpsc::Receiver<Bytes>) -> Answer<'_> {
        Box::pin(async move {
            let node = self.node(number)?;
            let head = futures::stream::once(std::future::ready(Part::Head(head.into())));
            let chunks = ReceiverStream::new(chunks).map(|chunk| Part::Chunk(chunk.into()));
            let parts = head.chain(chunks).map(|part| RaftSnapshotPart { part: Some(part) });
            let call = async {
                let mut client = self.0.client(node, Lane::Bulk)?;
                // No deadline: a snapshot takes as long as it takes, and the journal knows when it stands still.
                let reply = client.raft_snapshot(parts).await;
                Ok(reply.map_err(|status| unanswered(node, &status))?.into_inner().answer.into())
            };
            call.await.map_err(|error| unreachable(number, error))
        })
    }
}

/// The journal names the node by its own number.
fn unreachable(node: u64, error: Uncallable) -> Unreachable {
    let reason = match error {
        Uncallable::NoAddress(_) => "no address of it is known".to_owned(),
        Uncallable::Unconnected { why, .. } | Uncallable::Unreachable { why, .. } => why,
        Uncallable::Refused { why, .. } => format!("it refuses: {why}"),
    };
    Unreachable { node, reason }
}
