//! The time that this process believes in: that of the world, and no other.
//!
//! What nodes decide by is told to them, and `tokio`'s time is `turmoil`'s. What is left asks the C library: how long
//! something took, when a connection forgets a stream, the date of a file of history. Here it is told the same.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// When it all happens: any moment would do, as long as it is always the same.
pub(crate) const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// How long the world has gone on, in nanoseconds.
static ELAPSED: AtomicU64 = AtomicU64::new(0);

/// The world has come so far.
pub(crate) fn set_elapsed(elapsed: Duration) {
    ELAPSED.store(elapsed.as_nanos() as u64, Ordering::SeqCst);
}

/// Takes the place of the C library's function of this name in this process; all clocks are one.
///
/// # Safety
///
/// `time` has to point at what can be written, as the C library demands.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(_clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    let now = EPOCH + Duration::from_nanos(ELAPSED.load(Ordering::SeqCst));
    let timespec =
        libc::timespec { tv_sec: now.as_secs() as i64, tv_nsec: i64::from(now.subsec_nanos()) };
    // SAFETY: the caller has a place for it.
    unsafe { time.write(timespec) };
    0
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_standard_library_is_told_the_time_of_the_world() {
        let before = Instant::now();
        set_elapsed(Duration::from_millis(4));
        assert_eq!(before.elapsed(), Duration::from_millis(4));
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert_eq!(wall, EPOCH + Duration::from_millis(4));
    }
}
