//! Who may start next on a node: attempts wait in order until their reservation fits.
//!
//! The supervisor and its model in the simulation share it. The order is priority, then the
//! number of the assignment; what does not fit is passed over by what does, however much of it
//! there is, so a large task never idles the node. It must never let the reservations of what has
//! started exceed the capacity.
//!
//! Attempts that want the same are one *shape*: if the first of them does not fit, none does. So
//! only the first of each is looked at, and a hundred thousand that do not fit cost as much as one.

mod heads;

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use heads::Heads;

use crate::ids::Attempt;
use crate::resources::Resources;

/// The waiting and the started attempts of one node.
#[derive(Debug)]
pub struct Slots {
    capacity: Resources,
    used: Resources,
    shapes: Shapes,
    held: BTreeMap<Attempt, Held>,
}

/// A place in line: priority, number of the assignment, and who it is.
type Place = (Reverse<u32>, u64, Attempt);

#[derive(Clone, Copy, Debug)]
struct Held {
    wants: Resources,
    place: Place,
    started: bool,
}

impl Slots {
    /// A node with this capacity and nothing on it.
    pub fn new(capacity: Resources) -> Slots {
        Slots {
            capacity,
            used: Resources::default(),
            shapes: Shapes::default(),
            held: BTreeMap::new(),
        }
    }

    /// Changes the capacity; what has started stays.
    pub fn set_capacity(&mut self, capacity: Resources) {
        self.capacity = capacity;
    }

    /// Puts an attempt in line, unless it is there or has started. `seq` is the number of its
    /// assignment.
    pub fn wait(&mut self, attempt: Attempt, seq: u64, priority: u32, wants: Resources) {
        let place = (Reverse(priority), seq, attempt);
        if let Entry::Vacant(entry) = self.held.entry(attempt) {
            entry.insert(Held { wants, place, started: false });
            self.shapes.insert(wants, place);
        }
    }

    /// The next attempt that fits, which is thereby started.
    pub fn start_next(&mut self) -> Option<Attempt> {
        let (place, wants) = self.shapes.first_that_fits(self.capacity, self.used)?;
        self.shapes.remove(wants, place);
        let attempt = place.2;
        self.held.get_mut(&attempt).expect("what waits is held").started = true;
        self.used.add(wants);
        Some(attempt)
    }

    /// Takes an attempt away, started or not, and frees what it held.
    pub fn leave(&mut self, attempt: Attempt) {
        let Some(held) = self.held.remove(&attempt) else { return };
        if held.started {
            self.used.sub(held.wants);
        } else {
            self.shapes.remove(held.wants, held.place);
        }
    }

    /// How many attempts wait.
    pub fn waiting(&self) -> usize {
        self.shapes.count
    }

    /// The highest priority of those that wait.
    pub fn waiting_priority(&self) -> Option<u32> {
        self.shapes.heads.first().map(|(Reverse(priority), ..)| priority)
    }

    /// The priority of an attempt, waiting or started.
    pub fn priority(&self, attempt: Attempt) -> Option<u32> {
        self.held.get(&attempt).map(|held| held.place.0.0)
    }

    /// How much is reserved by what has started.
    pub fn used(&self) -> Resources {
        self.used
    }
}

/// Those that wait, by what they want.
#[derive(Debug, Default)]
struct Shapes {
    /// Each shape's line, never empty.
    lines: BTreeMap<Resources, BTreeSet<Place>>,
    /// The first of each line.
    heads: Heads,
    count: usize,
}

impl Shapes {
    fn insert(&mut self, wants: Resources, place: Place) {
        let line = self.lines.entry(wants).or_default();
        let head = line.first().copied();
        self.count += usize::from(line.insert(place));
        if head.is_none_or(|head| place < head) {
            head.into_iter().for_each(|head| self.heads.remove(head));
            self.heads.insert(place, wants);
        }
    }

    fn remove(&mut self, wants: Resources, place: Place) {
        let Some(line) = self.lines.get_mut(&wants) else { return };
        let head = line.first().copied();
        self.count -= usize::from(line.remove(&place));
        let next = line.first().copied();
        if next.is_none() {
            self.lines.remove(&wants);
        }
        if head == Some(place) {
            self.heads.remove(place);
            next.into_iter().for_each(|next| self.heads.insert(next, wants));
        }
    }

