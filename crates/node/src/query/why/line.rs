//! What stands before a task in the queue, looked at in bounds however long the queue is.

use std::cmp::Reverse;

use model::{RunId, TaskPosition, TaskSpec};

use super::{Asked, Reason, ReasonCode, count_of};

/// Tasks before it that are counted at most.
const COUNTED_MAX: usize = 100_000;
/// Tasks before it whose elements are counted.
const LOOKED_AT_MAX: usize = 1_000;
/// What has waited so long and has nothing placed may have a node kept free for it.
const PATIENCE_MS: u64 = 10_000;

/// What stands before a task.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    /// Tasks.
    pub(super) tasks: u64,
    /// Those of them with a higher priority.
    pub(super) higher: u64,
    /// How many elements of them wait; `None` where they are too many to look at.
    pub(super) elements: Option<u64>,
    /// The first that has waited long and has nothing placed.
    pub(super) late: Option<RunId>,
}

impl Asked<'_> {
    /// What stands before a task: what has a higher priority, and of the same priority what is of
    /// an older run.
    pub(super) fn before(&self, task: TaskPosition, spec: &TaskSpec) -> Before {
        let state = &self.view.state;
        let own = (self.resolved.run, task);
        let mut before = Before { elements: Some(0), ..Before::default() };
        let mut looked_at = 0;
        for (shape, tasks) in state.queue().shapes() {
            if shape.priority > Reverse(spec.priority) {
                break;
            }
            let higher = shape.priority < Reverse(spec.priority);
            let end = if higher { (RunId(u64::MAX), TaskPosition::MAX) } else { own };
            let room = COUNTED_MAX.saturating_sub(before.tasks as usize);
            for (run, position) in tasks.range(..end).take(room) {
                before.tasks += 1;
                before.higher += u64::from(higher);
                looked_at += 1;
                if looked_at > LOOKED_AT_MAX {
                    before.elements = None;
                    continue;
                }
                let Some(of) = state.run(*run) else { continue };
                let of_task = &of.tasks[*position as usize];
                before.elements = before.elements.map(|sum| sum + of_task.queued.len());
                let is_late = of.submitted_ms.saturating_add(PATIENCE_MS) < state.time_ms();
                if is_late && of_task.live.is_empty() && before.late.is_none() {
                    before.late = Some(*run);
                }
            }
        }
        before
    }
}

impl Before {
    /// In words, where anything stands before it.
    pub(super) fn reason(&self, run: RunId) -> Option<Reason> {
        if self.tasks == 0 {
            return None;
        }
        let more = if self.tasks >= COUNTED_MAX as u64 { "more than " } else { "" };
        let stand = if self.tasks == 1 { "stands" } else { "stand" };
        let mut text = format!("{more}{} {stand} before it", count_of(self.tasks, "task"));
        if let Some(elements) = self.elements {
            text.push_str(&format!(" with {}", count_of(elements, "waiting element")));
        }
        if self.higher > 0 {
            text.push_str(&format!(", {} of higher priority", self.higher));
        }
        let change = format!(
            "it comes nearer as those before it are placed or canceled; `windlass cancel {run}` and a new submit with a higher `--priority` passes them"
        );
        Some(Reason::new(ReasonCode::Behind, text, change))
    }
}
