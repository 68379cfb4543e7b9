//! The thread that keeps history: it makes durable what the publisher has added, merges small
//! files, lets old runs go, and purges.
//!
//! Nobody waits for it as a rule: a disk that is slow, or full, holds up neither a view nor a
//! commit. What it has not written is in memory, where readers see it, and in the journal. A full
//! disk is waited for; any other fault of the disk ends the node.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use history::{Error, History, Purge, Purged, RunFilter};
use tokio::sync::{oneshot, watch};

use crate::memory;
use crate::metrics::Metrics;

/// After the last fact all are made durable; the journal has them all the while.
const FLUSH_AFTER: Duration = Duration::from_secs(1);
/// From the first fact to the write, however many follow.
const FLUSH_WITHIN: Duration = Duration::from_secs(10);
/// So many facts are written at once.
const FLUSH_FACTS: usize = 32 << 10;
/// Or so many bytes of them.
const FLUSH_BYTES: usize = 8 << 20;
/// A full disk is tried again.
const FULL_AGAIN: Duration = Duration::from_secs(1);
/// With more than this in memory, whoever adds facts writes them too.
const WRITE_BYTES: usize = 64 << 20;
/// With more than this in memory, and no room on the disk, a node cannot go on.
const PENDING_BYTES_MAX: usize = 256 << 20;
/// Between two steps of merging and the like, so that they never take a whole processor.
const BREATH: Duration = Duration::from_millis(10);
/// How often a node that does nothing looks whether a run is old enough to go.
const IDLE: Duration = Duration::from_secs(600);
/// Orders that wait at once.
const ORDERS_MAX: usize = 64;
/// Purges at once; who asks for one more is told to come again.
const PURGES_MAX: usize = 16;

/// What a keeper is asked to do.
enum Order {
    /// There is something to write, by the time that is kept beside.
    Look,
    Purge(Purge, oneshot::Sender<Purged>),
    Stop,
}

/// Speaks to the keeper; cheap to clone.
#[derive(Clone)]
pub(crate) struct Keeper {
    history: Arc<History>,
    orders: SyncSender<Order>,
    written: Arc<Mutex<Written>>,
    behind: watch::Receiver<Option<String>>,
}

/// The first and the last fact since the last flush.
#[derive(Clone, Copy, Debug, Default)]
struct Written(Option<(Instant, Instant)>);

impl Written {
    /// A fact is added; says whether it is the first.
    fn note(&mut self, now: Instant) -> bool {
        let first = self.0.map(|(first, _)| first);
        self.0 = Some((first.unwrap_or(now), now));
        first.is_none()
    }

    /// When to write.
    fn due(self) -> Option<Instant> {
        self.0.map(|(first, last)| (last + FLUSH_AFTER).min(first + FLUSH_WITHIN))
    }
}

impl Keeper {
    /// A keeper, and what its thread runs.
    pub(crate) fn new(history: Arc<History>, metrics: Arc<Metrics>) -> (Keeper, Work) {
        let (orders, inbox) = sync_channel(ORDERS_MAX);
        let (behind_tx, behind) = watch::channel(None);
        let written = Arc::new(Mutex::new(Written::default()));
        let work = Work {
            history: history.clone(),
            inbox,
            written: written.clone(),
            metrics,
            behind: behind_tx,
            purges: VecDeque::new(),
            tend_more: true,
            full_until: None,
        };
        (Keeper { history, orders, written, behind }, work)
    }

    /// Facts were added. An error means that there is no room for any more, on disk and in memory.
    pub(crate) fn added(&self) -> Result<(), Error> {
        let is_first = lock(&self.written).note(Instant::now());
        let pending = self.history.pending();
        let is_much = pending.facts >= FLUSH_FACTS || pending.bytes >= FLUSH_BYTES;
        let is_behind = self.behind.borrow().is_some();
        if is_first || is_much && !is_behind {
            let _ = self.orders.try_send(Order::Look); // With many orders it looks anyway.
        }
        let waits_for_room = is_behind && pending.bytes < PENDING_BYTES_MAX;
        if pending.bytes >= WRITE_BYTES && !waits_for_room {
            return self.history.flush();
        }
        Ok(())
    }

