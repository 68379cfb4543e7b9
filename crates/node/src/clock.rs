//! The clocks of the shell: the reactors have none and are told the time with each event.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reactor::Now;

/// The two clocks the reactors are told the time of. The steady one counts from the machine's boot
/// and goes on in a suspend; it is the one that supervisors keep leases on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock;

impl Clock {
    pub(crate) fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { unix_ms: unix.as_millis() as u64, steady_ms: since_boot().as_millis() as u64 }
    }

    /// The moment of a steady time.
    pub(crate) fn at(&self, steady_ms: u64) -> Instant {
        let steady = Duration::from_millis(steady_ms);
        Instant::now() + steady.saturating_sub(since_boot())
    }
}

/// Goes on in a suspend, and never jumps.
pub(crate) fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
