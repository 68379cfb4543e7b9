//! Who waits for news of a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::RunId;
use tokio::sync::watch;

/// Wakes those who wait for a run; it tells only that something changed.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    runs: BTreeMap<RunId, watch::Sender<()>>,
    /// Those that nobody waits for any more are dropped when there are so many.
    sweep_at: usize,
}

/// Below so many runs nothing is swept.
const SWEEP_MIN: usize = 64;

impl Watchers {
    /// News of `run` from now on.
    pub(crate) fn subscribe(&self, run: RunId) -> watch::Receiver<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.runs.len() >= inner.sweep_at.max(SWEEP_MIN) {
            // There may never be news again of a run that has ended.
            inner.runs.retain(|_, news| news.receiver_count() > 0);
            inner.sweep_at = 2 * inner.runs.len();
        }
        inner.runs.entry(run).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// There is news of `run`.
    pub(crate) fn notify(&self, run: RunId) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.runs.get(&run).is_some_and(|news| news.send(()).is_err()) {
            inner.runs.remove(&run); // Nobody listens any more.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_nobody_waits_for_are_forgotten() {
        let watchers = Watchers::default();
        let mut waits = watchers.subscribe(RunId(1));
        (2..10_000).for_each(|run| drop(watchers.subscribe(RunId(run))));
        assert!(watchers.inner.lock().unwrap().runs.len() <= SWEEP_MIN);
        watchers.notify(RunId(1));
        assert!(waits.has_changed().unwrap());
        waits.mark_unchanged();
    }
}
