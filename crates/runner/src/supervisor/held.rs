//! What the supervisor holds, and which assignments it has seen: pure bookkeeping.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Attempt, Outcome, StopCause};

use crate::spawn::Image;

/// More than this is not taken: a control part that assigns so much ahead is in error.
pub(super) const HELD_MAX: usize = 200_000;

/// What the attempts of one message have in common.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) image: Image,
    /// There is no process: an attempt takes its seat and succeeds.
    pub(super) noop: bool,
    /// How long its program may take to be executed; `None` for ever.
    pub(super) start_timeout_us: Option<u64>,
    /// How long an attempt may run; `None` for ever.
    pub(super) timeout_us: Option<u64>,
    pub(super) warn: Option<Warn>,
    pub(super) grace_us: u64,
}

/// A signal before the timeout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Warn {
    pub(super) signal: i32,
    pub(super) before_us: u64,
}

/// How far an attempt has come.
#[derive(Debug)]
pub(super) enum State {
    /// It waits for room.
    Waits { work: Arc<Work>, item: Option<Box<str>> },
    /// Its process is being made; it is to be stopped at once where somebody asked for that.
    Starts(Option<StopCause>),
    /// It runs, at this place.
    Runs(usize),
    /// It has ended, and its end is on its way to the disk.
    Ends { urgent: bool },
    /// It has ended; the daemon has yet to say that this is known.
    Ended(Outcome),
}

/// Which assignments have been seen. What is not newer is ignored, so that asking twice starts
/// once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) epoch: u64,
    pub(super) seq: u64,
}

impl Seen {
    /// How many of the `count` assignments from `seq` on have been seen; all are from now on.
    pub(super) fn take(&mut self, epoch: u64, seq: u64, count: usize) -> usize {
        if epoch < self.epoch {
            return count;
        }
        if epoch > self.epoch {
            *self = Seen { epoch, seq: 0 };
        }
        let end = seq.saturating_add(count as u64);
        // Numbers start at 1, so `seq` itself is the highest seen.
        let old = (self.seq + 1).saturating_sub(seq).min(count as u64);
        self.seq = self.seq.max(end.saturating_sub(1));
        old as usize
    }
}

/// Everything held, by attempt.
pub(super) type Held = HashMap<Attempt, State>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_not_taken_again() {
        let mut seen = Seen::default();
        assert_eq!(seen.take(1, 1, 3), 0);
        assert_eq!(seen, Seen { epoch: 1, seq: 3 });
        assert_eq!(seen.take(1, 1, 3), 3, "the same again");
        assert_eq!(seen.take(1, 3, 4), 1, "one of them again");
        assert_eq!(seen, Seen { epoch: 1, seq: 6 });
        assert_eq!(seen.take(2, 1, 1), 0, "a new epoch counts from the start");
        assert_eq!(seen, Seen { epoch: 2, seq: 1 });
        assert_eq!(seen.take(1, 7, 2), 2, "the old epoch is over");
        assert_eq!(seen.take(2, 1, 0), 0);
        assert_eq!(seen, Seen { epoch: 2, seq: 1 });
    }
}