    /// The first in the order of all that fits.
    fn first_that_fits(&self, capacity: Resources, used: Resources) -> Option<(Place, Resources)> {
        // After a change of capacity more may be used than there is; then nothing fits.
        let free = Resources {
            cpu_milli: capacity.cpu_milli.checked_sub(used.cpu_milli)?,
            memory_bytes: capacity.memory_bytes.checked_sub(used.memory_bytes)?,
        };
        self.heads.first_within(free)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        assert_eq!((slots.waiting_priority(), slots.priority(attempt(2))), (Some(90), Some(50)));
        for expected in [3, 1, 2] {
            assert_eq!(slots.start_next(), Some(attempt(expected)));
            assert_eq!(slots.start_next(), None, "the node is full");
            slots.leave(attempt(expected));
        }
        assert_eq!((slots.used(), slots.waiting()), (cpus(0), 0));
        assert_eq!((slots.waiting_priority(), slots.priority(attempt(2))), (None, None));
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

    #[test]
    fn after_a_shrink_any_number_that_does_not_fit_is_passed() {
        let mut slots = Slots::new(cpus(4000));
        (0..10_000).for_each(|at| slots.wait(attempt(at), at.into(), 90, cpus(2000)));
        slots.wait(attempt(10_000), 10_000, 10, cpus(500));
        slots.set_capacity(cpus(1000));
        assert_eq!(slots.start_next(), Some(attempt(10_000)));
        assert_eq!(slots.start_next(), None);
        slots.set_capacity(cpus(400));
        slots.wait(attempt(10_001), 10_001, 90, cpus(0));
        assert_eq!(slots.start_next(), None, "more is used than there is");
    }

    #[test]
    fn what_has_started_is_not_put_in_line_again() {
        let mut slots = Slots::new(cpus(1000));
        slots.wait(attempt(1), 1, 50, cpus(600));
        slots.start_next();
        slots.wait(attempt(1), 2, 50, cpus(100));
        assert_eq!((slots.waiting(), slots.start_next()), (0, None));
        slots.leave(attempt(1));
        assert_eq!(slots.used(), cpus(0));
    }

    /// The same without any cleverness: one line, looked through from its beginning.
    #[derive(Default)]
    struct Naive {
        capacity: Resources,
        used: Resources,
        line: Vec<(Place, Resources)>,
        started: Vec<(Attempt, Resources)>,
    }

    impl Naive {
        fn wait(&mut self, at: Attempt, seq: u64, priority: u32, wants: Resources) {
            let waits = self.line.iter().any(|(place, _)| place.2 == at);
            if !waits && !self.started.iter().any(|(started, _)| *started == at) {
                self.line.push(((Reverse(priority), seq, at), wants));
                self.line.sort_unstable();
            }
        }

        fn start_next(&mut self) -> Option<Attempt> {
            let fits = |(_, wants): &(Place, Resources)| self.capacity.has_room(self.used, *wants);
            let (place, wants) = self.line.remove(self.line.iter().position(fits)?);
            self.used.add(wants);
            self.started.push((place.2, wants));
            Some(place.2)
        }

        fn leave(&mut self, at: Attempt) {
            self.line.retain(|(place, _)| place.2 != at);
            if let Some(found) = self.started.iter().position(|(started, _)| *started == at) {
                self.used.sub(self.started.remove(found).1);
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Wait { index: u32, seq: u64, priority: u32, wants: Resources },
        Start,
        Leave(u32),
        Capacity(Resources),
    }

    fn amounts(most: u64) -> impl Strategy<Value = Resources> {
        (0..=most, 0..=most)
            .prop_map(|(cpu_milli, memory_bytes)| Resources { cpu_milli, memory_bytes })
    }

    fn step() -> impl Strategy<Value = Step> {
        let wait = (0..400_u32, 0..40_u64, 0..3_u32, amounts(30));
        prop_oneof![
            8 => wait.prop_map(|(index, seq, priority, wants)| {
                Step::Wait { index, seq, priority, wants }
            }),
            4 => Just(Step::Start),
            2 => (0..400_u32).prop_map(Step::Leave),
            1 => amounts(100).prop_map(Step::Capacity),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn it_does_as_one_long_line_would(steps in prop::collection::vec(step(), 0..600)) {
            let (mut slots, mut naive) = (Slots::new(cpus(0)), Naive::default());
            for step in steps {
                match step {
                    Step::Wait { index, seq, priority, wants } => {
                        slots.wait(attempt(index), seq, priority, wants);
                        naive.wait(attempt(index), seq, priority, wants);
                    }
                    Step::Start => prop_assert_eq!(slots.start_next(), naive.start_next()),
                    Step::Leave(index) => {
                        slots.leave(attempt(index));
                        naive.leave(attempt(index));
                    }
                    Step::Capacity(capacity) => {
                        slots.set_capacity(capacity);
                        naive.capacity = capacity;
                    }
                }
                let first = naive.line.first().map(|(place, _)| place.0.0);
                prop_assert_eq!(slots.waiting_priority(), first);
                prop_assert_eq!((slots.used(), slots.waiting()), (naive.used, naive.line.len()));
            }
        }
    }
}
