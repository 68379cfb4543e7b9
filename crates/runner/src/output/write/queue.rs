//! What waits for the disk: bounded in bytes, taken by the writer thread all at once.
//!
//! It is the only thing the two threads share. The lock is held to copy or to swap, never while a
//! file is touched, so that neither side waits for more than the other's copying.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Attempt, Outcome};
use rustix::event::{EventfdFlags, eventfd};

use super::Written;
use crate::output::Stream;

/// Counted for each item beside its bytes, so that many tiny writes are bounded too.
const ITEM_COST: usize = size_of::<Item>();
/// A buffer that grew beyond this is given back after its batch.
const KEEP_BYTES: usize = 1 << 20;

/// One call of the kernel thread.
pub(super) enum Item {
    /// Bytes in the batch's buffer.
    Bytes { attempt: Attempt, stream: Stream, time_us: u64, start: usize, length: usize },
    /// Bytes that found no room.
    Dropped { attempt: Attempt, time_us: u64, bytes: u64 },
    /// The end of an attempt.
    End { attempt: Attempt, outcome: Box<Outcome> },
}

impl Item {
    pub(super) fn attempt(&self) -> Attempt {
        match self {
            Item::Bytes { attempt, .. }
            | Item::Dropped { attempt, .. }
            | Item::End { attempt, .. } => *attempt,
        }
    }
}

/// All that was queued while the last batch was written.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    pub(super) bytes: Vec<u8>,
    /// What it counts against the limit.
    cost: usize,
}

#[derive(Default)]
struct State {
    batch: Batch,
    /// An emptied batch, for its memory.
    spare: Batch,
    /// Cost of what is queued and of what is being written.
    cost: usize,
    /// Where in the batch an attempt's drop can still grow: nothing of it follows.
    dropping: HashMap<Attempt, usize>,
    written: Vec<Written>,
    /// The writer thread sleeps; only then it must be woken.
    idle: bool,
    closing: bool,
    finished: bool,
}

impl State {
    fn add(&mut self, item: Item, cost: usize) {
        self.batch.items.push(item);
        self.batch.cost += cost;
        self.cost += cost;
    }
}

pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    end: Condvar,
    /// Readable when something is written.
    pub(super) signal: OwnedFd,
    cost_max: usize,
}

impl Queue {
    pub(super) fn new(cost_max: usize) -> io::Result<Queue> {
        let signal = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (work, end) = (Condvar::new(), Condvar::new());
        Ok(Queue { state: Mutex::default(), work, end, signal, cost_max })
    }

    /// Copies the bytes, or counts them as dropped when they find no room.
    pub(super) fn append(&self, attempt: Attempt, stream: Stream, time_us: u64, bytes: &[u8]) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let (length, cost) = (bytes.len(), bytes.len() + ITEM_COST);
        if state.cost + cost <= self.cost_max {
            state.dropping.remove(&attempt);
            let start = state.batch.bytes.len();
            state.batch.bytes.extend_from_slice(bytes);
            self.push(guard, Item::Bytes { attempt, stream, time_us, start, length }, cost);
        } else if stream != Stream::Mark {
            let at = state.dropping.get(&attempt).and_then(|at| state.batch.items.get_mut(*at));
            match at {
                Some(Item::Dropped { bytes, .. }) => *bytes += length as u64,
                _ => {
                    state.dropping.insert(attempt, state.batch.items.len());
                    let bytes = length as u64;
                    self.push(guard, Item::Dropped { attempt, time_us, bytes }, ITEM_COST);
                }
            }
        }
    }

    /// Ends are bounded by the number of live attempts, so they need no limit here. A quiet one
    /// lets the writer thread sleep.
    pub(super) fn end(&self, attempt: Attempt, outcome: Outcome, quiet: bool) {
        let item = Item::End { attempt, outcome: Box::new(outcome) };
        if quiet {
            self.lock().add(item, ITEM_COST);
        } else {
            self.push(self.lock(), item, ITEM_COST);
        }
    }

    fn push(&self, mut state: MutexGuard<'_, State>, item: Item, cost: usize) {
        state.add(item, cost);
        self.wake(state);
    }

    /// Wakes the writer thread, if it sleeps.
    pub(super) fn nudge(&self) {
        self.wake(self.lock());
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let wake = std::mem::take(&mut state.idle);
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    /// Waits for work; `None` when the queue is closed and empty.
    pub(super) fn take(&self) -> Option<Batch> {
        let mut state = self.lock();
        while state.batch.items.is_empty() {
            if state.closing {
                return None;
            }
            state.idle = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        state.dropping.clear();
        let spare = std::mem::take(&mut state.spare);
        Some(std::mem::replace(&mut state.batch, spare))
    }

    /// Gives a batch back, and what became of it.
    pub(super) fn done(&self, mut batch: Batch, written: Vec<Written>) {
        let cost = std::mem::take(&mut batch.cost);
        batch.items.clear();
        batch.bytes.clear();
        batch.items.shrink_to(KEEP_BYTES / ITEM_COST);
        batch.bytes.shrink_to(KEEP_BYTES);
        let mut state = self.lock();
        state.cost -= cost;
        state.spare = batch;
        let signal = state.written.is_empty() && !written.is_empty();
        state.written.extend(written);
        drop(state);
        if signal {
            // It fails only when the counter is full, and then it is readable.
            let _ = rustix::io::write(&self.signal, &1u64.to_ne_bytes());
        }
    }

    /// What was written since the last call.
    pub(super) fn written(&self) -> Vec<Written> {
        // Cleared before the list is taken: what is written from here on signals anew.
        let _ = rustix::io::read(&self.signal, &mut [0u8; 8]);
        std::mem::take(&mut self.lock().written)
    }

    /// Says that the writer thread has left its loop.
    pub(super) fn finish(&self) {
        self.lock().finished = true;
        self.end.notify_all();
    }

    /// Lets the writer thread leave when all is written; whether it did in time.
    pub(super) fn close(&self, wait: Duration) -> bool {
        let mut state = self.lock();
        state.closing = true;
        self.work.notify_one();
        let (state, _) = (self.end)
            .wait_timeout_while(state, wait, |state| !state.finished)
            .unwrap_or_else(PoisonError::into_inner);
        state.finished
    }

    /// A panic elsewhere leaves nothing half done in here that could do harm.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
