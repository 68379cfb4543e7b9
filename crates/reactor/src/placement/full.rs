//! What does not want to wait: elements that no node has room for when they are first looked at.

use machine::TaskRun;
use model::RangeSet;
use proto::record::Range;

/// Ranges that one plan turns away of one task at most; the next goes on.
const RANGES_MAX: usize = 1024;

/// Elements of a task, from one on, that wait for their first node; at most `most`.
pub(super) fn fresh(task: &TaskRun, from: u32, most: u64) -> Vec<Range> {
    let mut fresh = RangeSet::new();
    fresh.append_common(&task.queued, from..=u32::MAX);
    task.tries.range(from..).for_each(|(ordinal, _)| _ = fresh.remove(*ordinal));
    let mut ranges = proto::ranges(&fresh.take_first(most));
    ranges.truncate(RANGES_MAX);
    ranges
}
