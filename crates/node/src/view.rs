//! What readers see: a state of the machine with all facts up to it in history.

use machine::State;
use model::NodeId;
use reactor::control::Connections;

/// A state that can be read at leisure; taking one costs nothing.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// The machine's state.
    pub state: State,
    /// How the nodes are connected, as this node sees it.
    pub connections: Connections,
    /// Another number for other connections, also those of another node.
    pub(crate) connections_version: u64,
}

impl View {
    /// Whether the node is connected and its supervisor lives.
    pub fn is_ready(&self, node: NodeId) -> bool {
        self.connections.get(&node).is_some_and(|connection| connection.ready)
    }

    /// The node's name, or its id where it is unknown.
    pub fn node_name(&self, node: NodeId) -> String {
        self.state.node(node).map_or_else(|| node.to_string(), |node| node.name.clone())
    }
}
