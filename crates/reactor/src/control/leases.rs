//! The leader's side of leases: which heartbeats may be acknowledged, and which node is lost.
//!
//! A heartbeat is acknowledged only after a majority has confirmed this leader since it arrived;
//! one confirmation serves all that wait. A node is lost when its lease and a margin have passed
//! since the arrival of the last heartbeat that was acknowledged, or since this leader was first
//! confirmed: what an earlier leader acknowledged arrived before that. A leader that was paused
//! starts its waiting over, for heartbeats may lie in its sockets and the nodes may have been paused
//! with it.
//!
//! A recovery is over in the same way: no node of a former incarnation keeps its tasks for longer
//! than the longest lease there is, and nobody acknowledges its heartbeats any more.

use std::collections::{BTreeMap, BTreeSet};

use machine::State;
use model::{LEASE_MARGIN_MS, NodeId};
use proto::record::{self, command::Kind};

use super::batch::{Batcher, Origin};
use super::effect::SessionId;

/// It is looked at most this often for no other reason, in milliseconds.
const LOOK_MS: u64 = 100;
/// The leader looks at least this often, in milliseconds.
const REST_MS: u64 = 1_000;
/// A leader that has not looked for so long was suspended or paused, in milliseconds.
const PAUSED_MS: u64 = 3_000;

/// A heartbeat that waits to be acknowledged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heartbeat {
    pub(super) session: SessionId,
    pub(super) node: NodeId,
    pub(super) number: u64,
    /// When it arrived, in steady milliseconds.
    pub(super) at_ms: u64,
}

#[derive(Debug, Default)]
pub(super) struct Leases {
    /// When this leader was first confirmed; `None` while this node does not lead.
    first_ms: Option<u64>,
    /// The arrival of the newest heartbeat, or hello, of each node that counts.
    heard: BTreeMap<NodeId, u64>,
    /// The newest heartbeat of each session that no confirmation was asked for yet.
    waiting: BTreeMap<SessionId, Heartbeat>,
    /// The confirmation that is on its way, and whom it serves.
    asked: Option<(u64, Vec<Heartbeat>)>,
    last_number: u64,
    /// The nodes by a time before which their lease cannot have run out; each that has one is here
    /// once. A heartbeat does not move it: it is looked at again when that time has come.
    due: BTreeSet<(u64, NodeId)>,
    due_of: BTreeMap<NodeId, u64>,
    /// All nodes of the state are still to be put there.
    is_new: bool,
    /// When it was looked last.
    looked_ms: u64,
    /// When a recovery may be over, or is to be ended once more; `None` where there is none.
    recovery_ms: Option<u64>,
    /// A recovery is not ended again before this: the end is on its way.
    ended_until_ms: u64,
}

impl Leases {
    /// A majority has confirmed that this node leads: its own first entry is committed.
    pub(super) fn begin(&mut self, now_ms: u64) {
        self.end();
        (self.first_ms, self.looked_ms, self.is_new) = (Some(now_ms), now_ms, true);
    }

    /// This node leads no more.
    pub(super) fn end(&mut self) {
        *self = Leases { last_number: self.last_number, ..Leases::default() };
    }

    /// A node was heard of at that time, and a majority has confirmed this leader since.
    pub(super) fn heard(&mut self, node: NodeId, at_ms: u64) {
        let heard = self.heard.entry(node).or_default();
        *heard = at_ms.max(*heard);
    }

    /// A node was registered: its lease may be another one than before.
    pub(super) fn registered(&mut self, node: NodeId) {
        self.look_at(node, 0);
    }

    pub(super) fn heartbeat(&mut self, heartbeat: Heartbeat) {
        self.waiting.insert(heartbeat.session, heartbeat);
    }

    /// The number of a confirmation to ask for, if somebody waits for one and none is on its way.
    pub(super) fn ask(&mut self) -> Option<u64> {
        if self.first_ms.is_none() || self.asked.is_some() || self.waiting.is_empty() {
            return None;
        }
        self.last_number += 1;
        let waiting = std::mem::take(&mut self.waiting);
        self.asked = Some((self.last_number, waiting.into_values().collect()));
        Some(self.last_number)
    }