    /// Deletes the runs that a filter wants, or only counts them. `None`, or no answer: it has too
    /// much to do.
    pub(crate) fn purge(&self, filter: RunFilter, dry: bool) -> Option<oneshot::Receiver<Purged>> {
        let (reply, answer) = oneshot::channel();
        match self.orders.try_send(Order::Purge(Purge::new(filter, dry), reply)) {
            Ok(()) => Some(answer),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
        }
    }

    /// Why history cannot be written just now, while it cannot.
    pub(crate) fn behind(&self) -> watch::Receiver<Option<String>> {
        self.behind.clone()
    }

    /// Ends the thread, once it has written all.
    pub(crate) fn stop(&self) {
        let _ = self.orders.send(Order::Stop); // Or it has ended.
    }
}

/// The keeper's thread.
pub(crate) struct Work {
    history: Arc<History>,
    inbox: Receiver<Order>,
    written: Arc<Mutex<Written>>,
    metrics: Arc<Metrics>,
    behind: watch::Sender<Option<String>>,
    purges: VecDeque<(Purge, oneshot::Sender<Purged>)>,
    /// There is more to tend.
    tend_more: bool,
    /// The disk is full; it is tried again then.
    full_until: Option<Instant>,
}

impl Work {
    /// Runs until it is stopped. An error means that history cannot be written.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        loop {
            let mut has_time = false;
            match self.inbox.recv_timeout(self.patience(Instant::now())) {
                Ok(Order::Look) => {}
                Err(RecvTimeoutError::Timeout) => has_time = true,
                // Without an answer it is refused.
                Ok(Order::Purge(..)) if self.purges.len() >= PURGES_MAX => {}
                Ok(Order::Purge(purge, reply)) => {
                    self.flush()?;
                    self.purges.push_back((purge, reply));
                }
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => return self.flush(),
            }
            if self.is_due(Instant::now()) {
                self.flush()?;
            } else if has_time {
                match self.purges.pop_front() {
                    Some((purge, reply)) => self.purge(purge, reply)?,
                    None => self.tend()?,
                }
            }
        }
    }

    /// The same as a task of a simulated world, where nobody purges. It ends with its runtime.
    pub(crate) async fn run_in_place(mut self) -> Result<(), Error> {
        loop {
            tokio::time::sleep(FLUSH_AFTER).await;
            self.flush()?;
            self.tend()?;
        }
    }

    fn purge(&mut self, mut purge: Purge, reply: oneshot::Sender<Purged>) -> Result<(), Error> {
        match self.history.purge_step(&mut purge) {
            Ok(true) => self.purges.push_front((purge, reply)),
            Ok(false) => _ = reply.send(purge.purged), // Whoever asked may have gone.
            Err(error) => self.survive(error)?,
        }
        self.tend_more = true;
        Ok(())
    }

    fn tend(&mut self) -> Result<(), Error> {
        let had_more = self.tend_more;
        self.tend_more = false;
        match self.history.tend(now_ms()) {
            Ok(more) => self.tend_more = more,
            Err(error) => self.survive(error)?,
        }
        if had_more && !self.tend_more {
            memory::give_back();
        }
        Ok(())
    }

    /// How long there is nothing to do.
    fn patience(&self, now: Instant) -> Duration {
        if self.is_due(now) {
            return Duration::ZERO;
        }
        if self.tend_more || !self.purges.is_empty() {
            return BREATH;
        }
        let due = match self.full_until {
            Some(until) => Some(until),
            None => lock(&self.written).due(),
        };
        due.map_or(IDLE, |due| due.saturating_duration_since(now)).min(IDLE)
    }

    fn is_due(&self, now: Instant) -> bool {
        if let Some(until) = self.full_until {
            return now >= until;
        }
        let pending = self.history.pending();
        let is_much = pending.facts >= FLUSH_FACTS || pending.bytes >= FLUSH_BYTES;
        is_much || lock(&self.written).due().is_some_and(|due| now >= due)
    }

    fn flush(&mut self) -> Result<(), Error> {
        *lock(&self.written) = Written::default();
        self.full_until = None;
        let begun = Instant::now();
        match self.history.flush() {
            Ok(()) => {
                self.metrics.keeping.flush.took(begun.elapsed());
                if self.behind.send_replace(None).is_some() {
                    tracing::info!("history is written again");
                }
                self.tend_more = true;
                Ok(())
            }
            Err(error) => {
                self.metrics.keeping.flush_failures.inc();
                lock(&self.written).note(Instant::now());
                self.survive(error)
            }
        }
    }

    /// A full disk is no end: what is not written stays in memory and is tried again.
    fn survive(&mut self, error: Error) -> Result<(), Error> {
        if !error.is_disk_full() {
            return Err(error);
        }
        self.full_until = Some(Instant::now() + FULL_AGAIN);
        let why = format!(
            "history is behind: {error}: the disk is full; free some space there, it goes on by itself"
        );
        if self.behind.send_replace(Some(why.clone())).is_none() {
            tracing::warn!("{why}");
        }
        Ok(())
    }
}

