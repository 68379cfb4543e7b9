//! Where the journal does what blocks: on threads made for that, or in place, where a world is simulated.
//!
//! It exists so that a simulation can be repeated: whatever runs beside it, on a thread of its own, ends when it likes.

use tokio::task::JoinHandle;

/// Where blocking work is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Blocking {
    /// On another thread.
    #[default]
    OnThreads,
    /// By the runtime itself, which stands still meanwhile.
    InPlace,
}

impl Blocking {
    /// Begins the work. Dropping the handle does not take it back.
    pub(crate) fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        match self {
            Self::OnThreads => tokio::task::spawn_blocking(work),
            Self::InPlace => tokio::spawn(async move { work() }),
        }
    }
}
