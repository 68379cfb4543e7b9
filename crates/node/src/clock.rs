//! The clocks of the shell: the reactors have none and are told the time with each event.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reactor::Now;
use tokio::time::Instant;

/// The two clocks the reactors are told the time of: the machine's, or those of a simulated world.
/// The machine's steady one counts from its boot and goes on in a suspend; it is the one that
/// supervisors keep leases on.
#[derive(Clone, Default)]
pub(crate) struct Clock(Option<Arc<dyn Fn() -> Now + Send + Sync>>);

impl Clock {
    /// One that says what it is told.
    pub(crate) fn of(now: impl Fn() -> Now + Send + Sync + 'static) -> Clock {
        Clock(Some(Arc::new(now)))
    }

    pub(crate) fn now(&self) -> Now {
        if let Some(now) = &self.0 {
            return now();
        }
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { unix_ms: unix.as_millis() as u64, steady_ms: since_boot().as_millis() as u64 }
    }

    /// The moment of a steady time.
    pub(crate) fn at(&self, steady_ms: u64) -> Instant {
        let steady = Duration::from_millis(steady_ms);
        let now = match &self.0 {
            Some(now) => Duration::from_millis(now().steady_ms),
            None => since_boot(),
        };
        Instant::now() + steady.saturating_sub(now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Goes on in a suspend, and never jumps.
pub(crate) fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
