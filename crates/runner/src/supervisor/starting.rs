//! Processes that are being made by other threads of the loop: pure bookkeeping.
//!
//! Such a process may end, and be reaped, before the loop knows its number. So what is reaped and
//! not known is kept as long as it may be one of them, and no longer: numbers are used again.
//!
//! A program can take for ever to be executed, on a dead file server say. So each start has a time
//! after which its process is killed, and what is killed and does not go is known.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::Attempt;

use super::procedure::OVERDUE_US;
use super::running::Reaped;
use crate::spawn::{Pid, Start};

/// A start that takes this long hangs, and another thread takes the place of its own.
pub(super) const HANGS_US: u64 = 300_000;
/// How soon a start that cannot be killed yet is looked at again.
const AGAIN_US: u64 = 10_000;

/// What is under way, and what ended meanwhile.
#[derive(Debug, Default)]
pub(super) struct Starting {
    begun: u64,
    under_way: BTreeMap<u64, UnderWay>,
    ended: HashMap<Pid, (u64, Reaped)>,
}

#[derive(Debug)]
struct UnderWay {
    start: Arc<Start>,
    since: u64,
    /// When it is killed.
    until: Option<u64>,
    killed_at: Option<u64>,
}

/// What became of a start.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// The end of its process, if that was reaped already.
    pub(super) reaped: Option<Reaped>,
    /// Its process was killed before its program was known to be executed.
    pub(super) killed: bool,
}

impl Starting {
    pub(super) fn len(&self) -> usize {
        self.under_way.len()
    }

    /// How many take so long that they keep their thread from all else.
    pub(super) fn hanging(&self, now: u64) -> usize {
        self.under_way.values().filter(|one| now >= one.since + HANGS_US).count()
    }

    /// The attempts whose process was killed long ago and is still there.
    pub(super) fn overdue(&self, now: u64) -> impl Iterator<Item = Attempt> {
        let overdue = move |one: &&UnderWay| one.killed_at.is_some_and(|at| now >= at + OVERDUE_US);
        self.under_way.values().filter(overdue).map(|one| one.start.attempt())
    }

    /// When something changes by time alone.
    pub(super) fn next(&self, now: u64) -> Option<u64> {
        let times = self.under_way.values().flat_map(|one| match one.killed_at {
            Some(at) => [Some(at + OVERDUE_US), None],
            None => [Some(one.since + HANGS_US), one.until],
        });
        times.flatten().filter(|at| *at > now).min()
    }

    /// A process is going to be made; the number is for [`Starting::end`].
    pub(super) fn begin(&mut self, start: Arc<Start>, since: u64, until: Option<u64>) -> u64 {
        self.begun += 1;
        self.under_way.insert(self.begun, UnderWay { start, since, until, killed_at: None });
        self.begun
    }

    /// Has a start killed at this time, if it is still under way by then.
    pub(super) fn hasten(&mut self, attempt: Attempt, at: u64) {
        for one in self.under_way.values_mut().filter(|one| one.start.attempt() == attempt) {
            one.until = Some(one.until.map_or(at, |until| until.min(at)));
        }
    }

    /// The starts that have taken too long, with the process that is to be killed for each. It is
    /// still ours, for who reaps it says so here. One that has executed its program is through, and
    /// only its thread is late.
    pub(super) fn due(
        &mut self,
        now: u64,
        executed: impl Fn(Pid) -> bool,
    ) -> Vec<(Attempt, Option<Pid>)> {
        let mut due = Vec::new();
        for one in self.under_way.values_mut() {
            if one.killed_at.is_some() || one.until.is_none_or(|until| until > now) {
                continue;
            }
            let pid = one.start.pid();
            if pid.is_some_and(|pid| self.ended.contains_key(&pid) || executed(pid)) {
                one.until = None;
                continue;
            }
            match pid {
                Some(_) => one.killed_at = Some(now),
                None => one.until = Some(now + AGAIN_US),
            }
            due.push((one.start.attempt(), pid));
        }
        due
    }

    /// A child that nobody knows was reaped: an orphan, unless it is being made.
    pub(super) fn reaped(&mut self, pid: Pid, reaped: Reaped) {
        if !self.under_way.is_empty() {
            self.ended.insert(pid, (self.begun, reaped));
        }
    }

    /// The process is made, or is not going to be.
    pub(super) fn end(&mut self, number: u64, pid: Option<Pid>) -> Made {
        let killed = self.under_way.remove(&number).is_some_and(|one| one.killed_at.is_some());
        let found = pid.and_then(|pid| self.ended.remove(&pid));
        match self.under_way.first_key_value() {
            None => self.ended.clear(),
            // What was reaped before the oldest began cannot be one of them.
            Some((oldest, _)) => self.ended.retain(|_, (begun, _)| *begun >= *oldest),
        }
        let reaped = found.filter(|(begun, _)| *begun >= number).map(|(_, reaped)| reaped);
        Made { reaped, killed }
    }
}

#[cfg(test)]
mod tests {
    use model::{Element, Ending, RunId};

    use super::*;

    fn reaped(code: i32) -> Reaped {
        Reaped { ending: Ending::Exited { code }, cpu_us: 0, memory_peak_bytes: 0 }
    }

    fn start(index: u32) -> Arc<Start> {
        let element = Element { run: RunId(1), task: 0, index };
        Arc::new(Start::new(Attempt { element, number: 1 }, None))
    }

    #[test]
    fn an_end_before_the_beginning_is_known_is_kept_and_an_orphan_is_not() {
        let mut starting = Starting::default();
        starting.reaped(5, reaped(0));
        let first = starting.begin(start(1), 0, None);
        starting.reaped(7, reaped(3));
        let second = starting.begin(start(2), 0, None);
        starting.reaped(8, reaped(4));
        assert_eq!(starting.len(), 2);
        let end = starting.end(first, Some(7)).reaped.unwrap();
        assert_eq!(end.ending, Ending::Exited { code: 3 });
        assert!(starting.ended.contains_key(&8), "it may be the second");
        let third = starting.begin(start(3), 0, None);
        assert!(starting.end(second, Some(9)).reaped.is_none());
        assert!(starting.end(third, Some(8)).reaped.is_none(), "it ended before the third began");
        assert!(starting.ended.is_empty());
    }

    #[test]
    fn what_takes_too_long_is_due_until_it_can_be_killed() {
        let mut starting = Starting::default();
        let number = starting.begin(start(1), 0, Some(1_000));
        let attempt = start(1).attempt();
        assert_eq!((starting.next(0), starting.hanging(HANGS_US)), (Some(1_000), 1));
        starting.hasten(attempt, 500);
        starting.hasten(attempt, 700);
        assert!(starting.due(499, |_| false).is_empty());
        assert_eq!(starting.due(500, |_| false), [(attempt, None)], "there is no process yet");
        assert_eq!(starting.next(500), Some(500 + AGAIN_US));
        assert!(!starting.end(number, None).killed);
        assert_eq!(starting.next(0), None);
    }
}
