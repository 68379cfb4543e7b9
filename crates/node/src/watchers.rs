//! Who waits for news of a run.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::RunId;
use tokio::sync::watch;

/// Wakes those who wait for a run; it tells only that something changed.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    runs: Mutex<BTreeMap<RunId, watch::Sender<()>>>,
}

impl Watchers {
    /// News of `run` from now on.
    pub(crate) fn subscribe(&self, run: RunId) -> watch::Receiver<()> {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.entry(run).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    /// There is news of `run`.
    pub(crate) fn notify(&self, run: RunId) {
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.get(&run).is_some_and(|news| news.send(()).is_err()) {
            runs.remove(&run); // Nobody listens any more.
        }
    }
}
