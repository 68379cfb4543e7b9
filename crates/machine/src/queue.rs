//! Tasks with elements that want a node, by shape.
//!
//! All tasks of one shape are alike to placement: where the first finds no room, none of the
//! others does. So a plan costs the number of shapes and of what is placed, however many wait.

use std::cmp::Reverse;

use imbl::{OrdMap, OrdSet};
use model::{Placement, Resources, RunId, TaskPosition, TaskSpec};

/// What placement looks at in a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Higher is placed first, and comes first here.
    pub priority: Reverse<u32>,
    /// What each element reserves.
    pub wants: Resources,
    /// How its nodes are chosen.
    pub placement: Placement,
}

impl Shape {
    /// The shape of a task.
    pub fn of(spec: &TaskSpec) -> Shape {
        Shape { priority: Reverse(spec.priority), wants: spec.resources, placement: spec.placement }
    }
}

/// A task that wants nodes.
pub type Waiting = (RunId, TaskPosition);

/// The tasks of one shape, the older run first.
pub type Tasks = OrdSet<Waiting>;

/// The tasks that want nodes, by shape; within one the older run comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    shapes: OrdMap<Shape, Tasks>,
}

impl Queue {
    /// Whether nothing wants a node.
    pub fn is_empty(&self) -> bool {
        self.shapes.is_empty()
    }

    /// The shapes, highest priority first, each with its tasks.
    pub fn shapes(&self) -> impl DoubleEndedIterator<Item = (&Shape, &Tasks)> {
        self.shapes.iter()
    }

    /// Every task, shape by shape.
    pub fn iter(&self) -> impl Iterator<Item = (Shape, RunId, TaskPosition)> + '_ {
        let of_shape = |(shape, tasks): (&Shape, &Tasks)| {
            let shape = *shape;
            tasks.clone().into_iter().map(move |(run, task)| (shape, run, task))
        };
        self.shapes.iter().flat_map(of_shape)
    }

    /// How many tasks want nodes.
    pub fn len(&self) -> usize {
        self.shapes.values().map(OrdSet::len).sum()
    }

    pub(crate) fn insert(&mut self, shape: Shape, waiting: Waiting) {
        self.shapes.entry(shape).or_default().insert(waiting);
    }

    pub(crate) fn remove(&mut self, shape: Shape, waiting: Waiting) {
        if let Some(tasks) = self.shapes.get_mut(&shape) {
            tasks.remove(&waiting);
            if tasks.is_empty() {
                self.shapes.remove(&shape);
            }
        }
    }
}
