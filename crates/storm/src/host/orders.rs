//! What a host does because somebody tells it to: it gives the leadership up, or changes who votes.

use std::collections::BTreeSet;
use std::sync::Arc;

use journal::raft::Raft;
use tokio::sync::mpsc;

use super::{host_of, name};
use crate::order::Order;
use crate::shared::Shared;

/// Follows the orders that come, each for itself; the journal refuses what does not fit.
pub(super) async fn follow(
    host: u64,
    journal: Arc<Raft>,
    shared: Arc<Shared>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    while let Some(order) = orders.recv().await {
        let (journal, shared) = (journal.clone(), shared.clone());
        tokio::spawn(async move {
            match order {
                Order::Resign => journal.resign().await,
                Order::Vote(hosts) => {
                    let changed = journal.promote(members(&journal, &hosts)).await;
                    shared.note(&name(host), format_args!("voters {hosts:?}: {changed:?}"));
                }
            }
        });
    }
}

/// The members that are on these hosts.
pub(super) fn members(journal: &Raft, hosts: &BTreeSet<u64>) -> BTreeSet<u64> {
    let known = journal.membership().borrow().members.clone();
    known
        .iter()
        .filter(|role| hosts.contains(&host_of(role.member.node)))
        .map(|role| role.number)
        .collect()
}