    /// Whose heartbeats may be acknowledged now.
    pub(super) fn confirmed(&mut self, number: u64, is_leader: bool) -> Vec<Heartbeat> {
        let Some((_, served)) = self.asked.take_if(|(asked, _)| *asked == number) else {
            return Vec::new();
        };
        // Without a majority nobody is acknowledged; the nodes will ask again.
        if is_leader { served } else { Vec::new() }
    }

    /// Gives up the nodes whose leases have run out, and returns them.
    pub(super) fn look(
        &mut self,
        state: &State,
        now_ms: u64,
        batcher: &mut Batcher,
    ) -> Vec<NodeId> {
        let mut lost = Vec::new();
        if now_ms.saturating_sub(self.looked_ms) > PAUSED_MS && self.first_ms.is_some() {
            self.first_ms = Some(now_ms);
        }
        self.looked_ms = now_ms;
        let Some(first_ms) = self.first_ms else { return lost };
        if std::mem::take(&mut self.is_new) {
            state.nodes().keys().for_each(|id| self.look_at(*id, 0));
        }
        while let Some(&(due_ms, id)) = self.due.first().filter(|(due_ms, _)| *due_ms <= now_ms) {
            self.due.remove(&(due_ms, id));
            self.due_of.remove(&id);
            let node = state.node(id).filter(|node| node.lease_ms > 0 && !node.is_lost);
            // Whoever comes back, or is given a lease, is registered, and so looked at again.
            let Some(node) = node else { continue };
            let heard_ms = self.heard.get(&id).copied().unwrap_or_default().max(first_ms);
            let over_ms = heard_ms + node.lease_ms + LEASE_MARGIN_MS;
            if over_ms > now_ms {
                self.look_at(id, over_ms);
                continue;
            }
            let lose = record::LoseNode { node_id: id.to_bytes(), epoch: node.epoch };
            let _ = batcher.push(Origin::Nobody, Kind::LoseNode(lose));
            // Once more, should that be lost.
            self.look_at(id, now_ms + node.lease_ms);
            lost.push(id);
        }
        lost
    }

    /// Looks at a node at that time, or at the one that was set for it before, if that is earlier.
    fn look_at(&mut self, node: NodeId, at_ms: u64) {
        match self.due_of.get(&node) {
            Some(set_ms) if *set_ms <= at_ms => return,
            Some(set_ms) => _ = self.due.remove(&(*set_ms, node)),
            None => {}
        }
        self.due_of.insert(node, at_ms);
        self.due.insert((at_ms, node));
    }

    /// Ends a recovery once no node of before can run anything any more; `lease_ms` is the one that
    /// nodes are given.
    pub(super) fn end_recovery(
        &mut self,
        state: &State,
        lease_ms: u64,
        now_ms: u64,
        batcher: &mut Batcher,
    ) {
        self.recovery_ms = None;
        let (Some(first_ms), Some(cluster)) = (self.first_ms, state.cluster()) else { return };
        if !state.is_recovering() {
            return;
        }
        let leases = state.nodes().values().map(|node| node.lease_ms);
        let longest_ms = leases.chain([lease_ms]).max().unwrap_or_default();
        let over_ms = (first_ms + longest_ms + LEASE_MARGIN_MS).max(self.ended_until_ms);
        if now_ms < over_ms {
            self.recovery_ms = Some(over_ms);
            return;
        }
        let end = record::EndRecovery { incarnation: cluster.incarnation.into() };
        let _ = batcher.push(Origin::Nobody, Kind::EndRecovery(end));
        self.ended_until_ms = now_ms + REST_MS;
        self.recovery_ms = Some(self.ended_until_ms);
    }

    /// The arrival of the oldest of the heartbeats that the leases of the nodes count from, in steady
    /// milliseconds; `None` where no lease counts.
    pub(super) fn oldest_ms(&self, state: &State) -> Option<u64> {
        let first_ms = self.first_ms?;
        let leased = state.nodes().iter().filter(|(_, node)| node.lease_ms > 0 && !node.is_lost);
        leased
            .map(|(id, _)| self.heard.get(id).map_or(first_ms, |at_ms| first_ms.max(*at_ms)))
            .min()
    }

    /// When to look again.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let first_ms = self.due.first().map(|(due_ms, _)| (*due_ms).max(self.looked_ms + LOOK_MS));
        let looks = first_ms.filter(|_| self.first_ms.is_some());
        let due_ms = looks.into_iter().chain(self.recovery_ms).min()?;
        Some(due_ms.min(self.looked_ms + REST_MS))
    }
}
