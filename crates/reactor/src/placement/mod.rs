//! Which element goes where: a plan for one view of the state.
//!
//! Tasks of one shape are alike, so where the first finds no room the plan leaves the shape: it
//! costs the number of shapes and of what is placed, however many tasks wait. Which of the nodes
//! with room is taken is the policy's, each of which is a file of its own. Higher priorities
//! come first, among equals the older run; what does not fit is passed over by what does. What has
//! been passed over for long gets a node kept free, so that a big task is not starved by small
//! ones.
//!
//! A planner keeps what it knows of the nodes from one plan to the next: a plan costs what it places
//! and what has changed since the last, not how many nodes there are.
//!
//! A plan only proposes: the machine checks every pick again when it is committed. It runs off the
//! main thread, on a view, and looks at a bounded number of tasks.

mod room;

mod ahead;
mod full;
mod home;
mod homes;
mod line;
mod nodes;
mod pack;
mod pieces;
mod pull;
mod random;
mod round_robin;
mod share;
mod spread;

use std::collections::BTreeSet;
use std::ops::Bound;

use machine::queue::Tasks;
use machine::{Shape, State};
use model::{NodeId, RunId, TaskPosition, WhenFull};
use proto::record::{Pick, TurnAway};

use homes::{Homes, Want};
use nodes::Nodes;
use pieces::Pieces;
pub use room::{Plan, Room, Spare};

/// Elements placed by one plan at most; more, if that is more, by so many for each node: what a
/// placement costs beside its elements is shared by several of them, on many nodes as on few.
const ELEMENTS_MAX: u64 = 4096;
const ELEMENTS_MAX_PER_NODE: u64 = 4;
/// Tasks one plan looks at in full at most.
const TASKS_MAX: usize = 4096;
/// Tasks of which one plan turns elements away at most.
const TURNED_AWAY_MAX: usize = 1024;
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

/// Makes plans, one after the other. What it keeps from one to the next only saves work: each is the
/// plan that [`plan`] makes.
#[derive(Debug, Default)]
pub struct Planner {
    nodes: Nodes,
}

impl Planner {
    /// A plan for `state` on the nodes of `room`.
    pub fn plan(&mut self, state: &State, room: &Room) -> Plan {
        self.nodes.catch_up(state, room);
        Draft::new(&mut self.nodes, state, room.turn).plan()
    }
}

/// A plan for `state` on the nodes of `room`, by a planner that has just begun.
pub fn plan(state: &State, room: &Room) -> Plan {
    Planner::default().plan(state, room)
}

/// A plan that is being made.
struct Draft<'a> {
    state: &'a State,
    homes: Homes<'a>,
    turned_away: Vec<TurnAway>,
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
    /// The nodes have no more room for its shape, from this ordinal on.
    NoRoom(u32),
}

impl<'a> Draft<'a> {
    fn new(nodes: &'a mut Nodes, state: &'a State, turn: Option<NodeId>) -> Draft<'a> {
        let left = ELEMENTS_MAX.max(ELEMENTS_MAX_PER_NODE * nodes.ids.len() as u64);
        Draft {
            state,
            homes: Homes::new(nodes, state, turn),
            turned_away: Vec::new(),
            left,
            looks: TASKS_MAX,
            kept_free: false,
        }
    }

    fn plan(mut self) -> Plan {
        let queue = self.state.queue();
        let lowest = queue.shapes().next_back().map(|(shape, _)| shape.priority);
        let mut shapes = queue.shapes().peekable();
        while let Some((Shape { priority, .. }, _)) = shapes.peek() {
            let priority = *priority;
            self.homes.set_priority(priority.0, Some(priority) != lowest);
            let mut level = Vec::new();
            while let Some(next) = shapes.next_if(|(shape, _)| shape.priority == priority) {
                level.push(next);
            }
            if !self.level(&level) {
                break;
            }
        }
        let (turned_away, turn) = (self.turned_away, self.homes.turn);
        Plan { turned_away, turn, places: self.homes.places() }
    }

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
            self.homes.look_elsewhere(shape.wants, shape.placement);
            let placed = match share::has_room(&self.homes, shape.wants, shape.placement) {
                true => self.task(run, task),
                false => Placed::NoRoom(0),
            };
            let goes_on = match placed {
                Placed::All => true,
                Placed::NoRoom(from) if shape.placement.when_full == WhenFull::Fail => {
                    self.turn_away((run, task), shape, from, left - self.left)
                }
                Placed::NoRoom(_) if self.left < left => false,
                Placed::NoRoom(_) => {
                    self.passed_over(run, task, shape);
                    false
                }
            };
            if goes_on {
                let behind = (Bound::Excluded((run, task)), Bound::Unbounded);
                heads.extend(tasks.range(behind).next().map(|next| (*next, at)));
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
            let want = Want {
                run: id,
                task: position,
                first: piece.first(),
                count: piece.len(),
                wants: spec.resources,
                placement: spec.placement,
                but: piece.last_node,
            };
            for share in share::out(&mut self.homes, want) {
                let ordinals = vec![piece.split(share.count)];
                let pick = Pick { run: id.0, task: position, ordinals, ahead: share.ahead };
                self.homes.push(share.slot, pick);
                self.left -= share.count;
                wanted -= share.count;
            }
            if !piece.is_empty() {
                return Placed::NoRoom(piece.first());
            }
        }
        Placed::All
    }

    /// Nobody has room for these elements, which do not want to wait. Says whether the next task of
    /// the shape is to be looked at.
    fn turn_away(
        &mut self,
        (id, task): (RunId, TaskPosition),
        shape: &Shape,
        from: u32,
        placed: u64,
    ) -> bool {
        // A node that has room and has not asked yet, or is not heard of just now, may take them.
        let has_seat = self.homes.has_seat(shape.wants, shape.placement);
        if !self.homes.nodes.is_whole() || has_seat || self.turned_away.len() >= TURNED_AWAY_MAX {
            return false;
        }
        let Some(run) = self.state.run(id) else { return true };
        let of = &run.tasks[task as usize];
        let most = of.parallel_room(run.spec.tasks[task as usize].indices().parallel_max);
        let ordinals = full::fresh(of, from, most - placed);
        if !ordinals.is_empty() {
            self.turned_away.push(TurnAway { run: id.0, task, ordinals });
        }
        true
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
            let turn = now_ms / KEPT_FREE_MS;
            self.kept_free = self.homes.keep_free(shape.wants, shape.placement, turn);
        }
    }
}
