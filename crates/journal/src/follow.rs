//! Following a journal: pulls committed entries out of whatever holds them.
//!
//! There is no task and no channel behind a follower. It keeps a small buffer and asks for more when that is empty,
//! so a slow follower costs nothing and can never hold up a commit.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::{Delivery, Index};

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

/// Holds committed entries.
pub(crate) trait Source: Send + Sync {
    /// Entries `from..=to`, as many as a batch takes, if they are in memory.
    fn recent(&self, from: Index, to: Index) -> Option<Vec<Delivery>>;
    /// The same from disk; blocks. `None` means the journal cannot be read, which the source itself has made known.
    fn load(&self, from: Index, to: Index) -> Option<Vec<Delivery>>;
}

/// A place in a journal that moves forward.
pub struct Follow {
    source: Arc<dyn Source>,
    extent: watch::Receiver<Extent>,
    next: Index,
    buffer: VecDeque<Delivery>,
}

impl Follow {
    pub(crate) fn new(
        source: Arc<dyn Source>,
        extent: watch::Receiver<Extent>,
        after: Index,
    ) -> Self {
        Self { source, extent, next: after.saturating_add(1), buffer: VecDeque::new() }
    }

    /// The next committed entry; waits for it. `None` once the journal is closed or dead.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Delivery> {
        if self.buffer.is_empty() {
            self.refill().await?;
        }
        if !self.extent.borrow().open {
            return None;
        }
        let delivery = self.buffer.pop_front()?;
        assert_eq!(delivery.index, self.next, "a journal is followed without gaps");
        self.next += 1;
        Some(delivery)
    }

    /// What is at hand without waiting: the rest of the last read, or of what has been committed lately.
    pub fn try_next(&mut self) -> Option<Delivery> {
        let extent = *self.extent.borrow();
        if !extent.open {
            return None;
        }
        if self.buffer.is_empty() && self.next <= extent.committed {
            self.buffer = self.source.recent(self.next, extent.committed)?.into();
        }
        let delivery = self.buffer.pop_front()?;
        assert_eq!(delivery.index, self.next, "a journal is followed without gaps");
        self.next += 1;
        Some(delivery)
    }

    async fn refill(&mut self) -> Option<()> {
        let next = self.next;
        let ready = self.extent.wait_for(|extent| !extent.open || extent.committed >= next);
        let Extent { committed, open } = *ready.await.ok()?;
        if !open {
            return None;
        }
        let entries = match self.source.recent(next, committed) {
            Some(entries) => entries,
            None => {
                let source = self.source.clone();
                let load = move || source.load(next, committed);
                tokio::task::spawn_blocking(load).await.ok()??
            }
        };
        self.buffer = entries.into();
        Some(())
    }
}
