//! What is to happen when its time has come.
//!
//! The time is that of the batches, so every control node fires the same timers at the same index;
//! the leader commits a batch for the next of them when nothing else brings the time.

use imbl::{OrdMap, OrdSet};
use model::{NodeId, RangeSet, RunId, TaskPosition, TaskSpec};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKind {
    /// Elements have waited out their backoff.
    Retry,
    /// Elements that never had a node have waited long enough for one.
    Pending,
    /// The whole task has taken long enough.
    Total,
}

/// When, Unix milliseconds, for what task, and what for.
pub type Timer = (u64, RunId, TaskPosition, TimerKind);

/// The timers, the next first, each with the ordinals it is for (none where it is for the task).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timers {
    due: OrdMap<Timer, RangeSet>,
    /// When the time of a drain is over.
    drains: OrdSet<(u64, NodeId)>,
}

impl Timers {
    /// When the next is due, Unix milliseconds.
    pub fn next_ms(&self) -> Option<u64> {
        let of_tasks = self.due.get_min().map(|((at_ms, ..), _)| *at_ms);
        let of_drains = self.drains.get_min().map(|(at_ms, _)| *at_ms);
        of_tasks.into_iter().chain(of_drains).min()
    }

    /// When the time of which drain is over.
    pub fn drains(&self) -> impl Iterator<Item = &(u64, NodeId)> {
        self.drains.iter()
    }

    /// Those of tasks.
    pub fn iter(&self) -> impl Iterator<Item = (&Timer, &RangeSet)> {
        self.due.iter()
    }

    pub(crate) fn set(&mut self, timer: Timer) {
        self.due.entry(timer).or_default();
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.due.remove(&timer);
    }

    /// An element waits out its backoff until `at_ms`.
    pub(crate) fn delay(&mut self, at_ms: u64, run: RunId, task: TaskPosition, ordinal: u32) {
        self.due.entry((at_ms, run, task, TimerKind::Retry)).or_default().insert(ordinal);
    }

    /// It does not any more.
    pub(crate) fn undelay(&mut self, at_ms: u64, run: RunId, task: TaskPosition, ordinal: u32) {
        let timer = (at_ms, run, task, TimerKind::Retry);
        if let Some(ordinals) = self.due.get_mut(&timer) {
            ordinals.remove(ordinal);
            if ordinals.is_empty() {
                self.due.remove(&timer);
            }
        }
    }

    /// What runs on a node may go on until `at_ms`.
    pub(crate) fn drain(&mut self, at_ms: u64, node: NodeId) {
        self.drains.insert((at_ms, node));
    }

    /// It may go on longer.
    pub(crate) fn undrain(&mut self, at_ms: u64, node: NodeId) {
        self.drains.remove(&(at_ms, node));
    }

    /// Takes a node whose drain's time is over at `now_ms`.
    pub(crate) fn take_drain(&mut self, now_ms: u64) -> Option<NodeId> {
        let first = *self.drains.get_min().filter(|(at_ms, _)| *at_ms <= now_ms)?;
        self.drains.remove(&first);
        Some(first.1)
    }

    /// Takes the next that is due at `now_ms`.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Option<(Timer, RangeSet)> {
        let (timer, _) = self.due.get_min().filter(|((at_ms, ..), _)| *at_ms <= now_ms)?;
        let timer = *timer;
        self.due.remove(&timer).map(|ordinals| (timer, ordinals))
    }
}

/// The timers a task has from its submission on.
pub(crate) fn of_task(
    spec: &TaskSpec,
    submitted_ms: u64,
    run: RunId,
    task: TaskPosition,
) -> impl Iterator<Item = Timer> {
    [(spec.pending_timeout_ms, TimerKind::Pending), (spec.total_timeout_ms, TimerKind::Total)]
        .into_iter()
        .filter(|(after_ms, _)| *after_ms > 0)
        .map(move |(after_ms, kind)| (submitted_ms.saturating_add(after_ms), run, task, kind))
}
