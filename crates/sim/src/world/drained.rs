//! The promises about drained nodes: nothing is placed there, and what runs there is stopped when the
//! time of the drain is over, not before.

use model::NodeId;

use super::clock::Mark;
use super::truth::Truth;

impl Truth {
    /// The nodes that are drained.
    pub(super) fn drained(&self) -> Vec<NodeId> {
        self.drained.iter().copied().collect()
    }

    /// Whether a drain's time is over and it has stopped nothing.
    pub(super) fn outlives_its_drain(&self, now: Mark) -> Option<String> {
        let late = |drain: &machine::Drain| {
            !drain.stops && drain.until_ms.is_some_and(|until_ms| until_ms <= now.stamp_ms)
        };
        let mut nodes = self.state.nodes().values();
        let node = nodes.find(|node| node.drain.as_ref().is_some_and(late))?;
        Some(format!("what runs on {} outlives the time of its drain", node.name))
    }

    /// A drain stops what runs: not before its time is over.
    pub(super) fn is_drain_early(&self, node: NodeId, now: Mark) -> Option<String> {
        // Another drain in the same batch may have given it another time.
        let drain = self.state.node(node)?.drain.as_ref().filter(|drain| drain.stops)?;
        let early = drain.until_ms.is_none_or(|until_ms| until_ms > now.stamp_ms);
        early.then(|| format!("node {node} is drained too early"))
    }
}
