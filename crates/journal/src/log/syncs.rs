//! Who is told how long a sync took.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Is called, by the thread that writes the log, with the time of each sync that proposals waited for.
///
/// It must not block: everything that is proposed waits for it. By default nobody is told.
#[derive(Clone, Default)]
pub struct Syncs(Option<Arc<dyn Fn(Duration) + Send + Sync>>);

impl Syncs {
    /// Has `told` called.
    pub fn new(told: impl Fn(Duration) + Send + Sync + 'static) -> Syncs {
        Syncs(Some(Arc::new(told)))
    }

    pub(super) fn took(&self, time: Duration) {
        if let Some(told) = &self.0 {
            told(time);
        }
    }
}

impl fmt::Debug for Syncs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Syncs")
    }
}
