//! Which element goes where: a plan for one view of the state.
//!
//! Tasks of one shape are alike, so where the first finds no room the plan leaves the shape: it
//! costs the number of shapes and of what is placed, however many tasks wait. Higher priorities
//! come first, among equals the older run; what does not fit is passed over by what does. What has
//! been passed over for long gets a node kept free, so that a big task is not starved by small
//! ones.
//!
//! A plan only proposes: the machine checks every pick again when it is committed. It runs off the
//! main thread, on a view, and looks at a bounded number of tasks.

mod homes;
mod pieces;

use std::collections::BTreeSet;
use std::ops::Bound;

use machine::queue::Tasks;
use machine::{Shape, State};
use model::{RunId, TaskPosition};
use proto::record::{Pick, Place};

use crate::control::Room;
use homes::Homes;
use pieces::Pieces;

/// Elements placed by one plan at most.
const ELEMENTS_MAX: u64 = 4096;
/// Tasks one plan looks at in full at most.
const TASKS_MAX: usize = 4096;
/// Pieces of one task's elements that a plan places at most.
const PIECES_MAX: usize = 1024;
/// What may be placed ahead beyond a node's pace when lower priorities wait behind it, so that an
/// urgent task does not wait for the backlog of the others.
const URGENT_AHEAD: u64 = 16;
/// What has waited so long is no longer passed over, in milliseconds.
const PATIENCE_MS: u64 = 10_000;
/// How long one node is kept free before another is, in milliseconds: nobody knows which of them
/// gives up first what is missing.
const KEPT_FREE_MS: u64 = 60_000;

/// A plan for `state` on the nodes of `room`, each with how many it may be given ahead.
pub fn plan(state: &State, room: &Room) -> Vec<Place> {
    let mut plan = Plan {
        state,
        homes: Homes::new(state, room),
        left: ELEMENTS_MAX,
        looks: TASKS_MAX,
        kept_free: false,
    };
    let lowest = state.queue().shapes().next_back().map(|(shape, _)| shape.priority);
    let mut shapes = state.queue().shapes().peekable();
    while let Some((Shape { priority, .. }, _)) = shapes.peek() {
        let (priority, urgent) = (*priority, Some(*priority) != lowest);
        plan.homes.set_priority(priority.0, if urgent { URGENT_AHEAD } else { 0 });
        let mut level = Vec::new();
        while let Some(next) = shapes.next_if(|(shape, _)| shape.priority == priority) {
            level.push(next);
        }
        if !plan.level(&level) {
            break;
        }
    }
    plan.homes.places()
}

struct Plan<'a> {
    state: &'a State,
    homes: Homes<'a>,
    /// Elements that may still be placed.
    left: u64,
    /// Tasks that may still be looked at.
    looks: usize,
    /// A node is kept free for something that has waited long.
    kept_free: bool,
}

/// What became of a task's elements.
enum Placed {
    /// All that may be placed now.
    All,
    /// The nodes have no more room for its shape.
    NoRoom,
}

impl Plan<'_> {
    /// Places what it can of one priority, the older run first; says whether to go on.
    fn level(&mut self, shapes: &[(&Shape, &Tasks)]) -> bool {
        let head =
            |(at, (_, tasks)): (usize, &(&Shape, &Tasks))| tasks.get_min().map(|task| (*task, at));
        let mut heads: BTreeSet<_> = shapes.iter().enumerate().filter_map(head).collect();
        while let Some(((run, task), at)) = heads.pop_first() {
            if self.left == 0 || self.looks == 0 {
                return false;
            }
            let (shape, tasks) = shapes[at];
            let left = self.left;
            let placed = match self.homes.have_room(shape.wants) {
                true => self.task(run, task),
                false => Placed::NoRoom,
            };
            match placed {
                Placed::NoRoom if self.left < left => {}
                Placed::NoRoom => self.passed_over(run, task, shape),
                Placed::All => {
                    let behind = (Bound::Excluded((run, task)), Bound::Unbounded);
                    heads.extend(tasks.range(behind).next().map(|next| (*next, at)));
                }
            }
        }
        true
    }

    fn task(&mut self, id: RunId, position: TaskPosition) -> Placed {
        self.looks -= 1;
        let Some(run) = self.state.run(id) else { return Placed::All };
        let task = &run.tasks[position as usize];
        let spec = &run.spec.tasks[position as usize];
        let parallel = task.parallel_room(spec.indices().parallel_max);
        let mut wanted = task.queued.len().min(parallel).min(self.left);
        let mut pieces = Pieces::new(task);
        for _ in 0..PIECES_MAX {
            let Some(mut piece) = pieces.next(wanted) else { return Placed::All };
            while let Some((node, count, ahead)) =
                self.homes.take(spec.resources, piece.len(), piece.last_node)
            {
                let ordinals = vec![piece.split(count)];
                self.homes.push(node, Pick { run: id.0, task: position, ordinals, ahead });
                self.left -= count;
                wanted -= count;
                if piece.is_empty() {
                    break;
                }
            }
            if !piece.is_empty() {
                return Placed::NoRoom;
            }
        }
        Placed::All
    }

    /// What has been passed over for long, and has nothing placed, gets a node that could take it.
    fn passed_over(&mut self, run: RunId, task: TaskPosition, shape: &Shape) {
        if self.kept_free {
            return;
        }
        let Some(run) = self.state.run(run) else { return };
        let now_ms = self.state.time_ms();
        let is_late = run.submitted_ms.saturating_add(PATIENCE_MS) < now_ms;
        if is_late && run.tasks[task as usize].live.is_empty() {
            self.kept_free = self.homes.keep_free(shape.wants, now_ms / KEPT_FREE_MS);
        }
    }
}