fn lock(written: &Mutex<Written>) -> std::sync::MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_node_writes_its_history_too() {
        let start = Instant::now();
        let mut written = Written::default();
        assert_eq!(written.due(), None);
        assert!(written.note(start));
        assert_eq!(written.due(), Some(start + FLUSH_AFTER));
        for tenth in 1..250 {
            assert!(!written.note(start + Duration::from_millis(tenth * 100)));
        }
        assert_eq!(written.due(), Some(start + FLUSH_WITHIN));
    }

    fn canceled(run: u64) -> Vec<history::Fact> {
        let because = Arc::new(model::Because::new("user:ann", ""));
        let state = model::TaskState::Canceled;
        let end = history::ElementsEnd { state, because, ended_ms: 1 };
        let ordinals = model::RangeSet::from_iter([0..=9]);
        vec![history::Fact::Elements { run: model::RunId(run), task: 0, ordinals, end }]
    }

    fn works(check: impl FnOnce(&History, &Keeper)) -> u64 {
        let dir = tempfile::tempdir().unwrap();
        let history = History::open(dir.path(), history::Settings::default()).unwrap();
        let history = Arc::new(history);
        let (keeper, work) = Keeper::new(history.clone(), Arc::new(Metrics::new()));
        let thread = std::thread::spawn(|| work.run());
        check(&history, &keeper);
        keeper.stop();
        thread.join().unwrap().unwrap();
        history.mark()
    }

    #[test]
    fn what_was_added_is_on_disk_when_it_has_stopped() {
        let mark = works(|history, keeper| {
            history.add([(1, canceled(1)), (2, vec![])]);
            keeper.added().unwrap();
            assert_eq!(*keeper.behind().borrow(), None);
        });
        assert_eq!(mark, 2);
    }

    #[test]
    fn purges_beyond_a_bound_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let history = History::open(dir.path(), history::Settings::default()).unwrap();
        let (keeper, work) = Keeper::new(Arc::new(history), Arc::new(Metrics::new()));
        // They wait before the thread begins, so that all are there at once.
        let ask = |_| keeper.purge(RunFilter::default(), true).unwrap();
        let answers: Vec<_> = (0..PURGES_MAX + 3).map(ask).collect();
        let thread = std::thread::spawn(|| work.run());
        let answered = answers.into_iter().map(|answer| answer.blocking_recv().is_ok());
        assert_eq!(answered.filter(|answered| *answered).count(), PURGES_MAX);
        keeper.stop();
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn a_purge_finds_what_was_added_just_before_it() {
        works(|history, keeper| {
            history.add([(1, canceled(1))]);
            keeper.added().unwrap();
            let answer = keeper.purge(RunFilter::default(), true).unwrap();
            assert_eq!(answer.blocking_recv().unwrap(), Purged::default(), "no run has ended");
            assert_eq!(history.mark(), 1);
        });
    }
}
