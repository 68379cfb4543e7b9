//! The ring itself: the latest batches of changes, bounded in number and bytes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::packed::{pack, unpack};
use super::{Event, EventBatch};

/// Events that are kept at most; the latest batch is kept whatever it holds.
const EVENTS_MAX: usize = 32_768;
/// Bytes they may take.
const BYTES_MAX: usize = 3 << 20;

/// What an allocation costs beside its bytes, about.
const ALLOCATION: usize = 16;

/// The latest changes.
#[derive(Debug)]
pub(crate) struct Ring {
    inner: Mutex<Inner>,
    latest: watch::Sender<Latest>,
    events_max: usize,
    bytes_max: usize,
}

/// How far the ring has come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Latest {
    /// Everything up to this index is in the ring, or has been.
    pub(crate) index: u64,
    /// Nothing more will come.
    pub(crate) is_closed: bool,
}

#[derive(Debug, Default)]
struct Inner {
    batches: VecDeque<Kept>,
    /// Where the first of `batches` stands, counted from the ring's first ever.
    first_place: u64,
    events: usize,
    bytes: usize,
    /// Every event of an entry behind this index is in the ring.
    after: u64,
    has_begun: bool,
}

#[derive(Debug)]
struct Kept {
    index: u64,
    events: u32,
    /// Whether they are changes in the journal, which are seen up to their index.
    is_of_journal: bool,
    packed: Box<[u8]>,
}

impl Kept {
    /// What it takes in memory, in bytes.
    fn bytes(&self) -> usize {
        size_of::<Kept>() + ALLOCATION + self.packed.len()
    }
}

/// What a reader finds.
pub(super) enum Found {
    /// A batch, and the place behind it.
    Batch(EventBatch, u64),
    /// Nothing yet.
    Nothing,
    /// It is gone.
    Gone,
}

impl Default for Ring {
    fn default() -> Ring {
        Ring::bounded(EVENTS_MAX, BYTES_MAX)
    }
}

impl Ring {
    pub(super) fn bounded(events_max: usize, bytes_max: usize) -> Ring {
        let inner = Mutex::new(Inner::default());
        Ring { inner, latest: watch::Sender::new(Latest::default()), events_max, bytes_max }
    }

    /// Adds what happened at `index`. The first call says where the ring begins: behind a
    /// snapshot, or with an entry.
    pub(crate) fn add(&self, index: u64, events: Vec<Event>) {
        let mut inner = self.lock();
        if !inner.has_begun {
            inner.has_begun = true;
            inner.after = if events.is_empty() { index } else { index.saturating_sub(1) };
        }
        if !events.is_empty() {
            let kept = Kept {
                index,
                events: events.len() as u32,
                is_of_journal: events.iter().any(|event| !event.kind.is_seen()),
                packed: pack(&events),
            };
            inner.events += events.len();
            inner.bytes += kept.bytes();
            inner.batches.push_back(kept);
            while inner.batches.len() > 1
                && (inner.events > self.events_max || inner.bytes > self.bytes_max)
            {
                inner.drop_first();
            }
        }
        drop(inner);
        self.latest.send_modify(|latest| latest.index = index);
    }

    /// Nothing more will come: the node stops.
    pub(crate) fn close(&self) {
        self.latest.send_modify(|latest| latest.is_closed = true);
    }

    /// Every event of an entry behind this index is in the ring.
    pub(crate) fn begins_after(&self) -> u64 {
        self.lock().after
    }

    /// News of the latest index.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Latest> {
        self.latest.subscribe()
    }

    /// The place of the first batch behind `after`; of changes that are not in the journal those
    /// at `after` too. The oldest index to resume after where that is gone.
    pub(super) fn place_after(&self, after: u64) -> Result<u64, u64> {
        let inner = self.lock();
        if after < inner.after {
            return Err(inner.after);
        }
        let seen = |kept: &Kept| kept.index < after || (kept.index == after && kept.is_of_journal);
        Ok(inner.first_place + inner.batches.partition_point(seen) as u64)
    }

    /// The place behind the last batch.
    pub(super) fn end(&self) -> u64 {
        let inner = self.lock();
        inner.first_place + inner.batches.len() as u64
    }

    pub(super) fn at(&self, place: u64) -> Found {
        let inner = self.lock();
        let Some(at) = place.checked_sub(inner.first_place) else { return Found::Gone };
        match inner.batches.get(at as usize) {
            Some(kept) => {
                let events = unpack(&kept.packed);
                Found::Batch(EventBatch { index: kept.index, events }, place + 1)
            }
            None => Found::Nothing,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn drop_first(&mut self) {
        let Some(gone) = self.batches.pop_front() else { return };
        self.first_place += 1;
        self.events -= gone.events as usize;
        self.bytes -= gone.bytes();
        self.after = self.after.max(gone.index);
    }
}
