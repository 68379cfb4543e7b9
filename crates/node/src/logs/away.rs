//! Readings of nodes that cannot be read just now: they are begun again when their node is back, and
//! given up after a while.

use std::collections::BTreeMap;
use std::time::Duration;

use model::NodeId;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::output::{Wanted, Ways};

/// How long a node is waited for whose output has ended: its session moves, or its daemon is
/// restarted.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How often other control nodes are asked for it.
const AGAIN: Duration = Duration::from_secs(1);

/// A reading that waits for its node.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) node: NodeId,
    pub(super) wanted: Wanted,
    /// Why it cannot be read, for people.
    pub(super) why: String,
    /// What was to be shown instead has been.
    pub(super) is_given_up: bool,
    /// Nobody has looked at it yet.
    is_new: bool,
    asked: Instant,
}

/// All that wait.
#[derive(Debug)]
pub(super) struct Away {
    entries: Vec<Entry>,
    /// Since when nothing has come of these nodes.
    since: BTreeMap<NodeId, Instant>,
    changes: watch::Receiver<u64>,
    /// Asking again may help though no node has come here.
    has_others: bool,
}

/// What becomes of one that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Waits,
    AsksAgain,
    IsGivenUp,
}

impl Away {
    pub(super) fn new(ways: &Ways) -> Away {
        let (changes, has_others) = (ways.changes(), ways.has_others());
        Away { entries: Vec::new(), since: BTreeMap::new(), changes, has_others }
    }

    /// One more waits; `was_alive`: its node had brought something.
    pub(super) fn add(&mut self, node: NodeId, wanted: Wanted, why: String, was_alive: bool) {
        let now = Instant::now();
        let since = self.since.entry(node).or_insert(now);
        if was_alive {
            *since = now;
        }
        self.entries.push(Entry {
            node,
            wanted,
            why,
            is_given_up: false,
            is_new: true,
            asked: now,
        });
    }

    /// One waits on for what is still to come.
    pub(super) fn put_back(&mut self, entry: Entry) {
        self.entries.push(Entry { is_new: false, ..entry });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Takes all, to be looked at.
    pub(super) fn take(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// What becomes of one, whose node is `gone` or not.
    pub(super) fn fate(&self, entry: &Entry, ways: &Ways, is_gone: bool) -> Fate {
        let now = Instant::now();
        let again = self.has_others && now >= entry.asked + AGAIN;
        let over = is_gone || now >= self.due(entry);
        match () {
            () if ways.has(entry.node) || again => Fate::AsksAgain,
            () if over && !entry.is_given_up => Fate::IsGivenUp,
            () => Fate::Waits,
        }
    }

    /// Answers when one of them should be looked at.
    pub(super) async fn woken(&mut self) {
        if self.entries.is_empty() {
            return std::future::pending().await;
        }
        if self.entries.iter().any(|entry| entry.is_new) {
            return;
        }
        let given_up = |entry: &Entry| (!entry.is_given_up).then(|| self.due(entry));
        let again = |entry: &Entry| self.has_others.then(|| entry.asked + AGAIN);
        let due = self.entries.iter().flat_map(|entry| [given_up(entry), again(entry)]);
        let due = due.flatten().min();
        let changes = &mut self.changes;
        tokio::select! {
            Ok(()) = changes.changed() => {}
            () = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            } => {}
        }
    }

    fn due(&self, entry: &Entry) -> Instant {
        self.since.get(&entry.node).copied().unwrap_or(entry.asked) + PATIENCE
    }
}
