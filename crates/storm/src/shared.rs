//! What the world, its hosts and its clients share: the trace, the history, and what must hold at every moment.
//!
//! None of it is visible to the code that is tried.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::Context;
use std::time::Duration;

use journal::raft::Raft;
use machine::State;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::history::History;
use crate::order::Order;
use crate::trace::{Trace, hash_of};

/// Where the run is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The group comes together; nothing fails.
    #[default]
    Founding,
    /// Everything fails, and clients work.
    Hostile,
    /// Nothing fails any more; clients ask for all that there is.
    Healed,
}

/// All that is shared.
pub(crate) struct Shared(Mutex<Inner>);

struct Inner {
    trace: Trace,
    /// The simulated time, for what happens outside of all hosts.
    now: Duration,
    phase: Phase,
    history: History,
    broken: Option<String>,
    /// What was delivered at an index, anywhere.
    delivered: BTreeMap<u64, ((u64, u64), u64)>,
    /// The hash of the state at an index, anywhere.
    states: BTreeMap<u64, u64>,
    /// The journals that run, by node.
    journals: BTreeMap<u64, (Weak<Raft>, UnboundedSender<Order>)>,
    /// How far each node has applied, in its present life.
    applied: BTreeMap<u64, State>,
    /// By pairs of hosts: how often their connections were broken.
    resets: BTreeMap<(u64, u64), watch::Sender<u64>>,
    counts: Counts,
}

/// Whether a connection has broken.
pub(crate) struct Reset(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Reset {
    /// Wakes whoever asks once it has.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        let is_broken = self.0.as_mut().poll(context).is_ready();
        if is_broken {
            // It is not asked again once it has answered.
            self.0 = Box::pin(std::future::ready(()));
        }
        is_broken
    }
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    /// Leaders that have committed something.
    pub(crate) leaders: u64,
    pub(crate) snapshots: u64,
    pub(crate) strikes: u64,
    pub(crate) crashes: u64,
}

/// States are compared at every so many entries: each is a pass over all of it.
const COMPARED_EVERY: u64 = 16;

