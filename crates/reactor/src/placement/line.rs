//! Nodes in an order that changes as a plan gives them work, and those of them that have asked for
//! some in the same order.

use std::collections::BTreeSet;

use model::NodeId;

#[derive(Debug)]
pub(super) struct Line<K> {
    all: BTreeSet<(K, NodeId)>,
    asking: BTreeSet<(K, NodeId)>,
}

impl<K: Ord + Copy> Line<K> {
    pub(super) fn new() -> Line<K> {
        Line { all: BTreeSet::new(), asking: BTreeSet::new() }
    }

    pub(super) fn insert(&mut self, key: K, node: NodeId, asks: bool) {
        self.all.insert((key, node));
        if asks {
            self.asking.insert((key, node));
        }
    }

    pub(super) fn remove(&mut self, key: K, node: NodeId) {
        self.all.remove(&(key, node));
        self.asking.remove(&(key, node));
    }

    /// All of them, or only those that have asked.
    pub(super) fn nodes(&self, asking: bool) -> &BTreeSet<(K, NodeId)> {
        if asking { &self.asking } else { &self.all }
    }
}
