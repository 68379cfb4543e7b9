//! Who is connected, on a node that does not lead: sessions are the leader's, so it is asked.

use std::sync::{Mutex, PoisonError};

use model::NodeId;
use proto::peer::Confirmed;
use reactor::control::{Connection, Connections};

/// Who is connected, as the leader has told last: its sessions are there.
#[derive(Debug, Default)]
pub(crate) struct Told(Mutex<(u64, Connections)>);

impl Told {
    /// Which connections are known.
    pub(crate) fn version(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    /// What was told last.
    pub(crate) fn known(&self) -> (u64, Connections) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what was told; what is known then.
    pub(crate) fn take(&self, confirmed: Confirmed) -> (u64, Connections) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if confirmed.version != known.0 {
            let each = confirmed.connections.into_iter().filter_map(|one| {
                let node = NodeId::from_bytes(&one.node_id)?;
                Some((node, Connection { ready: one.ready, degraded: one.degraded }))
            });
            *known = (confirmed.version, each.collect());
        }
        known.clone()
    }
}
