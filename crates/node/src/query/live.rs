//! What the state says of elements, asked by ranges: never one by one of those that wait, for a
//! task may have ten million.

use std::ops::RangeInclusive;

use machine::TaskRun;
use model::{NodeId, RangeSet, TaskState};

use crate::view::View;

/// Those that wait, for a node or for their time.
pub(super) fn waiting(task: &TaskRun) -> [&RangeSet; 2] {
    [&task.queued, &task.delayed]
}

/// How many wait.
pub(super) fn waiting_count(task: &TaskRun) -> u64 {
    waiting(task).into_iter().map(RangeSet::len).sum()
}

/// How many of these have not ended.
pub(super) fn left_of(task: &TaskRun, ordinals: &RangeSet) -> u64 {
    let placed = |range| task.live.range(range).count() as u64;
    let left = |range: RangeInclusive<u32>| {
        let waiting = waiting(task).into_iter().map(|set| common(set, &range)).sum::<u64>();
        waiting + placed(range)
    };
    ordinals.ranges().map(left).sum()
}

/// How many have not ended.
pub(super) fn left(task: &TaskRun) -> u64 {
    waiting_count(task) + task.live.len() as u64
}

/// The first `limit` of these that wait.
pub(super) fn waiting_of(task: &TaskRun, ordinals: &RangeSet, limit: usize) -> RangeSet {
    let mut found = RangeSet::new();
    for set in waiting(task) {
        let mut some = RangeSet::new();
        for range in ordinals.ranges() {
            if some.len() >= limit as u64 {
                break;
            }
            some.append_common(set, range);
        }
        some.take_first(limit as u64).ranges().for_each(|range| found.insert_range(range));
    }
    found.take_first(limit as u64)
}

/// Those of `range` that the state knows nothing of: they have ended.
pub(super) fn ended_of(
    task: Option<&TaskRun>,
    ordinals: &RangeSet,
    range: RangeInclusive<u32>,
) -> RangeSet {
    let mut ended = RangeSet::new();
    ended.append_common(ordinals, range);
    let Some(task) = task else { return ended };
    let all: Vec<_> = ended.ranges().collect();
    for range in all {
        for set in waiting(task) {
            let mut waits = RangeSet::new();
            waits.append_common(set, range.clone());
            waits.ranges().for_each(|range| ended.remove_range(range));
        }
        for (&ordinal, _) in task.live.range(range) {
            ended.remove(ordinal);
        }
    }
    ended
}

/// `unknown` for what is started on a node that does not answer.
pub(super) fn shown_state(view: &View, node: NodeId, state: TaskState) -> TaskState {
    match state {
        TaskState::Running | TaskState::Stopping if !view.is_ready(node) => TaskState::Unknown,
        state => state,
    }
}

fn common(set: &RangeSet, range: &RangeInclusive<u32>) -> u64 {
    let (first, last) = (*range.start(), *range.end());
    set.ranges_from(first)
        .take_while(|found| *found.start() <= last)
        .map(|found| u64::from((*found.end()).min(last) - (*found.start()).max(first)) + 1)
        .sum()
}
