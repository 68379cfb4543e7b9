//! Where work goes that blocks: to threads made for it, so that it holds nothing up.
//!
//! A runtime of one thread, which is that of a simulated world, does it in place: whatever ran
//! beside it would end when it likes, and no seed would repeat a run.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinHandle;

/// Begins work that blocks. Dropping the handle does not take it back.
pub(crate) fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    match is_alone() {
        true => tokio::spawn(async move { work() }),
        false => tokio::task::spawn_blocking(work),
    }
}

/// Does work that blocks here and now, while other tasks go on elsewhere.
pub(crate) fn in_place<T>(work: impl FnOnce() -> T) -> T {
    match is_alone() {
        true => work(),
        false => tokio::task::block_in_place(work),
    }
}

/// Whether the runtime has but this thread.
fn is_alone() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread
}
