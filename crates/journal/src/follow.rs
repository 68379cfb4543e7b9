//! Following a journal: pulls committed entries out of whatever holds them.
//!
//! There is no task and no channel behind a follower. It keeps a small buffer and asks for more when that is empty,
//! so a slow follower costs nothing and can never hold up a commit.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::blocking::Blocking;
use crate::{Delivery, Index, LeaderId, SnapshotReader};

/// How much one refill may read.
pub(crate) const BATCH: Batch = Batch { entries: 1024, bytes: 4 << 20 };

/// A bound on how much is read at once; one entry always fits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// How far a journal can be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) committed: Index,
    /// False once the journal is closed or dead: nothing more is served.
    pub(crate) open: bool,
}

/// What a follower is handed.
#[derive(Debug)]
pub enum Delivered {
    /// What all entries up to `index` have made; it replaces everything that was delivered before.
    ///
    /// Comes first, where the log does not reach back far enough. Later only to a follower that was overtaken:
    /// so slow that two more checkpoints were made meanwhile, or on a node that was sent a snapshot by another.
    Snapshot {
        /// The last entry that it stands for; the next delivery is the one after it.
        index: Index,
        /// The leader that wrote that entry.
        leader: LeaderId,
        /// Its content. Blocks while it is read.
        reader: SnapshotReader,
    },
    /// The next entry.
    Entry(Delivery),
}

impl Delivered {
    /// The entry, if it is one.
    pub fn entry(self) -> Option<Delivery> {
        match self {
            Self::Entry(delivery) => Some(delivery),
            Self::Snapshot { .. } => None,
        }
    }
}

/// What a source finds where something was looked for.
pub(crate) enum Loaded {
    Entries(Vec<Delivery>),
    /// The entries are not in the log any more.
    Snapshot {
        index: Index,
        leader: LeaderId,
        reader: SnapshotReader,
    },
}

/// Holds committed entries.
pub(crate) trait Source: Send + Sync {
    /// Entries `from..=to`, as many as a batch takes, if they are in memory.
    fn recent(&self, from: Index, to: Index) -> Option<Vec<Delivery>>;
    /// The same from disk; blocks. `None` means the journal cannot be read, which the source itself has made known.
    fn load(&self, from: Index, to: Index) -> Option<Loaded>;
    /// The newest snapshot, where there is one; blocks. `None` as above.
    fn newest(&self) -> Option<Option<Loaded>>;
    /// Where to do what blocks.
    fn blocking(&self) -> Blocking;
}

/// A place in a journal that moves forward.
pub struct Follow {
    source: Arc<dyn Source>,
    extent: watch::Receiver<Extent>,
    next: Index,
    buffer: VecDeque<Delivery>,
    /// The newest snapshot comes first, however far back the log reaches.
    from_newest: bool,
}

impl Follow {
    pub(crate) fn new(
        source: Arc<dyn Source>,
        extent: watch::Receiver<Extent>,
        after: Index,
    ) -> Self {
        let next = after.saturating_add(1);
        Self { source, extent, next, buffer: VecDeque::new(), from_newest: false }
    }

    pub(crate) fn from_newest(source: Arc<dyn Source>, extent: watch::Receiver<Extent>) -> Self {
        Self { from_newest: true, ..Self::new(source, extent, 0) }
    }

    /// The next committed entry, or a snapshot where it is gone; waits for it.
    /// `None` once the journal is closed or dead.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Delivered> {
        if self.buffer.is_empty()
            && let Some((index, leader, reader)) = self.refill().await?
        {
            if !self.extent.borrow().open {
                return None;
            }
            self.next = index + 1;
            return Some(Delivered::Snapshot { index, leader, reader });
        }
        if !self.extent.borrow().open {
            return None;
        }
        self.pop().map(Delivered::Entry)
    }

    /// What is at hand without waiting: the rest of the last read, or of what has been committed lately.
    /// A snapshot never is.
    pub fn try_next(&mut self) -> Option<Delivery> {
        let extent = *self.extent.borrow();
        if !extent.open {
            return None;
        }
        if self.buffer.is_empty() && self.next <= extent.committed {
            self.buffer = self.source.recent(self.next, extent.committed)?.into();
        }
        self.pop()
    }

    fn pop(&mut self) -> Option<Delivery> {
        let delivery = self.buffer.pop_front()?;
        assert_eq!(delivery.index, self.next, "a journal is followed without gaps");
        self.next += 1;
        Some(delivery)
    }

    /// Fills the buffer, or finds a snapshot instead.
    async fn refill(&mut self) -> Option<Option<(Index, LeaderId, SnapshotReader)>> {
        let next = self.next;
        let ready = self.extent.wait_for(|extent| !extent.open || extent.committed >= next);
        let Extent { committed, open } = *ready.await.ok()?;
        if !open {
            return None;
        }
        if std::mem::take(&mut self.from_newest) {
            let source = self.source.clone();
            let newest = self.source.blocking().run(move || source.newest()).await.ok()??;
            if let Some(Loaded::Snapshot { index, leader, reader }) = newest {
                return Some(Some((index, leader, reader)));
            }
        }
        let loaded = match self.source.recent(next, committed) {
            Some(entries) => Loaded::Entries(entries),
            None => {
                let source = self.source.clone();
                let load = move || source.load(next, committed);
                self.source.blocking().run(load).await.ok()??
            }
        };
        match loaded {
            Loaded::Entries(entries) => self.buffer = entries.into(),
            Loaded::Snapshot { index, leader, reader } => {
                assert!(index >= next, "a snapshot stands for what is gone");
                return Some(Some((index, leader, reader)));
            }
        }
        Some(None)
    }
}
