//! Processes that are being made by other threads of the loop: pure bookkeeping.
//!
//! Such a process may end, and be reaped, before the loop knows its number. So what is reaped and
//! not known is kept as long as it may be one of them, and no longer: numbers are used again.

use std::collections::{BTreeSet, HashMap};

use super::running::Reaped;
use crate::spawn::Pid;

/// What is under way, and what ended meanwhile.
#[derive(Debug, Default)]
pub(super) struct Starting {
    begun: u64,
    under_way: BTreeSet<u64>,
    ended: HashMap<Pid, (u64, Reaped)>,
}

impl Starting {
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// A process is going to be made; the number is for [`Starting::end`].
    pub(super) fn begin(&mut self) -> u64 {
        self.begun += 1;
        self.under_way.insert(self.begun);
        self.begun
    }

    /// A child that nobody knows was reaped: an orphan, unless it is being made.
    pub(super) fn reaped(&mut self, pid: Pid, reaped: Reaped) {
        if !self.under_way.is_empty() {
            self.ended.insert(pid, (self.begun, reaped));
        }
    }

    /// The process is made; its end, if it was reaped already.
    pub(super) fn end(&mut self, number: u64, pid: Option<Pid>) -> Option<Reaped> {
        self.under_way.remove(&number);
        let found = pid.and_then(|pid| self.ended.remove(&pid));
        match self.under_way.first() {
            None => self.ended.clear(),
            // What was reaped before the oldest began cannot be one of them.
            Some(oldest) => self.ended.retain(|_, (begun, _)| *begun >= *oldest),
        }
        found.filter(|(begun, _)| *begun >= number).map(|(_, reaped)| reaped)
    }
}

#[cfg(test)]
mod tests {
    use model::Ending;

    use super::*;

    fn reaped(code: i32) -> Reaped {
        Reaped { ending: Ending::Exited { code }, cpu_us: 0, memory_peak_bytes: 0 }
    }

    #[test]
    fn an_end_before_the_beginning_is_known_is_kept_and_an_orphan_is_not() {
        let mut starting = Starting::default();
        starting.reaped(5, reaped(0));
        let first = starting.begin();
        starting.reaped(7, reaped(3));
        let second = starting.begin();
        starting.reaped(8, reaped(4));
        assert_eq!(starting.len(), 2);
        assert_eq!(starting.end(first, Some(7)).unwrap().ending, Ending::Exited { code: 3 });
        assert!(starting.ended.contains_key(&8), "it may be the second");
        let third = starting.begin();
        assert!(starting.end(second, Some(9)).is_none());
        assert!(starting.end(third, Some(8)).is_none(), "it had ended before the third began");
        assert!(starting.ended.is_empty());
    }
}
