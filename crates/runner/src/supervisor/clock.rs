//! The two clocks: one for deadlines, one for people.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Microseconds since the machine started, suspended time included: what deadlines are kept on.
pub(super) fn boot_us() -> u64 {
    micros(clock_gettime(ClockId::Boottime))
}

/// Unix time in microseconds: what is reported, never what is decided by.
pub(super) fn unix_us() -> u64 {
    micros(clock_gettime(ClockId::Realtime))
}

fn micros(time: Timespec) -> u64 {
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1000
}
