//! The cluster's time: the wall clock's, as long as that does not jump.
//!
//! Stamps never decrease, and deadlines and backoffs are measured with them. So a clock that is set
//! an hour forward must not end what has an hour left, nor one that is set back hold everything up
//! for an hour: the stamps go on by the steady clock and approach the wall clock slowly.

use crate::Now;

/// The wall clock may be so far ahead and is followed at once, in milliseconds.
const STEP_MS: u64 = 2_000;
/// One in so many milliseconds is given to approaching the wall clock.
const SLEW: u64 = 8;

/// Makes the stamps. The first is the wall clock's.
#[derive(Debug, Default)]
pub(super) struct Time {
    stamp_ms: u64,
    /// The last time it was asked.
    steady_ms: Option<u64>,
    /// What is left over of the time that may be given to approaching.
    credit_ms: u64,
}

impl Time {
    /// The stamp for now, at least `known_ms`.
    pub(super) fn stamp(&mut self, now: Now, known_ms: u64) -> u64 {
        let Some(before) = self.steady_ms.replace(now.steady_ms) else {
            self.stamp_ms = now.unix_ms.max(known_ms);
            return self.stamp_ms;
        };
        let passed = now.steady_ms.saturating_sub(before);
        self.stamp_ms = self.stamp_ms.saturating_add(passed).max(known_ms);
        let ahead = now.unix_ms.saturating_sub(self.stamp_ms);
        let behind = self.stamp_ms.saturating_sub(now.unix_ms);
        if ahead <= STEP_MS && behind == 0 {
            (self.stamp_ms, self.credit_ms) = (now.unix_ms, 0);
            return self.stamp_ms;
        }
        self.credit_ms += passed;
        let slew = self.credit_ms / SLEW;
        self.credit_ms %= SLEW;
        self.stamp_ms += slew.min(ahead);
        // Never backwards: what has passed since the last stamp is more.
        self.stamp_ms -= slew.min(behind).min(passed);
        self.stamp_ms = self.stamp_ms.max(known_ms);
        self.stamp_ms
    }

    /// The steady time at which the stamp will have come to `at_ms`, or a little before.
    pub(super) fn steady_at(&self, at_ms: u64) -> u64 {
        self.steady_ms.unwrap_or(0).saturating_add(at_ms.saturating_sub(self.stamp_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of `step_ms` for `total_ms`, the wall clock `off_ms` beside the steady one.
    fn run(time: &mut Time, from_ms: u64, total_ms: u64, step_ms: u64, off_ms: i64) -> u64 {
        let mut last = 0;
        for steady_ms in (from_ms..from_ms + total_ms).step_by(step_ms as usize) {
            let unix_ms = (1_000_000_000 + steady_ms).saturating_add_signed(off_ms);
            let stamp = time.stamp(Now { unix_ms, steady_ms }, last);
            assert!(stamp >= last);
            last = stamp;
        }
        last
    }

    #[test]
    fn stamps_are_the_wall_clock_while_it_does_not_jump() {
        let mut time = Time::default();
        let end = run(&mut time, 0, 10_000, 7, 0);
        assert!((1_000_009_990..=1_000_010_000).contains(&end), "{end}");
    }

    #[test]
    fn an_hour_forward_or_back_does_not_show_within_a_minute() {
        for off_ms in [3_600_000, -3_600_000] {
            for step_ms in [1, 3, 100] {
                let mut time = Time::default();
                run(&mut time, 0, 1_000, step_ms, 0);
                let end = run(&mut time, 1_000, 60_000, step_ms, off_ms);
                let off = end.abs_diff(1_000_061_000);
                assert!(off < 8_000, "{off} ms off after a minute of {off_ms}");
                assert!(off > 6_000, "it approaches: {off}");
            }
        }
    }

    #[test]
    fn it_arrives() {
        let mut time = Time::default();
        run(&mut time, 0, 1_000, 10, 0);
        let end = run(&mut time, 1_000, 100_000, 10, 10_000);
        assert!(end.abs_diff(1_000_111_000) < 20, "{end}");
        let end = run(&mut time, 101_000, 200_000, 10, -5_000);
        assert!(end.abs_diff(1_000_296_000) < 20, "{end}");
    }
}
