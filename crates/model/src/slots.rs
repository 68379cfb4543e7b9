//! Who may start next on a node: attempts wait in order until their reservation fits.
//!
//! The supervisor and its model in the simulation share it. The order is priority, then the
//! number of the assignment; what does not fit is passed over by what does, so a large task never
//! idles the node. It must never let the reservations of what has started exceed the capacity.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::ids::Attempt;
use crate::resources::Resources;

/// How many waiting attempts one look for the next start passes over at most.
const PASS_OVER_MAX: usize = 64;

/// The waiting and the started attempts of one node.
#[derive(Debug)]
pub struct Slots {
    capacity: Resources,
    used: Resources,
    waiting: BTreeSet<(Reverse<u32>, u64, Attempt)>,
    held: BTreeMap<Attempt, Held>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    wants: Resources,
    order: (Reverse<u32>, u64),
    started: bool,
}

impl Slots {
    /// A node with this capacity and nothing on it.
    pub fn new(capacity: Resources) -> Slots {
        Slots {
            capacity,
            used: Resources::default(),
            waiting: BTreeSet::new(),
            held: BTreeMap::new(),
        }
    }

    /// Changes the capacity; what has started stays.
    pub fn set_capacity(&mut self, capacity: Resources) {
        self.capacity = capacity;
    }

    /// Puts an attempt in line. `seq` is the number of its assignment.
    pub fn wait(&mut self, attempt: Attempt, seq: u64, priority: u32, wants: Resources) {
        let order = (Reverse(priority), seq);
        if self.held.insert(attempt, Held { wants, order, started: false }).is_none() {
            self.waiting.insert((order.0, order.1, attempt));
        }
    }

    /// The next attempt that fits, which is thereby started.
    pub fn start_next(&mut self) -> Option<Attempt> {
        let room = |held: &Held| self.capacity.has_room(self.used, held.wants);
        let (priority, seq, attempt) = *(self.waiting.iter())
            .take(PASS_OVER_MAX)
            .find(|(_, _, attempt)| self.held.get(attempt).is_some_and(room))?;
        self.waiting.remove(&(priority, seq, attempt));
        let held = self.held.get_mut(&attempt).expect("what waits is held");
        held.started = true;
        self.used.add(held.wants);
        Some(attempt)
    }

    /// Takes an attempt away, started or not, and frees what it held.
    pub fn leave(&mut self, attempt: Attempt) {
        let Some(held) = self.held.remove(&attempt) else { return };
        if held.started {
            self.used.sub(held.wants);
        } else {
            self.waiting.remove(&(held.order.0, held.order.1, attempt));
        }
    }

    /// How many attempts wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How much is reserved by what has started.
    pub fn used(&self) -> Resources {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Element, RunId};

    fn attempt(index: u32) -> Attempt {
        Attempt { element: Element { run: RunId(1), task: 0, index }, number: 1 }
    }

    fn cpus(cpu_milli: u64) -> Resources {
        Resources { cpu_milli, memory_bytes: 0 }
    }

    #[test]
    fn the_higher_priority_starts_first_and_then_the_earlier() {
        let mut slots = Slots::new(cpus(1000));
        slots.wait(attempt(1), 1, 50, cpus(1000));
        slots.wait(attempt(2), 2, 50, cpus(1000));
        slots.wait(attempt(3), 3, 90, cpus(1000));
        for expected in [3, 1, 2] {
            assert_eq!(slots.start_next(), Some(attempt(expected)));
            assert_eq!(slots.start_next(), None, "the node is full");
            slots.leave(attempt(expected));
        }
        assert_eq!((slots.used(), slots.waiting()), (cpus(0), 0));
    }

    #[test]
    fn what_fits_passes_what_does_not() {
        let mut slots = Slots::new(cpus(1000));
        slots.wait(attempt(1), 1, 50, cpus(600));
        slots.wait(attempt(2), 2, 50, cpus(600));
        slots.wait(attempt(3), 3, 50, cpus(400));
        assert_eq!(slots.start_next(), Some(attempt(1)));
        assert_eq!(slots.start_next(), Some(attempt(3)));
        assert_eq!(slots.start_next(), None);
        slots.leave(attempt(2));
        slots.leave(attempt(1));
        slots.leave(attempt(3));
        assert_eq!((slots.used(), slots.waiting()), (cpus(0), 0));
    }
}
