//! How many calls of a peer may be under way, so that none takes the node from the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use model::NodeId;

/// Counts by node.
#[derive(Debug)]
pub(crate) struct Calls {
    max: u32,
    under_way: Mutex<HashMap<NodeId, u32>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Call {
    calls: Arc<Calls>,
    node: NodeId,
}

impl Calls {
    pub(crate) fn new(max: u32) -> Arc<Calls> {
        Arc::new(Calls { max, under_way: Mutex::default() })
    }

    /// Takes one more of this node; `None` where it has as many as it may.
    pub(crate) fn begin(self: &Arc<Calls>, node: NodeId) -> Option<Call> {
        let mut under_way = self.under_way.lock().expect("no holder of the lock panics");
        let count = under_way.entry(node).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Call { calls: self.clone(), node })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut under_way = self.calls.under_way.lock().expect("no holder of the lock panics");
        if let Some(count) = under_way.get_mut(&self.node) {
            *count -= 1;
            if *count == 0 {
                under_way.remove(&self.node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn each_node_has_its_own_and_gives_them_back() {
        let calls = Calls::new(2);
        let [one, other] = [1, 2].map(|number| NodeId(Uuid::from_u128(number)));
        let first = calls.begin(one).unwrap();
        let _second = calls.begin(one).unwrap();
        assert!(calls.begin(one).is_none());
        assert!(calls.begin(other).is_some());
        drop(first);
        assert!(calls.begin(one).is_some());
        assert_eq!(calls.under_way.lock().unwrap().len(), 1);
    }
}
