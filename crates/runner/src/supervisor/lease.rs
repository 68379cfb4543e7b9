//! The lease: what runs has ended when its deadline passes, whether or not a daemon lives.
//!
//! The deadline is of the clock that goes on in suspend, so a machine that wakes up too late ends
//! its tasks at once. Tasks that wait for their node to be heard of again are left alone, for
//! nothing replaces them.

use model::{Attempt, StopCause, lease_kill_ms, lease_term_ms};
use proto::supervisor::{Lease, from_supervisor::Kind as Say};

use super::held::State;
use super::kernel::Kernel;
use super::{clock, log};

/// How far the ending has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// There is time, or no lease.
    #[default]
    Kept,
    /// What runs was asked to end; nothing starts.
    Ends,
    /// What was left is killed.
    Killed,
}

/// The lease and how far its end has come.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    told: Lease,
    stage: Stage,
}

impl Keeping {
    /// What the daemon has told last.
    pub(super) fn told(&self) -> Lease {
        self.told
    }

    /// Whether nothing may start any more.
    pub(super) fn is_over(&self) -> bool {
        self.stage >= Stage::Ends
    }

    /// Whether whatever is left is to be killed at once.
    pub(super) fn kills(&self) -> bool {
        self.stage == Stage::Killed
    }

    /// When the next stage begins, in microseconds since boot.
    pub(super) fn next(&self) -> Option<u64> {
        let Lease { lease_ms, deadline_ms, .. } = self.told;
        let before_ms = match self.stage {
            Stage::Kept => lease_term_ms(lease_ms),
            Stage::Ends => lease_kill_ms(lease_ms),
            Stage::Killed => return None,
        };
        (lease_ms > 0).then(|| deadline_ms.saturating_sub(before_ms).saturating_mul(1000))
    }

    fn tell(&mut self, told: Lease) {
        *self = Keeping { told, stage: Stage::Kept };
    }

    /// The stage that has begun by now, if it is another than before.
    fn turn(&mut self, now: u64) -> Option<Stage> {
        let before = self.stage;
        while self.next().is_some_and(|at| at <= now) {
            self.stage = if self.stage == Stage::Kept { Stage::Ends } else { Stage::Killed };
        }
        (self.stage != before).then_some(self.stage)
    }
}

impl Kernel {
    /// Keeps to this lease from now on, and says so.
    pub(super) fn take_lease(&mut self, told: Lease) {
        if self.lease.is_over() {
            log::line(format_args!("a leader was heard of again"));
        }
        self.lease.tell(told);
        // It may be over by now: a daemon that was paused tells late.
        self.keep_lease(clock::boot_us());
        self.say(Say::Lease(told));
    }

    /// Ends what a lease that has run out ends.
    pub(super) fn keep_lease(&mut self, now: u64) {
        let Some(stage) = self.lease.turn(now) else { return };
        log::line(format_args!("no leader was heard of for as long as the lease: {stage:?}"));
        let leased: Vec<Attempt> =
            self.held.keys().filter(|attempt| !self.waiters.contains(attempt)).copied().collect();
        for attempt in leased {
            self.stop_attempt(attempt, StopCause::Lease);
            if self.lease.kills() {
                self.kill_attempt(attempt, now);
            }
        }
    }

    /// Kills what is left of an attempt that is being stopped.
    fn kill_attempt(&mut self, attempt: Attempt, now: u64) {
        match self.held.get(&attempt) {
            Some(State::Starts(_)) => self.starting.hasten(attempt, now),
            Some(State::Runs(place)) => {
                let place = *place;
                self.hurry(place, now);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_what_runs_six_seconds_before_and_kills_one_second_before_its_end() {
        let mut keeping = Keeping::default();
        assert_eq!((keeping.next(), keeping.turn(u64::MAX)), (None, None), "there is none");
        keeping.tell(Lease { lease_ms: 30_000, deadline_ms: 100_000, term: 1 });
        assert_eq!(keeping.next(), Some(94_000_000));
        assert_eq!(keeping.turn(93_999_999), None);
        assert_eq!(keeping.turn(94_000_000), Some(Stage::Ends));
        assert!(keeping.is_over() && !keeping.kills());
        assert_eq!(keeping.next(), Some(99_000_000));
        assert_eq!(keeping.turn(99_000_000), Some(Stage::Killed));
        assert_eq!((keeping.turn(u64::MAX), keeping.next()), (None, None));
        keeping.tell(Lease { lease_ms: 1_000, deadline_ms: 200_000, term: 1 });
        assert_eq!((keeping.is_over(), keeping.next()), (false, Some(199_500_000)));
        assert_eq!(keeping.turn(300_000_000), Some(Stage::Killed), "it woke up too late");
    }
}
