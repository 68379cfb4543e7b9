//! Follows what the agreed state says of the members: where the control nodes are, who is believed
//! no more, and whether this node is alone.

use std::path::PathBuf;
use std::sync::Arc;

use machine::Members;
use tokio::sync::watch;

use crate::cluster::door::Door;
use crate::cluster::own::Own;
use crate::view::View;

/// The task.
pub(crate) struct Follower {
    pub(crate) own: Arc<Own>,
    pub(crate) door: Arc<Door>,
    pub(crate) data_dir: PathBuf,
    pub(crate) views: watch::Receiver<Arc<View>>,
    /// That there are others is noted on disk.
    pub(crate) has_others: bool,
}

impl Follower {
    /// Runs until the node stops.
    pub(crate) async fn run(mut self) {
        let mut known = Members::default();
        let mut first = true;
        loop {
            let members = self.views.borrow_and_update().state.members().clone();
            if first || !members.is_same(&known) {
                self.take(&members).await;
                (known, first) = (members, false);
            }
            if self.views.changed().await.is_err() {
                return;
            }
        }
    }

    async fn take(&mut self, members: &Members) {
        if members.is_empty() {
            return; // Nothing is known yet, or everybody is still to join again.
        }
        let control = members.iter().filter(|(_, member)| member.roles.control);
        self.own.contacts.set(control.map(|(node, member)| (node, member.address.clone())));
        let now_s = self.own.credentials.clock().now_s();
        let revoked: Vec<_> = members.revoked().collect();
        self.own.credentials.change_trust(|trust| {
            for (node, until_ms) in revoked {
                if !trust.revoke(node, None, until_ms / 1000, now_s) {
                    tracing::error!(%node, "too many nodes were removed: this one is still believed");
                }
            }
        });
        let others = members.iter().any(|(node, _)| node != self.own.node());
        if others && !self.has_others {
            match self.own.has_others(&self.data_dir) {
                Ok(()) => self.has_others = true,
                Err(error) => {
                    tracing::warn!(%error, "this node could found its cluster anew if its journal were lost");
                }
            }
        }
        if (others || members.join_tokens().next().is_some())
            && let Err(error) = self.door.open(None).await
        {
            tracing::warn!(%error, "peers cannot be listened to");
        }
    }
}
