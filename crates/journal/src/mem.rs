//! A journal in memory, for the tests of what stands above.
//!
//! It keeps the promises of the trait, durability apart, and lets a test take the leadership away or end the journal.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::watch;

use crate::blocking::Blocking;
use crate::follow::{BATCH, Extent, Loaded, Source};
use crate::{
    Delivery, Follow, Index, Journal, JournalError, LeaderId, Leadership, ProposeError,
    RECORD_BYTES_MAX, Snapshot, SnapshotReader,
};

/// A journal in memory. Clones are the same journal.
#[derive(Clone)]
pub struct Mem {
    shared: Arc<Shared>,
}

struct Shared {
    node: u64,
    log: Mutex<Log>,
    leadership: watch::Sender<Leadership>,
    extent: watch::Sender<Extent>,
    /// Held while a checkpoint is under way.
    checkpoint: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Log {
    /// The last entry that was trimmed.
    trimmed: Index,
    entries: Vec<Delivery>,
    /// The two newest, the older one first.
    snapshots: Vec<(Index, LeaderId, Bytes)>,
}

impl Mem {
    /// An empty journal that `node` leads at once.
    pub fn new(node: u64) -> Self {
        let shared = Shared {
            node,
            log: Mutex::default(),
            leadership: watch::Sender::new(Leadership::Candidate),
            extent: watch::Sender::new(Extent { committed: 0, open: true }),
            checkpoint: Arc::default(),
        };
        let mem = Self { shared: Arc::new(shared) };
        mem.elect();
        mem
    }

    /// Elects the node again: a new term, with the entry of the journal's own that every leader begins with.
    pub fn elect(&self) -> LeaderId {
        let mut log = self.shared.log();
        let term = log.entries.last().map_or(1, |last| last.leader.term + 1);
        let leader = LeaderId { term, node: self.shared.node };
        self.shared.push(&mut log, leader, Bytes::new());
        self.shared.lead(Leadership::Leader(leader));
        leader
    }

    /// Takes the leadership away; nobody leads until `elect`.
    pub fn depose(&self) {
        let _log = self.shared.log();
        self.shared.lead(Leadership::Follower { leader: None });
    }

    /// Ends the journal as a broken disk would.
    pub fn kill(&self, reason: &str) {
        let _log = self.shared.log();
        self.shared.lead(Leadership::Dead(reason.into()));
        self.shared.extent.send_modify(|extent| extent.open = false);
    }
}

impl Log {
    fn last(&self) -> Index {
        self.trimmed + self.entries.len() as Index
    }

    fn newest(&self) -> Index {
        self.snapshots.last().map_or(0, |newest| newest.0)
    }

    fn entry(&self, index: Index) -> Option<&Delivery> {
        self.entries.get(index.checked_sub(self.trimmed + 1)? as usize)
    }

    fn keep(&mut self, index: Index, content: Bytes) {
        let leader = self.entry(index).expect("what is behind a snapshot is in the log").leader;
        self.snapshots.push((index, leader, content));
        if self.snapshots.len() > 2 {
            self.snapshots.remove(0);
        }
        if let [older, _] = &self.snapshots[..] {
            self.entries.drain(..(older.0 - self.trimmed) as usize);
            self.trimmed = older.0;
        }
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no holder of the lock panics")
    }

    fn push(&self, log: &mut Log, leader: LeaderId, record: Bytes) -> Index {
        let index = log.last() + 1;
        log.entries.push(Delivery { index, leader, record });
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

    fn alive(&self) -> Result<(), JournalError> {
        match self.leadership.borrow().dead() {
            Some(reason) => Err(JournalError::Dead { reason }),
            None => Ok(()),
        }
    }

    fn admit(&self, asked: Index) -> Result<(), JournalError> {
        self.alive()?;
        let log = self.log();
        let (newest, committed) = (log.newest(), log.last());
        match newest < asked && asked <= committed {
            true => Ok(()),
            false => Err(JournalError::CheckpointOutside { asked, newest, committed }),
        }
    }
}

impl Source for Shared {
    fn recent(&self, from: Index, to: Index) -> Option<Vec<Delivery>> {
        let log = self.log();
        let skip = from.checked_sub(log.trimmed + 1)? as usize;
        let end = (to - log.trimmed) as usize;
        Some(log.entries[skip..end].iter().take(BATCH.entries).cloned().collect())
    }

    fn load(&self, from: Index, to: Index) -> Option<Loaded> {
        if let Some(entries) = self.recent(from, to) {
            return Some(Loaded::Entries(entries));
        }
        self.newest().flatten()
    }

    fn newest(&self) -> Option<Option<Loaded>> {
        Some(self.log().snapshots.last().cloned().map(|(index, leader, content)| {
            let reader = SnapshotReader::new(io::Cursor::new(content));
            Loaded::Snapshot { index, leader, reader }
        }))
    }

    fn blocking(&self) -> Blocking {
        Blocking::OnThreads
    }
}

impl Journal for Mem {
    async fn propose(&self, leader: LeaderId, record: Bytes) -> Result<Index, ProposeError> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(ProposeError::TooLarge { bytes: record.len() });
        }
        let mut log = self.shared.log();
        self.shared.leadership.borrow().admit(leader)?;
        Ok(self.shared.push(&mut log, leader, record))
    }

    fn follow(&self, after: Index) -> Follow {
        Follow::new(self.shared.clone(), self.shared.extent.subscribe(), after)
    }

    fn follow_newest(&self) -> Follow {
        Follow::from_newest(self.shared.clone(), self.shared.extent.subscribe())
    }

    fn newest_snapshot(&self) -> Index {
        self.shared.log().newest()
    }

    fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.subscribe()
    }

    async fn barrier(&self) -> Result<Index, JournalError> {
        let log = self.shared.log();
        match &*self.shared.leadership.borrow() {
            Leadership::Leader(_) => Ok(log.last()),
            Leadership::Dead(reason) => Err(JournalError::Dead { reason: reason.clone() }),
            other => Err(JournalError::NotLeader { current: other.leader() }),
        }
    }

    async fn checkpoint(&self, upto: Index, snapshot: Snapshot) -> Result<(), JournalError> {
        self.shared.alive()?;
        let gate = self.shared.checkpoint.clone().try_lock_owned();
        let gate = gate.map_err(|_| JournalError::CheckpointUnderWay)?;
        self.shared.admit(upto)?;
        let shared = self.shared.clone();
        let write = move || {
            let _gate = gate;
            let mut content = Vec::new();
            snapshot(&mut content).map_err(|error| error.to_string())?;
            shared.log().keep(upto, content.into());
            Ok(())
        };
        let written = tokio::task::spawn_blocking(write).await;
        self.shared.alive()?;
        let failed =
            |reason: String| JournalError::Checkpoint { asked: upto, reason: reason.into() };
        written.map_err(|error| failed(error.to_string()))?.map_err(failed)
    }

    fn log_bytes(&self) -> u64 {
        let log = self.shared.log();
        let behind = (log.newest() - log.trimmed) as usize;
        log.entries[behind..].iter().map(|entry| entry.record.len() as u64).sum()
    }

    fn free_bytes(&self) -> u64 {
        u64::MAX
    }

    async fn shutdown(&self) {
        self.kill("the journal was shut down");
    }
}
