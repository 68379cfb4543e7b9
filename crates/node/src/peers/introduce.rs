//! What this node says of itself to the cluster: its name, where it is reached, and which of its
//! journals takes part. It says it again whenever that, or the state, is different.

use std::sync::Arc;
use std::time::Duration;

use model::{NodeId, Roles};
use proto::record::{self, command::Kind};
use tokio::sync::watch;

use crate::handle::Handle;
use crate::view::View;

/// How long it waits before it says it again.
const AGAIN: Duration = Duration::from_millis(500);

/// Who a member is.
pub(crate) struct Introduction {
    pub(crate) node: NodeId,
    pub(crate) name: String,
    pub(crate) roles: Roles,
    /// Of its journal; `None` on a node without one.
    pub(crate) journal_life: Option<u64>,
    /// Where it is reached; changes when its listener opens.
    pub(crate) address: watch::Receiver<String>,
    pub(crate) api_address: String,
}

impl Introduction {
    fn member(&self) -> machine::Member {
        machine::Member {
            name: self.name.clone(),
            roles: self.roles,
            address: self.address.borrow().clone(),
            api_address: self.api_address.clone(),
            journal_life: self.journal_life,
            joined_ms: 0,
        }
    }

    /// As a command.
    pub(crate) fn command(&self) -> Kind {
        let member = self.member();
        let member = record::Member {
            node_id: self.node.to_bytes(),
            name: member.name,
            control: member.roles.control,
            worker: member.roles.worker,
            address: member.address,
            api_address: member.api_address,
            journal_life: member.journal_life,
            joined_ms: 0,
        };
        Kind::SetMember(record::SetMember { member: Some(member) })
    }

    /// Says it until it is so, for as long as the node runs.
    pub(crate) async fn run(mut self, handle: Handle, mut views: watch::Receiver<Arc<View>>) {
        loop {
            let known = views.borrow_and_update().state.members().get(self.node).cloned();
            let same = known.is_some_and(|known| {
                machine::Member { joined_ms: 0, ..(*known).clone() } == self.member()
            });
            if !same {
                if let Err(refused) = handle.commit(self.command()).await {
                    tracing::debug!(%refused, "the cluster does not know this node's address yet");
                }
                tokio::time::sleep(AGAIN).await;
            }
            let changed = tokio::select! {
                changed = views.changed(), if same => changed,
                changed = self.address.changed() => changed,
                () = std::future::ready(()), if !same => Ok(()),
            };
            if changed.is_err() {
                return; // The node stops.
            }
        }
    }
}
