//! A journal in memory, for the tests of what stands above.
//!
//! It keeps the promises of the trait, durability apart, and lets a test take the leadership away or end the journal.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::watch;

use crate::follow::{BATCH, Extent, Source};
use crate::{
    Delivery, Follow, Index, Journal, JournalError, LeaderId, Leadership, ProposeError,
    RECORD_BYTES_MAX,
};

/// A journal in memory. Clones are the same journal.
#[derive(Clone)]
pub struct Mem {
    shared: Arc<Shared>,
}

struct Shared {
    node: u64,
    entries: Mutex<Vec<Delivery>>,
    leadership: watch::Sender<Leadership>,
    extent: watch::Sender<Extent>,
}

impl Mem {
    /// An empty journal that `node` leads at once.
    pub fn new(node: u64) -> Self {
        let shared = Shared {
            node,
            entries: Mutex::new(Vec::new()),
            leadership: watch::Sender::new(Leadership::Candidate),
            extent: watch::Sender::new(Extent { committed: 0, open: true }),
        };
        let mem = Self { shared: Arc::new(shared) };
        mem.elect();
        mem
    }

    /// Elects the node again: a new term, with the entry of the journal's own that every leader begins with.
    pub fn elect(&self) -> LeaderId {
        let mut entries = self.shared.entries();
        let term = entries.last().map_or(1, |last| last.leader.term + 1);
        let leader = LeaderId { term, node: self.shared.node };
        self.shared.push(&mut entries, leader, Bytes::new());
        self.shared.lead(Leadership::Leader(leader));
        leader
    }

    /// Takes the leadership away; nobody leads until `elect`.
    pub fn depose(&self) {
        let _entries = self.shared.entries();
        self.shared.lead(Leadership::Follower { leader: None });
    }

    /// Ends the journal as a broken disk would.
    pub fn kill(&self, reason: &str) {
        let _entries = self.shared.entries();
        self.shared.lead(Leadership::Dead(reason.into()));
        self.shared.extent.send_modify(|extent| extent.open = false);
    }
}

impl Shared {
    fn entries(&self) -> MutexGuard<'_, Vec<Delivery>> {
        self.entries.lock().expect("no holder of the lock panics")
    }

    fn push(&self, entries: &mut Vec<Delivery>, leader: LeaderId, record: Bytes) -> Index {
        let index = entries.len() as Index + 1;
        entries.push(Delivery { index, leader, record });
        self.extent.send_modify(|extent| extent.committed = index);
        index
    }

    /// The dead stay dead.
    fn lead(&self, next: Leadership) {
        self.leadership.send_if_modified(|now| {
            let alive = now.dead().is_none();
            if alive {
                *now = next;
            }
            alive
        });
    }
}

impl Source for Shared {
    fn recent(&self, from: Index, to: Index) -> Option<Vec<Delivery>> {
        let entries = self.entries();
        let range = from as usize - 1..to as usize;
        Some(entries[range].iter().take(BATCH.entries).cloned().collect())
    }

    fn load(&self, from: Index, to: Index) -> Option<Vec<Delivery>> {
        self.recent(from, to)
    }
}

impl Journal for Mem {
    async fn propose(&self, leader: LeaderId, record: Bytes) -> Result<Index, ProposeError> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(ProposeError::TooLarge { bytes: record.len() });
        }
        let mut entries = self.shared.entries();
        self.shared.leadership.borrow().admit(leader)?;
        Ok(self.shared.push(&mut entries, leader, record))
    }

    fn follow(&self, after: Index) -> Follow {
        Follow::new(self.shared.clone(), self.shared.extent.subscribe(), after)
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    async fn barrier(&self) -> Result<Index, JournalError> {
        let entries = self.shared.entries();
        match &*self.shared.leadership.borrow() {
            Leadership::Leader(_) => Ok(entries.len() as Index),
            Leadership::Dead(reason) => Err(JournalError::Dead { reason: reason.clone() }),
            other => Err(JournalError::NotLeader { current: other.leader() }),
        }
    }

    async fn shutdown(&self) {
        self.kill("the journal was shut down");
    }
}