impl Shared {
    pub(crate) fn new(prints: bool) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner {
            trace: Trace::new(prints),
            now: Duration::ZERO,
            phase: Phase::default(),
            history: History::default(),
            broken: None,
            delivered: BTreeMap::new(),
            states: BTreeMap::new(),
            journals: BTreeMap::new(),
            applied: BTreeMap::new(),
            resets: BTreeMap::new(),
            counts: Counts::default(),
        })))
    }

    /// A line of the trace.
    pub(crate) fn note(&self, who: &str, what: fmt::Arguments<'_>) {
        let at = turmoil::sim_elapsed();
        let mut inner = self.inner();
        let at = at.unwrap_or(inner.now);
        inner.trace.line(at, who, what);
    }

    /// Something goes from host to host: hashed, and not printed.
    pub(crate) fn sent(&self, from: u64, to: u64, bytes: &[u8]) {
        let mut inner = self.inner();
        inner.counts.messages += 1;
        for number in [from, to, hash_of(bytes)] {
            inner.trace.number(number);
        }
    }

    /// The outside of all hosts has a time, too.
    pub(crate) fn set_now(&self, now: Duration) {
        self.inner().now = now;
    }

    pub(crate) fn phase(&self) -> Phase {
        self.inner().phase
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.inner().phase = phase;
        self.note("world", format_args!("{phase:?}"));
    }

    /// A promise is broken; the first one ends the run.
    pub(crate) fn broken(&self, what: String) {
        self.note("world", format_args!("broken: {what}"));
        self.inner().broken.get_or_insert(what);
    }

    /// What is broken, if anything.
    pub(crate) fn verdict(&self) -> Result<(), String> {
        self.inner().broken.clone().map_or(Ok(()), Err)
    }

    pub(crate) fn with_history<T>(&self, work: impl FnOnce(&mut History) -> T) -> T {
        work(&mut self.inner().history)
    }

    pub(crate) fn counts(&self) -> Counts {
        let inner = self.inner();
        let leaders: BTreeSet<_> = inner.delivered.values().map(|(leader, _)| leader).collect();
        Counts { leaders: leaders.len() as u64, ..inner.counts }
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.inner().counts);
    }

    /// The hash of all that happened, and how much that was.
    pub(crate) fn trace(&self) -> (u64, u64) {
        let inner = self.inner();
        (inner.trace.hash(), inner.trace.lines())
    }

    /// A journal runs.
    pub(crate) fn runs(&self, node: u64, journal: &Arc<Raft>, orders: UnboundedSender<Order>) {
        self.inner().journals.insert(node, (Arc::downgrade(journal), orders));
    }

    pub(crate) fn journal(&self, node: u64) -> Option<Arc<Raft>> {
        self.inner().journals.get(&node).and_then(|(journal, _)| journal.upgrade())
    }

    /// Tells one end of a connection when it breaks.
    pub(crate) fn reset_of(&self, a: u64, b: u64) -> Reset {
        let pair = (a.min(b), a.max(b));
        let mut resets = self.inner().resets.entry(pair).or_default().subscribe();
        let seen = *resets.borrow_and_update();
        Reset(Box::pin(async move {
            // The world outlives its hosts.
            let _ = resets.wait_for(|now| *now != seen).await;
        }))
    }

    /// Breaks all connections between two hosts.
    pub(crate) fn reset(&self, a: u64, b: u64) {
        let inner = self.inner();
        if let Some(resets) = inner.resets.get(&(a.min(b), a.max(b))) {
            resets.send_modify(|count| *count += 1);
        }
    }

    /// Has a node do something, if it runs.
    pub(crate) fn order(&self, node: u64, order: Order) {
        if let Some((_, orders)) = self.inner().journals.get(&node) {
            let _ = orders.send(order); // It may be down.
        }
    }

    /// A node was handed an entry: everybody is handed the same.
    pub(crate) fn delivered(&self, node: u64, index: u64, leader: (u64, u64), record: &[u8]) {
        let found = (leader, hash_of(record));
        let first = *self.inner().delivered.entry(index).or_insert(found);
        if first != found {
            self.broken(format!("node {node} was handed {found:?} at {index}, another {first:?}"));
        }
    }

    /// A node has applied everything up to here: everybody has the same state there.
    pub(crate) fn applied(&self, node: u64, state: &State) {
        let index = state.applied();
        let before = self.inner().applied.insert(node, state.clone());
        if before.is_some_and(|before| before.applied() > index) {
            self.broken(format!("node {node} went back to entry {index}"));
        }
        if index.is_multiple_of(COMPARED_EVERY) {
            self.compare(node, state);
        }
    }

    /// Everybody has this state at this index, and nothing in it contradicts itself.
    pub(crate) fn compare(&self, node: u64, state: &State) {
        let (index, hash) = (state.applied(), hash_of_state(state));
        let first = *self.inner().states.entry(index).or_insert(hash);
        if first != hash {
            self.broken(format!("node {node} has another state than others at {index}"));
        }
        for fault in state.check_invariants() {
            self.broken(format!("node {node} at {index}: {fault}"));
        }
    }

    /// The node starts anew: what it had applied is gone.
    pub(crate) fn restarts(&self, node: u64) {
        self.inner().applied.remove(&node);
    }

    /// The state of a node, as of what it has applied.
    pub(crate) fn state(&self, node: u64) -> Option<State> {
        self.inner().applied.get(&node).cloned()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no holder of the lock panics")
    }
}

fn hash_of_state(state: &State) -> u64 {
    let mut all = Vec::new();
    machine::snapshot::encode(state).for_each(|piece| all.extend_from_slice(&piece));
    hash_of(&all)
}
