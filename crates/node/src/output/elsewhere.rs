//! What other control nodes do for output: the one that leads has the sessions of the nodes that
//! have none here, and all of them keep tails.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use model::{Attempt, NodeId};
use proto::session::{Tail, Tails};
use tokio::sync::mpsc;

use super::Wanted;
use super::reading::Reading;

/// The other control nodes.
pub(crate) trait Elsewhere: Send + Sync {
    /// Starts reading what lies on a node through the control node that leads; `None` where this one
    /// does, or none is known.
    fn read(&self, node: NodeId, wanted: &Wanted) -> Option<Reading>;

    /// What other control nodes have kept of these attempts of a node, of one run, as it comes: several may have the
    /// same. It ends when all have answered, or cannot be reached.
    fn tails(&self, node: NodeId, attempts: &BTreeSet<Attempt>) -> mpsc::Receiver<Tail>;

    /// Has the other control nodes keep these tails of a node; answers when all of them have, or
    /// cannot be reached.
    fn keep(
        &self,
        node: NodeId,
        tails: Arc<Tails>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}
