//! Looks over a host's shoulder: at what its journal hands out, and what its readers see.

use std::sync::Arc;

use journal::raft::Raft;
use journal::{Delivered, Journal};
use node::View;
use tokio::sync::watch;

use super::name;
use crate::shared::Shared;

/// Compares what the journal hands out with what others were handed.
pub(super) async fn deliveries(host: u64, journal: Arc<Raft>, shared: Arc<Shared>) {
    let mut follow = journal.follow_newest();
    while let Some(delivered) = follow.next().await {
        match delivered {
            Delivered::Entry(entry) => {
                let leader = (entry.leader.term, entry.leader.node);
                shared.delivered(host, entry.index, leader, &entry.record);
            }
            Delivered::Snapshot { index, .. } => {
                shared.count(|counts| counts.snapshots += 1);
                shared.note(&name(host), format_args!("goes on from a snapshot of {index}"));
            }
        }
    }
}

/// Compares what readers see with what those of others see.
pub(super) async fn views(host: u64, mut views: watch::Receiver<Arc<View>>, shared: Arc<Shared>) {
    while views.changed().await.is_ok() {
        let view = views.borrow_and_update().clone();
        shared.applied(host, &view.state);
    }
}

/// Notes who leads, as this host believes.
pub(super) async fn leadership(host: u64, journal: Arc<Raft>, shared: Arc<Shared>) {
    let mut leadership = journal.leadership();
    while leadership.changed().await.is_ok() {
        let now = leadership.borrow_and_update().clone();
        // The reason names a directory, which is another one each time.
        if !matches!(now, journal::Leadership::Dead(_)) {
            shared.note(&name(host), format_args!("{now:?}"));
        }
    }
}
