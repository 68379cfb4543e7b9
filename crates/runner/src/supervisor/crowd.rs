//! When an end is written and told: at once, or with others where nobody waits for it.
//!
//! Where enough attempts wait here to keep the node busy, an end that is written and told together
//! with others costs a fraction. But an attempt that is more urgent than all that wait is not one
//! of that crowd: whoever asked for it may well sit and wait, while a million of lower priority
//! keep the node busy.

use model::{Attempt, Ending, NotStarted, Outcome, StopCause};

use super::clock;
use super::held::State;
use super::kernel::Kernel;

/// From this many waiting attempts on, there is a crowd.
const CROWD: usize = 16;
/// How long an end waits for others in a crowd, in microseconds.
const CROWD_US: u64 = 5_000;

impl Kernel {
    /// Hands an end to the writer; it is said when it is written.
    pub(super) fn end(&mut self, attempt: Attempt, outcome: Outcome) {
        let priority = self.slots.priority(attempt);
        self.slots.leave(attempt);
        let urgent = self.slots.waiting_priority().is_some_and(|waiting| priority > Some(waiting));
        self.held.insert(attempt, State::Ends { urgent });
        if urgent || self.slots.waiting() < CROWD {
            self.writer.end(attempt, outcome);
            return;
        }
        self.writer.end_quietly(attempt, outcome);
        self.nudge_at.get_or_insert(clock::boot_us() + CROWD_US);
    }

    /// Has ends written that have waited for others long enough.
    pub(super) fn nudge(&mut self, now: u64) {
        if self.nudge_at.take_if(|at| *at <= now).is_some() {
            self.writer.nudge();
        }
    }

    /// Ends an attempt of which there was no process.
    pub(super) fn never_started(&mut self, attempt: Attempt, why: NotStarted) {
        let ended_us = clock::unix_us();
        self.end(attempt, Outcome { ended_us, ..Outcome::bare(Ending::NotStarted(why)) });
    }

    /// Ends an attempt that was never started because somebody asked for it.
    pub(super) fn withdraw(&mut self, attempt: Attempt, cause: StopCause) {
        let outcome = Outcome {
            stopped: Some(cause),
            ended_us: clock::unix_us(),
            ..Outcome::bare(Ending::NotStarted(NotStarted::Withdrawn))
        };
        self.end(attempt, outcome);
    }
}
